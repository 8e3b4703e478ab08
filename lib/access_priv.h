/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The way of an access that the fast path of its caller did not take. */
#ifndef ACCESS_PRIV_H
#define ACCESS_PRIV_H

#include <vmmem/collection.h>

/*
 * vmmem_read_slow() and vmmem_write_slow() are vmmem_collection_read() and
 * vmmem_collection_write() without the checks of their arguments and without
 * the short cut; 'ret_done' is not NULL.
 */
int vmmem_read_slow(const struct vmmem_collection *collection, uint64_t gpa,
		    void *buf, size_t len, uint64_t *ret_done);
int vmmem_write_slow(const struct vmmem_collection *collection, uint64_t gpa,
		     const void *buf, size_t len, uint64_t *ret_done);

#endif
