/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Atomic operations through an iommu; and the refusal of those that a plain
 * collection has no place for.
 */
#include <vmmem/error.h>

#include "base/api.h"
#include "map/atomic_priv.h"
#include "guest/guest_atomic.h"
#include "map/translate.h"
#include "region/private_priv.h"

static void *
host_of(const struct vmmem_seen *seen)
{
	return vmmem_entry_host(seen->entry) + seen->offset;
}

/*
 * see_plain() is see() of a plain collection, where shared bytes are of a
 * region that must be asked; all else is refused.
 */
static VMMEM_COLD int
see_plain(const struct vmmem_collection *collection, uint64_t gpa,
	  uint64_t size, uint32_t access, struct vmmem_seen *ret_seen)
{
	int rc;

	rc = vmmem_atomic_refuse(collection, gpa, size, access);
	if (rc != 0)
		return rc;
	*ret_seen = (struct vmmem_seen){ .map = collection, .iova = gpa };
	ret_seen->entry = vmmem_find(collection, gpa, &ret_seen->offset);
	return 0;
}

/*
 * see() finds the place of an atomic access of 'size' bytes, a power of two.
 * If it returns 0, vmmem_unsee() is due.
 */
static int
see(const struct vmmem_collection *collection, uint64_t gpa, uint64_t size,
    uint32_t access, struct vmmem_seen *ret_seen)
{
	int rc;

	if (collection->translation == NULL)
		return see_plain(collection, gpa, size, access, ret_seen);
	/* The order of codes is that of a plain collection. */
	if ((gpa & (size - 1)) != 0) {
		rc = vmmem_see_all(collection, gpa, size, 0, ret_seen);
		if (rc != 0)
			return rc;
		vmmem_unsee(ret_seen);
		return VMMEM_EMISALIGNED;
	}
	if (likely(vmmem_see_direct(collection, gpa, size, access, ret_seen)))
		rc = 0;
	else
		rc = vmmem_see_all(collection, gpa, size, access, ret_seen);
	if (rc != 0)
		return rc;
	if (vmmem_entry_host(ret_seen->entry) == NULL)
		rc = VMMEM_ENOHOST;
	else if (((uintptr_t)host_of(ret_seen) & (size - 1)) != 0)
		rc = VMMEM_ECONGRUENCE;
	if (rc != 0)
		vmmem_unsee(ret_seen);
	return rc;
}

#define LOAD(bits)                                                         \
	int vmmem_see_load_u##bits(                                        \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		int order, uint##bits##_t *ret_value)                      \
	{                                                                  \
		struct vmmem_seen seen;                                    \
		uint##bits##_t value;                                      \
		int rc;                                                    \
                                                                           \
		rc = see(collection, gpa, (bits) / 8, VMMEM_PROT_READ,     \
			 &seen);                                           \
		if (rc != 0)                                               \
			return rc;                                         \
		rc = vmmem_atomic_load_u##bits(host_of(&seen), order,      \
					       &value);                    \
		vmmem_unsee(&seen);                                        \
		if (likely(rc == 0))                                       \
			*ret_value = value;                                \
		return rc;                                                 \
	}

#define STORE(bits)                                                        \
	int vmmem_see_store_u##bits(                                       \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		uint##bits##_t value, int order)                           \
	{                                                                  \
		struct vmmem_seen seen;                                    \
		int rc;                                                    \
                                                                           \
		rc = see(collection, gpa, (bits) / 8, VMMEM_PROT_WRITE,    \
			 &seen);                                           \
		if (rc != 0)                                               \
			return rc;                                         \
		rc = vmmem_atomic_store_u##bits(host_of(&seen), value,     \
						order);                    \
		if (likely(rc == 0))                                       \
			vmmem_seen_written(&seen, 0, (bits) / 8);          \
		vmmem_unsee(&seen);                                        \
		return rc;                                                 \
	}

#define MODIFY(name, bits)                                                 \
	VMMEM_SEE_MODIFY(name, bits)                                       \
	{                                                                  \
		struct vmmem_seen seen;                                    \
		uint##bits##_t previous;                                   \
		int rc;                                                    \
                                                                           \
		rc = see(collection, gpa, (bits) / 8, VMMEM_READ_WRITE,    \
			 &seen);                                           \
		if (rc != 0)                                               \
			return rc;                                         \
		rc = vmmem_atomic_##name##_u##bits(                        \
			host_of(&seen), operand, order, &previous);        \
		if (likely(rc == 0))                                       \
			vmmem_seen_written(&seen, 0, (bits) / 8);          \
		vmmem_unsee(&seen);                                        \
		if (likely(rc == 0) && ret_previous != NULL)               \
			*ret_previous = previous;                          \
		return rc;                                                 \
	}

#define COMPARE_EXCHANGE(bits)                                             \
	int vmmem_see_compare_exchange_u##bits(                            \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		uint##bits##_t expected, uint##bits##_t desired,           \
		int order, uint##bits##_t *ret_previous)                   \
	{                                                                  \
		struct vmmem_seen seen;                                    \
		uint##bits##_t previous;                                   \
		int rc;                                                    \
                                                                           \
		rc = see(collection, gpa, (bits) / 8, VMMEM_READ_WRITE,    \
			 &seen);                                           \
		if (rc != 0)                                               \
			return rc;                                         \
		rc = vmmem_atomic_compare_exchange_u##bits(                \
			host_of(&seen), expected, desired, order,          \
			&previous);                                        \
		/* A value that was not stored is not marked. */           \
		if (likely(rc == 0) && previous == expected)               \
			vmmem_seen_written(&seen, 0, (bits) / 8);          \
		vmmem_unsee(&seen);                                        \
		if (likely(rc == 0))                                       \
			*ret_previous = previous;                          \
		return rc;                                                 \
	}

#define ALL(bits)                                                          \
	LOAD(bits)                                                         \
	STORE(bits)                                                        \
	MODIFY(exchange, bits)                                             \
	MODIFY(fetch_add, bits)                                            \
	MODIFY(fetch_or, bits)                                             \
	MODIFY(fetch_and, bits)                                            \
	COMPARE_EXCHANGE(bits)

ALL(8)
ALL(16)
ALL(32)
ALL(64)
