/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "model.h"

#include <string.h>

/* What a region is going to be made of. */
struct recipe {
	uint64_t start;
	uint64_t len;
	uint32_t kind;
	bool plain; /* by vmmem_region_new_...(), else by a builder */
	bool protected;
	uint32_t protection;
	struct slot *target;
	uint64_t offset; /* in the target */
	unsigned int page;
	uint64_t within; /* the page of the file */
	const struct vmmem_region_ops *ops;
	uint64_t tracking;
	struct log *log; /* that others share */
	uint64_t log_offset;
};

struct slot *
slot_free(void)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		if (world.slots[i].region == NULL)
			return &world.slots[i];
	}
	return NULL;
}

void
slot_get(struct slot *slot)
{
	EXPECT(slot->region != NULL);
	slot->refs++;
}

/* slot_put() follows the library: the same reference is gone there already. */
void
slot_put(struct slot *slot)
{
	struct slot *owner = slot->owner;

	EXPECT(slot->refs > 0);
	if (--slot->refs != 0)
		return;
	EXPECT(slot->ended == slot->told);
	EXPECT(slot->acquired == 0);
	if (slot->log != NULL)
		log_put(slot->log);
	slot->region = NULL;
	slot->log = NULL;
	slot->owner = NULL;
	if (owner != NULL)
		slot_put(owner);
}

/* slot_reset() makes a store of random bytes, and the cells the same. */
static void
slot_reset(struct slot *slot, uint64_t start)
{
	unsigned char *cells = world.cells[slot - world.slots];
	unsigned int i;

	memset(slot, 0, sizeof(*slot));
	for (i = 0; i < STORE_SIZE; i++)
		slot->store[i] = (unsigned char)rng_next(&world.rng);
	memcpy(cells, slot->store, STORE_SIZE);
	slot->start = start;
	slot->cells = cells + GUARD + start % 16;
}

void
slot_adopt(struct slot *slot, struct vmmem_region *region, uint64_t start,
	   uint64_t len, uint32_t kind)
{
	void *host;
	uint64_t host_len;
	int rc;

	slot_reset(slot, start);
	slot->region = region;
	slot->last = start + (len - 1);
	slot->kind = kind;
	slot->protection = VMMEM_PROT_READ | VMMEM_PROT_WRITE;
	/* Where the library puts its own memory, only it can tell. */
	rc = vmmem_region_host_address(region, 0, &host, &host_len);
	EXPECT(rc == 0 || rc == VMMEM_ENOHOST);
	if (rc == 0) {
		EXPECT(host_len == len);
		EXPECT(((uintptr_t)host - start) % 16 == 0);
		slot->bytes = host;
	}
	if (kind == VMMEM_REGION_ANONYMOUS || kind == VMMEM_REGION_MEMFD)
		memset(slot->cells, 0, len);
}

void
slot_back_by_file(struct slot *slot, unsigned int page, uint64_t within)
{
	slot->cells = world.cells[SLOTS + page] + within;
}

void
pick_range(uint64_t *ret_start, uint64_t *ret_len)
{
	struct rng *rng = &world.rng;
	const struct slot *slot = &world.slots[rng_below(rng, SLOTS)];
	uint64_t base = window_base((unsigned int)rng_below(rng, WINDOWS));
	uint64_t most = rng_chance(rng, 60) ? 64 :
			rng_chance(rng, 80) ? 400 :
					      LEN_MAX;
	uint64_t len = 1 + rng_below(rng, most);
	uint64_t start = base + rng_below(rng, WINDOW_SIZE - len + 1);
	uint64_t choice = rng_below(rng, 100);
	unsigned int i;

	if (choice < 10)
		start = base;
	else if (choice < 20)
		start = base + (WINDOW_SIZE - len);
	else if (choice < 55 && slot->region != NULL)
		start = slot->last + 1;
	else if (choice < 80 && slot->region != NULL)
		start = slot->start - len;

	/* A neighbour of a region at the end of its window lies outside. */
	for (i = 0; i < WINDOWS; i++) {
		if (start >= window_base(i) &&
		    start - window_base(i) <= WINDOW_SIZE - len)
			break;
	}
	*ret_start = i < WINDOWS ? start : base;
	*ret_len = len;
}

static void
region_verify(const struct slot *slot)
{
	const struct vmmem_region *region = slot->region;
	uint64_t len = slot->last - slot->start + 1;
	uint64_t offset = rng_below(&world.rng, len + 8);
	uint64_t host_len;
	void *host;
	int rc;

	EXPECT(vmmem_region_start(region) == slot->start);
	EXPECT(vmmem_region_last(region) == slot->last);
	EXPECT(vmmem_region_len(region) == len);
	EXPECT(vmmem_region_kind(region) == slot->kind);
	EXPECT(vmmem_region_protection(region) == slot->protection);
	EXPECT(vmmem_region_alias_target(region) ==
	       (slot->owner != NULL ? slot->owner->region : NULL));
	EXPECT(vmmem_region_alias_offset(region) ==
	       (slot->owner != NULL ?
			(uint64_t)(slot->cells - slot->owner->cells) :
			0));
	EXPECT(vmmem_region_bitmap(region) ==
	       (slot->log != NULL ? slot->log->bitmap : NULL));
	EXPECT(vmmem_region_bitmap_offset(region) ==
	       (slot->log != NULL ? slot->log_offset : 0));
	rc = vmmem_region_host_address(region, offset, &host, &host_len);
	if (offset >= len) {
		EXPECT(rc == VMMEM_EOUTOFRANGE);
	} else if (slot->bytes == NULL) {
		EXPECT(rc == VMMEM_ENOHOST);
	} else {
		EXPECT(rc == 0);
		EXPECT(host == slot->bytes + offset);
		EXPECT(host_len == len - offset);
	}
}

static int
make_plain(struct slot *slot, const struct recipe *recipe,
	   struct vmmem_region **ret_region)
{
	uint64_t start = recipe->start;
	uint64_t len = recipe->len;

	switch (recipe->kind) {
	case VMMEM_REGION_ANONYMOUS:
		return vmmem_region_new_anonymous(start, len, ret_region);
	case VMMEM_REGION_MEMFD:
		return vmmem_region_new_memfd(start, len, ret_region);
	case VMMEM_REGION_FILE:
		return vmmem_region_new_file(start, len, world.file,
					     recipe->page * world.page_size +
						     recipe->within,
					     ret_region);
	case VMMEM_REGION_EXTERNAL:
		return vmmem_region_new_external(start, len, store_bytes(slot),
						 ret_region);
	case VMMEM_REGION_ALIAS:
		return vmmem_region_new_alias(start, len,
					      recipe->target->region,
					      recipe->offset, ret_region);
	default:
		return vmmem_region_new_custom(start, len, recipe->ops, slot,
					       ret_region);
	}
}

static int
make_built(struct slot *slot, const struct recipe *recipe,
	   struct vmmem_region **ret_region)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	int rc;

	EXPECT(builder != NULL);
	vmmem_region_builder_set_range(builder, recipe->start, recipe->len);
	if (recipe->kind == VMMEM_REGION_MEMFD)
		vmmem_region_builder_set_memfd(builder);
	else if (recipe->kind == VMMEM_REGION_FILE)
		vmmem_region_builder_set_file(builder, world.file,
					      recipe->page * world.page_size +
						      recipe->within, 0);
	else if (recipe->kind == VMMEM_REGION_EXTERNAL)
		vmmem_region_builder_set_external(builder, store_bytes(slot),
						  slot_ended, slot);
	else if (recipe->kind == VMMEM_REGION_ALIAS)
		vmmem_region_builder_set_alias(builder, recipe->target->region,
					       recipe->offset);
	else if (recipe->kind == VMMEM_REGION_CUSTOM)
		vmmem_region_builder_set_custom(builder, recipe->ops, slot);
	if (recipe->protected)
		vmmem_region_builder_set_protection(builder,
						    recipe->protection);
	vmmem_region_builder_set_tracking(builder, recipe->tracking);
	if (recipe->log != NULL)
		vmmem_region_builder_set_bitmap(builder, recipe->log->bitmap,
						recipe->log_offset);
	rc = vmmem_region_builder_build(builder, ret_region);
	EXPECT(vmmem_region_builder_free(builder) == NULL);
	return rc;
}

/* protection_of() is what the headers say that the new region permits. */
static uint32_t
protection_of(const struct recipe *recipe)
{
	uint32_t protection = VMMEM_PROT_READ | VMMEM_PROT_WRITE;

	if (recipe->kind == VMMEM_REGION_ALIAS)
		protection = recipe->target->protection;
	if (!recipe->plain && recipe->protected) {
		protection = recipe->protection;
		if (recipe->kind == VMMEM_REGION_ALIAS)
			protection &= recipe->target->protection;
	}
	if (recipe->ops != NULL && recipe->ops->host != custom_host &&
	    recipe->ops->write == NULL && recipe->ops->acquire == NULL)
		protection &= ~VMMEM_PROT_WRITE;
	return protection;
}

/* tracking_code() is what the settings of the bitmap lead to. */
static int
tracking_code(const struct recipe *recipe)
{
	uint64_t most;

	if (recipe->plain || (recipe->tracking == 0 && recipe->log == NULL))
		return 0;
	if ((recipe->target != NULL && recipe->target->log != NULL) ||
	    (recipe->tracking != 0 && recipe->log != NULL) ||
	    recipe->tracking % 64 != 0)
		return VMMEM_EARGUMENT;
	if (recipe->log == NULL)
		return 0;
	most = recipe->log->len - recipe->log_offset;
	return recipe->len > most ? VMMEM_EOUTOFRANGE : 0;
}

/* recipe_code() is what making the region must return. */
static int
recipe_code(const struct recipe *recipe)
{
	const struct slot *target = recipe->target;
	uint64_t len = recipe->len;

	if (len == 0)
		return VMMEM_EZEROLEN;
	if (len - 1 > UINT64_MAX - recipe->start)
		return VMMEM_EWRAPS;
	if (recipe->kind == VMMEM_REGION_FILE &&
	    (recipe->start ^ recipe->within) % 16 != 0)
		return VMMEM_ECONGRUENCE;
	if (recipe->kind != VMMEM_REGION_ALIAS)
		return tracking_code(recipe);
	if (recipe->offset > target->last - target->start ||
	    len - 1 > target->last - target->start - recipe->offset)
		return VMMEM_EOUTOFRANGE;
	if (!by_callback(target) &&
	    (recipe->start - target->start - recipe->offset) % 16 != 0)
		return VMMEM_ECONGRUENCE;
	return tracking_code(recipe);
}

/* An alias goes on where another ends, so that slices can be joined. */
static void
pick_continuation(struct recipe *recipe)
{
	struct slot *slot, *owner;
	unsigned int tries = 0, window = 0;
	uint64_t offset, most, base;

	do {
		if (tries++ == SLOTS)
			return;
		slot = &world.slots[rng_below(&world.rng, SLOTS)];
		owner = owner_of(slot);
		offset = (uint64_t)(slot->cells - owner->cells) +
			 (slot->last - slot->start) + 1;
	} while (slot->region == NULL || slot->last == UINT64_MAX ||
		 offset > owner->last - owner->start);
	while (slot->start < window_base(window) ||
	       slot->start - window_base(window) >= WINDOW_SIZE)
		window++;
	base = window_base(window);
	if (slot->last + 1 - base >= WINDOW_SIZE)
		return;
	most = owner->last - owner->start - offset + 1;
	if (most > WINDOW_SIZE - (slot->last + 1 - base))
		most = WINDOW_SIZE - (slot->last + 1 - base);
	recipe->target = owner;
	recipe->offset = offset;
	recipe->start = slot->last + 1;
	recipe->len = rng_chance(&world.rng, 30) ?
			      most :
			      1 + rng_below(&world.rng, most);
}

static void
pick_tracking(struct recipe *recipe)
{
	struct rng *rng = &world.rng;
	uint64_t choice = rng_below(rng, 100);
	bool alias = recipe->kind == VMMEM_REGION_ALIAS;

	if (recipe->plain || (alias && !rng_chance(rng, 30)))
		return;
	if (choice < 45 || choice == 99) {
		recipe->tracking = UINT64_C(64) << rng_below(rng, 3);
		if (rng_chance(rng, 2))
			recipe->tracking--;
	}
	if (choice >= 50) {
		recipe->log = &world.logs[SLOTS + rng_below(rng, SHARED_LOGS)];
		recipe->log_offset = rng_below(rng, recipe->log->len);
	}
}

static void
pick_alias(struct recipe *recipe, struct slot *target)
{
	struct rng *rng = &world.rng;
	uint64_t span = target->last - target->start;

	recipe->target = target;
	if (rng_chance(rng, 40)) {
		pick_continuation(recipe);
		if (recipe->target != target || recipe->offset != 0)
			return;
	}
	recipe->offset = rng_below(rng, span + 1);
	if (rng_chance(rng, 90)) {
		/* Congruent if the target lets it. */
		recipe->offset -= (target->start + recipe->offset -
				   recipe->start) % 16;
		if (recipe->offset > span)
			recipe->offset = (recipe->start - target->start) % 16;
	}
	if (rng_chance(rng, 90) && recipe->offset <= span &&
	    recipe->len > span - recipe->offset + 1)
		recipe->len = span - recipe->offset + 1;
}

static void
pick_recipe(struct recipe *recipe)
{
	struct rng *rng = &world.rng;
	struct slot *target = &world.slots[rng_below(rng, SLOTS)];
	uint64_t choice = rng_below(rng, 100);

	*recipe = (struct recipe){ .plain = rng_chance(rng, 40) };
	pick_range(&recipe->start, &recipe->len);
	recipe->page = (unsigned int)rng_below(rng, FILE_PAGES);
	recipe->kind = choice < 45 ? VMMEM_REGION_EXTERNAL :
		       choice < 52 ? VMMEM_REGION_ANONYMOUS :
		       choice < 56 ? VMMEM_REGION_MEMFD :
		       choice < 64 ? VMMEM_REGION_FILE :
		       choice < 80 ? VMMEM_REGION_CUSTOM :
				     VMMEM_REGION_ALIAS;
	if (recipe->kind == VMMEM_REGION_ALIAS && target->region == NULL)
		recipe->kind = VMMEM_REGION_EXTERNAL;

	if (recipe->kind == VMMEM_REGION_FILE) {
		recipe->within = rng_below(rng, FILE_WITHIN - 16);
		/* Congruent, as a rule. */
		if (rng_chance(rng, 90))
			recipe->within +=
				(recipe->start - recipe->within) % 16;
	}
	if (recipe->kind == VMMEM_REGION_CUSTOM)
		recipe->ops = &custom_ops[rng_below(rng, CUSTOM_OPS)];
	if (recipe->kind == VMMEM_REGION_ALIAS)
		pick_alias(recipe, target);

	/* The test itself reads what the library maps. */
	recipe->protected = rng_chance(rng, 30);
	recipe->protection = (uint32_t)rng_below(rng, 8);
	if (recipe->kind < VMMEM_REGION_EXTERNAL)
		recipe->protection |= VMMEM_PROT_READ;
	if (rng_chance(rng, 10)) {
		recipe->protected = true;
		recipe->protection = VMMEM_PROT_READ;
	}

	if (rng_chance(rng, 3))
		recipe->len = 0;
	else if (rng_chance(rng, 3))
		recipe->len = UINT64_MAX - recipe->start + 2 +
			      rng_below(rng, 16);
	pick_tracking(recipe);
}

void
run_make_region(struct map *map)
{
	struct vmmem_region *const nothing = (struct vmmem_region *)&world;
	struct vmmem_region *region = nothing;
	struct slot *slot = slot_free();
	struct recipe recipe;
	int rc;

	if (slot == NULL) {
		run_drop_region(map);
		return;
	}
	pick_recipe(&recipe);
	/* Aliases of an earlier alias here may have its bitmap still. */
	if (world.logs[slot - world.slots].bitmap != NULL)
		recipe.tracking = 0;
	world.gpa = recipe.start;
	world.len = recipe.len;
	slot_reset(slot, recipe.start);
	rc = recipe.plain ? make_plain(slot, &recipe, &region) :
			    make_built(slot, &recipe, &region);
	EXPECT_CODE(rc, recipe_code(&recipe));
	EXPECT(!slot->ended);
	if (rc != 0) {
		EXPECT(region == nothing);
		return;
	}

	slot_adopt(slot, region, recipe.start, recipe.len, recipe.kind);
	slot->protection = protection_of(&recipe);
	slot->held = true;
	slot->ops = recipe.ops;
	if (!recipe.plain) {
		slot->log = recipe.log;
		slot->log_offset = recipe.log_offset;
		if (recipe.tracking != 0)
			slot->log = log_own(slot, vmmem_region_bitmap(region),
					    recipe.tracking, recipe.len);
	}
	if (recipe.target != NULL && recipe.target->log != NULL) {
		slot->log = recipe.target->log;
		slot->log_offset = recipe.target->log_offset + recipe.offset;
	}
	if (slot->log != NULL)
		slot->log->users++;
	slot_get(slot);
	if (recipe.kind == VMMEM_REGION_CUSTOM ||
	    recipe.kind == VMMEM_REGION_EXTERNAL) {
		slot->backed = true;
		slot->told = recipe.kind == VMMEM_REGION_CUSTOM ||
			     !recipe.plain;
		if (recipe.kind == VMMEM_REGION_EXTERNAL ||
		    recipe.ops->host == custom_host)
			EXPECT(slot->bytes == store_bytes(slot));
		else
			EXPECT(slot->bytes == NULL);
	} else if (recipe.kind == VMMEM_REGION_FILE) {
		slot_back_by_file(slot, recipe.page, recipe.within);
	} else if (recipe.kind == VMMEM_REGION_ALIAS) {
		struct slot *target = recipe.target;

		slot->owner = target->owner != NULL ? target->owner : target;
		slot->cells = target->cells + recipe.offset;
		EXPECT(by_callback(slot) == by_callback(target));
		/* An odd address might suit an alias. */
		slot->owner->acquire_lie = HONEST;
		slot_get(slot->owner);
	}
	region_verify(slot);
}

void
run_drop_region(struct map *map)
{
	struct slot *slot = &world.slots[rng_below(&world.rng, SLOTS)];

	(void)map;
	if (slot->region == NULL)
		return;
	region_verify(slot);
	EXPECT(vmmem_region_ref(slot->region) == slot->region);
	EXPECT(vmmem_region_unref(slot->region) == NULL);
	if (!slot->held)
		return;
	slot->held = false;
	EXPECT(vmmem_region_unref(slot->region) == NULL);
	slot_put(slot);
	note_code(0);
}
