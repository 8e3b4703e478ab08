#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# symbols.sh FOLDER [SANITIZER] - for each library in FOLDER, its headers, its map
# and its two forms name the same functions, and the shared one has the ELF
# properties that programs count on.
set -eu
LC_ALL=C
export LC_ALL

top=$(cd "$(dirname "$0")/../.." && pwd)
tree=$top
# shellcheck source=tools/libraries.sh
. "$top/tools/libraries.sh"
folder=$1
sanitizer=${2-}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
rc=0

fail() {
	echo "FAIL: ${library-}: $*"
	rc=1
}

# same WHAT OTHER: two sorted lists, as file names under $tmp.
same() {
	diff -u "$tmp/$1" "$tmp/$2" || fail "$1 and $2 name different symbols"
}

functions() {
	# shellcheck disable=SC2046 # names without spaces
	"$top/tests/headers/functions.sh" "$top/include" \
		$(library_headers "$1")
}

# Of one library; all that is said names it.
check() {
	library=$1
	shared=$folder/lib$library.so
	static=$folder/lib$library.a

	functions "$library" >"$tmp/headers"
	if [ "$library" != vmmem ]; then
		# Their headers include those of the core.
		functions vmmem | comm -23 "$tmp/headers" - >"$tmp/own"
		mv "$tmp/own" "$tmp/headers"
	fi
	sed -n 's/^	\(vmmem_[a-z0-9_]*\);$/\1/p' "$(library_map "$library")" \
		>"$tmp/map"
	nm -D --defined-only --with-symbol-versions "$shared" |
		awk '$2 != "A" { print $3 }' | sort >"$tmp/versioned"
	sed 's/@.*//' "$tmp/versioned" >"$tmp/library"

	[ "$(wc -l <"$tmp/headers")" -gt 10 ] || fail "found too few declarations"
	sort -c -u "$tmp/map" || fail "the map is not in order, or names one twice"
	same headers map
	same map library

	# A symbol without a node, or in another than the map's, is in none of the
	# promises that docs/abi.md makes.
	[ "$(sed 's/.*@@//' "$tmp/versioned" | sort -u)" = \
		"$(library_node "$library")" ] ||
		fail "the symbols are not all in the node $(library_node "$library")"

	# What stands in a static library shares one name space with the program.
	nm -A --defined-only "$static" |
		awk '$(NF - 1) ~ /^[A-Z]$/ && $NF !~ /^vmmem_/' >"$tmp/unprefixed"
	if [ -n "$sanitizer" ]; then
		sed -i '/__[a-z]*san_\|__odr_asan/d' "$tmp/unprefixed"
	fi
	[ ! -s "$tmp/unprefixed" ] || {
		cat "$tmp/unprefixed"
		fail "symbols of $static do not begin with vmmem_"
	}

	# The pieces of inline bodies are part of their callers, never on their own.
	if nm -A "$shared" "$static" | grep ' vmmem_inline_' |
		grep -v ' vmmem_inline_call_'; then
		fail "a piece of an inline body became a function"
	fi

	readelf -dW "$shared" >"$tmp/dynamic"
	soname=$(library_soname "$library")
	grep '(SONAME)' "$tmp/dynamic" | grep -q -F "[$soname]" ||
		fail "the SONAME is not $soname"
	grep '(FLAGS_1)' "$tmp/dynamic" | grep -q NODELETE ||
		fail "not marked NODELETE: dlclose() could unmap running code"
	if grep -q '(TEXTREL)\|(RPATH)\|(RUNPATH)' "$tmp/dynamic"; then
		fail "text relocations, or a search path"
	fi
	if [ -z "$sanitizer" ]; then
		sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$tmp/dynamic" |
			sed 's/\.so\..*//' | sort >"$tmp/needed"
		printf 'libbsd\nlibc\n' >"$tmp/wanted"
		[ "$library" = vmmem ] || printf 'libc\nlibvmmem\n' >"$tmp/wanted"
		# A library is linked only for what it gives: today that may be nothing.
		comm -23 "$tmp/needed" "$tmp/wanted" >"$tmp/surplus"
		[ ! -s "$tmp/surplus" ] || {
			cat "$tmp/surplus"
			fail "needs other libraries than it should"
		}
		grep -q -x libc "$tmp/needed" || fail "does not name libc"
	fi
	readelf -lW "$shared" | grep GNU_STACK | grep -q E &&
		fail "asks for an executable stack"

	echo "lib$library: $(wc -l <"$tmp/map") symbols agree"
}

for each in $libraries; do
	check "$each"
done
exit "$rc"
