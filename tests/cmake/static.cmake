# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# The static library, linked in all the ways that there are here.

if(NOT VMMEM_SANITIZE AND NOT VMMEM_TEST_WRAPPER)
	add_test(NAME static COMMAND
		${CMAKE_CURRENT_SOURCE_DIR}/static/static.sh
		${CMAKE_C_COMPILER} $<TARGET_FILE:vmmem_static>
		$<TARGET_FILE:vmmem>)
endif()
