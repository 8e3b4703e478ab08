# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# The pages in docs/: their programs build and run, and what they name exists.

set(docs_flags -g)
if(VMMEM_SANITIZE)
	set(docs_flags "-g -fsanitize=${VMMEM_SANITIZE}")
endif()

add_test(NAME docs-programs
	COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/docs/extract.sh
		${PROJECT_SOURCE_DIR}/docs ${PROJECT_SOURCE_DIR}/include
		$<TARGET_FILE_DIR:vmmem> ${VMMEM_TEST_WRAPPER})
set_tests_properties(docs-programs PROPERTIES LABELS program TIMEOUT 300
	ENVIRONMENT "CC=${CMAKE_C_COMPILER};CFLAGS=${docs_flags}")

add_test(NAME docs-words
	COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/docs/words.sh ${PROJECT_SOURCE_DIR})
add_test(NAME docs-pages
	COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/docs/pages.sh ${PROJECT_SOURCE_DIR})
