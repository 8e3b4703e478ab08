/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A front end's own addresses, as guest and host addresses. */
#include <vmmem/error.h>
#include <vmmem/vhost.h>

#include <stdbool.h>

#include "base/api.h"
#include "base/range.h"
#include "vhost/vhost_priv.h"

/* Which address of a row to look for; the other one is the answer. */
enum key { BY_GPA, BY_USER };

static const struct vmmem_vhost_region *
row_of(const struct vmmem_vhost_table *table, enum key key, size_t index)
{
	return key == BY_USER ? &table->by_user[index]->wire :
				&table->rows[index].wire;
}

static uint64_t
address_of(const struct vmmem_vhost_region *row, enum key key)
{
	return key == BY_USER ? row->user_address : row->gpa;
}

static enum key
other(enum key key)
{
	return key == BY_USER ? BY_GPA : BY_USER;
}

/* find() stores which row holds 'address', in the order of 'key'. */
static bool
find(const struct vmmem_vhost_table *table, enum key key, uint64_t address,
     size_t *ret_index)
{
	size_t low = 0, high = table->count, middle;
	const struct vmmem_vhost_region *row;

	/* The first row that begins above the address comes after it. */
	while (low < high) {
		middle = low + (high - low) / 2;
		if (address_of(row_of(table, key, middle), key) <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return false;
	row = row_of(table, key, low - 1);
	if (address - address_of(row, key) >= row->len)
		return false;
	*ret_index = low - 1;
	return true;
}

/*
 * piece() follows 'address' from row to row while they touch, and the memory of
 * the rows touches too.
 */
static bool
piece(const struct vmmem_vhost_table *table, enum key key, uint64_t address,
      uint64_t len, uint64_t *ret_target, uint64_t *ret_len)
{
	const struct vmmem_vhost_region *row, *next;
	uint64_t offset, done;
	size_t index;

	if (!find(table, key, address, &index))
		return false;
	row = row_of(table, key, index);
	offset = address - address_of(row, key);
	*ret_target = address_of(row, other(key)) + offset;
	done = row->len - offset;
	while (done < len && ++index < table->count) {
		next = row_of(table, key, index);
		/* If the sum wraps to 0 no row begins there: rows ascend. */
		if (address_of(next, key) != address + done ||
		    address_of(next, other(key)) != *ret_target + done ||
		    *ret_target + done == 0)
			break;
		done += next->len;
	}
	*ret_len = done < len ? done : len;
	return true;
}

/* translate() is for a whole range; 'missing' is the code of no row. */
static int
translate(const struct vmmem_vhost *vhost, enum key key, uint64_t address,
	  uint64_t len, int missing, uint64_t *ret_target)
{
	uint64_t target = 0, first, there, ignored, left;

	if (vhost == NULL || ret_target == NULL)
		return VMMEM_EARGUMENT;
	if (!piece(vhost->table, key, address, len != 0 ? len : 1, &target,
		   &first)) {
		if (len != 0)
			return missing;
		target = 0;
		first = 1;
	}
	/* Not in one piece; perhaps not in any. */
	for (there = first, left = len; there < left;) {
		left -= there;
		address += there;
		if (address == 0)
			return VMMEM_EWRAPS;
		if (!piece(vhost->table, key, address, left, &ignored, &there))
			return missing;
	}
	if (first < len)
		return VMMEM_ECROSS;
	*ret_target = target;
	return 0;
}

VMMEM_API int
vmmem_vhost_user_to_gpa(const struct vmmem_vhost *vhost, uint64_t user_address,
			uint64_t len, uint64_t *ret_gpa)
{
	return translate(vhost, BY_USER, user_address, len, VMMEM_EUSERADDR,
			 ret_gpa);
}

VMMEM_API int
vmmem_vhost_gpa_to_user(const struct vmmem_vhost *vhost, uint64_t gpa,
			uint64_t len, uint64_t *ret_user_address)
{
	return translate(vhost, BY_GPA, gpa, len, VMMEM_EBADADDR,
			 ret_user_address);
}

VMMEM_API int
vmmem_vhost_user_piece(const struct vmmem_vhost *vhost, uint64_t user_address,
		       uint64_t len, uint64_t *ret_gpa, uint64_t *ret_len)
{
	uint64_t gpa = 0, done = 0;

	if (vhost == NULL || ret_gpa == NULL || ret_len == NULL)
		return VMMEM_EARGUMENT;
	if (len != 0 &&
	    !piece(vhost->table, BY_USER, user_address, len, &gpa, &done))
		return VMMEM_EUSERADDR;
	*ret_gpa = gpa;
	*ret_len = done;
	return 0;
}

VMMEM_API int
vmmem_vhost_user_slice(const struct vmmem_vhost *vhost,
		       const struct vmmem_collection *map,
		       uint64_t user_address, uint64_t len, uint32_t access,
		       struct vmmem_slice *ret_slice)
{
	uint64_t gpa;
	int rc;

	rc = vmmem_vhost_user_to_gpa(vhost, user_address, len, &gpa);
	return rc != 0 ? rc :
			 vmmem_collection_slice(map, gpa, len, access,
						ret_slice);
}

/*
 * find_host() stores which row has 'len' bytes at 'host', and which of its
 * bytes the first one is.  Rows of the same part of a file have one mapping, so
 * there may be several.  Returns 0 or the code of a failure.
 */
static int
find_host(const struct vmmem_vhost_table *table, const void *host, uint64_t len,
	  const struct vmmem_vhost_row **ret_row, uint64_t *ret_offset)
{
	int rc = VMMEM_EBADADDR;
	uint64_t offset;
	size_t i;

	for (i = 0; i < table->count; i++) {
		/* Below the row this wraps, past any length there may be. */
		offset = (uint64_t)(uintptr_t)host -
			 (uint64_t)(uintptr_t)table->rows[i].host;
		if (offset >= table->rows[i].wire.len)
			continue;
		*ret_row = &table->rows[i];
		*ret_offset = offset;
		if (len <= table->rows[i].wire.len - offset)
			return 0;
		rc = VMMEM_ECROSS;
	}
	return rc;
}

static int
from_host(const struct vmmem_vhost *vhost, enum key key, const void *host,
	  uint64_t len, uint64_t *ret_address)
{
	const struct vmmem_vhost_row *row;
	uint64_t offset;
	int rc;

	if (vhost == NULL || ret_address == NULL)
		return VMMEM_EARGUMENT;
	rc = find_host(vhost->table, host, len, &row, &offset);
	if (rc == 0)
		*ret_address = address_of(&row->wire, key) + offset;
	else if (len == 0)
		*ret_address = 0;
	return len == 0 ? 0 : rc;
}

VMMEM_API int
vmmem_vhost_host_to_gpa(const struct vmmem_vhost *vhost, const void *host,
			uint64_t len, uint64_t *ret_gpa)
{
	return from_host(vhost, BY_GPA, host, len, ret_gpa);
}

VMMEM_API int
vmmem_vhost_host_to_user(const struct vmmem_vhost *vhost, const void *host,
			 uint64_t len, uint64_t *ret_user_address)
{
	return from_host(vhost, BY_USER, host, len, ret_user_address);
}

VMMEM_API size_t
vmmem_vhost_count(const struct vmmem_vhost *vhost)
{
	return vhost != NULL ? vhost->table->count : 0;
}

VMMEM_API int
vmmem_vhost_at(const struct vmmem_vhost *vhost, size_t index,
	       struct vmmem_vhost_region *ret_region,
	       struct vmmem_region **ret_mapping)
{
	if (vhost == NULL)
		return VMMEM_EARGUMENT;
	if (index >= vhost->table->count)
		return VMMEM_EOUTOFRANGE;
	if (ret_region != NULL)
		*ret_region = vhost->table->rows[index].wire;
	if (ret_mapping != NULL)
		*ret_mapping = vhost->table->rows[index].mapping;
	return 0;
}

static int
update_iotlb(struct vmmem_vhost *vhost,
	     const struct vmmem_vhost_iotlb_msg *message)
{
	uint64_t done, gpa, len, left = message->len;
	int rc;

	/* Whether all bytes are in rows, before any memory is mapped. */
	for (done = 0; done < message->len; done += len) {
		if (!piece(vhost->table, BY_USER, message->user_address + done,
			   left - done, &gpa, &len))
			return VMMEM_EUSERADDR;
	}
	for (done = 0; done < message->len; done += len) {
		(void)piece(vhost->table, BY_USER, message->user_address + done,
			    left - done, &gpa, &len);
		rc = vmmem_iotlb_map(vhost->iotlb, message->iova + done, gpa,
				     len, message->access);
		if (rc != 0) {
			/* A table that is full: all or nothing. */
			(void)vmmem_iotlb_unmap(vhost->iotlb, message->iova,
						done);
			return rc;
		}
	}
	return 0;
}

/* Whether [address, address + len) passes 2^64. */
static bool
wraps(uint64_t address, uint64_t len)
{
	return len != 0 && !vmmem_range_within(UINT64_MAX, address, len);
}

VMMEM_API int
vmmem_vhost_iotlb_message(struct vmmem_vhost *vhost,
			  const struct vmmem_vhost_iotlb_msg *message)
{
	if (vhost == NULL || message == NULL || vhost->iotlb == NULL)
		return VMMEM_EARGUMENT;
	if (message->type == VMMEM_VHOST_IOTLB_INVALIDATE) {
		/* All 2^64 bytes, a length that there is no room for. */
		if (message->iova == 0 && message->len == 0) {
			vmmem_iotlb_unmap_all(vhost->iotlb);
			return 0;
		}
		return vmmem_iotlb_unmap(vhost->iotlb, message->iova,
					 message->len);
	}
	if (message->type != VMMEM_VHOST_IOTLB_UPDATE ||
	    (message->access & ~(VMMEM_PROT_READ | VMMEM_PROT_WRITE)) != 0)
		return VMMEM_EMESSAGE;
	if (wraps(message->iova, message->len) ||
	    wraps(message->user_address, message->len))
		return VMMEM_EWRAPS;
	return update_iotlb(vhost, message);
}
