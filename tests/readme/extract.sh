#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# extract.sh README c|text - print the first block of C in README, or the first
# block of text between it and the next block of C: what the program prints.
# Exit status 1 if there is none.
set -eu
awk -v want="$2" '
	/^```/ && inside { inside = 0; next }
	/^```/ {
		inside = 1
		kind = substr($0, 4)
		if (kind == "c")
			programs++
		if (kind == "text" && programs == 1)
			texts++
		taken = programs == 1 && kind == want &&
			(want == "c" || texts == 1)
		next
	}
	inside && taken { print; lines++ }
	END { exit lines == 0 }' "$1"
