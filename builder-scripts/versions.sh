#!/bin/bash
# Prints, as variables of packer.json, which image the new one is made of and what is in it: what AWS recommends now.
#
# versions.sh REGION ARCH runs on the builder's machine. Without the AWS CLI it prints no variable: packer.json looks for
# the newest image itself, and does not know what is in it.
set -euo pipefail

if ! command -v aws >/dev/null; then
	echo "versions: without the AWS CLI the image's tags don't say which Docker and ECS agent are in it" >&2
	echo '{}'
	exit
fi
path=/aws/service/ecs/optimized-ami/amazon-linux-2023
[[ $2 != arm64 ]] || path+=/arm64
image=$(aws ssm get-parameter --region "$1" --name "$path/recommended" --query Parameter.Value --output text)

value() {
	sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p" <<<"$image"
}
docker=$(value ecs_runtime_version)
printf '{"source_ami": "%s", "docker_version": "%s", "ecs_agent_version": "%s"}\n' \
	"$(value image_id)" "${docker#Docker version }" "$(value ecs_agent_version)"
