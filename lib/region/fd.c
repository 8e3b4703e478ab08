/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Descriptors that a peer has sent, checked by a program's rules. */
#include <vmmem/address.h>
#include <vmmem/error.h>
#include <vmmem/fd.h>
#include <vmmem/policy.h>
#include <vmmem/region.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/api.h"
#include "region/file.h"
#include "region/fd_priv.h"
#include "base/struct_size.h"

/* Newer than the oldest headers that serve: Linux 6.19, and 5.14. */
#ifndef GUEST_MEMFD_MAGIC
#define GUEST_MEMFD_MAGIC 0x474d454d
#endif
#ifndef SECRETMEM_MAGIC
#define SECRETMEM_MAGIC 0x5345434d
#endif

#define TYPES_KNOWN ((VMMEM_FD_TYPE_GUEST_MEMFD << 1) - 1)
#define TYPES_IN_MEMORY (VMMEM_FD_TYPE_MEMORY | VMMEM_FD_TYPE_HUGETLB)
#define SEALS_KNOWN ((VMMEM_SEAL_EXEC << 1) - 1)
#define FLAGS_KNOWN (VMMEM_FD_MAY_SHRINK | VMMEM_FD_MAY_END_EARLY)

/* The facts that fcntl() tells, without asking the file system. */
static int
examine_descriptor(int fd, struct vmmem_fd_report *report,
		   bool *ret_sealable)
{
	int flags, seals;

	*ret_sealable = false;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -errno;
	report->access = 0;
	report->seals = 0;
	/* It only names a file: all other calls refuse it. */
	if ((flags & O_PATH) != 0)
		return 0;
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		report->access = VMMEM_PROT_READ;
		break;
	case O_WRONLY:
		report->access = VMMEM_PROT_WRITE;
		break;
	case O_RDWR:
		report->access = VMMEM_PROT_READ | VMMEM_PROT_WRITE;
		break;
	default:
		break;
	}
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		/* Only files in memory know of seals. */
		return errno == EINVAL ? 0 : -errno;
	*ret_sealable = true;
	report->seals = (uint32_t)seals;
	return 0;
}

/* A regular file of fstat(2) need not be one of a file system. */
static uint32_t
type_of_regular(const struct stat *status, uint64_t fs_type, bool sealable)
{
	switch (fs_type) {
	case HUGETLBFS_MAGIC:
		return VMMEM_FD_TYPE_HUGETLB;
	case TMPFS_MAGIC:
		return VMMEM_FD_TYPE_MEMORY;
	case GUEST_MEMFD_MAGIC:
		return VMMEM_FD_TYPE_GUEST_MEMFD;
	case ANON_INODE_FS_MAGIC:
		/*
		 * Where a guest_memfd is before it has a file system of its
		 * own, and is never empty.  What else is there has no length.
		 */
		return status->st_size != 0 ? VMMEM_FD_TYPE_GUEST_MEMFD :
					      VMMEM_FD_TYPE_OTHER;
	case SECRETMEM_MAGIC:
		return VMMEM_FD_TYPE_OTHER;
	default:
		/*
		 * A descriptor that only names its file (O_PATH) tells no
		 * seals.
		 */
		return sealable ? VMMEM_FD_TYPE_MEMORY : VMMEM_FD_TYPE_REGULAR;
	}
}

static uint32_t
type_of(const struct stat *status, uint64_t fs_type, bool sealable)
{
	switch (status->st_mode & S_IFMT) {
	case S_IFREG:
		return type_of_regular(status, fs_type, sealable);
	case S_IFCHR:
		return VMMEM_FD_TYPE_DEVICE;
	case S_IFBLK:
		return VMMEM_FD_TYPE_BLOCK;
	case S_IFDIR:
		return VMMEM_FD_TYPE_DIRECTORY;
	case S_IFIFO:
		return VMMEM_FD_TYPE_PIPE;
	case S_IFSOCK:
		return VMMEM_FD_TYPE_SOCKET;
	default:
		return VMMEM_FD_TYPE_OTHER;
	}
}

/* Whether the file could become shorter. */
static bool
is_shrinkable(const struct vmmem_fd_report *report)
{
	switch (report->type) {
	case VMMEM_FD_TYPE_MEMORY:
	case VMMEM_FD_TYPE_HUGETLB:
	case VMMEM_FD_TYPE_REGULAR:
		return (report->seals & VMMEM_SEAL_SHRINK) == 0;
	default:
		/* KVM and memfd_secret(2) refuse it; all else has no length. */
		return false;
	}
}

/* The facts that the file system tells. */
static int
examine_file(int fd, bool sealable, struct vmmem_fd_report *report)
{
	struct statfs fs;
	struct stat status;

	if (fstat(fd, &status) != 0 || fstatfs(fd, &fs) != 0)
		return -errno;
	report->device = status.st_dev;
	report->inode = status.st_ino;
	report->len = status.st_size > 0 ? (uint64_t)status.st_size : 0;
	/* The unit is 512 bytes, whatever the file system's is. */
	report->allocated = status.st_blocks > 0 ?
				    (uint64_t)status.st_blocks * 512 :
				    0;
	/* As wide as the type, which differs from machine to machine. */
	report->fs_type = (uint64_t)fs.f_type & UINT32_MAX;
	report->type = type_of(&status, report->fs_type, sealable);
	report->page_size = 0;
	if (report->type == VMMEM_FD_TYPE_HUGETLB)
		report->page_size = (uint64_t)fs.f_bsize;
	else if (S_ISREG(status.st_mode))
		report->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	report->shrinkable = is_shrinkable(report);
	return 0;
}

VMMEM_API int
vmmem_fd_examine(int fd, struct vmmem_fd_report *ret_report)
{
	struct vmmem_fd_report report = { 0 };
	bool sealable;
	int rc;

	if (ret_report == NULL)
		return VMMEM_EARGUMENT;
	rc = examine_descriptor(fd, &report, &sealable);
	if (rc == 0)
		rc = examine_file(fd, sealable, &report);
	if (rc != 0)
		return rc;
	return vmmem_struct_give(&report, sizeof(report),
				 VMMEM_FD_REPORT_SIZE_0_9,
				 ret_report);
}

int
vmmem_fd_take(const struct vmmem_fd_rules *caller,
	      struct vmmem_fd_rules *ret_rules)
{
	struct vmmem_fd_rules *rules = ret_rules;
	int rc;

	*rules = (struct vmmem_fd_rules){ .size = sizeof(*rules) };
	if (caller != NULL) {
		rc = vmmem_struct_take(caller, rules, sizeof(*rules),
				       VMMEM_FD_RULES_SIZE_0_9);
		if (rc != 0)
			return rc;
	}
	if ((rules->types & ~TYPES_KNOWN) != 0 ||
	    (rules->access & ~VMMEM_READ_WRITE) != 0 ||
	    ((rules->require | rules->add | rules->warn) & ~SEALS_KNOWN) != 0 ||
	    (rules->flags & ~FLAGS_KNOWN) != 0)
		return VMMEM_EARGUMENT;
	if (rules->types == 0)
		rules->types = TYPES_IN_MEMORY;
	return 0;
}

/*
 * see_to_seals() adds the seals to add, and then reads all seals again: only
 * adding changes them.
 */
static int
see_to_seals(int fd, const struct vmmem_fd_rules *rules,
	     struct vmmem_fd_report *report)
{
	uint32_t add = rules->add & ~report->seals;
	int seals;

	if (add != 0 && fcntl(fd, F_ADD_SEALS, add) != 0)
		/* Forbidden, in use, unknown, or none of its kind. */
		return errno == EPERM || errno == EBUSY || errno == EINVAL ?
			       VMMEM_ESEALS :
			       -errno;
	if (add != 0) {
		seals = fcntl(fd, F_GET_SEALS);
		if (seals < 0)
			return -errno;
		report->seals = (uint32_t)seals;
	}
	if ((rules->require & ~report->seals) != 0)
		return VMMEM_ESEALS;
	report->missing = rules->warn & ~report->seals;
	return 0;
}

int
vmmem_fd_range(const struct vmmem_fd_report *report,
	       const struct vmmem_fd_rules *rules, uint64_t offset,
	       uint64_t len)
{
	uint64_t end;

	if (vmmem_address_checked_add(offset, len, &end) != 0 ||
	    end > INT64_MAX)
		return VMMEM_EWRAPS;
	/* Only a file whose pages are known has an end. */
	if (report->page_size == 0 || len == 0 || end <= report->len)
		return 0;
	/* To map huge pages of the pool past the end makes the file longer. */
	return (rules->flags & VMMEM_FD_MAY_END_EARLY) != 0 &&
			       report->type != VMMEM_FD_TYPE_HUGETLB ?
		       0 :
		       VMMEM_EPASTEOF;
}

int
vmmem_fd_judge(int fd, const struct vmmem_fd_rules *rules, uint32_t access,
	       struct vmmem_fd_report *report)
{
	const uint32_t against_writing = VMMEM_SEAL_WRITE |
					 VMMEM_SEAL_FUTURE_WRITE;
	bool sealable;
	int rc;

	rc = examine_descriptor(fd, report, &sealable);
	if (rc != 0)
		return rc;
	/* Before the file system is asked, which the sender may run. */
	if (report->access == 0)
		return VMMEM_EFILEACCESS;
	if (!sealable && (rules->types & ~TYPES_IN_MEMORY) == 0)
		return VMMEM_EFILETYPE;
	/* The seals before the length: it holds if they do. */
	rc = examine_file(fd, sealable, report);
	if (rc != 0)
		return rc;
	if ((report->type & rules->types) == 0)
		return VMMEM_EFILETYPE;
	if ((access & ~report->access) != 0)
		return VMMEM_EFILEACCESS;
	rc = see_to_seals(fd, rules, report);
	if (rc != 0)
		return rc;
	if ((access & VMMEM_PROT_WRITE) != 0 &&
	    (report->seals & against_writing) != 0)
		return VMMEM_EFILEACCESS;
	/* The length again, if a seal was added since. */
	if ((rules->add & VMMEM_SEAL_SHRINK) != 0) {
		rc = examine_file(fd, sealable, report);
		if (rc != 0)
			return rc;
	}
	if (report->shrinkable != 0 &&
	    (rules->flags & VMMEM_FD_MAY_SHRINK) == 0)
		return VMMEM_ESHRINKABLE;
	if (rules->page_size != 0 && report->page_size != rules->page_size)
		return VMMEM_EHUGEPAGE;
	return 0;
}

VMMEM_API int
vmmem_fd_check(int fd, uint64_t offset, uint64_t len,
	       const struct vmmem_fd_rules *rules,
	       struct vmmem_fd_report *ret_report)
{
	struct vmmem_fd_report report = { 0 };
	struct vmmem_fd_rules taken;
	uint32_t access;
	int rc;

	rc = vmmem_fd_take(rules, &taken);
	if (rc == 0 && ret_report != NULL)
		rc = vmmem_struct_check(ret_report,
					VMMEM_FD_REPORT_SIZE_0_9);
	if (rc != 0)
		return rc;
	access = taken.access != 0 ? taken.access : VMMEM_READ_WRITE;
	rc = vmmem_fd_judge(fd, &taken, access, &report);
	if (rc == 0 && report.page_size != 0 && offset % report.page_size != 0)
		rc = VMMEM_EFILEOFFSET;
	if (rc == 0)
		rc = vmmem_fd_range(&report, &taken, offset, len);
	if (rc != 0 || ret_report == NULL)
		return rc;
	return vmmem_struct_give(&report, sizeof(report),
				 VMMEM_FD_REPORT_SIZE_0_9,
				 ret_report);
}

VMMEM_API int
vmmem_fd_same_file(int fd, int other, int *ret_same)
{
	bool same;
	int rc;

	if (ret_same == NULL)
		return VMMEM_EARGUMENT;
	rc = vmmem_file_is_same(fd, other, &same);
	if (rc == 0)
		*ret_same = same;
	return rc;
}
