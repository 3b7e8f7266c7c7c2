#!/bin/bash
# What the fuzz targets begin with, in a folder each below $1: the cases of the tests and the examples, beside seeds/.
set -euo pipefail
cd "$(dirname "$0")/../.."
to=$1
mkdir -p "$to"
cp -r tests/fuzz/seeds/. "$to"

# Copies files to a target's seeds, after bytes that the target wants before them.
seed() {
	local target=$1 before=$2 file
	mkdir -p "$to/$target"
	while read -r file; do
		{ printf '%b' "$before" && cat "$file"; } >"$to/$target/$(tr / - <<<"$file")"
	done
}

user_data() {
	find tests/cases tests/refused -name user-data
	find examples/user-data -type f
}
user_data | seed user_data ''
# In gzip in base64; the parts are those of a message.
user_data | seed wrapped '\x02\x01\x02'
find examples/cloudformation -name '*.yaml' | tee >(seed template '') | seed user_data ''
find tests/cases examples/facts -name '*.json' -not -path '*/root/*' | seed facts ''
