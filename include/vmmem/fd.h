/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/fd.h - descriptors from a sender that is not trusted: a vhost-user
 * frontend, a vfio-user client, a sandboxed device.
 *
 * Such a descriptor may be anything: a pipe, a device, a file of a file system
 * that its sender runs, a file that its sender cuts short while it is mapped.
 * These functions find out what it is, and refuse it if the caller's rules do
 * not permit it.  vmmem_region_builder_set_untrusted_file() makes a region of a
 * descriptor under such rules.
 *
 * A descriptor's seals are looked at before its length, so that a length that
 * was checked holds.  Nothing else of a file is fixed.
 *
 * Any thread, not in a signal handler.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_FD_H
#define VMMEM_FD_H

#include <vmmem/base.h>

VMMEM_BEGIN_DECLS

struct vmmem_region_builder;

/*
 * What a descriptor is.  The first four can be mapped, and a guest_memfd if its
 * maker said so.  More types may come, each with a bit of its own: what one bit
 * stands for never grows.
 */
#define VMMEM_FD_TYPE_MEMORY 1U	 /* a memfd, or a file of tmpfs */
#define VMMEM_FD_TYPE_HUGETLB 2U /* the same, of huge pages of the pool */
#define VMMEM_FD_TYPE_REGULAR 4U /* a regular file of another file system */
#define VMMEM_FD_TYPE_DEVICE 8U	 /* a character device */
#define VMMEM_FD_TYPE_BLOCK 16U	 /* a block device */
#define VMMEM_FD_TYPE_DIRECTORY 32U /* a directory */
#define VMMEM_FD_TYPE_PIPE 64U	 /* a pipe or FIFO */
#define VMMEM_FD_TYPE_SOCKET 128U	 /* a socket */
/*
 * None of these: an eventfd and the like, and files of no file system that can
 * be mounted, such as those of memfd_secret(2).
 */
#define VMMEM_FD_TYPE_OTHER 256U
/*
 * A guest_memfd of KVM.  Nobody can make it shorter.  An access to a page of it
 * that is private to the guest raises SIGBUS, or is VMMEM_EGONE where faults
 * are survived (vmmem/fault.h).  It is for a caller that knows which pages are
 * private.
 */
#define VMMEM_FD_TYPE_GUEST_MEMFD 512U

/* Accept a file that could become shorter while it is mapped. */
#define VMMEM_FD_MAY_SHRINK 1U
/*
 * Accept a range that reaches past the end of the file: MAY_SHRINK accepts the
 * same a moment later.  An access past the end raises SIGBUS, or is VMMEM_EGONE
 * where faults are survived (vmmem/fault.h), until the file becomes longer.
 * Not for files of huge pages of the pool: mapping makes those longer.
 */
#define VMMEM_FD_MAY_END_EARLY 2U

/*
 * struct vmmem_fd_rules is what is permitted.  'size' is
 * sizeof(struct vmmem_fd_rules).  A member that is 0 is as strict as can
 * be.  Members are only ever added at the end.
 */
struct vmmem_fd_rules {
	size_t size;
	/* VMMEM_FD_TYPE_...; 0: MEMORY and HUGETLB */
	uint32_t types;
	/*
	 * VMMEM_PROT_READ and VMMEM_PROT_WRITE: the descriptor must be open
	 * for these; 0: both, or what a region that is built needs.
	 */
	uint32_t access;
	/* VMMEM_SEAL_... of vmmem/policy.h: seals that it must have */
	uint32_t require;
	/* seals that are added if it does not have them */
	uint32_t add;
	/* seals whose lack is only reported */
	uint32_t warn;
	/* VMMEM_FD_... */
	uint32_t flags;
	/* the size of its pages must be this; 0: any */
	uint64_t page_size;
};

/*
 * struct vmmem_fd_report is what was found.  The caller sets 'size' to
 * sizeof(struct vmmem_fd_report).  Members are only ever added at the end;
 * those that the library does not know become 0.  vmmem_fd_same_file()
 * tells whether two descriptors are of one file.
 */
struct vmmem_fd_report {
	size_t size;
	uint64_t device;
	uint64_t inode;
	uint64_t len;	    /* of the file in bytes */
	uint64_t allocated; /* how many bytes of storage it has */
	uint64_t page_size; /* of a mapping of it; 0 if not known */
	uint64_t fs_type;   /* the file system's number in <linux/magic.h> */
	uint32_t type;	    /* one of VMMEM_FD_TYPE_... */
	uint32_t access;    /* what it is open for; 0 if O_PATH */
	uint32_t seals;	    /* VMMEM_SEAL_... */
	uint32_t missing;   /* of the rules' 'warn', what it lacks */
	uint32_t shrinkable; /* 1 if it could become shorter, else 0 */
	uint32_t reserved;   /* 0 */
};

/*
 * vmmem_fd_examine() stores what 'fd' is, and judges nothing.  It asks the
 * file system, which may make it wait if that is run by the sender (FUSE);
 * vmmem_fd_check() asks only if more than MEMORY and HUGETLB is permitted.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'ret_report' is NULL
 *   VMMEM_ESTRUCTSIZE  ret_report->size is below that of version 0.9 or above
 *                      4096
 *   -errno             what fcntl(2), fstat(2) or fstatfs(2) said: -EBADF if
 *                      'fd' is not open
 */
VMMEM_NODISCARD int
vmmem_fd_examine(int fd, struct vmmem_fd_report *ret_report);

/*
 * vmmem_fd_check() checks whether [offset, offset + len) of 'fd' may be
 * mapped under 'rules', NULL for the strictest; adds the seals that the rules
 * ask for; and stores what it found in 'ret_report', which may be NULL.  Zero
 * bytes are within any file.
 *
 * The checks are made in the order of the codes, with two exceptions: O_PATH is
 * checked before the type, and seals against writing after those that are
 * missing.  Seals that were added stay, also if a later check fails.
 *
 * Returns 0, or
 *   VMMEM_ESTRUCTSIZE, VMMEM_ESTRUCTNEWER
 *                      the size of 'rules' or of 'ret_report', or members of
 *                      'rules' that this library does not know
 *   VMMEM_EARGUMENT    an unknown bit in the rules' types, access, seals or
 *                      flags
 *   -EBADF             'fd' is not open
 *   VMMEM_EFILETYPE    it is of a type that is not permitted
 *   VMMEM_EFILEACCESS  it is not open for the access, or only as a place
 *                      (O_PATH); or it is sealed against writing, and is to be
 *                      written
 *   VMMEM_ESEALS       a seal is missing, or cannot be added
 *   VMMEM_ESHRINKABLE  the file lacks VMMEM_SEAL_SHRINK and the rules do not
 *                      say VMMEM_FD_MAY_SHRINK; a device has no end and is not
 *                      asked
 *   VMMEM_EHUGEPAGE    its page size is not that of the rules
 *   VMMEM_EFILEOFFSET  'offset' is not a multiple of its page size, which is
 *                      what mmap(2) wants
 *   VMMEM_EWRAPS       offset + len passes 2^63 - 1
 *   VMMEM_EPASTEOF     the file ends before offset + len, and the rules do not
 *                      say VMMEM_FD_MAY_END_EARLY, or it is of huge pages; a
 *                      device has no end
 *   -errno             what fcntl(2), fstat(2) or fstatfs(2) said
 */
VMMEM_NODISCARD int
vmmem_fd_check(int fd, uint64_t offset, uint64_t len,
	       const struct vmmem_fd_rules *rules,
	       struct vmmem_fd_report *ret_report);

/*
 * vmmem_fd_same_file() stores 1 if two descriptors are known to be of one
 * file, else 0.  A device and an inode say so for files of tmpfs, hugetlbfs,
 * ext4, XFS and btrfs.  Any other may have an inode in common with other files:
 * devices, files of no file system, and files whose numbers a server makes up.
 * For these it stores 1 only if one descriptor was made of the other, by dup(2)
 * or by sending it, on Linux 6.10 or later.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'ret_same' is NULL
 *   -errno           what fstat(2) or fstatfs(2) said
 */
VMMEM_NODISCARD int vmmem_fd_same_file(int fd, int other, int *ret_same);

/*
 * vmmem_region_builder_set_untrusted_file() backs the region with the file 'fd'
 * from the byte 'offset' on, as vmmem_region_builder_set_file() does, under
 * 'rules', which are copied; NULL for the strictest.
 * vmmem_region_builder_build() then also returns what vmmem_fd_check() does,
 * except VMMEM_EFILEOFFSET.
 *
 * Mapping a file shared makes none of its pages, also after
 * mlockall(MCL_FUTURE): pages are made, and then locked, when they are touched.
 * The settings of a policy are followed all the same.
 */
void
vmmem_region_builder_set_untrusted_file(struct vmmem_region_builder *builder,
					int fd, uint64_t offset,
					uint32_t flags,
					const struct vmmem_fd_rules *rules);

VMMEM_END_DECLS

#endif
