/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Host addresses of ranges, as the system calls take them. */
#include <vmmem/error.h>
#include <vmmem/iovec.h>

#include <sys/uio.h>

#include "base/api.h"
#include "map/collection_priv.h"
#include "region/slice_priv.h"

/* The array to fill, and how many elements it has or would need. */
struct list {
	struct iovec *iov;
	size_t capacity;
	size_t count;
	struct iovec last; /* which may not have fitted */
};

/* put() adds host memory: to the last element if the memory follows it. */
static void
put(struct list *list, const struct vmmem_slice *piece)
{
	unsigned char *host = piece->host;

	if (list->count != 0 &&
	    host == (unsigned char *)list->last.iov_base +
			    list->last.iov_len) {
		list->last.iov_len += piece->len;
	} else {
		list->last.iov_base = host;
		list->last.iov_len = piece->len;
		list->count++;
	}
	if (list->count <= list->capacity)
		list->iov[list->count - 1] = list->last;
}

/* finish() gives the result, and a count where there is one. */
static int
finish(const struct list *list, size_t *ret_count)
{
	*ret_count = list->count;
	return list->count <= list->capacity ? 0 : VMMEM_ENOROOM;
}

/* failed() returns the code of a failure at 'gpa', and stores 'gpa'. */
static int
failed(int rc, uint64_t gpa, uint64_t *ret_bad)
{
	if (ret_bad != NULL && rc != VMMEM_EWRAPS)
		*ret_bad = gpa;
	return rc;
}

static int
put_range(struct list *list, const struct vmmem_collection *collection,
	  uint64_t gpa, uint64_t len, uint32_t access, uint64_t *ret_bad)
{
	struct vmmem_slice piece;
	int rc;

	while (len != 0) {
		rc = vmmem_collection_next_piece(collection, gpa, len, access,
						 false, &piece);
		if (rc != 0)
			return failed(rc, gpa, ret_bad);
		put(list, &piece);
		gpa += piece.len;
		len -= piece.len;
	}
	return 0;
}

VMMEM_API int
vmmem_collection_iovec_ranges(const struct vmmem_collection *collection,
			      const struct vmmem_range *ranges, size_t count,
			      uint32_t access, struct iovec *iov,
			      size_t capacity, size_t *ret_count,
			      uint64_t *ret_bad)
{
	struct list list = { .iov = iov, .capacity = capacity };
	size_t i;
	int rc;

	if (collection == NULL || (ranges == NULL && count != 0) ||
	    (access & ~VMMEM_READ_WRITE) != 0 ||
	    (iov == NULL && capacity != 0) || ret_count == NULL)
		return VMMEM_EARGUMENT;
	for (i = 0; i < count; i++) {
		rc = put_range(&list, collection, ranges[i].gpa, ranges[i].len,
			       access, ret_bad);
		if (rc != 0)
			return rc;
	}
	return finish(&list, ret_count);
}

VMMEM_API int
vmmem_collection_iovec(const struct vmmem_collection *collection, uint64_t gpa,
		       uint64_t len, uint32_t access, struct iovec *iov,
		       size_t capacity, size_t *ret_count, uint64_t *ret_bad)
{
	const struct vmmem_range range = { gpa, len };

	return vmmem_collection_iovec_ranges(collection, &range, 1, access,
					     iov, capacity, ret_count, ret_bad);
}

VMMEM_API int
vmmem_slice_list_iovec(const struct vmmem_slice *slices, size_t count,
		       uint32_t access, struct iovec *iov, size_t capacity,
		       size_t *ret_count)
{
	struct list list = { .iov = iov, .capacity = capacity };
	size_t i;
	int rc = 0;

	if ((slices == NULL && count != 0) ||
	    (access & ~VMMEM_READ_WRITE) != 0 ||
	    (iov == NULL && capacity != 0) || ret_count == NULL)
		return VMMEM_EARGUMENT;
	for (i = 0; i < count; i++) {
		if (slices[i].len == 0)
			continue;
		if ((access & ~slices[i].access) != 0)
			rc = vmmem_slice_ask(&slices[i], 0, slices[i].len,
					     access);
		if (rc != 0)
			return rc;
		put(&list, &slices[i]);
	}
	return finish(&list, ret_count);
}

/*
 * add_slices() adds the slices of one range, from '*count' on; a slice without
 * room is counted, and released at once.
 */
static int
add_slices(const struct vmmem_collection *collection, uint64_t gpa,
	   uint64_t len, uint32_t access, struct vmmem_slice *slices,
	   size_t capacity, size_t *count, uint64_t *ret_bad)
{
	struct vmmem_slice piece;
	uint64_t step;
	int rc;

	for (; len != 0; gpa += step, len -= step) {
		rc = vmmem_collection_next_piece(collection, gpa, len, access,
						 true, &piece);
		if (rc != 0)
			return failed(rc, gpa, ret_bad);
		step = piece.len;
		if (*count < capacity)
			slices[*count] = piece;
		else
			vmmem_slice_release(&piece);
		++*count;
	}
	return 0;
}

VMMEM_API int
vmmem_collection_slice_list(const struct vmmem_collection *collection,
			    const struct vmmem_range *ranges, size_t count,
			    uint32_t access, struct vmmem_slice *slices,
			    size_t capacity, size_t *ret_count,
			    uint64_t *ret_bad)
{
	size_t found = 0, i;
	int rc = 0;

	if (collection == NULL || (ranges == NULL && count != 0) ||
	    (access & ~VMMEM_READ_WRITE) != 0 ||
	    (slices == NULL && capacity != 0) || ret_count == NULL)
		return VMMEM_EARGUMENT;
	for (i = 0; i < count && rc == 0; i++)
		rc = add_slices(collection, ranges[i].gpa, ranges[i].len,
				access, slices, capacity, &found, ret_bad);
	if (rc == 0) {
		*ret_count = found;
		if (found <= capacity)
			return 0;
		rc = VMMEM_ENOROOM;
	}
	vmmem_slice_list_release(slices, found < capacity ? found : capacity);
	return rc;
}

VMMEM_API void
vmmem_slice_list_release(struct vmmem_slice *slices, size_t count)
{
	size_t i;

	for (i = 0; slices != NULL && i < count; i++)
		vmmem_slice_release(&slices[i]);
}

VMMEM_API int
vmmem_collection_mark(const struct vmmem_collection *collection, uint64_t gpa,
		      uint64_t len)
{
	if (collection == NULL)
		return VMMEM_EARGUMENT;
	return vmmem_collection_mark_range(collection, gpa, len);
}

VMMEM_API int
vmmem_collection_mark_ranges(const struct vmmem_collection *collection,
			     const struct vmmem_range *ranges, size_t count,
			     uint64_t len)
{
	uint64_t piece;
	size_t i;
	int rc = 0, failed;

	if (collection == NULL || (ranges == NULL && count != 0))
		return VMMEM_EARGUMENT;
	/* All the rest is marked too: better a page too many than one lost. */
	for (i = 0; i < count && len != 0; i++) {
		piece = ranges[i].len < len ? ranges[i].len : len;
		failed = vmmem_collection_mark_range(collection, ranges[i].gpa,
						     piece);
		if (rc == 0)
			rc = failed;
		len -= piece;
	}
	return rc == 0 && len != 0 ? VMMEM_EOUTOFRANGE : rc;
}

VMMEM_API int
vmmem_slice_list_mark(const struct vmmem_slice *slices, size_t count,
		      uint64_t len)
{
	uint64_t piece;
	size_t i;

	if (slices == NULL && count != 0)
		return VMMEM_EARGUMENT;
	for (i = 0; i < count && len != 0; i++) {
		piece = slices[i].len < len ? slices[i].len : len;
		vmmem_slice_written(&slices[i], 0, piece);
		len -= piece;
	}
	return len != 0 ? VMMEM_EOUTOFRANGE : 0;
}
