/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "model.h"

#define UNTOUCHED UINT64_C(0x5aa555aa00ff33cc)

/* value_get() puts a number together byte by byte, as the bytes lie. */
uint64_t
value_get(const struct map *map, uint64_t gpa, unsigned int size, bool big)
{
	uint64_t value = 0;
	unsigned int i;

	for (i = 0; i < size; i++) {
		unsigned int shift = 8 * (big ? size - 1 - i : i);

		value |= (uint64_t)*cell_at(map, gpa + i) << shift;
	}
	return value;
}

void
value_put(const struct map *map, uint64_t gpa, unsigned int size, bool big,
	  uint64_t value)
{
	unsigned int i;

	for (i = 0; i < size; i++) {
		unsigned int shift = 8 * (big ? size - 1 - i : i);

		cell_write(map, gpa + i, (unsigned char)(value >> shift));
	}
}

/* One signature for all: a value that was not written stays as it was. */
#define TYPE(suffix, type)                                                 \
	static int read_##suffix(const struct vmmem_collection *collection, \
				 uint64_t gpa, uint64_t *ret_value)        \
	{                                                                  \
		type value = (type)UNTOUCHED;                              \
		int rc = vmmem_collection_read_##suffix(collection, gpa,   \
							&value);           \
                                                                           \
		*ret_value = value;                                        \
		return rc;                                                 \
	}                                                                  \
	static int write_##suffix(                                         \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		uint64_t value)                                            \
	{                                                                  \
		return vmmem_collection_write_##suffix(collection, gpa,    \
						       (type)value);       \
	}

TYPE(u8, uint8_t)
TYPE(u16, uint16_t)
TYPE(u32, uint32_t)
TYPE(u64, uint64_t)
TYPE(le16, uint16_t)
TYPE(le32, uint32_t)
TYPE(le64, uint64_t)
TYPE(be16, uint16_t)
TYPE(be32, uint32_t)
TYPE(be64, uint64_t)

static const struct {
	int (*read)(const struct vmmem_collection *collection, uint64_t gpa,
		    uint64_t *ret_value);
	int (*write)(const struct vmmem_collection *collection, uint64_t gpa,
		     uint64_t value);
	unsigned int size;
	bool big;
} types[] = {
	{ read_u8, write_u8, 1, false },
	{ read_u16, write_u16, 2, NATIVE_IS_BIG },
	{ read_u32, write_u32, 4, NATIVE_IS_BIG },
	{ read_u64, write_u64, 8, NATIVE_IS_BIG },
	{ read_le16, write_le16, 2, false },
	{ read_le32, write_le32, 4, false },
	{ read_le64, write_le64, 8, false },
	{ read_be16, write_be16, 2, true },
	{ read_be32, write_be32, 4, true },
	{ read_be64, write_be64, 8, true },
};

#define TYPES (sizeof(types) / sizeof(types[0]))

static uint64_t
truncated(uint64_t value, unsigned int size)
{
	return size == 8 ? value : value & ((UINT64_C(1) << 8 * size) - 1);
}

void
run_typed_read(struct map *map)
{
	size_t type = (size_t)rng_below(&world.rng, TYPES);
	unsigned int size = types[type].size;
	uint64_t gpa = pick_address(map);
	uint64_t value, good;
	int rc, want;

	world.gpa = gpa;
	world.len = size;
	want = reach(map, gpa, size, VMMEM_PROT_READ, &good);
	if (want == 0)
		want = stop(map, gpa, size, false, &good);
	rc = types[type].read(map->collection, gpa, &value);
	EXPECT_CODE(rc, want);
	if (want == 0)
		EXPECT(value == value_get(map, gpa, size, types[type].big));
	else
		EXPECT(value == truncated(UNTOUCHED, size));
}

void
run_typed_write(struct map *map)
{
	size_t type = (size_t)rng_below(&world.rng, TYPES);
	unsigned int size = types[type].size;
	bool big = types[type].big;
	uint64_t gpa = pick_address(map);
	uint64_t value = rng_next(&world.rng);
	uint64_t good, i;
	int rc, want;

	world.gpa = gpa;
	world.len = size;
	want = reach(map, gpa, size, VMMEM_PROT_WRITE, &good);
	if (want == 0) {
		/* What lies before a failing callback has been written. */
		want = stop(map, gpa, size, true, &good);
		for (i = 0; i < good; i++) {
			unsigned int shift =
				8 * (unsigned int)(big ? size - 1 - i : i);

			cell_write(map, gpa + i,
				   (unsigned char)(value >> shift));
		}
		if (want != 0)
			cells_failed(map, gpa + good, size - good);
	}
	rc = types[type].write(map->collection, gpa, value);
	EXPECT_CODE(rc, want);
	verify_bytes();
}
