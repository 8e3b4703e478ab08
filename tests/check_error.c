/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include <vmmem/error.h>

#include "suite.h"

#define NAME(code) { code, #code }
#define SYSTEM(code) { -code, #code }

static const struct named_code {
	int code;
	const char *name;
} own_codes[] = {
	NAME(VMMEM_EARGUMENT),      NAME(VMMEM_ENOREGION),
	NAME(VMMEM_EOVERLAP),    NAME(VMMEM_EUNSORTED),
	NAME(VMMEM_EBADADDR),    NAME(VMMEM_EOUTOFRANGE),
	NAME(VMMEM_EWRAPS),   NAME(VMMEM_EPARTIAL),
	NAME(VMMEM_ENOHOST),     NAME(VMMEM_EDENIED),
	NAME(VMMEM_EMISALIGNED), NAME(VMMEM_ECROSS),
	NAME(VMMEM_EORDER),      NAME(VMMEM_EZEROLEN),
	NAME(VMMEM_EEXISTS),     NAME(VMMEM_EPASTEOF),
	NAME(VMMEM_EFILEOFFSET), NAME(VMMEM_ECONGRUENCE),
	NAME(VMMEM_ESTRUCTSIZE), NAME(VMMEM_ESTRUCTNEWER),
	NAME(VMMEM_EHUGEPAGE),   NAME(VMMEM_ETOOBIG),
	NAME(VMMEM_EEOF),        NAME(VMMEM_EIOMMUMISS),
	NAME(VMMEM_ECALLBACK),   NAME(VMMEM_ENOFILE),
	NAME(VMMEM_ELONGNAME), NAME(VMMEM_ENOSLOT),
	NAME(VMMEM_ESLOTALIGN),  NAME(VMMEM_ENOBITMAP),
	NAME(VMMEM_EFILERANGE),  NAME(VMMEM_ENOROOM),
	NAME(VMMEM_ESTOPPED),   NAME(VMMEM_ENOSUPPORT),
	NAME(VMMEM_ESHORTAGE),   NAME(VMMEM_ENONODE),
	NAME(VMMEM_ENODISCARD),  NAME(VMMEM_EFILETYPE),
	NAME(VMMEM_ESEALS),      NAME(VMMEM_ESHRINKABLE),
	NAME(VMMEM_EFILEACCESS), NAME(VMMEM_EGONE),
	NAME(VMMEM_EHANDLERS),   NAME(VMMEM_ESELFWAIT),
	NAME(VMMEM_EUNLOGGED),
	NAME(VMMEM_EREGIONCOUNT), NAME(VMMEM_EDESCRIPTORS),
	NAME(VMMEM_EUSEROVERLAP), NAME(VMMEM_EUSERADDR),
	NAME(VMMEM_ELOGSHORT),   NAME(VMMEM_EMESSAGE),
	NAME(VMMEM_EREGIONBYTES), NAME(VMMEM_ETIMEOUT),
	NAME(VMMEM_EFORKED),
	NAME(VMMEM_EPINNED),    NAME(VMMEM_EPRIVATE),
};

/* What the calls that the library makes can say, and the ends of the list. */
static const struct named_code system_codes[] = {
	SYSTEM(EPERM),  SYSTEM(EINTR),  SYSTEM(EIO),       SYSTEM(EBADF),
	SYSTEM(EAGAIN), SYSTEM(ENOMEM), SYSTEM(EACCES),    SYSTEM(EFAULT),
	SYSTEM(ENODEV), SYSTEM(EINVAL), SYSTEM(ENFILE),    SYSTEM(EMFILE),
	SYSTEM(EFBIG),  SYSTEM(ENOSPC), SYSTEM(EOVERFLOW), SYSTEM(EHWPOISON),
};

static const int no_codes[] = { 1, 2, INT_MAX, INT_MIN, -4095, -4096, -4999 };

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

START_TEST(numbers_run_without_a_gap)
{
	int i;

	for (i = 0; i < COUNT(own_codes); i++)
		ck_assert_int_eq(own_codes[i].code, VMMEM_EARGUMENT - i);
	ck_assert_int_eq(VMMEM_EARGUMENT, -4097);
}
END_TEST

START_TEST(own_code_has_its_name)
{
	ck_assert_str_eq(vmmem_error_name(own_codes[_i].code),
			 own_codes[_i].name);
}
END_TEST

START_TEST(own_code_has_an_errno)
{
	int number = vmmem_error_errno(own_codes[_i].code);

	ck_assert_int_gt(number, 0);
	ck_assert_int_lt(number, 4096);
	ck_assert_ptr_nonnull(vmmem_error_name(-number));
}
END_TEST

START_TEST(errnos)
{
	int i;

	ck_assert_int_eq(vmmem_error_errno(0), 0);
	for (i = 0; i < COUNT(system_codes); i++)
		ck_assert_int_eq(vmmem_error_errno(system_codes[i].code),
				 -system_codes[i].code);
	ck_assert_int_eq(vmmem_error_errno(-4095), 4095);
	ck_assert_int_eq(vmmem_error_errno(-4096), EIO);
	ck_assert_int_eq(vmmem_error_errno(-4999), EIO);
	ck_assert_int_eq(vmmem_error_errno(1), EIO);
	ck_assert_int_eq(vmmem_error_errno(INT_MAX), EIO);
	ck_assert_int_eq(vmmem_error_errno(INT_MIN), EIO);
	ck_assert_int_eq(vmmem_error_errno(VMMEM_EARGUMENT), EINVAL);
	ck_assert_int_eq(vmmem_error_errno(VMMEM_EBADADDR), EFAULT);
	ck_assert_int_eq(vmmem_error_errno(VMMEM_EDENIED), EACCES);
	ck_assert_int_eq(vmmem_error_errno(VMMEM_EOVERLAP), EEXIST);
	ck_assert_int_eq(vmmem_error_errno(VMMEM_ENOREGION), ENOENT);
	ck_assert_int_eq(vmmem_error_errno(VMMEM_ESELFWAIT), EDEADLK);
	ck_assert_int_eq(vmmem_error_errno(VMMEM_ETIMEOUT), ETIMEDOUT);
}
END_TEST

START_TEST(own_code_has_its_own_text)
{
	const char *text = vmmem_strerror(own_codes[_i].code);
	int i;

	ck_assert_uint_gt(strlen(text), 10);
	ck_assert_int_ne(text[strlen(text) - 1], '.');
	ck_assert_int_ne(text[strlen(text) - 1], '\n');
	ck_assert(isalpha((unsigned char)text[0]));
	ck_assert_ptr_null(strstr(text, "0x"));
	ck_assert_str_ne(text, "unknown code");
	for (i = 0; i < _i; i++)
		ck_assert_str_ne(text, vmmem_strerror(own_codes[i].code));
}
END_TEST

START_TEST(list_ends_where_the_header_ends)
{
	int code = VMMEM_EARGUMENT;

	while (vmmem_error_name(code) != NULL)
		code--;
	ck_assert_int_eq(VMMEM_EARGUMENT - code, COUNT(own_codes));
	ck_assert_str_eq(vmmem_strerror(code), "unknown code");
}
END_TEST

START_TEST(system_code_has_its_name_and_text)
{
	int code = system_codes[_i].code;

	ck_assert_str_eq(vmmem_error_name(code), system_codes[_i].name);
	ck_assert_str_ne(vmmem_strerror(code), "unknown code");
	ck_assert_uint_gt(strlen(vmmem_strerror(code)), 2);
}
END_TEST

START_TEST(success_has_name_and_text)
{
	ck_assert_str_eq(vmmem_error_name(0), "0");
	ck_assert_str_ne(vmmem_strerror(0), "unknown code");
}
END_TEST

START_TEST(any_other_value_is_unknown)
{
	ck_assert_ptr_null(vmmem_error_name(no_codes[_i]));
	ck_assert_str_eq(vmmem_strerror(no_codes[_i]), "unknown code");
}
END_TEST

/* Whatever the value, there is a text, and a name goes with a real text. */
START_TEST(no_value_is_without_text)
{
	int code;

	for (code = -5000; code <= 200; code++) {
		const char *text = vmmem_strerror(code);
		int named = vmmem_error_name(code) != NULL;

		if (text == NULL ||
		    named == (strcmp(text, "unknown code") == 0))
			ck_abort_msg("code %d: name and text disagree", code);
	}
}
END_TEST

/* The strings are constants: a later call does not change them. */
START_TEST(text_stays)
{
	const char *text = vmmem_strerror(VMMEM_EOVERLAP);
	const char *system_text = vmmem_strerror(-ENOMEM);
	char copy[200], system_copy[200];

	ck_assert_uint_lt(strlen(text), sizeof(copy));
	ck_assert_uint_lt(strlen(system_text), sizeof(system_copy));
	strcpy(copy, text);
	strcpy(system_copy, system_text);
	ck_assert_ptr_nonnull(vmmem_strerror(-EBADF));
	ck_assert_ptr_nonnull(vmmem_strerror(12345));
	ck_assert_str_eq(text, copy);
	ck_assert_str_eq(system_text, system_copy);
	ck_assert_ptr_eq(vmmem_strerror(-ENOMEM), system_text);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("error");
	TCase *tcase = tcase_create("error");

	tcase_add_test(tcase, numbers_run_without_a_gap);
	tcase_add_loop_test(tcase, own_code_has_its_name, 0, COUNT(own_codes));
	tcase_add_loop_test(tcase, own_code_has_its_own_text, 0,
			    COUNT(own_codes));
	tcase_add_loop_test(tcase, own_code_has_an_errno, 0,
			    COUNT(own_codes));
	tcase_add_test(tcase, errnos);
	tcase_add_test(tcase, list_ends_where_the_header_ends);
	tcase_add_loop_test(tcase, system_code_has_its_name_and_text, 0,
			    COUNT(system_codes));
	tcase_add_test(tcase, success_has_name_and_text);
	tcase_add_loop_test(tcase, any_other_value_is_unknown, 0,
			    COUNT(no_codes));
	tcase_add_test(tcase, no_value_is_without_text);
	tcase_add_test(tcase, text_stays);
	suite_add_tcase(suite, tcase);
	return suite;
}
