#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# spdx.sh [TREE] - every file says under which licence it is; no file names a
# directory of somebody's machine.
set -eu
LC_ALL=C
export LC_ALL

here=$(cd "$(dirname "$0")" && pwd)
top=${1-$(cd "$here/../.." && pwd)}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
rc=0

fail() {
	echo "FAIL: $*"
	rc=1
}

# What git tracks, or would if asked to add all; in a tarball, everything.
cd "$top"
if ! git ls-files --cached --others --exclude-standard >"$tmp/files" \
	2>/dev/null; then
	find . -type f ! -path './build*/*' ! -path './.git/*' ! -name '*.pyc' |
		sed 's|^\./||' >"$tmp/files"
fi
# A file that was removed but not yet from the index is not there to read.
while IFS= read -r file; do
	[ ! -f "$file" ] || printf '%s\n' "$file"
done <"$tmp/files" | sort -u >"$tmp/present"
[ "$(wc -l <"$tmp/present")" -gt 20 ] || fail "found too few files in $top"

# exempt holds one pattern of the shell on each line, with the reason.
exempt() {
	while read -r pattern _; do
		case $pattern in '' | '#'*) continue ;; esac
		# shellcheck disable=SC2254 # a pattern it is
		case $1 in $pattern) return 0 ;; esac
	done <"$here/exempt"
	return 1
}

mark='SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0'
while IFS= read -r file; do
	exempt "$file" && continue
	sed 3q "$file" | grep -q -F -e "$mark" ||
		fail "no SPDX line in the first three lines of $file"
done <"$tmp/present"

# Written so that this file does not hold what it looks for.
while IFS= read -r file; do
	if grep -n -I -E '(^|[^A-Za-z0-9_.$}~-])/(h[o]me|r[o]ot|U[s]ers)/' \
		"$file" >"$tmp/found"; then
		sed "s|^|$file:|" "$tmp/found"
		fail "$file names a directory of one machine"
	fi
done <"$tmp/present"

[ "$rc" -ne 0 ] || echo "looked at $(wc -l <"$tmp/present") files"
exit "$rc"
