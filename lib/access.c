/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <vmmem/access.h>
#include <vmmem/error.h>

#include "access_priv.h"
#include "api.h"
#include "collection_priv.h"
#include "copy.h"

/*
 * What is filled or copied into a region without a host address goes through
 * a buffer of this size on the stack.
 */
#define BOUNCE 1024

/*
 * A step moves the bytes [offset, offset + len) of one entry, which hold the
 * bytes [done, done + len) of the access.  It returns 0, or what a callback
 * returned; then none of these bytes count.
 */
typedef int (*step_fn)(const struct vmmem_entry *entry, uint64_t offset,
		       uint64_t len, uint64_t done, void *context);

/*
 * walk() makes one step for each region of [gpa, gpa + len), in ascending
 * order, until a byte is not there, is not permitted, or a step fails.
 */
static int
walk(const struct vmmem_collection *collection, uint64_t gpa, uint64_t len,
     uint32_t access, step_fn step, void *context, uint64_t *ret_done)
{
	const struct vmmem_entry *entry, *end;
	uint64_t offset, piece, done = 0;
	int rc = 0;

	end = &collection->entries[collection->count];
	entry = len != 0 ? vmmem_find(collection, gpa, &offset) : NULL;
	if (len != 0 && entry == NULL)
		rc = VMMEM_EBADADDR;
	while (rc == 0 && done < len) {
		if ((access & ~entry->access) != 0) {
			rc = VMMEM_EPERM;
			break;
		}
		piece = len - done;
		if (!vmmem_range_within(entry->span, offset, piece))
			piece = entry->span - offset + 1;
		rc = step(entry, offset, piece, done, context);
		if (rc != 0)
			break;
		done += piece;
		if (done == len)
			break;

		/* On to the region that begins at gpa + done, if one does. */
		if (gpa + done == 0) {
			rc = VMMEM_EOVERFLOW;
			break;
		}
		offset = 0;
		entry++;
		if (entry == end ||
		    collection->starts[entry - collection->entries] !=
			    gpa + done)
			rc = VMMEM_EBADADDR;
	}
	*ret_done = done;
	return rc;
}

/* walk_all() checks the whole range before it makes the first step. */
static int
walk_all(const struct vmmem_collection *collection, uint64_t gpa, uint64_t len,
	 uint32_t access, step_fn step, void *context, uint64_t *ret_done)
{
	uint64_t bad;
	int rc;

	rc = vmmem_check(collection, gpa, len, access, &bad);
	if (rc != 0) {
		*ret_done = 0;
		return rc;
	}
	return walk(collection, gpa, len, access, step, context, ret_done);
}

static int
step_read(const struct vmmem_entry *entry, uint64_t offset, uint64_t len,
	  uint64_t done, void *context)
{
	unsigned char *buf = context;

	if (entry->host == NULL)
		return vmmem_region_call_read(entry->region, offset,
					      buf + done, len);
	vmmem_copy_from_guest(buf + done, entry->host + offset, len);
	return 0;
}

static int
step_write(const struct vmmem_entry *entry, uint64_t offset, uint64_t len,
	   uint64_t done, void *context)
{
	const unsigned char *const *buf = context;

	if (entry->host == NULL)
		return vmmem_region_call_write(entry->region, offset,
					       *buf + done, len);
	vmmem_copy_to_guest(entry->host + offset, *buf + done, len);
	return 0;
}

/* Callbacks get the bytes in pieces; those of earlier pieces do not count. */
static int
step_fill(const struct vmmem_entry *entry, uint64_t offset, uint64_t len,
	  uint64_t done, void *context)
{
	const uint8_t *value = context;
	unsigned char buf[BOUNCE];
	uint64_t piece;
	int rc = 0;

	(void)done;
	if (entry->host != NULL) {
		vmmem_fill_guest(entry->host + offset, *value, len);
		return 0;
	}
	memset(buf, *value, sizeof(buf));
	while (len > 0 && rc == 0) {
		piece = len < sizeof(buf) ? len : sizeof(buf);
		rc = vmmem_region_call_write(entry->region, offset, buf,
					     piece);
		offset += piece;
		len -= piece;
	}
	return rc;
}

VMMEM_COLD int
vmmem_read_slow(const struct vmmem_collection *collection, uint64_t gpa,
		void *buf, size_t len, uint64_t *ret_done)
{
	return walk_all(collection, gpa, len, VMMEM_PROT_READ, step_read, buf,
			ret_done);
}

VMMEM_COLD int
vmmem_write_slow(const struct vmmem_collection *collection, uint64_t gpa,
		 const void *buf, size_t len, uint64_t *ret_done)
{
	return walk_all(collection, gpa, len, VMMEM_PROT_WRITE, step_write,
			&buf, ret_done);
}

/* report() stores a count where the caller wants one. */
static void
report(size_t *ret_done, uint64_t done)
{
	if (ret_done != NULL)
		*ret_done = done;
}

static int
read_slow(const struct vmmem_collection *collection, uint64_t gpa, void *buf,
	  size_t len, size_t *ret_done)
{
	uint64_t done;
	int rc;

	rc = vmmem_read_slow(collection, gpa, buf, len, &done);
	report(ret_done, done);
	return rc;
}

VMMEM_API int
vmmem_collection_read(const struct vmmem_collection *collection, uint64_t gpa,
		      void *buf, size_t len, size_t *ret_done)
{
	const unsigned char *host;

	if (collection == NULL || (buf == NULL && len != 0))
		return VMMEM_EINVAL;
	if (likely(len != 0)) {
		host = vmmem_find_direct(collection, gpa, len,
					 VMMEM_PROT_READ);
		if (likely(host != NULL)) {
			vmmem_copy_from_guest(buf, host, len);
			report(ret_done, len);
			return 0;
		}
	}
	return read_slow(collection, gpa, buf, len, ret_done);
}

VMMEM_API int
vmmem_collection_read_some(const struct vmmem_collection *collection,
			   uint64_t gpa, void *buf, size_t len,
			   size_t *ret_done)
{
	uint64_t done;
	int rc;

	if (collection == NULL || (buf == NULL && len != 0))
		return VMMEM_EINVAL;
	rc = walk(collection, gpa, len, VMMEM_PROT_READ, step_read, buf,
		  &done);
	report(ret_done, done);
	return rc;
}

static int
write_slow(const struct vmmem_collection *collection, uint64_t gpa,
	   const void *buf, size_t len, size_t *ret_done)
{
	uint64_t done;
	int rc;

	rc = vmmem_write_slow(collection, gpa, buf, len, &done);
	report(ret_done, done);
	return rc;
}

VMMEM_API int
vmmem_collection_write(const struct vmmem_collection *collection, uint64_t gpa,
		       const void *buf, size_t len, size_t *ret_done)
{
	unsigned char *host;

	if (collection == NULL || (buf == NULL && len != 0))
		return VMMEM_EINVAL;
	if (likely(len != 0)) {
		host = vmmem_find_direct(collection, gpa, len,
					 VMMEM_PROT_WRITE);
		if (likely(host != NULL)) {
			vmmem_copy_to_guest(host, buf, len);
			report(ret_done, len);
			return 0;
		}
	}
	return write_slow(collection, gpa, buf, len, ret_done);
}

VMMEM_API int
vmmem_collection_write_some(const struct vmmem_collection *collection,
			    uint64_t gpa, const void *buf, size_t len,
			    size_t *ret_done)
{
	uint64_t done;
	int rc;

	if (collection == NULL || (buf == NULL && len != 0))
		return VMMEM_EINVAL;
	rc = walk(collection, gpa, len, VMMEM_PROT_WRITE, step_write, &buf,
		  &done);
	report(ret_done, done);
	return rc;
}

VMMEM_API int
vmmem_collection_fill(const struct vmmem_collection *collection, uint64_t gpa,
		      uint8_t value, uint64_t len, uint64_t *ret_done)
{
	uint64_t done;

	if (collection == NULL)
		return VMMEM_EINVAL;
	return walk_all(collection, gpa, len, VMMEM_PROT_WRITE, step_fill,
			&value, ret_done != NULL ? ret_done : &done);
}

VMMEM_API int
vmmem_collection_fill_some(const struct vmmem_collection *collection,
			   uint64_t gpa, uint8_t value, uint64_t len,
			   uint64_t *ret_done)
{
	uint64_t done;

	if (collection == NULL)
		return VMMEM_EINVAL;
	return walk(collection, gpa, len, VMMEM_PROT_WRITE, step_fill, &value,
		    ret_done != NULL ? ret_done : &done);
}

/* copy_piece() copies between two entries, which hold 'len' bytes each. */
static int
copy_piece(const struct vmmem_entry *target, uint64_t target_offset,
	   const struct vmmem_entry *source, uint64_t source_offset,
	   uint64_t len)
{
	unsigned char buf[BOUNCE];
	int rc;

	if (target->host != NULL && source->host != NULL) {
		vmmem_copy_within_guest(target->host + target_offset,
					source->host + source_offset, len);
		return 0;
	}
	rc = step_read(source, source_offset, len, 0, buf);
	if (rc == 0) {
		const unsigned char *bytes = buf;

		rc = step_write(target, target_offset, len, 0, &bytes);
	}
	return rc;
}

/*
 * fit() cuts 'len' down to what both entries hold and the buffer takes: from
 * the two offsets on upwards, or ending with the two offsets if 'downwards'.
 */
static uint64_t
fit(const struct vmmem_entry *target, uint64_t target_offset,
    const struct vmmem_entry *source, uint64_t source_offset, bool downwards,
    uint64_t len)
{
	uint64_t target_more, source_more;

	target_more = downwards ? target_offset : target->span - target_offset;
	source_more = downwards ? source_offset : source->span - source_offset;
	if (len - 1 > target_more)
		len = target_more + 1;
	if (len - 1 > source_more)
		len = source_more + 1;
	if ((target->host == NULL || source->host == NULL) && len > BOUNCE)
		len = BOUNCE;
	return len;
}

VMMEM_API int
vmmem_collection_copy(const struct vmmem_collection *collection,
		      uint64_t target, uint64_t source, uint64_t len,
		      uint64_t *ret_done)
{
	const struct vmmem_entry *to, *from;
	uint64_t to_offset, from_offset, piece, bad, done = 0;
	bool downwards;
	int rc;

	if (collection == NULL)
		return VMMEM_EINVAL;
	rc = vmmem_check(collection, source, len, VMMEM_PROT_READ, &bad);
	if (rc == 0)
		rc = vmmem_check(collection, target, len, VMMEM_PROT_WRITE,
				 &bad);

	/* A target above the source would overwrite what is still to come. */
	downwards = target > source && target - source < len;
	while (rc == 0 && done < len) {
		uint64_t at = downwards ? len - done - 1 : done;

		/* Both are there: the whole ranges were checked. */
		to = vmmem_find(collection, target + at, &to_offset);
		from = vmmem_find(collection, source + at, &from_offset);
		piece = fit(to, to_offset, from, from_offset, downwards,
			    len - done);
		if (downwards) {
			to_offset -= piece - 1;
			from_offset -= piece - 1;
		}
		rc = copy_piece(to, to_offset, from, from_offset, piece);
		if (rc == 0)
			done += piece;
	}
	if (ret_done != NULL)
		*ret_done = done;
	return rc;
}
