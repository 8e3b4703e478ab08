/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Discards in a space: the listeners are asked before. */
#include <vmmem/discard.h>
#include <vmmem/error.h>
#include <vmmem/space.h>

#include "base/api.h"
#include "base/cancel.h"
#include "space/listener_priv.h"
#include "map/translate.h"

/* tell_discarded() tells the listeners the parts of [gpa, gpa + len). */
static void
tell_discarded(struct vmmem_space *space, uint64_t gpa, uint64_t len, int code)
{
	struct vmmem_space_part part;

	while (len != 0) {
		part = vmmem_space_part_at(
			vmmem_translate_physical(space->view.current), gpa,
			len);
		vmmem_listeners_tell_discarded(&space->listeners, part.region,
					       part.offset, part.len, code);
		gpa += part.len;
		len -= part.len;
	}
}

/*
 * ask() asks the listeners about all parts of a range; if one refuses, the
 * listeners that agreed are told.
 */
static int
ask(struct vmmem_space *space, uint64_t gpa, uint64_t len)
{
	uint64_t at = gpa, left = len;
	struct vmmem_space_part part;
	int rc;

	while (left != 0) {
		part = vmmem_space_part_at(
			vmmem_translate_physical(space->view.current), at,
			left);
		rc = vmmem_listeners_tell_discarding(&space->listeners,
						     part.region, part.offset,
						     part.len);
		if (rc != 0) {
			tell_discarded(space, gpa, len - left, rc);
			return rc;
		}
		at += part.len;
		left -= part.len;
	}
	return 0;
}

/* tell_all_discarded() tells the ranges that all listeners agreed to. */
static void
tell_all_discarded(struct vmmem_space *space, const struct vmmem_range *ranges,
		   size_t count, int code)
{
	size_t i;

	for (i = 0; i < count; i++)
		tell_discarded(space, ranges[i].gpa, ranges[i].len, code);
}

/* discard() discards checked ranges, under the writers' lock. */
static int
discard(struct vmmem_space *space, const struct vmmem_range *ranges,
	size_t count, uint32_t flags, uint64_t *ret_discarded,
	uint64_t *ret_bad)
{
	size_t i;
	int rc;

	for (i = 0; i < count; i++) {
		rc = ask(space, ranges[i].gpa, ranges[i].len);
		if (rc == 0)
			continue;
		tell_all_discarded(space, ranges, i, rc);
		if (ret_bad != NULL)
			*ret_bad = ranges[i].gpa;
		return rc;
	}
	rc = vmmem_collection_discard_ranges(
		vmmem_translate_physical(space->view.current), ranges, count,
		flags, ret_discarded, ret_bad);
	tell_all_discarded(space, ranges, count, rc);
	return rc;
}

/* check() tells whether all ranges are mapped, before a listener is asked. */
static int
check(const struct vmmem_collection *map, const struct vmmem_range *ranges,
      size_t count, uint32_t flags, uint64_t *ret_bad)
{
	size_t i;
	int rc;

	rc = vmmem_collection_discard(map, 0, 0, flags, NULL);
	for (i = 0; i < count && rc == 0; i++)
		rc = vmmem_collection_check(map, ranges[i].gpa, ranges[i].len,
					    VMMEM_PROT_WRITE, ret_bad);
	return rc;
}

VMMEM_API int
vmmem_space_discard_ranges(struct vmmem_space *space,
			   const struct vmmem_range *ranges, size_t count,
			   uint32_t flags, uint64_t *ret_discarded,
			   uint64_t *ret_bad)
{
	int rc, cancel;

	if (ret_discarded != NULL)
		*ret_discarded = 0;
	if (space == NULL || (ranges == NULL && count != 0))
		return VMMEM_EARGUMENT;
	cancel = vmmem_cancel_off();
	/* So that the map and the list of listeners do not change. */
	rc = vmmem_space_lock_telling(space);
	if (rc != 0) {
		vmmem_cancel_back(cancel);
		return rc;
	}
	rc = check(vmmem_translate_physical(space->view.current), ranges, count,
		   flags, ret_bad);
	if (rc == 0)
		rc = discard(space, ranges, count, flags, ret_discarded,
			     ret_bad);
	vmmem_space_unlock_telling(space);
	vmmem_cancel_back(cancel);
	return rc;
}

VMMEM_API int
vmmem_space_discard(struct vmmem_space *space, uint64_t gpa, uint64_t len,
		    uint32_t flags, uint64_t *ret_discarded)
{
	const struct vmmem_range range = { gpa, len };

	return vmmem_space_discard_ranges(space, &range, 1, flags,
					  ret_discarded, NULL);
}
