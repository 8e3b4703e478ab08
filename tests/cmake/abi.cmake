# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# The ABI: tests/abi_layout.c compiles or it does not; tools/abi does the rest.

add_library(abi_layout OBJECT abi_layout.c)
target_link_libraries(abi_layout PRIVATE vmmem)
set_target_properties(abi_layout PROPERTIES C_STANDARD 11 C_EXTENSIONS OFF)
vmmem_warnings(abi_layout)

# The golden dump is that of gcc: a build with another compiler has nothing to
# compare with it.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
	# What tools/abi builds itself, with settings of its own.
	add_test(NAME abi COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/check.sh)
	add_test(NAME abi-gate
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/gate_selftest.sh)
else()
	foreach(name abi abi-gate)
		add_test(NAME ${name} COMMAND sh -c
			"echo 'skipped: the build is not one of gcc'; exit 77")
	endforeach()
endif()
set_tests_properties(abi abi-gate PROPERTIES SKIP_RETURN_CODE 77)
set_tests_properties(abi-gate PROPERTIES LABELS slow TIMEOUT 900)

# The library that this build has made must be fit for the check too: with -g.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND NOT VMMEM_SANITIZE)
	add_test(NAME abi-built COMMAND
		${CMAKE_CURRENT_SOURCE_DIR}/abi/check.sh $<TARGET_FILE_DIR:vmmem>)
	set_tests_properties(abi-built PROPERTIES SKIP_RETURN_CODE 77)
endif()

# Structs that begin with their size grow, as an older and a newer program see it.
add_test(NAME abi-version COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/version.sh)
add_test(NAME abi-sized COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/sized.sh)
add_test(NAME abi-families COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/families.sh)
if(NOT VMMEM_SANITIZE AND NOT VMMEM_TEST_WRAPPER)
	add_test(NAME abi-next-release COMMAND
		${CMAKE_CURRENT_SOURCE_DIR}/abi/next_release.sh
		${CMAKE_C_COMPILER} ${PROJECT_BINARY_DIR})
	set_tests_properties(abi-next-release PROPERTIES
		LABELS slow TIMEOUT 300)
endif()
