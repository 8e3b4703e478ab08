/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Rules for a descriptor, as the code that maps it needs them. */
#ifndef FD_PRIV_H
#define FD_PRIV_H

#include <vmmem/fd.h>

/*
 * vmmem_fd_take() copies the rules of a caller, NULL for the strictest.
 * Returns 0 or the code for what is wrong with them.
 */
int vmmem_fd_take(const struct vmmem_fd_rules *caller,
		       struct vmmem_fd_rules *ret_rules);

/*
 * vmmem_fd_judge() is vmmem_fd_check() of a file as a whole, with
 * rules that were taken, for 'access', and a report of this library's own size.
 */
int vmmem_fd_judge(int fd, const struct vmmem_fd_rules *rules,
			uint32_t access,
			struct vmmem_fd_report *report);

/*
 * vmmem_fd_range() tells whether the file of a report has [offset, offset +
 * len), wherever in its pages that begins, or the rules permit that it ends
 * early.
 */
int vmmem_fd_range(const struct vmmem_fd_report *report,
			const struct vmmem_fd_rules *rules,
			uint64_t offset, uint64_t len);

#endif
