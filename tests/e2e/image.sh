#!/bin/bash
# Builds the virtual machine's disk: Debian with what an ECS instance has, and the agent installed as on an AMI.
#
# image.sh BINARY FOLDER [VARIANT] makes FOLDER/disk.img and FOLDER/vmlinuz, or disk-VARIANT.img and so on. Debian is kept
# between runs; it is made anew when this script or the files in guest/ change, and the disk when the agent or its
# installation does. The variant `selinux` has SELinux and the labels of Debian's policy; `trixie` is Debian 13.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
binary=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
variant=${3:+-$3}
exec {lock}>"$folder/lock"
flock "$lock"
suite=bookworm
install=$here/../../builder-scripts
packages=systemd,systemd-sysv,udev,dbus,cloud-init,docker.io,linux-image-cloud-amd64,xfsprogs,e2fsprogs,mdadm,iproute2,tzdata,docker-registry
[[ $variant != -selinux ]] || packages+=,selinux-policy-default,policycoreutils,selinux-utils
if [[ $variant == -trixie ]]; then suite=trixie packages+=,docker-cli; fi
debian=$folder/debian$variant disk=$folder/disk$variant root=$folder/root$variant

# The names, modes and contents of files, in one line.
fingerprint() {
	find "$@" -type f -printf '%P %m\n' -exec sha256sum {} + | sort | sha256sum | cut -d' ' -f1
}

# Makes Debian in a folder; without what the boot of an ECS instance has nothing of, such as the timers of apt.
debian() {
	rm -rf "$debian" "$debian.made-of"
	mmdebstrap --quiet --variant=minbase --include="$packages" --aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		"$suite" "$debian"
	cp -rT "$here/guest" "$debian"
	local system=(systemctl --root="$debian" --quiet)
	"${system[@]}" enable systemd-networkd.service e2e-shell.service e2e-instance-store.service ecs.service \
		amazon-ssm-agent.service
	# A hook starts it.
	"${system[@]}" disable docker-registry.service
	# The journal outlives a boot, as on Amazon Linux.
	mkdir -p "$debian/var/log/journal"
	"${system[@]}" mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
		e2scrub_reap.service fstrim.timer getty@tty1.service serial-getty@ttyS0.service \
		systemd-logind.service systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-binfmt.service \
		systemd-pstore.service systemd-user-sessions.service
	# systemd makes a new one at the first boot.
	: >"$debian/etc/machine-id"
	echo '/dev/nvme0n1 / ext4 defaults 0 1' >"$debian/etc/fstab"
	echo "$1" >"$debian.made-of"
}

# Labels the copy as the policy of its own says, with its own programs; these find files through /proc.
labels() {
	local contexts=/etc/selinux/default/contexts/files/file_contexts
	unshare --mount sh -c "mount -t proc proc '$root/proc' && exec chroot '$root' setfiles -m -F -e /proc $contexts /"
}

# Installs the agent into a copy of Debian, and makes a disk of that.
disk() {
	rm -rf "$root" "$disk.img" "$disk.made-of"
	cp -a "$debian" "$root"
	ROOT=$root BINARY=$binary "$install/install.sh" &>"$folder/install.log" || {
		cat "$folder/install.log" >&2
		return 1
	}
	cp "$root"/boot/vmlinuz-* "$folder/vmlinuz$variant"
	[[ $variant != -selinux ]] || labels
	truncate -s 4G "$disk.img"
	mke2fs -q -t ext4 -L root -E lazy_itable_init=1 -d "$root" "$disk.img"
	rm -rf "$root"
	echo "$1" >"$disk.made-of"
}

inputs=$(fingerprint "$here/image.sh" "$here/guest")
[[ $(cat "$debian.made-of" 2>/dev/null) == "$inputs" ]] || debian "$inputs"
inputs=$inputs-$(fingerprint "$binary" "$install")
[[ $(cat "$disk.made-of" 2>/dev/null) == "$inputs" ]] || disk "$inputs"
