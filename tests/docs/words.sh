#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# words.sh TOP - comments and pages name the actor: the writer, the caller, the
# thread.  "Who ..." in its place, and "but" for "except", are hard to read for
# those whose first language is another; so are "not to be had" for "there is
# none", and a comment that opens with "What is ..." and no noun.  The library,
# its headers, and the pages that are listed here are looked at; a page that has
# been gone over is added.
set -eu
LC_ALL=C
export LC_ALL

cd "$1"
set -- lib/*/*.[ch] include/vmmem/*.h README.md CONTRIBUTING.md \
	docs/README.md docs/abi.md docs/access.md docs/address.md \
	docs/architecture.md docs/atomic.md docs/bitmap.md docs/chain.md \
	docs/collection.md docs/conformance.md docs/dependencies.md \
	docs/diff.md docs/dirty_log.md docs/discard.md \
	docs/endian.md docs/endian_access.md docs/error.md docs/fault.md docs/fd.md \
	docs/harvester.md docs/inline.md docs/io.md docs/iommu.md \
	docs/iotlb.md docs/iovec.md docs/kvm.md docs/listener.md \
	docs/marking.md docs/memory-model.md docs/performance.md \
	docs/pin.md docs/policy.md docs/private.md \
	docs/reader.md docs/reader_access.md docs/region.md \
	docs/region_builder.md docs/residency.md docs/slice.md \
	docs/slice_atomic.md docs/slot_table.md docs/space.md \
	docs/threading.md docs/update.md docs/version.md docs/vhost.md

# A question may begin with "Who"; a clause behind its noun may begin with
# "who", and of these only people have one.
patterns='(^|[.;:*(] +)[Ww]ho [^?]*$
[Ww]hoever|[Ww]homever
([Tt]hose|[Oo]ne|[Aa]ll|[Oo]thers|because|,|\band|\bfor|\basks|\bor|\bby|\bof|\bwhile|\bwhere) who\b
\bbut for\b
\b(not|to|cannot) be had\b
^[[:space:]]*/\* (What|Who|Whom|Whose) [^?]*\*/
([Nn]obody|[Nn]othing|[Nn]o one|\ball|[Nn]one|\bno [a-z]+) but\b'

rc=0
found=$(grep -nE -e "$patterns" "$@" || :)
if [ -n "$found" ]; then
	echo "$found"
	echo "FAIL: name the actor; say except, unless, only"
	rc=1
fi
echo "looked at $# files"
exit "$rc"
