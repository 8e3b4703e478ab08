#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# pages.sh TOP - what a page says that a machine can check: links lead to
# files, docs/error.md has each code with its number, every header has its page
# and docs/README.md lists every page.
set -eu
LC_ALL=C
export LC_ALL

top=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
rc=0

fail() {
	echo "FAIL: $*"
	rc=1
}

# The anchors of a page, as Markdown viewers make them of its headings.
anchors() {
	sed -n 's/^##* //p' "$1" | tr 'A-Z ' 'a-z-' | sed 's/[^a-z0-9_-]//g'
}

# Links of the form [text](path#anchor), seen from the page that has them.
for page in "$top"/*.md "$top"/docs/*.md; do
	dir=$(dirname "$page")
	grep -o '](\([^)]*\))' "$page" | sed 's/^](//;s/)$//' |
		sort -u >"$tmp/links" || :
	while read -r link; do
		case $link in
		http://* | https://*) continue ;;
		'#'*) target=$page ;;
		*) target=$dir/${link%%#*} ;;
		esac
		[ -e "$target" ] || {
			fail "${page#"$top"/} links to $link"
			continue
		}
		case $link in
		*'#'*) anchors "$target" | grep -q -x -F -e "${link#*#}" ||
			fail "${page#"$top"/}: no heading for $link" ;;
		esac
	done <"$tmp/links"
done

sed -n 's/^#define \(VMMEM_E[A-Z]*\) (\(-[0-9]*\))$/\1 (\2)/p' \
	"$top/include/vmmem/error.h" >"$tmp/header"
sed -n 's/^### \(VMMEM_E[A-Z]* (-[0-9]*)\)$/\1/p' \
	"$top/docs/error.md" >"$tmp/page"
[ -s "$tmp/header" ] || fail "found no code in the header"
diff -u "$tmp/header" "$tmp/page" ||
	fail "error.h and error.md list different codes"

for header in "$top"/include/vmmem/*.h; do
	stem=$(basename "$header" .h)
	case $stem in
	base | vmmem) continue ;;	# no objects
	esac
	page=$top/docs/$stem.md
	[ -e "$page" ] || {
		fail "there is no docs/$stem.md"
		continue
	}
	grep -q -F "(../include/vmmem/$stem.h)" "$page" ||
		fail "docs/$stem.md does not link to its header"
done

for page in "$top"/docs/*.md; do
	name=${page##*/}
	[ "$name" = README.md ] || grep -q -F "($name)" "$top/docs/README.md" ||
		fail "docs/README.md does not list $name"
done

# Names that a page mentions exist: a rename must not leave ghosts behind.
# Indented text is a form to fill in, with names of nothing.
# Macros make some of those that are in headers.
for header in "$top"/include/vmmem/*.h; do
	grep -o -E '(vmmem|VMMEM)_[A-Za-z0-9_]+' "$header"
	${CC:-cc} -std=c11 -I"$top/include" -E -P "$header" |
		grep -o -E 'vmmem_[a-z0-9_]+' || :
done | sort -u >"$tmp/known"
sed '/^    /d' "$top"/*.md "$top"/docs/*.md |
	grep -o -E '(vmmem_[a-z0-9_]+\(\)|VMMEM_[EHOPR][A-Z0-9_]*[A-Z0-9])' |
	tr -d '()' | sort -u | comm -23 - "$tmp/known" >"$tmp/strange"
# A page about the inside may name what is private.
while read -r name; do
	grep -q -r -w "$name" "$top/lib" || fail "there is no $name"
done <"$tmp/strange"

exit "$rc"
