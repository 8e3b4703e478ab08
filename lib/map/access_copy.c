/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Copying from one guest range to another. */
#include <vmmem/access.h>
#include <vmmem/error.h>

#include "map/access_priv.h"
#include "base/api.h"
#include "map/collection_priv.h"
#include "guest/copy.h"
#include "map/translate.h"
#include "region/private_priv.h"

struct guest_ranges {
	const struct vmmem_collection *collection;
	uint64_t target;
	uint64_t source;
	bool upwards;
};

static int
read_guest(void *context, uint64_t position, void *buf, size_t len)
{
	const struct guest_ranges *ranges = context;
	uint64_t done;

	return vmmem_access_read_pieces(
		ranges->collection, ranges->source + position, buf, len, &done);
}

/*
 * write_entry_downwards() writes to bytes of one entry, the last ones first.
 * 'place' is how they were found.
 */
static int
write_entry_downwards(const struct vmmem_region_entry *entry, uint64_t offset,
		      const unsigned char *buf, size_t len, uint64_t *done,
		      const struct vmmem_place *place)
{
	unsigned char *host = vmmem_region_entry_host(entry);
	uint64_t moved = 0;
	size_t left;
	int rc;

	if (host == NULL) {
		/* If this fails, the last bytes are not written. */
		rc = vmmem_region_call_write(vmmem_region_of(entry), offset,
					     buf, len, &moved);
		/* A callback that failed may have written some of it. */
		vmmem_step_written(entry, offset, len, place, 0);
		if (rc == 0)
			*done += moved;
		return rc;
	}
	left = vmmem_copy_to_guest_downwards(host + offset, buf, len);
	if (left != len)
		vmmem_step_written(entry, offset, len - left, place, left);
	*done += len - left;
	return left != 0 ? VMMEM_EGONE : 0;
}

/*
 * Piece by piece from the end, so that what was written when a callback fails
 * is what follows.
 */
static int
write_guest_downwards(const struct guest_ranges *ranges, uint64_t gpa,
		      const unsigned char *buf, size_t len, uint64_t *done)
{
	struct vmmem_iommu_wait wait = { 0 };
	struct vmmem_place place;
	uint64_t piece;
	int rc = 0;

	while (rc == 0 && len > 0) {
		rc = vmmem_translate(ranges->collection, gpa + (len - 1), 1,
				     VMMEM_PROT_WRITE, &wait, &place);
		if (rc != 0)
			break;
		piece = place.before < len ? place.before + 1 : len;
		len -= piece;
		place.offset -= piece - 1;
		place.iova -= piece - 1;
		rc = write_entry_downwards(place.entry, place.offset, buf + len,
					   piece, done, &place);
		vmmem_translate_end(&place);
	}
	return rc;
}

static int
write_guest(void *context, uint64_t position, const void *buf, size_t len,
	    uint64_t *done)
{
	const struct guest_ranges *ranges = context;
	uint64_t moved;
	int rc;

	if (!ranges->upwards)
		return write_guest_downwards(
			ranges, ranges->target + position, buf, len, done);
	rc = vmmem_access_write_pieces(ranges->collection,
				       ranges->target + position, buf, len,
				       &moved);
	*done += moved;
	return rc;
}

/* copy_slow() copies between regions of any number and kind. */
static int
copy_slow(const struct vmmem_collection *collection, uint64_t target,
	  uint64_t source, uint64_t len, uint64_t *ret_done)
{
	struct guest_ranges ranges = {
		collection, target, source,
		vmmem_transfer_is_upwards(target, source, len),
	};
	/* Guest addresses tell the groups: they agree with the host's. */
	const struct vmmem_transfer transfer = {
		.read = read_guest,
		.write = write_guest,
		.context = &ranges,
		.target = target,
		.source = source,
		.len = len,
	};
	uint64_t bad;
	int rc;

	*ret_done = 0;
	rc = vmmem_collection_check_range(collection, source, len,
					  VMMEM_PROT_READ, &bad);
	if (rc == 0)
		rc = vmmem_collection_check_range(collection, target, len,
						  VMMEM_PROT_WRITE, &bad);
	if (rc != 0)
		return rc;
	return vmmem_transfer(&transfer, ret_done);
}

VMMEM_API int
vmmem_collection_copy(const struct vmmem_collection *collection,
		      uint64_t target, uint64_t source, uint64_t len,
		      uint64_t *ret_done)
{
	const struct vmmem_region_entry *from = NULL, *to = NULL;
	uint64_t from_offset, to_offset, done = len;
	size_t left;
	int rc = 0;

	if (collection == NULL)
		return VMMEM_EARGUMENT;
	if (len != 0) {
		from = vmmem_collection_find_direct(
			collection, source, len, VMMEM_PROT_READ, &from_offset);
		to = vmmem_collection_find_direct(collection, target, len,
						  VMMEM_PROT_WRITE, &to_offset);
	}
	if (from != NULL && to != NULL) {
		left = vmmem_copy_within_guest(to->host + to_offset,
					       from->host + from_offset, len);
		done = len - left;
		if (!likely(left == 0))
			rc = VMMEM_EGONE;
		/* Of a copy that is not upwards the last bytes are done. */
		if (vmmem_transfer_is_upwards(
			    (uintptr_t)to->host + to_offset,
			    (uintptr_t)from->host + from_offset, len))
			left = 0;
		if (done != 0)
			vmmem_mark_written(to, to_offset + left, done);
	} else {
		rc = copy_slow(collection, target, source, len, &done);
	}
	if (ret_done != NULL)
		*ret_done = done;
	return rc;
}
