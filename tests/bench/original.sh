#!/bin/bash
# The job of `ecs-firstrun run` as a shell script does it: what people bake into their images without this agent.
#
# It is given what the user data of such an image export: ECS_CLUSTER, STACK_NAME, AUTOSCALING_GROUP, PROXY_URL. It has no
# deadline, no retry and no validation.
set -euo pipefail
root=$ECS_FIRSTRUN_ROOT
imds=$AWS_EC2_METADATA_SERVICE_ENDPOINT

token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$imds/latest/api/token")
metadata() {
	curl -sf -H "X-aws-ec2-metadata-token: $token" "$imds/latest/$1"
}
document=$(metadata dynamic/instance-identity/document)
instance=$(jq -r .instanceId <<<"$document")
AWS_DEFAULT_REGION=$(jq -r .region <<<"$document")
export AWS_DEFAULT_REGION

mkdir -p "$root/etc/ecs" "$root/opt/aws/amazon-cloudwatch-agent/etc"
echo "ECS_CLUSTER=$ECS_CLUSTER" >"$root/etc/ecs/ecs.config"

if [ -n "${PROXY_URL:-}" ]; then
	for unit in docker ecs amazon-ssm-agent; do
		mkdir -p "$root/etc/systemd/system/$unit.service.d"
		printf '[Service]\nEnvironment="HTTPS_PROXY=%s" "NO_PROXY=169.254.169.254,169.254.170.2"\n' "$PROXY_URL" \
			>"$root/etc/systemd/system/$unit.service.d/proxy.conf"
	done
fi

logs=(/var/log/dmesg /var/log/messages /var/log/docker /var/log/ecs/ecs-init.log /var/log/ecs/ecs-agent.log
	/var/log/ecs/audit.log)
for log in "${logs[@]}"; do
	jq -n --arg file "$log" --arg group "$STACK_NAME/ec2/$AUTOSCALING_GROUP$log" \
		'{file_path: $file, log_group_name: $group, log_stream_name: "{instance_id}"}'
done | jq -s '{logs: {logs_collected: {files: {collect_list: .}}}}' \
	>"$root/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.json"

systemctl daemon-reload
systemctl start amazon-cloudwatch-agent.service
systemctl start docker.service
systemctl start --no-block ecs.service

until [ "$(curl -s "$ECS_FIRSTRUN_ECS_ENDPOINT/v1/metadata" | jq -r .Cluster)" = "$ECS_CLUSTER" ]; do
	sleep 1
done

aws cloudformation signal-resource --stack-name "$STACK_NAME" --logical-resource-id "$AUTOSCALING_GROUP" \
	--unique-id "$instance" --status SUCCESS
