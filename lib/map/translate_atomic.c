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

VMMEM_COLD int
vmmem_atomic_refuse(const struct vmmem_collection *collection, uint64_t gpa,
		    uint64_t size, uint32_t access)
{
	const struct vmmem_region_entry *entry;
	uint64_t offset, bad;
	int rc;

	rc = vmmem_collection_check_range(collection, gpa, size, 0, &bad);
	if (rc != 0)
		return rc;
	entry = vmmem_collection_find_entry(collection, gpa, &offset);
	if (!vmmem_range_within(entry->span, offset, size))
		return VMMEM_ECROSS;
	if ((gpa & (size - 1)) != 0)
		return VMMEM_EMISALIGNED;
	if ((access & ~entry->access) != 0)
		return VMMEM_EDENIED;
	if (vmmem_region_entry_host(entry) == NULL)
		return VMMEM_ENOHOST;
	return vmmem_private_refuses(vmmem_region_of(entry), offset, size);
}

static void *
host_of(const struct vmmem_place *place)
{
	return vmmem_region_entry_host(place->entry) + place->offset;
}

/*
 * translate_plain() is translate() of a plain collection, where shared bytes
 * are of a region that must be asked; all else is refused.
 */
static VMMEM_COLD int
translate_plain(const struct vmmem_collection *collection, uint64_t gpa,
		uint64_t size, uint32_t access, struct vmmem_place *ret_place)
{
	int rc;

	rc = vmmem_atomic_refuse(collection, gpa, size, access);
	if (rc != 0)
		return rc;
	*ret_place = (struct vmmem_place){ .map = collection, .iova = gpa };
	ret_place->entry = vmmem_collection_find_entry(collection, gpa,
						       &ret_place->offset);
	return 0;
}

/*
 * translate() finds the place of an atomic access of 'size' bytes, a power of
 * two.  If it returns 0, vmmem_translate_end() is due.
 */
static int
translate(const struct vmmem_collection *collection, uint64_t gpa,
	  uint64_t size, uint32_t access, struct vmmem_place *ret_place)
{
	int rc;

	if (collection->translation == NULL)
		return translate_plain(collection, gpa, size, access,
				       ret_place);
	/* The order of codes is that of a plain collection. */
	if ((gpa & (size - 1)) != 0) {
		rc = vmmem_translate_all(collection, gpa, size, 0, ret_place);
		if (rc != 0)
			return rc;
		vmmem_translate_end(ret_place);
		return VMMEM_EMISALIGNED;
	}
	if (likely(vmmem_translate_direct(collection, gpa, size, access,
					  ret_place)))
		rc = 0;
	else
		rc = vmmem_translate_all(collection, gpa, size, access,
					 ret_place);
	if (rc != 0)
		return rc;
	if (vmmem_region_entry_host(ret_place->entry) == NULL)
		rc = VMMEM_ENOHOST;
	else if (((uintptr_t)host_of(ret_place) & (size - 1)) != 0)
		rc = VMMEM_ECONGRUENCE;
	if (rc != 0)
		vmmem_translate_end(ret_place);
	return rc;
}

#define LOAD(bits)                                                         \
	int vmmem_translate_load_u##bits(                                  \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		int order, uint##bits##_t *ret_value)                      \
	{                                                                  \
		struct vmmem_place place;                                  \
		uint##bits##_t value;                                      \
		int rc;                                                    \
                                                                           \
		rc = translate(collection, gpa, (bits) / 8,                \
			       VMMEM_PROT_READ, &place);                   \
		if (rc != 0)                                               \
			return rc;                                         \
		rc = vmmem_atomic_load_u##bits(host_of(&place), order,     \
					       &value);                    \
		vmmem_translate_end(&place);                               \
		if (likely(rc == 0))                                       \
			*ret_value = value;                                \
		return rc;                                                 \
	}

#define STORE(bits)                                                        \
	int vmmem_translate_store_u##bits(                                 \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		uint##bits##_t value, int order)                           \
	{                                                                  \
		struct vmmem_place place;                                  \
		int rc;                                                    \
                                                                           \
		rc = translate(collection, gpa, (bits) / 8,                \
			       VMMEM_PROT_WRITE, &place);                  \
		if (rc != 0)                                               \
			return rc;                                         \
		rc = vmmem_atomic_store_u##bits(host_of(&place), value,    \
						order);                    \
		if (likely(rc == 0))                                       \
			vmmem_place_written(&place, 0, (bits) / 8);        \
		vmmem_translate_end(&place);                               \
		return rc;                                                 \
	}

#define MODIFY(name, bits)                                                 \
	VMMEM_SEE_MODIFY(name, bits)                                       \
	{                                                                  \
		struct vmmem_place place;                                  \
		uint##bits##_t previous;                                   \
		int rc;                                                    \
                                                                           \
		rc = translate(collection, gpa, (bits) / 8,                \
			       VMMEM_READ_WRITE, &place);                  \
		if (rc != 0)                                               \
			return rc;                                         \
		rc = vmmem_atomic_##name##_u##bits(                        \
			host_of(&place), operand, order, &previous);       \
		if (likely(rc == 0))                                       \
			vmmem_place_written(&place, 0, (bits) / 8);        \
		vmmem_translate_end(&place);                               \
		if (likely(rc == 0) && ret_previous != NULL)               \
			*ret_previous = previous;                          \
		return rc;                                                 \
	}

#define COMPARE_EXCHANGE(bits)                                             \
	int vmmem_translate_compare_exchange_u##bits(                      \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		uint##bits##_t expected, uint##bits##_t desired,           \
		int order, uint##bits##_t *ret_previous)                   \
	{                                                                  \
		struct vmmem_place place;                                  \
		uint##bits##_t previous;                                   \
		int rc;                                                    \
                                                                           \
		rc = translate(collection, gpa, (bits) / 8,                \
			       VMMEM_READ_WRITE, &place);                  \
		if (rc != 0)                                               \
			return rc;                                         \
		rc = vmmem_atomic_compare_exchange_u##bits(                \
			host_of(&place), expected, desired, order,         \
			&previous);                                        \
		/* A value that was not stored is not marked. */           \
		if (likely(rc == 0) && previous == expected)               \
			vmmem_place_written(&place, 0, (bits) / 8);        \
		vmmem_translate_end(&place);                               \
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
