#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# gate_selftest.sh [MUTANT...] - show that tools/abi judges changes as it should.
#
# A gate that lets everything through looks just like one with nothing to stop,
# and one that stops everything is soon switched off.  So changes of each kind,
# of mutants.sh, are made in copies of a small tree of sample.h and sample.c, and
# each must get the right verdict and the right sentences.
# shellcheck disable=SC2317 # mutants.sh calls what is defined here
set -eu
LC_ALL=C
export LC_ALL

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)

# replace FILE SED-COMMAND: one that changes nothing is a mistake in mutants.sh.
replace() {
	cp "$1" before
	sed -i "$2" "$1"
	if cmp -s "$1" before; then
		echo "FAIL: $name: '$2' changes nothing in $1"
		exit 1
	fi
	rm before
}

# expect VERDICT headers|check [FOLDER] -- SENTENCE...: what tools/abi must say.
expect() {
	verdict=$1
	shift
	set -- "$@" --
	status=0
	case ${2} in
	--) tools/abi "$1" ;;
	*) tools/abi "$1" "$2" ;;
	esac >said 2>&1 || status=$?
	while [ "$1" != -- ]; do
		shift
	done
	case $verdict in
	same) want=0 sentence='no difference in' ;;
	addition) want=1 sentence=' COMPATIBLE change' ;;
	source) want=1 sentence='SOURCE BREAK' ;;
	broken) want=1 sentence='INCOMPATIBLE change' ;;
	new_abi) want=1 sentence='a NEW ABI' ;;
	refused) want=1 sentence='the public headers have something' ;;
	cannot) want=2 sentence='abi: ' ;;
	esac
	problem=
	[ "$status" -eq "$want" ] || problem="exit status $status, not $want"
	for one in "$sentence" "$@"; do
		[ "$one" = -- ] || grep -q -F -e "$one" said ||
			problem="no '$one' in the output"
	done
	if [ -n "$problem" ]; then
		sed 's/^/	/' said
		echo "FAIL: $name: $problem"
		exit 1
	fi
	rm said
}

# shellcheck source=tests/abi/mutants.sh
. "$here/mutants.sh"

# one MUTANT: in a process of its own.
if [ "${1-}" = --one ]; then
	name=$2
	trap 'echo "FAIL: $name"' EXIT
	mkdir "$scratch/$name"
	cd "$scratch/$name"
	cp -r "$scratch/base/." .
	tree=$PWD
	# shellcheck source=tools/libraries.sh
	. "$tree/tools/libraries.sh"
	"mutant_$name"
	echo "ok: $name"
	trap - EXIT
	cd /
	rm -rf "${scratch:?}/$name"
	exit 0
fi

"$top/tools/abi" probe || exit 77
scratch=$(mktemp -d)
export scratch
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/base/tests" "$scratch/objects"
export VMMEM_ABI_OBJECTS="$scratch/objects"

# The tree that is changed is a small one, so that each check takes a moment:
# the sample for the core, and a glue library of one function.
cd "$scratch/base"
mkdir -p include/vmmem lib/kvm abi lib/base lib/guest lib/dirty lib/iommu \
	lib/region lib/map lib/space
cp -r "$top/tools" .
cp "$top/include/vmmem/base.h" "$here/sample.h" include/vmmem
grep '^#define VMMEM_VERSION_[MP]' "$top/include/vmmem/version.h" \
	>include/vmmem/version.h
cp "$top/lib/base/api.h" "$here/sample.c" lib/base
printf '#define VMMEM_SAMPLE_OPTIONS_SIZE_0_9 40\n' >lib/base/released_sizes.h
sed -i "s/^libraries=.*/libraries='vmmem vmmem-kvm'/" tools/libraries.sh
cat >include/vmmem/kvm.h <<END
#include <vmmem/sample.h>
int vmmem_kvm_sample(struct vmmem_sample *sample);
END
cat >lib/kvm/kvm.c <<END
#include <vmmem/kvm.h>
#include "base/api.h"
VMMEM_API int
vmmem_kvm_sample(struct vmmem_sample *sample)
{
	return vmmem_sample_free(sample) != NULL;
}
END
{
	printf '@node@ {\nglobal:\n'
	# One is in the header alone.
	sed -n '/^vmmem_sample_half/d
		s/.*\<\(vmmem_sample_[a-z0-9]*\)(.*/	\1;/p' "$here/sample.h" |
		sort -u
	printf 'local:\n	*;\n};\n'
} >lib/vmmem.map.in
printf '@node@ {\nglobal:\n	vmmem_kvm_sample;\nlocal:\n	*;\n};\n' \
	>lib/kvm/vmmem-kvm.map.in
{
	printf '#include <vmmem/kvm.h>\n'
	sed -n '/^#define VALUE/,/^$/p;/^VALUE(VMMEM_FOREVER,/p' \
		"$top/tests/abi_layout.c"
	cat <<END
VALUE(VMMEM_SAMPLE_ONE, 1);
VALUE(VMMEM_SAMPLE_TWO, 2);
SIZE(struct vmmem_sample_pair, 16, 8);
MEMBER(struct vmmem_sample_pair, gpa, 0, 8);
MEMBER(struct vmmem_sample_pair, len, 8, 8);
GROWS(struct vmmem_sample_options, 40, 8);
MEMBER(struct vmmem_sample_options, size, 0, 8);
MEMBER(struct vmmem_sample_options, limit, 8, 8);
MEMBER(struct vmmem_sample_options, flags, 16, 4);
MEMBER(struct vmmem_sample_options, mode, 20, 4);
MEMBER(struct vmmem_sample_options, tell, 24, 8);
MEMBER(struct vmmem_sample_options, opaque, 32, 8);
END
} >tests/abi_layout.c
tools/abi update
# What stands in a tree must be judged as it is, or all verdicts below are void.
tools/abi check

mutants=${*:-$(sed -n 's/^mutant_\([a-z0-9_]*\)() {$/\1/p' "$here/mutants.sh")}
count=$(echo "$mutants" | wc -w)
rc=0
echo "$mutants" | tr ' ' '\n' | xargs -P 2 -n 1 "$here/gate_selftest.sh" --one || rc=1
[ "$rc" -ne 0 ] || echo "$count changes were judged right"
exit "$rc"
