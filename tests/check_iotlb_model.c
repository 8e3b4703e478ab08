/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * An iotlb against a naive model of one: an array with an element for each
 * address of a small window, which is put at the bottom, at the top and in the
 * middle of the address space.  Random messages, among them overlapping, empty,
 * duplicate and overflowing ones; whatever is asked, the two say the same.  The
 * model evicts what was used longest ago, by a plain search.
 *
 * VMMEM_TEST_SEED repeats a run, VMMEM_TEST_LONG=1 makes ten million steps.
 */
#include <stdio.h>
#include <string.h>

#include <vmmem/vmmem.h>

#include "guest.h"
#include "rng.h"
#include "suite.h"

#define WINDOW 512
#define ROUNDS 500000
#define READ_WRITE (VMMEM_PROT_READ | VMMEM_PROT_WRITE)

struct byte {
	bool mapped;
	uint64_t delta;
	uint32_t access;
	uint64_t cookie;
	uint64_t used; /* of all bytes of an entry alike */
};

struct model {
	struct vmmem_iotlb *iotlb;
	uint64_t base; /* of the window */
	size_t capacity;
	bool keeps; /* it does not evict */
	size_t most; /* bytes of a range, as a rule */
	struct byte bytes[WINDOW];
	uint64_t clock;
	uint64_t evicted;
	struct rng rng;
	uint64_t seed;
	uint64_t step;
	const char *what;
};

/* Check notes each assertion in a file, which would take most of the time. */
#define HOLDS(m, condition)                                                \
	do {                                                               \
		if (!(condition))                                          \
			ck_abort_msg("seed %#jx, step %ju, capacity %zu, " \
				     "base %#jx, %s: %s",                  \
				     (uintmax_t)(m)->seed,                 \
				     (uintmax_t)(m)->step, (m)->capacity,  \
				     (uintmax_t)(m)->base, (m)->what,      \
				     #condition);                          \
	} while (0)

/* Whether two neighbours are of one entry; no target goes on behind the top. */
static bool
goes_on(const struct model *m, size_t i)
{
	const struct byte *a = &m->bytes[i], *b = &m->bytes[i + 1];

	return i + 1 < WINDOW && a->mapped && b->mapped &&
	       a->delta == b->delta && a->access == b->access &&
	       a->cookie == b->cookie &&
	       m->base + (i + 1) + b->delta != 0;
}

static size_t
count(const struct model *m)
{
	size_t i, entries = 0;

	for (i = 0; i < WINDOW; i++)
		entries += m->bytes[i].mapped && !goes_on(m, i);
	return entries;
}

/* The entry that holds 'i' was used. */
static void
use(struct model *m, size_t i, uint64_t when)
{
	size_t first = i, last = i;

	if (!m->bytes[i].mapped)
		return;
	while (first > 0 && goes_on(m, first - 1))
		first--;
	while (goes_on(m, last))
		last++;
	for (; first <= last; first++)
		m->bytes[first].used = when;
}

/* What has not been used for longest goes, until there are not too many. */
static void
evict(struct model *m)
{
	size_t entries, most, i, j;
	uint64_t oldest;

	while ((entries = count(m)) > m->capacity) {
		oldest = UINT64_MAX;
		for (i = 0; i < WINDOW; i++)
			if (m->bytes[i].mapped && m->bytes[i].used < oldest)
				oldest = m->bytes[i].used;
		/* Of those that are as old, the one lowest in address. */
		for (i = 0; !m->bytes[i].mapped || m->bytes[i].used != oldest;
		     i++)
			;
		for (j = i; goes_on(m, j); j++)
			;
		most = j;
		for (; i <= most; i++)
			m->bytes[i].mapped = false;
		m->evicted++;
		HOLDS(m, count(m) == entries - 1);
	}
}

/* overflows() takes a change back for which there is no room, if none may go. */
static bool
overflows(struct model *m, const struct byte *before)
{
	if (!m->keeps || count(m) <= m->capacity)
		return false;
	memcpy(m->bytes, before, sizeof(m->bytes));
	return true;
}

/* Looking at entries is use, whether they permit the access or not. */
static void
use_range(struct model *m, size_t from, size_t to)
{
	size_t i;

	for (i = from; i < to; i++)
		use(m, i, m->clock);
}

/* compare() asks for a range, and has the model know that it was used. */
static void
compare(struct model *m, size_t from, size_t len, uint32_t access)
{
	struct vmmem_iotlb_piece pieces[WINDOW];
	size_t found = 99, i = from, n = 0, start;
	int rc, want = 0;

	rc = vmmem_iotlb_lookup(m->iotlb, m->base + from, len, access, pieces,
				ARRAY_LEN(pieces), &found);
	while (i < from + len) {
		const struct byte *b = &m->bytes[i];
		const struct vmmem_iotlb_piece *p = &pieces[n];
		uint32_t state;

		start = i;
		while (i + 1 < from + len &&
		       (b->mapped ? goes_on(m, i) : !m->bytes[i + 1].mapped))
			i++;
		i++;
		state = !b->mapped			  ? VMMEM_IOTLB_MISS :
			(access & ~b->access) != 0 ? VMMEM_IOTLB_DENIED :
							  VMMEM_IOTLB_HIT;
		if (state == VMMEM_IOTLB_MISS)
			want = VMMEM_EIOMMUMISS;
		else if (state == VMMEM_IOTLB_DENIED && want == 0)
			want = VMMEM_EDENIED;
		HOLDS(m, n < found);
		HOLDS(m, p->iova == m->base + start);
		HOLDS(m, p->len == i - start);
		HOLDS(m, p->state == state);
		HOLDS(m, p->gpa == (b->mapped ? p->iova + b->delta : 0));
		HOLDS(m, p->access == (b->mapped ? b->access : 0));
		HOLDS(m, p->cookie == (b->mapped ? b->cookie : 0));
		n++;
	}
	HOLDS(m, found == n);
	HOLDS(m, rc == want);
	use_range(m, from, from + len);
}

/* A range of the window; often short, sometimes empty. */
static void
draw(struct model *m, size_t *from, size_t *len)
{
	size_t most = rng_chance(&m->rng, 5) ? WINDOW : m->most;

	*from = rng_below(&m->rng, WINDOW);
	*len = rng_below(&m->rng, most + 1);
	if (*len > WINDOW - *from)
		*len = WINDOW - *from;
}

static void
step_map(struct model *m)
{
	/* Few displacements and permissions, so that neighbours join. */
	static const uint32_t accesses[] = {
		0, VMMEM_PROT_READ, VMMEM_PROT_WRITE, READ_WRITE, READ_WRITE,
		READ_WRITE,
	};
	uint32_t access = accesses[rng_below(&m->rng, ARRAY_LEN(accesses))];
	uint64_t delta = rng_below(&m->rng, 3) * 0x1000 - 0x1000, gpa;
	uint64_t cookie = rng_chance(&m->rng, 10) ? rng_below(&m->rng, 3) : 0;
	struct byte before[WINDOW];
	size_t from, len, i;
	int rc, want = 0;

	m->what = "map";
	draw(m, &from, &len);
	/* Now and then to where the target ends, or from where it begins. */
	if (rng_chance(&m->rng, 10)) {
		delta = 0 - (m->base + WINDOW / 2);
		if (from >= WINDOW / 2)
			from = WINDOW / 2;
		else if (rng_chance(&m->rng, 80))
			len = WINDOW / 2 - from;
	}
	gpa = m->base + from + delta;
	rc = cookie != 0 ?
		     vmmem_iotlb_map_cookie(m->iotlb, m->base + from, gpa, len,
					    access, cookie) :
		     vmmem_iotlb_map(m->iotlb, m->base + from, gpa, len,
				     access);
	if (len != 0 && len - 1 > UINT64_MAX - gpa)
		want = VMMEM_EWRAPS;
	if (want != 0 || len == 0) {
		HOLDS(m, rc == want);
		return;
	}
	memcpy(before, m->bytes, sizeof(before));
	for (i = from; i < from + len; i++)
		m->bytes[i] = (struct byte){ true, delta, access, cookie, 0 };
	if (overflows(m, before)) {
		HOLDS(m, rc == VMMEM_ENOROOM);
		return;
	}
	HOLDS(m, rc == 0);
	/* Joined or not, it is younger than all that was used before. */
	use(m, from, ++m->clock);
	evict(m);
	m->clock++;
}

static void
step_unmap(struct model *m)
{
	struct byte before[WINDOW];
	size_t from, len, i;
	int rc, want = 0;

	m->what = "unmap";
	draw(m, &from, &len);
	/* Too long a range, where the window ends at 2^64. */
	if (m->base + WINDOW == 0 && rng_chance(&m->rng, 5)) {
		rc = vmmem_iotlb_unmap(m->iotlb, m->base + from,
				       WINDOW - from + 1 +
					       rng_below(&m->rng, 9999));
		len = WINDOW - from;
		want = VMMEM_EWRAPS;
	} else {
		rc = vmmem_iotlb_unmap(m->iotlb, m->base + from, len);
	}
	memcpy(before, m->bytes, sizeof(before));
	for (i = from; i < from + len; i++)
		m->bytes[i].mapped = false;
	if (overflows(m, before))
		want = VMMEM_ENOROOM;
	HOLDS(m, rc == want);
	evict(m);
}

static void
step_refused(struct model *m)
{
	size_t from, len;

	m->what = "refused";
	draw(m, &from, &len);
	HOLDS(m, vmmem_iotlb_map(m->iotlb, UINT64_MAX - from, 0,
				 from + 2 + len, READ_WRITE) ==
			 VMMEM_EWRAPS);
	HOLDS(m, vmmem_iotlb_map(m->iotlb, m->base + from, UINT64_MAX - len,
				 len + 2, READ_WRITE) == VMMEM_EWRAPS);
	HOLDS(m, vmmem_iotlb_map(m->iotlb, m->base + from, 0, len, 4) ==
			 VMMEM_EARGUMENT);
}

static void
step(struct model *m)
{
	uint64_t what = rng_below(&m->rng, 1000);
	size_t from, len;

	if (what < 450) {
		step_map(m);
	} else if (what < 650) {
		step_unmap(m);
	} else if (what < 652) {
		m->what = "unmap all";
		vmmem_iotlb_unmap_all(m->iotlb);
		memset(m->bytes, 0, sizeof(m->bytes));
	} else if (what < 660) {
		step_refused(m);
	} else {
		m->what = "look-up";
		draw(m, &from, &len);
		compare(m, from, len, (uint32_t)rng_below(&m->rng, 4));
	}
	/* All of it is looked at now and then: that makes all alike in age. */
	if (m->step % 64 == 0) {
		compare(m, 0, WINDOW, 0);
		HOLDS(m, vmmem_iotlb_count(m->iotlb) == count(m));
		HOLDS(m, vmmem_iotlb_evicted(m->iotlb) == m->evicted);
	}
}

/* Short ranges make many entries, long ones have them cut and replaced. */
static const struct {
	uint64_t base;
	size_t capacity;
	size_t most;
	bool keeps;
} worlds[] = {
	{ 0, 1, 24, false },
	{ 0, 2, 24, false },
	{ 0, 7, 24, false },
	{ 0, 1000, 24, false },
	{ 0, 200, 2, false },
	{ 0x12345678, 3, 24, false },
	{ 0x12345678, 33, 24, false },
	{ 0x12345678, 1000, 1, false },
	{ 0x7fffffffffffff00, 64, 3, false },
	{ UINT64_MAX - (WINDOW - 1), 1, 24, false },
	{ UINT64_MAX - (WINDOW - 1), 5, 100, false },
	{ UINT64_MAX - (WINDOW - 1), 20, 24, false },
	{ UINT64_MAX - (WINDOW - 1), 100, 2, false },
	{ UINT64_MAX - (WINDOW - 1), 1000, 2, false },
	{ 0, 1, 24, true },
	{ 0, 4, 24, true },
	{ 0x12345678, 40, 5, true },
	{ 0x12345678, 90, 3, true },
	{ UINT64_MAX - (WINDOW - 1), 12, 24, true },
	{ UINT64_MAX - (WINDOW - 1), 100, 2, true },
};

START_TEST(same_as_the_model)
{
	struct model m = {
		.base = worlds[_i].base,
		.capacity = worlds[_i].capacity,
		.most = worlds[_i].most,
		.keeps = worlds[_i].keeps,
		.clock = 1,
		.seed = rng_seed() + (uint64_t)_i,
		.what = "",
	};
	const struct vmmem_iotlb_options options = {
		.size = sizeof(options),
		.capacity = worlds[_i].capacity,
		.flags = worlds[_i].keeps ? VMMEM_IOTLB_NO_EVICT : 0,
	};
	uint64_t rounds = rng_rounds(ROUNDS) / ARRAY_LEN(worlds) + 1;

	m.rng.state = m.seed;
	assert_ok(vmmem_iotlb_new(&options, &m.iotlb));
	for (m.step = 1; m.step <= rounds; m.step++)
		step(&m);
	m.what = "end";
	compare(&m, 0, WINDOW, 0);
	vmmem_iotlb_unref(m.iotlb);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("iotlb_model");
	TCase *tcase = tcase_create("iotlb_model");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, same_as_the_model, 0,
			    (int)ARRAY_LEN(worlds));
	suite_add_tcase(suite, tcase);
	return suite;
}
