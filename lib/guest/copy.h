/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The copy engine: every byte that the library moves to or from guest memory
 * goes through here, because libc's memcpy() promises nothing about how it
 * accesses memory (CVE-2020-13759), and a guest, a device or another thread
 * may look at the same bytes meanwhile.
 *
 * The promise: each naturally aligned group of 1, 2, 4 or 8 guest bytes within
 * the range is accessed once and as a whole.  The alignment that counts is the
 * guest's; the caller's buffer may lie anywhere.
 */
#ifndef COPY_H
#define COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "guest/guest_access.h"

/*
 * Copy functions return the number of bytes that they did NOT copy, as
 * copy_from_user() does: 0, unless the memory behind one was gone
 * (guest_access.h).  The bytes that were copied are then the first ones.
 */
size_t vmmem_copy_from_guest_any(void *buf, const void *guest, size_t len);
size_t vmmem_copy_to_guest_any(void *guest, const void *buf, size_t len);

/*
 * vmmem_copy_to_guest_downwards() begins with the last byte.  The bytes that it
 * did not copy are the first ones.
 */
size_t vmmem_copy_to_guest_downwards(void *guest, const void *buf, size_t len);

/*
 * The same, slowly: group by group from the beginning, so that what is left is
 * told to the byte.  Where a faster way finds memory gone, this goes on from
 * what that one has surely done.  In copy_carefully.c, with the one above.
 */
size_t vmmem_copy_read_carefully(void *buf, const void *guest, size_t len);
size_t vmmem_copy_write_carefully(void *guest, const void *buf, size_t len);
size_t vmmem_copy_fill_carefully(void *guest, uint8_t value, size_t len);
/* Between guest addresses that are aligned alike modulo 8, upwards. */
size_t vmmem_copy_carefully(void *target, const void *source, size_t len);

/*
 * A transfer reads and writes guest memory by any means: 'read' and 'write'
 * move the bytes [position, position + len) of it and return 0 or a code, which
 * ends it.  'write' adds what it wrote to '*done'; if it could not write all,
 * these are the first bytes of an upwards transfer and the last of any other.
 * 'target' and 'source' are addresses; modulo 8 they tell where groups begin.
 */
struct vmmem_transfer {
	int (*read)(void *context, uint64_t position, void *buf, size_t len);
	int (*write)(void *context, uint64_t position, const void *buf,
		     size_t len, uint64_t *done);
	void *context;
	uint64_t target;
	uint64_t source;
	uint64_t len;
};

/*
 * vmmem_transfer_is_upwards() tells whether a transfer writes its first bytes
 * first.  It does unless they would overwrite what is still to be read, because
 * the target begins within the source, behind its first byte.  Unsigned: true
 * too where the target is the source, or lies below it.
 */
static inline bool
vmmem_transfer_is_upwards(uint64_t target, uint64_t source, uint64_t len)
{
	return target - source - 1 >= len - 1;
}

/*
 * vmmem_transfer() makes a transfer, as memmove() would.  It returns 0 or the
 * code that ended it, and stores how many bytes were written.
 */
int vmmem_transfer(const struct vmmem_transfer *transfer, uint64_t *ret_done);

/*
 * vmmem_copy_within_guest() copies between guest addresses; the ranges may
 * overlap, as for memmove().  What is left are the last bytes, or the first
 * ones if the copy is not upwards.
 */
size_t vmmem_copy_within_guest(void *target, const void *source, size_t len);

/* vmmem_copy_fill() sets guest bytes to 'value'. */
size_t vmmem_copy_fill(void *guest, uint8_t value, size_t len);

/*
 * The accesses themselves, between the guest and a buffer that lies anywhere.
 */
#define VMMEM_GUEST_ACCESS(bits)                                           \
	static inline bool vmmem_from_guest_##bits(void *buf,              \
						   const void *guest)      \
	{                                                                  \
		uint##bits##_t value;                                      \
                                                                           \
		if (!vmmem_guest_load_##bits(guest, &value))               \
			return false;                                      \
		memcpy(buf, &value, sizeof(value));                        \
		return true;                                               \
	}                                                                  \
                                                                           \
	static inline bool vmmem_to_guest_##bits(void *guest,              \
						 const void *buf)          \
	{                                                                  \
		uint##bits##_t value;                                      \
                                                                           \
		memcpy(&value, buf, sizeof(value));                        \
		return vmmem_guest_store_##bits(guest, value);             \
	}

VMMEM_GUEST_ACCESS(8)
VMMEM_GUEST_ACCESS(16)
VMMEM_GUEST_ACCESS(32)
VMMEM_GUEST_ACCESS(64)

#define VMMEM_ALIGNED(pointer, size) (((uintptr_t)(pointer) & ((size)-1)) == 0)

/*
 * vmmem_copy_aligned_from_guest() copies 1, 2, 4 or 8 guest bytes, a constant,
 * that are aligned to their number.  Returns whether they were there.
 */
static inline bool
vmmem_copy_aligned_from_guest(void *buf, const void *guest, size_t len)
{
	if (len == 8)
		return vmmem_from_guest_64(buf, guest);
	if (len == 4)
		return vmmem_from_guest_32(buf, guest);
	if (len == 2)
		return vmmem_from_guest_16(buf, guest);
	return vmmem_from_guest_8(buf, guest);
}

/* vmmem_copy_aligned_to_guest() copies as many to the guest. */
static inline bool
vmmem_copy_aligned_to_guest(void *guest, const void *buf, size_t len)
{
	if (len == 8)
		return vmmem_to_guest_64(guest, buf);
	if (len == 4)
		return vmmem_to_guest_32(guest, buf);
	if (len == 2)
		return vmmem_to_guest_16(guest, buf);
	return vmmem_to_guest_8(guest, buf);
}

/* vmmem_fits_one_access() tells whether all of it is one access. */
static inline bool
vmmem_fits_one_access(const void *guest, size_t len)
{
	return (len == 8 && VMMEM_ALIGNED(guest, 8)) ||
	       (len == 4 && VMMEM_ALIGNED(guest, 4)) ||
	       (len == 2 && VMMEM_ALIGNED(guest, 2)) || len == 1;
}

/*
 * Forced inline: GCC takes the directives of the exception table for
 * instructions, and thinks that the function is too big.
 */
#define VMMEM_COPY_INLINE static inline __attribute__((__always_inline__))

/*
 * vmmem_copy_from_guest() copies 'len' guest bytes to 'buf'.  Where 'len' is a
 * constant that a processor can access at once, this is that access.
 */
VMMEM_COPY_INLINE size_t
vmmem_copy_from_guest(void *buf, const void *guest, size_t len)
{
	if (len > 8 || !vmmem_fits_one_access(guest, len))
		return vmmem_copy_from_guest_any(buf, guest, len);
	return vmmem_copy_aligned_from_guest(buf, guest, len) ? 0 : len;
}

/* vmmem_copy_to_guest() copies 'len' bytes from 'buf' to the guest. */
VMMEM_COPY_INLINE size_t
vmmem_copy_to_guest(void *guest, const void *buf, size_t len)
{
	if (len > 8 || !vmmem_fits_one_access(guest, len))
		return vmmem_copy_to_guest_any(guest, buf, len);
	return vmmem_copy_aligned_to_guest(guest, buf, len) ? 0 : len;
}

#endif
