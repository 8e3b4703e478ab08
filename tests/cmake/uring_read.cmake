# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# The example that reads a file through io_uring.

if(TARGET uring-read)
	add_test(NAME uring-read
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/uring_read.sh
			${VMMEM_TEST_WRAPPER} $<TARGET_FILE:uring-read>)
else()
	add_test(NAME uring-read
		COMMAND sh -c "echo 'skipped: there is no liburing'; exit 77")
endif()
set_tests_properties(uring-read PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 60)
