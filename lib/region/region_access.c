/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Bytes of one region, by their place in it. */
#include <vmmem/error.h>
#include <vmmem/region.h>

#include "base/api.h"
#include "guest/copy.h"
#include "guest/guest_atomic.h"
#include "base/range.h"
#include "region/mark.h"
#include "region/private_priv.h"
#include "region/region_priv.h"

/* check() is for [offset, offset + len), not empty. */
static int
check(const struct vmmem_region *region, uint64_t offset, size_t len,
      uint32_t access)
{
	const struct vmmem_region_entry *entry = &region->entry;

	if (offset > entry->span ||
	    !vmmem_range_within(entry->span, offset, len))
		return VMMEM_EOUTOFRANGE;
	if ((access & ~entry->access) != 0)
		return VMMEM_EDENIED;
	/* Of no access the range alone is checked. */
	if (access == 0)
		return 0;
	return vmmem_private_entry_shared(entry, offset, len) != len ?
		       VMMEM_EPRIVATE :
		       0;
}

VMMEM_API int
vmmem_region_read(const struct vmmem_region *region, uint64_t offset,
		  void *buf, size_t len, size_t *ret_done)
{
	uint64_t done = 0;
	int rc = 0;

	if (region == NULL || (buf == NULL && len != 0))
		return VMMEM_EARGUMENT;
	if (len != 0)
		rc = check(region, offset, len, VMMEM_PROT_READ);
	if (rc == 0 && len != 0 && region->host != NULL) {
		done = len - vmmem_copy_from_guest(buf, region->host + offset,
						   len);
		rc = done != len ? VMMEM_EGONE : 0;
	} else if (rc == 0 && len != 0) {
		rc = vmmem_region_call_read(region, offset, buf, len, &done);
	}
	if (ret_done != NULL)
		*ret_done = (size_t)done;
	return rc;
}

VMMEM_API int
vmmem_region_write(struct vmmem_region *region, uint64_t offset,
		   const void *buf, size_t len, size_t *ret_done)
{
	uint64_t done = 0, marked;
	int rc = 0;

	if (region == NULL || (buf == NULL && len != 0))
		return VMMEM_EARGUMENT;
	if (len != 0)
		rc = check(region, offset, len, VMMEM_PROT_WRITE);
	if (rc == 0 && len != 0) {
		if (region->host != NULL) {
			done = len - vmmem_copy_to_guest(region->host + offset,
							 buf, len);
			rc = done != len ? VMMEM_EGONE : 0;
			marked = done;
		} else {
			rc = vmmem_region_call_write(region, offset, buf, len,
						     &done);
			/* A callback that failed may have written some. */
			marked = len;
		}
		if (marked != 0)
			vmmem_mark_written(&region->entry, offset, marked);
	}
	if (ret_done != NULL)
		*ret_done = (size_t)done;
	return rc;
}

/* fill() fills [offset, offset + len), not empty, and marks it. */
static int
fill(struct vmmem_region *region, uint64_t offset, uint64_t len, uint8_t value,
     uint64_t *done)
{
	uint64_t piece, at;
	int rc = 0;

	if (region->host != NULL) {
		*done = len -
			vmmem_copy_fill(region->host + offset, value, len);
		if (*done != 0)
			vmmem_mark_written(&region->entry, offset, *done);
		return *done != len ? VMMEM_EGONE : 0;
	}
	for (at = 0; at < len && rc == 0; at += piece) {
		rc = vmmem_region_call_fill(region, offset + at, len - at,
					    value, &piece, done);
		/* A callback that failed may have written some. */
		vmmem_mark_written(&region->entry, offset + at, piece);
	}
	return rc;
}

VMMEM_API int
vmmem_region_fill(struct vmmem_region *region, uint64_t offset, uint64_t len,
		  uint8_t value, uint64_t *ret_done)
{
	uint64_t done = 0;
	int rc = 0;

	if (region == NULL)
		return VMMEM_EARGUMENT;
	if (len != 0)
		rc = check(region, offset, len, VMMEM_PROT_WRITE);
	if (rc == 0 && len != 0)
		rc = fill(region, offset, len, value, &done);
	if (ret_done != NULL)
		*ret_done = done;
	return rc;
}

/* check_value() is for one value of a size that a caller gave. */
static int
check_value(const struct vmmem_region *region, uint64_t offset, uint32_t size,
	    uint32_t access)
{
	int rc = check(region, offset, size, 0);

	if (rc != 0)
		return rc;
	/* Where there is a host address, it agrees with the guest's. */
	if (((region->start + offset) & (size - 1)) != 0)
		return VMMEM_EMISALIGNED;
	return check(region, offset, size, access);
}

static bool
is_size(uint32_t size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

#define LOAD(bits)                                                         \
	static int load_##bits(const struct vmmem_region *region,          \
			       uint64_t offset, int order,                 \
			       uint64_t *ret_value)                        \
	{                                                                  \
		uint64_t done = 0;                                         \
		uint##bits##_t value;                                      \
		int rc;                                                    \
                                                                           \
		if (region->host != NULL)                                  \
			rc = vmmem_atomic_load_u##bits(                    \
				region->host + offset, order, &value);     \
		else                                                       \
			rc = vmmem_region_call_read(region, offset,        \
						    &value, sizeof(value), \
						    &done);                \
		if (rc == 0)                                               \
			*ret_value = value;                                \
		return rc;                                                 \
	}

LOAD(8)
LOAD(16)
LOAD(32)
LOAD(64)

VMMEM_API int
vmmem_region_load(const struct vmmem_region *region, uint64_t offset,
		  uint32_t size, int order, uint64_t *ret_value)
{
	int rc;

	if (region == NULL || ret_value == NULL || !is_size(size))
		return VMMEM_EARGUMENT;
	if (!vmmem_order_is_in(order, VMMEM_ORDERS_LOAD))
		return VMMEM_EORDER;
	rc = check_value(region, offset, size, VMMEM_PROT_READ);
	if (rc != 0)
		return rc;
	if (size == 1)
		rc = load_8(region, offset, order, ret_value);
	else if (size == 2)
		rc = load_16(region, offset, order, ret_value);
	else if (size == 4)
		rc = load_32(region, offset, order, ret_value);
	else
		rc = load_64(region, offset, order, ret_value);
	/*
	 * A callback, whose accesses nobody knows, races with what the caller's
	 * protocol says: what follows the load comes after all of them.
	 */
	if (region->host == NULL && order != VMMEM_ORDER_RELAXED)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return rc;
}

#define STORE(bits)                                                        \
	static int store_##bits(const struct vmmem_region *region,         \
				uint64_t offset, int order,                \
				uint64_t given)                            \
	{                                                                  \
		uint##bits##_t value = (uint##bits##_t)given;              \
		uint64_t done = 0;                                         \
                                                                           \
		if (region->host != NULL)                                  \
			return vmmem_atomic_store_u##bits(                 \
				region->host + offset, value, order);      \
		return vmmem_region_call_write(region, offset, &value,     \
					       sizeof(value), &done);      \
	}

STORE(8)
STORE(16)
STORE(32)
STORE(64)

VMMEM_API int
vmmem_region_store(struct vmmem_region *region, uint64_t offset, uint32_t size,
		   int order, uint64_t value)
{
	int rc;

	if (region == NULL || !is_size(size))
		return VMMEM_EARGUMENT;
	if (!vmmem_order_is_in(order, VMMEM_ORDERS_STORE))
		return VMMEM_EORDER;
	rc = check_value(region, offset, size, VMMEM_PROT_WRITE);
	if (rc != 0)
		return rc;
	/* As in a load: what precedes the store comes before all of it ... */
	if (region->host == NULL && order != VMMEM_ORDER_RELAXED)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (size == 1)
		rc = store_8(region, offset, order, value);
	else if (size == 2)
		rc = store_16(region, offset, order, value);
	else if (size == 4)
		rc = store_32(region, offset, order, value);
	else
		rc = store_64(region, offset, order, value);
	/* ... and the strongest order holds towards what follows, too. */
	if (region->host == NULL && order == VMMEM_ORDER_SEQ_CST)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* A callback that failed may have written some. */
	if (rc == 0 || region->host == NULL)
		vmmem_mark_written(&region->entry, offset, size);
	return rc;
}
