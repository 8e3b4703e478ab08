/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Collections whose regions are made on the way. */
#include <vmmem/address.h>
#include <vmmem/collection.h>
#include <vmmem/error.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/api.h"

/*
 * check() finds out, before memory is mapped, whether the range
 * [gpa, gpa + len) may follow the one that ends at '*last', and moves '*last'
 * to its end.  'start' is where the one before starts.
 */
static int
check(uint64_t gpa, uint64_t len, bool first, uint64_t start, uint64_t *last)
{
	uint64_t own_last;
	int rc;

	rc = vmmem_address_range_last(gpa, len, &own_last);
	if (rc != 0)
		return rc;
	if (!first && gpa < start)
		return VMMEM_EUNSORTED;
	if (!first && gpa <= *last)
		return VMMEM_EOVERLAP;
	*last = own_last;
	return 0;
}

static int
make(const struct vmmem_file_range *range, struct vmmem_region **ret_region)
{
	if (range->fd == -1)
		return vmmem_region_new_anonymous(range->gpa, range->len,
						  ret_region);
	return vmmem_region_new_file(range->gpa, range->len, range->fd,
				     range->offset, ret_region);
}

VMMEM_API int
vmmem_collection_new_file_ranges(const struct vmmem_file_range *ranges,
				 size_t count,
				 struct vmmem_collection **ret_collection)
{
	struct vmmem_region **regions;
	uint64_t last = 0;
	size_t made = 0, i;
	int rc = 0;

	if (ret_collection == NULL)
		return VMMEM_EARGUMENT;
	if (count == 0)
		return VMMEM_ENOREGION;
	if (ranges == NULL)
		return VMMEM_EARGUMENT;
	for (i = 0; i < count; i++) {
		if (ranges[i].reserved != 0 ||
		    (ranges[i].fd == -1 && ranges[i].offset != 0))
			return VMMEM_EARGUMENT;
		rc = check(ranges[i].gpa, ranges[i].len, i == 0,
			   i == 0 ? 0 : ranges[i - 1].gpa, &last);
		if (rc != 0)
			return rc;
	}

	regions = reallocarray(NULL, count, sizeof(*regions));
	if (regions == NULL)
		return -ENOMEM;
	while (made < count && rc == 0) {
		rc = make(&ranges[made], &regions[made]);
		if (rc == 0)
			made++;
	}
	if (rc == 0)
		rc = vmmem_collection_new(regions, count, ret_collection);
	for (i = 0; i < made; i++)
		vmmem_region_unref(regions[i]);
	free(regions);
	return rc;
}

VMMEM_API int
vmmem_collection_new_ranges(const struct vmmem_range *ranges, size_t count,
			    struct vmmem_collection **ret_collection)
{
	struct vmmem_file_range *file_ranges;
	size_t i;
	int rc;

	if (ret_collection == NULL)
		return VMMEM_EARGUMENT;
	if (count == 0)
		return VMMEM_ENOREGION;
	if (ranges == NULL)
		return VMMEM_EARGUMENT;
	file_ranges = reallocarray(NULL, count, sizeof(*file_ranges));
	if (file_ranges == NULL)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		file_ranges[i] = (struct vmmem_file_range){
			.gpa = ranges[i].gpa,
			.len = ranges[i].len,
			.fd = -1,
		};
	rc = vmmem_collection_new_file_ranges(file_ranges, count,
					      ret_collection);
	free(file_ranges);
	return rc;
}
