#!/bin/bash
# Fails the bake when the host would not boot right as an instance of the image.
set -euo pipefail

fail() {
	echo "verify: $1" >&2
	exit 1
}

ecs-firstrun --version || fail "the binary does not run here; is it built for $(uname -m)?"
for unit in cloud-init.target docker.service ecs.service amazon-cloudwatch-agent.service; do
	systemctl list-unit-files --no-legend "$unit" | grep -q . ||
		fail "$unit is missing; was the image made of an ECS-optimized one?"
done
[[ $(systemctl is-enabled ecs-firstrun.service) == enabled ]] ||
	fail "ecs-firstrun.service is not enabled, so nothing would happen at boot"
for unit in docker.service docker.socket ecs.service amazon-cloudwatch-agent.service; do
	state=$(systemctl is-enabled "$unit" 2>/dev/null) || true
	[[ $state != enabled ]] || fail "$unit is enabled, so it would start before ecs-firstrun has configured it"
done
for unit in docker.service ecs.service; do
	[[ -f /usr/lib/systemd/system/$unit.d/10-ecs-firstrun.conf ]] || fail "$unit does not wait for ecs-firstrun"
done
for state in /var/lib/ecs/data/* /var/lib/ecs-firstrun/* /var/lib/cloud/instances/*; do
	[[ ! -e $state ]] || fail "$state is of another instance; cleanup.sh comes before this"
done
[[ ! -s /etc/machine-id ]] || fail "/etc/machine-id is not empty, so all instances would share it"
