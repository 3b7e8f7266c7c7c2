#!/bin/bash
# The real containerd and dockerd in a Debian of their own, and a real registry with one image: on loopback for everybody, and under
# the names HOSTS with TLS for those who log in.
#
#   TREE         Debian with docker.io, unpacked
#   REGISTRY     Debian with docker-registry and openssl, unpacked
#   DOCKERD      the daemon, such as dockerd
#   DAEMON_JSON  Docker's configuration
#   HOSTS        the names
#   CREDENTIALS  USER:PASSWORD
#
# It runs in namespaces of its own for mounts, processes and the network; with them goes all that it makes. It prints the image's
# digest, then `ready`, and ends with its input. Docker's socket is docker.sock in the folder that it is called in.
set -euo pipefail

here=$PWD
mount --make-rprivate /
for debian in "$TREE" "$REGISTRY"; do
	mkdir -p "$debian"/{proc,sys,run,root,tmp,etc/docker,var/lib,here}
	for folder in lib lib64 bin sbin; do
		[[ -e $debian/$folder ]] || ln -s "usr/$folder" "$debian/$folder"
	done
	mount --bind "$debian" "$debian"
	mount -t proc proc "$debian/proc"
	mount --rbind /sys "$debian/sys"
	mount --rbind /dev "$debian/dev"
	for folder in run tmp etc/docker var/lib; do
		mount -t tmpfs tmpfs "$debian/$folder"
	done
	mount --bind "$here" "$debian/here"
done
ip link set lo up
# Docker trusts a registry at 127.0.0.0/8 without TLS.
ip address add 10.0.0.1/32 dev lo
echo "$DAEMON_JSON" >"$TREE/etc/docker/daemon.json"
openssl=(chroot "$REGISTRY" openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=registry)
"${openssl[@]}" -addext "subjectAltName=DNS:${HOSTS// /,DNS:}" -keyout /here/key.pem -out /here/ca.pem 2>/dev/null
echo "10.0.0.1 $HOSTS" >hosts
touch "$TREE/etc/hosts"
mount --bind hosts "$TREE/etc/hosts"
for host in $HOSTS; do
	mkdir -p "$TREE/etc/docker/certs.d/$host"
	cp ca.pem "$TREE/etc/docker/certs.d/$host/ca.crt"
done
# The registry takes bcrypt alone. The variables are Perl's.
# shellcheck disable=SC2016
hash=$(LC_ALL=C chroot "$REGISTRY" perl -e 'print crypt($ARGV[0], $ARGV[1])' "${CREDENTIALS#*:}" '$2y$05$abcdefghijklmnopqrstuu')
echo "${CREDENTIALS%%:*}:$hash" >htpasswd
storage='storage: {filesystem: {rootdirectory: /here/registry}}'
cat >open.yml <<-END
	version: 0.1
	$storage
	http: {addr: "127.0.0.1:5000"}
END
cat >closed.yml <<-END
	version: 0.1
	$storage
	http: {addr: "10.0.0.1:443", tls: {certificate: /here/ca.pem, key: /here/key.pem}}
	auth: {htpasswd: {realm: closed, path: /here/htpasswd}}
END
for name in open closed; do
	chroot "$REGISTRY" docker-registry serve "/here/$name.yml" &>"$name.log" &
done

chroot "$TREE" containerd &>containerd.log &
until [[ -S $TREE/run/containerd/containerd.sock ]]; do sleep 0.1; done
# Without a network of its own: the host's rules are not touched.
chroot "$TREE" "$DOCKERD" --iptables=false --ip6tables=false --bridge=none -H unix:///here/docker.sock --pidfile=/run/docker.pid \
	--containerd=/run/containerd/containerd.sock &>dockerd.log &
docker=(chroot "$TREE" docker -H unix:///here/docker.sock)
for ((tried = 0; tried < 300; tried++)); do
	"${docker[@]}" version &>/dev/null && break
	sleep 0.1
done
mkdir layer
head -c 3M /dev/urandom >layer/random
tar -C layer -c . | "${docker[@]}" import - "127.0.0.1:5000/team/base:7" >/dev/null
"${docker[@]}" push -q "127.0.0.1:5000/team/base:7" >/dev/null
digest=$("${docker[@]}" inspect -f '{{index .RepoDigests 0}}' "127.0.0.1:5000/team/base:7")
"${docker[@]}" rmi "127.0.0.1:5000/team/base:7" >/dev/null
echo "digest=${digest#*@}"
echo ready
cat >/dev/null
