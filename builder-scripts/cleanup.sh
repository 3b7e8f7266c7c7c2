#!/bin/bash
# Removes what belongs to the host that becomes an image, and must not be shared by its instances. Comes last but for
# `ecs-firstrun doctor --image`, which says what it has missed.
#
#   ROOT  where to clean (default: /)
set -euo pipefail
shopt -s nullglob dotglob

root=$(readlink -f "${ROOT:-/}")
root=${root%/}

# The ECS agent of the image that this one is made of was started before anything of this.
if [[ -z $root ]]; then
	for unit in ecs.service docker.socket docker.service; do
		if systemctl list-unit-files --no-legend "$unit" | grep -q .; then
			systemctl stop "$unit"
		fi
	done
fi

# An agent that finds the state of another instance does not register; Docker's key was its identity in older releases.
rm -rf "$root"/var/lib/ecs/data/* "$root/etc/docker/key.json"
# The build instance's cluster. Other settings of an image stay.
if [[ -f $root/etc/ecs/ecs.config ]]; then
	sed -i '/^[[:space:]]*ECS_CLUSTER=/d' "$root/etc/ecs/ecs.config"
fi
rm -rf "$root"/var/lib/ecs-firstrun/* "$root"/etc/systemd/system/*.d/ecs-firstrun-*.conf "$root/etc/ecs-firstrun/proxy.env" \
	"$root"/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d/ecs-firstrun.{json,yaml}
mount=$root/etc/systemd/system/var-lib-containerd.mount
if grep -qs '^# Written by ecs-firstrun' "$mount"; then
	rm "$mount"
fi
# The CloudWatch agent's own log, which names the proxy of the build instance, and how far it has read files.
rm -rf "$root"/opt/aws/amazon-cloudwatch-agent/logs/*

# cloud-init runs anew, and makes other host keys.
rm -rf "$root"/var/lib/cloud/{instance,instances,data,sem,handlers}
rm -f "$root"/etc/ssh/ssh_host_*_key{,.pub} "$root"/{root,home/*}/.ssh/authorized_keys
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id" "$root/var/lib/systemd/random-seed" "$root"/var/lib/dhclient/*

find "$root/var/log" -type f -delete
rm -rf "$root"/var/cache/{dnf,yum}/* "$root"/{root,home/*}/.bash_history "$root/tmp/ecs-firstrun"
