/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Readers, on one thread: what a section sees, how sections nest, and what the
 * generation says.  Run with the calls and with the inline forms.
 */
#include <vmmem/vmmem.h>

#include "owned.h"
#include "suite.h"

static struct owned first_owned, second_owned;
static struct vmmem_space *space;
static struct vmmem_reader *reader;

/* A space with a region of its own at 0, and a reader of it. */
static void
setup(void)
{
	struct vmmem_collection *map =
		guest_of_one(owned_region(&first_owned, 0));

	assert_ok(vmmem_space_new(map, NULL, &space));
	vmmem_collection_unref(map);
	assert_ok(vmmem_reader_new(space, NULL, &reader));
}

static void
teardown(void)
{
	reader = vmmem_reader_free(reader);
	ck_assert_ptr_null(vmmem_space_unref(space));
}

/* Another map, of the second region; nobody but the space holds it. */
static void
replace(void)
{
	struct vmmem_collection *map =
		guest_of_one(owned_region(&second_owned, 0x10000));

	assert_ok(vmmem_space_replace(space, map));
	vmmem_collection_unref(map);
}

/* What the compiler cannot see through is a call. */
static struct vmmem_collection *(*volatile exported_enter)(
	struct vmmem_reader *) = vmmem_reader_enter;
static void (*volatile exported_leave)(struct vmmem_reader *) =
	vmmem_reader_leave;

START_TEST(arguments)
{
	struct vmmem_reader *none = (void *)&none, *made = none;
	struct vmmem_reader_options options = { .size = 8, .name = "vcpu0" };
	struct vmmem_reader *named;

	assert_code(vmmem_reader_new(NULL, NULL, &made), VMMEM_EARGUMENT);
	assert_code(vmmem_reader_new(space, &options, &made),
		    VMMEM_ESTRUCTSIZE);
	options.size = sizeof(options);
	assert_ok(vmmem_reader_new(space, &options, &named));
	ck_assert_str_eq(vmmem_reader_name(named), "vcpu0");
	ck_assert_ptr_eq(vmmem_reader_space(named), space);
	ck_assert_ptr_null(vmmem_reader_name(NULL));
	ck_assert_ptr_null(vmmem_reader_space(NULL));
	vmmem_reader_free(named);
	options.name = "1234567890123456789012345678901234567890"
		       "123456789012345678901234";
	assert_code(vmmem_reader_new(space, &options, &made), VMMEM_ELONGNAME);
	assert_code(vmmem_reader_new(space, NULL, NULL), VMMEM_EARGUMENT);
	ck_assert_ptr_eq(made, none);
	ck_assert_ptr_null(vmmem_reader_enter(NULL));
	ck_assert_ptr_null(exported_enter(NULL));
	vmmem_reader_leave(NULL);
	exported_leave(NULL);
	ck_assert_uint_eq(vmmem_reader_generation(NULL), 0);
	ck_assert_ptr_null(vmmem_reader_free(NULL));
}
END_TEST

START_TEST(take_gives_the_current_map)
{
	struct vmmem_collection *map = vmmem_space_get(space);

	ck_assert_ptr_eq(vmmem_reader_enter(reader), map);
	vmmem_reader_leave(reader);
	replace();
	ck_assert_ptr_ne(vmmem_reader_enter(reader), map);
	vmmem_reader_leave(reader);
	vmmem_collection_unref(map);
	map = vmmem_space_get(space);
	ck_assert_ptr_eq(vmmem_reader_enter(reader), map);
	vmmem_reader_leave(reader);
	vmmem_collection_unref(map);
}
END_TEST

/* What a section sees stays as it is, and stays mapped, until it ends. */
START_TEST(section_keeps_its_map)
{
	struct vmmem_collection *map = vmmem_reader_enter(reader);
	uint8_t byte = 0;

	replace();
	ck_assert_int_eq(owned_is_released(&first_owned), 0);
	ck_assert_uint_eq(vmmem_space_retired(space), 1);
	assert_ok(vmmem_collection_write_u8(map, 7, 0x42));
	assert_ok(vmmem_collection_read_u8(map, 7, &byte));
	ck_assert_uint_eq(byte, 0x42);
	assert_code(vmmem_collection_read_u8(map, 0x10000, &byte),
		    VMMEM_EBADADDR);
	assert_code(vmmem_space_synchronize(space, 0), VMMEM_ETIMEOUT);
	ck_assert_int_eq(owned_is_released(&first_owned), 0);

	vmmem_reader_leave(reader);
	/* Not by the reader: by who asks for it. */
	ck_assert_int_eq(owned_is_released(&first_owned), 0);
	assert_ok(vmmem_space_synchronize(space, 0));
	ck_assert_int_eq(owned_is_released(&first_owned), 1);
	ck_assert_uint_eq(vmmem_space_retired(space), 0);
}
END_TEST

START_TEST(sections_nest)
{
	struct vmmem_collection *map = vmmem_reader_enter(reader);
	int i;

	for (i = 0; i < 3; i++) {
		replace();
		ck_assert_ptr_eq(vmmem_reader_enter(reader), map);
	}
	for (i = 0; i < 3; i++) {
		vmmem_reader_leave(reader);
		assert_code(vmmem_space_synchronize(space, 0), VMMEM_ETIMEOUT);
		/* Still within: another one sees the same. */
		ck_assert_ptr_eq(vmmem_reader_enter(reader), map);
		vmmem_reader_leave(reader);
		ck_assert_int_eq(owned_is_released(&first_owned), 0);
	}
	vmmem_reader_leave(reader);
	assert_ok(vmmem_space_synchronize(space, 0));
	ck_assert_int_eq(owned_is_released(&first_owned), 1);
	ck_assert_ptr_ne(vmmem_reader_enter(reader), map);
	vmmem_reader_leave(reader);
}
END_TEST

/* The out-of-line forms mix with the others. */
START_TEST(exported_forms_do_the_same)
{
	struct vmmem_collection *map = exported_enter(reader);

	ck_assert_ptr_eq(map, vmmem_reader_enter(reader));
	exported_leave(reader);
	replace();
	assert_code(vmmem_space_synchronize(space, 0), VMMEM_ETIMEOUT);
	exported_leave(reader);
	assert_ok(vmmem_space_synchronize(space, 0));
	ck_assert_ptr_ne(vmmem_reader_enter(reader), NULL);
	replace();
	assert_code(vmmem_space_synchronize(space, 0), VMMEM_ETIMEOUT);
	exported_leave(reader);
	assert_ok(vmmem_space_synchronize(space, 0));
}
END_TEST

START_TEST(release_without_take)
{
	vmmem_reader_leave(reader);
	exported_leave(reader);
	vmmem_reader_enter(reader);
	replace();
	assert_code(vmmem_space_synchronize(space, 0), VMMEM_ETIMEOUT);
	vmmem_reader_leave(reader);
	vmmem_reader_leave(reader);
	assert_ok(vmmem_space_synchronize(space, 0));
	/* And the next section counts again. */
	vmmem_reader_enter(reader);
	replace();
	assert_code(vmmem_space_synchronize(space, 0), VMMEM_ETIMEOUT);
	vmmem_reader_leave(reader);
}
END_TEST

START_TEST(generation)
{
	uint64_t noted, now;

	ck_assert_uint_eq(vmmem_reader_generation(reader), 0);
	vmmem_reader_enter(reader);
	noted = vmmem_reader_generation(reader);
	ck_assert_uint_eq(noted, vmmem_space_generation(space));
	ck_assert_uint_ne(noted, 0);
	/* That of the section, not of the space. */
	replace();
	ck_assert_uint_eq(vmmem_reader_generation(reader), noted);
	ck_assert_uint_gt(vmmem_space_generation(space), noted);
	vmmem_reader_leave(reader);
	ck_assert_uint_eq(vmmem_reader_generation(reader), 0);

	vmmem_reader_enter(reader);
	now = vmmem_reader_generation(reader);
	ck_assert_uint_gt(now, noted);
	vmmem_reader_leave(reader);
	vmmem_reader_enter(reader);
	ck_assert_uint_eq(vmmem_reader_generation(reader), now);
	vmmem_reader_leave(reader);
}
END_TEST

/* A slice made in one section is good in the next if nothing has changed. */
START_TEST(slices_are_kept_by_generation)
{
	struct vmmem_slice slice;
	uint64_t noted;
	uint8_t byte;

	assert_ok(vmmem_collection_slice(vmmem_reader_enter(reader), 0x100, 16,
					 VMMEM_PROT_READ | VMMEM_PROT_WRITE,
					 &slice));
	noted = vmmem_reader_generation(reader);
	vmmem_reader_leave(reader);

	vmmem_reader_enter(reader);
	ck_assert_uint_eq(vmmem_reader_generation(reader), noted);
	/* A writer in the middle of the section takes nothing away. */
	replace();
	assert_ok(vmmem_slice_write_u8(&slice, 3, 0x55));
	assert_ok(vmmem_slice_read_u8(&slice, 3, &byte));
	ck_assert_uint_eq(byte, 0x55);
	ck_assert_uint_eq(first_owned.bytes[0x103], 0x55);
	vmmem_slice_release(&slice);
	vmmem_reader_leave(reader);

	vmmem_reader_enter(reader);
	ck_assert_uint_ne(vmmem_reader_generation(reader), noted);
	vmmem_reader_leave(reader);
}
END_TEST

/* Each reader is for itself. */
START_TEST(two_readers)
{
	struct vmmem_reader *other;
	struct vmmem_collection *map;

	assert_ok(vmmem_reader_new(space, NULL, &other));
	map = vmmem_reader_enter(reader);
	replace();
	ck_assert_ptr_ne(vmmem_reader_enter(other), map);
	vmmem_reader_leave(reader);
	/* The other one came later, and sees nothing that is retired. */
	assert_ok(vmmem_space_synchronize(space, 0));
	replace();
	assert_code(vmmem_space_synchronize(space, 0), VMMEM_ETIMEOUT);
	/* Whoever frees a reader ends its section. */
	ck_assert_ptr_null(vmmem_reader_free(other));
	assert_ok(vmmem_space_synchronize(space, 0));
}
END_TEST

START_TEST(a_reference_outlives_the_section)
{
	struct vmmem_collection *map;
	uint8_t byte;

	map = vmmem_collection_ref(vmmem_reader_enter(reader));
	vmmem_reader_leave(reader);
	replace();
	/* Nobody sees it, somebody holds it. */
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	ck_assert_uint_eq(vmmem_space_retired(space), 1);
	ck_assert_int_eq(owned_is_released(&first_owned), 0);
	assert_ok(vmmem_collection_read_u8(map, 0, &byte));
	/* Who lets go does not unmap. */
	vmmem_collection_unref(map);
	ck_assert_int_eq(owned_is_released(&first_owned), 0);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	ck_assert_int_eq(owned_is_released(&first_owned), 1);
}
END_TEST

/* A reader keeps its space. */
START_TEST(the_last_reader_ends_the_space)
{
	vmmem_space_unref(space);
	ck_assert_int_eq(owned_is_released(&first_owned), 0);
	assert_ok(vmmem_collection_write_u8(vmmem_reader_enter(reader), 0, 1));
	vmmem_reader_leave(reader);
	vmmem_reader_free(reader);
	ck_assert_int_eq(owned_is_released(&first_owned), 1);
	setup();
}
END_TEST

START_TEST(readers_have_cache_lines_of_their_own)
{
	struct vmmem_reader *many[16];
	int i;

	for (i = 0; i < 16; i++) {
		assert_ok(vmmem_reader_new(space, NULL, &many[i]));
		ck_assert_uint_eq((uintptr_t)many[i] % 64, 0);
	}
	for (i = 0; i < 16; i++)
		vmmem_reader_free(many[i]);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("reader");
	TCase *tcase = tcase_create("reader");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, arguments);
	tcase_add_test(tcase, take_gives_the_current_map);
	tcase_add_test(tcase, section_keeps_its_map);
	tcase_add_test(tcase, sections_nest);
	tcase_add_test(tcase, exported_forms_do_the_same);
	tcase_add_test(tcase, release_without_take);
	tcase_add_test(tcase, generation);
	tcase_add_test(tcase, slices_are_kept_by_generation);
	tcase_add_test(tcase, two_readers);
	tcase_add_test(tcase, a_reference_outlives_the_section);
	tcase_add_test(tcase, the_last_reader_ends_the_space);
	tcase_add_test(tcase, readers_have_cache_lines_of_their_own);
	suite_add_tcase(suite, tcase);
	return suite;
}
