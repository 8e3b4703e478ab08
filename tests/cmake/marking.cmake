# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# check_marking.c knows every function that writes guest memory.

add_test(NAME marking-names
	COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/marking/names.sh)
