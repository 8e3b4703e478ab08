#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# functions.sh INCLUDE [HEADER...] - every function that these headers declare,
# or those that they include do; without any, all public ones.  Sorted.
# The pieces that inline bodies are made of are no functions of the library,
# except those that they call it by; nor is what is in a header alone.
set -eu
LC_ALL=C
export LC_ALL

include=$1
shift
[ $# -gt 0 ] || set -- "$include"/vmmem/*.h

for header in "$@"; do
	${CC:-cc} -std=c11 -DVMMEM_NO_INLINE -I"$include" -E -P -x c "$header"
done | grep -o 'vmmem_[a-z0-9_]*[[:space:]]*(' | tr -d ' \t(' |
	sed -n -e '/^vmmem_inline_call_/p' -e '/^vmmem_inline_/!p' | sort -u
