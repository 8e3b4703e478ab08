/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The same region on every backing there is. */
#ifndef BACKINGS_H
#define BACKINGS_H

#include "policy.h"

enum backing {
	ANONYMOUS,
	ANONYMOUS_LOCKED,
	MEMFD,
	MEMFD_LOCKED,
	SHARED_MEMFD,
	SHARED_DISK,
	PRIVATE_MEMFD,
	PRIVATE_DISK,
	EXTERNAL_PRIVATE,
	EXTERNAL_SHARED,
	EXTERNAL_MEMFD,
	CUSTOM,
	CUSTOM_HOST,
	BACKINGS
};

/* What a custom region has, and the mapping behind an external one. */
struct store {
	uint8_t *bytes;
	uint64_t len;
	unsigned int discards;
	int returned;
};

static struct store store;

static inline int
store_read(void *opaque, uint64_t offset, void *buf, size_t len,
	   const struct vmmem_access_info *info)
{
	(void)info;
	memcpy(buf, ((struct store *)opaque)->bytes + offset, len);
	return 0;
}

static inline int
store_write(void *opaque, uint64_t offset, const void *buf, size_t len,
	    const struct vmmem_access_info *info)
{
	(void)info;
	memcpy(((struct store *)opaque)->bytes + offset, buf, len);
	return 0;
}

static inline int
store_host(void *opaque, void **ret_host)
{
	*ret_host = ((struct store *)opaque)->bytes;
	return 0;
}

static inline int
store_discard(void *opaque, uint64_t offset, uint64_t len)
{
	struct store *self = opaque;

	ck_assert_uint_le(offset, self->len);
	ck_assert_uint_le(len, self->len - offset);
	ck_assert_uint_gt(len, 0);
	self->discards++;
	if (self->returned == 0)
		memset(self->bytes + offset, 0, len);
	return self->returned;
}

static const struct vmmem_region_ops store_ops = {
	.size = sizeof(store_ops),
	.read = store_read,
	.write = store_write,
	.discard = store_discard,
};

static const struct vmmem_region_ops store_host_ops = {
	.size = sizeof(store_host_ops),
	.host = store_host,
	.discard = store_discard,
};

/* A file in the directory that the test runs in, which has no name. */
static inline int
disk_file(uint64_t len)
{
	int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	ck_assert_int_eq(ftruncate(fd, (off_t)len), 0);
	return fd;
}

/* Whether the directory's file system has holes; then a page is a block. */
static inline bool
disk_has_holes(void)
{
	int fd = disk_file(4 * page_size());
	bool has;

	if (fd < 0)
		return false;
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
	fsync(fd);
	has = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			(off_t)page_size()) == 0 &&
	      storage(fd) == 0;
	close(fd);
	return has;
}

/* Whether a page is 0xff in the file that a private mapping is of. */
#define BELOW 0xff

static inline void
fill_file(int fd, uint64_t len)
{
	uint8_t page[4096];
	uint64_t at;

	memset(page, BELOW, sizeof(page));
	for (at = 0; at < len; at += sizeof(page))
		ck_assert_int_eq(pwrite(fd, page, sizeof(page), (off_t)at),
				 sizeof(page));
}

static inline uint8_t *
map_store(uint64_t len, int flags, int fd)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);

	ck_assert_ptr_ne(at, MAP_FAILED);
	store = (struct store){ .bytes = at, .len = len };
	return at;
}

/*
 * A region of [gpa, gpa + len), whole pages, on 'backing', made by 'builder',
 * which keeps everything else that was set.  NULL if this machine has none.
 */
static inline struct vmmem_region *
region_on(enum backing backing, uint64_t gpa, uint64_t len)
{
	const int anonymous = MAP_ANONYMOUS | MAP_NORESERVE;
	struct vmmem_region *region = NULL;
	uint32_t flags = 0;
	int fd = -1;

	vmmem_region_builder_set_range(builder, gpa, len);
	vmmem_policy_set_lock(policy, VMMEM_LOCK_NO);
	switch (backing) {
	case ANONYMOUS_LOCKED:
		vmmem_policy_set_lock(policy, VMMEM_LOCK_NOW);
		__attribute__((__fallthrough__));
	case ANONYMOUS:
		vmmem_region_builder_set_anonymous(builder);
		break;
	case MEMFD_LOCKED:
		vmmem_policy_set_lock(policy, VMMEM_LOCK_NOW);
		__attribute__((__fallthrough__));
	case MEMFD:
		vmmem_region_builder_set_memfd(builder);
		break;
	case PRIVATE_MEMFD:
	case PRIVATE_DISK:
		flags = VMMEM_FILE_PRIVATE;
		__attribute__((__fallthrough__));
	case SHARED_MEMFD:
	case SHARED_DISK:
		fd = backing == SHARED_DISK || backing == PRIVATE_DISK ?
			     disk_file(len + page_size()) :
			     file_of(len + page_size());
		if (fd < 0)
			return NULL;
		fill_file(fd, len + page_size());
		vmmem_region_builder_set_file(builder, fd, page_size(), flags);
		break;
	case EXTERNAL_PRIVATE:
		map_store(len, MAP_PRIVATE | anonymous, -1);
		break;
	case EXTERNAL_SHARED:
		map_store(len, MAP_SHARED | anonymous, -1);
		break;
	case EXTERNAL_MEMFD:
		fd = file_of(len);
		map_store(len, MAP_SHARED, fd);
		break;
	case CUSTOM:
	case CUSTOM_HOST:
		map_store(len, MAP_PRIVATE | anonymous, -1);
		vmmem_region_builder_set_custom(
			builder,
			backing == CUSTOM ? &store_ops : &store_host_ops,
			&store);
		break;
	case BACKINGS:
		break;
	}
	if (backing >= EXTERNAL_PRIVATE && backing <= EXTERNAL_MEMFD)
		vmmem_region_builder_set_external(builder, store.bytes, NULL,
						  NULL);
	vmmem_region_builder_set_policy(
		builder, backing < EXTERNAL_PRIVATE ? policy : NULL);
	assert_ok(vmmem_region_builder_build(builder, &region));
	if (fd >= 0)
		close(fd);
	return region;
}

/* Lets go of the region, and of what stood behind it. */
static inline void
forget(struct vmmem_region *region)
{
	vmmem_region_unref(region);
	if (store.bytes != NULL)
		munmap(store.bytes, store.len);
	store.bytes = NULL;
}

/* Where the bytes are, also of a region without a host address. */
static inline uint8_t *
bytes_of(const struct vmmem_region *region)
{
	uint64_t len;
	void *host;

	if (vmmem_region_host_address(region, 0, &host, &len) == 0)
		return host;
	return store.bytes;
}

#endif
