#!/bin/bash
# Installs the agent into an image, or into the folder of a mounted image. The packages (`make deb`, `make rpm`) do the same.
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
if [[ $root == / ]] && ! ecs-firstrun --version; then
	echo "install: $binary does not run here; is it built for $(uname -m)?" >&2
	exit 1
fi

# The preset says which units are enabled, and why.
sed -n 's/^\(enable\|disable\) //p' "$files/usr/lib/systemd/system-preset/10-ecs-firstrun.preset" | while read -r unit; do
	if systemctl --root="$root" list-unit-files --no-legend "$unit" | grep -q .; then
		systemctl --root="$root" preset "$unit"
	fi
done
