/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The guest_memfd of a region, and which pages are in it.
 *
 * A region with such a state has no host address in its entry and permits
 * nothing directly, so no fast path takes it, and none is longer for it.  The
 * slow paths ask here, page by page, and then access the shared backing.  That
 * stays mapped, so an access that asked just before a conversion does the same
 * as an access just before it.
 */
#include "region/private_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <vmmem/error.h>
#include <vmmem/private.h>

#include "base/api.h"
#include "base/range.h"
#include "region/fd_priv.h"
#include "region/file.h"

struct vmmem_private {
	struct vmmem_file *file;
	int fd;
	uint64_t fd_offset; /* of the region's first byte */
	uint64_t page_size;
	uint64_t bits[]; /* a page each; 1: private */
};

/* A part of one word of bits: as many as 'mask' has. */
struct part {
	size_t word;
	uint64_t mask;
	uint64_t pages;
};

static struct vmmem_private *
state_of(const struct vmmem_region *region)
{
	return vmmem_region_owner(region)->secret;
}

/* part_at() is the part of [page, end) that begins with 'page'. */
static struct part
part_at(uint64_t page, uint64_t end)
{
	const unsigned int bit = page % 64;
	struct part part = { .word = (size_t)(page / 64) };

	part.pages = end - page < 64 - bit ? end - page : 64 - bit;
	part.mask = (part.pages == 64 ? UINT64_MAX :
					(UINT64_C(1) << part.pages) - 1)
		    << bit;
	return part;
}

/*
 * bits_at() is a word of the state.  Acquire: a reader that finds a page shared
 * finds all that the converter did before.  A conversion after this load races
 * with the access that follows it, which does no harm: see the top.
 */
static uint64_t
bits_at(const struct vmmem_private *state, size_t word)
{
	return __atomic_load_n(&state->bits[word], __ATOMIC_ACQUIRE);
}

/*
 * next_page() is the first page of [page, end) that is as asked for, or 'end'.
 */
static uint64_t
next_page(const struct vmmem_private *state, uint64_t page, uint64_t end,
	  bool is_private)
{
	struct part part;
	uint64_t found;

	for (; page < end; page += part.pages) {
		part = part_at(page, end);
		found = bits_at(state, part.word);
		found = (is_private ? found : ~found) & part.mask;
		if (found != 0)
			return page - page % 64 +
			       (unsigned int)__builtin_ctzll(found);
	}
	return end;
}

/*
 * next_byte() is how many bytes from 'offset' of the region on there are before
 * the first that is as asked for, at most 'len'.
 */
static uint64_t
next_byte(const struct vmmem_region *region, uint64_t offset, uint64_t len,
	  bool is_private)
{
	const struct vmmem_private *state = state_of(region);
	const uint64_t from = region->target_offset + offset;
	const uint64_t first = from / state->page_size;
	const uint64_t end = (from + (len - 1)) / state->page_size + 1;
	const uint64_t page = next_page(state, first, end, is_private);

	if (page == first)
		return 0;
	return page == end ? len : page * state->page_size - from;
}

uint64_t
vmmem_private_shared(const struct vmmem_region *region, uint64_t offset,
		     uint64_t len)
{
	return state_of(region) == NULL ? len :
					  next_byte(region, offset, len, true);
}

int
vmmem_private_refuses(const struct vmmem_region *region, uint64_t offset,
		      uint64_t len)
{
	return vmmem_private_shared(region, offset, len) != len ?
		       VMMEM_EPRIVATE :
		       0;
}

size_t
vmmem_private_words(const struct vmmem_region *region, uint64_t offset,
		    uint64_t len)
{
	const uint64_t page_size = state_of(region)->page_size;
	const uint64_t from = region->target_offset + offset;

	return (size_t)((from + (len - 1)) / page_size / 64 -
			from / page_size / 64 + 1);
}

void
vmmem_private_save(const struct vmmem_region *region, uint64_t offset,
		   uint64_t len, uint64_t *words)
{
	const struct vmmem_private *state = state_of(region);
	const uint64_t from = region->target_offset + offset;
	const size_t first = (size_t)(from / state->page_size / 64);
	size_t i;

	for (i = 0; i < vmmem_private_words(region, offset, len); i++)
		words[i] = bits_at(state, first + i);
}

/*
 * put() makes the bits of a part those of 'bits'.  Two operations, as others
 * may change the rest of the word.  Release: see bits_at().
 */
static void
put(struct vmmem_private *state, const struct part *part, uint64_t bits)
{
	__atomic_fetch_or(&state->bits[part->word], bits & part->mask,
			  __ATOMIC_RELEASE);
	__atomic_fetch_and(&state->bits[part->word], bits | ~part->mask,
			   __ATOMIC_RELEASE);
}

void
vmmem_private_restore(struct vmmem_region *region, uint64_t offset,
		      uint64_t len, const uint64_t *words)
{
	struct vmmem_private *state = state_of(region);
	const uint64_t from = region->target_offset + offset;
	uint64_t page = from / state->page_size;
	const uint64_t end = (from + (len - 1)) / state->page_size + 1;
	const size_t first = (size_t)(page / 64);
	struct part part;

	for (; page < end; page += part.pages) {
		part = part_at(page, end);
		put(state, &part, words[part.word - first]);
	}
}

int
vmmem_private_check(const struct vmmem_region *region, uint64_t offset,
		    uint64_t len)
{
	const struct vmmem_private *state = state_of(region);

	if (state == NULL)
		return VMMEM_ENOFILE;
	if (((region->target_offset + offset) % state->page_size |
	     len % state->page_size) != 0)
		return VMMEM_EMISALIGNED;
	return 0;
}

void
vmmem_private_put(struct vmmem_region *region, uint64_t offset, uint64_t len,
		  bool is_private)
{
	struct vmmem_private *state = state_of(region);
	const uint64_t from = region->target_offset + offset;
	uint64_t page = from / state->page_size;
	const uint64_t end = page + len / state->page_size;
	struct part part;

	for (; page < end; page += part.pages) {
		part = part_at(page, end);
		put(state, &part, is_private ? UINT64_MAX : 0);
	}
}

int
vmmem_private_drop(const struct vmmem_region *region, uint64_t offset,
		   uint64_t len)
{
	const struct vmmem_private *state = state_of(region);
	const uint64_t from = region->target_offset + offset;
	int rc;

	do {
		rc = fallocate(state->fd,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       (off_t)(state->fd_offset + from), (off_t)len);
	} while (rc != 0 && errno == EINTR);
	if (rc == 0)
		return 0;
	return errno == EOPNOTSUPP ? VMMEM_ENODISCARD : -errno;
}

/* check_file() tells whether the file may be what it is to be. */
static int
check_file(const struct vmmem_region *region,
	   struct vmmem_region_settings *settings)
{
	const struct vmmem_fd_rules rules = {
		.size = sizeof(rules),
		.types = VMMEM_FD_TYPE_GUEST_MEMFD,
	};
	struct vmmem_fd_report report = { 0 };
	bool same = false;
	int rc;

	rc = vmmem_fd_judge(settings->guest_memfd, &rules, VMMEM_PROT_READ,
			    &report);
	if (rc == 0)
		rc = vmmem_fd_range(&report, &rules,
				    settings->guest_memfd_offset,
				    settings->len);
	if (rc == 0 && region->fd >= 0)
		rc = vmmem_file_is_same(settings->guest_memfd, region->fd,
					&same);
	if (rc == 0 && same)
		return vmmem_region_refuse(
			settings, VMMEM_EARGUMENT,
			"The guest_memfd is the region's own file");
	return rc;
}

/* check() is what can be told of the settings; 'page' is the page size. */
static int
check(const struct vmmem_region *region,
      struct vmmem_region_settings *settings, uint64_t page)
{
	if (settings->kind == VMMEM_REGION_ALIAS ||
	    settings->kind == VMMEM_REGION_CUSTOM)
		return vmmem_region_refuse(
			settings, VMMEM_EARGUMENT,
			"An alias and a custom region have no "
			"guest_memfd of their own");
	if (settings->guest_memfd_offset % page != 0)
		return VMMEM_EFILEOFFSET;
	if ((region->start % page | settings->len % page) != 0)
		return vmmem_region_refuse(
			settings, VMMEM_EMISALIGNED,
			"A region with a guest_memfd is not of "
			"whole pages");
	return 0;
}

/*
 * take_file() gives the state the descriptor that all regions of a file share.
 */
static int
take_file(struct vmmem_private *state, int theirs)
{
	int fd, rc;

	/*
	 * Not the place of a standard stream that the program has closed.
	 */
	fd = fcntl(theirs, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (fd < 0)
		return -errno;
	/* It is the file's from here on, whatever becomes of that. */
	rc = vmmem_file_share(fd, &state->file);
	if (rc == 0)
		state->fd = vmmem_file_fd(state->file);
	return rc;
}

int
vmmem_private_make(struct vmmem_region *region,
		   struct vmmem_region_settings *settings)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct vmmem_private *state;
	uint64_t pages;
	int rc;

	if (!settings->has_guest_memfd)
		return 0;
	rc = check(region, settings, page);
	if (rc == 0)
		rc = check_file(region, settings);
	if (rc != 0)
		return rc;
	pages = settings->len / page;
	/* Of zeros: all is shared. */
	state = calloc(1, sizeof(*state) + (size_t)((pages + 63) / 64) *
						   sizeof(state->bits[0]));
	if (state == NULL)
		return -ENOMEM;
	state->fd_offset = settings->guest_memfd_offset;
	state->page_size = page;
	region->secret = state;
	if (!settings->begins_shared)
		vmmem_private_put(region, 0, settings->len, true);
	return take_file(state, settings->guest_memfd);
}

void
vmmem_private_free(struct vmmem_private *state)
{
	if (state != NULL)
		vmmem_file_unref(state->file);
	free(state);
}

/* within() tells whether a range, not empty, lies within the region. */
static bool
within(const struct vmmem_region *region, uint64_t offset, uint64_t len)
{
	return offset <= region->entry.span &&
	       vmmem_range_within(region->entry.span, offset, len);
}

VMMEM_API int
vmmem_region_guest_memfd(const struct vmmem_region *region, int *ret_fd,
			 uint64_t *ret_offset)
{
	const struct vmmem_private *state;

	if (region == NULL || ret_fd == NULL || ret_offset == NULL)
		return VMMEM_EARGUMENT;
	state = state_of(region);
	if (state == NULL)
		return VMMEM_ENOFILE;
	*ret_fd = state->fd;
	*ret_offset = state->fd_offset + region->target_offset;
	return 0;
}

VMMEM_API int
vmmem_region_set_private(struct vmmem_region *region, uint64_t offset,
			 uint64_t len, int is_private)
{
	int rc;

	if (region == NULL)
		return VMMEM_EARGUMENT;
	if (len == 0)
		return 0;
	if (!within(region, offset, len))
		return VMMEM_EOUTOFRANGE;
	rc = vmmem_private_check(region, offset, len);
	if (rc == 0)
		vmmem_private_put(region, offset, len, is_private != 0);
	return rc;
}

VMMEM_API int
vmmem_region_is_private(const struct vmmem_region *region, uint64_t offset,
			uint64_t len)
{
	return region != NULL && len != 0 && within(region, offset, len) &&
	       vmmem_private_shared(region, offset, len) != len;
}

VMMEM_API int
vmmem_region_next_private(const struct vmmem_region *region, uint64_t offset,
			  uint64_t len, uint64_t *ret_offset,
			  uint64_t *ret_len)
{
	uint64_t shared, run;

	if (region == NULL || ret_offset == NULL || ret_len == NULL)
		return VMMEM_EARGUMENT;
	if (len != 0 && !within(region, offset, len))
		return VMMEM_EOUTOFRANGE;
	shared = len != 0 ? vmmem_private_shared(region, offset, len) : 0;
	run = shared != len ? next_byte(region, offset + shared, len - shared,
					false) :
			      0;
	*ret_offset = offset + shared;
	*ret_len = run;
	return 0;
}
