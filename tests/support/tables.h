/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Memory tables, the files in them, and what a space shows of them. */
#ifndef TABLES_H
#define TABLES_H

#include "guest.h"

#include <vmmem/vhost.h>

#define PAGE UINT64_C(0x1000)
#define PAGES 16
#define FILE_LEN (PAGES * PAGE)

static struct vmmem_space *space;
static struct vmmem_vhost *vhost;

/* A memfd that cannot be cut short, whose page n begins with seed + n. */
static inline int
sealed_file(uint64_t len, uint8_t seed)
{
	int fd = memfd_create("table", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint64_t at;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)len), 0);
	for (at = 0; at < len && seed != 0; at += PAGE, seed++)
		ck_assert_int_eq(pwrite(fd, &seed, 1, (off_t)at), 1);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	return fd;
}

static inline void
make_space(void)
{
	struct vmmem_collection *map = NULL;

	assert_ok(vmmem_collection_new_empty(&map));
	assert_ok(vmmem_space_new(map, NULL, &space));
	vmmem_collection_unref(map);
}

static inline void
make_vhost(const struct vmmem_vhost_options *options)
{
	make_space();
	assert_ok(vmmem_vhost_new(space, options, &vhost));
	ck_assert_ptr_nonnull(vhost);
}

static inline void
drop_vhost(void)
{
	vhost = vmmem_vhost_free(vhost);
	ck_assert_ptr_null(vhost);
	space = vmmem_space_unref(space);
}

/* A row whose user addresses are far from its guest addresses. */
static inline struct vmmem_vhost_region
row_of(uint64_t gpa, uint64_t len, uint64_t offset)
{
	return (struct vmmem_vhost_region){
		.gpa = gpa,
		.len = len,
		.user_address = gpa + UINT64_C(0x7f0000000000),
		.offset = offset,
	};
}

/* What a device reads at 'gpa' now: the byte, or a code. */
static inline int
byte_at(uint64_t gpa)
{
	struct vmmem_collection *map = vmmem_space_get(space);
	uint8_t byte = 0;
	int rc = vmmem_collection_read_u8(map, gpa, &byte);

	vmmem_collection_unref(map);
	return rc != 0 ? rc : byte;
}

static inline int
write_at(uint64_t gpa, uint64_t len)
{
	struct vmmem_collection *map = vmmem_space_get(space);
	int rc = vmmem_collection_fill(map, gpa, len, 0xee, NULL);

	vmmem_collection_unref(map);
	return rc;
}

static inline size_t
shown(void)
{
	struct vmmem_collection *map = vmmem_space_get(space);
	size_t count = vmmem_collection_count(map);

	vmmem_collection_unref(map);
	return count;
}

#endif
