# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# The dirty log's protocol, searched to the end: docs/models/.

add_test(NAME models
	COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/models/models.sh
		${PROJECT_SOURCE_DIR}/docs/models)
set_tests_properties(models PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200)
