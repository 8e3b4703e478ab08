# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# The vhost-user-blk example, and front ends: one that lies to it, and one that
# keeps to the specification.

if(TARGET vhost-user-blk AND NOT VMMEM_TEST_WRAPPER)
	find_program(PYTHON3 python3 REQUIRED)
	foreach(front_end hostile iommu protocol)
		add_test(NAME vhost-user-${front_end} COMMAND ${PYTHON3} -B
			${CMAKE_CURRENT_SOURCE_DIR}/vhost_user/${front_end}.py
			$<TARGET_FILE:vhost-user-blk>)
		set_tests_properties(vhost-user-${front_end} PROPERTIES
			SKIP_RETURN_CODE 77 TIMEOUT 600 LABELS program)
	endforeach()
endif()
