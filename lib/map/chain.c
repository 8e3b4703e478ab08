/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Between a buffer and a chain of ranges. */
#include <vmmem/chain.h>
#include <vmmem/error.h>

#include "base/api.h"
#include "map/access_priv.h"
#include "map/chain_priv.h"
#include "map/collection_priv.h"

#define FLAGS_KNOWN VMMEM_CHAIN_SOME

void
vmmem_chain_skip(struct vmmem_chain *chain, uint64_t len)
{
	uint64_t left;

	for (; chain->count != 0; chain->range++, chain->count--) {
		left = chain->range->len - chain->at;
		if (len < left) {
			chain->at += len;
			return;
		}
		len -= left;
		chain->at = 0;
	}
	chain->at = len;
}

/*
 * check_part() tells how many of the bytes [at, at + len) of a range are mapped
 * and permit the access.  Returns 0 if that is all, else why not.
 */
static int
check_part(const struct vmmem_collection *collection, uint32_t access,
	   uint64_t gpa, uint64_t at, uint64_t len, uint64_t *ret_good)
{
	uint64_t bad = 0;
	int rc;

	*ret_good = 0;
	if (len == 0)
		return 0;
	if (at > UINT64_MAX - gpa)
		return VMMEM_EWRAPS;
	gpa += at;
	rc = vmmem_collection_check_range(collection, gpa, len, access, &bad);
	*ret_good = rc == 0 ? len : rc == VMMEM_EWRAPS ? 0 - gpa : bad - gpa;
	return rc;
}

int
vmmem_chain_check(const struct vmmem_collection *collection, uint32_t access,
		  const struct vmmem_chain *chain, uint64_t len,
		  uint64_t *ret_len)
{
	const bool rest = len == VMMEM_CHAIN_REST;
	uint64_t at = chain->at, want, good;
	size_t i;
	int rc;

	*ret_len = 0;
	if (chain->count == 0)
		return rest && at == 0 ? 0 : VMMEM_EOUTOFRANGE;
	for (i = 0; i < chain->count && (rest || *ret_len != len); i++) {
		const struct vmmem_range *range = &chain->range[i];
		bool cut;

		want = range->len - at;
		cut = want > len - *ret_len;
		if (cut)
			want = len - *ret_len;
		rc = check_part(collection, access, range->gpa, at, want,
				&good);
		at = 0;
		*ret_len += good;
		if (rc != 0)
			return rc;
		/* More than can be counted. */
		if (cut && rest)
			return VMMEM_EWRAPS;
	}
	return rest || *ret_len == len ? 0 : VMMEM_EOUTOFRANGE;
}

void
vmmem_chain_tell(const struct vmmem_chain *chain, uint64_t at,
		 uint64_t *ret_bad)
{
	struct vmmem_chain behind = *chain;

	if (ret_bad == NULL)
		return;
	vmmem_chain_skip(&behind, at);
	/* Behind the last address there is no byte. */
	if (behind.count != 0 && behind.at <= UINT64_MAX - behind.range->gpa)
		*ret_bad = behind.range->gpa + behind.at;
}

/* The job: a chain's bytes are copied to 'to', or from 'from', or filled. */
struct job {
	unsigned char *to;	   /* or NULL */
	const unsigned char *from; /* or NULL: all become 'value' */
	uint8_t value;
};

static uint32_t
access_of(const struct job *job)
{
	return job->to != NULL ? VMMEM_PROT_READ : VMMEM_PROT_WRITE;
}

static bool
is_fill(const struct job *job)
{
	return job->to == NULL && job->from == NULL;
}

/* move_piece() moves 'len' bytes, of which the first is byte 'done' of all. */
static int
move_piece(const struct vmmem_collection *collection, const struct job *job,
	   uint64_t gpa, uint64_t done, uint64_t len, uint64_t *ret_moved)
{
	if (job->to != NULL)
		return vmmem_access_read_pieces(collection, gpa, job->to + done,
						len, ret_moved);
	if (job->from != NULL)
		return vmmem_access_write_pieces(
			collection, gpa, job->from + done, len, ret_moved);
	return vmmem_access_fill_pieces(collection, gpa, len, job->value,
					ret_moved);
}

/* move() moves the next 'len' bytes, which were checked. */
static int
move(const struct vmmem_collection *collection, const struct job *job,
     struct vmmem_chain chain, uint64_t len, uint64_t *ret_done)
{
	uint64_t done = 0, piece, moved = 0;
	int rc = 0;

	while (rc == 0 && done != len) {
		piece = chain.range->len - chain.at;
		if (piece > len - done)
			piece = len - done;
		/* Of no bytes: the address is not looked at. */
		if (piece != 0)
			rc = move_piece(collection, job,
					chain.range->gpa + chain.at, done,
					piece, &moved);
		else
			moved = 0;
		done += moved;
		vmmem_chain_skip(&chain, moved);
	}
	*ret_done = done;
	return rc;
}

/* run() does the job with bytes [skip, skip + len) of a chain. */
static int
run(const struct vmmem_collection *collection, const struct job *job,
    struct vmmem_chain chain, uint64_t skip, uint64_t len, uint32_t flags,
    uint64_t *ret_done, uint64_t *ret_bad)
{
	uint64_t done = 0, good = 0, bad;
	int rc = 0, short_of;

	if (collection == NULL || (chain.range == NULL && chain.count != 0) ||
	    (flags & ~FLAGS_KNOWN) != 0)
		return VMMEM_EARGUMENT;
	if (len == 0)
		goto report;
	vmmem_chain_skip(&chain, skip);
	short_of = vmmem_chain_check(collection, access_of(job), &chain, len,
				     &good);
	/* To a buffer it is a length like others, and no chain has it. */
	if (short_of == 0 && good != len && !is_fill(job))
		short_of = VMMEM_EOUTOFRANGE;
	if (short_of == 0 || (flags & VMMEM_CHAIN_SOME) != 0)
		rc = move(collection, job, chain, good, &done);
	bad = rc != 0 ? done : good;
	if (rc == 0)
		rc = short_of;
	if (rc != 0 && rc != VMMEM_EOUTOFRANGE && rc != VMMEM_EWRAPS)
		vmmem_chain_tell(&chain, bad, ret_bad);
report:
	if (ret_done != NULL)
		*ret_done = done;
	return rc;
}

VMMEM_API int
vmmem_collection_ranges_read(const struct vmmem_collection *collection,
			     const struct vmmem_range *ranges, size_t count,
			     uint64_t skip, void *buf, size_t len,
			     uint32_t flags, size_t *ret_done,
			     uint64_t *ret_bad)
{
	const struct job job = { .to = buf };

	if (buf == NULL && len != 0)
		return VMMEM_EARGUMENT;
	return run(collection, &job, (struct vmmem_chain){ ranges, count, 0 },
		   skip, len, flags, ret_done, ret_bad);
}

VMMEM_API int
vmmem_collection_ranges_write(const struct vmmem_collection *collection,
			      const struct vmmem_range *ranges, size_t count,
			      uint64_t skip, const void *buf, size_t len,
			      uint32_t flags, size_t *ret_done,
			      uint64_t *ret_bad)
{
	const struct job job = { .from = buf };

	if (buf == NULL && len != 0)
		return VMMEM_EARGUMENT;
	return run(collection, &job, (struct vmmem_chain){ ranges, count, 0 },
		   skip, len, flags, ret_done, ret_bad);
}

VMMEM_API int
vmmem_collection_ranges_fill(const struct vmmem_collection *collection,
			     const struct vmmem_range *ranges, size_t count,
			     uint64_t skip, uint64_t len, uint8_t value,
			     uint32_t flags, uint64_t *ret_done,
			     uint64_t *ret_bad)
{
	const struct job job = { .value = value };

	return run(collection, &job, (struct vmmem_chain){ ranges, count, 0 },
		   skip, len, flags, ret_done, ret_bad);
}
