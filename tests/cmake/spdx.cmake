# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# Licence lines, machine paths, and lengths of functions.

add_test(NAME spdx COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/spdx/spdx.sh)

# The longest function that a reader has to look at.
add_test(NAME function-length
	COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/function_length.sh)
set_tests_properties(function-length PROPERTIES TIMEOUT 60)
