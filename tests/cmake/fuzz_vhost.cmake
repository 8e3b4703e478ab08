# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# fuzz/vhost.c: random inputs with any compiler, and a short run of libFuzzer
# where the build is one of clang with AddressSanitizer.

set(dir ${PROJECT_SOURCE_DIR}/fuzz)
add_executable(fuzz_vhost_run ${dir}/vhost.c ${dir}/run.c)
add_test(NAME fuzz-vhost
	COMMAND ${VMMEM_TEST_WRAPPER} $<TARGET_FILE:fuzz_vhost_run>)
set_tests_properties(fuzz-vhost PROPERTIES
	LABELS program TIMEOUT 600 RESOURCE_LOCK huge_pages)
set(fuzzers fuzz_vhost_run)

if(CMAKE_C_COMPILER_ID STREQUAL "Clang" AND VMMEM_SANITIZE MATCHES "address")
	add_executable(fuzz_vhost ${dir}/vhost.c)
	target_compile_options(fuzz_vhost PRIVATE -fsanitize=fuzzer)
	target_link_options(fuzz_vhost PRIVATE -fsanitize=fuzzer)
	add_test(NAME fuzz-vhost-libfuzzer COMMAND fuzz_vhost
		-max_total_time=20 -max_len=600 -timeout=60)
	set_tests_properties(fuzz-vhost-libfuzzer PROPERTIES
		LABELS program TIMEOUT 300 RESOURCE_LOCK huge_pages
		WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
	list(APPEND fuzzers fuzz_vhost)
endif()

# Whatever coverage the library is built with guides the fuzzer.
foreach(target ${fuzzers})
	target_link_libraries(${target} PRIVATE vmmem_vhost)
	target_include_directories(${target} PRIVATE
		${CMAKE_CURRENT_SOURCE_DIR}/support)
	target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
	set_target_properties(${target} PROPERTIES
		C_STANDARD 11 C_EXTENSIONS OFF)
	vmmem_warnings(${target})
endforeach()
