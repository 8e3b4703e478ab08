#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# instructions_gate.sh - tools/instructions fails when it should: a copy of the
# library, with a function that does more than it did, is refused by name and
# by how much; and one that does less is not.
set -eu
LC_ALL=C
export LC_ALL

top=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
rc=0

fail() {
	echo "FAIL: $*"
	rc=1
}

mkdir "$tmp/tree" "$tmp/tree/bench" "$tmp/tree/tools"
cp -r "$top/include" "$top/lib" "$tmp/tree/"
cp "$top"/bench/instructions* "$tmp/tree/bench/"
cp "$top/tools/instructions" "$top/tools/libraries.sh" "$tmp/tree/tools/"
gate=$tmp/tree/tools/instructions

# The budget of this very tree, so that only what is changed below counts.
status=0
"$gate" update >"$tmp/out" 2>&1 || status=$?
if [ "$status" -ne 0 ]; then
	cat "$tmp/out"
	exit "$status"
fi

# Ten instructions that do nothing, in the mark of a page and nowhere else.
sed '/^vmmem_bitmap_mark(/,/^{/ s/^{/{ __asm__ volatile(".rept 10; nop; .endr");/' \
	"$top/lib/dirty/bitmap.c" >"$tmp/tree/lib/dirty/bitmap.c"
cmp -s "$top/lib/dirty/bitmap.c" "$tmp/tree/lib/dirty/bitmap.c" &&
	fail "found no place to slow the library down"
status=0
"$gate" check >"$tmp/out" 2>&1 || status=$?
[ "$status" -eq 1 ] || fail "ten more in mark_page: exit status $status"
grep -q '^mark_page .* TOO MANY, by 10.0$' "$tmp/out" ||
	fail "ten more in mark_page: it does not say so"
[ "$(grep -c 'TOO MANY' "$tmp/out")" -eq 1 ] ||
	fail "ten more in mark_page: others are blamed too"
[ "$rc" -eq 0 ] || cat "$tmp/out"

# A function without a budget, and a budget without a function.
cp "$top/lib/dirty/bitmap.c" "$tmp/tree/lib/dirty/bitmap.c"
sed -i 's/^find_8 /find_9 /' "$tmp/tree/bench/instructions.budget"
status=0
"$gate" check >"$tmp/out" 2>&1 || status=$?
[ "$status" -eq 1 ] || fail "another name: exit status $status"
grep -q '^find_8 has no budget' "$tmp/out" || fail "find_8 has no budget"
grep -q '^find_9 was not counted' "$tmp/out" || fail "find_9 was not counted"

# What is better than its budget is no failure.
sed -i 's/^find_9 .*/find_8 1000/' "$tmp/tree/bench/instructions.budget"
"$gate" check >"$tmp/out" 2>&1 || fail "less than the budget: exit status $?"
grep -q '^find_8 .* better' "$tmp/out" || fail "find_8 is not called better"

exit "$rc"
