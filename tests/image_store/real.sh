#!/bin/bash
# A boot of the real containerd and dockerd in a Debian of their own, an image of 200 MB, and a second boot.
#
#   TREE         Debian with docker.io, unpacked
#   DOCKERD      the daemon in it
#   DAEMON_JSON  Docker's configuration
#   WHAT, WHERE  what a mount unit binds, and where; empty if there is none
#
# It runs in namespaces of its own for mounts and processes; with them goes all that it makes. The disks are two files in the
# folder that it is called in. It prints lines NAME=VALUE.
set -euo pipefail

mount --make-rprivate /
mkdir -p "$TREE"/{proc,sys,run,root,data,etc/docker}
for folder in lib lib64 bin sbin; do
	[[ -e $TREE/$folder ]] || ln -s "usr/$folder" "$TREE/$folder"
done
mount --bind "$TREE" "$TREE"
mount -t proc proc "$TREE/proc"
mount --rbind /sys "$TREE/sys"
mount --rbind /dev "$TREE/dev"
for folder in run tmp etc/docker; do
	mount -t tmpfs tmpfs "$TREE/$folder"
done
truncate -s 1200M root.img volume.img
mkfs.ext4 -q root.img
mkfs.ext4 -q volume.img
mount -o loop root.img "$TREE/var/lib"
# As a containerd leaves it that was started once on the root disk.
mkdir -p "$TREE/var/lib/containerd/io.containerd.content.v1.content/ingest"
echo "$DAEMON_JSON" >"$TREE/etc/docker/daemon.json"
docker=(chroot "$TREE" docker -H unix:///run/docker.sock)

boot() {
	mount -o loop volume.img "$TREE/data"
	if [[ -n $WHAT ]]; then
		mkdir -p "$TREE$WHAT"
		mount --bind "$TREE$WHAT" "$TREE$WHERE"
	fi
	chroot "$TREE" containerd &>containerd.log &
	containerd=$!
	until [[ -S $TREE/run/containerd/containerd.sock ]]; do sleep 0.1; done
	# Without a network of its own: the host's rules are not touched.
	chroot "$TREE" "$DOCKERD" --iptables=false --ip6tables=false --bridge=none -H unix:///run/docker.sock \
		--containerd=/run/containerd/containerd.sock &>dockerd.log &
	daemon=$!
	for ((tried = 0; tried < 300; tried++)); do
		"${docker[@]}" version &>/dev/null && return
		sleep 0.1
	done
	tail dockerd.log >&2
	return 1
}

stop() {
	kill "$daemon"
	wait "$daemon" || true
	kill "$containerd"
	wait "$containerd" || true
	rm -f "$TREE/run/docker.sock" "$TREE/run/containerd/containerd.sock"
	[[ -z $WHAT ]] || umount "$TREE$WHERE"
	umount "$TREE/data"
}

used() {
	sync -f "$TREE/$1"
	df --output=used -B1 "$TREE/$1" | tail -n 1
}

boot
"${docker[@]}" info -f 'version={{.ServerVersion}}{{"\n"}}driver={{.Driver}}{{"\n"}}status={{.DriverStatus}}{{"\n"}}root={{.DockerRootDir}}'
mkdir layer
head -c 200M /dev/urandom >layer/random
root=$(used var/lib) volume=$(used data)
tar -C layer -c . | "${docker[@]}" import - big:1 >/dev/null
echo "root_grown=$(($(used var/lib) - root))"
echo "volume_grown=$(($(used data) - volume))"
stop
boot
echo "images=$("${docker[@]}" images -q big:1 | wc -l)"
stop
