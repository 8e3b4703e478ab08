/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A memfd that passes for a guest_memfd of KVM, so that what the library does
 * with one is tested where there is no KVM, and its bytes can be looked at.  The
 * program stands before fstatfs(), which is how the library finds out.
 */
#ifndef GMEM_H
#define GMEM_H

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <vmmem/fd.h>

#include "guest.h"

#define GMEM_MAGIC 0x474d454d

/* A program that makes calls fail calls those of the system here. */
#ifndef GMEM_REAL
#define GMEM_REAL(function) function
#endif

static ino_t gmem_inode; /* 0: there is none */

int fstatfs(int fd, struct statfs *ret_fs);

int
fstatfs(int fd, struct statfs *ret_fs)
{
	struct stat status;

	if (GMEM_REAL(syscall)(SYS_fstatfs, fd, ret_fs) != 0)
		return -1;
	if (gmem_inode != 0 && GMEM_REAL(fstat)(fd, &status) == 0 &&
	    status.st_ino == gmem_inode)
		ret_fs->f_type = GMEM_MAGIC;
	return 0;
}

static inline int
gmem_new(uint64_t len)
{
	struct stat status;
	int fd = file_of(len);

	ck_assert_int_eq(fstat(fd, &status), 0);
	gmem_inode = status.st_ino;
	return fd;
}

/*
 * gmem_is_told_apart() is whether the library can know that a descriptor is of
 * the same guest_memfd as another: all of them have one inode, and only
 * F_DUPFD_QUERY, of Linux 6.10, tells.  Valgrind does not know it.
 */
static inline bool
gmem_is_told_apart(int fd)
{
	return fcntl(fd, 1024 + 3, fd) == 1;
}

/* gmem_missing() is why the library cannot be deceived so; NULL if it can. */
static inline const char *
gmem_missing(void)
{
	struct vmmem_fd_report report = { .size = sizeof(report) };
	int fd = memfd_create("probe", MFD_CLOEXEC), rc;
	struct stat status;

	if (fd < 0 || ftruncate(fd, 1) != 0 || fstat(fd, &status) != 0)
		return "no memfd";
	gmem_inode = status.st_ino;
	rc = vmmem_fd_examine(fd, &report);
	close(fd);
	gmem_inode = 0;
	return rc == 0 && report.type == VMMEM_FD_TYPE_GUEST_MEMFD ?
		       NULL :
		       "fstatfs() of the program is not the library's";
}

/*
 * A builder of a region of 'len' bytes at 'gpa', whose guest_memfd is 'fd' from
 * 'offset' on, and which logs pages.
 */
static inline struct vmmem_region_builder *
gmem_builder(uint64_t gpa, uint64_t len, int fd, uint64_t offset)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();

	ck_assert_ptr_nonnull(builder);
	vmmem_region_builder_set_range(builder, gpa, len);
	vmmem_region_builder_set_memfd(builder);
	vmmem_region_builder_set_guest_memfd(builder, fd, offset);
	vmmem_region_builder_set_tracking(builder, page_size());
	return builder;
}

static inline struct vmmem_region *
gmem_region(uint64_t gpa, uint64_t len, int fd, uint64_t offset)
{
	struct vmmem_region_builder *builder =
		gmem_builder(gpa, len, fd, offset);
	struct vmmem_region *region = NULL;

	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	return region;
}

#endif
