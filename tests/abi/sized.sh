#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# sized.sh - every public struct that begins with its size is known wherever
# that makes it grow: its first size is a literal, the library checks it by that
# literal, the table test has a row of it, and the loaded library tells its size.
set -eu
LC_ALL=C
export LC_ALL

top=$(cd "$(dirname "$0")/../.." && pwd)
tree=$top
# shellcheck source=tools/libraries.sh
. "$top/tools/libraries.sh"
tmp=$(mktemp)
trap 'rm -f "$tmp"' EXIT
rc=0
found=0

fail() {
	echo "FAIL: $*"
	rc=1
}

# sized LIBRARY: its structs that begin with their size, without 'vmmem_'.
sized() {
	# shellcheck disable=SC2046 # names without spaces
	awk '/^struct vmmem_[a-z0-9_]+ [{]/ { name = $2; first = 1; next }
		first && /^[ \t]*(\/?\*|$)/ { next }
		first && /^\tsize_t size;/ { print substr(name, 7) }
		{ first = 0 }' $(library_headers "$1") | sort
}

for library in $libraries; do
	for name in $(sized "$library"); do
		found=$((found + 1))
		upper=$(echo "$name" | tr '[:lower:]' '[:upper:]')
		literal="VMMEM_${upper}_SIZE_[0-9][0-9_]*"
		grep -q "^#define $literal [0-9][0-9]*$" \
			"$top/lib/base/released_sizes.h" ||
			fail "lib/base/released_sizes.h lacks struct" \
				"vmmem_$name: run 'tools/abi update'"
		# shellcheck disable=SC2046
		grep -q "$literal" $(library_sources "$library") ||
			fail "no file of lib$library checks the size of" \
				"struct vmmem_$name with ${literal%%[[]*}0_9"
		grep -q "^	[A-Z]*($name, $upper)," \
			"$top/tests/internal/check_sized_structs.c" ||
			fail "tests/internal/check_sized_structs.c has no row" \
				"of struct vmmem_$name"
		# Glue runs with no other minor version than that of the headers.
		[ "$library" = vmmem ] || continue
		grep -q "^#define VMMEM_STRUCT_$upper [1-9][0-9]*$" \
			"$top/include/vmmem/version.h" ||
			fail "vmmem/version.h lacks VMMEM_STRUCT_$upper"
		# An entry may be on two lines.
		tr -s '\n\t ' ' ' <"$top/lib/guest/supports.c" | grep -q -F \
			"[VMMEM_STRUCT_$upper] = sizeof(struct vmmem_$name)" ||
			fail "lib/guest/supports.c does not know struct" \
				"vmmem_$name"
	done
done
[ "$found" -ge 10 ] || fail "found only $found structs"

# What may grow and what never does is written down, of each public struct.
cat "$top"/include/vmmem/*.h | sed -n \
	's/^struct \(vmmem_[a-z0-9_]*\) {.*/\1/p' | sort >"$tmp"
while read -r name; do
	grep -q "\`struct $name\`" "$top/docs/abi.md" ||
		fail "docs/abi.md does not say whether struct $name grows"
done <"$tmp"

# sizeof grows with the struct; it refuses every older program.
for file in "$top"/lib/*/*.c; do
	awk -v file="${file#"$top/"}" '
		/vmmem_struct_(take|give|check)[(]/ { call = ""; open = 1 }
		open { call = call $0 }
		open && /;/ {
			if (call !~ /VMMEM_[A-Z_]+_SIZE_[0-9]/)
				print "FAIL: " file ": the first size is no " \
					"literal: " call
			open = 0
		}' "$file"
done >"$tmp"
[ ! -s "$tmp" ] || {
	cat "$tmp"
	rc=1
}

echo "$found structs begin with their size"
exit "$rc"
