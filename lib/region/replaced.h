/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Which pages of a private mapping of a file were replaced by memory without a
 * file, and how many mappings that takes.  The guest chooses the pages, and
 * must not use up the mappings that the process may have.
 */
#ifndef REPLACED_H
#define REPLACED_H

#include <stdbool.h>
#include <stddef.h>

struct vmmem_replaced;

/* vmmem_replaced_new() is for 'pages' pages; NULL if there is no memory. */
struct vmmem_replaced *vmmem_replaced_new(size_t pages);
void vmmem_replaced_free(struct vmmem_replaced *replaced);

/*
 * vmmem_replaced_begin() locks, so that pages [first, first + count), at least
 * one, may be replaced, unless that would take too many mappings.  Returns 0,
 * and then vmmem_replaced_end() follows, which is told whether they were; or
 * VMMEM_ENODISCARD.
 */
int vmmem_replaced_begin(struct vmmem_replaced *replaced, size_t first,
			 size_t count);
void vmmem_replaced_end(struct vmmem_replaced *replaced, size_t first,
			size_t count, bool done);

/* vmmem_replaced_has() is whether a page was replaced. */
bool vmmem_replaced_has(struct vmmem_replaced *replaced, size_t page);

/*
 * vmmem_replaced_find() finds the first page, from 'page' on, that was
 * replaced, or was not; the number of pages if there is none.
 */
size_t vmmem_replaced_find(struct vmmem_replaced *replaced, size_t page,
			   bool was_replaced);

/*
 * vmmem_replaced_before_fork() keeps all other threads out of the functions
 * above, until vmmem_replaced_after_fork() in the parent and in the child.
 */
void vmmem_replaced_before_fork(void);
void vmmem_replaced_after_fork(void);

#endif
