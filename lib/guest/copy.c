/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Copies from and to guest memory, made of single accesses. */
#include "guest/copy.h"

#include <stdbool.h>

#include <vmmem/error.h>

#include "base/api.h"
#include "guest/copy_x86.h"

#ifdef VMMEM_COPY_X86
#define WIDE 16
typedef long long wide
	__attribute__((__vector_size__(WIDE), __may_alias__, __aligned__(8)));

VMMEM_GUEST_VECTOR(wide, wide, VMMEM_GUEST_SSE, )

static inline bool
vmmem_from_guest_wide(void *buf, const void *guest)
{
	wide value;

	if (!vmmem_guest_load_wide(guest, &value))
		return false;
	memcpy(buf, &value, sizeof(value));
	return true;
}

static inline bool
vmmem_to_guest_wide(void *guest, const void *buf)
{
	wide value;

	memcpy(&value, buf, sizeof(value));
	return vmmem_guest_store_wide(guest, &value);
}
#else
#define WIDE 8
#define vmmem_from_guest_wide vmmem_from_guest_64
#define vmmem_to_guest_wide vmmem_to_guest_64
#endif

/*
 * A range is gone through in the largest aligned pieces that fit, which are the
 * groups of the promise and nothing smaller: 1, 2 and 4 bytes up to a multiple
 * of 8, then on in whatever is widest, then down again.  The macros are for
 * variables 'guest' and 'len'.  'step' makes one access of a type at the
 * beginning of what is left, and moves on by its size; or goes to 'gone', from
 * where the rest is gone through carefully.
 *
 * Where a range begins and how long it is, is the guest's, and cannot be
 * predicted.  A branch that misses costs more than all of 64 bytes.  So there
 * are none at the ends of a range of 16 bytes or more: 'maybe' makes an access
 * 'offset' bytes from the beginning; if 'yes' is 0, it is of memory of ours.
 */
#define HEAD(guest) (-(uintptr_t)(guest) & 7)
#define TAIL(guest) (((uintptr_t)(guest) + len) & 7)

#define MOVE_HEAD(maybe, head)                                             \
	do {                                                               \
		maybe(8, 1, 0, (head) & 1);                                \
		maybe(16, 2, (head) & 1, (head) & 2);                      \
		maybe(32, 4, (head) & 3, (head) & 4);                      \
	} while (0)

/* Where only the tail is left. */
#define MOVE_TAIL(maybe, tail)                                             \
	do {                                                               \
		maybe(32, 4, 0, (tail) & 4);                               \
		maybe(16, 2, (tail) & 4, (tail) & 2);                      \
		maybe(8, 1, (tail) & 6, (tail) & 1);                       \
	} while (0)

/*
 * MIDDLE() is for a multiple of 8 bytes at a multiple of 8; 'all' moves them
 * in another way if there is one that is worth it.
 */
#define MIDDLE(step, all)                                                  \
	do {                                                               \
		all;                                                       \
		while (len >= 4 * WIDE) {                                  \
			step(wide, WIDE);                                  \
			step(wide, WIDE);                                  \
			step(wide, WIDE);                                  \
			step(wide, WIDE);                                  \
		}                                                          \
		while (len >= WIDE)                                        \
			step(wide, WIDE);                                  \
		if (len != 0)                                              \
			step(64, 8);                                       \
	} while (0)

#ifdef VMMEM_COPY_X86
#define ALL(move)                                                          \
	do {                                                               \
		if (len >= VMMEM_COPY_LONG && vmmem_copy_has_avx()) {      \
			size_t left = (move), done = len - left;           \
                                                                           \
			ADVANCE(done);                                     \
			if (!likely(left == 0))                            \
				goto gone;                                 \
		}                                                          \
	} while (0)
#else
#define ALL(move) (void)0
#endif

/* SHORT() is for any range of less than 16 bytes. */
#define SHORT(guest, step)                                                 \
	do {                                                               \
		if (len >= 1 && !VMMEM_ALIGNED(guest, 2))                  \
			step(8, 1);                                        \
		if (len >= 2 && !VMMEM_ALIGNED(guest, 4))                  \
			step(16, 2);                                       \
		if (len >= 4 && !VMMEM_ALIGNED(guest, 8))                  \
			step(32, 4);                                       \
		if (len >= 8)                                              \
			step(64, 8);                                       \
		if (len >= 4)                                              \
			step(32, 4);                                       \
		if (len >= 2)                                              \
			step(16, 2);                                       \
		if (len >= 1)                                              \
			step(8, 1);                                        \
	} while (0)

/*
 * The source of reads that are made for nothing, so that there is no branch.
 * Writes that are made for nothing go to 'spare' instead: with one buffer for
 * both, each such read would wait for the write before it.
 */
static const uint64_t nothing[WIDE / 8];

/* pick() returns 'pointer' if 'yes' is not 0, and 'spare' if it is. */
static inline const void *
pick(size_t yes, const void *pointer, const void *spare)
{
	pointer = yes != 0 ? pointer : spare;
	/* No instruction: else the compiler may make branches. */
	__asm__("" : "+r"(pointer));
	return pointer;
}

static inline void *
pick_target(size_t yes, void *pointer, void *spare)
{
	pointer = yes != 0 ? pointer : spare;
	__asm__("" : "+r"(pointer));
	return pointer;
}

/*
 * A read may read more than the groups at the ends, if the rest is read again
 * for good.  So x86-64 reads 8 bytes at each end as they lie: what of these is
 * in one group is read at once, as with accesses of 16.  That is a third of
 * the instructions.
 */
#if WIDE == 16
#define MOVE_ENDS()                                                        \
	do {                                                               \
		if (!vmmem_from_guest_64(buf + len - 8, guest + len - 8) || \
		    !vmmem_from_guest_64(buf, guest))                      \
			goto gone;                                         \
	} while (0)
#else
#define MOVE_ENDS()                                                        \
	do {                                                               \
		const size_t end = TAIL(guest);                            \
                                                                           \
		MAYBE(8, 1, len - 1, end & 1);                             \
		MAYBE(16, 2, len - 2 - (end & 1), end & 2);                \
		MAYBE(32, 4, len - 4 - (end & 3), end & 4);                \
		MOVE_HEAD(MAYBE, head);                                    \
	} while (0)
#endif

size_t
vmmem_copy_from_guest_any(void *to, const void *from, size_t len)
{
	const unsigned char *guest = from;
	unsigned char *buf = to;
	size_t head, tail = 0;

#define ADVANCE(size) (buf += (size), guest += (size), len -= (size))
#define STEP(type, size)                                                   \
	do {                                                               \
		if (!vmmem_from_guest_##type(buf, guest))                  \
			goto gone;                                         \
		ADVANCE(size);                                             \
	} while (0)
/* Bytes that a dummy read stored stay in the buffer until the rest is read. */
#define MAYBE(type, size, offset, yes)                                     \
	do {                                                               \
		if (!vmmem_from_guest_##type(                              \
			    buf + (offset),                                \
			    pick(yes, guest + (offset), nothing)))         \
			goto gone;                                         \
	} while (0)
	if (len < 16) {
		SHORT(guest, STEP);
		return 0;
	}
	if ((((uintptr_t)guest | len) & 7) != 0) {
		head = HEAD(guest);
		MOVE_ENDS();
		tail = TAIL(guest);
		ADVANCE(head);
		len -= tail;
	}
	MIDDLE(STEP, ALL(vmmem_copy_long(buf, guest, len)));
	return 0;
gone:
	return vmmem_copy_read_carefully(buf, guest, len + tail);
#undef STEP
#undef MAYBE
}

size_t
vmmem_copy_to_guest_any(void *to, const void *from, size_t len)
{
	unsigned char *guest = to;
	const unsigned char *buf = from;
	uint64_t spare[WIDE / 8];
	const bool ends = (((uintptr_t)to | len) & 7) != 0;
	size_t head, tail = 0;

#define STEP(type, size)                                                   \
	do {                                                               \
		if (!vmmem_to_guest_##type(guest, buf))                    \
			goto gone;                                         \
		ADVANCE(size);                                             \
	} while (0)
/*
 * In order, so that what was written are the first bytes.  The buffer may end
 * where there is nothing to be written.
 */
#define MAYBE(type, size, offset, yes)                                     \
	do {                                                               \
		if (!vmmem_to_guest_##type(                                \
			    pick_target(yes, guest + (offset), spare),     \
			    pick(yes, buf + (offset), nothing))) {         \
			ADVANCE(offset);                                   \
			goto gone;                                         \
		}                                                          \
	} while (0)
	if (len < 16) {
		SHORT(guest, STEP);
		return 0;
	}
	if (ends) {
		head = HEAD(guest);
		MOVE_HEAD(MAYBE, head);
		tail = TAIL(guest);
		ADVANCE(head);
		len -= tail;
	}
	MIDDLE(STEP, ALL(vmmem_copy_long(guest, buf, len)));
	if (ends) {
		len = tail;
		tail = 0;
		MOVE_TAIL(MAYBE, len);
	}
	return 0;
gone:
	return vmmem_copy_write_carefully(guest, buf, len + tail);
#undef STEP
#undef MAYBE
#undef ADVANCE
}

size_t
vmmem_copy_fill(void *to, uint8_t value, size_t len)
{
	/* As long as the widest access. */
	unsigned char pattern[WIDE];
	unsigned char *guest = to;
	uint64_t spare[WIDE / 8];
	const bool ends = (((uintptr_t)to | len) & 7) != 0;
	size_t head, tail = 0;

	memset(pattern, value, sizeof(pattern));
#define ADVANCE(size) (guest += (size), len -= (size))
#define STEP(type, size)                                                   \
	do {                                                               \
		if (!vmmem_to_guest_##type(guest, pattern))                \
			goto gone;                                         \
		ADVANCE(size);                                             \
	} while (0)
#define MAYBE(type, size, offset, yes)                                     \
	do {                                                               \
		if (!vmmem_to_guest_##type(                                \
			    pick_target(yes, guest + (offset), spare),     \
			    pattern)) {                                    \
			ADVANCE(offset);                                   \
			goto gone;                                         \
		}                                                          \
	} while (0)
	if (len < 16) {
		SHORT(guest, STEP);
		return 0;
	}
	if (ends) {
		head = HEAD(guest);
		MOVE_HEAD(MAYBE, head);
		tail = TAIL(guest);
		ADVANCE(head);
		len -= tail;
	}
	MIDDLE(STEP, ALL(vmmem_copy_fill_long(guest, value, len)));
	if (ends) {
		len = tail;
		tail = 0;
		MOVE_TAIL(MAYBE, len);
	}
	return 0;
gone:
	return vmmem_copy_fill_carefully(guest, value, len + tail);
#undef STEP
#undef MAYBE
#undef ADVANCE
}

/*
 * copy_alike() copies upwards between guest addresses that are aligned alike,
 * modulo 8: whole groups on one side are whole on the other.
 */
static size_t
copy_alike(unsigned char *target, const unsigned char *source, size_t len)
{
	uint64_t value[WIDE / 8], spare[WIDE / 8];
	size_t head, tail = 0;

#define ADVANCE(size) (target += (size), source += (size), len -= (size))
#define STEP(type, size)                                                   \
	do {                                                               \
		if (!vmmem_from_guest_##type(value, source) ||             \
		    !vmmem_to_guest_##type(target, value))                 \
			goto gone;                                         \
		ADVANCE(size);                                             \
	} while (0)
#define MAYBE(type, size, offset, yes)                                     \
	do {                                                               \
		if (!vmmem_from_guest_##type(                              \
			    value, pick(yes, source + (offset), nothing)) || \
		    !vmmem_to_guest_##type(                                \
			    pick_target(yes, target + (offset), spare),    \
			    value)) {                                      \
			ADVANCE(offset);                                   \
			goto gone;                                         \
		}                                                          \
	} while (0)
	if (len < 16) {
		SHORT(target, STEP);
		return 0;
	}
	/* The tail last, as the two may overlap. */
	head = HEAD(target);
	MOVE_HEAD(MAYBE, head);
	tail = TAIL(target);
	ADVANCE(head);
	len -= tail;
	MIDDLE(STEP, ALL(vmmem_copy_long(target, source, len)));
	len = tail;
	tail = 0;
	MOVE_TAIL(MAYBE, len);
	return 0;
gone:
	return vmmem_copy_carefully(target, source, len + tail);
#undef STEP
#undef MAYBE
#undef ADVANCE
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
	bool upwards;
};

static int
read_host(void *context, uint64_t position, void *buf, size_t len)
{
	const struct host_ranges *ranges = context;

	if (vmmem_copy_from_guest_any(buf, ranges->source + position, len) != 0)
		return VMMEM_EGONE;
	return 0;
}

static int
write_host(void *context, uint64_t position, const void *buf, size_t len,
	   uint64_t *done)
{
	const struct host_ranges *ranges = context;
	unsigned char *guest = ranges->target + position;
	size_t left;

	left = ranges->upwards ? vmmem_copy_to_guest_any(guest, buf, len) :
				 vmmem_copy_to_guest_downwards(guest, buf, len);
	*done += len - left;
	return left != 0 ? VMMEM_EGONE : 0;
}

/* Also where groups must not be cut: see vmmem_transfer(). */
static __attribute__((__noinline__)) size_t
copy_by_buffer(void *target, const void *source, size_t len)
{
	struct host_ranges ranges = {
		target, source,
		vmmem_transfer_is_upwards((uintptr_t)target, (uintptr_t)source,
					  len),
	};
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
	return len - (size_t)done;
}

/*
 * Pages, as a rule, are aligned alike.  What is not, and what is not upwards,
 * goes through a buffer: 4000 bytes took 81 ns without one, 162 with it, and 86
 * by memmove().
 */
size_t
vmmem_copy_within_guest(void *target, const void *source, size_t len)
{
	if (!vmmem_transfer_is_upwards((uintptr_t)target, (uintptr_t)source,
				       len))
		return copy_by_buffer(target, source, len);
	if (((uintptr_t)target - (uintptr_t)source) % GROUP == 0)
		return copy_alike(target, source, len);
#ifdef VMMEM_COPY_X86
	if (len >= VMMEM_COPY_APART) {
		size_t left = vmmem_copy_unaligned(target, source, len);

		if (likely(left == 0))
			return 0;
		target = (unsigned char *)target + (len - left);
		source = (const unsigned char *)source + (len - left);
		len = left;
	}
#endif
	return copy_by_buffer(target, source, len);
}
