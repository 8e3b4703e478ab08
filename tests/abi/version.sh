#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# version.sh - version.h is the one file that names the library's version.
#
# SONAMEs, nodes, packages, and the scripts that look for them, are made of it:
# so the next version is one change.  Pages may name versions as examples, and
# tests/abi/mutants.sh plays releases.
set -eu
LC_ALL=C
export LC_ALL

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
rc=0

# found PATTERN: where code and scripts have it.
found() {
	find CMakeLists.txt ./*.in cmake include lib examples bench fuzz tests \
		tools -type f ! -path '*/__pycache__/*' \
		! -path tests/abi/mutants.sh ! -path tests/abi/version.sh \
		-exec grep -n -I -E -e "$1" /dev/null {} + || :
}

names=$(
	found 'libvmmem(-[a-z]+)?\.so\.[0-9]'
	found '\<VMMEM_((KVM|VHOST)_)?[0-9]+\.[0-9]'
	found '\<VMMEM_VERSION_(MAJOR|MINOR|PATCH) [0-9]' |
		grep -v '^include/vmmem/version.h:' || :
)
[ -z "$names" ] || {
	echo "$names"
	echo 'FAIL: a version is named outside of include/vmmem/version.h'
	rc=1
}
[ "$(grep -c '^#define VMMEM_VERSION_[MP][A-Z]* [0-9]' \
	include/vmmem/version.h)" -eq 3 ] || {
	echo 'FAIL: version.h does not have three numbers'
	rc=1
}
exit "$rc"
