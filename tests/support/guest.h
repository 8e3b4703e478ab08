/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Small guests to test on, and what the system knows of them. */
#ifndef GUEST_H
#define GUEST_H

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmmem/vmmem.h>

/* The last address there is. */
#define TOP UINT64_MAX

/* What a failing constructor must leave in its output. */
#define NO_REGION ((struct vmmem_region *)(uintptr_t)0x5a5a5a50)
#define NO_COLLECTION ((struct vmmem_collection *)(uintptr_t)0x5a5a5a50)

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* 'call' must return 'want'; both are shown as text if it does not. */
#define assert_code(call, want)                                            \
	do {                                                               \
		int got_ = (call);                                         \
		int want_ = (want);                                        \
		ck_assert_msg(got_ == want_, "%s: got %d (%s), not %d (%s)", \
			      #call, got_, vmmem_strerror(got_), want_,    \
			      vmmem_strerror(want_));                      \
	} while (0)

#define assert_ok(call) assert_code(call, 0)

static inline uint64_t
page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static inline struct vmmem_region *
region_of(uint64_t gpa, uint64_t len)
{
	struct vmmem_region *region = NULL;

	assert_ok(vmmem_region_new_anonymous(gpa, len, &region));
	ck_assert_ptr_nonnull(region);
	return region;
}

/* A region with other permissions than reading and writing. */
static inline struct vmmem_region *
region_with(uint64_t gpa, uint64_t len, uint32_t protection)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;

	ck_assert_ptr_nonnull(builder);
	vmmem_region_builder_set_range(builder, gpa, len);
	vmmem_region_builder_set_protection(builder, protection);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	return region;
}

static inline void
expect_range(const struct vmmem_region *region, uint64_t gpa, uint64_t len)
{
	ck_assert_uint_eq(vmmem_region_start(region), gpa);
	ck_assert_uint_eq(vmmem_region_last(region), gpa + (len - 1));
	ck_assert_uint_eq(vmmem_region_len(region), len);
}

/* The host address of all of a region, congruent to the guest address. */
static inline uint8_t *
expect_host(const struct vmmem_region *region)
{
	uint64_t len = vmmem_region_len(region), found;
	void *first, *last;

	assert_ok(vmmem_region_host_address(region, 0, &first, &found));
	ck_assert_uint_eq(found, len);
	ck_assert_uint_eq((uintptr_t)first % 16,
			  vmmem_region_start(region) % 16);
	assert_ok(vmmem_region_host_address(region, len - 1, &last, &found));
	ck_assert_uint_eq(found, 1);
	ck_assert_ptr_eq(last, (uint8_t *)first + (len - 1));
	return first;
}

/* A collection of regions in any order; it takes the references over. */
static inline struct vmmem_collection *
guest_of(struct vmmem_region **regions, size_t count)
{
	struct vmmem_collection *guest = NULL;
	size_t i;

	assert_ok(vmmem_collection_new_unsorted(regions, count, &guest));
	ck_assert_ptr_nonnull(guest);
	for (i = 0; i < count; i++)
		regions[i] = vmmem_region_unref(regions[i]);
	return guest;
}

/* A collection of one region, whose reference it takes over. */
static inline struct vmmem_collection *
guest_of_one(struct vmmem_region *region)
{
	return guest_of(&region, 1);
}

static inline struct vmmem_collection *
guest_of_ranges(const struct vmmem_range *ranges, size_t count)
{
	struct vmmem_collection *guest = NULL;

	assert_ok(vmmem_collection_new_ranges(ranges, count, NULL, &guest));
	ck_assert_ptr_nonnull(guest);
	return guest;
}

/* Where a guest address lies in this process. */
static inline uint8_t *
host_of(const struct vmmem_collection *guest, uint64_t gpa)
{
	uint64_t len;
	void *host;

	assert_ok(vmmem_collection_host_address(guest, gpa, 0, &host, &len));
	ck_assert_uint_gt(len, 0);
	return host;
}

/* A file in memory of 'len' zero bytes, whose descriptor is not CLOEXEC. */
static inline int
file_of(uint64_t len)
{
	int fd = memfd_create("test", 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)len), 0);
	return fd;
}

/* How many descriptors this process has open. */
static inline size_t
open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/* Whether every page of [host, host + len) is mapped. */
static inline int
is_mapped(const void *host, size_t len)
{
	uintptr_t page = (uintptr_t)page_size();
	uintptr_t at = (uintptr_t)host & ~(page - 1);
	uintptr_t last = (uintptr_t)host + (len - 1);
	unsigned char resident;

	for (;; at += page) {
		if (mincore((void *)at, page, &resident) != 0) {
			ck_assert_int_eq(errno, ENOMEM);
			return 0;
		}
		if (last - at < page)
			return 1;
	}
}

/* Whether each of 'len' bytes at 'bytes' is 'value'. */
static inline int
all_are(const void *bytes, uint8_t value, size_t len)
{
	const uint8_t *byte = bytes;
	size_t i;

	for (i = 0; i < len; i++)
		if (byte[i] != value)
			return 0;
	return 1;
}

/* 'len' bytes of which no two neighbours, nor words, are alike. */
static inline void
pattern(void *bytes, size_t len, unsigned int seed)
{
	uint8_t *byte = bytes;
	size_t i;

	for (i = 0; i < len; i++)
		byte[i] = (uint8_t)(i * 7 + i / 256 + seed);
}

#endif
