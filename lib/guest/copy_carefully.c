/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The copy engine's slow way, for memory that may be gone: see copy.h.  Each
 * group is one access, and the next comes after it.
 */
#include "guest/copy.h"

/* GROUPS() makes a STEP() for each group of 'len' bytes at 'guest'. */
#define GROUPS(guest)                                                      \
	do {                                                               \
		if (len >= 1 && !VMMEM_ALIGNED(guest, 2))                  \
			STEP(8, 1);                                        \
		if (len >= 2 && !VMMEM_ALIGNED(guest, 4))                  \
			STEP(16, 2);                                       \
		if (len >= 4 && !VMMEM_ALIGNED(guest, 8))                  \
			STEP(32, 4);                                       \
		while (len >= 8)                                           \
			STEP(64, 8);                                       \
		if (len >= 4)                                              \
			STEP(32, 4);                                       \
		if (len >= 2)                                              \
			STEP(16, 2);                                       \
		if (len >= 1)                                              \
			STEP(8, 1);                                        \
	} while (0)

size_t
vmmem_copy_read_carefully(void *to, const void *from, size_t len)
{
	const unsigned char *guest = from;
	unsigned char *buf = to;

#define STEP(type, size)                                                   \
	do {                                                               \
		if (!(vmmem_from_guest_##type(buf, guest)))                \
			return len;                                        \
		buf += (size), guest += (size);                            \
		len -= (size);                                             \
	} while (0)
	GROUPS(guest);
#undef STEP
	return 0;
}

size_t
vmmem_copy_write_carefully(void *to, const void *from, size_t len)
{
	const unsigned char *buf = from;
	unsigned char *guest = to;

#define STEP(type, size)                                                   \
	do {                                                               \
		if (!(vmmem_to_guest_##type(guest, buf)))                  \
			return len;                                        \
		buf += (size), guest += (size);                            \
		len -= (size);                                             \
	} while (0)
	GROUPS(guest);
#undef STEP
	return 0;
}

size_t
vmmem_copy_fill_carefully(void *to, uint8_t value, size_t len)
{
	unsigned char *guest = to;
	uint64_t pattern;

	memset(&pattern, value, sizeof(pattern));
#define STEP(type, size)                                                   \
	do {                                                               \
		if (!(vmmem_to_guest_##type(guest, &pattern)))             \
			return len;                                        \
		guest += (size);                                           \
		len -= (size);                                             \
	} while (0)
	GROUPS(guest);
#undef STEP
	return 0;
}

size_t
vmmem_copy_carefully(void *to, const void *from, size_t len)
{
	const unsigned char *source = from;
	unsigned char *target = to;
	uint64_t value;

#define STEP(type, size)                                                   \
	do {                                                               \
		if (!(vmmem_from_guest_##type(&value, source) &&           \
		      vmmem_to_guest_##type(target, &value)))              \
			return len;                                        \
		source += (size), target += (size);                        \
		len -= (size);                                             \
	} while (0)
	GROUPS(target);
#undef STEP
	return 0;
}

/*
 * Not a careful way of another: there is none that is faster.  Only what
 * overlaps comes here, in pieces of a few hundred bytes.
 */
size_t
vmmem_copy_to_guest_downwards(void *to, const void *from, size_t len)
{
	unsigned char *guest = to;
	const unsigned char *buf = from;

#define STEP(type, size)                                                   \
	do {                                                               \
		if (!vmmem_to_guest_##type(guest + len - (size),           \
					   buf + len - (size)))            \
			return len;                                        \
		len -= (size);                                             \
	} while (0)
	if (len >= 1 && !VMMEM_ALIGNED(guest + len, 2))
		STEP(8, 1);
	if (len >= 2 && !VMMEM_ALIGNED(guest + len, 4))
		STEP(16, 2);
	if (len >= 4 && !VMMEM_ALIGNED(guest + len, 8))
		STEP(32, 4);
	while (len >= 8)
		STEP(64, 8);
	if (len >= 4)
		STEP(32, 4);
	if (len >= 2)
		STEP(16, 2);
	if (len >= 1)
		STEP(8, 1);
#undef STEP
	return 0;
}
