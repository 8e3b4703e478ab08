#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# extract.sh DOCS INCLUDE FOLDER [WRAPPER...] - builds and runs the programs
# that the pages in DOCS print: each ```c block with a main().  All must compile
# as printed, without a warning, and exit with 0.  FOLDER has the libraries.
#
# CC and CFLAGS come from the environment.
set -eu

docs=$1
include=$2
folder=$3
shift 3

# The pages of objects; a page whose program got lost fails here.
objects='access address atomic bitmap chain collection dirty_log discard endian error
	fd harvester inline io iommu iotlb iovec kvm pin policy region region_builder residency
	slice slice_atomic slot_table version vhost'

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failures=0
count=0

# The line directive makes the compiler name the line of the page.
for page in "$docs"/*.md; do
	awk -v name="$tmp/$(basename "$page" .md)" -v page="${page##*/}" '
		/^```c$/ {
			inside = 1
			text = "#line " NR + 1 " \"" page "\"\n"
			next
		}
		inside && /^```$/ {
			inside = 0
			if (text ~ /int main\(/ || text ~ /\nmain\(/) {
				file = name "-" ++count ".c"
				printf "%s", text >file
				close(file)
			}
			next
		}
		inside { text = text $0 "\n" }
		END {
			if (inside) {
				print page ": a block has no end"
				exit 1
			}
		}
	' "$page"
done

for object in $objects; do
	[ -e "$tmp/$object-1.c" ] || {
		echo "FAIL: $object.md has no program"
		failures=$((failures + 1))
	}
done

# run NAME [WRAPPER...] - valgrind cannot tell which instruction has faulted.
run() {
	program=$tmp/$1
	shift
	case $(basename "$program") in
	fault-*) case ${1-} in *valgrind*) set -- ;; esac ;;
	esac
	"$@" "$program"
}

for source in "$tmp"/*.c; do
	name=$(basename "$source" .c)
	count=$((count + 1))
	# shellcheck disable=SC2086 # the flags are words
	if ! ${CC:-cc} -Wall -Wextra -Werror -pthread ${CFLAGS-} \
		-I"$include" -o "$tmp/$name" "$source" -L"$folder" \
		-lvmmem-kvm -lvmmem-vhost -lvmmem -Wl,-rpath,"$folder"; then
		echo "FAIL: $name does not compile"
		failures=$((failures + 1))
		continue
	fi
	status=0
	run "$name" "$@" >"$tmp/output" 2>&1 || status=$?
	if [ "$status" -ne 0 ]; then
		cat "$tmp/output"
		echo "FAIL: $name: exit status $status"
		failures=$((failures + 1))
	else
		echo "ok: $name"
	fi
done

echo "$count programs, $failures failures"
[ "$failures" -eq 0 ]
