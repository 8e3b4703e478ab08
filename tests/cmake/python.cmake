# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# The API from Python, with ctypes: any language can call it as it is.

find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND)
	add_test(NAME python COMMAND ${Python3_EXECUTABLE} -B
		${CMAKE_CURRENT_SOURCE_DIR}/python/test_ctypes.py)
	set(environment VMMEM_LIBRARY=$<TARGET_FILE:vmmem>:$<TARGET_FILE:vmmem_kvm>:$<TARGET_FILE:vmmem_vhost>
		VMMEM_SOURCE=${PROJECT_SOURCE_DIR})
	# The interpreter is not built with the sanitizer, so its run-time comes
	# first by force; and what the interpreter leaks is its own affair.
	if(VMMEM_SANITIZE MATCHES "address")
		execute_process(COMMAND ${CMAKE_C_COMPILER}
			-print-file-name=libasan.so
			OUTPUT_VARIABLE runtime OUTPUT_STRIP_TRAILING_WHITESPACE)
		list(APPEND environment LD_PRELOAD=${runtime}
			ASAN_OPTIONS=detect_leaks=0)
	endif()
	set_tests_properties(python PROPERTIES ENVIRONMENT "${environment}")
	# clang links its run-time into programs alone, and thread's must be first.
	if(VMMEM_SANITIZE AND (VMMEM_SANITIZE MATCHES "thread" OR
			NOT CMAKE_C_COMPILER_ID STREQUAL "GNU"))
		set_tests_properties(python PROPERTIES DISABLED TRUE)
	endif()
else()
	add_test(NAME python
		COMMAND sh -c "echo 'skipped: there is no python3'; exit 77")
endif()
set_tests_properties(python PROPERTIES SKIP_RETURN_CODE 77)
