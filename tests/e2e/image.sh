#!/bin/bash
# Builds the virtual machine's disk: Debian with what an ECS instance has, and the agent installed as on an AMI.
#
# image.sh BINARY FOLDER [SUITE] makes FOLDER/disk.img and FOLDER/vmlinuz, of Debian 12 unless told otherwise. Debian is kept
# between runs; it is made anew when this script or the files in guest/ change, and the disk when the agent or its installation does.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
binary=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
exec {lock}>"$folder/lock"
flock "$lock"
suite=${3:-bookworm}
install=$here/../../builder-scripts
packages=systemd,systemd-sysv,udev,dbus,cloud-init,docker.io,linux-image-cloud-amd64,xfsprogs,e2fsprogs,mdadm,iproute2,tzdata
[[ $suite == bookworm ]] || packages+=,docker-cli

# The names, modes and contents of files, in one line.
fingerprint() {
	find "$@" -type f -printf '%P %m\n' -exec sha256sum {} + | sort | sha256sum | cut -d' ' -f1
}

# Makes Debian in a folder; without what the boot of an ECS instance has nothing of, such as the timers of apt.
debian() {
	rm -rf "$folder/debian" "$folder/debian.made-of"
	mmdebstrap --quiet --variant=minbase --include="$packages" --aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		"$suite" "$folder/debian"
	cp -rT "$here/guest" "$folder/debian"
	local system=(systemctl --root="$folder/debian" --quiet)
	"${system[@]}" enable systemd-networkd.service e2e-shell.service e2e-instance-store.service ecs.service \
		amazon-ssm-agent.service
	# The journal outlives a boot, as on Amazon Linux.
	mkdir -p "$folder/debian/var/log/journal"
	"${system[@]}" mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
		e2scrub_reap.service fstrim.timer getty@tty1.service serial-getty@ttyS0.service \
		systemd-logind.service systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-binfmt.service \
		systemd-pstore.service systemd-user-sessions.service
	# systemd makes a new one at the first boot.
	: >"$folder/debian/etc/machine-id"
	echo '/dev/nvme0n1 / ext4 defaults 0 1' >"$folder/debian/etc/fstab"
	echo "$1" >"$folder/debian.made-of"
}

# Installs the agent into a copy of Debian, and makes a disk of that.
disk() {
	rm -rf "$folder/root" "$folder/disk.img" "$folder/disk.made-of"
	cp -a "$folder/debian" "$folder/root"
	ROOT=$folder/root BINARY=$binary "$install/install.sh" &>"$folder/install.log" || {
		cat "$folder/install.log" >&2
		return 1
	}
	cp "$folder"/root/boot/vmlinuz-* "$folder/vmlinuz"
	truncate -s 4G "$folder/disk.img"
	mke2fs -q -t ext4 -L root -E lazy_itable_init=1 -d "$folder/root" "$folder/disk.img"
	rm -rf "$folder/root"
	echo "$1" >"$folder/disk.made-of"
}

inputs=$(fingerprint "$here/image.sh" "$here/guest")
[[ $(cat "$folder/debian.made-of" 2>/dev/null) == "$inputs" ]] || debian "$inputs"
inputs=$inputs-$(fingerprint "$binary" "$install")
[[ $(cat "$folder/disk.made-of" 2>/dev/null) == "$inputs" ]] || disk "$inputs"
