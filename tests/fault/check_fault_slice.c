/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Memory that is mapped on demand: the callbacks map it from a file, and each
 * of their calls fails once.  What was acquired is released.
 */
#include "fault.h"
#include "suite.h"

#include <string.h>
#include <sys/mman.h>

#define GPA UINT64_C(0x12340000)

static unsigned int acquired;

/* Maps the page of the file in which the range lies. */
static int
acquire(void *opaque, uint64_t offset, uint64_t len, uint32_t access,
	void **ret_host)
{
	uint64_t page = offset / fault_page();
	unsigned char *host;

	(void)access;
	REQUIRE(len != 0 && (offset + len - 1) / fault_page() == page);
	host = mmap(NULL, fault_page(), PROT_READ | PROT_WRITE, MAP_SHARED,
		    *(int *)opaque, (off_t)(page * fault_page()));
	if (host == MAP_FAILED)
		return -errno;
	acquired++;
	*ret_host = host + offset % fault_page();
	return 0;
}

static void
release(void *opaque, uint64_t offset, uint64_t len, uint32_t access,
	void *host)
{
	(void)opaque;
	(void)len;
	(void)access;
	REQUIRE(acquired > 0);
	acquired--;
	munmap((unsigned char *)host - offset % fault_page(), fault_page());
}

static const struct vmmem_region_ops ops = {
	.size = sizeof(ops),
	.acquire = acquire,
	.release = release,
};

static struct vmmem_region *
make_region(int *rc)
{
	static int fd;
	struct vmmem_region *region = no_region;

	acquired = 0;
	fd = fault_file();
	*rc = vmmem_region_new_custom(GPA, 2 * fault_page(), &ops, &fd,
				      &region);
	if (*rc == 0)
		return region;
	failed_region(*rc, region);
	return NULL;
}

/* A slice that was refused is not written, and nothing is acquired. */
static void
require_refused(const struct vmmem_slice *slice, unsigned int count)
{
	static const struct vmmem_slice untouched;

	REQUIRE(memcmp(slice, &untouched, sizeof(untouched)) == 0);
	REQUIRE(acquired == count);
}

static int
region_slice(void)
{
	struct vmmem_slice slice, second, part;
	struct vmmem_region *region;
	uint8_t value = 0;
	int rc;

	region = make_region(&rc);
	if (region == NULL)
		return rc;
	memset(&slice, 0, sizeof(slice));
	memset(&second, 0, sizeof(second));
	rc = vmmem_region_slice(region, 16, 64,
				VMMEM_PROT_READ | VMMEM_PROT_WRITE, &slice);
	if (rc != 0) {
		require_refused(&slice, 0);
		vmmem_region_unref(region);
		return rc;
	}
	REQUIRE(vmmem_slice_sub(&slice, 8, 8, &part) == 0);
	REQUIRE(vmmem_slice_write_u8(&part, 0, 0x42) == 0);
	rc = vmmem_region_slice(region, 24, 1, VMMEM_PROT_READ, &second);
	if (rc == 0) {
		REQUIRE(acquired == 2);
		REQUIRE(vmmem_slice_read_u8(&second, 0, &value) == 0);
		REQUIRE(value == 0x42);
		vmmem_slice_release(&second);
	} else {
		require_refused(&second, 1);
	}
	/* A part is not what was acquired. */
	vmmem_slice_release(&part);
	REQUIRE(acquired == 1);
	vmmem_slice_release(&slice);
	REQUIRE(acquired == 0);
	vmmem_region_unref(region);
	return rc;
}

/* walk() slices a page after the other, and acquires each. */
static int
walk(const struct vmmem_collection *collection)
{
	uint64_t gpa = GPA + fault_page() - 16;
	struct vmmem_slice slice;
	unsigned int i;
	int rc;

	for (i = 0; i < 2; i++) {
		memset(&slice, 0, sizeof(slice));
		rc = vmmem_collection_next_slice(collection, gpa, 16,
						 VMMEM_PROT_WRITE, &slice);
		if (rc != 0) {
			require_refused(&slice, 0);
			return rc;
		}
		REQUIRE(vmmem_slice_fill(&slice, 0, 16, 0x17) == 0);
		vmmem_slice_release(&slice);
		REQUIRE(acquired == 0);
		gpa += 16;
	}
	memset(&slice, 0, sizeof(slice));
	rc = vmmem_collection_slice(collection, GPA, 16, VMMEM_PROT_READ,
				    &slice);
	if (rc != 0)
		require_refused(&slice, 0);
	else
		vmmem_slice_release(&slice);
	return rc;
}

/* Access functions acquire too, where there is nothing to read with. */
static int
access_all(const struct vmmem_collection *collection)
{
	uint64_t done = 0;
	unsigned char buf[32];
	uint32_t value = 0;
	size_t count = 0;
	int rc;

	rc = vmmem_collection_fill(collection, GPA, 64, 0x21, &done);
	if (rc == 0)
		rc = vmmem_collection_write_u32(collection, GPA + 4, 7);
	if (rc == 0)
		rc = vmmem_collection_read_u32(collection, GPA + 4, &value);
	if (rc == 0)
		rc = vmmem_collection_read(collection, GPA, buf, sizeof(buf),
					   &count);
	if (rc == 0)
		rc = vmmem_collection_copy(collection, GPA + 128, GPA, 64,
					   &done);
	REQUIRE(acquired == 0);
	REQUIRE(rc != 0 || (done == 64 && count == 32 && value == 7 &&
			    buf[31] == 0x21));
	return rc;
}

static int
in_collection(int (*use)(const struct vmmem_collection *collection))
{
	struct vmmem_collection *collection = no_collection;
	struct vmmem_region *region;
	int rc;

	region = make_region(&rc);
	if (region == NULL)
		return rc;
	rc = vmmem_collection_new(&region, 1, &collection);
	vmmem_region_unref(region);
	if (rc != 0)
		return failed_collection(rc, collection);
	rc = use(collection);
	vmmem_collection_unref(collection);
	REQUIRE(acquired == 0);
	return rc;
}

static int
collection_slices(void)
{
	return in_collection(walk);
}

static int
collection_access(void)
{
	return in_collection(access_all);
}

static const scenario_fn scenarios[] = {
	region_slice,
	collection_slices,
	collection_access,
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

START_TEST(test_scenario)
{
	fault_sweep(scenarios[_i], 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("faults, slices");
	TCase *tcase = tcase_create("slices");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, test_scenario, 0, SCENARIOS);
	suite_add_tcase(suite, tcase);
	return suite;
}
