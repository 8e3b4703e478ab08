#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# families.sh - docs/abi.md counts the functions of each family, and each
# function is in one.
set -eu
LC_ALL=C
export LC_ALL

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
rc=0

fail() {
	echo "FAIL: $*"
	rc=1
}

page=$top/docs/abi.md
find "$top/lib" -name '*.map.in' -exec \
	sed -n 's/^	vmmem_\([a-z0-9_]*\);$/\1/p' {} + | sort >"$tmp/left"
total=$(wc -l <"$tmp/left")
core=$(grep -c '^	vmmem_' "$top/lib/vmmem.map.in")
[ "$total" -gt 200 ] || fail "found too few functions in the maps"

grep -v '^#' "$here/families.txt" >"$tmp/families"
while IFS= read -r line; do
	name=${line%%: *}
	grep -x -E -e "${line#*: }" "$tmp/left" >"$tmp/these" || :
	count=$(wc -l <"$tmp/these")
	comm -23 "$tmp/left" "$tmp/these" >"$tmp/others"
	mv "$tmp/others" "$tmp/left"
	grep -q "^| $name | $count | " "$page" ||
		fail "docs/abi.md does not say that '$name' has $count functions"
done <"$tmp/families"
[ ! -s "$tmp/left" ] ||
	fail "in no family of tests/abi/families.txt:" "$(cat "$tmp/left")"
sed -n '/^## How many/,/^## The static/p' "$page" | tr '\n' ' ' |
	grep -q "are $total again, $core of them in the core" ||
	fail "docs/abi.md does not say that there are $total functions," \
		"$core of them in the core"

echo "$total functions, $core of them in the core"
exit "$rc"
