/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Files behind regions, which share one descriptor each. */
#include "base/refcount.h"
#include "region/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/tree.h"

/* Newer than the oldest headers that serve: Linux 6.10. */
#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY (1024 + 3)
#endif

/*
 * How many files of one device and inode are compared with a new one.  A driver
 * may have one inode for all that it opens, and somebody thousands of them.
 */
#define COMPARED 8

struct vmmem_file {
	RB_ENTRY(vmmem_file) link;
	struct vmmem_file *next_dead;
	dev_t device;
	ino_t inode;
	int flags;	 /* of fcntl(F_GETFL) */
	uint64_t serial; /* differs if all other members are the same */
	int fd;
	atomic_size_t refs; /* 0: dead, and its descriptor closed */
};

RB_HEAD(file_tree, vmmem_file);

/* All files, and the last serial number, under the lock. */
static struct file_tree files = RB_INITIALIZER(&files);
static uint64_t serial;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * Dead files that are still in the tree: a stack.  Any thread may push on to
 * it, and the thread that has the lock takes it as a whole.
 */
static _Atomic(struct vmmem_file *) dead;

static int
compare(const struct vmmem_file *a, const struct vmmem_file *b)
{
	if (a->device != b->device)
		return a->device < b->device ? -1 : 1;
	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	if (a->flags != b->flags)
		return a->flags < b->flags ? -1 : 1;
	return (a->serial > b->serial) - (a->serial < b->serial);
}

VMMEM_TREE_FUNCTIONS(file_tree, vmmem_file, link, compare)

/*
 * Whether the inode's number identifies the file.  It does not unless the file
 * is regular, as each opening of a device may be something else; nor for files
 * of no file system, which may all have one inode; nor where a server,
 * or a file system below, makes the numbers up.
 */
static int
has_own_number(int fd, const struct stat *status, bool *ret_has)
{
	struct statfs fs;

	*ret_has = false;
	if (!S_ISREG(status->st_mode))
		return 0;
	if (fstatfs(fd, &fs) != 0)
		return -errno;
	/* As wide as the type, which differs from machine to machine. */
	switch ((uint32_t)fs.f_type) {
	case TMPFS_MAGIC:
	case HUGETLBFS_MAGIC:
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
		*ret_has = true;
		return 0;
	default:
		return 0;
	}
}

/* Whether one descriptor was made of the other, say by sending it. */
static bool
is_duplicate(int fd, int other)
{
	/* Older systems do not know: then it may be, and it is not known. */
	return fcntl(fd, F_DUPFD_QUERY, other) == 1;
}

int
vmmem_file_is_same(int fd, int other, bool *ret_same)
{
	struct stat status, other_status;
	bool number;
	int rc;

	*ret_same = false;
	if (fstat(fd, &status) != 0 || fstat(other, &other_status) != 0)
		return -errno;
	if (status.st_dev != other_status.st_dev ||
	    status.st_ino != other_status.st_ino)
		return 0;
	rc = has_own_number(fd, &status, &number);
	if (rc == 0)
		*ret_same = number || fd == other || is_duplicate(fd, other);
	return rc;
}

/* reap() takes the dead files out of the tree.  Under the lock. */
static void
reap(void)
{
	struct vmmem_file *file, *next;

	/* Acquire: the thread that pushed it no longer uses it. */
	file = atomic_exchange_explicit(&dead, NULL, memory_order_acquire);
	for (; file != NULL; file = next) {
		next = file->next_dead;
		RB_REMOVE(file_tree, &files, file);
		free(file);
	}
}

/* revive() takes a reference to a file, if that is not dead. */
static bool
revive(struct vmmem_file *file)
{
	size_t refs;

	/*
	 * Relaxed: the file was made under the lock, and a thread closes the
	 * descriptor only after it has brought the count to 0.
	 */
	refs = atomic_load_explicit(&file->refs, memory_order_relaxed);
	while (refs != 0) {
		if (atomic_compare_exchange_weak_explicit(
			    &file->refs, &refs, refs + 1, memory_order_relaxed,
			    memory_order_relaxed))
			return true;
	}
	return false;
}

/*
 * find() finds the file of 'key', and takes a reference.  With 'number' the key
 * says which file it is; else the descriptors are compared.  Under the lock.
 */
static struct vmmem_file *
find(struct vmmem_file *key, bool number)
{
	struct vmmem_file *file;
	int compared = 0;

	file = RB_NFIND(file_tree, &files, key);
	for (; file != NULL && compared < COMPARED;
	     file = RB_NEXT(file_tree, &files, file)) {
		if (file->device != key->device || file->inode != key->inode ||
		    file->flags != key->flags)
			return NULL;
		if (!revive(file))
			continue;
		if (number || is_duplicate(file->fd, key->fd))
			return file;
		compared++;
		vmmem_file_unref(file);
	}
	return NULL;
}

static int
share(struct vmmem_file *key, bool number, struct vmmem_file **ret_file)
{
	struct vmmem_file *file = find(key, number);

	if (file == NULL) {
		file = malloc(sizeof(*file));
		if (file == NULL)
			return -ENOMEM;
		*file = *key;
		atomic_init(&file->refs, 1);
		file->serial = ++serial;
		RB_INSERT(file_tree, &files, file);
	}
	*ret_file = file;
	return 0;
}

int
vmmem_file_share(int fd, struct vmmem_file **ret_file)
{
	struct vmmem_file key = { .fd = fd }, *file = NULL;
	struct stat status;
	bool number;
	int rc;

	if (fstat(fd, &status) != 0) {
		rc = -errno;
		goto close;
	}
	rc = has_own_number(fd, &status, &number);
	if (rc != 0)
		goto close;
	key.flags = fcntl(fd, F_GETFL);
	if (key.flags < 0) {
		rc = -errno;
		goto close;
	}
	key.device = status.st_dev;
	key.inode = status.st_ino;

	pthread_mutex_lock(&lock);
	reap();
	rc = share(&key, number, &file);
	pthread_mutex_unlock(&lock);
close:
	/* Not if the file owns it now. */
	if (rc != 0 || file->fd != fd)
		close(fd);
	if (rc == 0)
		*ret_file = file;
	return rc;
}

int
vmmem_file_fd(const struct vmmem_file *file)
{
	return file->fd;
}

void
vmmem_file_unref(struct vmmem_file *file)
{
	if (file == NULL || !vmmem_refcount_drop(&file->refs))
		return;
	/* Linux closes the descriptor even where close() fails. */
	close(file->fd);
	file->next_dead = atomic_load_explicit(&dead, memory_order_relaxed);
	/* Release: the thread that reaps it finds 'next_dead'. */
	while (!atomic_compare_exchange_weak_explicit(
		&dead, &file->next_dead, file, memory_order_release,
		memory_order_relaxed))
		continue;
	/* The thread that has the lock, or has it next, does this. */
	if (pthread_mutex_trylock(&lock) == 0) {
		reap();
		pthread_mutex_unlock(&lock);
	}
}

void
vmmem_files_before_fork(void)
{
	pthread_mutex_lock(&lock);
}

void
vmmem_files_after_fork(void)
{
	pthread_mutex_unlock(&lock);
}
