/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "inject_io.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

long __real_syscall(long number, ...);

static const int64_t *script;
static size_t script_count;
static struct inject_transfers transferred;
static bool has_preadv2;

/* The pieces of a call, as many as any has. */
static struct iovec pieces[1024];

/* take() notes the pieces of a call, and how many bytes they are. */
static void
take(const struct iovec *iov, long count)
{
	long i;

	transferred.calls++;
	transferred.pieces = (int)count;
	transferred.len = 0;
	for (i = 0; i < count; i++) {
		pieces[i] = iov[i];
		transferred.len += iov[i].iov_len;
	}
}

/* shorten() leaves the first 'most' bytes of the pieces, and counts them. */
static long
shorten(uint64_t most)
{
	long i;

	for (i = 0; i < transferred.pieces && most != 0; i++) {
		if (pieces[i].iov_len > most)
			pieces[i].iov_len = most;
		most -= pieces[i].iov_len;
	}
	return i;
}

bool
inject_has_preadv2(void)
{
	return has_preadv2;
}

static bool
hook(long number, long arguments[6], long *ret_result)
{
	struct iovec one = { 0 };
	bool many = false;
	int64_t step;

	switch (number) {
	case SYS_preadv2:
	case SYS_pwritev2:
		/* The call after it is the one that counts. */
		if (!inject_has_preadv2())
			return false;
		/* fallthrough */
	case SYS_readv:
	case SYS_writev:
	case SYS_preadv:
	case SYS_pwritev:
		many = true;
		take((const struct iovec *)arguments[1], arguments[2]);
		break;
	case SYS_read:
	case SYS_write:
	case SYS_pread64:
	case SYS_pwrite64:
		one.iov_base = (void *)arguments[1];
		one.iov_len = (size_t)arguments[2];
		take(&one, 1);
		break;
	default:
		return false;
	}
	transferred.number = number;
	transferred.offset = arguments[3];
	if (script_count == 0)
		return false;
	step = *script++;
	script_count--;
	if (step <= 0) {
		if (step < 0)
			errno = (int)-step;
		*ret_result = step < 0 ? -1 : 0;
		return true;
	}
	arguments[2] = shorten((uint64_t)step);
	if (many)
		arguments[1] = (long)pieces;
	else
		arguments[2] = (long)pieces[0].iov_len;
	return false;
}

void
inject_transfers(const int64_t *steps, size_t count)
{
	const int error = errno;

	/* This one is none of the library's, and does not fail in its place. */
	has_preadv2 = __real_syscall(SYS_preadv2, -1L, NULL, 0L, 0L, 0L,
				     0L) >= 0 ||
		      errno != ENOSYS;
	errno = error;
	script = steps;
	script_count = count;
	transferred = (struct inject_transfers){ .calls = 0 };
	inject_hook(hook);
}

struct inject_transfers
inject_transferred(void)
{
	return transferred;
}
