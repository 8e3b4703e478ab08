/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Having pages made of a range, region by region. */
#include <vmmem/error.h>
#include <vmmem/residency.h>

#include "base/api.h"
#include "base/range.h"
#include "map/collection_priv.h"
#include "map/translate.h"
#include "region/populate.h"

/*
 * walk() asks of each region of a range that was checked whether it can be
 * populated, or does it.
 */
static int
walk(const struct vmmem_collection *collection, uint64_t gpa, uint64_t len,
     bool do_it)
{
	const struct vmmem_region *region;
	const struct vmmem_region_entry *entry;
	uint64_t offset, here;
	int rc;

	while (len != 0) {
		/* There is one: the range was checked, and nothing changes. */
		entry = vmmem_collection_find_entry(collection, gpa, &offset);
		region = vmmem_region_of(entry);
		here = vmmem_range_within(entry->span, offset, len) ?
			       len :
			       entry->span - offset + 1;
		rc = do_it ? vmmem_populate_checked(region, offset, here) :
			     vmmem_populate_check(region, offset, here);
		if (rc != 0)
			return rc;
		gpa += here;
		len -= here;
	}
	return 0;
}

VMMEM_API int
vmmem_collection_populate(const struct vmmem_collection *collection,
			  uint64_t gpa, uint64_t len)
{
	uint64_t bad;
	int rc;

	if (collection == NULL)
		return VMMEM_EARGUMENT;
	/* It is memory that is made, however devices see it. */
	collection = vmmem_translate_physical(collection);
	rc = vmmem_collection_check_range(collection, gpa, len, 0, &bad);
	if (rc == 0)
		rc = walk(collection, gpa, len, false);
	return rc != 0 ? rc : walk(collection, gpa, len, true);
}
