#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# bench.sh CC - the benchmark builds without Rust, and its JSON is as
# docs/performance.md says.  What it measures is not looked at.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

for tool in cmake python3; do
	command -v "$tool" >/dev/null || {
		echo "skipped: there is no $tool"
		exit 77
	}
done

if ! { cmake -S "$top/bench" -B "$tmp/build" -DCMAKE_C_COMPILER="$1" \
	-DVMMEM_WERROR=ON && cmake --build "$tmp/build" -j 2; } \
	>"$tmp/log" 2>&1; then
	cat "$tmp/log"
	exit 1
fi

# A few rows, with and without inline twins and budgets.
"$tmp/build/bench" --quick --rows '*u64*' --seed 1 \
	--json "$tmp/some.json" >"$tmp/out" || {
	cat "$tmp/out"
	exit 1
}
cat "$tmp/out"
python3 - "$tmp/some.json" <<'END'
import json, sys
keys = ["op", "ours_ns", "inline_ns", "crate_0_18_ns", "crate_0_16_ns",
        "floor_ns", "budget_ns"]
rows = json.load(open(sys.argv[1]))
assert rows, "no rows"
for row in rows:
    assert list(row) == keys, row
    assert isinstance(row["op"], str) and row["ours_ns"] > 0, row
    assert row["crate_0_18_ns"] is None, row
END

# Rows with threads in the background, and pictures.
mkdir "$tmp/plots"
for rows in 'insert*' '*writer*' '*ring*'; do
	"$tmp/build/bench" --quick --rows "$rows" --plots "$tmp/plots" \
		>"$tmp/out" || {
		cat "$tmp/out"
		exit 1
	}
done
python3 - "$tmp/plots/insert.svg" <<'END'
import sys, xml.dom.minidom
lines = xml.dom.minidom.parse(sys.argv[1]).getElementsByTagName("polyline")
assert len(lines) == 1, lines
points = lines[0].getAttribute("points").split()
assert len(points) == 6, points
for point in points:
    x, y = map(float, point.split(","))
    assert 0 <= x <= 640 and 0 <= y <= 400, point
END

# Rows that there are not, and options that there are not.
status=0
"$tmp/build/bench" --rows 'no such row' >/dev/null 2>&1 || status=$?
[ "$status" -eq 1 ] || { echo "FAIL: no row, status $status"; exit 1; }
status=0
"$tmp/build/bench" --batches 3 >/dev/null 2>&1 || status=$?
[ "$status" -eq 2 ] || { echo "FAIL: 3 batches, status $status"; exit 1; }
