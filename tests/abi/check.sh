#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# check.sh [LIB] - tools/abi check, as a test that a machine may be unable to
# run.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
"$top/tools/abi" probe || exit 77
exec "$top/tools/abi" check "$@"
