# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# The tests of slices and readers once more, with vmmem/inline.h compiled
# into them: both ways of calling must behave alike.

foreach(name byte_order slice slice_own slice_atomic slice_bytes slice_elements marking reader)
	if(NOT TARGET check_${name})
		continue()
	endif()
	vmmem_test(${name}_inline check_${name}.c vmmem)
	target_compile_options(check_${name}_inline PRIVATE
		-include ${PROJECT_SOURCE_DIR}/include/vmmem/inline.h)
endforeach()

# Which pages are marked is the same on any machine, and takes long in another.
if(TARGET check_marking_inline AND VMMEM_TEST_WRAPPER)
	set_tests_properties(marking_inline PROPERTIES LABELS "")
endif()

# ThreadSanitizer runs this too.
if(TARGET check_tearing_slice)
	set_tests_properties(tearing_slice PROPERTIES LABELS "program;threads")
endif()
