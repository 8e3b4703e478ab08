/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Parts of pages in a discard: the page stays, and the bytes are written. */
#include "region/discard_part.h"

#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmmem/error.h>

#include "guest/copy.h"
#include "region/file_data.h"
#include "region/mapping.h"
#include "region/pagemap.h"
#include "region/replaced.h"
#include "region/zeroes.h"

/* Room for the answer about one page of the system, and for some more. */
#define CORE 64

/* is_mapped() asks the page tables for one of the system's pages. */
static bool
is_mapped(const unsigned char *at, enum vmmem_pages pages)
{
	struct vmmem_pagemap pagemap;
	uint64_t from, end, page;
	bool mapped = true;

	if (vmmem_pagemap_open(&pagemap) != 0)
		return true;
	page = (uintptr_t)at & -pagemap.page_size;
	if (vmmem_pagemap_next(&pagemap, pages, page, page + pagemap.page_size,
			       &from, &end) == 0)
		mapped = from != end;
	vmmem_pagemap_close(&pagemap);
	return mapped;
}

/* is_there() is whether private memory without a file has a page; or may. */
static bool
is_there(const unsigned char *at, bool huge)
{
	const uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
	unsigned char core[CORE] = { 0 };
	size_t i;

	if (mincore((void *)((uintptr_t)at & -page_size), page_size, core) !=
	    0)
		return true;
	for (i = 0; i < CORE; i++) {
		if ((core[i] & 1) != 0)
			return true;
	}
	/* Pages of the pool are never swapped. */
	return !huge && is_mapped(at, VMMEM_PAGES_THERE);
}

/* is_hole() is whether a file has no data there, without reading it. */
static bool
is_hole(int fd, uint64_t offset, uint64_t len)
{
	struct vmmem_file_data data;
	uint64_t from, end;
	bool hole = false;

	if (vmmem_file_data_open(fd, &data) != 0)
		return false;
	if (vmmem_file_data_next(&data, offset, offset + len, &from, &end) ==
	    0)
		hole = from == end;
	vmmem_file_data_close(&data);
	return hole;
}

/* file_is_zero() is is_zero_already() for files. */
static bool
file_is_zero(const struct vmmem_region *region, const unsigned char *from,
	     uint64_t len)
{
	const uint64_t offset = vmmem_region_file_offset(region, from);

	if (!vmmem_region_is_shared(region)) {
		/* Memory that replaced the file's pages has no file. */
		if (vmmem_replaced_has(region->replaced,
				       (size_t)(from - region->pages) /
					       (size_t)region->page_size))
			return !is_there(from, false);
		if (is_mapped(from, VMMEM_PAGES_PRIVATE))
			return false;
	}
	return is_hole(region->fd, offset, len) ||
	       vmmem_zeroes_in_file(region->fd, offset, len);
}

static bool
external_is_zero(const unsigned char *from)
{
	struct vmmem_mapping mapping;

	return vmmem_mapping_at((uintptr_t)from, &mapping) == 0 &&
	       mapping.first <= (uintptr_t)from && !mapping.shared &&
	       !mapping.has_file && !is_there(from, false);
}

/* is_zero_already() is true if there is known to be no page. */
static bool
is_zero_already(const struct vmmem_region *region, const unsigned char *from,
		uint64_t len)
{
	if (region->kind == VMMEM_REGION_ANONYMOUS)
		return !is_there(from,
				 region->huge_pages == VMMEM_HUGE_PAGES_YES);
	if (region->kind == VMMEM_REGION_EXTERNAL)
		return external_is_zero(from);
	/* A device may have any bytes there. */
	return region->huge_pages != VMMEM_HUGE_PAGES_UNKNOWN &&
	       file_is_zero(region, from, len);
}

int
vmmem_discard_part(const struct vmmem_region *region, unsigned char *from,
		   uint64_t len)
{
	if (len == 0 || is_zero_already(region, from, len))
		return 0;
	return vmmem_copy_fill(from, 0, (size_t)len) != 0 ? VMMEM_EGONE : 0;
}
