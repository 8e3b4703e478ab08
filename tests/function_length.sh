#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# function_length.sh [TREE] - no function of the library and its examples is too
# long to be seen at once: 60 lines between its braces.  A file may be as long as
# its object is.  And no line of the library and its headers has more than 80
# columns.
set -eu
LC_ALL=C
export LC_ALL

here=$(cd "$(dirname "$0")" && pwd)
top=${1-$(cd "$here/.." && pwd)}
limit=60
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# A function's braces stand in the first column, as CONTRIBUTING.md wants it.
measure() {
	awk -v limit="$limit" '
	FNR == 1 { inside = 0 }
	/^[a-zA-Z_].*\(/ { name = $0 }
	/^\{$/ { inside = 1; lines = 0; functions++; next }
	/^\}/ && inside {
		inside = 0
		if (lines > limit) {
			printf "FAIL: %s:%d: %d lines: %s\n", FILENAME, FNR,
				lines, name
			long++
		}
		next
	}
	inside { lines++ }
	END {
		printf "looked at %d functions\n", functions
		exit long != 0
	}' "$@"
}

# A tab leads to the next multiple of 8.
columns() {
	awk '
	{
		width = 0
		n = length($0)
		for (i = 1; i <= n; i++)
			if (substr($0, i, 1) == "\t")
				width += 8 - width % 8
			else
				width++
		if (width > 80) {
			printf "FAIL: %s:%d: %d columns\n", FILENAME, FNR, width
			wide++
		}
	}
	END { exit wide != 0 }' "$@"
}

# A gate that cannot fail is none.
printf '\t%073d\n' 0 >"$tmp/wide.c"
printf '\t%072d\n' 0 >"$tmp/narrow.c"
if columns "$tmp/wide.c" >/dev/null || ! columns "$tmp/narrow.c" >/dev/null; then
	echo "FAIL: a line of 81 columns is not noticed"
	exit 1
fi
{
	printf 'int\nlong_one(void)\n{\n'
	yes ';' | head -n $((limit + 1))
	printf '}\n'
} >"$tmp/long.c"
sed 4d "$tmp/long.c" >"$tmp/short.c"
if measure "$tmp/long.c" >/dev/null || ! measure "$tmp/short.c" >/dev/null; then
	echo "FAIL: a function of $((limit + 1)) lines is not noticed"
	exit 1
fi

cd "$top"
find lib include examples fuzz -name '*.[ch]' | sort >"$tmp/files"
[ "$(wc -l <"$tmp/files")" -gt 100 ] || {
	echo "FAIL: found too few files in $top"
	exit 1
}
# No name in the tree has a space.
# shellcheck disable=SC2046
measure $(cat "$tmp/files")
# shellcheck disable=SC2046
columns $(grep -e '^lib/' -e '^include/' "$tmp/files")
