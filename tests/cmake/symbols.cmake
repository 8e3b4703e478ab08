# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# Headers, map and libraries name the same functions.

add_test(NAME symbols COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/symbols.sh
	$<TARGET_FILE_DIR:vmmem> ${VMMEM_SANITIZE})
set_tests_properties(symbols PROPERTIES ENVIRONMENT "CC=${CMAKE_C_COMPILER}")
