#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# Assembles examples/microvm/guest.S and compares the bytes with guest.h.
# With --update, writes guest.h instead.  Where guest.S cannot be assembled,
# says why and returns 77.
set -eu
LC_ALL=C
export LC_ALL

dir=$(dirname "$0")/../examples/microvm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

skip() {
	echo "skipped: $1"
	exit 77
}

case $(uname -m) in
x86_64 | i?86) ;;
*) skip "the assembler of this machine is not one for x86" ;;
esac
cc=${CC:-cc}
for tool in "$cc" as objcopy objdump od; do
	command -v "$tool" >"$work/null" || skip "there is no $tool"
done

# guest.S has no relocations, so the section is the program as it stands.
"$cc" -E -P -x assembler-with-cpp "$dir/guest.S" -o "$work/guest.s"
as --32 -o "$work/guest.o" "$work/guest.s"
objcopy -O binary -j .text "$work/guest.o" "$work/guest.bin"
relocations=$(objdump -r "$work/guest.o" | grep -c R_386 || true)
if [ "$relocations" -ne 0 ]; then
	echo "guest.S needs relocations, which nobody applies:"
	objdump -r "$work/guest.o"
	exit 1
fi

{
	echo "/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */"
	echo "/* Written by tests/microvm_guest.sh --update: change guest.S. */"
	echo "#ifndef GUEST_H"
	echo "#define GUEST_H"
	echo
	echo "#include <stdint.h>"
	echo
	echo "static const uint8_t guest[] = {"
	od -An -v -tx1 -w12 "$work/guest.bin" |
		sed 's/ \(..\)/ 0x\1,/g; s/^ /	/'
	echo "};"
	echo
	echo "#endif"
} >"$work/guest.h"

if [ "${1-}" = --update ]; then
	cp "$work/guest.h" "$dir/guest.h"
	exit 0
fi
if ! diff -u "$dir/guest.h" "$work/guest.h"; then
	echo "guest.h is not what guest.S gives: $0 --update"
	exit 1
fi
