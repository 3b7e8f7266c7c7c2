#!/bin/bash
# Runs the fuzz targets that were built, or those in $2, for $1 seconds each, and says at the end what they did.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=$1
read -ra targets <<<"${2:-user_data wrapped template schema facts imds introspection cloudformation report state nvme}"
at=target/fuzz
binaries=$at/$(rustc -vV | sed -n 's/^host: //p')/release
mkdir -p $at/{corpus,artifacts,logs,slowest,dictionaries}
tests/fuzz/seeds.sh $at/seeds

# The most bytes that a reader is given: EC2's 16 KiB in base64, what CloudFormation takes in a call, what the agent reads of
# an answer. Files may be longer; what is found is found in short ones.
longest() {
	case $1 in
	user_data | wrapped) echo 25600 ;;
	template) echo 51200 ;;
	facts) echo 32768 ;;
	nvme) echo 4096 ;;
	*) echo 65536 ;;
	esac
}

dictionaries() {
	case $1 in
	user_data | wrapped | schema) echo user_data ;;
	template) echo user_data template ;;
	facts | report | state) echo files ;;
	*) echo answers ;;
	esac
}

failed=()
for target in "${targets[@]}"; do
	{
		for name in $(dictionaries "$target"); do cat "tests/fuzz/dictionaries/$name"; done
		sed -n 's/^ *\("[A-Za-z_-]*"\): {$/\1/p' examples/schema.json | sort -u
	} >"$at/dictionaries/$target"
	mkdir -p "$at/corpus/$target"
	echo "$target, for $seconds s" >&2
	SLOWEST=$at/slowest/$target "$binaries/$target" "$at/corpus/$target" "$at/seeds/$target" \
		-dict="$at/dictionaries/$target" -max_len="$(longest "$target")" -max_total_time="$seconds" -timeout=10 \
		-rss_limit_mb=1024 -artifact_prefix="$at/artifacts/$target-" -print_final_stats=1 >"$at/logs/$target" 2>&1 ||
		failed+=("$target")
done

stat() { sed -n "s/^stat::$2: *//p" "$at/logs/$1" | tail -1; }
printf '%-16s %11s %9s %9s %10s %11s %9s %8s\n' target executions 'per s' features 'slowest' 'of bytes' 'heap' 'RSS'
for target in "${targets[@]}"; do
	features=$(sed -n 's/.* ft: \([0-9]*\) .*/\1/p' "$at/logs/$target" | tail -1)
	dearest=$(sed -n 's/^dearest: \(.*\) ms (\(.*\) bytes), \(.*\) KiB$/\1 \2 \3/p' "$at/logs/$target" | tail -1)
	read -r time bytes heap <<<"$dearest"
	printf '%-16s %11s %9s %9s %7s ms %11s %5s KiB %4s MiB\n' "$target" "$(stat "$target" number_of_executed_units)" \
		"$(stat "$target" average_exec_per_sec)" "$features" "$time" "$bytes" "$heap" "$(stat "$target" peak_rss_mb)"
done
if ((${#failed[@]})); then
	for target in "${failed[@]}"; do
		echo "$target failed:" >&2
		tail -n 30 "$at/logs/$target" >&2
	done
	exit 1
fi
