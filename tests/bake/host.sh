#!/bin/bash
# Makes FOLDER/debian: Debian with what an ECS instance has, as far as a bake touches it. It is kept between runs, and made
# anew when this script or the files in host/ change.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
folder=$1
packages=systemd,systemd-sysv,dbus,cloud-init,docker.io,openssh-server,sudo,chrony,e2fsprogs,mdadm,xfsprogs,rsyslog,tzdata
inputs=$(cd "$here" && find host.sh host -type f -printf '%P %m\n' -exec sha256sum {} + | sort | sha256sum)
mkdir -p "$folder"
[[ $(cat "$folder/debian.made-of" 2>/dev/null) != "$inputs" ]] || exit 0

root=$folder/debian
rm -rf "$root" "$folder/debian.made-of"
mmdebstrap --quiet --variant=minbase --include="$packages" --aptopt='APT::Install-Recommends "false"' \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$root"
cp -rT "$here/host" "$root"
chmod 0440 "$root/etc/sudoers.d/90-cloud-init-users"
# Without a password, but not locked: sshd refuses those that are.
chroot "$root" useradd --create-home --shell /bin/bash --password '*' ec2-user

# Enabled, as on Amazon's image; what ran there leaves traces.
systemctl --root="$root" --quiet enable ecs.service docker.service docker.socket
systemctl --root="$root" --quiet disable chrony.service rsyslog.service
mkdir -p "$root"/var/lib/ecs/data "$root"/var/lib/cloud/instances/i-0builder "$root"/etc/docker "$root"/run/sshd \
	"$root"/var/log/ecs "$root"/home/ec2-user/.ssh
echo stale >"$root/var/lib/ecs/data/agent.db"
echo stale >"$root/var/log/ecs/ecs-agent.log"
echo '{}' >"$root/etc/docker/key.json"
echo secret >"$root/root/.bash_history"
echo secret >"$root/home/ec2-user/.ssh/authorized_keys"
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
echo "$inputs" >"$folder/debian.made-of"
