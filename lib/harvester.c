/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <vmmem/error.h>
#include <vmmem/harvester.h>

#include <errno.h>
#include <stdlib.h>

#include "api.h"
#include "bitmap_priv.h"

VMMEM_API int
vmmem_harvester_new(struct vmmem_bitmap *bitmap,
		    struct vmmem_harvester **ret_harvester)
{
	struct vmmem_harvester *harvester;
	int rc;

	if (bitmap == NULL || ret_harvester == NULL)
		return VMMEM_EINVAL;
	harvester = calloc(1, sizeof(*harvester));
	if (harvester == NULL)
		return -ENOMEM;
	rc = vmmem_bits_init(&harvester->pending,
			     vmmem_bitmap_pages(bitmap->max_len,
						bitmap->page_shift),
			     true);
	if (rc != 0)
		goto free_harvester;

	pthread_mutex_lock(&bitmap->lock);
	rc = vmmem_bitmap_init(&harvester->taken, bitmap);
	if (rc == 0) {
		rc = vmmem_bitmap_start_locked(bitmap);
		if (rc != 0)
			vmmem_bitmap_fini(&harvester->taken);
	}
	if (rc == 0)
		LIST_INSERT_HEAD(&bitmap->harvesters, harvester, link);
	pthread_mutex_unlock(&bitmap->lock);
	if (rc != 0)
		goto destroy_pending;

	harvester->bitmap = vmmem_bitmap_ref(bitmap);
	*ret_harvester = harvester;
	return 0;

destroy_pending:
	vmmem_bits_destroy(&harvester->pending);
free_harvester:
	free(harvester);
	return rc;
}

VMMEM_API struct vmmem_harvester *
vmmem_harvester_free(struct vmmem_harvester *harvester)
{
	struct vmmem_bitmap *bitmap;

	if (harvester == NULL)
		return NULL;
	bitmap = harvester->bitmap;
	pthread_mutex_lock(&bitmap->lock);
	LIST_REMOVE(harvester, link);
	vmmem_bitmap_stop_locked(bitmap);
	pthread_mutex_unlock(&bitmap->lock);
	vmmem_bitmap_unref(bitmap);
	vmmem_bits_destroy(&harvester->pending);
	vmmem_bitmap_fini(&harvester->taken);
	free(harvester);
	return NULL;
}

VMMEM_API int
vmmem_harvester_take(struct vmmem_harvester *harvester, uint64_t *ret_pages)
{
	struct vmmem_bitmap *bitmap;
	struct vmmem_bits emptied;
	int rc;

	if (harvester == NULL)
		return VMMEM_EINVAL;
	bitmap = harvester->bitmap;
	pthread_mutex_lock(&bitmap->lock);
	rc = vmmem_bitmap_drain(bitmap);
	if (rc == 0) {
		/* What is known to be empty is not looked through. */
		if (harvester->taken_any)
			vmmem_bits_empty(&harvester->taken.bits);
		emptied = harvester->taken.bits;
		harvester->taken.bits = harvester->pending;
		harvester->taken_any = harvester->pending_any;
		harvester->pending = emptied;
		harvester->pending_any = false;
	}
	pthread_mutex_unlock(&bitmap->lock);
	if (rc == 0 && ret_pages != NULL)
		*ret_pages = harvester->taken_any ?
				     vmmem_bitmap_count(&harvester->taken) :
				     0;
	return rc;
}

VMMEM_API const struct vmmem_bitmap *
vmmem_harvester_taken(const struct vmmem_harvester *harvester)
{
	return harvester != NULL ? &harvester->taken : NULL;
}

VMMEM_API int
vmmem_harvester_put_back(struct vmmem_harvester *harvester, uint64_t offset,
			 uint64_t len)
{
	struct vmmem_bits *taken;
	uint64_t page, last, size, end;
	unsigned int shift;

	if (harvester == NULL)
		return VMMEM_EINVAL;
	taken = &harvester->taken.bits;
	shift = harvester->taken.page_shift;
	size = vmmem_bitmap_len_now(&harvester->taken);
	if (len == 0 || offset >= size)
		return 0;
	if (len > size - offset)
		len = size - offset;
	page = offset >> shift;
	last = (offset + (len - 1)) >> shift;

	pthread_mutex_lock(&harvester->bitmap->lock);
	harvester->pending_any = true;
	while (page <= last) {
		page = vmmem_bits_next(taken, page, last);
		if (page > last)
			break;
		end = vmmem_bits_next_clear(taken, page, last);
		vmmem_bits_set(&harvester->pending, page, end - 1);
		vmmem_bits_clear(taken, page, end - 1);
		page = end;
	}
	pthread_mutex_unlock(&harvester->bitmap->lock);
	return 0;
}
