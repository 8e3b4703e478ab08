#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# symbols.sh NM "ARCHIVE..." PROGRAM... - what the library calls is made to fail.
#
# Each function that the static libraries use and do not contain must be one
# of harmless.txt, or one of wrapped.txt that some PROGRAM, a fault test, has
# made fail.  So no new allocation or system call goes untested.
set -eu
LC_ALL=C
export LC_ALL

here=$(cd "$(dirname "$0")" && pwd)
nm=$1
archives=$2
shift 2

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

grep '^[a-z]' "$here/wrapped.txt" >"$scratch/wrapped"
grep -v '^#' "$here/harmless.txt" | grep . >"$scratch/harmless"

# shellcheck disable=SC2086 # names without spaces
"$nm" $archives >"$scratch/nm"
awk 'NF == 3 { print $3 }' "$scratch/nm" | sort -u >"$scratch/defined"
awk 'NF == 2 && ($1 == "U" || $1 == "w") { print $2 }' "$scratch/nm" |
	sort -u >"$scratch/undefined"
comm -23 "$scratch/undefined" "$scratch/defined" >"$scratch/used"
if ! grep -q '^mmap$' "$scratch/used"; then
	echo "faults: $archives do not even use mmap: are those the libraries?" >&2
	exit 1
fi

: >"$scratch/fired"
for program in "$@"; do
	if ! VMMEM_FAULT_LOG="$scratch/fired" "$program" >"$scratch/out" 2>&1
	then
		cat "$scratch/out" >&2
		exit 1
	fi
done

# is_harmless NAME - does NAME match a line of harmless.txt?
is_harmless() {
	while read -r pattern; do
		# The line is a pattern, so it is not quoted.
		# shellcheck disable=SC2254
		case $1 in
		$pattern) return 0 ;;
		esac
	done <"$scratch/harmless"
	return 1
}

bad=0
while read -r name; do
	if grep -qx "$name" "$scratch/wrapped"; then
		if [ "$name" != free ] && ! grep -qx "$name" "$scratch/fired"
		then
			echo "faults: no test has made $name() fail" >&2
			bad=1
		fi
	elif ! is_harmless "$name"; then
		echo "faults: $name() is neither in wrapped.txt nor in" \
			"harmless.txt" >&2
		bad=1
	fi
done <"$scratch/used"
exit "$bad"
