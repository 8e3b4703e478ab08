/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The pages of this process in a range of host addresses, from
 * /proc/self/pagemap, at a cost in proportion to the range.
 */
#ifndef PAGEMAP_H
#define PAGEMAP_H

#include <stdbool.h>
#include <stdint.h>

struct vmmem_pagemap {
	int fd;
	int cancel; /* from open to close the thread cannot be cancelled */
	bool scans; /* Linux 6.7 and newer: PAGEMAP_SCAN */
	uint64_t page_size;
};

/*
 * vmmem_pagemap_open() returns 0; VMMEM_ENOSUPPORT if the system has no such
 * file, or it is not about this process' addresses, as under an emulator; or
 * -errno.  The last one opened is closed first, also of vmmem_file_data_open():
 * each puts back the thread's cancel state that it found.
 */
int vmmem_pagemap_open(struct vmmem_pagemap *ret_pagemap);
void vmmem_pagemap_close(const struct vmmem_pagemap *pagemap);

/* The kinds of pages to look for. */
enum vmmem_pages {
	/*
	 * That take memory or swap: not those that nobody has touched, nor, if
	 * the system tells, those that were only read.
	 */
	VMMEM_PAGES_THERE,
	/* The same, except those of a file or shared ones. */
	VMMEM_PAGES_PRIVATE,
	/* That are mapped as parts of huge ones; needs 'scans'. */
	VMMEM_PAGES_HUGE,
};

/*
 * vmmem_pagemap_next() finds the first run of such pages in [from, end), whole
 * pages.  Runs may touch: one need not be the longest.  'ret_end' is 'end' and
 * 'ret_from' too if there is none.  Returns 0 or -errno.
 */
int vmmem_pagemap_next(const struct vmmem_pagemap *pagemap,
		       enum vmmem_pages pages, uint64_t from, uint64_t end,
		       uint64_t *ret_from, uint64_t *ret_end);

#endif
