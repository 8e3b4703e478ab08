/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Starting and stopping the logs of all regions of a map. */
#include <vmmem/error.h>

#include "base/api.h"
#include "base/barrier.h"
#include "dirty/bitmap_priv.h"
#include "map/collection_priv.h"
#include "map/translate.h"

/* settle() ends what vmmem_bitmap_start_unsure() began. */
static void
settle(const struct vmmem_collection *collection, bool started)
{
	struct vmmem_bitmap *bitmap;
	size_t i;

	for (i = 0; i < collection->count; i++) {
		bitmap = collection->regions[i]->bitmap;
		if (bitmap != NULL)
			vmmem_bitmap_start_settle(bitmap, started);
	}
}

VMMEM_API int
vmmem_collection_start_logging(const struct vmmem_collection *collection)
{
	struct vmmem_bitmap *bitmap;
	bool barrier_due = false;
	int rc = 0;
	size_t i;

	if (collection == NULL)
		return VMMEM_EARGUMENT;
	collection = vmmem_translate_physical(collection);
	/* All words are set, then one barrier: only then is logging on. */
	for (i = 0; i < collection->count; i++) {
		bitmap = collection->regions[i]->bitmap;
		if (bitmap != NULL)
			barrier_due |= vmmem_bitmap_start_unsure(bitmap);
	}
	if (barrier_due)
		rc = vmmem_barrier();
	settle(collection, rc == 0);
	return rc;
}

VMMEM_API int
vmmem_collection_stop_logging(const struct vmmem_collection *collection)
{
	struct vmmem_bitmap *bitmap;
	int rc = 0, failed;
	size_t i;

	if (collection == NULL)
		return VMMEM_EARGUMENT;
	collection = vmmem_translate_physical(collection);
	for (i = 0; i < collection->count; i++) {
		bitmap = collection->regions[i]->bitmap;
		if (bitmap == NULL)
			continue;
		failed = vmmem_bitmap_stop_logging(bitmap);
		rc = rc != 0 ? rc : failed;
	}
	return rc;
}
