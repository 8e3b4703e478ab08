# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# vmmem_warnings(TARGET): the warnings and sanitizers that all of our own code
# is built with.  Both gcc 12 and clang 14 know every flag.

function(vmmem_warnings target)
	target_compile_options(${target} PRIVATE
		-Wall
		-Wextra
		-Wpedantic
		-Wcast-align
		-Wcast-qual
		-Wconversion
		-Wformat=2
		-Wmissing-prototypes
		-Wpointer-arith
		-Wshadow
		-Wsign-conversion
		-Wstrict-prototypes
		-Wundef
		-Wvla
		-Wwrite-strings
		$<$<BOOL:${VMMEM_WERROR}>:-Werror>)
	# Where gcc optimises little it does not see what sets a variable.
	string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
	if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND
			"${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_${type}} "
			MATCHES "-O[1g] ")
		target_compile_options(${target} PRIVATE
			-Wno-maybe-uninitialized)
	endif()
	if(VMMEM_SANITIZE)
		target_compile_options(${target} PRIVATE
			-fsanitize=${VMMEM_SANITIZE}
			-fno-sanitize-recover=all
			-fno-omit-frame-pointer)
		target_link_options(${target} PUBLIC
			-fsanitize=${VMMEM_SANITIZE})
	endif()
endfunction()
