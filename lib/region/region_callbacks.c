/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Reaching a custom region that has no host address, or an alias of one. */
#include <vmmem/error.h>
#include <vmmem/fault.h>

#include <string.h>

#include "guest/copy.h"
#include "guest/fault_log.h"
#include "region/region_priv.h"

/* A region without a host address is filled from a buffer of this size. */
#define BOUNCE 1024

const struct vmmem_access_info vmmem_region_plain_access = {
	.size = sizeof(vmmem_region_plain_access),
};

/* A positive value would read as neither success nor failure. */
static int
callback_code(int returned)
{
	return returned > 0 ? VMMEM_ECALLBACK : returned;
}

int
vmmem_region_acquire(const struct vmmem_region *region, uint64_t offset,
		     uint64_t len, uint32_t access, void **ret_host)
{
	const struct vmmem_region *owner = vmmem_region_owner(region);
	void *host = NULL;
	int rc;

	if (owner->ops.acquire == NULL)
		return VMMEM_ENOHOST;
	rc = callback_code(owner->ops.acquire(owner->opaque,
					      region->target_offset + offset,
					      len, access, &host));
	if (rc != 0)
		return rc;
	if (host == NULL)
		rc = VMMEM_EARGUMENT;
	else if (((region->start + offset) ^ (uintptr_t)host) %
			 VMMEM_CONGRUENCE != 0)
		rc = VMMEM_ECONGRUENCE;
	if (rc != 0) {
		vmmem_region_release(region, offset, len, access, host);
		return rc;
	}
	*ret_host = host;
	return 0;
}

void
vmmem_region_release(const struct vmmem_region *region, uint64_t offset,
		     uint64_t len, uint32_t access, void *host)
{
	const struct vmmem_region *owner = vmmem_region_owner(region);

	if (owner->ops.release != NULL)
		owner->ops.release(owner->opaque,
				   region->target_offset + offset, len, access,
				   host);
}

/* moved() ends a copy of which 'left' bytes found their memory gone. */
static int
moved(const struct vmmem_region *region, uint64_t offset, size_t len,
      size_t left, uint64_t *done)
{
	const struct vmmem_region *owner = vmmem_region_owner(region);

	*done += len - left;
	if (left == 0)
		return 0;
	/* The handler knows nothing of memory that was mapped for this. */
	vmmem_fault_record_add(owner->faults,
			       region->target_offset + offset + (len - left),
			       VMMEM_FAULT_KIND_ON_DEMAND);
	return VMMEM_EGONE;
}

int
vmmem_region_call_read_with(const struct vmmem_region *region,
			    uint64_t offset, void *buf, size_t len,
			    const struct vmmem_access_info *info,
			    uint64_t *done)
{
	const struct vmmem_region *owner = vmmem_region_owner(region);
	size_t left;
	void *host;
	int rc;

	if (owner->ops.read != NULL) {
		rc = callback_code(owner->ops.read(
			owner->opaque, region->target_offset + offset, buf,
			len, info));
		if (rc == 0)
			*done += len;
		return rc;
	}
	rc = vmmem_region_acquire(region, offset, len, VMMEM_PROT_READ, &host);
	if (rc != 0)
		return rc;
	left = vmmem_copy_from_guest(buf, host, len);
	vmmem_region_release(region, offset, len, VMMEM_PROT_READ, host);
	return moved(region, offset, len, left, done);
}

int
vmmem_region_call_write_with(const struct vmmem_region *region,
			     uint64_t offset, const void *buf, size_t len,
			     const struct vmmem_access_info *info,
			     uint64_t *done)
{
	const struct vmmem_region *owner = vmmem_region_owner(region);
	size_t left;
	void *host;
	int rc;

	if (owner->ops.write != NULL) {
		rc = callback_code(owner->ops.write(
			owner->opaque, region->target_offset + offset, buf,
			len, info));
		if (rc == 0)
			*done += len;
		return rc;
	}
	rc = vmmem_region_acquire(region, offset, len, VMMEM_PROT_WRITE,
				  &host);
	if (rc != 0)
		return rc;
	left = vmmem_copy_to_guest(host, buf, len);
	vmmem_region_release(region, offset, len, VMMEM_PROT_WRITE, host);
	return moved(region, offset, len, left, done);
}

int
vmmem_region_call_read(const struct vmmem_region *region, uint64_t offset,
		       void *buf, size_t len, uint64_t *done)
{
	return vmmem_region_call_read_with(region, offset, buf, len,
					   &vmmem_region_plain_access, done);
}

int
vmmem_region_call_write(const struct vmmem_region *region, uint64_t offset,
			const void *buf, size_t len, uint64_t *done)
{
	return vmmem_region_call_write_with(region, offset, buf, len,
					    &vmmem_region_plain_access, done);
}

int
vmmem_region_call_fill(const struct vmmem_region *region, uint64_t offset,
		       uint64_t len, uint8_t value, uint64_t *ret_piece,
		       uint64_t *done)
{
	unsigned char buf[BOUNCE];
	uint64_t piece;

	/* To where a group of 8 ends, so that none is cut in two. */
	piece = sizeof(buf) - (region->start + offset) % 8;
	if (piece > len)
		piece = len;
	*ret_piece = piece;
	memset(buf, value, piece);
	return vmmem_region_call_write(region, offset, buf, piece, done);
}
