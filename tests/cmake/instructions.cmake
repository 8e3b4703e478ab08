# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# What the hot functions may take, in instructions; and the benchmark, which
# must not rot: it is built without Rust, and a few rows are run.

if(EXISTS ${PROJECT_SOURCE_DIR}/bench/CMakeLists.txt)
	# The gate builds the library itself, with fixed flags: one run is
	# enough, in the build that is most like it.
	if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND NOT VMMEM_SANITIZE AND
			CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
		add_test(NAME instructions
			COMMAND ${PROJECT_SOURCE_DIR}/tools/instructions check)
		add_test(NAME instructions-gate COMMAND
			${CMAKE_CURRENT_SOURCE_DIR}/bench/instructions_gate.sh)
	else()
		foreach(name instructions instructions-gate)
			add_test(NAME ${name} COMMAND sh -c "echo 'skipped: \
the build is not one of gcc and RelWithDebInfo'; exit 77")
		endforeach()
	endif()
	add_test(NAME bench COMMAND
		${CMAKE_CURRENT_SOURCE_DIR}/bench/bench.sh
		${CMAKE_C_COMPILER})
	set_tests_properties(instructions instructions-gate bench PROPERTIES
		SKIP_RETURN_CODE 77 TIMEOUT 300)
	set_tests_properties(instructions-gate bench PROPERTIES LABELS slow)
endif()
