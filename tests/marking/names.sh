#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# names.sh - every exported function is known to write guest memory, or to read
# it, or to do neither; check_marking.c tests those of the first two kinds.
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

# Whatever is called so writes, unless somebody says here that it does not.
writes() {
	case $1 in
	*_to_fd) return 1 ;;
	*_from_fd) ;;
	*_write* | *_store* | *_fill* | *_copy* | *_exchange_* | *_fetch_*) ;;
	*) return 1 ;;
	esac
}

# A function may be in a list several times, once for each way to call it.
sed -n 's/^WRITER(\(vmmem_[a-z0-9_]*\), .*/\1/p' "$here/writers.h" \
	| sort -u >"$tmp/writers"
sed -n 's/^READER(\(vmmem_[a-z0-9_]*\), .*/\1/p' "$here/readers.h" \
	| sort -u >"$tmp/readers"
grep '^vmmem_' "$here/others.txt" >"$tmp/others"
find "$top/lib" -name '*.map.in' -exec \
	sed -n 's/^	\(vmmem_[a-z0-9_]*\);$/\1/p' {} + | sort >"$tmp/map"
[ "$(wc -l <"$tmp/map")" -gt 200 ] || fail "found too few functions in the maps"

while read -r name; do
	if grep -q -x -F -e "$name" "$tmp/writers"; then
		continue
	elif writes "$name"; then
		fail "$name writes, and is not in tests/marking/writers.h"
	elif ! grep -q -x -F -e "$name" "$tmp/readers" "$tmp/others"; then
		fail "does $name write?  It is in none of the lists in" \
			"tests/marking"
	fi
done <"$tmp/map"

sort "$tmp/writers" "$tmp/readers" "$tmp/others" >"$tmp/listed"
uniq -d "$tmp/listed" >"$tmp/twice"
[ ! -s "$tmp/twice" ] || fail "listed twice: $(cat "$tmp/twice")"
# Those that are in a header alone write, or read, by means of others.
${CC:-cc} -std=c11 -I"$top/include" -E -P "$top/include/vmmem/endian_access.h" |
	grep -o 'static __inline__ [^;{]* vmmem_[a-z]*_[a-z0-9_]* *(' |
	grep -o 'vmmem_\(collection\|reader\|slice\)_[a-z0-9_]*' |
	sort >"$tmp/headers"
[ "$(wc -l <"$tmp/headers")" -eq 95 ] ||
	fail "found another number of functions in headers alone"
sort "$tmp/map" "$tmp/headers" >"$tmp/known"
comm -13 "$tmp/known" "$tmp/listed" >"$tmp/strange"
[ ! -s "$tmp/strange" ] || fail "no functions: $(cat "$tmp/strange")"

[ "$rc" -ne 0 ] || echo "$(wc -l <"$tmp/writers") functions write," \
	"$(wc -l <"$tmp/readers") read, $(wc -l <"$tmp/others") do neither"
exit "$rc"
