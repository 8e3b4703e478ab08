/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What the rules of tools/mutate find, and what they leave alone. */
#include "a/file.h"

#define MACRO(x) ((x) + 1 < 2 && \
		  3)

_Static_assert(sizeof(int) == 4, "no function");

static const int table[2] = { 1, 2 };

struct thing {
	int a, b;
};

static int
calculate(struct thing *thing, uint64_t len)
{
	struct thing *next = NULL, **other = &next;
	const char *text = "a + b == \" c"; /* 1 + 1 */
	char buf[16];
	uint64_t sum = (uint64_t)-1 * len;

	_Static_assert(1 + 1 == 2, "left alone");
	__asm__ volatile("nop" : : "r"(len + 1));
#if MACRO(1)
	if (thing == NULL)
		return VMMEM_EFIRST;
#endif
	if (len <= 0x10 && !thing->a)
		return -EINVAL;
	thing->a = 7;
	thing->b = 8U;
	thing->a += thing->b;
	*other = thing;
	for (; len != 0; len--)
		sum |= len << 3;
	LIST_FOREACH(thing, &list, link) {
		pthread_mutex_lock(&lock);
		use(thing);
	}
	switch (sum) {
	case 4:
		break;
	default:
		goto out;
	}
	do {
		sum = len > 5 ? first(1) : second;
	} while (0);
out:
	__atomic_store_n(&sum, (uint64_t)text[0], __ATOMIC_RELEASE);
	return sum == (uint64_t)buf[1] ? VMMEM_ELAST : 0;
}
