# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# tools/libraries.sh - the libraries of this tree, for scripts that read it:
#	. tools/libraries.sh, with $tree set.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # used, and set, where it is read

libraries='vmmem vmmem-kvm vmmem-vhost'

# library_version PART...: as version.h has it, with dots.
library_version() {
	for part in "$@"; do
		sed -n "s/^#define VMMEM_VERSION_$part //p" \
			"$tree/include/vmmem/version.h"
	done | paste -s -d .
}

# library_abi: what the SONAMEs and the nodes end with; see cmake/library.cmake.
library_abi() {
	if [ "$(library_version MAJOR)" = 0 ]; then
		library_version MAJOR MINOR
	else
		library_version MAJOR
	fi
}

library_soname() {
	echo "lib$1.so.$(library_abi)"
}

library_node() {
	echo "$1_$(library_abi)" | tr 'a-z-' 'A-Z_'
}

# library_folder NAME: where its own files are, below lib/; nothing for the core.
library_folder() {
	case $1 in
	vmmem) ;;
	*) echo "${1#vmmem-}" ;;
	esac
}

library_map() {
	folder=$(library_folder "$1")
	echo "$tree/lib/${folder:+$folder/}$1.map.in"
}

# library_sources NAME: in the order of the layers.
library_sources() {
	folders='base guest dirty iommu region map space'
	[ "$1" = vmmem ] || folders=$(library_folder "$1")
	for folder in $folders; do
		find "$tree/lib/$folder" -name '*.c' | LC_ALL=C sort
	done
}

# library_headers NAME: the public ones.
library_headers() {
	for header in "$tree"/include/vmmem/*.h; do
		case ${header##*/} in
		kvm.h | slot_table.h) owner=vmmem-kvm ;;
		vhost.h) owner=vmmem-vhost ;;
		*) owner=vmmem ;;
		esac
		[ "$owner" != "$1" ] || echo "$header"
	done
}
