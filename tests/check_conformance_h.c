/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Mappings: what vm-memory 0.18 does, and whether libvmmem matches it, fixes
 * it or differs on purpose.  docs/conformance.md is the table of all marks.
 */
#include <sys/stat.h>

#include <vmmem/vmmem.h>

#include "guest.h"
#include "suite.h"

/*
 * vm-memory: since 0.17 a mapping may go past the end of its file; the process
 * dies when it touches what is not there.
 * fix: refused when it is made, with a code of its own.
 */
START_TEST(h1_mapping_past_end_of_file)
{
	uint64_t page = page_size();
	struct vmmem_region *region = NO_REGION;
	int fd = file_of(2 * page);

	assert_code(vmmem_region_new_file(0, 3 * page, fd, 0, &region),
		    VMMEM_EPASTEOF);
	assert_code(vmmem_region_new_file(0, 2 * page, fd, page, &region),
		    VMMEM_EPASTEOF);
	assert_code(vmmem_region_new_file(0, 1, fd, 2 * page, &region),
		    VMMEM_EPASTEOF);
	ck_assert_ptr_eq(region, NO_REGION);
	assert_ok(vmmem_region_new_file(0, 2 * page, fd, 0, &region));
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

/*
 * vm-memory: where the kernel touches such a mapping, in read(2), the caller
 * gets EFAULT for an address that was said to be good.
 * fix: with no byte past the end, a read fills a region to its last byte.  If
 * the file is cut short later, EFAULT tells that this memory is gone, with the
 * count of what came before.
 */
START_TEST(h2_kernel_reads_into_a_mapping)
{
	uint64_t page = page_size(), len = 0, done = 77;
	struct vmmem_region *region = NO_REGION;
	int fd = file_of(page + 5), source = file_of(2 * page);
	struct vmmem_collection *guest;
	void *host;

	assert_code(vmmem_region_new_file(0, 2 * page, fd, 0, &region),
		    VMMEM_EPASTEOF);
	assert_ok(vmmem_region_new_file(0, page + 5, fd, 0, &region));
	assert_ok(vmmem_region_host_address(region, 0, &host, &len));
	ck_assert_uint_eq(len, page + 5);
	ck_assert_int_eq(read(source, host, len), (ssize_t)len);
	guest = guest_of_one(region);
	assert_ok(vmmem_collection_from_fd(guest, 0, len, source, 0, 0,
					   &done));
	ck_assert_uint_eq(done, len);
	ck_assert_int_eq(ftruncate(fd, (off_t)page), 0);
	assert_code(vmmem_collection_from_fd(guest, 0, len, source, 0, 0,
					     &done), VMMEM_EGONE);
	ck_assert_uint_eq(done, page);
	assert_code(vmmem_collection_to_fd(guest, page, 5, source, 0, 0,
					   &done), VMMEM_EGONE);
	ck_assert_uint_eq(done, 0);
	vmmem_collection_unref(guest);
	close(source);
	close(fd);
}
END_TEST

/*
 * vm-memory: permissions asked for are ignored; a read-only mapping is said to
 * be writable, and writing to it kills the process.
 * fix: regions say what they permit, and every access and check obeys.
 */
START_TEST(h3_read_only_mapping)
{
	struct vmmem_collection *guest =
		guest_of_one(region_with(0, 0x1000, VMMEM_PROT_READ));
	uint64_t wide = 77;
	size_t done = 77;
	uint8_t byte = 1;

	assert_code(vmmem_collection_check(guest, 0, 1, VMMEM_PROT_WRITE,
					   NULL), VMMEM_EDENIED);
	assert_ok(vmmem_collection_check(guest, 0, 1, VMMEM_PROT_READ, NULL));
	assert_code(vmmem_collection_write(guest, 0, &byte, 1, &done),
		    VMMEM_EDENIED);
	ck_assert_uint_eq(done, 0);
	assert_code(vmmem_collection_write_some(guest, 0, &byte, 1, &done),
		    VMMEM_EDENIED);
	assert_code(vmmem_collection_write_u8(guest, 0, 1), VMMEM_EDENIED);
	assert_code(vmmem_collection_fill(guest, 0, 1, 1, &wide),
		    VMMEM_EDENIED);
	ck_assert_uint_eq(wide, 0);
	assert_code(vmmem_collection_copy(guest, 0, 1, 1, &wide),
		    VMMEM_EDENIED);
	assert_code(vmmem_collection_store_u8(guest, 0, 1,
					      VMMEM_ORDER_RELAXED),
		    VMMEM_EDENIED);
	assert_code(vmmem_collection_fetch_or_u8(guest, 0, 1,
						 VMMEM_ORDER_RELAXED, NULL),
		    VMMEM_EDENIED);
	assert_ok(vmmem_collection_read(guest, 0, &byte, 1, &done));
	ck_assert_uint_eq(byte, 0);
	vmmem_collection_unref(guest);
}
END_TEST

/*
 * vm-memory: a region may begin at any guest address, but alignment is that of
 * the host address, so it refuses aligned atomics and accepts odd ones.
 * fix: guest and host address agree modulo 16, arranged or insisted on, and
 * the guest address decides.
 */
START_TEST(h4_alignment_by_guest_address)
{
	static _Alignas(16) uint8_t memory[64];
	struct vmmem_collection *guest = guest_of_one(region_of(0x1001, 0x100));
	struct vmmem_region *region = NO_REGION;
	uint64_t value = 77;

	ck_assert_uint_eq((uintptr_t)host_of(guest, 0x1001) % 16, 1);
	assert_ok(vmmem_collection_load_u64(guest, 0x1008,
					    VMMEM_ORDER_RELAXED, &value));
	ck_assert_uint_eq(value, 0);
	assert_code(vmmem_collection_load_u64(guest, 0x1001,
					      VMMEM_ORDER_RELAXED, &value),
		    VMMEM_EMISALIGNED);
	vmmem_collection_unref(guest);
	assert_code(vmmem_region_new_external(0x1001, 32, memory, &region),
		    VMMEM_ECONGRUENCE);
	ck_assert_ptr_eq(region, NO_REGION);
}
END_TEST

/*
 * vm-memory: a mapping of size zero fails with the system's EINVAL.
 * fix: refused before the system is asked, with a code of its own.
 */
START_TEST(h5_mapping_of_no_bytes)
{
	struct vmmem_region *region = NO_REGION;

	assert_code(vmmem_region_new_anonymous(0, 0, &region),
		    VMMEM_EZEROLEN);
	assert_code(vmmem_region_new_memfd(0, 0, &region), VMMEM_EZEROLEN);
	ck_assert_ptr_eq(region, NO_REGION);
}
END_TEST

/*
 * vm-memory: MAP_FIXED is refused with an error of its own.
 * differ; no flag of mmap(2) can be passed, so that none can ask for it: its
 * number is an unknown flag.
 */
START_TEST(h6_map_fixed)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NO_REGION;
	int fd = file_of(0x1000);

	vmmem_region_builder_set_range(builder, 0, 0x1000);
	vmmem_region_builder_set_file(builder, fd, 0, MAP_FIXED);
	assert_code(vmmem_region_builder_build(builder, &region),
		    VMMEM_EARGUMENT);
	vmmem_region_builder_set_file(builder, fd, 0, MAP_FIXED_NOREPLACE);
	assert_code(vmmem_region_builder_build(builder, &region),
		    VMMEM_EARGUMENT);
	ck_assert_ptr_eq(region, NO_REGION);
	close(fd);
	vmmem_region_builder_free(builder);
}
END_TEST

/*
 * vm-memory: whether two mappings share bytes of a file is asked by comparing
 * descriptor numbers, so a duplicate goes unnoticed; and the sum of offset and
 * length can overflow.
 * differ: there is no such question.  Regions of the same bytes are allowed,
 * which aliases are for; who must know asks each region for its file and
 * offset and compares files, not numbers, as done here.
 */
START_TEST(h7_same_file_by_two_descriptors)
{
	int fd = file_of(0x2000), other = dup(fd), fds[2], same = 0;
	struct vmmem_region *regions[2] = { NULL, NULL };
	struct stat status[2];
	struct vmmem_collection *guest;
	uint64_t offsets[2];
	uint8_t byte = 0;
	size_t i;

	assert_ok(vmmem_region_new_file(0, 0x1000, fd, 0x1000, &regions[0]));
	assert_ok(vmmem_region_new_file(0x8000, 0x1000, other, 0x1000,
					&regions[1]));
	for (i = 0; i < 2; i++) {
		assert_ok(vmmem_region_file(regions[i], &fds[i], &offsets[i]));
		ck_assert_int_eq(fstat(fds[i], &status[i]), 0);
	}
	/* Here they have one, which nobody may rely on. */
	ck_assert_int_eq(fds[0], fds[1]);
	ck_assert_uint_eq(status[0].st_ino, status[1].st_ino);
	ck_assert_uint_eq(status[0].st_dev, status[1].st_dev);
	ck_assert_uint_eq(offsets[0], offsets[1]);
	assert_ok(vmmem_fd_same_file(fds[0], fds[1], &same));
	ck_assert_int_eq(same, 1);
	guest = guest_of(regions, 2);
	assert_ok(vmmem_collection_write_u8(guest, 0x10, 0x77));
	assert_ok(vmmem_collection_read_u8(guest, 0x8010, &byte));
	ck_assert_uint_eq(byte, 0x77);
	vmmem_collection_unref(guest);
	close(other);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("conformance_h");
	TCase *tcase = tcase_create("conformance_h");

	tcase_add_test(tcase, h1_mapping_past_end_of_file);
	tcase_add_test(tcase, h2_kernel_reads_into_a_mapping);
	tcase_add_test(tcase, h3_read_only_mapping);
	tcase_add_test(tcase, h4_alignment_by_guest_address);
	tcase_add_test(tcase, h5_mapping_of_no_bytes);
	tcase_add_test(tcase, h6_map_fixed);
	tcase_add_test(tcase, h7_same_file_by_two_descriptors);
	suite_add_tcase(suite, tcase);
	return suite;
}
