/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The red-black trees of libbsd. */
#ifndef TREE_H
#define TREE_H

#include <bsd/sys/tree.h>

/*
 * VMMEM_TREE_FUNCTIONS is RB_GENERATE_STATIC(), which needs a macro that
 * libbsd does not define: headers of Linux have a member of its name.
 */
#define VMMEM_TREE_FUNCTIONS(name, type, field, compare) \
	RB_GENERATE_INTERNAL(name, type, field, compare, \
			     __attribute__((__unused__)) static)

#endif
