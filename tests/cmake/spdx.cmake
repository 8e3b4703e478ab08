# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# Licence lines, file lengths, machine paths.

add_test(NAME spdx COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/spdx/spdx.sh)
