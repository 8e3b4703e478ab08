# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# A staged install, which the tests with FIXTURES_REQUIRED stage look at.  A
# library built with a sanitizer is not one to install.

set(vmmem_stage ${CMAKE_CURRENT_BINARY_DIR}/stage)
set(vmmem_stage_environment
	CC=${CMAKE_C_COMPILER}
	CMAKE=${CMAKE_COMMAND}
	"GENERATOR=${CMAKE_GENERATOR}")

if(NOT VMMEM_SANITIZE)
	add_test(NAME install-stage
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/install/stage.sh
		${PROJECT_BINARY_DIR} ${vmmem_stage})
	add_test(NAME install
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/install/install.sh
		${vmmem_stage} ${CMAKE_INSTALL_PREFIX}
		${CMAKE_INSTALL_FULL_LIBDIR} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
	set_tests_properties(install-stage PROPERTIES FIXTURES_SETUP stage)
	set_tests_properties(install PROPERTIES FIXTURES_REQUIRED stage)
	set_tests_properties(install-stage install PROPERTIES
		ENVIRONMENT "${vmmem_stage_environment}")
endif()
