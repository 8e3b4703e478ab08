#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# layers.sh FOLDER - a file of lib/ includes and calls only its own layer and
# those before it, in the order of the table in docs/architecture.md.  FOLDER has
# the static libraries.  Glue includes what is only a header, of base/, and calls
# what is exported.
set -eu
LC_ALL=C
export LC_ALL

top=$(cd "$(dirname "$0")/../.." && pwd)
tree=$top
# shellcheck source=tools/libraries.sh
. "$top/tools/libraries.sh"
folder=$1
nm=${NM-nm}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
rc=0

fail() {
	echo "FAIL: $*"
	rc=1
}

# The order, as the page has it; each is a folder, and each folder is there.
# shellcheck disable=SC2016 # of the page, as they stand
sed -n '/^## Layers$/,/^Private headers/s/^| `\([a-z]*\)\/` |.*/\1/p' \
	"$top/docs/architecture.md" | awk '{ print $1, NR }' >"$tmp/order"
cut -d ' ' -f 1 "$tmp/order" | sort >"$tmp/listed"
find "$top/lib" -mindepth 1 -maxdepth 1 -type d -exec basename {} \; | sort |
	diff -u "$tmp/listed" - || fail "other folders than in the table"

# Each private header has one row in the second table, and each row a header.
# shellcheck disable=SC2016 # of the page, as they stand
sed -n '/^Private headers/,/^## /s/^| `\([a-z0-9_/]*\.h\)` |.*/\1/p' \
	"$top/docs/architecture.md" | sort >"$tmp/rows"
(cd "$top/lib" && find . -name '*.h') | sed 's|^\./||' | sort |
	diff -u "$tmp/rows" - || fail "other private headers than in the table"

# Each line a file, its folder, and what it needs, of which folder.
(cd "$top/lib" && grep -H '^#include "' ./*/*.[ch]) |
	sed -n 's|^\./\([a-z]*\)/\([a-z0-9_.]*\):#include "\([a-z]*\)/\([a-z0-9_.]*\)"|\1/\2 \1 \3/\4 \3|p' \
	>"$tmp/includes"
[ "$(wc -l <"$tmp/includes")" -gt 200 ] || fail "found too few includes"

# Each file says first what it does.
find "$top/lib" -name '*.c' | while read -r file; do
	sed -n '2p' "$file" | grep -q '^/[*]' || echo "$file"
done >"$tmp/mute"
[ ! -s "$tmp/mute" ] || {
	cat "$tmp/mute"
	fail "these do not begin with a sentence on what they do"
}

# Objects are called as their files are, which have all different names.
(cd "$top/lib" && find . -name '*.c') |
	sed 's|^\./\([a-z]*\)/\(.*\)$|\2.o \1|' | sort >"$tmp/objects"
[ -z "$(cut -d ' ' -f 1 "$tmp/objects" | uniq -d)" ] ||
	fail "two files have one name"
for library in $libraries; do
	"$nm" -A "$folder/lib$library.a"
done | sed 's/^[^:]*:\([^:]*\):/\1 /' >"$tmp/nm"
awk '
	FILENAME ~ /objects$/ { layer[$1] = $2; next }
	!($1 in layer) { next }
	FNR == NR { next }
	$(NF - 1) == "U" { uses[++count] = $1 " " $NF; next }
	$(NF - 1) ~ /^[TDBRV]$/ { owner[$NF] = $1 }
	END {
		for (i = 1; i <= count; i++) {
			split(uses[i], a, " ")
			if (a[2] in owner)
				print a[1], layer[a[1]], owner[a[2]] ":" a[2],
					layer[owner[a[2]]]
		}
	}' "$tmp/objects" "$tmp/nm" >"$tmp/calls"
[ "$(wc -l <"$tmp/calls")" -gt 500 ] || fail "found too few calls"

# upward FILE: the lines of it that go the wrong way.
upward() {
	awk '
		FILENAME ~ /order$/ { at[$1] = $2; next }
		at[$4] > at[$2] || ($2 == "vhost" && $4 == "kvm") {
			print $1 " needs " $3
		}' "$tmp/order" "$1"
}

upward "$tmp/includes" >"$tmp/up"
upward "$tmp/calls" >>"$tmp/up"
[ ! -s "$tmp/up" ] || {
	cat "$tmp/up"
	fail "these need what comes after them"
}

# Glue: public headers, and of the private ones those without a file behind.
awk '($2 == "kvm" || $2 == "vhost") && $4 != $2 { print $3 }' "$tmp/includes" |
	sort -u | while read -r header; do
	case $header in
	base/*) [ ! -e "$top/lib/${header%.h}.c" ] || echo "$header" ;;
	*) echo "$header" ;;
	esac
done >"$tmp/private"
[ ! -s "$tmp/private" ] || {
	cat "$tmp/private"
	fail "glue includes what is the core's own"
}
sed -n 's/^	\(vmmem_[a-z0-9_]*\);$/\1/p' "$(library_map vmmem)" | sort \
	>"$tmp/public"
awk '($2 == "kvm" || $2 == "vhost") && $4 != $2 {
	sub(/.*:/, "", $3)
	print $3
}' "$tmp/calls" | sort -u | comm -23 - "$tmp/public" >"$tmp/hidden"
[ ! -s "$tmp/hidden" ] || {
	cat "$tmp/hidden"
	fail "glue calls what is not exported"
}

# A gate that cannot fail is none.
echo 'low.c base high.c:f map' >"$tmp/wrong"
[ -n "$(upward "$tmp/wrong")" ] || fail "an upward call is not seen"
echo 'high.c map low.c:f base' >"$tmp/right"
[ -z "$(upward "$tmp/right")" ] || fail "a downward call is refused"

[ "$rc" -ne 0 ] ||
	echo "$(wc -l <"$tmp/includes") includes and $(wc -l <"$tmp/calls") calls"
exit "$rc"
