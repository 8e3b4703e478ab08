/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The files behind regions.  Regions of one file share a descriptor of it:
 * a program that maps a file in thousands of parts needs one, and not
 * thousands.
 */
#ifndef FILE_H
#define FILE_H

#include <stdbool.h>
#include <sys/stat.h>

/* A descriptor that regions share; the inside is in file.c. */
struct vmmem_file;

/*
 * vmmem_file_share() finds the shared descriptor of the file that 'fd' is of,
 * open for the same access and with the same flags, or makes one of 'fd'.  It
 * takes 'fd' over in any case.  The caller has one reference.  Returns 0, or
 * -errno.
 */
int vmmem_file_share(int fd, struct vmmem_file **ret_file);

/* vmmem_file_fd() is the descriptor, which is good while the reference is. */
int vmmem_file_fd(const struct vmmem_file *file);

/*
 * vmmem_file_unref() drops a reference; the last one closes.  It waits for no
 * other thread, so that a child of fork() can call it, too.  NULL is a no-op.
 */
void vmmem_file_unref(struct vmmem_file *file);

/*
 * vmmem_file_is_same() stores whether two descriptors are of one file.  That is
 * more than one device and inode, where these are not unique.  Returns 0, or
 * -errno.
 */
int vmmem_file_is_same(int fd, int other, bool *ret_same);

/*
 * vmmem_files_before_fork() keeps all other threads out of the functions above,
 * until vmmem_files_after_fork() in the parent and in the child.
 */
void vmmem_files_before_fork(void);
void vmmem_files_after_fork(void);

#endif
