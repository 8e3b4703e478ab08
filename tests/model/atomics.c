/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "model.h"

#define UNTOUCHED UINT64_C(0x5aa555aa00ff33cc)

/* One signature for all widths. */
#define WIDTH(suffix, type)                                                \
	static int call_##suffix(const struct vmmem_collection *collection, \
				 struct atomic_call *call)                 \
	{                                                                  \
		type previous = (type)UNTOUCHED;                           \
		type operand = (type)call->operand;                        \
		type *ret = call->forget ? NULL : &previous;               \
		int rc = 1;                                                \
                                                                           \
		if (call->kind == LOAD)                                    \
			rc = vmmem_collection_load_##suffix(               \
				collection, call->at, call->order,        \
				&previous);                                \
		else if (call->kind == STORE)                              \
			rc = vmmem_collection_store_##suffix(              \
				collection, call->at, operand,            \
				call->order);                              \
		else if (call->kind == EXCHANGE)                           \
			rc = vmmem_collection_exchange_##suffix(           \
				collection, call->at, operand,            \
				call->order, ret);                         \
		else if (call->kind == COMPARE)                            \
			rc = vmmem_collection_compare_exchange_##suffix(   \
				collection, call->at,                     \
				(type)call->expected, operand,             \
				call->order, call->failure, &previous);    \
		else if (call->kind == ADD)                                \
			rc = vmmem_collection_fetch_add_##suffix(          \
				collection, call->at, operand,            \
				call->order, ret);                         \
		else if (call->kind == OR)                                 \
			rc = vmmem_collection_fetch_or_##suffix(           \
				collection, call->at, operand,            \
				call->order, ret);                         \
		else if (call->kind == AND)                                \
			rc = vmmem_collection_fetch_and_##suffix(          \
				collection, call->at, operand,            \
				call->order, ret);                         \
		call->previous = previous;                                 \
		return rc;                                                 \
	}

WIDTH(u8, uint8_t)
WIDTH(u16, uint16_t)
WIDTH(u32, uint32_t)
WIDTH(u64, uint64_t)

static int (*const widths[])(const struct vmmem_collection *collection,
			     struct atomic_call *call) = {
	call_u8,
	call_u16,
	call_u32,
	call_u64,
};

static bool
loads(int order)
{
	return order == VMMEM_ORDER_RELAXED || order == VMMEM_ORDER_ACQUIRE ||
	       order == VMMEM_ORDER_SEQ_CST;
}

bool
atomic_order_good(const struct atomic_call *call)
{
	if (call->order < VMMEM_ORDER_RELAXED ||
	    call->order > VMMEM_ORDER_SEQ_CST ||
	    call->order == __ATOMIC_CONSUME)
		return false;
	if (call->kind == LOAD)
		return loads(call->order);
	if (call->kind == STORE)
		return call->order == VMMEM_ORDER_RELAXED ||
		       call->order == VMMEM_ORDER_RELEASE ||
		       call->order == VMMEM_ORDER_SEQ_CST;
	if (call->kind == COMPARE)
		return loads(call->failure);
	return true;
}

/* The codes in the order that vmmem/atomic.h gives. */
static int
atomic_code(const struct map *map, const struct atomic_call *call,
	    unsigned int size)
{
	uint32_t access = atomic_access(call);
	const struct slot *slot = map_at(map, call->at);
	uint64_t good;
	unsigned int i;
	int rc;

	if (!atomic_order_good(call))
		return VMMEM_EORDER;
	rc = reach(map, call->at, size, 0, &good);
	if (rc != 0)
		return rc;
	for (i = 1; i < size; i++) {
		if (map_at(map, call->at + i) != slot)
			return VMMEM_ECROSS;
	}
	if (call->at % size != 0)
		return VMMEM_EMISALIGNED;
	if ((slot->protection & access) != access)
		return VMMEM_EDENIED;
	if (by_callback(slot))
		return VMMEM_ENOHOST;
	return 0;
}

uint32_t
atomic_access(const struct atomic_call *call)
{
	if (call->kind == LOAD)
		return VMMEM_PROT_READ;
	if (call->kind == STORE)
		return VMMEM_PROT_WRITE;
	return VMMEM_PROT_READ | VMMEM_PROT_WRITE;
}

bool
atomic_writes(const struct atomic_call *call, uint64_t previous)
{
	return call->kind != LOAD &&
	       (call->kind != COMPARE || previous == call->expected);
}

bool
atomic_gives(const struct atomic_call *call)
{
	return call->kind == LOAD || call->kind == COMPARE ||
	       (call->kind != STORE && !call->forget);
}

uint64_t
atomic_result(const struct atomic_call *call, uint64_t previous)
{
	switch (call->kind) {
	case STORE:
	case EXCHANGE:
		return call->operand;
	case COMPARE:
		return previous == call->expected ? call->operand : previous;
	case ADD:
		return previous + call->operand;
	case OR:
		return previous | call->operand;
	case AND:
		return previous & call->operand;
	default:
		return previous;
	}
}

static int
pick_order(void)
{
	struct rng *rng = &world.rng;

	if (rng_chance(rng, 3))
		return (int)(uint32_t)rng_next(rng);
	return (int)rng_below(rng, 8) - 1;
}

void
pick_atomic(struct atomic_call *call, uint64_t at, uint64_t mask)
{
	struct rng *rng = &world.rng;

	*call = (struct atomic_call){
		.kind = (enum atomic_kind)rng_below(rng, ATOMICS),
		.at = at,
		.operand = rng_next(rng) & mask,
		.expected = rng_next(rng) & mask,
		.order = pick_order(),
		.failure = pick_order(),
		.forget = rng_chance(rng, 10),
	};
	if (rng_chance(rng, 60)) {
		call->order = VMMEM_ORDER_SEQ_CST;
		call->failure = VMMEM_ORDER_RELAXED;
	}
}

void
run_atomic(struct map *map)
{
	struct rng *rng = &world.rng;
	unsigned int width = (unsigned int)rng_below(rng, 4);
	unsigned int size = 1U << width;
	uint64_t mask = UINT64_MAX >> (64 - 8 * size);
	uint64_t previous = UNTOUCHED & mask;
	struct atomic_call call;
	int rc, want;

	pick_atomic(&call, pick_address(map), mask);
	if (rng_chance(rng, 75))
		call.at -= call.at % size;
	world.gpa = call.at;
	world.len = size;
	want = atomic_code(map, &call, size);
	if (want == 0) {
		previous = value_get(map, call.at, size, NATIVE_IS_BIG);
		if (rng_chance(rng, 50))
			call.expected = previous;
		if (atomic_writes(&call, previous))
			value_put(map, call.at, size, NATIVE_IS_BIG,
				  atomic_result(&call, previous));
	}

	rc = widths[width](map->collection, &call);
	EXPECT_CODE(rc, want);
	EXPECT(call.previous ==
	       (atomic_gives(&call) ? previous : UNTOUCHED & mask));
	verify_bytes();
}
