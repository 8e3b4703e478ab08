/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Transfers with flags, and direct ones: each of their calls fails once. */
#include "fault.h"
#include "inject_io.h"
#include "suite.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Memory, memory that does not follow it in the host, and callbacks. */
#define GPA UINT64_C(0x10000)
#define LEN UINT64_C(0x4000)
#define CALLS (GPA + 2 * LEN)
#define CALLS_LEN UINT64_C(0x1000)

static uint8_t calls_bytes[CALLS_LEN];
static struct vmmem_collection *guest;
static int box; /* a socket that receives what it sends */
static int direct; /* not through the page cache */
static int saved; /* with holes */

static int
calls_read(void *opaque, uint64_t offset, void *buf, size_t len,
	   const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	memcpy(buf, calls_bytes + offset, len);
	return 0;
}

static int
calls_write(void *opaque, uint64_t offset, const void *buf, size_t len,
	    const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	memcpy(calls_bytes + offset, buf, len);
	return 0;
}

static const struct vmmem_region_ops calls = {
	.size = sizeof(calls),
	.read = calls_read,
	.write = calls_write,
};

static void
setup(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t at_len = sizeof(at);
	struct vmmem_region *regions[3];
	size_t i;

	for (i = 0; i < 2; i++)
		ck_assert_int_eq(vmmem_region_new_anonymous(
			GPA + i * LEN, LEN, &regions[i]), 0);
	ck_assert_int_eq(vmmem_region_new_custom(CALLS, CALLS_LEN, &calls, NULL,
						 &regions[2]), 0);
	ck_assert_int_eq(vmmem_collection_new(regions, 3, &guest), 0);
	for (i = 0; i < 3; i++)
		vmmem_region_unref(regions[i]);

	box = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(box, 0);
	ck_assert_int_eq(bind(box, (void *)&at, sizeof(sa_family_t)), 0);
	ck_assert_int_eq(getsockname(box, (void *)&at, &at_len), 0);
	ck_assert_int_eq(connect(box, (void *)&at, at_len), 0);
}

static void
teardown(void)
{
	close(box);
	guest = vmmem_collection_unref(guest);
}

static int
require_count(int rc, uint64_t done, uint64_t len)
{
	REQUIRE(rc != 0 || done == len);
	REQUIRE(rc == 0 || done < len);
	/* A signal handler's caller minds. */
	REQUIRE(errno == EXDEV);
	return rc;
}

/* A message in pieces, as they lie and through a buffer, and one of no bytes. */
static int
message(const struct vmmem_range *chain, int fd)
{
	uint64_t done = 77;
	int rc;

	rc = vmmem_collection_ranges_to_fd(guest, chain, 2, 0, VMMEM_IO_REST,
					   fd, VMMEM_IO_POSITION,
					   VMMEM_IO_MESSAGE, &done, NULL);
	rc = require_count(rc, done, 128);
	if (rc != 0)
		return rc;
	rc = vmmem_collection_ranges_from_fd(guest, chain, 2, 0, VMMEM_IO_REST,
					     fd, VMMEM_IO_POSITION,
					     VMMEM_IO_MESSAGE, &done, NULL);
	return require_count(rc, done, 128);
}

static int
messages(void)
{
	const struct vmmem_range plain[] = { { GPA, 64 }, { GPA + LEN, 64 } };
	const struct vmmem_range mixed[] = { { CALLS, 64 }, { GPA, 64 } };
	static uint8_t rest[128];
	uint64_t done = 77;
	int rc;

	/* What a message that was not received has left. */
	while (recv(box, rest, sizeof(rest), 0) >= 0)
		continue;
	errno = EXDEV;
	rc = message(plain, box);
	if (rc == 0)
		rc = message(mixed, box);
	if (rc != 0)
		return rc;
	REQUIRE(send(box, rest, 0, 0) == 0);
	rc = vmmem_collection_from_fd(guest, GPA, 64, box, VMMEM_IO_POSITION,
				      VMMEM_IO_MESSAGE, &done);
	REQUIRE(done == 0 && errno == EXDEV);
	return rc;
}

/* A direct descriptor that refuses how the bytes lie in the guest. */
static int
unaligned(void)
{
	static const int64_t refusing[] = { -EINVAL };
	uint64_t done = 77;
	int rc;

	/* Not by lseek(), which is made to fail. */
	REQUIRE(lseek64(direct, 0, SEEK_SET) == 0);
	errno = EXDEV;
	inject_transfers(refusing, 1);
	rc = vmmem_collection_from_fd(guest, GPA + 16, 64, direct,
				      VMMEM_IO_POSITION, 0, &done);
	rc = require_count(rc, done, 64);
	if (rc != 0)
		return rc;
	inject_transfers(refusing, 1);
	rc = vmmem_collection_to_fd(guest, GPA + 16, LEN, direct, 0, 0, &done);
	return require_count(rc, done, LEN);
}

START_TEST(unaligned_and_direct)
{
	direct = open(".", O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
	/* Not every file system has it, and where it does, all is refused. */
	if (direct < 0)
		return;
	ck_assert_int_eq(ftruncate(direct, (off_t)(2 * LEN)), 0);
	fault_sweep(unaligned, 0);
	close(direct);
}
END_TEST

/* Leaving out what is not there, of a memfd and in a file. */
static struct vmmem_collection *memfd;

static int
sparse(void)
{
	uint64_t done = 77;
	int rc;

	errno = EXDEV;
	rc = vmmem_collection_to_fd(memfd, 0, LEN, saved, 0, VMMEM_IO_SPARSE,
				    &done);
	rc = require_count(rc, done, LEN);
	if (rc != 0)
		return rc;
	REQUIRE(lseek64(saved, 0, SEEK_SET) == 0);
	rc = vmmem_collection_from_fd(memfd, 0, LEN, saved, VMMEM_IO_POSITION,
				      VMMEM_IO_SPARSE, &done);
	/* All is there, but where the file stands cannot be set. */
	REQUIRE(rc == 0 || done <= LEN);
	REQUIRE(errno == EXDEV);
	return rc;
}

START_TEST(leaving_out)
{
	struct vmmem_region *region = NULL;

	ck_assert_int_eq(vmmem_region_new_memfd(0, LEN, &region), 0);
	ck_assert_int_eq(vmmem_collection_new(&region, 1, &memfd), 0);
	vmmem_region_unref(region);
	ck_assert_int_eq(vmmem_collection_write_u8(memfd, fault_page(), 1), 0);
	saved = memfd_create("saved", MFD_CLOEXEC);
	ck_assert_int_ge(saved, 0);
	/* So that there is something to make holes in, and an end to set. */
	ck_assert_int_eq(write(saved, calls_bytes, sizeof(calls_bytes)),
			 sizeof(calls_bytes));
	fault_sweep(sparse, 0);
	ck_assert_int_eq(fault_call(sparse, "fallocate", EOPNOTSUPP), 0);
	ck_assert_int_eq(fault_call(sparse, "fallocate", EINTR), 0);
	close(saved);
	vmmem_collection_unref(memfd);
}
END_TEST

START_TEST(message_in_any_way)
{
	fault_sweep(messages, 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("faults, io with flags");
	TCase *tcase = tcase_create("flags");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, message_in_any_way);
	tcase_add_test(tcase, unaligned_and_direct);
	tcase_add_test(tcase, leaving_out);
	suite_add_tcase(suite, tcase);
	return suite;
}
