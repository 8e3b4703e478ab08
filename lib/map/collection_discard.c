/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Giving back memory of a range, region by region. */
#include <vmmem/discard.h>
#include <vmmem/error.h>

#include "base/api.h"
#include "base/range.h"
#include "map/collection_priv.h"
#include "map/translate.h"
#include "region/discard_priv.h"

VMMEM_API int
vmmem_collection_discard(const struct vmmem_collection *collection,
			 uint64_t gpa, uint64_t len, uint32_t flags,
			 uint64_t *ret_discarded)
{
	const struct vmmem_entry *entry;
	uint64_t unused, offset, here;
	int rc;

	if (ret_discarded == NULL)
		ret_discarded = &unused;
	*ret_discarded = 0;
	if (collection == NULL || (flags & ~VMMEM_DISCARD_KNOWN) != 0)
		return VMMEM_EARGUMENT;
	/* It is memory that is given back, however devices see it. */
	collection = vmmem_physical(collection);
	rc = vmmem_check(collection, gpa, len, VMMEM_PROT_WRITE, &offset);
	if (rc != 0)
		return rc;
	while (len != 0) {
		/* There is one: the range was checked, and nothing changes. */
		entry = vmmem_find(collection, gpa, &offset);
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
