#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# functions.sh INCLUDE - every function that the public headers declare, sorted.
# The pieces that inline bodies are made of are no functions of the library.
set -eu
LC_ALL=C
export LC_ALL

for header in "$1"/vmmem/*.h; do
	${CC:-cc} -std=c11 -I"$1" -E -P -x c "$header"
done | grep -o 'vmmem_[a-z0-9_]*[[:space:]]*(' | tr -d ' \t(' |
	grep -v '^vmmem_inline_' | sort -u
