#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# static.sh CC ARCHIVE SHARED - the static library survives faults however it is
# linked, also where the linker takes out what nobody refers to; or it says that
# it does not.  A plugin that has it keeps it to itself.
set -eu
LC_ALL=C
export LC_ALL

cc=$1
archive=$2
shared=$3
top=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
rc=0
linked=0

fail() {
	echo "FAIL: $*"
	rc=1
}

# shellcheck disable=SC2086 # $cc may be several words
$cc -std=c11 -D_GNU_SOURCE -O2 -ffunction-sections -fdata-sections \
	-I"$top/include" -c -o "$tmp/cut_short.o" "$top/tests/static/cut_short.c"

# link OUT FILE... FLAG... - whether these flags are understood here.
link() {
	out=$1
	shift
	# shellcheck disable=SC2086
	$cc -o "$out" "$@" -lbsd -lpthread 2>"$tmp/said"
}

# A linker and a flag that the plain program can do without are left out where
# they are not there.
echo 'int main(void) { return 0; }' >"$tmp/plain.c"

for linker in '' -fuse-ld=bfd -fuse-ld=gold -fuse-ld=lld -fuse-ld=mold; do
	for flags in '' -Wl,--gc-sections \
		'-Wl,--gc-sections -Wl,-z,start-stop-gc' \
		'-Wl,--gc-sections -Wl,-z,nostart-stop-gc' \
		'-static -Wl,--gc-sections'; do
		# shellcheck disable=SC2086 # words
		if ! $cc -o "$tmp/plain" "$tmp/plain.c" $linker $flags \
			>"$tmp/said" 2>&1 || grep -q -i warning "$tmp/said"; then
			echo "not here: ${linker:-default} $flags"
			continue
		fi
		# shellcheck disable=SC2086
		link "$tmp/program" $linker $flags "$tmp/cut_short.o" \
			"$archive" || {
			cat "$tmp/said"
			fail "${linker:-default} $flags: does not link"
			continue
		}
		"$tmp/program" ||
			fail "${linker:-default} $flags: exit status $?"
		linked=$((linked + 1))
	done
done
[ "$linked" -ge 2 ] || fail "only $linked were linked"
echo "$linked ways to link"

# A plugin with a copy of its own beside one with the shared library, both loaded
# for everybody to see: the calls of each go where they should, and nobody else
# gets the copy.
# shellcheck disable=SC2086
$cc -std=c11 -D_GNU_SOURCE -O2 -fPIC -I"$top/include" -c -o "$tmp/plugin.o" \
	"$top/tests/static/plugin.c"
# shellcheck disable=SC2086
$cc -std=c11 -D_GNU_SOURCE -O2 -o "$tmp/host" "$top/tests/static/host.c" -ldl
link "$tmp/own.so" -shared "$tmp/plugin.o" "$archive" ||
	fail "no plugin of the static library: $(cat "$tmp/said")"
link "$tmp/whole.so" -shared "$tmp/plugin.o" -Wl,--whole-archive "$archive" \
	-Wl,--no-whole-archive ||
	fail "no plugin of the whole static library: $(cat "$tmp/said")"
link "$tmp/other.so" -shared "$tmp/plugin.o" "$shared" \
	"-Wl,-rpath,$(dirname "$shared")" ||
	fail "no plugin of the shared library: $(cat "$tmp/said")"
for plugin in own whole; do
	if nm -D --defined-only "$tmp/$plugin.so" | grep ' vmmem_'; then
		fail "a plugin of the static library exports it"
	fi
done
"$tmp/host" "$tmp/other.so" "$shared" "$tmp/own.so" "$tmp/own.so" \
	"$tmp/whole.so" "$tmp/whole.so" ||
	fail "a plugin calls another's copy"

# A table that is lost, of an assembler that cannot have it kept: no handler is
# put where it could not help.  It has another name here, as the library's is
# kept.
# shellcheck disable=SC2086
if $cc -o "$tmp/plain" "$tmp/plain.c" -Wl,--gc-sections \
	-Wl,-z,start-stop-gc >"$tmp/said" 2>&1 &&
	! grep -q -i warning "$tmp/said"; then
	# shellcheck disable=SC2086
	$cc -std=c11 -D_GNU_SOURCE -O2 -I"$top/include" -I"$top/lib" \
		-DVMMEM_NO_RETAIN '-DVMMEM_GUEST_TABLE="vmmem_lost"' \
		-c -o "$tmp/fault.o" "$top/lib/guest/fault.c"
	if link "$tmp/program" -Wl,--gc-sections -Wl,-z,start-stop-gc \
		"$tmp/cut_short.o" "$tmp/fault.o" "$archive"; then
		status=0
		"$tmp/program" || status=$?
		[ "$status" = 2 ] ||
			fail "a table that is lost: exit status $status"
	else
		# As good: lld does not even link it.
		grep -q "undefined.*__start_vmmem_lost" "$tmp/said" || {
			cat "$tmp/said"
			fail "a table that is lost: does not link"
		}
	fi
fi
exit $rc
