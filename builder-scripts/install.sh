#!/bin/bash
# Installs the agent into an image, or into the folder of a package or of a mounted image.
#
#   BINARY  the agent's binary (default: dist/ecs-firstrun)
#   SHA256  the checksum that the binary must have (default: any)
#   FILES   what is installed beside it (default: files/ beside this script)
#   ROOT    where to install (default: /)
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "${ROOT:-/}")
binary=${BINARY:-$here/../dist/ecs-firstrun}
files=${FILES:-$here/files}

if [[ -n ${SHA256:-} ]] && ! echo "$SHA256  $binary" | sha256sum --check --status; then
	echo "install: $binary is not the binary with the checksum $SHA256; was it copied whole?" >&2
	exit 1
fi

install -D -m 0755 "$binary" "$root/usr/bin/ecs-firstrun"
(cd "$files" && find . -type f -exec install -D -m 0644 {} "$root/{}" \;)
install -d -m 0755 "$root/etc/ecs-firstrun/conf.d"
install -d -m 0700 "$root/var/lib/ecs-firstrun"

# The agent starts Docker and ECS on every boot, when the host is configured. Enabling ecs.service would make an
# ordering cycle where cloud-final.service is after multi-user.target.
systemctl --root="$root" enable ecs-firstrun.service
for unit in docker.service docker.socket ecs.service; do
	if systemctl --root="$root" list-unit-files --no-legend "$unit" | grep -q .; then
		systemctl --root="$root" disable "$unit"
	fi
done
