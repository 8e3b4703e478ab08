/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Discards of a range, region by region. */
#include <vmmem/discard.h>
#include <vmmem/error.h>

#include "base/api.h"
#include "base/range.h"
#include "map/collection_priv.h"
#include "map/translate.h"
#include "region/discard_priv.h"

/* discard_range() discards a range that was checked. */
static int
discard_range(const struct vmmem_collection *collection, uint64_t gpa,
	      uint64_t len, uint32_t flags, uint64_t *ret_discarded)
{
	const struct vmmem_region_entry *entry;
	uint64_t offset, here;
	int rc;

	while (len != 0) {
		/* There is one: the range was checked, and nothing changes. */
		entry = vmmem_collection_find_entry(collection, gpa, &offset);
		here = vmmem_range_within(entry->span, offset, len) ?
			       len :
			       entry->span - offset + 1;
		rc = vmmem_discard_checked(vmmem_region_of(entry), offset,
					   here, flags, ret_discarded);
		if (rc != 0)
			return rc;
		gpa += here;
		len -= here;
	}
	return 0;
}

VMMEM_API int
vmmem_collection_discard_ranges(const struct vmmem_collection *collection,
				const struct vmmem_range *ranges, size_t count,
				uint32_t flags, uint64_t *ret_discarded,
				uint64_t *ret_bad)
{
	uint64_t unused, bad;
	size_t i;
	int rc;

	if (ret_discarded == NULL)
		ret_discarded = &unused;
	*ret_discarded = 0;
	if (collection == NULL || (ranges == NULL && count != 0) ||
	    (flags & ~VMMEM_DISCARD_KNOWN) != 0)
		return VMMEM_EARGUMENT;
	/* A discard is of memory, whatever the translation is. */
	collection = vmmem_translate_physical(collection);
	for (i = 0; i < count; i++) {
		rc = vmmem_collection_check_range(collection, ranges[i].gpa,
						  ranges[i].len,
						  VMMEM_PROT_WRITE, &bad);
		if (rc == 0)
			continue;
		if (ret_bad != NULL && rc != VMMEM_EWRAPS)
			*ret_bad = bad;
		return rc;
	}
	for (i = 0; i < count; i++) {
		rc = discard_range(collection, ranges[i].gpa, ranges[i].len,
				   flags, ret_discarded);
		if (rc == 0)
			continue;
		if (ret_bad != NULL)
			*ret_bad = ranges[i].gpa;
		return rc;
	}
	return 0;
}

VMMEM_API int
vmmem_collection_discard(const struct vmmem_collection *collection,
			 uint64_t gpa, uint64_t len, uint32_t flags,
			 uint64_t *ret_discarded)
{
	const struct vmmem_range range = { gpa, len };

	return vmmem_collection_discard_ranges(collection, &range, 1, flags,
					       ret_discarded, NULL);
}
