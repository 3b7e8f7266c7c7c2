#!/bin/bash
# Goes through the stages of a Debian's own cloud-init on each user data of a folder, in namespaces of its own.
#
#   boot.sh DEBIAN IMAGE CASES
#
# IMAGE is a folder with what an image adds, and may be empty. CASES/NAME/user-data gives CASES/NAME/{status,code,warnings}.
# Each begins where `cloud-init clean` leaves the one before; where there is CASES/NAME/reboot, what is told is told of a
# second boot.
set -euo pipefail

debian=$1 image=$2 cases=$3
if [[ -z ${IN_NAMESPACES:-} ]]; then
	IN_NAMESPACES=yes exec unshare --mount --pid --fork --net --kill-child "$0" "$@"
fi

layers=$(mktemp -d -p "$cases/..")
mount -t tmpfs layers "$layers"
mkdir "$layers"/{upper,work,root}
root=$layers/root
mount -t overlay -o "lowerdir=$debian,upperdir=$layers/upper,workdir=$layers/work" root "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount --rbind /dev "$root/dev"
cp -rT "$image" "$root"

# What has nothing to do with user data, and wants a network or changes a host, is left out.
cat >"$root/etc/cloud/cloud.cfg.d/99_test.cfg" <<-'END'
	datasource_list: [NoCloud]
	network: {config: disabled}
	cloud_init_modules: [write_files]
	cloud_config_modules: [runcmd]
	cloud_final_modules: [scripts_user]
END

# As systemd starts the network stage, with the lines of a drop-in of the image.
prepare() {
	local unit
	for unit in cloud-init.service cloud-init-network.service; do
		if [[ -e $root/lib/systemd/system/$unit ]]; then
			cat "$root/usr/lib/systemd/system/$unit.d"/*.conf 2>/dev/null | sed -n 's/^ExecStartPre=-//p'
		fi
	done | while read -r line; do
		# shellcheck disable=SC2086 # The lines of the drop-in have nothing quoted.
		chroot "$root" $line
	done
}

boot() {
	mount -t tmpfs run "$root/run"
	mkdir "$root/run/cloud-init"
	touch "$root/run/cloud-init/enabled"
	chroot "$root" cloud-init init --local
	prepare
	chroot "$root" cloud-init init
	chroot "$root" cloud-init modules --mode=config
	chroot "$root" cloud-init modules --mode=final
}

for case in "$cases"/*/; do
	seed=$root/var/lib/cloud/seed/nocloud
	mkdir -p "$seed"
	cp "$case/user-data" "$seed/user-data"
	printf 'instance-id: i-0123456789abcdef0\nlaunch-index: 0\n' >"$seed/meta-data"
	boot &>"$case/said" || true
	if [[ -e $case/reboot ]]; then
		umount "$root/run"
		rm "$root/var/log/cloud-init.log"
		boot &>>"$case/said" || true
	fi
	code=0
	chroot "$root" cloud-init status --long &>"$case/status" || code=$?
	echo "$code" >"$case/code"
	grep -E '\[(WARNING|ERROR|CRITICAL)\]' "$root/var/log/cloud-init.log" >"$case/warnings" || true
	ls "$root/etc/ecs-firstrun/conf.d" >"$case/written" 2>/dev/null || true
	chroot "$root" cloud-init clean --logs --seed
	umount "$root/run"
done
