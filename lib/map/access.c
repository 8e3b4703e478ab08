/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Reads, writes and fills by guest address, region by region. */
#include <vmmem/access.h>
#include <vmmem/error.h>

#include "map/access_priv.h"
#include "base/api.h"
#include "map/collection_priv.h"
#include "guest/copy.h"
#include "map/translate.h"
#include "region/private_priv.h"

/*
 * walk() makes one step for each piece of [gpa, gpa + len), in ascending order,
 * until a byte is not there, is not permitted, or a step fails.  With 'all' it
 * checks the whole range before the first step; a range that is one piece is
 * looked up once.
 */
static int
walk(const struct vmmem_collection *collection, uint64_t gpa, uint64_t len,
     uint32_t access, vmmem_step_fn step, void *context, bool all,
     uint64_t *ret_done)
{
	struct vmmem_iommu_wait wait = { 0 };
	struct vmmem_place place;
	uint64_t done = 0, bad;
	int rc = 0;

	while (rc == 0 && done < len) {
		if (done != 0 && gpa + done == 0) {
			rc = VMMEM_EWRAPS;
			break;
		}
		rc = vmmem_translate(collection, gpa + done, len - done, access,
				     &wait, &place);
		if (rc != 0)
			break;
		if (all && place.len != len) {
			/* Several pieces: all of them must be there. */
			vmmem_translate_end(&place);
			rc = vmmem_translate_check(collection, gpa, len, access,
						   &wait, &bad);
			all = false;
			continue;
		}
		all = false;
		/* Where no access was asked for, the state was not either. */
		place.len = vmmem_private_entry_shared(place.entry,
						       place.offset, place.len);
		rc = place.len == 0 ? VMMEM_EPRIVATE :
				      step(place.entry, place.offset, place.len,
					   &done, context, &place);
		vmmem_translate_end(&place);
	}
	*ret_done = done;
	return rc;
}

static int
step_read(const struct vmmem_region_entry *entry, uint64_t offset, uint64_t len,
	  uint64_t *done, void *context, const struct vmmem_place *place)
{
	const unsigned char *host = vmmem_region_entry_host(entry);
	unsigned char *buf = context;
	size_t left;

	(void)place;
	if (host == NULL)
		return vmmem_region_call_read(vmmem_region_of(entry), offset,
					      buf + *done, len, done);
	left = vmmem_copy_from_guest(buf + *done, host + offset, len);
	*done += len - left;
	return left != 0 ? VMMEM_EGONE : 0;
}

static int
step_write(const struct vmmem_region_entry *entry, uint64_t offset,
	   uint64_t len, uint64_t *done, void *context,
	   const struct vmmem_place *place)
{
	const unsigned char *const *buf = context;
	unsigned char *host = vmmem_region_entry_host(entry);
	size_t left;
	int rc;

	if (host == NULL) {
		rc = vmmem_region_call_write(vmmem_region_of(entry), offset,
					     *buf + *done, len, done);
		/* A callback that failed may have written some of it. */
		vmmem_step_written(entry, offset, len, place, 0);
		return rc;
	}
	left = vmmem_copy_to_guest(host + offset, *buf + *done, len);
	if (left != len)
		vmmem_step_written(entry, offset, len - left, place, 0);
	*done += len - left;
	return left != 0 ? VMMEM_EGONE : 0;
}

static int
step_fill(const struct vmmem_region_entry *entry, uint64_t offset, uint64_t len,
	  uint64_t *done, void *context, const struct vmmem_place *place)
{
	const uint8_t *value = context;
	unsigned char *host = vmmem_region_entry_host(entry);
	uint64_t piece, at = 0;
	size_t left;
	int rc = 0;

	if (host != NULL) {
		left = vmmem_copy_fill(host + offset, *value, len);
		if (left != len)
			vmmem_step_written(entry, offset, len - left, place, 0);
		*done += len - left;
		return left != 0 ? VMMEM_EGONE : 0;
	}
	while (at < len && rc == 0) {
		rc = vmmem_region_call_fill(vmmem_region_of(entry),
					    offset + at, len - at, *value,
					    &piece, done);
		vmmem_step_written(entry, offset, piece, place, at);
		at += piece;
	}
	return rc;
}

int
vmmem_access_walk(const struct vmmem_collection *collection, uint64_t gpa,
		  uint64_t len, uint32_t access, vmmem_step_fn step,
		  void *context, uint64_t *ret_done)
{
	return walk(collection, gpa, len, access, step, context, false,
		    ret_done);
}

VMMEM_COLD int
vmmem_access_read_slow(const struct vmmem_collection *collection, uint64_t gpa,
		       void *buf, size_t len, uint64_t *ret_done)
{
	return walk(collection, gpa, len, VMMEM_PROT_READ, step_read, buf, true,
		    ret_done);
}

VMMEM_COLD int
vmmem_access_write_slow(const struct vmmem_collection *collection, uint64_t gpa,
			const void *buf, size_t len, uint64_t *ret_done)
{
	return walk(collection, gpa, len, VMMEM_PROT_WRITE, step_write, &buf,
		    true, ret_done);
}

int
vmmem_access_read_pieces(const struct vmmem_collection *collection,
			 uint64_t gpa, void *buf, size_t len,
			 uint64_t *ret_done)
{
	return walk(collection, gpa, len, VMMEM_PROT_READ, step_read, buf,
		    false, ret_done);
}

int
vmmem_access_write_pieces(const struct vmmem_collection *collection,
			  uint64_t gpa, const void *buf, size_t len,
			  uint64_t *ret_done)
{
	return walk(collection, gpa, len, VMMEM_PROT_WRITE, step_write, &buf,
		    false, ret_done);
}

int
vmmem_access_fill_pieces(const struct vmmem_collection *collection,
			 uint64_t gpa, uint64_t len, uint8_t value,
			 uint64_t *ret_done)
{
	return walk(collection, gpa, len, VMMEM_PROT_WRITE, step_fill, &value,
		    false, ret_done);
}

/* report() stores a count where the caller wants one. */
static void
report(size_t *ret_done, uint64_t done)
{
	if (ret_done != NULL)
		*ret_done = done;
}

/* A range that runs from one region into the next, and no further. */
struct crossing {
	const struct vmmem_region_entry *from, *into;
	uint64_t offset; /* in 'from' */
	uint64_t first;	 /* bytes that are in 'from'; the rest is in 'into' */
};

/*
 * crosses() tells whether [gpa, gpa + len) is such a range, and all of it is
 * permitted and has host addresses.  Of the ranges that are not within one
 * region these are the most common.
 */
static inline bool
crosses(const struct vmmem_collection *collection, uint64_t gpa, uint64_t len,
	uint32_t access, struct crossing *ret_crossing)
{
	const struct vmmem_region_entry *from, *into;
	uint64_t offset, more;
	size_t at;

	from = vmmem_collection_find_index(collection, gpa, &offset, &at);
	if (from == NULL)
		return false;
	more = from->span - offset;
	into = vmmem_collection_next_index(collection, &at);
	if (into == NULL || len - 1 <= more || len - more - 2 > into->span ||
	    (access & ~(from->direct & into->direct)) != 0)
		return false;
	*ret_crossing = (struct crossing){ from, into, offset, more + 1 };
	return true;
}

static __attribute__((__noinline__)) int
read_slow(const struct vmmem_collection *collection, uint64_t gpa, void *buf,
	  size_t len, size_t *ret_done)
{
	struct crossing at;
	uint64_t done;
	size_t left;
	int rc;

	if (len != 0 && collection->translation == NULL &&
	    crosses(collection, gpa, len, VMMEM_PROT_READ, &at)) {
		left = vmmem_copy_from_guest(buf, at.from->host + at.offset,
					     at.first);
		if (likely(left == 0))
			left = vmmem_copy_from_guest(
				(unsigned char *)buf + at.first, at.into->host,
				len - at.first);
		else
			left += len - at.first;
		report(ret_done, len - left);
		return likely(left == 0) ? 0 : VMMEM_EGONE;
	}
	rc = vmmem_access_read_slow(collection, gpa, buf, len, &done);
	report(ret_done, done);
	return rc;
}

VMMEM_API int
vmmem_collection_read(const struct vmmem_collection *collection, uint64_t gpa,
		      void *buf, size_t len, size_t *ret_done)
{
	const struct vmmem_region_entry *entry;
	uint64_t offset;
	size_t left;

	if (collection == NULL || (buf == NULL && len != 0))
		return VMMEM_EARGUMENT;
	if (likely(len != 0)) {
		entry = vmmem_collection_find_direct(collection, gpa, len,
						     VMMEM_PROT_READ, &offset);
		if (likely(entry != NULL)) {
			left = vmmem_copy_from_guest(
				buf, entry->host + offset, len);
			report(ret_done, len - left);
			return likely(left == 0) ? 0 : VMMEM_EGONE;
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
		return VMMEM_EARGUMENT;
	rc = vmmem_access_read_pieces(collection, gpa, buf, len, &done);
	report(ret_done, done);
	return rc;
}

static __attribute__((__noinline__)) int
write_slow(const struct vmmem_collection *collection, uint64_t gpa,
	   const void *buf, size_t len, size_t *ret_done)
{
	struct crossing at;
	uint64_t done = 0;
	int rc;

	if (len != 0 && collection->translation == NULL &&
	    crosses(collection, gpa, len, VMMEM_PROT_WRITE, &at)) {
		rc = step_write(at.from, at.offset, at.first, &done, &buf,
				NULL);
		if (likely(rc == 0))
			rc = step_write(at.into, 0, len - at.first, &done, &buf,
					NULL);
		report(ret_done, done);
		return rc;
	}

	rc = vmmem_access_write_slow(collection, gpa, buf, len, &done);
	report(ret_done, done);
	return rc;
}

/* write_cut_short() ends a write of which 'moved' bytes found their memory. */
static VMMEM_COLD int
write_cut_short(const struct vmmem_region_entry *entry, uint64_t offset,
		size_t moved, size_t *ret_done)
{
	if (moved != 0)
		vmmem_mark_written(entry, offset, moved);
	report(ret_done, moved);
	return VMMEM_EGONE;
}

VMMEM_API int
vmmem_collection_write(const struct vmmem_collection *collection, uint64_t gpa,
		       const void *buf, size_t len, size_t *ret_done)
{
	const struct vmmem_region_entry *entry;
	uint64_t offset;
	size_t left;

	if (collection == NULL || (buf == NULL && len != 0))
		return VMMEM_EARGUMENT;
	if (likely(len != 0)) {
		entry = vmmem_collection_find_direct(collection, gpa, len,
						     VMMEM_PROT_WRITE, &offset);
		if (likely(entry != NULL)) {
			left = vmmem_copy_to_guest(entry->host + offset, buf,
						   len);
			if (!likely(left == 0))
				return write_cut_short(entry, offset,
						       len - left, ret_done);
			vmmem_mark_written(entry, offset, len);
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
		return VMMEM_EARGUMENT;
	rc = vmmem_access_write_pieces(collection, gpa, buf, len, &done);
	report(ret_done, done);
	return rc;
}

VMMEM_API int
vmmem_collection_fill(const struct vmmem_collection *collection, uint64_t gpa,
		      uint64_t len, uint8_t value, uint64_t *ret_done)
{
	uint64_t done;

	if (collection == NULL)
		return VMMEM_EARGUMENT;
	return walk(collection, gpa, len, VMMEM_PROT_WRITE, step_fill, &value,
		    true, ret_done != NULL ? ret_done : &done);
}

VMMEM_API int
vmmem_collection_fill_some(const struct vmmem_collection *collection,
			   uint64_t gpa, uint64_t len, uint8_t value,
			   uint64_t *ret_done)
{
	uint64_t done;

	if (collection == NULL)
		return VMMEM_EARGUMENT;
	return vmmem_access_fill_pieces(collection, gpa, len, value,
					ret_done != NULL ? ret_done : &done);
}
