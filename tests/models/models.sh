#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# models.sh DIR [MODEL...] - checks the models of the dirty log, of spaces and of
# the iotlb in DIR with spin.  Each model must hold, in all its good variants, and must fail in each
# variant that has one step taken out or put in the wrong place: else it proves
# nothing.
#
# Exit status 77, skipped, without spin.
set -eu
LC_ALL=C
export LC_ALL

# A model, whether it is to hold, and the variant's macros.
variants() {
	cat <<-'END'
		mark good
		mark good NO_SKIP NO_BARRIER
		mark broken NO_BARRIER
		mark broken MARK_FIRST
		mark broken BARRIER_FIRST
		summary good
		summary good NO_SKIP NO_BARRIER
		summary good ALWAYS_TAKE
		summary broken NO_BARRIER
		summary broken MARK_FIRST
		summary broken SUMMARY_FIRST
		summary broken SUMMARY_LAST
		summary broken TRUST_BIT
		range good
		range good SHORT
		range broken NO_BARRIER
		range broken MARK_FIRST
		range broken TRUST_SUMMARY
		range broken PLAIN_TOP
		harvesters good
		harvesters good FAILING
		harvesters broken NO_BARRIER
		harvesters broken MARK_FIRST
		harvesters broken UNLOCKED_BARRIER
		harvesters broken OWN_ONLY
		harvesters broken FAILING FORGET_DUE
		harvesters broken FORGET_UNSENT
		harvesters broken MERGE_MARKS
		switch good
		switch broken NO_BARRIER
		switch broken NO_START_BARRIER
		switch broken FLAG_FIRST
		switch broken COPY_FIRST
		switch good TOGETHER
		switch broken TOGETHER NO_BARRIER
		switch broken TOGETHER TRUST_UNSURE
		weak good
		weak broken LOOK
		section good
		section good FENCED NO_BARRIER
		section broken NO_BARRIER
		section broken NUMBER_EARLY
		section broken NUMBER_LATE
		section broken NUMBER_FIRST
		section broken NOT_ASKED
		section broken BARRIER_FIRST
		section broken ENTERING_IS_OUT
		section good ASKED
		section broken ASKED SILENT_IS_OUT
		section broken ASKED ONLY_SAYS_SO
		section broken ASKED NO_FENCE
		passing good
		passing broken LOAD_FIRST
		passing broken ONE_COUNTER
		passing broken LATE_NUMBER
		passing broken NOT_COUNTED
		translate good
		translate good INTERRUPTED
		translate broken ONE_COPY
		translate broken NO_CHECK
		translate broken LATE_BEGIN
		translate broken EARLY_FINISH
		translate broken LATE_FINISH INTERRUPTED
		srcu good
		srcu broken NO_BARRIER
		srcu broken BARRIER_FIRST
		srcu broken LOOK_FIRST
		srcu broken LEAVE_FIRST
		srcu broken GENERATION_FIRST
		srcu broken SLOTS_ONLY
		srcu broken ONE_TURN
		srcu broken NOT_WAITING
		srcu broken WAITING_LATE
	END
}

dir=$(cd "$1" && pwd)
shift
wanted=" $* "

command -v spin >/dev/null || {
	echo "skipped: there is no spin"
	exit 77
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
cd "$tmp"
failures=0
count=0

# check MODEL good|broken MACRO...
check() {
	model=$1
	expected=$2
	shift 2
	flags=
	for macro in "$@"; do
		flags="$flags -D$macro"
	done

	rm -f pan pan.* ./*.trail
	# shellcheck disable=SC2086 # one word per macro
	if ! spin -a $flags "$dir/$model.pml" >log 2>&1 ||
		! "${CC:-cc}" -w -O1 -DSAFETY -DCOLLAPSE -o pan pan.c \
			>>log 2>&1; then
		cat log
		return 1
	fi
	# Exit statuses differ between versions: what it prints counts.
	./pan -w23 -m100000 >log 2>&1 || :
	result=unknown
	if grep -q 'max search depth too small' log; then
		result='not searched to the end'
	elif grep -q 'errors: 0$' log; then
		result=good
	elif grep -q 'assertion violated' log; then
		result=broken
	fi
	[ "$result" = "$expected" ] || {
		cat log
		echo "$model${flags:+ with$flags}: $result"
		return 1
	}
}

variants >list
for model in "$dir"/*.pml; do
	name=$(basename "$model" .pml)
	[ "$name" = tso ] || [ "$name" = machine ] || grep -q "^$name good$" list || {
		echo "FAIL: nobody checks $name.pml"
		failures=$((failures + 1))
	}
	# A macro that no variant here uses proves nothing.
	sed -n 's/^#if[n]*def \([A-Z_]*\)$/\1/p
		s/^#.*defined(\([A-Z_]*\))$/\1/p' "$model" | sort -u >macros
	while read -r macro; do
		[ "$macro" = WRITES ] || grep -qw "$macro" list || {
			echo "FAIL: nobody uses $macro of $name.pml"
			failures=$((failures + 1))
		}
	done <macros
done

while read -r model expected macros; do
	case $wanted in
	'  ' | *" $model "*) ;;
	*) continue ;;
	esac
	count=$((count + 1))
	# shellcheck disable=SC2086 # one word per macro
	if check "$model" "$expected" $macros; then
		echo "ok: $model $macros is $expected"
	else
		echo "FAIL: $model $macros should be $expected"
		failures=$((failures + 1))
	fi
done <list

echo "$count variants, $failures failures"
[ "$failures" -eq 0 ] && [ "$count" -ne 0 ]
