# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# The rules of tools/mutate.  The tool itself takes long, and is run by hand.

find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND)
	add_test(NAME mutate-rules COMMAND ${Python3_EXECUTABLE} -B
		${CMAKE_CURRENT_SOURCE_DIR}/mutate/rules.py
		${PROJECT_SOURCE_DIR})
else()
	add_test(NAME mutate-rules
		COMMAND sh -c "echo 'skipped: there is no python3'; exit 77")
endif()
set_tests_properties(mutate-rules PROPERTIES SKIP_RETURN_CODE 77)
