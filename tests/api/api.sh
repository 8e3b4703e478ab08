#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# api.sh - abi/api.json says what the headers say, and so do the man pages that
# are made of it.  What changes in a header changes there; a header that says
# too little is refused.
set -eu
LC_ALL=C
export LC_ALL

top=$(cd "$(dirname "$0")/../.." && pwd)
tree=$top
# shellcheck source=tools/libraries.sh
. "$top/tools/libraries.sh"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
rc=0

fail() {
	echo "FAIL: $*"
	rc=1
}

code=0
"$top/tools/api" check || code=$?
if [ "$code" -eq 2 ]; then
	echo "skipped: libclang does not read the headers here"
	exit 77
fi
[ "$code" -eq 0 ] || fail "tools/api check ended with $code"

# Every symbol is there, of its own library; but not more.
for library in $libraries; do
	grep -o 'vmmem_[a-z0-9_]*;' "$(library_map "$library")" | tr -d ';' |
		sort -u >"$tmp/map"
	/usr/bin/python3 - "$top/abi/api.json" "$library" >"$tmp/api" <<'END'
import json
import sys
with open(sys.argv[1], encoding="ascii") as file:
    functions = json.load(file)["functions"]
print("\n".join(sorted(name for name, data in functions.items()
                       if data["library"] == sys.argv[2])))
END
	diff -u "$tmp/map" "$tmp/api" ||
		fail "lib$library has other symbols than abi/api.json"
	cat "$tmp/map" >>"$tmp/symbols"
done
[ "$(wc -l <"$tmp/symbols")" -gt 300 ] || fail "found too few symbols"

# A copy in which a header differs is seen to differ.
mkdir "$tmp/tree"
cp -r "$top/include" "$top/tools" "$top/abi" "$top/lib" "$tmp/tree"
differs() {
	what=$1
	header=$2
	edit=$3
	cp "$top/include/vmmem/$header" "$tmp/saved"
	sed "$edit" "$tmp/saved" >"$tmp/tree/include/vmmem/$header"
	cmp -s "$tmp/saved" "$tmp/tree/include/vmmem/$header" &&
		fail "the copy without $what is the same"
	if "$tmp/tree/tools/api" check >"$tmp/out" 2>&1; then
		fail "nobody notices: $what"
	fi
	cp "$tmp/saved" "$tmp/tree/include/vmmem/$header"
}
"$tmp/tree/tools/api" check >"$tmp/out" 2>&1 || fail "the copy differs"
differs "a parameter's name" error.h \
	's/vmmem_strerror(int code)/vmmem_strerror(int number)/'
differs "a code" collection.h '0,/^ \*   VMMEM_EOVERLAP/s/VMMEM_EOVERLAP/VMMEM_EWRAPS/'
differs "a direction" access.h '0,/void \*buf/s/void \*buf/void *data/'
differs "a comment" error.h 's/one English sentence/one German sentence/'

# The pages: one of each symbol, and nothing that a checker objects to.
"$top/tools/man" "$tmp/man"
while IFS= read -r symbol; do
	[ -s "$tmp/man/man3/$symbol.3" ] || fail "no page of $symbol()"
done <"$tmp/symbols"
for page in "$tmp"/man/man3/*.3; do
	target=$(sed -n 's/^\.so //p' "$page")
	[ -z "$target" ] || [ -s "$tmp/man/$target" ] ||
		fail "$page leads to $target"
done
if command -v mandoc >/dev/null; then
	find "$tmp/man" -name 'vmmem*.[37]' | while IFS= read -r page; do
		grep -q '^\.so ' "$page" || mandoc -Tlint "$page" || :
	done >"$tmp/lint"
	[ ! -s "$tmp/lint" ] || {
		sed 's|^.*/||' "$tmp/lint" | head -20
		fail "mandoc objects"
	}
fi

[ "$rc" -ne 0 ] || echo "looked at $(wc -l <"$tmp/symbols") functions"
exit "$rc"
