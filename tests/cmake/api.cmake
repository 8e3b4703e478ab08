# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# The API as data, and the man pages made of it.

add_test(NAME api COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/api/api.sh)
set_tests_properties(api PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
