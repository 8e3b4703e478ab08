#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# stage.sh BUILD STAGE - install what stands in BUILD under STAGE, anew.
set -eu
rm -rf "$2"
DESTDIR=$2 ${CMAKE:-cmake} --install "$1" >/dev/null
