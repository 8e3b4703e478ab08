#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# readme.sh README STAGE LIBDIR - the first example in README builds as it is
# printed, with what pkg-config says of the staged install; it succeeds, and
# prints what README says that it prints.
set -eu
LC_ALL=C
export LC_ALL

here=$(dirname "$0")
readme=$1
stage=$2
libdir=$3
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

[ -r "$readme" ] || {
	echo "FAIL: there is no $readme"
	exit 1
}
"$here/extract.sh" "$readme" c >"$tmp/example.c" || {
	echo "FAIL: $readme has no example, a block that begins with \`\`\`c"
	exit 1
}

flags=$(PKG_CONFIG_SYSROOT_DIR=$stage \
	PKG_CONFIG_PATH=$stage$libdir/pkgconfig \
	PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
	pkg-config --cflags --libs vmmem)
# shellcheck disable=SC2086 # flags are words
"${CC:-cc}" -std=c11 -pedantic -Wall -Wextra -Werror \
	-o "$tmp/example" "$tmp/example.c" $flags || {
	echo "FAIL: the example in $readme does not compile as printed"
	exit 1
}
LD_LIBRARY_PATH=$stage$libdir "$tmp/example" >"$tmp/output" || {
	echo "FAIL: the example in $readme exits with $?"
	exit 1
}

if "$here/extract.sh" "$readme" text >"$tmp/expected"; then
	diff -u "$tmp/expected" "$tmp/output" || {
		echo "FAIL: the example does not print what $readme says"
		exit 1
	}
	echo "the example builds, runs, and prints what is printed"
else
	echo "the example builds and runs"
fi
