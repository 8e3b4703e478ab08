#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# next_release.sh CC FOLDER - structs grow in both directions.
#
# A copy of the tree becomes the next release: each public struct that begins
# with its size gets a member more.  The table of check_sized_structs.c, and
# other tests of today, then run as old programs on the new library, and the
# table as a new program on the old library, which is in FOLDER.
set -eu
LC_ALL=C
export LC_ALL

cc=$1
folder=$2
top=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
next=$tmp/next
mkdir -p "$next/built" "$next/objects"
cp -r "$top/include" "$top/lib" "$next"
tree=$next
# shellcheck source=tools/libraries.sh
. "$top/tools/libraries.sh"
rc=0

# Appended, as docs/abi.md has it, to each of them.
for header in "$next"/include/vmmem/*.h; do
	awk '/^struct vmmem_[a-z0-9_]+ [{]/ { first = 1 }
		first == 1 && /^\tsize_t size;/ { first = 2 }
		first == 1 && /^\t[a-z]/ { first = 0 }
		/^};/ {
			if (first == 2)
				print "\tuint64_t of_the_next_release;"
			first = 0
		}
		{ print }' "$header" >"$tmp/header"
	cp "$tmp/header" "$header"
done
grown=$(cat "$next"/include/vmmem/*.h | grep -c of_the_next_release)
literals=$(grep -c '^#define VMMEM_[A-Z_]*_SIZE_' \
	"$next/lib/base/released_sizes.h")
[ "$grown" -eq "$literals" ] || {
	echo "FAIL: $grown structs grew, and $literals have a first size"
	exit 1
}

flags="-std=c11 -D_GNU_SOURCE -O0 -w -fPIC -fvisibility=hidden"
flags="$flags $(pkg-config --cflags libbsd)"

# objects LIBRARY: two at a time.
objects() {
	for source in $(library_sources "$1"); do
		object=$next/objects/$(echo "${source#"$next"/lib/}" | tr / _)
		echo "$source"
		echo "${object%.c}.o"
	done
}

for library in $libraries; do
	objects "$library" | xargs -n 2 -P 2 sh -c "$cc $flags \
		-I$next/include -I$next/lib -c \"\$0\" -o \"\$1\"" || exit 1
	needed=$(pkg-config --libs libbsd)
	[ "$library" = vmmem ] || needed=$next/built/libvmmem.so
	sed "s/@node@/$(library_node "$library")/" \
		"$(library_map "$library")" >"$tmp/map"
	soname=$(library_soname "$library")
	# shellcheck disable=SC2046,SC2086
	$cc -shared -o "$next/built/$soname" "-Wl,-soname,$soname" \
		"-Wl,--version-script=$tmp/map" \
		$(objects "$library" | sed -n 'n;p') $needed
	ln -s "$soname" "$next/built/lib$library.so"
done

# table INCLUDE OUT: the table as a program of those headers.
table() {
	# shellcheck disable=SC2046,SC2086
	$cc -std=c11 -D_GNU_SOURCE -O0 -w -I"$1" -I"$top/lib" \
		-I"$top/tests/support" $(pkg-config --cflags check) -o "$2" \
		"$top/tests/internal/check_sized_structs.c" \
		"$top/tests/support/main.c" -L"$next/built" -lvmmem-kvm \
		-lvmmem-vhost -lvmmem $(pkg-config --libs check libbsd) \
		-Wl,-rpath-link,"$next/built"
}

# run WHAT LIBRARIES PROGRAM
run() {
	status=0
	LD_LIBRARY_PATH=$2 "$3" >"$tmp/output" 2>&1 || status=$?
	if [ "$status" -eq 0 ]; then
		echo "ok: $1"
	elif [ "$status" -eq 77 ]; then
		echo "skipped: $1: $(tail -n 1 "$tmp/output")"
	else
		cat "$tmp/output"
		echo "FAIL: $1"
		rc=1
	fi
}

table "$top/include" "$tmp/old"
table "$next/include" "$tmp/new"
run "an old program on the old library" "$folder" "$tmp/old"
run "an old program on the new library" "$next/built" "$tmp/old"
run "a new program on the old library" "$folder" "$tmp/new"
run "a new program on the new library" "$next/built" "$tmp/new"

# What else was built today, and uses such structs for what they are there for.
for name in fd_region iommu_access policy residency slot_table_describe \
	kvm vhost_translate; do
	program=$folder/tests/check_$name
	[ ! -x "$program" ] ||
		run "check_$name on the new library" "$next/built" "$program"
done
exit "$rc"
