#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# words.sh TOP - comments and pages name the actor: the writer, the caller, the
# thread.  "Who ..." in its place, and "but" for "except", are hard to read for
# those whose first language is another; so are "not to be had" for "there is
# none", and a comment that opens with "What is ..." and no noun.  Only files
# that are listed here are looked at; a folder that has been gone over is added.
set -eu
LC_ALL=C
export LC_ALL

cd "$1"
set -- lib/base/*.[ch] lib/guest/*.[ch] lib/dirty/*.[ch] \
	lib/kvm/*.[ch] lib/map/*.[ch] lib/region/*.[ch] \
	lib/space/*.[ch] lib/vhost/*.[ch] \
	include/vmmem/access.h include/vmmem/address.h \
	include/vmmem/atomic.h include/vmmem/base.h include/vmmem/bitmap.h \
	include/vmmem/chain.h include/vmmem/collection.h include/vmmem/diff.h \
	include/vmmem/dirty_log.h include/vmmem/discard.h \
	include/vmmem/endian.h include/vmmem/error.h include/vmmem/fault.h \
	include/vmmem/fd.h include/vmmem/harvester.h include/vmmem/inline.h \
	include/vmmem/io.h include/vmmem/iovec.h include/vmmem/listener.h \
	include/vmmem/pin.h include/vmmem/policy.h include/vmmem/reader.h \
	include/vmmem/reader_access.h include/vmmem/region.h \
	include/vmmem/region_builder.h include/vmmem/residency.h \
	include/vmmem/slice.h include/vmmem/slice_atomic.h \
	include/vmmem/space.h include/vmmem/update.h include/vmmem/version.h \
	docs/address.md docs/bitmap.md docs/dirty_log.md docs/endian.md \
	docs/error.md docs/fault.md docs/harvester.md docs/marking.md \
	docs/memory-model.md

# A question may begin with "Who"; a clause behind its noun may begin with
# "who", and of these only people have one.
patterns='(^|[.;:*(] +)[Ww]ho [^?]*$
[Ww]hoever|[Ww]homever
([Tt]hose|[Oo]ne|[Aa]ll|[Oo]thers|because) who\b
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
