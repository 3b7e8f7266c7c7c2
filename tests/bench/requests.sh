#!/bin/sh
# The requests of `ecs-firstrun run` made by curl, and nothing else: what the job can't cost less than with curl.
set -eu
imds=$AWS_EC2_METADATA_SERVICE_ENDPOINT

token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$imds/latest/api/token")
curl -s -H "X-aws-ec2-metadata-token: $token" -o "$FOLDER/#1" \
	"$imds/latest/{dynamic/instance-identity/document,dynamic/instance-identity/signature}" --create-dirs
curl -s -H "X-aws-ec2-metadata-token: $token" -o /dev/null \
	"$imds/latest/{user-data,meta-data/services/domain,meta-data/tags/instance,meta-data/autoscaling/target-lifecycle-state}"
systemctl start ecs.service

until curl -sf -o /dev/null "$ECS_FIRSTRUN_ECS_ENDPOINT/v1/metadata"; do
	sleep 0.05
done

document=$(base64 -w0 "$FOLDER/dynamic/instance-identity/document")
signature=$(tr -d '\n' <"$FOLDER/dynamic/instance-identity/signature")
curl -sf -o /dev/null -H "Authorization: CFN_V1 $document:$signature" "$AWS_ENDPOINT_URL_CLOUDFORMATION/?$SIGNAL"
