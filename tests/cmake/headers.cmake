# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# The public headers alone, and what compilers make of them.  A library built
# with a sanitizer links only with programs of the same compiler.

if(NOT VMMEM_SANITIZE)
	add_test(NAME headers
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/headers/headers.sh
		$<TARGET_FILE_DIR:vmmem>)
	set_tests_properties(headers PROPERTIES TIMEOUT 300)
endif()
