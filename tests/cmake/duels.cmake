# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# check_dirty_duel.c and check_section_duel.c with a step of the protocol taken
# out: they must notice.  Skipped where the processor does not show the loss.  A
# sanitizer puts so much between two accesses that there is none.
if(VMMEM_SANITIZE)
	return()
endif()

function(vmmem_broken_duel duel name)
	set(target check_${duel}_duel_${name})
	add_executable(${target} check_${duel}_duel.c ${ARGN})
	target_link_libraries(${target} PRIVATE test_support vmmem_static)
	target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/lib)
	target_compile_definitions(${target} PRIVATE _GNU_SOURCE EXPECT_LOSS)
	set_target_properties(${target} PROPERTIES
		C_STANDARD 11 C_EXTENSIONS OFF)
	vmmem_warnings(${target})
	target_compile_options(${target} PRIVATE
		-Wno-format-nonliteral -Wno-format-extra-args)
	# Not under the wrapper: valgrind runs one thread at a time.
	add_test(NAME ${duel}-duel-${name} COMMAND ${target})
	set_tests_properties(${duel}-duel-${name} PROPERTIES
		SKIP_RETURN_CODE 77 TIMEOUT 300 RUN_SERIAL ON)
endfunction()

# The linker finds these functions here and leaves the library's out.
vmmem_broken_duel(dirty no-barrier duel/no_barrier.c)
vmmem_broken_duel(dirty mark-first)
target_compile_definitions(check_dirty_duel_mark-first PRIVATE MARK_FIRST)
vmmem_broken_duel(section no-barrier duel/no_barrier.c)
