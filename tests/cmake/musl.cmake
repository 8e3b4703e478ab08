# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# Another C library: musl's headers.

add_test(NAME musl COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/musl/musl.sh)
set_tests_properties(musl PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
