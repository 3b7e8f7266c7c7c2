#!/bin/bash
# Installs what ecs-firstrun starts or calls on the instance: the CloudWatch agent, and the programs that make volumes.
set -euo pipefail

manager=$(command -v dnf || command -v yum) || {
	echo "packages: neither dnf nor yum is there; bake from an Amazon Linux image" >&2
	exit 1
}
"$manager" install -y amazon-cloudwatch-agent chrony e2fsprogs mdadm xfsprogs

# From this version on the CloudWatch agent reads the journal; for an older one, rsyslog writes what it says to files.
reads_journal=1.300070
version=$(cat /opt/aws/amazon-cloudwatch-agent/bin/CWAGENT_VERSION)
if [[ $(printf '%s\n' "$reads_journal" "$version" | sort -V | head -n 1) != "$reads_journal" ]]; then
	echo "packages: CloudWatch agent $version can't read the journal, so rsyslog is installed"
	"$manager" install -y rsyslog
	systemctl enable rsyslog.service
fi
