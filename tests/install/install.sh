#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# install.sh STAGE PREFIX LIBDIR INCLUDEDIR - what was installed under STAGE is
# all that a program needs, wherever it is moved to, and no more.
# CC, CMAKE and GENERATOR are those of the build.
set -eu
LC_ALL=C
export LC_ALL
unset PKG_CONFIG_PATH PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
: "${CC:=cc}" "${CMAKE:=cmake}" "${GENERATOR:=Unix Makefiles}"

top=$(cd "$(dirname "$0")/../.." && pwd)
consumer=$top/tests/install/consumer
stage=$1
prefix=$2
libdir=$3
includedir=$4
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
rc=0

fail() {
	echo "FAIL: $*"
	rc=1
}

tree=$top
# shellcheck source=tools/libraries.sh
. "$top/tools/libraries.sh"
version=$(library_version MAJOR MINOR PATCH)
minor=$(library_version MAJOR MINOR)

# runs PROGRAM [LIBDIR]: the consumer works.
runs() {
	output=$(LD_LIBRARY_PATH=${2-} "$1") || fail "${1##*/} exits with $?"
	[ "$output" = guest ] || fail "${1##*/} said '$output'"
}

# needs PROGRAM [LIBRARY]: whether it is linked to the shared library.
needs() {
	readelf -dW "$1" | grep NEEDED |
		grep -q -F "[$(library_soname "${2-vmmem}")]"
}

# The public headers and no other; the libraries and what finds them.
find "$stage" -name '*.h' | sed "s|^$stage||" | sort >"$tmp/headers"
for header in "$top"/include/vmmem/*.h; do
	echo "$includedir/vmmem/${header##*/}"
done | sort | diff -u - "$tmp/headers" ||
	fail "the installed headers are not the public ones"
file() {
	if [ ! -f "$stage$libdir/$1" ] || [ -L "$stage$libdir/$1" ]; then
		fail "there is no file $libdir/$1"
	fi
}
file cmake/vmmem/vmmem-config.cmake
file cmake/vmmem/vmmem-config-version.cmake
for library in $libraries; do
	soname=$(library_soname "$library")
	file "lib$library.so.$version"
	file "lib$library.a"
	file "pkgconfig/$library.pc"
	[ "$(readlink "$stage$libdir/lib$library.so")" = "$soname" ] ||
		fail "lib$library.so is no link to $soname"
	[ "$(readlink "$stage$libdir/$soname")" = "lib$library.so.$version" ] ||
		fail "$soname is no link to lib$library.so.$version"
done
if find "$stage" ! -type d | grep -v "^$stage$prefix/"; then
	fail "something was installed outside of $prefix"
fi
# What bindings are generated from.
for library in $libraries; do
	find "$stage$prefix" -path "*/vmmem/lib$library.constants" |
		grep -q . || fail "lib$library.constants is not installed"
done
# A path of the build machine in what is shipped is wrong on every other.
if grep -r -l -F -e "$top" "$stage"; then
	fail "the path of the source tree is in what was installed"
fi

# pkg-config, in place below a system root.
in_place() {
	PKG_CONFIG_SYSROOT_DIR=$stage PKG_CONFIG_PATH=$stage$libdir/pkgconfig \
		PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 \
		PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 pkg-config "$@" vmmem
}
[ "$(in_place --modversion)" = "$version" ] ||
	fail "vmmem.pc is of version $(in_place --modversion), not $version"
in_place --static --libs | grep -q -w -e -lbsd ||
	fail "--static --libs lacks -lbsd: $(in_place --static --libs)"
# shellcheck disable=SC2046 # flags are words, here and below
"$CC" -std=c11 -o "$tmp/in_place" "$consumer/main.c" \
	$(in_place --cflags --libs)
needs "$tmp/in_place" || fail "not linked to $(library_soname vmmem)"
runs "$tmp/in_place" "$stage$libdir"

# The whole prefix moved elsewhere: vmmem.pc is found where it is, and says so.
moved=$tmp/moved
cp -a "$stage$prefix" "$moved"
moved_libdir=$moved${libdir#"$prefix"}
# shellcheck disable=SC2016 # as it stands in the file
grep -q '^prefix=${pcfiledir}/' "$moved_libdir/pkgconfig/vmmem.pc" ||
	sed -i "s|^prefix=.*|prefix=$moved|" "$moved_libdir"/pkgconfig/*.pc
at_moved() {
	# No package of libbsd: nothing of it is needed to compile a program.
	PKG_CONFIG_LIBDIR=$tmp PKG_CONFIG_PATH=$moved_libdir/pkgconfig \
		pkg-config "$@" vmmem
}
# same_path FLAG DIRECTORY: whatever dots are in it.
same_path() {
	[ "$(echo "$1" | wc -w)" -eq 1 ] &&
		[ "$(realpath "${1#-?}")" = "$(realpath "$2")" ]
}
# Programs get the path of the headers and nothing that changes how they are
# compiled; libbsd is the shared library's own business.
same_path "$(at_moved --cflags | xargs)" "$moved${includedir#"$prefix"}" ||
	fail "--cflags is $(at_moved --cflags)"
same_path "$(at_moved --libs-only-L | xargs)" "$moved_libdir" ||
	fail "--libs is $(at_moved --libs)"
[ "$(at_moved --libs-only-l | xargs)" = -lvmmem ] ||
	fail "--libs is $(at_moved --libs)"
# shellcheck disable=SC2046
"$CC" -std=c11 -o "$tmp/moved_shared" "$consumer/main.c" \
	$(at_moved --cflags --libs)
runs "$tmp/moved_shared" "$moved_libdir"

# Glue brings the core along.
glue() {
	PKG_CONFIG_PATH=$moved_libdir/pkgconfig pkg-config "$@" vmmem-kvm \
		vmmem-vhost
}
# shellcheck disable=SC2046
"$CC" -std=c11 -o "$tmp/glue" "$consumer/glue.c" $(glue --cflags --libs)
for library in $libraries; do
	needs "$tmp/glue" "$library" || fail "glue.c is not linked to $library"
done
runs "$tmp/glue" "$moved_libdir"

echo 'int main(void) { return 0; }' >"$tmp/empty.c"
if "$CC" -static -o "$tmp/empty" "$tmp/empty.c" 2>/dev/null; then
	# shellcheck disable=SC2046
	"$CC" -std=c11 -static -o "$tmp/moved_static" "$consumer/main.c" \
		$(at_moved --static --cflags --libs)
	if readelf -lW "$tmp/moved_static" | grep -q INTERP; then
		fail "-static gave a dynamic program"
	fi
	runs "$tmp/moved_static"
	# shellcheck disable=SC2046
	"$CC" -std=c11 -static -o "$tmp/glue_static" "$consumer/glue.c" \
		$(glue --static --cflags --libs)
	runs "$tmp/glue_static"
else
	echo "there is no static libc: not linked with -static"
fi

# configure VERSION: find_package() in another project.
configure() {
	rm -rf "$tmp/build"
	"$CMAKE" -G "$GENERATOR" -S "$consumer" -B "$tmp/build" \
		"-DCMAKE_C_COMPILER=$CC" "-DCMAKE_PREFIX_PATH=$moved" \
		"-DWANT=$1" >"$tmp/messages" 2>&1
}
for other in 0.0 "${minor%.*}.$((${minor#*.} + 1))" 99.0; do
	if configure "$other"; then
		fail "find_package(vmmem $other) takes version $version"
	fi
	grep -q "version: $version" "$tmp/messages" ||
		fail "find_package(vmmem $other) fails, but not by the version"
done
configure "$minor" || {
	cat "$tmp/messages"
	fail "find_package(vmmem $minor) does not find version $version"
}
grep -q "$moved" "$tmp/build/CMakeCache.txt" ||
	fail "find_package(vmmem) found another library than the one moved"
"$CMAKE" --build "$tmp/build" >"$tmp/messages" 2>&1 || {
	cat "$tmp/messages"
	fail "the consumer's project does not build"
}
needs "$tmp/build/consumer_shared" || fail "vmmem::vmmem is not shared"
runs "$tmp/build/consumer_shared" "$moved_libdir"
for library in $libraries; do
	needs "$tmp/build/glue_shared" "$library" ||
		fail "vmmem::$library is not shared"
	for program in consumer glue; do
		if needs "$tmp/build/${program}_static" "$library"; then
			fail "vmmem::${library}_static is not static"
		fi
	done
done
for program in glue_shared consumer_static glue_static; do
	runs "$tmp/build/$program" "$moved_libdir"
done

[ "$rc" -ne 0 ] || echo "version $version installs, moves and links"
exit "$rc"
