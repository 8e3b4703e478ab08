# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# The example hypervisor: both kinds of vCPU, and the guest's bytes.

if(TARGET microvm)
	foreach(kind soft kvm)
		add_test(NAME microvm-${kind}
			COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/microvm.sh ${kind}
				${VMMEM_TEST_WRAPPER} $<TARGET_FILE:microvm>)
		set_tests_properties(microvm-${kind} PROPERTIES
			SKIP_RETURN_CODE 77 TIMEOUT 300)
	endforeach()
endif()

add_test(NAME guest-bytes
	COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/guest_bytes.sh)
set_tests_properties(guest-bytes PROPERTIES
	SKIP_RETURN_CODE 77 TIMEOUT 60
	ENVIRONMENT CC=${CMAKE_C_COMPILER})
