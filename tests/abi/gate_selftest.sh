#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# gate_selftest.sh - show that tools/abi stops what it is there to stop.
#
# A gate that lets everything through looks just like one with nothing to
# stop.  So each kind of ABI change is made in a copy of the tree, and the
# check must fail there, with the right exit status and the right sentence.
set -eu
LC_ALL=C
export LC_ALL

top=$(cd "$(dirname "$0")/../.." && pwd)
"$top/tools/abi" probe || exit 77

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0
tree=$top
# shellcheck source=tools/libraries.sh
. "$top/tools/libraries.sh"
node=$(library_node vmmem)

# A copy of what the check reads, to break.
fresh() {
	rm -rf "$scratch/tree"
	mkdir -p "$scratch/tree/tests"
	cp -r "$top/abi" "$top/include" "$top/lib" "$top/tools" "$scratch/tree"
	cp "$top/tests/abi_layout.c" "$scratch/tree/tests"
	cd "$scratch/tree"
}

# replace FILE SED-COMMAND: one that changes nothing is a mistake in this file.
replace() {
	cp "$1" "$scratch/before"
	sed -i "$2" "$1"
	if cmp -s "$1" "$scratch/before"; then
		echo "FAIL: '$2' changes nothing in $1"
		exit 1
	fi
}

# expect NAME STATUS FOLDER SENTENCE...: what 'tools/abi check [FOLDER]' must do.
expect() {
	name=$1
	want=$2
	given=$3
	shift 3
	status=0
	tools/abi check ${given:+"$given"} >"$scratch/output" 2>&1 || status=$?
	verdict=ok
	[ "$status" -eq "$want" ] || verdict="exit status $status, not $want"
	for sentence in "$@"; do
		grep -q -F -e "$sentence" "$scratch/output" ||
			verdict="no '$sentence' in the output"
	done
	if [ "$verdict" = ok ]; then
		echo "ok: $name: exit status $status"
		sed -n '/^abi: /s/^/	/p' "$scratch/output" | sed 8q
	else
		echo "FAIL: $name: $verdict"
		sed 's/^/	/' "$scratch/output"
		failures=$((failures + 1))
	fi
}

add_symbol() {
	replace include/vmmem/version.h \
		's/^uint32_t vmmem_version(void);/&\nint vmmem_zzz(void);/'
	printf '__attribute__((visibility("default"))) int\nvmmem_zzz(void)\n%s\n' \
		'{ return 0; }' >>lib/base/version.c
	replace lib/vmmem.map.in 's/^	vmmem_version;/&\n	vmmem_zzz;/'
}

fresh
expect 'nothing changed' 0 '' 'no difference in'

fresh
replace lib/vmmem.map.in '/^	vmmem_version_string;/d'
expect 'a symbol removed' 1 '' \
	'symbol removed: vmmem_version_string@@'"$node" 'INCOMPATIBLE'

fresh
add_symbol
expect 'a symbol added' 1 '' \
	"symbol added: vmmem_zzz@@$node" ' COMPATIBLE'

fresh
replace lib/vmmem.map.in 's/^@node@ {/VMMEM_9.9 {/'
expect 'a symbol in another node' 1 '' \
	"symbol removed: vmmem_version@@$node" \
	'symbol added: vmmem_version@@VMMEM_9.9' 'INCOMPATIBLE'

# Glue has a record of its own.
fresh
replace lib/kvm/vmmem-kvm.map.in '/^	vmmem_kvm_free;/d'
expect 'a symbol of glue removed' 1 '' \
	"symbol removed: vmmem_kvm_free@@$(library_node vmmem-kvm)" \
	'INCOMPATIBLE'

fresh
replace include/vmmem/address.h \
	's/^vmmem_address_checked_add(uint64_t address, uint64_t /vmmem_address_checked_add(uint64_t address, uint32_t /'
expect 'a parameter of another type' 1 '' \
	'the dump differs' 'INCOMPATIBLE'

# abidiff passes this one when it is given --headers-dir.
fresh
for file in include/vmmem/collection.h lib/map/collection.c; do
	replace "$file" '/vmmem_collection_region(/,/)/s/size_t index/uint32_t index/'
done
expect 'a parameter of a narrower system type' 1 '' \
	'the dump differs' 'INCOMPATIBLE'

fresh
replace include/vmmem/region.h 's/^#define VMMEM_HUGE_PAGES_YES 2/#define VMMEM_HUGE_PAGES_YES 3/'
expect 'a macro of another value' 1 '' \
	'constant removed: VMMEM_HUGE_PAGES_YES 2 int' \
	'constant added: VMMEM_HUGE_PAGES_YES 3 int' \
	'an assertion of tests/abi_layout.c does not hold' 'INCOMPATIBLE'

fresh
replace include/vmmem/region.h 's/^#define VMMEM_HUGE_PAGES_YES 2/&\n#define VMMEM_HUGE_ALL 3/'
expect 'a macro added' 1 '' \
	'constant added: VMMEM_HUGE_ALL 3 int' \
	'lacks the line: VALUE(VMMEM_HUGE_ALL,' ' COMPATIBLE'

# The ABI has no enum, and so no enum value that could change.
fresh
replace include/vmmem/region.h 's/^#define VMMEM_HUGE_PAGES_NO 1/enum { VMMEM_HUGE_PAGES_NO = 1 };/'
expect 'an enum' 1 '' 'a public header has an enum'

fresh
replace include/vmmem/collection.h \
	'/^struct vmmem_range {/,/^};/s/	uint64_t len;/&\n	uint64_t extra;/'
expect 'a public struct that grew' 1 '' \
	'constant removed: struct vmmem_range size 16 align 8' \
	'constant added: struct vmmem_range size 24 align 8' 'INCOMPATIBLE'

fresh
replace include/vmmem/collection.h \
	'/^struct vmmem_range {/,/^};/{s/gpa/x/;s/len/gpa/;s/x/len/}'
expect 'two members swapped' 1 '' \
	'constant removed: struct vmmem_range.gpa offset 0 size 8' 'INCOMPATIBLE'

fresh
replace tools/abi 's/ -gdwarf-5//'
expect 'a build without -g' 2 '' 'has no DWARF: build it with -g'

fresh
echo 'int zero;' >zero.c
mkdir zero
for library in $libraries; do
	gcc -shared -fPIC -o "zero/lib$library.so" zero.c
done
expect 'a library given that was built without -g' 2 zero \
	'has no DWARF: build it with -g'

fresh
replace tools/abi 's/^want_abidw=.*/want_abidw=0.0/'
expect 'another abidw' 2 '' 'the dump was made with 0.0'

# After 'update' only the frozen files of a release still object.
fresh
mkdir abi/released
cp abi/libvmmem.symbols "abi/released/$node.symbols"
expect 'a release, unchanged' 0 '' 'no difference in'
add_symbol
tools/abi update
expect 'a symbol added to a released node' 1 '' \
	"the released node $node changed" \
	"released symbol added: vmmem_zzz@$node" 'INCOMPATIBLE'

fresh
mkdir abi/released
cp abi/libvmmem.constants abi/released/libvmmem-0.1.constants
cp abi/libvmmem.abi abi/released/libvmmem-0.1.abi
expect 'a release, unchanged' 0 '' 'no difference in'
replace include/vmmem/collection.h \
	'/^struct vmmem_range {/,/^};/s/	uint64_t len;/&\n	uint64_t extra;/'
rm tests/abi_layout.c
tools/abi update
expect 'a struct of a release that grew' 1 '' \
	'released constant removed: struct vmmem_range size 16 align 8' \
	'programs built with released/libvmmem-0.1.abi may break' \
	'INCOMPATIBLE'

[ "$failures" -eq 0 ] || {
	echo "$failures of the changes above were not stopped as they should be"
	exit 1
}
