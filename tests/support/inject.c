/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "inject.h"
#include "inject_wrap.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* No scenario takes more than this of anything. */
#define LIVE_MAX 256

struct mapping {
	void *address;
	size_t len;
	bool left; /* by an munmap() that failed */
};

static struct {
	bool on;
	unsigned int countdown;
	int error;
	bool clean_up;
	const char *fired;
	int code;
	unsigned int calls;

	void *blocks[LIVE_MAX];
	struct mapping mappings[LIVE_MAX];
	int descriptors[LIVE_MAX];
	struct inject_live live;

	inject_hook_fn hook;
	void (*before)(const char *function);
} state;

void
inject_start(unsigned int n, int error, bool clean_up)
{
	memset(&state, 0, sizeof(state));
	state.countdown = n;
	state.error = error;
	state.clean_up = clean_up;
	state.on = true;
}

void
inject_stop(void)
{
	state.on = false;
}

const char *
inject_fired(void)
{
	return state.fired;
}

int
inject_code(void)
{
	return state.code;
}

unsigned int
inject_calls(void)
{
	return state.calls;
}

struct inject_live
inject_live(void)
{
	return state.live;
}

/* The library's own threads make calls too, though they take nothing. */
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;

/* fails() tells whether this call is the one, and sets errno if so. */
static bool
fails(const char *function, int error)
{
	bool is_the_one;

	if (!state.on)
		return false;
	if (state.before != NULL)
		state.before(function);
	pthread_mutex_lock(&counting);
	state.calls++;
	is_the_one = state.countdown != 0 && --state.countdown == 0;
	if (is_the_one) {
		state.fired = function;
		state.code = -error;
	}
	pthread_mutex_unlock(&counting);
	if (is_the_one)
		errno = error;
	return is_the_one;
}

void
inject_hook(inject_hook_fn hook)
{
	state.hook = hook;
}

void
inject_before(void (*look)(const char *function))
{
	state.before = look;
}

bool
inject_fails(const char *function)
{
	return fails(function, state.error);
}

static bool
clean_up_fails(const char *function)
{
	if (!state.on || !state.clean_up)
		return fails(function, state.error);
	errno = state.error;
	return true;
}

/*
 * A call that succeeds may leave anything in errno.  Undoing what was done
 * before a failure must not change what is said about that failure; and what
 * did succeed is not tried again as if a signal had come.
 */
void
inject_spoil_errno(void)
{
	if (state.on)
		errno = EINTR;
}

static void
take_block(void *block)
{
	unsigned int i;

	if (!state.on || block == NULL)
		return;
	for (i = 0; i < LIVE_MAX; i++) {
		if (state.blocks[i] == NULL) {
			state.blocks[i] = block;
			state.live.allocations++;
			return;
		}
	}
	abort();
}

static void
give_block(const void *block)
{
	unsigned int i;

	if (block == NULL)
		return;
	for (i = 0; i < LIVE_MAX; i++) {
		if (state.blocks[i] == block) {
			state.blocks[i] = NULL;
			state.live.allocations--;
			return;
		}
	}
	if (state.on)
		state.live.strangers++;
}

static struct mapping *
find_mapping(const void *address)
{
	unsigned int i;

	for (i = 0; i < LIVE_MAX; i++) {
		if (state.mappings[i].address == address)
			return &state.mappings[i];
	}
	return NULL;
}

static void
take_mapping(void *address, size_t len)
{
	struct mapping *mapping = find_mapping(NULL);

	if (!state.on || address == MAP_FAILED)
		return;
	if (mapping == NULL)
		abort();
	mapping->address = address;
	mapping->len = len;
	state.live.mappings++;
}

static void
take_descriptor(int fd)
{
	unsigned int i;

	if (!state.on || fd < 0)
		return;
	for (i = 0; i < LIVE_MAX; i++) {
		/* Free is 0, so that all can be cleared at once. */
		if (state.descriptors[i] == 0) {
			state.descriptors[i] = fd + 1;
			state.live.descriptors++;
			return;
		}
	}
	abort();
}

static void
give_descriptor(int fd)
{
	unsigned int i;

	for (i = 0; i < LIVE_MAX; i++) {
		if (state.descriptors[i] == fd + 1) {
			state.descriptors[i] = 0;
			state.live.descriptors--;
			return;
		}
	}
	if (state.on)
		state.live.strangers++;
}

size_t inject_malloc_size;

WRAP(void *, malloc, size_t size)
{
	void *block;

	if (fails("malloc", ENOMEM))
		return NULL;
	inject_malloc_size = size;
	block = __real_malloc(size);
	take_block(block);
	return block;
}

WRAP(void *, calloc, size_t count, size_t size)
{
	void *block;

	if (fails("calloc", ENOMEM))
		return NULL;
	block = __real_calloc(count, size);
	take_block(block);
	return block;
}

WRAP(void *, realloc, void *old, size_t size)
{
	uintptr_t was = (uintptr_t)old;
	void *block;

	if (fails("realloc", ENOMEM))
		return NULL;
	block = __real_realloc(old, size);
	if (block != NULL || size == 0)
		give_block((const void *)was);
	take_block(block);
	return block;
}

WRAP(void *, reallocarray, void *old, size_t count, size_t size)
{
	uintptr_t was = (uintptr_t)old;
	void *block;

	if (fails("reallocarray", ENOMEM))
		return NULL;
	block = __real_reallocarray(old, count, size);
	if (block != NULL)
		give_block((const void *)was);
	take_block(block);
	return block;
}

WRAP(int, posix_memalign, void **ret_block, size_t alignment, size_t size)
{
	int error;

	if (fails("posix_memalign", ENOMEM))
		return ENOMEM;
	error = __real_posix_memalign(ret_block, alignment, size);
	if (error == 0)
		take_block(*ret_block);
	return error;
}

WRAP(char *, strdup, const char *text)
{
	char *block;

	if (fails("strdup", ENOMEM))
		return NULL;
	block = __real_strdup(text);
	take_block(block);
	return block;
}

WRAP(void, free, void *block)
{
	give_block(block);
	/* Whoever still looks at it sees something else. */
	if (block != NULL)
		memset(block, 0xa5, malloc_usable_size(block));
	__real_free(block);
}

WRAP(void *, mmap, void *hint, size_t len, int protection, int flags, int fd,
     off_t offset)
{
	void *address;

	if (fails("mmap", state.error))
		return MAP_FAILED;
	address = __real_mmap(hint, len, protection, flags, fd, offset);
	/* Over a part of another, it goes with that one. */
	if ((flags & MAP_FIXED) == 0)
		take_mapping(address, len);
	return address;
}

WRAP(int, munmap, void *address, size_t len)
{
	struct mapping *mapping = find_mapping(address);
	int rc;

	if (clean_up_fails("munmap")) {
		if (mapping != NULL && mapping->len == len)
			mapping->left = true;
		return -1;
	}
	rc = __real_munmap(address, len);
	if (mapping != NULL && mapping->len == len) {
		mapping->address = NULL;
		state.live.mappings--;
	} else if (state.on) {
		state.live.strangers++;
	}
	inject_spoil_errno();
	return rc;
}

bool
inject_was_left(const void *address)
{
	const struct mapping *mapping = find_mapping(address);

	return mapping != NULL && mapping->left;
}

unsigned int
inject_reclaim(void)
{
	unsigned int count = 0;
	unsigned int i;

	for (i = 0; i < LIVE_MAX; i++) {
		struct mapping *mapping = &state.mappings[i];

		if (mapping->address == NULL || !mapping->left)
			continue;
		if (__real_munmap(mapping->address, mapping->len) != 0)
			abort();
		mapping->address = NULL;
		state.live.mappings--;
		count++;
	}
	return count;
}

WRAP(int, open, const char *path, int flags, ...)
{
	va_list list;
	mode_t mode;
	int fd;

	va_start(list, flags);
	mode = va_arg(list, mode_t);
	va_end(list);
	if (fails("open", state.error))
		return -1;
	fd = __real_open(path, flags, mode);
	take_descriptor(fd);
	return fd;
}

unsigned int inject_memfd_flags;

WRAP(int, memfd_create, const char *name, unsigned int flags)
{
	int fd;

	if (fails("memfd_create", state.error))
		return -1;
	if ((flags & inject_memfd_flags) != 0) {
		errno = EINVAL;
		return -1;
	}
	fd = __real_memfd_create(name, flags);
	take_descriptor(fd);
	return fd;
}

WRAP(int, eventfd, unsigned int count, int flags)
{
	int fd;

	if (fails("eventfd", state.error))
		return -1;
	fd = __real_eventfd(count, flags);
	take_descriptor(fd);
	return fd;
}

WRAP(int, fcntl, int fd, int command, ...)
{
	va_list list;
	void *argument;
	int rc;

	/* As the C library does, which cannot know the type either. */
	va_start(list, command);
	argument = va_arg(list, void *);
	va_end(list);
	if (fails("fcntl", state.error))
		return -1;
	rc = __real_fcntl(fd, command, argument);
	if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
		take_descriptor(rc);
	return rc;
}

int (*inject_ioctl)(int fd, unsigned long request, void *argument);

WRAP(int, ioctl, int fd, unsigned long request, ...)
{
	va_list list;
	void *argument;
	int rc;

	va_start(list, request);
	argument = va_arg(list, void *);
	va_end(list);
	if (fails("ioctl", state.error))
		return -1;
	rc = inject_ioctl != NULL ? inject_ioctl(fd, request, argument) : -2;
	if (rc == -2)
		rc = __real_ioctl(fd, request, argument);
	if (rc >= 0)
		inject_spoil_errno();
	return rc;
}

/* Who passes fewer arguments than are looked for is not in the wrong. */
#define LONG_ANY __attribute__((__no_sanitize_address__)) long

WRAP(LONG_ANY, syscall, long number, ...)
{
	long arguments[6], result;
	va_list list;
	size_t i;

	/* The most that any has; what the caller did not give is not used. */
	va_start(list, number);
	for (i = 0; i < 6; i++)
		arguments[i] = va_arg(list, long);
	va_end(list);
	if (fails("syscall", state.error))
		return -1;
	if (state.on && state.hook != NULL &&
	    state.hook(number, arguments, &result))
		return result;
	return __real_syscall(number, arguments[0], arguments[1], arguments[2],
			      arguments[3], arguments[4], arguments[5]);
}

/* Linux has closed the descriptor also where close() fails. */
WRAP(int, close, int fd)
{
	bool failed = clean_up_fails("close");
	int error = errno;
	int rc;

	rc = __real_close(fd);
	if (rc == 0)
		give_descriptor(fd);
	else if (state.on)
		state.live.strangers++;
	if (failed) {
		errno = error;
		return -1;
	}
	inject_spoil_errno();
	return rc;
}
