/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Discards: giving back memory of a region, so that it reads as zero. */
#include <vmmem/discard.h>
#include <vmmem/error.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/api.h"
#include "dirty/bitmap_priv.h"
#include "dirty/logging.h"
#include "base/cancel.h"
#include "region/discard_part.h"
#include "region/discard_priv.h"
#include "region/pin_priv.h"
#include "region/policy_priv.h"
#include "region/private_priv.h"
#include "base/range.h"
#include "region/region_priv.h"
#include "region/replaced.h"
#include "base/unmap.h"

static int
drop_private(unsigned char *address, size_t len)
{
	if (madvise(address, len, MADV_DONTNEED) == 0)
		return 0;
	/* MADV_DONTNEED refuses locked pages; this one does not. */
	if (errno == EINVAL && madvise(address, len, MADV_DONTNEED_LOCKED) == 0)
		return 0;
	return errno == EINVAL ? VMMEM_ENODISCARD : -errno;
}

static int
punch_hole(const struct vmmem_region *region, const unsigned char *address,
	   size_t len)
{
	uint64_t offset = vmmem_region_file_offset(region, address);
	int rc;

	do {
		rc = fallocate(region->fd,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       (off_t)offset, (off_t)len);
	} while (rc != 0 && errno == EINTR);
	if (rc == 0)
		return 0;
	return errno == EOPNOTSUPP ? VMMEM_ENODISCARD : -errno;
}

/*
 * replace() puts zeroed memory where private pages of a file are: without
 * them the file's own bytes would show.  The new pages get the settings of the
 * old ones.
 */
static int
replace(const struct vmmem_region *region, unsigned char *address, size_t len)
{
	const struct vmmem_policy_settings *policy = &region->policy;
	size_t first = (size_t)(address - region->pages) /
		       (size_t)region->page_size;
	size_t count = len / (size_t)region->page_size;
	int rc;

	rc = vmmem_replaced_begin(region->replaced, first, count);
	if (rc != 0)
		return rc;
	/* Not reserved: a failure for lack of memory might leave a gap. */
	if (mmap(address, len, (int)region->protection,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		rc = -errno;
	vmmem_replaced_end(region->replaced, first, count, rc == 0);
	if (rc == 0)
		rc = vmmem_policy_advise(policy, address, len);
	/* On fault, or the lock would make all pages again. */
	if (rc == 0 && policy->lock != VMMEM_LOCK_NO)
		rc = vmmem_policy_lock(address, len, VMMEM_LOCK_ON_FAULT);
	return rc;
}

/*
 * drop_unknown() finds the kind of a mapping by the codes of the system, in an
 * order that cannot give the wrong bytes.  The first call makes a hole in
 * shared pages of a file.  It refuses private pages of a file, and pages of no
 * file, by different codes, and locked ones with the code of the latter.  The
 * second call is right for private pages of no file, and refuses locked ones.
 */
static int
drop_unknown(unsigned char *address, size_t len)
{
	if (madvise(address, len, MADV_REMOVE) == 0)
		return 0;
	if (errno == EINVAL && madvise(address, len, MADV_DONTNEED) == 0)
		return 0;
	switch (errno) {
	case EINVAL:
	case EACCES:
	case ENODEV:
	case EOPNOTSUPP:
		return VMMEM_ENODISCARD;
	default:
		return -errno;
	}
}

/* drop() gives back whole pages of a region that is no alias nor custom. */
static int
drop(const struct vmmem_region *region, unsigned char *address, size_t len)
{
	if (region->kind == VMMEM_REGION_ANONYMOUS)
		return drop_private(address, len);
	if (region->kind == VMMEM_REGION_EXTERNAL ||
	    (region->kind == VMMEM_REGION_FILE &&
	     region->huge_pages == VMMEM_HUGE_PAGES_UNKNOWN))
		return drop_unknown(address, len);
	if (vmmem_region_is_shared(region))
		return punch_hole(region, address, len);
	if (region->huge_pages == VMMEM_HUGE_PAGES_YES)
		return VMMEM_ENODISCARD;
	return replace(region, address, len);
}

/*
 * punches_parts() tells whether a hole in the region's file may begin and end
 * within pages: the system zeroes the covered bytes of a page that is there,
 * and makes no page.  Before Linux 6.0 not for huge pages.
 */
static bool
punches_parts(const struct vmmem_region *region)
{
	return (region->kind == VMMEM_REGION_MEMFD ||
		region->kind == VMMEM_REGION_FILE) &&
	       region->huge_pages == VMMEM_HUGE_PAGES_NO &&
	       vmmem_region_is_shared(region);
}

/* discard_pages() discards [from, from + len) of a region's memory. */
static int
discard_pages(const struct vmmem_region *region, unsigned char *from,
	      uint64_t len, uint32_t flags, uint64_t *ret_discarded)
{
	const bool parts = (flags & VMMEM_DISCARD_WHOLE_PAGES) == 0;
	uint64_t page_size = region->page_size;
	uint64_t head, tail;
	int rc = 0;

	if (page_size == 0)
		page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	/* To the first page that begins, and from the last that ends, here. */
	head = -(uintptr_t)from & (page_size - 1);
	tail = ((uintptr_t)from + len) & (page_size - 1);
	if (head >= len) {
		/* Within one page: no page begins here. */
		head = len;
		tail = 0;
	}
	if (parts && punches_parts(region)) {
		rc = punch_hole(region, from, (size_t)len);
		if (rc == 0)
			*ret_discarded = len - head - tail;
		/* If no whole page is covered, holes need not be possible. */
		if (rc == 0 || head + tail < len)
			return rc;
		rc = 0;
	} else if (head + tail < len) {
		rc = drop(region, from + head, (size_t)(len - head - tail));
		if (rc != 0)
			return rc;
		*ret_discarded = len - head - tail;
	}
	if (parts)
		rc = vmmem_discard_part(region, from, head);
	if (parts && rc == 0)
		rc = vmmem_discard_part(region, from + (len - tail), tail);
	return rc;
}

static int
discard_custom(const struct vmmem_region *region, uint64_t offset,
	       uint64_t len, uint64_t *ret_discarded)
{
	int rc;

	if (region->ops.discard == NULL)
		return VMMEM_ENODISCARD;
	rc = region->ops.discard(region->opaque, offset, len);
	if (rc == 0)
		*ret_discarded = len;
	return rc > 0 ? VMMEM_ECALLBACK : rc;
}

int
vmmem_discard_checked(const struct vmmem_region *region, uint64_t offset,
		      uint64_t len, uint32_t flags, uint64_t *ret_discarded)
{
	/* No cancel under the lock, or between the discard and its mark. */
	const int cancel = vmmem_cancel_off();
	struct vmmem_discarding discarding;
	const struct vmmem_region *owner;
	uint64_t discarded = 0;
	int rc;

	owner = vmmem_region_owner(region);
	rc = vmmem_pin_begin_discard(&discarding, owner,
				     region->target_offset + offset, len);
	if (rc != 0) {
		vmmem_cancel_back(cancel);
		return rc;
	}
	if (owner->kind == VMMEM_REGION_CUSTOM)
		rc = discard_custom(owner, region->target_offset + offset, len,
				    &discarded);
	else
		rc = discard_pages(owner, region->host + offset, len, flags,
				   &discarded);
	/* The calls of the system, and the writes, come before this look. */
	if ((flags & VMMEM_DISCARD_UNMARKED) == 0 && region->bitmap != NULL &&
	    vmmem_logging_wants(&region->bitmap->logging))
		vmmem_bitmap_mark_within(region->bitmap,
					 region->bitmap_offset + offset, len);
	vmmem_pin_end_discard(&discarding);
	*ret_discarded += discarded;
	vmmem_cancel_back(cancel);
	return rc;
}

VMMEM_API int
vmmem_region_discard(const struct vmmem_region *region, uint64_t offset,
		     uint64_t len, uint32_t flags, uint64_t *ret_discarded)
{
	uint64_t unused, span;
	int rc;

	if (ret_discarded == NULL)
		ret_discarded = &unused;
	*ret_discarded = 0;
	if (region == NULL || (flags & ~VMMEM_DISCARD_KNOWN) != 0)
		return VMMEM_EARGUMENT;
	if (len == 0)
		return 0;
	span = region->last - region->start;
	if (offset > span || !vmmem_range_within(span, offset, len))
		return VMMEM_EOUTOFRANGE;
	if ((region->protection & VMMEM_PROT_WRITE) == 0)
		return VMMEM_EDENIED;
	rc = vmmem_private_refuses(region, offset, len);
	if (rc != 0)
		return rc;
	return vmmem_discard_checked(region, offset, len, flags, ret_discarded);
}
