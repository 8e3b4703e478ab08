# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# The vhost-user-blk example, and front ends: one that lies to it, one that takes
# what it can get, and one that keeps to the specification.

if(TARGET vhost-user-blk AND NOT VMMEM_TEST_WRAPPER)
	find_program(PYTHON3 python3 REQUIRED)
	add_executable(vhost_user_fill vhost_user/fill.c)
	target_compile_definitions(vhost_user_fill PRIVATE _GNU_SOURCE)
	set_target_properties(vhost_user_fill PROPERTIES
		C_STANDARD 11 C_EXTENSIONS OFF)
	vmmem_warnings(vhost_user_fill)
	foreach(front_end greedy hostile iommu protocol)
		add_test(NAME vhost-user-${front_end} COMMAND ${PYTHON3} -B
			${CMAKE_CURRENT_SOURCE_DIR}/vhost_user/${front_end}.py
			$<TARGET_FILE:vhost-user-blk>
			$<TARGET_FILE:vhost_user_fill>)
		set_tests_properties(vhost-user-${front_end} PROPERTIES
			SKIP_RETURN_CODE 77 TIMEOUT 600 LABELS program)
	endforeach()
	# It takes what the pool of huge pages has.
	set_tests_properties(vhost-user-greedy PROPERTIES
		RESOURCE_LOCK huge_pages)
endif()
