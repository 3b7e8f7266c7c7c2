#!/bin/bash
# Marks the image that was baked last, in each of its regions, so that its instances answer IMDSv2 only: not every Packer
# that takes packer.json has an option for that.
#
# imds.sh MANIFEST runs on the builder's machine.
set -euo pipefail

baked=$(sed -n 's/.*"artifact_id": "\([^"]*\)".*/\1/p' "$1" | tail -n 1)
if [[ $baked != *:ami-* ]]; then
	echo "imds: $1 names no image; \`packer build\` writes it" >&2
	exit 1
fi
for image in ${baked//,/ }; do
	mark=(aws ec2 modify-image-attribute --region "${image%%:*}" --image-id "${image#*:}" --imds-support v2.0)
	if command -v aws >/dev/null; then
		"${mark[@]}"
		echo "imds: ${image#*:} requires IMDSv2"
	else
		echo "imds: the AWS CLI is not installed, so the image does not require IMDSv2 yet; run this where it is: ${mark[*]}" >&2
	fi
done
