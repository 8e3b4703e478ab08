/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "model.h"

#include <string.h>

/* Beside what an access may touch of the caller's buffer. */
#define MARGIN 24U
#define MARGIN_BYTE 0xc3

unsigned char *
view_cell(const struct view *view, uint64_t offset)
{
	const struct place *place = &view->piece->places[view->first + offset];

	EXPECT(offset < view->slice.len);
	return place->slot->cells + place->offset;
}

static void
note_write(const struct view *view, uint64_t offset)
{
	const struct place *place = &view->piece->places[view->first + offset];

	log_note(place->slot, place->offset, true);
}

void
view_write(const struct view *view, uint64_t offset, unsigned char value)
{
	*view_cell(view, offset) = value;
	note_write(view, offset);
}

int
view_code(const struct view *view, uint64_t offset, uint64_t len,
	  uint32_t access)
{
	if (len == 0)
		return 0;
	if (offset > view->slice.len || len > view->slice.len - offset)
		return VMMEM_EOUTOFRANGE;
	return (access & ~view->slice.access) != 0 ? VMMEM_EDENIED : 0;
}

uint64_t
pick_offset(const struct view *view)
{
	struct rng *rng = &world.rng;

	if (rng_chance(rng, 2))
		return rng_next(rng);
	return rng_below(rng, view->slice.len + 2);
}

/* Rather one that fits. */
static uint64_t
pick_len(const struct view *view, uint64_t offset)
{
	struct rng *rng = &world.rng;

	if (offset <= view->slice.len && rng_chance(rng, 80))
		return rng_below(rng, view->slice.len - offset + 1);
	return rng_below(rng, view->slice.len + 20);
}

/* How an array is moved: all, some, or as elements. */
enum form { WHOLE, SOME, ELEMENTS, ELEMENT, FORMS };

struct move {
	enum form form;
	uint64_t offset;
	size_t len;
	uint64_t index;
	size_t element_size;
	size_t elements;
	int want;
	size_t done; /* how many bytes are moved */
	bool count;
};

static void
pick_elements(const struct view *view, struct move *move)
{
	struct rng *rng = &world.rng;
	uint64_t end;

	move->element_size = (size_t)rng_below(rng, 25);
	move->elements = 1;
	move->index = 0;
	if (move->element_size != 0) {
		uint64_t fit = view->slice.len / move->element_size;

		move->index = rng_below(rng, fit + 2);
		if (move->form == ELEMENTS)
			move->elements = (size_t)rng_below(rng, fit + 2);
	}
	if (rng_chance(rng, 2))
		move->index = rng_next(rng);
	move->offset = move->index * move->element_size;
	move->len = move->elements * move->element_size;
	end = move->index + move->elements;
	if (move->element_size == 0)
		move->want = VMMEM_EARGUMENT;
	else if (move->elements != 0 &&
		 (end < move->index || end > UINT64_MAX / move->element_size))
		move->want = VMMEM_ETOOBIG;
}

static struct move
pick_move(const struct view *view, uint32_t access)
{
	struct rng *rng = &world.rng;
	struct move move = { .form = (enum form)rng_below(rng, FORMS) };

	if (move.form == ELEMENTS || move.form == ELEMENT) {
		pick_elements(view, &move);
	} else {
		move.offset = pick_offset(view);
		move.len = (size_t)pick_len(view, move.offset);
	}
	move.count = move.form == SOME && rng_chance(rng, 90);
	if (move.want != 0)
		return move;
	move.want = view_code(view, move.offset, move.len, access);
	if (move.want == 0) {
		move.done = move.len;
	} else if (move.form == SOME && move.want == VMMEM_EOUTOFRANGE &&
		   move.offset < view->slice.len) {
		/* What there is, if that is permitted. */
		move.done = (size_t)(view->slice.len - move.offset);
		if ((access & ~view->slice.access) != 0) {
			move.want = VMMEM_EDENIED;
			move.done = 0;
		}
	}
	return move;
}

static void
view_read(const struct view *view)
{
	static unsigned char buf[MARGIN + 16 + TRANSFER_MAX + MARGIN];
	static unsigned char want[sizeof(buf)];
	const struct vmmem_slice *slice = &view->slice;
	struct move move = pick_move(view, VMMEM_PROT_READ);
	size_t at = MARGIN + (size_t)rng_below(&world.rng, 16);
	size_t done = SIZE_MAX;
	size_t i;
	int rc;

	EXPECT(at + move.len + MARGIN <= sizeof(buf));
	memset(buf, MARGIN_BYTE, at + move.len + MARGIN);
	memset(want, MARGIN_BYTE, at + move.len + MARGIN);
	for (i = 0; i < move.done; i++)
		want[at + i] = *view_cell(view, move.offset + i);
	if (move.form == WHOLE)
		rc = vmmem_slice_read(slice, move.offset, buf + at, move.len);
	else if (move.form == SOME)
		rc = vmmem_slice_read_some(slice, move.offset, buf + at,
					   move.len,
					   move.count ? &done : NULL);
	else if (move.form == ELEMENTS)
		rc = vmmem_slice_read_elements(slice, move.index,
					       move.element_size,
					       move.elements, buf + at);
	else
		rc = vmmem_slice_load_element(slice, move.index,
					      move.element_size, buf + at);
	EXPECT_CODE(rc, move.want);
	EXPECT(memcmp(buf, want, at + move.len + MARGIN) == 0);
	EXPECT(done == (move.count ? move.done : SIZE_MAX));
	verify_bytes();
}

static void
view_write_bytes(const struct view *view)
{
	static unsigned char buf[16 + TRANSFER_MAX];
	const struct vmmem_slice *slice = &view->slice;
	struct rng *rng = &world.rng;
	struct move move = pick_move(view, VMMEM_PROT_WRITE);
	size_t at = (size_t)rng_below(rng, 16);
	size_t done = SIZE_MAX;
	size_t i;
	int rc;

	EXPECT(at + move.len <= sizeof(buf));
	for (i = 0; i < move.len; i++)
		buf[at + i] = (unsigned char)rng_next(rng);
	for (i = 0; i < move.done; i++)
		view_write(view, move.offset + i, buf[at + i]);
	if (move.form == WHOLE)
		rc = vmmem_slice_write(slice, move.offset, buf + at, move.len);
	else if (move.form == SOME)
		rc = vmmem_slice_write_some(slice, move.offset, buf + at,
					    move.len,
					    move.count ? &done : NULL);
	else if (move.form == ELEMENTS)
		rc = vmmem_slice_write_elements(slice, move.index,
						move.element_size,
						move.elements, buf + at);
	else
		rc = vmmem_slice_store_element(slice, move.index,
					       move.element_size, buf + at);
	EXPECT_CODE(rc, move.want);
	EXPECT(done == (move.count ? move.done : SIZE_MAX));
	verify_bytes();
}

static void
view_fill(const struct view *view)
{
	uint64_t offset = pick_offset(view);
	uint64_t len = pick_len(view, offset);
	unsigned char value = (unsigned char)rng_next(&world.rng);
	uint64_t i;
	int want;

	if (rng_chance(&world.rng, 2))
		len = rng_next(&world.rng);
	want = view_code(view, offset, len, VMMEM_PROT_WRITE);
	for (i = 0; want == 0 && i < len; i++)
		view_write(view, offset + i, value);
	EXPECT_CODE(vmmem_slice_fill(&view->slice, offset, len, value), want);
	verify_bytes();
}

/* The caller writes through the pointer, and says so afterwards. */
static void
view_mark(const struct view *view)
{
	uint64_t offset = pick_offset(view);
	uint64_t len = pick_len(view, offset);
	unsigned char *host = view->slice.host;
	uint64_t i;
	int want;

	want = view_code(view, offset, len, 0);
	for (i = 0; want == 0 && i < len; i++) {
		note_write(view, offset + i);
		if ((view->slice.access & VMMEM_PROT_WRITE) == 0)
			continue;
		host[offset + i] = (unsigned char)i;
		*view_cell(view, offset + i) = (unsigned char)i;
	}
	EXPECT_CODE(vmmem_slice_mark(&view->slice, offset, len), want);
	verify_bytes();
}

/*
 * twofold() tells whether two views may show the same bytes at different host
 * addresses, so that a copy could not know that they overlap.
 */
static bool
twofold(const struct view *a, const struct view *b)
{
	const struct slot *one, *other;

	if (a->slice.len == 0 || b->slice.len == 0)
		return false;
	one = owner_of(a->piece->places[0].slot);
	other = owner_of(b->piece->places[0].slot);
	return one != other && one->kind == VMMEM_REGION_FILE &&
	       other->kind == VMMEM_REGION_FILE;
}

static void
view_copy(const struct view *target)
{
	static unsigned char old[TRANSFER_MAX];
	struct rng *rng = &world.rng;
	const struct piece *piece = &world.pieces[rng_below(rng, PIECES)];
	struct view source = *target;
	uint64_t to = pick_offset(target), from, len, i;
	size_t size = 1 + (size_t)rng_below(rng, 9);
	bool elements = rng_chance(rng, 30);
	int from_code, to_code, rc;

	if (piece->used && rng_chance(rng, 50)) {
		source.piece = piece;
		source.first = 0;
		source.slice = piece->slice;
	}
	if (twofold(target, &source))
		return;
	from = pick_offset(&source);
	len = rng_chance(rng, 50) ? pick_len(target, to) :
				    pick_len(&source, from);
	if (elements) {
		/* As many elements from as many elements on. */
		to = to % (target->slice.len + 1) / size * size;
		from = from % (source.slice.len + 1) / size * size;
		len -= len % size;
	}
	from_code = view_code(&source, from, len, VMMEM_PROT_READ);
	to_code = view_code(target, to, len, VMMEM_PROT_WRITE);
	if (from_code == 0 && to_code == 0) {
		for (i = 0; i < len; i++)
			old[i] = *view_cell(&source, from + i);
		for (i = 0; i < len; i++)
			view_write(target, to + i, old[i]);
	}
	if (elements)
		rc = vmmem_slice_copy_elements(&target->slice, to / size,
					       &source.slice, from / size,
					       size, (size_t)(len / size));
	else
		rc = vmmem_slice_copy(&target->slice, to, &source.slice, from,
				      len);
	/* Which of the two is looked at first is not promised. */
	if (from_code == 0 || (to_code != 0 && rc == to_code))
		from_code = to_code;
	EXPECT_CODE(rc, from_code);
	verify_bytes();
}

static bool
is_part(const struct vmmem_slice *slice, uint64_t offset, uint64_t len,
	const struct vmmem_slice *part)
{
	return part->len == len && part->access == slice->access &&
	       part->logging == slice->logging && part->flags == 0 &&
	       part->host == (len != 0 ? (unsigned char *)slice->host + offset :
					 NULL);
}

static void
view_part(const struct view *view)
{
	const struct vmmem_slice *slice = &view->slice;
	const struct vmmem_slice none = { .access = 77 };
	struct vmmem_slice first = none, second = none;
	struct view part = *view;
	uint64_t offset = pick_offset(view);
	uint64_t len = pick_len(view, offset);
	int want = offset > slice->len ? VMMEM_EOUTOFRANGE : 0;
	uint64_t choice = rng_below(&world.rng, 3);

	if (choice == 0) {
		EXPECT_CODE(vmmem_slice_split(slice, offset, &first, &second),
			    want);
		EXPECT(want == 0 ? is_part(slice, 0, offset, &first) :
				   first.access == 77);
		len = slice->len - offset;
	} else if (choice == 1) {
		EXPECT_CODE(vmmem_slice_skip(slice, offset, &second), want);
		len = slice->len - offset;
	} else {
		want = view_code(view, offset, len, 0);
		EXPECT_CODE(vmmem_slice_sub(slice, offset, len, &second),
			    want);
	}
	if (want != 0) {
		EXPECT(second.access == 77 && second.len == 0);
		return;
	}
	EXPECT(is_part(slice, offset, len, &second));
	part.slice = second;
	if (len != 0)
		part.first += (size_t)offset;
	view_access(&part);
}

void
view_access(const struct view *view)
{
	uint64_t choice = rng_below(&world.rng, 100);

	if (choice < 15)
		view_read(view);
	else if (choice < 30)
		view_write_bytes(view);
	else if (choice < 35)
		view_fill(view);
	else if (choice < 40)
		view_mark(view);
	else if (choice < 50)
		view_copy(view);
	else if (choice < 65)
		view_part(view);
	else if (choice < 73)
		view_read_value(view);
	else if (choice < 81)
		view_write_value(view);
	else
		view_atomic(view);
}
