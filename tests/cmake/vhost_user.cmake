# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# The vhost-user-blk example, and a front end that lies to it.

if(TARGET vhost-user-blk AND NOT VMMEM_TEST_WRAPPER)
	find_program(PYTHON3 python3 REQUIRED)
	add_test(NAME vhost-user-hostile COMMAND ${PYTHON3} -B
		${CMAKE_CURRENT_SOURCE_DIR}/vhost_user/hostile.py
		$<TARGET_FILE:vhost-user-blk>)
	set_tests_properties(vhost-user-hostile PROPERTIES
		SKIP_RETURN_CODE 77 TIMEOUT 600 LABELS program)
endif()
