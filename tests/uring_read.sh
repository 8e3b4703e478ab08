#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# Usage: uring_read.sh COMMAND...
# Runs the example uring-read, COMMAND, on files of several sizes; 77 where the
# kernel gives no io_uring.
set -eu
LC_ALL=C
export LC_ALL

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Nothing, less than a page, around a request, across the seam of the regions.
for len in 0 1 4095 4096 24575 24576 24577 1048575 1500000; do
	# Lines of numbers: no two places are alike.
	seq 1 400000 | head -c "$len" >"$work/file"
	status=0
	"$@" "$work/file" >"$work/out" 2>"$work/err" || status=$?
	if [ "$status" -eq 77 ]; then
		cat "$work/out"
		exit 77
	fi
	pages=$(((len + 4095) / 4096))
	if [ "$status" -ne 0 ] ||
		[ "$(cat "$work/out")" != "$len bytes, $pages pages marked" ]
	then
		cat "$work/out" "$work/err"
		echo "uring_read.sh: $len bytes: exit status $status"
		exit 1
	fi
done

# What cannot be read is said, and is not success.
status=0
"$@" "$work" >"$work/out" 2>"$work/err" || status=$?
if [ "$status" -ne 1 ] || ! grep -q '^uring-read: reading: ' "$work/err"; then
	cat "$work/out" "$work/err"
	echo "uring_read.sh: a directory: exit status $status"
	exit 1
fi
