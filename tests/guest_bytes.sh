#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# Assembles the guest programs, NAME.S, and compares the bytes with NAME.h
# beside each, so that hosts without an x86 assembler can build what runs them.
# With --update, writes the NAME.h instead.  Where they cannot be assembled,
# says why and returns 77.
set -eu
LC_ALL=C
export LC_ALL

top=$(cd "$(dirname "$0")/.." && pwd)
guests="examples/microvm/guest tests/kvm/hotplug_guest tests/kvm/work_guest"
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

# header STEM: what the header of the guest STEM should be.
header() {
	name=${1##*/}
	guard=$(echo "${name}_H" | tr '[:lower:]' '[:upper:]')

	# No guest has relocations, so the section is the program as it stands.
	"$cc" -E -P -x assembler-with-cpp "$top/$1.S" -o "$work/guest.s"
	as --32 -o "$work/guest.o" "$work/guest.s"
	objcopy -O binary -j .text "$work/guest.o" "$work/guest.bin"
	if objdump -r "$work/guest.o" | grep R_386 >&2; then
		echo "$1.S needs relocations, which nobody applies" >&2
		exit 1
	fi

	echo "/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */"
	echo "/* Written by tests/guest_bytes.sh --update: change $name.S. */"
	echo "#ifndef $guard"
	echo "#define $guard"
	echo
	echo "#include <stdint.h>"
	echo
	echo "static const uint8_t $name[] = {"
	od -An -v -tx1 -w12 "$work/guest.bin" |
		sed 's/ \(..\)/ 0x\1,/g; s/^ /	/'
	echo "};"
	echo
	echo "#endif"
}

rc=0
for guest in $guests; do
	header "$guest" >"$work/header"
	if [ "${1-}" = --update ]; then
		cp "$work/header" "$top/$guest.h"
	elif ! diff -u "$top/$guest.h" "$work/header"; then
		echo "$guest.h is not what $guest.S gives: $0 --update"
		rc=1
	fi
done
exit $rc
