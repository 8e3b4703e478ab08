#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# Usage: microvm.sh soft|kvm COMMAND...
# Runs the example hypervisor, COMMAND, on that kind of vCPU, and checks what
# it says as well as how it ends.  77 if there is no KVM to run on.
set -eu
LC_ALL=C
export LC_ALL

kind=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

fail() {
	cat "$work/out"
	echo "microvm.sh: $1"
	exit 1
}

# run STATUS ARGUMENT...: what is printed is in $work/out.
run() {
	want=$1
	shift
	status=0
	"$@" >"$work/out" 2>"$work/err" || status=$?
	[ "$status" -eq "$want" ] || {
		cat "$work/err"
		fail "exit status $status, not $want: $*"
	}
}

# What is told, without which vCPU it was and how the program ends; and without
# what is another each time: rounds of a migration, pictures, numbers worth
# knowing.
story() {
	sed -e '/^vCPU: /d' -e '/^microvm: /d' -e '/^  round /d' \
		-e '/^  [0-9a-f]*  |/d' -e '/^  info  /d' "$1"
}

# The rounds: all 176 pages, then less, and in the end nothing is left.
check_rounds() {
	grep '^  round ' "$work/out" >"$work/rounds"
	awk '{ if ($2 != NR || $4 != "pages" || $8 != "left") exit 1 }
		NR == 1 && $3 != 176 { exit 1 }
		{ left = $7; last = $0 }
		END { if (NR < 3 || NR > 21 || left != 0 ||
			last !~ /the last$/) exit 1 }' "$work/rounds" || {
		cat "$work/rounds"
		fail "these are no rounds of a migration"
	}
	[ "$(grep -c '^  [0-9a-f]\{8\}  |[.:+*#]*|$' "$work/out")" -eq 4 ] ||
		fail "the picture is not of four rows"
}

# table N FILE: the rows of the N-th memory map.
table() {
	awk -v n="$1" '/^Memory map/ { i++ } /^$/ { rows = 0 }
		rows && i == n { print }
		/^  guest addresses/ { rows = 1 }' "$2"
}

check_story() {
	checks=$(grep -c '^  ok  ' "$work/out" || true)
	[ "$checks" -ge 35 ] || fail "only $checks checks"
	verdict=$(tail -n 1 "$work/out")
	[ "$verdict" = "microvm: PASS ($1, $checks checks)" ] ||
		fail "the verdict is not that of $checks checks on $1"
	if grep -q "$(printf '\033')" "$work/out"; then
		fail "there is colour in a file"
	fi
	if grep -Eq '[0-9a-f]{10}' "$work/out"; then
		fail "there is something like a host address"
	fi
	check_rounds
	table 1 "$work/out" >"$work/before"
	table 2 "$work/out" >"$work/inserted"
	table 3 "$work/out" >"$work/after"
	[ "$(wc -l <"$work/before")" -eq 3 ] || fail "not 3 regions at first"
	[ "$(comm -13 "$work/before" "$work/inserted" | wc -l)" -eq 1 ] ||
		fail "not one more region in the middle"
	grep -q ' hotplug ' "$work/inserted" || fail "no region \"hotplug\""
	cmp -s "$work/before" "$work/after" || fail "the last map is another"
}

case $kind in
kvm)
	status=0
	"$@" --kvm >"$work/out" 2>&1 || status=$?
	if [ "$status" -eq 77 ]; then
		cat "$work/out"
		exit 77
	fi
	run 0 "$@" --kvm
	check_story KVM
	;;
soft)
	run 0 "$@" --help
	grep -q '^Usage: microvm' "$work/out" || fail "--help does not help"
	run 2 "$@" --kvm --soft
	run 2 "$@" unexpected
	run 0 "$@" --soft
	check_story software
	;;
*)
	echo "microvm.sh: neither soft nor kvm: $kind"
	exit 2
	;;
esac

# The guest cannot tell the two vCPUs apart, and no time is in what it does.
cp "$work/out" "$work/first"
run 0 "$@" --soft
story "$work/first" >"$work/story.first"
story "$work/out" >"$work/story"
diff -u "$work/story.first" "$work/story" ||
	fail "the story is another one when told again in software"
tail -n 1 "$work/first"
