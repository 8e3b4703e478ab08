/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Collections whose regions are made on the way. */
#include <vmmem/address.h>
#include <vmmem/collection.h>
#include <vmmem/error.h>
#include <vmmem/region_builder.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/api.h"
#include "region/region_priv.h"

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

/* make() makes the region of a range; the first of all begins at 'first'. */
static int
make(const struct vmmem_file_range *range, uint64_t first,
     struct vmmem_region_settings *like, struct vmmem_region **ret_region)
{
	struct vmmem_region_settings settings = *like;
	int rc;

	settings.gpa = range->gpa;
	settings.len = range->len;
	if (range->fd != -1) {
		settings.kind = VMMEM_REGION_FILE;
		settings.fd = range->fd;
		settings.offset = range->offset;
		settings.file_flags = range->flags;
	}
	/* One log for all: the offsets in it differ as the addresses do. */
	if (settings.bitmap != NULL &&
	    vmmem_address_checked_add(like->bitmap_offset, range->gpa - first,
				      &settings.bitmap_offset) != 0)
		return vmmem_region_refuse(like, VMMEM_EOUTOFRANGE,
					   "A range reaches past the bitmap");
	/* And one guest_memfd, in the same way: a hole in it costs nothing. */
	if (settings.has_guest_memfd &&
	    vmmem_address_checked_add(like->guest_memfd_offset,
				      range->gpa - first,
				      &settings.guest_memfd_offset) != 0)
		return vmmem_region_refuse(like, VMMEM_EWRAPS,
					   "A range is past the end of any "
					   "guest_memfd");
	rc = vmmem_region_make(&settings, ret_region);
	like->why = settings.why;
	return rc;
}

/* check_like() finds out whether a builder's settings are good for ranges. */
static int
check_like(struct vmmem_region_settings *like)
{
	like->why = NULL;
	if (like->kind == VMMEM_REGION_ANONYMOUS ||
	    like->kind == VMMEM_REGION_MEMFD)
		return 0;
	return vmmem_region_refuse(
		like, VMMEM_EARGUMENT,
		"The backing of ranges is neither anonymous nor a "
		"memfd");
}

static int
make_all(const struct vmmem_file_range *ranges, size_t count,
	 struct vmmem_region_settings *like,
	 struct vmmem_collection **ret_collection)
{
	struct vmmem_region **regions;
	size_t made = 0, i;
	int rc = 0;

	regions = reallocarray(NULL, count, sizeof(*regions));
	if (regions == NULL)
		return -ENOMEM;
	while (made < count && rc == 0) {
		rc = make(&ranges[made], ranges[0].gpa, like, &regions[made]);
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
vmmem_collection_new_file_ranges(const struct vmmem_file_range *ranges,
				 size_t count,
				 struct vmmem_region_builder *like,
				 struct vmmem_collection **ret_collection)
{
	struct vmmem_region_settings plain, *settings = &plain;
	uint64_t last = 0;
	size_t i;
	int rc;

	if (ret_collection == NULL)
		return VMMEM_EARGUMENT;
	if (count == 0)
		return VMMEM_ENOREGION;
	if (ranges == NULL)
		return VMMEM_EARGUMENT;
	for (i = 0; i < count; i++) {
		if ((ranges[i].flags & ~VMMEM_FILE_FLAGS) != 0 ||
		    ranges[i].flags == VMMEM_FILE_FLAGS ||
		    (ranges[i].fd == -1 &&
		     (ranges[i].offset != 0 || ranges[i].flags != 0)))
			return VMMEM_EARGUMENT;
		rc = check(ranges[i].gpa, ranges[i].len, i == 0,
			   i == 0 ? 0 : ranges[i - 1].gpa, &last);
		if (rc != 0)
			return rc;
	}

	if (like != NULL)
		settings = vmmem_region_builder_settings(like);
	else
		vmmem_region_settings_init(settings);
	rc = check_like(settings);
	if (rc == 0)
		rc = make_all(ranges, count, settings, ret_collection);
	if (rc != 0 && settings->why == NULL)
		settings->why = vmmem_strerror(rc);
	return rc;
}

VMMEM_API int
vmmem_collection_new_ranges(const struct vmmem_range *ranges, size_t count,
			    struct vmmem_region_builder *like,
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
	rc = vmmem_collection_new_file_ranges(file_ranges, count, like,
					      ret_collection);
	free(file_ranges);
	return rc;
}
