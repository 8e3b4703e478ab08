/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Memory that comes later: a table's mappings are registered with
 * userfaultfd(2), a thread reads where no page is, and the test is the front
 * end, which is told of a fault by address and brings the page.
 */
#include "suite.h"
#include "slices.h"
#include "tables.h"

#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <vmmem/vhost.h>

/* The row begins within a page of the file, and so does its mapping earlier. */
#define GPA UINT64_C(0x200010)
#define OFFSET (3 * PAGE + 0x10)
#define LEN (8 * PAGE)
/* What is accessed begins in its third page and is within four. */
#define AT (GPA + 2 * PAGE + 0x108)
#define MOST (3 * PAGE)

static int file, uffd, done_fd;
static bool kernel_waits;
static uint64_t base; /* of the row: what the reply to the front end says */
static struct vmmem_collection *map;
static atomic_bool finished;

/* open_userfaultfd() takes what there is: most tests fault in user mode. */
static int
open_userfaultfd(bool *ret_kernel_waits)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_MISSING_SHMEM };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	*ret_kernel_waits = fd >= 0;
#ifdef UFFD_USER_MODE_ONLY
	if (fd < 0)
		fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK |
							   UFFD_USER_MODE_ONLY);
#endif
	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

const char *
skip_reason(void)
{
	bool unused;
	int fd = open_userfaultfd(&unused);

	if (fd < 0)
		return "userfaultfd(2) is not permitted here";
	close(fd);
	return page_size() != PAGE ? "the pages are not of 4 KiB" : NULL;
}

/* The byte at 'at' in the file, when its page has come. */
static uint8_t
byte_of(uint64_t at)
{
	return (uint8_t)(at * 7 + at / PAGE * 13 + 1);
}

static void
make_page(uint64_t at, uint8_t *page)
{
	uint64_t i;

	for (i = 0; i < PAGE; i++)
		page[i] = byte_of(at + i);
}

/* A range of whole pages to register, as docs/vhost.md says. */
static struct uffdio_range
range_of(const struct vmmem_region *mapping)
{
	const uint64_t page = vmmem_region_page_size(mapping);
	uint64_t len, before;
	void *host;

	assert_ok(vmmem_region_host_address(mapping, 0, &host, &len));
	ck_assert_uint_eq(len, vmmem_region_len(mapping));
	before = (uintptr_t)host % page;
	return (struct uffdio_range){ (uintptr_t)host - before,
				      (before + len + page - 1) / page * page };
}

static void
register_range(struct uffdio_range range)
{
	struct uffdio_register args = { .range = range,
					.mode = UFFDIO_REGISTER_MODE_MISSING };

	ck_assert_int_eq(ioctl(uffd, UFFDIO_REGISTER, &args), 0);
}

/* What the back end says. */
static uint64_t
address_of(const struct vmmem_vhost_region *row,
	   const struct vmmem_region *mapping)
{
	uint64_t len;
	void *host;

	assert_ok(vmmem_region_host_address(mapping, 0, &host, &len));
	ck_assert_uint_eq(len, row->len);
	return (uintptr_t)host;
}

static void
setup_empty(void)
{
	file = sealed_file(FILE_LEN, 0);
	uffd = open_userfaultfd(&kernel_waits);
	ck_assert_int_ge(uffd, 0);
	done_fd = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_ge(done_fd, 0);
	atomic_store(&finished, false);
	make_vhost(NULL);
}

static void
setup(void)
{
	struct vmmem_vhost_region row = row_of(GPA, LEN, OFFSET), same;
	struct vmmem_region *mapping;

	setup_empty();
	assert_ok(vmmem_vhost_set_table(vhost, &row, 1, &file, 1));
	assert_ok(vmmem_vhost_at(vhost, 0, &same, &mapping));
	register_range(range_of(mapping));
	base = address_of(&same, mapping);
	map = vmmem_space_get(space);
}

/*
 * With mlockall(MCL_FUTURE) mmap(2) makes the pages of what it maps; but of
 * these there must be none.  Threads want so much locked memory for their
 * stacks; whoever may not have it tests the same once more.
 */
#define LOCKED_MIN ((rlim_t)256 << 20)

static void
setup_locked(void)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	if (limit.rlim_cur >= LOCKED_MIN || geteuid() == 0)
		(void)mlockall(MCL_FUTURE);
	setup();
}

static void
teardown(void)
{
	(void)munlockall();
	vmmem_collection_unref(map);
	map = NULL;
	drop_vhost();
	close(file);
	close(uffd);
	close(done_fd);
}

/* ---- the front end ------------------------------------------------------ */

/* next_fault() gives the place in the file, or -1 if the reader is done. */
static int64_t
next_fault(void)
{
	struct pollfd fds[2] = { { .fd = uffd, .events = POLLIN },
				 { .fd = done_fd, .events = POLLIN } };
	struct uffd_msg message;
	uint64_t at;

	ck_assert_int_gt(poll(fds, 2, -1), 0);
	if (fds[0].revents == 0)
		return -1;
	ck_assert_int_eq(read(uffd, &message, sizeof(message)),
			 sizeof(message));
	ck_assert_int_eq(message.event, UFFD_EVENT_PAGEFAULT);
	/* It looks for the row by the address that the reply has told. */
	at = OFFSET + (message.arg.pagefault.address - base);
	ck_assert_uint_eq(at % PAGE, 0);
	ck_assert_uint_ge(at, OFFSET / PAGE * PAGE);
	ck_assert_uint_lt(at, OFFSET + LEN);
	return (int64_t)at;
}

/* By the descriptor; or, as QEMU does, by its own mapping and a wake. */
static void
bring(uint64_t at, bool by_wake)
{
	uint64_t address = base + (at - OFFSET);
	struct uffdio_range range = { address, PAGE };
	uint8_t page[PAGE];
	struct uffdio_copy copy = { .dst = address,
				    .src = (uintptr_t)page,
				    .len = PAGE };

	make_page(at, page);
	if (by_wake) {
		ck_assert_int_eq(pwrite(file, page, PAGE, (off_t)at), PAGE);
		ck_assert_int_eq(ioctl(uffd, UFFDIO_WAKE, &range), 0);
	} else {
		ck_assert_int_eq(ioctl(uffd, UFFDIO_COPY, &copy), 0);
		ck_assert_int_eq(copy.copy, PAGE);
	}
}

/* ---- the back end ------------------------------------------------------- */

static int
by_read(uint8_t *buf, size_t len)
{
	return vmmem_collection_read(map, AT, buf, len, NULL);
}

static int
by_number(uint8_t *buf, size_t len)
{
	uint32_t value = 0;
	int rc = vmmem_collection_read_u32(map, AT, &value);

	memcpy(buf, &value, len);
	return rc;
}

static int
by_load(uint8_t *buf, size_t len)
{
	uint64_t value = 0;
	int rc = vmmem_collection_load_u64(map, AT, VMMEM_ORDER_ACQUIRE,
					   &value);

	memcpy(buf, &value, len);
	return rc;
}

static int
by_exchange(uint8_t *buf, size_t len)
{
	uint64_t value = 0;
	int rc = vmmem_collection_compare_exchange_u64(
		map, AT, 1, 2, VMMEM_ORDER_SEQ_CST, VMMEM_ORDER_SEQ_CST,
		&value);

	memcpy(buf, &value, len);
	return rc;
}

static int
by_slice(uint8_t *buf, size_t len)
{
	struct vmmem_slice slice;
	int rc = vmmem_collection_slice(map, AT, len, VMMEM_PROT_READ, &slice);

	if (rc == 0) {
		rc = vmmem_slice_read(&slice, 0, buf, len);
		vmmem_slice_release(&slice);
	}
	return rc;
}

static int
by_slice_load(uint8_t *buf, size_t len)
{
	struct vmmem_slice slice;
	uint32_t value = 0;
	int rc = vmmem_collection_slice(map, AT, len, VMMEM_PROT_READ, &slice);

	if (rc == 0) {
		rc = vmmem_slice_load_u32(&slice, 0, VMMEM_ORDER_ACQUIRE,
					  &value);
		vmmem_slice_release(&slice);
	}
	memcpy(buf, &value, len);
	return rc;
}

/* The page comes first, and then the bytes that are written to it. */
static int
by_write(uint8_t *buf, size_t len)
{
	uint64_t i;
	int rc = 0;

	for (i = 0; i < len && rc == 0; i += PAGE)
		rc = vmmem_collection_write_u8(map, AT + i + 0x10, 0);
	if (rc == 0)
		rc = vmmem_collection_read(map, AT, buf, len, NULL);
	for (i = 0; i < len && rc == 0; i += PAGE) {
		if (buf[i + 0x10] != 0)
			return VMMEM_EGONE;
		buf[i + 0x10] = byte_of(AT - GPA + OFFSET + i + 0x10);
	}
	return rc;
}

/* Here it is the kernel that faults, in write(2). */
static int
by_descriptor(uint8_t *buf, size_t len)
{
	int out = memfd_create("out", MFD_CLOEXEC);
	int rc = vmmem_collection_to_fd(map, AT, len, out, VMMEM_IO_POSITION,
					0, NULL);

	if (rc == 0 && pread(out, buf, len, 0) != (ssize_t)len)
		rc = -errno;
	close(out);
	return rc;
}

static const struct {
	int (*run)(uint8_t *buf, size_t len);
	size_t len;
	bool in_kernel;
} accesses[] = {
	{ by_read, MOST, false },
	{ by_number, 4, false },
	{ by_load, 8, false },
	{ by_exchange, 8, false },
	{ by_slice, MOST, false },
	{ by_slice_load, 4, false },
	{ by_write, MOST, false },
	{ by_descriptor, MOST, true },
};

struct reader {
	size_t access;
	uint8_t buf[MOST];
	int rc;
};

static void *
run_reader(void *opaque)
{
	struct reader *reader = opaque;
	const uint64_t one = 1;

	reader->rc = accesses[reader->access].run(
		reader->buf, accesses[reader->access].len);
	atomic_store(&finished, true);
	if (write(done_fd, &one, sizeof(one)) != sizeof(one))
		abort();
	return NULL;
}

/* ---- tests -------------------------------------------------------------- */

/* Whatever row: whole pages, and where the row begins is told right. */
START_TEST(mappings)
{
	static const struct {
		uint64_t len, offset;
	} rows[] = {
		{ PAGE, 0 },
		{ 3 * PAGE, 2 * PAGE },
		{ PAGE, 0x230 },
		{ 2 * PAGE, PAGE - 16 },
		{ 0x30, 4 * PAGE + 0x10 },
		{ PAGE + 0x7f0, 3 * PAGE },
	};
	struct vmmem_vhost_region row =
		row_of(UINT64_C(0x100000) + rows[_i].offset % PAGE,
		       rows[_i].len, rows[_i].offset);
	struct vmmem_vhost_region more = row_of(0x900000, PAGE, 8 * PAGE);
	struct vmmem_vhost_region both[2] = { more, row };
	int fds[2] = { file, file }, log;
	struct vmmem_region *mapping, *again;
	struct uffdio_range range;
	uint8_t page[PAGE];
	uint64_t at, host;

	for (at = 0; at < FILE_LEN; at += PAGE) {
		make_page(at, page);
		ck_assert_int_eq(pwrite(file, page, PAGE, (off_t)at), PAGE);
	}
	assert_ok(vmmem_vhost_set_table(vhost, &row, 1, &file, 1));
	assert_ok(vmmem_vhost_at(vhost, 0, NULL, &mapping));
	range = range_of(mapping);
	register_range(range);
	host = address_of(&row, mapping);
	ck_assert_uint_eq(host - range.start, rows[_i].offset % PAGE);
	for (at = 0; at < row.len; at++)
		ck_assert_uint_eq(*(uint8_t *)(uintptr_t)(host + at),
				  byte_of(row.offset + at));

	/* Other tables and other logs leave it where it is. */
	assert_ok(vmmem_vhost_set_table(vhost, both, 2, fds, 2));
	assert_ok(vmmem_vhost_at(vhost, 0, NULL, &again));
	ck_assert_ptr_eq(again, mapping);
	log = sealed_file(PAGE, 0);
	assert_ok(vmmem_vhost_set_log(vhost, log, 0, PAGE));
	close(log);
	assert_ok(vmmem_vhost_at(vhost, 0, NULL, &again));
	ck_assert_ptr_eq(again, mapping);
	ck_assert_uint_eq(range_of(again).start, range.start);
}
END_TEST

/* Each way to look, with both ways to bring, with faults survived or not. */
START_TEST(accesses_wait)
{
	struct reader reader = { .access = (size_t)_i / 4 };
	const size_t len = accesses[reader.access].len;
	const bool by_wake = (_i & 1) != 0, surviving = (_i & 2) != 0;
	const uint32_t signals = VMMEM_FAULT_SIGNAL_BUS | VMMEM_FAULT_SIGNAL_SEGV;
	const uint64_t first = AT - GPA + OFFSET;
	uint64_t i, pages = 0;
	pthread_t thread;
	int64_t at;

	if (accesses[reader.access].in_kernel && !kernel_waits)
		return;
	if (surviving && vmmem_fault_enable(signals) != 0)
		return;
	ck_assert_int_eq(pthread_create(&thread, NULL, run_reader, &reader), 0);
	while ((at = next_fault()) >= 0) {
		/* In ascending order, each once, and it does not go on. */
		ck_assert(!atomic_load(&finished));
		ck_assert_uint_eq((uint64_t)at, (first / PAGE + pages) * PAGE);
		bring((uint64_t)at, by_wake);
		pages++;
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	assert_ok(reader.rc);
	ck_assert_uint_eq(pages, (first + len - 1) / PAGE - first / PAGE + 1);
	for (i = 0; i < len; i++)
		ck_assert_uint_eq(reader.buf[i], byte_of(first + i));
	/* Waiting is no fault that the region would tell of. */
	ck_assert_uint_eq(vmmem_region_fault_count(vmmem_collection_region(map,
									   0)),
			  0);
	if (surviving)
		assert_ok(vmmem_fault_disable(signals));
}
END_TEST

/* Postcopy ends while somebody waits: what has not come is zeros. */
START_TEST(the_end)
{
	struct reader reader = { .access = 0 };
	struct vmmem_region *mapping;
	struct uffdio_range range;
	pthread_t thread;
	size_t i;

	assert_ok(vmmem_vhost_at(vhost, 0, NULL, &mapping));
	range = range_of(mapping);
	memset(reader.buf, 0xee, sizeof(reader.buf));
	ck_assert_int_eq(pthread_create(&thread, NULL, run_reader, &reader), 0);
	ck_assert_int_ge(next_fault(), 0);
	ck_assert(!atomic_load(&finished));
	ck_assert_int_eq(ioctl(uffd, UFFDIO_UNREGISTER, &range), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	assert_ok(reader.rc);
	for (i = 0; i < MOST; i++)
		ck_assert_uint_eq(reader.buf[i], 0);
}
END_TEST

static int refusal;

static int
added(void *opaque, struct vmmem_region *region)
{
	struct vmmem_region *mapping = vmmem_region_alias_target(region);
	struct vmmem_vhost_region row = row_of(GPA, LEN, OFFSET);

	(void)opaque;
	ck_assert_ptr_nonnull(mapping);
	/* No device can have touched it. */
	ck_assert_uint_eq(shown(), 0);
	register_range(range_of(mapping));
	base = address_of(&row, mapping);
	return refusal;
}

/* A listener registers in time, and can refuse: then nothing has changed. */
START_TEST(by_listener)
{
	const struct vmmem_listener_ops ops = { .size = sizeof(ops),
						.added = added };
	struct vmmem_vhost_region row = row_of(GPA, LEN, OFFSET);
	struct vmmem_listener *listener;
	struct reader reader = { .access = 0 };
	pthread_t thread;
	int64_t at;

	assert_ok(vmmem_listener_new(space, &ops, NULL, NULL, &listener));
	refusal = -EPERM;
	assert_code(vmmem_vhost_set_table(vhost, &row, 1, &file, 1), -EPERM);
	ck_assert_uint_eq(vmmem_vhost_count(vhost), 0);
	ck_assert_uint_eq(shown(), 0);
	refusal = 0;
	assert_ok(vmmem_vhost_set_table(vhost, &row, 1, &file, 1));
	map = vmmem_space_get(space);
	ck_assert_int_eq(pthread_create(&thread, NULL, run_reader, &reader), 0);
	while ((at = next_fault()) >= 0)
		bring((uint64_t)at, false);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	assert_ok(reader.rc);
	ck_assert_uint_eq(reader.buf[0], byte_of(AT - GPA + OFFSET));
	vmmem_listener_free(listener);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("vhost_postcopy");
	TCase *empty = tcase_create("empty"), *tcase = tcase_create("set");
	TCase *locked = tcase_create("locked");

	tcase_add_checked_fixture(empty, setup_empty, teardown);
	tcase_add_loop_test(empty, mappings, 0, 6);
	tcase_add_test(empty, by_listener);
	suite_add_tcase(suite, empty);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, accesses_wait, 0,
			    (int)ARRAY_LEN(accesses) * 4);
	tcase_add_test(tcase, the_end);
	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(locked, setup_locked, teardown);
	tcase_add_loop_test(locked, accesses_wait, 0,
			    (int)ARRAY_LEN(accesses) * 4);
	tcase_add_test(locked, the_end);
	suite_add_tcase(suite, locked);
	return suite;
}
