/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Calls that take nothing which would have to be given back. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "inject.h"
#include "inject_locks.h"
#include "inject_wrap.h"

static int
done(int rc)
{
	if (rc == 0)
		inject_spoil_errno();
	return rc;
}

WRAP(int, madvise, void *address, size_t len, int advice)
{
	/* Giving back what cannot be unmapped: of that nobody is told. */
	if (((advice != MADV_DONTNEED && advice != MADV_DONTNEED_LOCKED) ||
	     !inject_was_left(address)) &&
	    inject_fails("madvise"))
		return -1;
	return done(__real_madvise(address, len, advice));
}

WRAP(int, mprotect, void *address, size_t len, int protection)
{
	if (inject_fails("mprotect"))
		return -1;
	return __real_mprotect(address, len, protection);
}

WRAP(int, mincore, void *address, size_t len, unsigned char *ret_core)
{
	if (inject_fails("mincore"))
		return -1;
	return done(__real_mincore(address, len, ret_core));
}

WRAP(int, msync, void *address, size_t len, int flags)
{
	if (inject_fails("msync"))
		return -1;
	return __real_msync(address, len, flags);
}

WRAP(int, mlock2, const void *address, size_t len, unsigned int flags)
{
	if (inject_fails("mlock2"))
		return -1;
	return done(__real_mlock2(address, len, flags));
}

uint64_t inject_uninterrupted;

WRAP(int, fallocate, int fd, int mode, off_t offset, off_t len)
{
	if (inject_fails("fallocate"))
		return -1;
	if (inject_uninterrupted != 0 && (uint64_t)len > inject_uninterrupted) {
		errno = EINTR;
		return -1;
	}
	return done(__real_fallocate(fd, mode, offset, len));
}

WRAP(ssize_t, read, int fd, void *buf, size_t len)
{
	ssize_t len_read;

	if (inject_fails("read"))
		return -1;
	len_read = __real_read(fd, buf, len);
	if (len_read >= 0)
		inject_spoil_errno();
	return len_read;
}

WRAP(ssize_t, pread, int fd, void *buf, size_t len, off_t offset)
{
	if (inject_fails("pread"))
		return -1;
	return __real_pread(fd, buf, len, offset);
}

WRAP(int, ftruncate, int fd, off_t len)
{
	if (inject_fails("ftruncate"))
		return -1;
	return done(__real_ftruncate(fd, len));
}

WRAP(off_t, lseek, int fd, off_t offset, int whence)
{
	if (inject_fails("lseek"))
		return -1;
	return __real_lseek(fd, offset, whence);
}

WRAP(int, getsockopt, int fd, int level, int name, void *value,
     socklen_t *len)
{
	if (inject_fails("getsockopt"))
		return -1;
	return __real_getsockopt(fd, level, name, value, len);
}

WRAP(int, fchmod, int fd, mode_t mode)
{
	if (inject_fails("fchmod"))
		return -1;
	return done(__real_fchmod(fd, mode));
}

WRAP(int, fstat, int fd, struct stat *ret_status)
{
	if (inject_fails("fstat"))
		return -1;
	return done(__real_fstat(fd, ret_status));
}

WRAP(int, fstatfs, int fd, struct statfs *ret_status)
{
	if (inject_fails("fstatfs"))
		return -1;
	return done(__real_fstatfs(fd, ret_status));
}

WRAP(int, sigaction, int number, const struct sigaction *action,
     struct sigaction *ret_old)
{
	if (inject_fails("sigaction"))
		return -1;
	return done(__real_sigaction(number, action, ret_old));
}

/* It returns what is wrong, and leaves errno alone. */
WRAP(int, pthread_mutex_init, pthread_mutex_t *mutex,
     const pthread_mutexattr_t *attributes)
{
	int error = errno;

	if (inject_fails("pthread_mutex_init")) {
		errno = error;
		return -inject_code();
	}
	inject_made(mutex);
	return __real_pthread_mutex_init(mutex, attributes);
}

WRAP(int, pthread_create, pthread_t *ret_thread,
     const pthread_attr_t *attributes, void *(*run)(void *), void *opaque)
{
	int error = errno;

	if (inject_fails("pthread_create")) {
		errno = error;
		return -inject_code();
	}
	return __real_pthread_create(ret_thread, attributes, run, opaque);
}
