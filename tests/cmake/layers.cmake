# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# Layers call those before them alone.  A sanitizer's calls are its own.

if(NOT VMMEM_SANITIZE)
	add_test(NAME layers COMMAND
		${CMAKE_CURRENT_SOURCE_DIR}/layers/layers.sh
		$<TARGET_FILE_DIR:vmmem>)
	set_tests_properties(layers PROPERTIES ENVIRONMENT "NM=${CMAKE_NM}")
endif()
