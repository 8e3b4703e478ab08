#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# musl.sh - every file of the library compiles with the headers of musl, and
# names no function that musl lacks.
#
# The kernel's headers are the system's.  libbsd is for glibc here: of its
# headers the macros are taken as they are, and functions are declared.
set -eu
LC_ALL=C
export LC_ALL

command -v musl-gcc >/dev/null || {
	echo 'skipped: there is no musl-gcc'
	exit 77
}
top=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/bsd/sys"
: >"$tmp/bsd/sys/cdefs.h"
for folder in linux asm-generic; do
	ln -s "/usr/include/$folder" "$tmp/$folder"
done
# Where a system has several architectures it is in the folder of each.
for folder in /usr/include/asm "/usr/include/$(gcc -print-multiarch)/asm"; do
	[ ! -d "$folder" ] || ln -s -f -n "$folder" "$tmp/asm"
done
for header in queue tree; do
	sed '/#include <sys\/cdefs.h>/d' "/usr/include/bsd/sys/$header.h" \
		>"$tmp/bsd/sys/$header.h"
done
printf '#include <string.h>\nsize_t strlcpy(char *, const char *, size_t);\n' \
	>"$tmp/bsd/string.h"
printf '#include <stdlib.h>\nvoid *reallocarray(void *, size_t, size_t);\n' \
	>"$tmp/bsd/stdlib.h"

rc=0
count=0
for file in "$top"/lib/*/*.c; do
	count=$((count + 1))
	musl-gcc -std=c11 -D_GNU_SOURCE -fsyntax-only -Wall \
		-Werror=implicit-function-declaration -I"$top/include" \
		-I"$top/lib" -idirafter "$tmp" "$file" || {
		echo "FAIL: ${file#"$top"/} does not compile with musl"
		rc=1
	}
done
[ "$count" -gt 50 ] || {
	echo "FAIL: found only $count files"
	rc=1
}
echo "$count files"
exit "$rc"
