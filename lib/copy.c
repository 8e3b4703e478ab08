/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "copy.h"

/*
 * x86-64 moves 16 aligned bytes at once.  Processors with AVX promise that
 * this is one access; older ones may split it, and have only ever been seen to
 * do so into two of 8.  That is all that is promised here, and it halves the
 * number of instructions.  ThreadSanitizer knows no such access: it gets the
 * 8-byte ones.
 */
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
#define WIDE 16
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef WIDE
#endif
#endif
#endif

#ifdef WIDE
typedef long long wide __attribute__((__vector_size__(WIDE), __may_alias__));

static inline void
from_guest_wide(unsigned char *buf, const unsigned char *guest)
{
	/* Volatile: the one access that is written is the one that is made. */
	wide value = *(const volatile wide *)(const void *)guest;

	memcpy(buf, &value, sizeof(value));
}

static inline void
to_guest_wide(unsigned char *guest, const unsigned char *buf)
{
	wide value;

	memcpy(&value, buf, sizeof(value));
	*(volatile wide *)(void *)guest = value;
}
#else
#define WIDE 8
#define from_guest_wide vmmem_from_guest_64
#define to_guest_wide vmmem_to_guest_64
#endif

/*
 * Both directions: the largest aligned pieces that fit, which are the groups
 * of the promise and nothing smaller.  First up to a multiple of 8, then in
 * eights, then down again.  'step' is the name of an access of N bits.
 */
#define HEAD(step)                                                         \
	do {                                                               \
		if (len >= 1 && !VMMEM_ALIGNED(guest, 2))                  \
			step(8);                                           \
		if (len >= 2 && !VMMEM_ALIGNED(guest, 4))                  \
			step(16);                                          \
		if (len >= 4 && !VMMEM_ALIGNED(guest, 8))                  \
			step(32);                                          \
		if (len >= 8 && !VMMEM_ALIGNED(guest, WIDE))               \
			step(64);                                          \
	} while (0)

#define TAIL(step)                                                         \
	do {                                                               \
		if (WIDE > 8 && len >= 8)                                  \
			step(64);                                          \
		if (len >= 4)                                              \
			step(32);                                          \
		if (len >= 2)                                              \
			step(16);                                          \
		if (len >= 1)                                              \
			step(8);                                           \
	} while (0)

void
vmmem_copy_from_guest_any(void *to, const void *from, size_t len)
{
	const unsigned char *guest = from;
	unsigned char *buf = to;

#define STEP(bits)                                                         \
	do {                                                               \
		vmmem_from_guest_##bits(buf, guest);                       \
		buf += (bits) / 8;                                         \
		guest += (bits) / 8;                                       \
		len -= (bits) / 8;                                         \
	} while (0)
	HEAD(STEP);
	while (len >= 4 * WIDE) {
		from_guest_wide(buf, guest);
		from_guest_wide(buf + WIDE, guest + WIDE);
		from_guest_wide(buf + 2 * WIDE, guest + 2 * WIDE);
		from_guest_wide(buf + 3 * WIDE, guest + 3 * WIDE);
		buf += 4 * WIDE;
		guest += 4 * WIDE;
		len -= 4 * WIDE;
	}
	while (len >= WIDE) {
		from_guest_wide(buf, guest);
		buf += WIDE;
		guest += WIDE;
		len -= WIDE;
	}
	TAIL(STEP);
#undef STEP
}

void
vmmem_copy_to_guest_any(void *to, const void *from, size_t len)
{
	unsigned char *guest = to;
	const unsigned char *buf = from;

#define STEP(bits)                                                         \
	do {                                                               \
		vmmem_to_guest_##bits(guest, buf);                         \
		buf += (bits) / 8;                                         \
		guest += (bits) / 8;                                       \
		len -= (bits) / 8;                                         \
	} while (0)
	HEAD(STEP);
	while (len >= 4 * WIDE) {
		to_guest_wide(guest, buf);
		to_guest_wide(guest + WIDE, buf + WIDE);
		to_guest_wide(guest + 2 * WIDE, buf + 2 * WIDE);
		to_guest_wide(guest + 3 * WIDE, buf + 3 * WIDE);
		buf += 4 * WIDE;
		guest += 4 * WIDE;
		len -= 4 * WIDE;
	}
	while (len >= WIDE) {
		to_guest_wide(guest, buf);
		buf += WIDE;
		guest += WIDE;
		len -= WIDE;
	}
	TAIL(STEP);
#undef STEP
}

/* A page of patterns would do no better: this much stays in the first cache. */
#define PATTERN 256

void
vmmem_fill_guest(void *guest, uint8_t value, size_t len)
{
	unsigned char pattern[PATTERN];
	unsigned char *to = guest;
	size_t chunk;

	memset(pattern, value, len < PATTERN ? len : PATTERN);
	/* To a multiple of the pattern, so that no group is cut in two. */
	chunk = PATTERN - ((uintptr_t)to & (PATTERN - 1));
	while (len > 0) {
		if (chunk > len)
			chunk = len;
		vmmem_copy_to_guest_any(to, pattern, chunk);
		to += chunk;
		len -= chunk;
		chunk = PATTERN;
	}
}

/*
 * Between guest addresses, bytes go through a buffer of ours.  Source and
 * target need not be aligned alike, so a chunk that ends at a group's end on
 * one side may end within a group on the other.  Hence the carry: what is read
 * ends where a group of the source ends, what is written ends where a group of
 * the target ends, and up to 7 bytes in between wait for the next round.
 */
#define CHUNK 512
#define GROUP 8

static int
transfer_upwards(const struct vmmem_transfer *transfer, uint64_t *done)
{
	unsigned char buf[GROUP + CHUNK];
	uint64_t position = 0;
	size_t have = 0, read, write;
	int rc;

	while (*done < transfer->len) {
		read = CHUNK - ((transfer->source + position) & (GROUP - 1));
		if (read > transfer->len - position)
			read = (size_t)(transfer->len - position);
		if (read != 0) {
			rc = transfer->read(transfer->context, position,
					    buf + have, read);
			if (rc != 0)
				return rc;
		}
		position += read;
		have += read;

		write = have;
		if (position < transfer->len)
			write -= (transfer->target + position) & (GROUP - 1);
		rc = transfer->write(transfer->context, *done, buf, write,
				     done);
		if (rc != 0)
			return rc;
		have -= write;
		memmove(buf, buf + write, have);
	}
	return 0;
}

static int
transfer_downwards(const struct vmmem_transfer *transfer, uint64_t *done)
{
	unsigned char buf[CHUNK + GROUP];
	unsigned char *const end = buf + sizeof(buf);
	uint64_t position = transfer->len;
	size_t have = 0, read, write;
	int rc;

	/* The mirror image: what waits stands at the end of the buffer. */
	while (*done < transfer->len) {
		read = CHUNK -
		       (-(transfer->source + position) & (GROUP - 1));
		if (read > position)
			read = (size_t)position;
		position -= read;
		have += read;
		if (read != 0) {
			rc = transfer->read(transfer->context, position,
					    end - have, read);
			if (rc != 0)
				return rc;
		}

		write = have;
		if (position > 0)
			write -= -(transfer->target + position) & (GROUP - 1);
		rc = transfer->write(transfer->context,
				     transfer->len - *done - write,
				     end - write, write, done);
		if (rc != 0)
			return rc;
		have -= write;
		memmove(end - have, end - have - write, have);
	}
	return 0;
}

int
vmmem_transfer(const struct vmmem_transfer *transfer, uint64_t *ret_done)
{
	*ret_done = 0;
	if (vmmem_transfer_is_upwards(transfer->target, transfer->source,
				      transfer->len))
		return transfer_upwards(transfer, ret_done);
	return transfer_downwards(transfer, ret_done);
}

struct host_ranges {
	unsigned char *target;
	const unsigned char *source;
};

static int
read_host(void *context, uint64_t position, void *buf, size_t len)
{
	const struct host_ranges *ranges = context;

	vmmem_copy_from_guest_any(buf, ranges->source + position, len);
	return 0;
}

static int
write_host(void *context, uint64_t position, const void *buf, size_t len,
	   uint64_t *done)
{
	const struct host_ranges *ranges = context;

	vmmem_copy_to_guest_any(ranges->target + position, buf, len);
	*done += len;
	return 0;
}

void
vmmem_copy_within_guest(void *target, const void *source, size_t len)
{
	struct host_ranges ranges = { target, source };
	const struct vmmem_transfer transfer = {
		.read = read_host,
		.write = write_host,
		.context = &ranges,
		.target = (uintptr_t)target,
		.source = (uintptr_t)source,
		.len = len,
	};
	uint64_t done;

	vmmem_transfer(&transfer, &done);
}
