# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# vmmem_library(NAME MAP FILE DESCRIPTION TEXT [REQUIRES LIBRARY...]
#	[LIBS_PRIVATE LIBRARY...])
#
# Makes libNAME, shared and static, of the variables NAME_sources and
# NAME_headers ('_' for '-'), with its map and its pkg-config file, and installs
# all of it.  In this build its targets are NAME and NAME_static ('_' for '-');
# other projects call them vmmem::NAME and vmmem::NAME_static.

# Until 1.0 each minor version may break programs, so that each has a SONAME and
# a node of its own.
if(PROJECT_VERSION_MAJOR EQUAL 0)
	set(vmmem_abi "${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}")
else()
	set(vmmem_abi "${PROJECT_VERSION_MAJOR}")
endif()

# The .pc names its directories relative to ${prefix}, and that relative to
# itself, so that the tree can be moved, unless they were given as absolute paths.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
	set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
	file(RELATIVE_PATH pc_up "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig"
		"/prefix")
	string(REGEX REPLACE "/$" "" pc_up "${pc_up}")
	set(pc_prefix "\${pcfiledir}/${pc_up}")
endif()
foreach(dir LIBDIR INCLUDEDIR)
	if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
		set(pc_${dir} "${CMAKE_INSTALL_${dir}}")
	else()
		set(pc_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
	endif()
endforeach()

# What both forms of a library have in common.
function(vmmem_library_settings target name)
	target_include_directories(${target} PUBLIC
		$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
		$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
	target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/lib)
	set_target_properties(${target} PROPERTIES
		OUTPUT_NAME ${name}
		C_STANDARD 11
		C_STANDARD_REQUIRED ON
		C_EXTENSIONS OFF
		C_VISIBILITY_PRESET hidden
		POSITION_INDEPENDENT_CODE ON)
	# Memory files, seals and huge pages are Linux's own.
	target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
	# The ABI check reads DWARF, whatever the build type; a packager who
	# says how much of it there is has the last word.
	if(NOT CMAKE_C_FLAGS MATCHES "(^| )-g[0-9a-z]*( |$)")
		target_compile_options(${target} PRIVATE -g)
	endif()
	target_compile_options(${target} PRIVATE
		"-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.")
	vmmem_warnings(${target})
endfunction()

function(vmmem_library_shared target name map)
	string(TOUPPER "${target}_${vmmem_abi}" node)
	configure_file(${map} ${PROJECT_BINARY_DIR}/${name}.map @ONLY)
	set_target_properties(${target} PROPERTIES
		VERSION ${PROJECT_VERSION}
		SOVERSION ${vmmem_abi}
		# Programs name the core themselves: no path is needed in glue.
		BUILD_WITH_INSTALL_RPATH ON
		LINK_DEPENDS ${PROJECT_BINARY_DIR}/${name}.map)
	target_link_options(${target} PRIVATE
		"LINKER:--version-script=${PROJECT_BINARY_DIR}/${name}.map"
		LINKER:--no-undefined-version
		LINKER:-Bsymbolic-functions
		LINKER:-z,nodelete
		# gcc leaves the ends of a section, which lld makes, to be seen.
		LINKER:-z,start-stop-visibility=hidden)
	if(NOT VMMEM_SANITIZE)
		# A sanitizer's symbols come with the program, not with the
		# library.
		target_link_options(${target} PRIVATE LINKER:-z,defs)
	endif()
endfunction()

function(vmmem_library name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "MAP;DESCRIPTION"
		"REQUIRES;LIBS_PRIVATE")
	string(REPLACE "-" "_" target ${name})
	add_library(${target} SHARED ${${target}_sources})
	add_library(${target}_static STATIC ${${target}_sources})
	foreach(form "" _static)
		vmmem_library_settings(${target}${form} ${name})
		set_target_properties(${target}${form} PROPERTIES
			EXPORT_NAME ${name}${form})
		add_library(vmmem::${name}${form} ALIAS ${target}${form})
		foreach(other ${arg_REQUIRES})
			target_link_libraries(${target}${form} PUBLIC
				${other}${form})
		endforeach()
	endforeach()
	vmmem_library_shared(${target} ${name}
		${PROJECT_SOURCE_DIR}/${arg_MAP})
	# What links the static library exports none of it.
	# That the bodies of inline.h are seen by everybody is for programs.
	target_compile_definitions(${target}_static PRIVATE VMMEM_STATIC
		"VMMEM_INLINE=extern __inline__ __attribute__((__gnu_inline__))")
	if(bsd IN_LIST arg_LIBS_PRIVATE)
		target_link_libraries(${target} PRIVATE PkgConfig::LIBBSD)
		# A static library passes on what it needs; the export set must
		# not name a target that only this build knows.
		target_include_directories(${target}_static SYSTEM PRIVATE
			${LIBBSD_INCLUDE_DIRS})
		target_link_libraries(${target}_static PUBLIC bsd)
	endif()

	set(pc_name ${name})
	set(pc_description "${arg_DESCRIPTION}")
	list(TRANSFORM arg_REQUIRES APPEND " = ${PROJECT_VERSION}")
	list(JOIN arg_REQUIRES ", " pc_requires)
	# Not Requires.private: pkg-config would want the package of a library
	# whose headers no program includes.
	list(TRANSFORM arg_LIBS_PRIVATE PREPEND "-l")
	list(JOIN arg_LIBS_PRIVATE " " pc_libs_private)
	configure_file(${PROJECT_SOURCE_DIR}/vmmem.pc.in
		${PROJECT_BINARY_DIR}/${name}.pc @ONLY)

	install(TARGETS ${target} ${target}_static EXPORT vmmem-targets
		LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
		ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
	install(FILES ${${target}_headers}
		DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/vmmem)
	install(FILES ${PROJECT_BINARY_DIR}/${name}.pc
		DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
