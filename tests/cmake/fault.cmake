# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# fault/check_fault_*.c make calls of the static library fail: the linker lets
# support/inject.c stand between the library and libc.

set(list ${CMAKE_CURRENT_SOURCE_DIR}/fault/wrapped.txt)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${list})
file(STRINGS ${list} wrapped REGEX "^[a-z]")
# These do not fail; they are looked at.
list(APPEND wrapped pthread_mutex_lock pthread_mutex_trylock
	pthread_mutex_unlock
	pthread_mutex_destroy)
list(TRANSFORM wrapped PREPEND "LINKER:--wrap=")

set(programs)
file(GLOB sources CONFIGURE_DEPENDS fault/check_fault_*.c)
foreach(source ${sources})
	get_filename_component(name ${source} NAME_WE)
	string(REPLACE "check_" "" name ${name})
	vmmem_test(${name} ${source} vmmem_all_static)
	target_sources(check_${name} PRIVATE fault/fault.c support/inject.c
		support/inject_io.c support/inject_locks.c
		support/inject_plain.c)
	target_link_options(check_${name} PRIVATE ${wrapped})
	list(APPEND programs $<TARGET_FILE:check_${name}>)
endforeach()

add_test(NAME fault_symbols COMMAND
	${CMAKE_CURRENT_SOURCE_DIR}/fault/symbols.sh
	${CMAKE_NM}
	"$<TARGET_FILE:vmmem_static> $<TARGET_FILE:vmmem_kvm_static> $<TARGET_FILE:vmmem_vhost_static>"
	${programs})
