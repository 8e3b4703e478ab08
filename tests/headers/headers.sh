#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# headers.sh FOLDER - the public headers, with the libraries in FOLDER, as
# programs in C and
# in C++ see them, with each compiler that is here.
set -eu
LC_ALL=C
export LC_ALL

top=$(cd "$(dirname "$0")/../.." && pwd)
here=$top/tests/headers
include=$top/include
folder=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
rc=0

warnings='-pedantic -Wall -Wextra -Wundef -Wconversion -Wsign-conversion
	-Wshadow -Wcast-qual -Wcast-align -Werror'

fail() {
	echo "FAIL: $*"
	rc=1
}

# compile COMPILER FLAGS...: failing is a finding, not the end of the test.
compile() {
	# shellcheck disable=SC2086 # the warnings are words
	"$@" $warnings -I"$include" 2>"$tmp/messages" || {
		cat "$tmp/messages"
		fail "$*"
		return 1
	}
}

# Each header alone, and twice, in each language that a program may be in.
alone() {
	compiler=$1
	shift
	for header in "$include"/vmmem/*.h; do
		name=vmmem/${header##*/}
		for language in "$@"; do
			source=$tmp/alone.c
			case $language in *++*) source=$tmp/alone.cc ;; esac
			printf '#include <%s>\n#include <%s>\nextern int x;\n' \
				"$name" "$name" >"$source"
			compile "$compiler" "-std=$language" -O1 -c "$source" \
				-o /dev/null || :
		done
	done
}

# What is no function of the library begins with VMMEM_, nothing is included
# but stddef.h and stdint.h, and no type in the ABI has a size that depends on
# anything.
contents() {
	compiler=$1
	printf '#include <stddef.h>\n#include <stdint.h>\n' >"$tmp/std.c"
	cp "$tmp/std.c" "$tmp/all.c"
	for header in "$include"/vmmem/*.h; do
		printf '#include <vmmem/%s>\n' "${header##*/}" >>"$tmp/all.c"
	done
	for file in std all; do
		"$compiler" -std=c11 -I"$include" -E -dM "$tmp/$file.c" | sort \
			>"$tmp/$file.macros"
	done
	comm -13 "$tmp/std.macros" "$tmp/all.macros" |
		grep -v '^#define VMMEM_[A-Z0-9_]*' &&
		fail "$compiler: a public macro does not begin with VMMEM_"

	if grep -h '^#[ ]*include' "$include"/vmmem/*.h | sort -u |
		grep -v -e '<stddef\.h>' -e '<stdint\.h>' -e '<vmmem/'; then
		fail "a public header includes more than it may"
	fi
	"$compiler" -std=c11 -I"$include" -E -P "$tmp/all.c" |
		sed '1,/vmmem/{/vmmem/!d}' >"$tmp/text"
	if grep -n -w -e enum -e union -e long -e off_t -e ssize_t -e time_t \
		-e bool -e _Bool -e char -e '\.\.\.' "$tmp/text" |
		grep -v -e 'const char \*' -e '(unsigned char \*)' \
			-e 'char \*buf,'; then
		fail "$compiler: a public header has a type that the ABI has not"
	fi
}

# Nothing but 64 bits: layouts, lengths and atomics are made for them.
narrow() {
	echo 'int x;' >"$tmp/narrow.c"
	"$1" -m32 -c -o /dev/null "$tmp/narrow.c" 2>/dev/null || return 0
	for header in "$include"/vmmem/*.h; do
		printf '#include <vmmem/%s>\n' "${header##*/}" >"$tmp/narrow.c"
		if "$1" -m32 -ffreestanding -fsyntax-only -I"$include" \
			"$tmp/narrow.c" 2>"$tmp/messages"; then
			fail "$1 -m32 takes ${header##*/}"
		fi
		grep -q 'libvmmem is for 64-bit systems' "$tmp/messages" ||
			fail "$1 -m32: ${header##*/} does not say why not"
	done
}

# What who reads the headers for another language sees: each exported function
# is declared, none has a body, and constants are literals.
declarations() {
	compiler=$1
	"$compiler" -std=c11 -I"$include" -DVMMEM_NO_INLINE -E -P \
		"$tmp/all.c" >"$tmp/declared.c"
	grep -n -e ')[[:space:]]*{' -e '^{' -e '__inline' -e ' inline ' \
		"$tmp/declared.c" &&
		fail "$compiler: VMMEM_NO_INLINE leaves a body"
	grep -o 'vmmem_[a-z0-9_]*[[:space:]]*(' "$tmp/declared.c" |
		tr -d ' \t(' | sort -u >"$tmp/declared"
	find "$top/lib" -name '*.map.in' -exec \
		sed -n 's/^	\(vmmem_[a-z0-9_]*\);$/\1/p' {} + | sort |
		diff -u - "$tmp/declared" ||
		fail "$compiler: VMMEM_NO_INLINE declares other functions"
	"$compiler" -std=c11 -I"$include" -DVMMEM_NO_INLINE -E -dM \
		"$tmp/all.c" |
		sed -n 's/^#define VMMEM_\([A-Z0-9_]*\) \(..*\)/\1 \2/p' |
		grep -v -E -e '^[A-Z0-9_]+ \(?-?(0x)?[0-9a-f]+(U|ULL)?\)?$' \
			-e '^(VERSION_STRING|VERSION|NO_INLINE) ' \
			-e '^(BEGIN_DECLS|END_DECLS|NODISCARD) ' \
			-e '^(INLINE|INLINE_PART|STATIC_INLINE) ' &&
		fail "$compiler: a constant is no literal"
	return 0
}

# Every function, by its address: declared, with C linkage, and exported.
addresses() {
	{
		printf '#include <stdio.h>\n#include <vmmem/vmmem.h>\n'
		printf '#include <vmmem/kvm.h>\n#include <vmmem/vhost.h>\n'
		printf 'extern void (*volatile all[])(void);\n'
		printf 'void (*volatile all[])(void) = {\n'
		sed 's/.*/	(void (*)(void))&,/' "$tmp/functions"
		printf '};\n'
		printf 'int main(void)\n{\n'
		printf '	size_t i, n = sizeof(all) / sizeof(all[0]);\n'
		printf '	for (i = 0; i < n; i++)\n'
		printf '		if (all[i] == NULL) return 1;\n'
		printf '	printf("%%zu\\n", n);\n	return 0;\n}\n'
	} >"$tmp/addresses.c"
	cp "$tmp/addresses.c" "$tmp/addresses.cc"
}

# run NAME SUFFIX EXPECTED: link an object with the libraries, and run it.
run() {
	libraries=
	for library in vmmem-kvm vmmem-vhost vmmem; do
		libraries="$libraries $folder/lib$library.$2"
	done
	case $2 in
	a) libraries="$libraries -lbsd" ;;
	*) libraries="$libraries -Wl,-rpath,$folder" ;;
	esac
	# shellcheck disable=SC2086 # several libraries
	"$compiler" -o "$tmp/program" "$tmp/$1.o" $libraries || {
		fail "$label: $1 does not link with .$2"
		return
	}
	output=$("$tmp/program") || fail "$label: $1 failed with .$2"
	[ "$output" = "$3" ] || fail "$label: $1 with .$2 said '$output'"
}

# No object of a program may export a copy of a helper: it would be a second
# definition, of another version of the library perhaps.
no_copies() {
	if nm --defined-only -g "$tmp/$1.o" | grep ' vmmem_'; then
		fail "$label: $1 holds a copy of a function of the library"
	fi
}

programs() {
	compiler=$1
	standard=$2
	suffix=$3
	cp "$here/inline_use.c" "$tmp/inline_use.$suffix"
	cp "$here/inline_slice.c" "$tmp/inline_slice.$suffix"
	cp "$here/inline_reader.c" "$tmp/inline_reader.$suffix"
	for level in -O0 -O2; do
		label="$compiler $standard $level"
		for name in addresses inline_use inline_slice inline_reader; do
			compile "$compiler" "-std=$standard" "$level" -c \
				"$tmp/$name.$suffix" -o "$tmp/$name.o" ||
				continue
			no_copies "$name"
			expected=
			[ "$name" != addresses ] ||
				expected=$(wc -l <"$tmp/functions")
			run "$name" so "$expected"
			run "$name" a "$expected"
		done

		# Without optimisation calls go to the library; with it, only
		# those for what is not the good case, and the marks.
		: >"$tmp/undefined"
		for name in inline_use inline_slice inline_reader; do
			compile "$compiler" "-std=$standard" "$level" \
				-DCALLS_ONLY -c "$tmp/$name.$suffix" \
				-o "$tmp/calls.o" || continue
			no_copies calls
			nm --undefined-only "$tmp/calls.o" >>"$tmp/undefined"
		done
		sed -n 's/.* \(vmmem_\)/\1/p' "$tmp/undefined" | sort -u \
			>"$tmp/called"
		case $level in
		-O0) diff -u "$tmp/inlines" "$tmp/called" ||
			fail "$label: helpers are not called, or not all tested" ;;
		*) diff -u "$tmp/outlines" "$tmp/called" ||
			fail "$label: helpers are called, not expanded" ;;
		esac
	done
}

# A program with a library that has nothing but stubs.
stubbed() {
	label="$1 $2 stubs"
	cp "$here/inline_call.c" "$tmp/inline_call.$3"
	compile "$1" "-std=$2" -O2 -c "$tmp/inline_call.$3" \
		-o "$tmp/inline_call.o" || return 0
	"$1" -c "$tmp/stubs.$3" -o "$tmp/stubs.o" &&
		"$1" -o "$tmp/program" "$tmp/inline_call.o" "$tmp/stubs.o" &&
		"$tmp/program" || fail "$label: failed"
}

"$here/functions.sh" "$include" >"$tmp/functions"
# The functions with inline bodies, most of which are made by macros.
for header in "$include"/vmmem/*.h; do
	${CC:-cc} -std=c11 -I"$include" -DVMMEM_INLINE=INLINE_TWIN -E -P \
		-x c "$header"
done | tr -s ' \t\n' ' ' | grep -o 'INLINE_TWIN [a-z0-9_* ]*(' |
	sed 's/ *($//;s/.* //' | sort -u >"$tmp/inlines"
# What a body may leave to the library: all of itself, and the mark.
{
	grep '^vmmem_inline_call_' "$tmp/functions"
	printf 'vmmem_slice_mark\n'
} >"$tmp/outlines"
addresses
{
	printf '#ifdef __cplusplus\nextern "C" {\n#endif\n'
	printf 'extern int stub_calls;\nint stub_calls;\n'
	sed 's/.*/int &(void); int &(void) { stub_calls++; return -77; }/' \
		"$tmp/outlines"
	printf '#ifdef __cplusplus\n}\n#endif\n'
} >"$tmp/stubs.c"
cp "$tmp/stubs.c" "$tmp/stubs.cc"

tried=
for c in gcc clang clang-14; do
	command -v "$c" >/dev/null || continue
	tried="$tried $c"
	alone "$c" c11 c17
	contents "$c"
	narrow "$c"
	declarations "$c"
	programs "$c" c11 c
	stubbed "$c" c11 c
done
for cxx in g++ clang++ clang++-14; do
	command -v "$cxx" >/dev/null || continue
	tried="$tried $cxx"
	alone "$cxx" c++11 c++17
	programs "$cxx" c++11 cc
	stubbed "$cxx" c++11 cc
done
[ -n "$tried" ] || fail "there is no compiler"

[ "$rc" -ne 0 ] || echo "compiled and run with:$tried"
exit "$rc"
