# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# mutants.sh - changes to the tree that gate_selftest.sh has made, and what
# tools/abi must say to each.  Each function runs in a copy of its own.
# shellcheck shell=sh
# shellcheck disable=SC2154 # replace and expect are those of gate_selftest.sh

h=include/vmmem/sample.h
c=lib/base/sample.c

# At the end of the struct that may grow.
append() {
	replace $h "/^struct vmmem_sample_options {/,/^};/s/^};/	$1;\\n&/"
}

# A version X.Y.Z.
set_version() {
	for part in MAJOR MINOR PATCH; do
		sed -i "s/^\\(#define VMMEM_VERSION_$part\\) .*/\\1 $1/" \
			include/vmmem/version.h
		shift
	done
}

# What abi/README.md says to do at a release.
release() {
	version=$(library_version MAJOR MINOR PATCH)
	mkdir -p abi/released
	for library in $libraries; do
		for kind in abi constants declarations; do
			cp "abi/lib$library.$kind" \
				"abi/released/lib$library-$version.$kind"
		done
		node=$(library_node "$library")
		grep "@@$node\$" "abi/lib$library.symbols" \
			>"abi/released/$node.symbols"
	done
}

add_function() {
	replace $h 's/^const char \*vmmem_sample_name/int vmmem_sample_more(void);\n\n&/'
	printf '\nVMMEM_API int\nvmmem_sample_more(void)\n{\n\treturn 0;\n}\n' >>$c
}

# ---- harmless --------------------------------------------------------------

mutant_nothing() {
	expect same check
}

mutant_comments_and_spaces() {
	replace $h 's|^/\* Never grows. \*/|/* Never, ever, grows. */|'
	replace $h 's/^int vmmem_sample_read(/int\n\nvmmem_sample_read(  /'
	replace $h 's|start + len - 1;|start +  /* wraps */ len - 1;|'
	expect same headers
}

mutant_const_on_a_value() {
	replace $h '/_read(/s/uint64_t gpa,/const &/'
	expect same headers
}

mutant_const_on_a_value_in_the_definition() {
	replace $c '/_read(/s/uint64_t gpa,/const &/'
	expect same check
}

mutant_other_order_in_a_header() {
	line=$(grep '^const char \*vmmem_sample_name' $h)
	replace $h '/^const char \*vmmem_sample_name/d'
	replace $h "s/^struct vmmem_sample \\*vmmem_sample_free/$line\\n&/"
	expect same headers
}

mutant_other_order_in_a_file() {
	sed -n '/^VMMEM_API struct vmmem_sample \*/,/^}/p' $c >free.c
	replace $c '/^VMMEM_API struct vmmem_sample \*/,/^}/d'
	cat free.c >>$c
	expect same check
}

mutant_another_file() {
	{
		printf '#include <vmmem/sample.h>\n#include "base/api.h"\n'
		sed -n '/^VMMEM_API struct vmmem_sample \*/,/^}/p' $c
	} >lib/space/sample_free.c
	replace $c '/^VMMEM_API struct vmmem_sample \*/,/^}/d'
	expect same check
}

mutant_another_header() {
	sed '/^struct vmmem_sample_pair/,/^};/d
		/^VMMEM_NODISCARD/,/^VMMEM_END/{/^VMMEM_END/!d}
		/^struct vmmem_sample_options/,/^};/d
		/^typedef/d;/^#define VMMEM_SAMPLE_[OT]/d' $h |
		sed 's/VMMEM_SAMPLE_H/VMMEM_OTHER_H/
			s/^struct vmmem_sample;/&\nconst char *vmmem_sample_name(const struct vmmem_sample *sample);/' \
		>include/vmmem/other.h
	replace $h '/^const char \*vmmem_sample_name/d'
	replace $h 's|^#include <vmmem/base.h>|&\n#include <vmmem/other.h>|'
	expect same headers
}

mutant_a_number_written_otherwise() {
	replace $h 's/^#define VMMEM_SAMPLE_TWO 2/#define VMMEM_SAMPLE_TWO 0x2/'
	expect same headers
}

mutant_a_body_in_the_library() {
	replace $c 's/return options != NULL;/return options == NULL ? 0 : 1;/'
	expect same check
}

mutant_other_words_in_the_definition() {
	replace $c '/_sample_read(/,/^}/s/gpa/address/'
	expect same check
}

mutant_a_private_function() {
	printf '\nint vmmem_sample_private(void);\nint\nvmmem_sample_private(void)\n{\n\treturn 0;\n}\n' >>$c
	expect same check
}

# ---- additions -------------------------------------------------------------

mutant_a_function_added() {
	add_function
	replace lib/vmmem.map.in 's/^	vmmem_sample_name;/	vmmem_sample_more;\n&/'
	expect addition check -- 'declaration added: int vmmem_sample_more(void);' \
		'symbol added: vmmem_sample_more@@'
}

mutant_a_macro_added() {
	replace $h 's/^#define VMMEM_SAMPLE_TWO 2/&\n#define VMMEM_SAMPLE_THREE 3/'
	expect addition headers -- 'constant added: VMMEM_SAMPLE_THREE 3 int' \
		'lacks the line: VALUE(VMMEM_SAMPLE_THREE,'
}

mutant_a_struct_added() {
	replace $h 's/^typedef/struct vmmem_sample_report {\n	size_t size;\n	uint64_t count;\n};\n\n&/'
	expect addition headers -- \
		'lacks the line: GROWS(struct vmmem_sample_report,'
}

mutant_a_member_appended() {
	append 'uint64_t more'
	expect addition check -- 'has new members at its end: more' \
		'constant added: struct vmmem_sample_options size 48 align 8'
}

mutant_a_callback_appended() {
	append 'void (*destroy)(void *opaque)'
	expect addition headers -- 'has new members at its end: destroy'
}

mutant_deprecated() {
	replace $h 's/^struct vmmem_sample \*vmmem_sample_free/__attribute__((__deprecated__)) &/'
	expect addition headers -- 'became deprecated'
}

mutant_a_result_that_must_be_used() {
	replace $h 's/^int vmmem_sample_read/VMMEM_NODISCARD &/'
	expect addition headers -- 'became warn_unused_result'
}

mutant_another_name_of_a_parameter() {
	replace $h '/_sample_read(/s/gpa/address/'
	expect addition headers -- 'calls its parameters otherwise'
}

mutant_a_pointer_that_takes_more() {
	replace $h 's/^struct vmmem_sample \*vmmem_sample_free(/&const /'
	expect addition headers -- 'fits more programs'
}

mutant_a_body_that_is_gone() {
	replace $h '/^VMMEM_INLINE uint64_t$/,/^}/d'
	expect addition headers -- 'inline body removed: vmmem_sample_last'
}

# ---- sources break, programs do not ----------------------------------------

mutant_const_dropped() {
	replace $h '/_sample_read(/s/const struct/struct/'
	expect source headers -- 'vmmem_sample_read(), sample is qualified otherwise'
}

mutant_volatile_added() {
	replace $h '/_sample_write(/s/struct/volatile struct/'
	expect source headers -- 'vmmem_sample_write(), sample is qualified otherwise'
}

mutant_const_added_to_a_result() {
	replace $h 's/^struct vmmem_sample \*vmmem_sample_free/const &/'
	expect source headers -- 'vmmem_sample_free() is qualified otherwise'
}

mutant_const_added_below_two_pointers() {
	replace $h 's/struct vmmem_sample \*\*ret_sample/const &/'
	expect source headers -- 'ret_sample is qualified otherwise'
}

mutant_const_in_a_callback() {
	replace $h 's/(\*tell)(void/(*tell)(const void/'
	expect source headers -- 'tell, opaque is qualified otherwise'
}

mutant_nonnull_added() {
	replace $h 's/^int vmmem_sample_read/__attribute__((__nonnull__(1))) &/'
	expect source headers -- 'vmmem_sample_read became nonnull(1)'
}

mutant_pure_added() {
	replace $h 's/^const char \*vmmem_sample_name/__attribute__((__pure__)) &/'
	expect source headers -- 'vmmem_sample_name became pure'
}

mutant_a_number_of_another_type() {
	replace $h 's/^#define VMMEM_SAMPLE_TWO 2/&U/'
	expect source headers -- 'constant removed: VMMEM_SAMPLE_TWO 2 int'
}

# ---- programs break --------------------------------------------------------

mutant_a_symbol_removed() {
	replace lib/vmmem.map.in '/^	vmmem_sample_name;/d'
	expect broken check -- 'symbol removed: vmmem_sample_name@@' \
		'declared and not exported: vmmem_sample_name'
}

mutant_a_symbol_in_another_node() {
	replace lib/vmmem.map.in 's/^@node@ {/VMMEM_9.9 {/'
	expect broken check -- 'symbol added: vmmem_sample_name@@VMMEM_9.9'
}

# Glue has a record of its own.
mutant_a_symbol_of_glue_removed() {
	replace lib/kvm/vmmem-kvm.map.in 's/^	vmmem_kvm_sample;/	vmmem_kvm_other;/'
	replace lib/kvm/kvm.c 's/vmmem_kvm_sample(/vmmem_kvm_other(/'
	replace include/vmmem/kvm.h 's/vmmem_kvm_sample(/vmmem_kvm_other(/'
	expect broken check -- \
		"symbol removed: vmmem_kvm_sample@@$(library_node vmmem-kvm)"
}

mutant_a_declaration_removed() {
	replace $h '/^const char \*vmmem_sample_name/d'
	expect broken headers -- 'declaration removed: const char *vmmem_sample_name'
}

mutant_a_symbol_without_a_declaration() {
	replace lib/vmmem.map.in 's/^	vmmem_sample_name;/	vmmem_sample_more;\n&/'
	printf '\nVMMEM_API int\nvmmem_sample_more(void)\n{\n\treturn 0;\n}\n' >>$c
	expect broken check -- 'exported and not declared: vmmem_sample_more'
}

mutant_a_narrower_parameter() {
	replace $h '/_sample_read(/s/uint64_t gpa/uint32_t gpa/'
	expect broken headers -- 'vmmem_sample_read(), gpa has another type'
}

mutant_a_parameter_of_a_narrower_system_type() {
	for file in $h $c; do
		replace "$file" 's/size_t len)/uint32_t len)/'
	done
	expect broken check -- 'vmmem_sample_write(), len has another type'
}

mutant_a_parameter_more() {
	replace $h 's/void \*buf);/void *buf, uint32_t flags);/'
	expect broken headers -- 'vmmem_sample_read() has other parameters'
}

mutant_a_parameter_less() {
	replace $h 's/const void \*buf, size_t len);/const void *buf);/'
	expect broken headers -- 'vmmem_sample_write() has other parameters'
}

mutant_variadic() {
	replace $h 's/void \*buf);/void *buf, ...);/'
	expect broken headers -- 'vmmem_sample_read() has other parameters'
}

mutant_parameters_of_equal_type_swapped() {
	replace $h '/_sample_read(/,/;/{s/gpa/x/;s/uint64_t len/uint64_t gpa/;s/uint64_t x/uint64_t len/}'
	expect broken headers -- \
		'vmmem_sample_read() has its parameters in another order'
}

mutant_parameters_of_equal_type_swapped_in_the_definition() {
	replace $c '/_sample_read(/{s/gpa/x/;s/uint64_t len/uint64_t gpa/;s/uint64_t x/uint64_t len/}'
	expect broken check -- 'vmmem_sample_read(), as it is defined,'
}

mutant_another_result() {
	replace $h 's/^int vmmem_sample_read/uint64_t vmmem_sample_read/'
	expect broken headers -- 'vmmem_sample_read() has another type'
}

mutant_another_struct() {
	replace $h '/_sample_read(/s/struct vmmem_sample /struct vmmem_space /'
	expect broken headers -- 'vmmem_sample_read(), sample has another type'
}

mutant_a_macro_of_another_value() {
	replace $h 's/^#define VMMEM_SAMPLE_TWO 2/#define VMMEM_SAMPLE_TWO 3/'
	expect broken headers -- 'constant removed: VMMEM_SAMPLE_TWO 2 int' \
		'constant added: VMMEM_SAMPLE_TWO 3 int' \
		'an assertion of tests/abi_layout.c does not hold'
}

mutant_a_macro_removed() {
	replace $h '/^#define VMMEM_SAMPLE_TWO 2/d'
	expect broken headers -- 'constant removed: VMMEM_SAMPLE_TWO 2 int'
}

mutant_a_struct_that_never_grows_grew() {
	replace $h '/^struct vmmem_sample_pair {/,/^};/s/	uint64_t len;/&\n	uint64_t extra;/'
	expect broken headers -- 'struct vmmem_sample_pair has other members' \
		'constant removed: struct vmmem_sample_pair size 16 align 8'
}

mutant_two_members_swapped() {
	replace $h '/^struct vmmem_sample_pair {/,/^};/{s/gpa/x/;s/len/gpa/;s/x/len/}'
	expect broken headers -- \
		'constant removed: struct vmmem_sample_pair.gpa offset 0 size 8'
}

mutant_a_narrower_member() {
	replace $h '/^struct vmmem_sample_pair {/,/^};/s/uint64_t len/uint32_t len/'
	expect broken headers -- 'struct vmmem_sample_pair.len has another type'
}

mutant_a_member_of_another_name() {
	replace $h '/^struct vmmem_sample_pair {/,/^};/s/len/length/'
	expect broken headers -- 'source break: struct vmmem_sample_pair calls len'
}

mutant_a_member_in_the_middle() {
	replace $h 's/^	uint64_t limit;/&\n	uint64_t least;/'
	expect broken headers -- 'struct vmmem_sample_options has other members'
}

mutant_a_member_before_the_size() {
	replace $h '/^struct vmmem_sample_options/,/^};/s/^	size_t size;/	uint64_t magic;\n&/'
	expect broken headers -- 'struct vmmem_sample_options has other members'
}

mutant_a_member_removed() {
	replace $h '/^struct vmmem_sample_options/,/^};/{/void \*opaque;/d}'
	expect broken headers -- 'struct vmmem_sample_options lost a member'
}

mutant_a_member_appended_and_padding_behind() {
	append 'uint32_t more'
	expect broken headers -- 'struct vmmem_sample_options ends in padding'
}

mutant_members_of_equal_type_swapped() {
	replace $h '/^struct vmmem_sample_options/,/^};/{s/flags/x/;s/mode/flags/;s/x;/mode;/}'
	expect broken headers -- 'struct vmmem_sample_options has mode where flags was'
}

mutant_a_callback_with_a_parameter_more() {
	replace $h 's/uint64_t gpa, uint64_t len);$/uint64_t gpa, uint64_t len, uint32_t flags);/'
	expect broken headers -- 'struct vmmem_sample_options.tell has other parameters'
}

mutant_parameters_of_a_callback_swapped() {
	replace $h '/(\*tell)/s/uint64_t gpa, uint64_t len/uint64_t len, uint64_t gpa/'
	expect broken headers -- 'tell has its parameters in another order'
}

mutant_a_struct_removed() {
	replace $h '/^struct vmmem_sample_pair {/,/^};/d'
	expect broken headers -- 'declaration removed: struct vmmem_sample_pair'
}

mutant_packed() {
	replace $h '/^struct vmmem_sample_options/,/^};/s/^};/} __attribute__((__packed__));/'
	expect broken headers -- 'has other attributes'
}

mutant_a_body_that_computes_another_value() {
	replace $h 's/return start + len - 1;/return start + len;/'
	expect broken headers -- 'inline body changed: vmmem_sample_last()'
}

mutant_a_function_of_a_header_removed() {
	replace $h '/^VMMEM_STATIC_INLINE uint64_t/,/^}/d'
	expect source headers -- 'function of a header removed: vmmem_sample_half'
}

mutant_a_function_of_a_header_that_computes_another_value() {
	replace $h 's/return value >> 1;/return value >> 2;/'
	expect source headers -- 'function of a header changed: vmmem_sample_half'
}

mutant_a_body_of_the_other_byte_order() {
	replace $h 's/return __builtin_bswap32(value);/return value;/'
	expect broken headers -- 'inline body changed: vmmem_sample_le32()'
}

mutant_may_alias_lost() {
	replace $h 's/^typedef uint32_t __attribute__((__may_alias__))/typedef uint32_t/'
	expect broken headers -- 'vmmem_sample_u32 is another type'
}

# ---- what is no part of the ABI, or cannot be compared ----------------------

mutant_an_enum() {
	replace $h 's/^#define VMMEM_SAMPLE_TWO 2/enum { VMMEM_SAMPLE_TWO = 2 };/'
	expect refused headers -- 'a public header has an enum'
}

mutant_a_bit_field() {
	replace $h 's/^	uint32_t mode;/	uint32_t mode : 4;/'
	expect refused headers -- 'cannot read the member'
}

mutant_a_definition_of_another_type() {
	replace $c '/_sample_read(/s/uint64_t gpa/uint32_t gpa/'
	expect cannot check -- 'the library does not build'
}

mutant_a_build_without_debugging() {
	replace tools/abi 's/ -gdwarf-5//'
	expect cannot check -- 'has no DWARF: build it with -g'
}

mutant_a_library_given_without_debugging() {
	echo 'int zero;' >zero.c
	mkdir zero
	for library in $libraries; do
		gcc -shared -fPIC -o "zero/lib$library.so" zero.c
	done
	expect cannot check zero -- 'has no DWARF: build it with -g'
}

mutant_another_tool() {
	replace tools/abi 's/^want_abidw=.*/want_abidw=0.0/'
	expect cannot check -- 'the dump was made with 0.0'
}

mutant_a_first_size_that_is_another() {
	replace lib/base/released_sizes.h 's/^\(#define VMMEM_SAMPLE_OPTIONS_SIZE_[0-9_]*\) 40/\1 32/'
	expect addition headers -- 'lib/base/released_sizes.h is not that of the headers'
}

# ---- releases: after 'update' only what is frozen objects -------------------

mutant_release_and_nothing_changed() {
	release
	expect same check
}

mutant_release_and_a_symbol_added_to_its_node() {
	release
	add_function
	replace lib/vmmem.map.in 's/^	vmmem_sample_name;/	vmmem_sample_more;\n&/'
	tools/abi update
	expect broken check -- "the released node $(library_node vmmem) changed" \
		'released symbol added: vmmem_sample_more@' 'another SONAME'
}

mutant_release_and_a_struct_that_never_grows_grew() {
	release
	replace $h '/^struct vmmem_sample_pair {/,/^};/s/	uint64_t len;/&\n	uint64_t extra;/'
	rm tests/abi_layout.c
	tools/abi update
	expect broken headers -- 'released: constant removed: struct vmmem_sample_pair size 16'
}

mutant_release_and_a_body_became_faster() {
	release
	replace $h 's/return start + len - 1;/return start - 1 + len;/'
	tools/abi update
	expect same headers
}

mutant_release_and_a_declaration_changed() {
	release
	for file in $h $c; do
		replace "$file" '/_sample_read(/s/const struct/struct/'
	done
	tools/abi update
	expect source headers -- 'released: source break: vmmem_sample_read(), sample'
}

# Three releases, each with a member more than the one before.
mutant_releases_of_a_struct_that_grows() {
	release
	append 'uint64_t second'
	set_version "$(library_version MAJOR)" "$(library_version MINOR)" 1
	tools/abi update
	grep -q 'VMMEM_SAMPLE_OPTIONS_SIZE_[0-9_]* 40$' lib/base/released_sizes.h
	cat >>tests/abi_layout.c <<-END
		MEMBER(struct vmmem_sample_options, second, 40, 8);
	END
	expect same check
	release
	append 'uint64_t third'
	set_version "$(library_version MAJOR)" "$(library_version MINOR)" 2
	tools/abi update
	cat >>tests/abi_layout.c <<-END
		MEMBER(struct vmmem_sample_options, third, 48, 8);
	END
	expect same check
	# What the second release brought is as frozen as what the first did.
	replace $h '/uint64_t second;/d'
	replace $h 's/uint64_t third;/&\n	uint64_t fourth;/'
	rm tests/abi_layout.c
	tools/abi update
	expect broken headers -- \
		'released: constant removed: struct vmmem_sample_options.second'
}

# A patch release keeps what the minor version promised; the next need not.
mutant_release_and_a_break_in_a_patch() {
	set_version 0 9 0
	tools/abi update
	release
	set_version 0 9 1
	replace $h '/^const char \*vmmem_sample_name/d'
	replace lib/vmmem.map.in '/^	vmmem_sample_name;/d'
	tools/abi update
	expect broken check -- 'released symbol removed: vmmem_sample_name@VMMEM_0.9'
}

mutant_release_and_a_break_in_the_next_minor_version() {
	set_version 0 9 0
	tools/abi update
	release
	set_version 0 10 0
	replace $h '/^const char \*vmmem_sample_name/d'
	replace lib/vmmem.map.in '/^	vmmem_sample_name;/d'
	expect new_abi check -- 'the node VMMEM_0.9 became VMMEM_0.10'
	tools/abi update
	expect same check
}

# From 1.0 on a minor version adds a node, and breaks nothing.
mutant_release_and_a_node_more() {
	set_version 1 0 0
	tools/abi update
	release
	set_version 1 1 0
	add_function
	printf 'VMMEM_1.1 {\nglobal:\n\tvmmem_sample_more;\n} VMMEM_1;\n' \
		>>lib/vmmem.map.in
	expect addition check -- 'symbol added: vmmem_sample_more@@VMMEM_1.1'
	tools/abi update
	expect same check
	replace lib/vmmem.map.in '/^	vmmem_sample_name;/d'
	tools/abi update
	expect broken check -- 'released symbol removed: vmmem_sample_name@VMMEM_1'
}
