# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# The example in README.md, built and run as printed; install.cmake stages.

if(NOT VMMEM_SANITIZE)
	add_test(NAME readme
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/readme/readme.sh
		${PROJECT_SOURCE_DIR}/README.md
		${CMAKE_CURRENT_BINARY_DIR}/stage ${CMAKE_INSTALL_FULL_LIBDIR})
	set_tests_properties(readme PROPERTIES FIXTURES_REQUIRED stage
		ENVIRONMENT "CC=${CMAKE_C_COMPILER}")
endif()
