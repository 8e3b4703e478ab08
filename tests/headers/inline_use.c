/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Each inline helper beside its exported twin, in the common subset of C and
 * C++: called by name, which the compiler may expand, and through a volatile
 * pointer, which it may not.  Compiled with -DCALLS_ONLY only the calls by name
 * are there, so that the object shows what became of them.
 */
#include <stdio.h>

#include <vmmem/vmmem.h>

#ifdef CALLS_ONLY
#define TWIN(function, pointer) function
#else
/* A pointer that the compiler must load, and so cannot see through. */
#define TWIN(function, pointer) pointer
#endif

typedef int (*binary)(uint64_t, uint64_t, uint64_t *);

extern int failures;
extern int address_twins(uint64_t a, uint64_t b);

int failures;

static void
same(const char *name, int code, uint64_t value, int twin_code,
     uint64_t twin_value)
{
	if (code == twin_code && value == twin_value)
		return;
	printf("FAIL: %s() and its exported twin differ\n", name);
	failures++;
}

#define BINARY(function)                                                   \
	do {                                                               \
		binary volatile pointer = NULL;                            \
		uint64_t value = 42, twin_value = 42;                      \
		int code, twin_code;                                       \
                                                                           \
		(void)pointer;                                             \
		ASSIGN(pointer, function);                                 \
		code = function(a, b, &value);                             \
		twin_code = TWIN(function, pointer)(a, b, &twin_value);    \
		same(#function, code, value, twin_code, twin_value);       \
	} while (0)

#ifdef CALLS_ONLY
#define ASSIGN(pointer, function) ((void)0)
#else
#define ASSIGN(pointer, function) (pointer = (function))
#endif

int
address_twins(uint64_t a, uint64_t b)
{
	BINARY(vmmem_address_checked_add);
	BINARY(vmmem_address_checked_sub);
	BINARY(vmmem_address_align_up);
	BINARY(vmmem_address_align_down);
	BINARY(vmmem_address_range_last);
	return failures;
}

int
main(void)
{
	static const uint64_t values[] = {
		0, 1, 2, 3, 4096, 4097, UINT64_C(0x0123456789abcdef),
		UINT64_MAX - 4096, UINT64_MAX - 1, UINT64_MAX,
	};
	const size_t count = sizeof(values) / sizeof(values[0]);
	size_t i, j;

	for (i = 0; i < count; i++)
		for (j = 0; j < count; j++)
			(void)address_twins(values[i], values[j]);
	return failures != 0;
}
