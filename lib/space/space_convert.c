/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Making memory private to the guest, or sharing it again.  The library refuses
 * private bytes before it asks a listener, and gives out shared ones after all
 * listeners have agreed: so it never gives out a byte that one of them has
 * taken for private.
 */
#include <vmmem/error.h>
#include <vmmem/private.h>

#include <errno.h>
#include <stdlib.h>

#include "base/api.h"
#include "base/cancel.h"
#include "map/translate.h"
#include "region/discard_priv.h"
#include "region/mark.h"
#include "region/pin_priv.h"
#include "region/private_priv.h"
#include "space/listener_priv.h"

/* One region's part of the range, and what its conversion needs. */
struct part {
	struct vmmem_space_part of;
	struct vmmem_discarding discarding; /* keeps out new pins */
	uint64_t *words; /* what the state was, where it becomes private */
};

struct conversion {
	struct vmmem_space *space;
	bool to_private;
	struct part *parts;
	size_t count;
	uint64_t *words; /* of all parts */
};

/*
 * look() goes over the range, which is mapped, and counts its parts, and the
 * words of their states.  Returns 0, or why one of them cannot be converted.
 */
static int
look(const struct vmmem_collection *map, uint64_t gpa, uint64_t len,
     size_t *ret_parts, size_t *ret_words)
{
	struct vmmem_space_part part;
	int rc;

	*ret_parts = 0;
	*ret_words = 0;
	for (; len != 0; gpa += part.len, len -= part.len) {
		part = vmmem_space_part_at(map, gpa, len);
		rc = vmmem_private_check(part.region, part.offset, part.len);
		if (rc != 0)
			return rc;
		++*ret_parts;
		*ret_words += vmmem_private_words(part.region, part.offset,
						  part.len);
	}
	return 0;
}

/* prepare() fills in a conversion, of which nothing may fail afterwards. */
static int
prepare(struct conversion *conversion, uint64_t gpa, uint64_t len)
{
	const struct vmmem_collection *map;
	size_t words, i;
	uint64_t bad, *next;
	int rc;

	map = vmmem_translate_physical(conversion->space->view.current);
	rc = vmmem_collection_check_range(map, gpa, len, 0, &bad);
	if (rc == 0)
		rc = look(map, gpa, len, &conversion->count, &words);
	if (rc != 0)
		return rc;
	conversion->parts = calloc(conversion->count,
				   sizeof(*conversion->parts));
	conversion->words = calloc(words, sizeof(*conversion->words));
	if (conversion->parts == NULL || conversion->words == NULL)
		return -ENOMEM;
	next = conversion->words;
	for (i = 0; i < conversion->count; i++) {
		struct part *part = &conversion->parts[i];

		part->of = vmmem_space_part_at(map, gpa, len);
		part->words = next;
		next += vmmem_private_words(part->of.region, part->of.offset,
					    part->of.len);
		gpa += part->of.len;
		len -= part->of.len;
	}
	return 0;
}

/* unhold() lets bytes of the first parts be pinned again. */
static void
unhold(struct conversion *conversion, size_t count)
{
	while (count-- > 0)
		vmmem_pin_end_discard(&conversion->parts[count].discarding);
}

/* hold() refuses if a byte is pinned, and has new pins wait. */
static int
hold(struct conversion *conversion)
{
	const struct vmmem_region *owner;
	struct part *part;
	size_t i;
	int rc;

	for (i = 0; i < conversion->count; i++) {
		part = &conversion->parts[i];
		owner = vmmem_region_owner(part->of.region);
		rc = vmmem_pin_begin_discard(&part->discarding, owner,
					     part->of.region->target_offset +
						     part->of.offset,
					     part->of.len);
		if (rc != 0) {
			unhold(conversion, i);
			return rc;
		}
	}
	return 0;
}

/* set_all() sets the state of all parts; what take_back() needs is noted. */
static void
set_all(struct conversion *conversion)
{
	struct part *part;
	size_t i;

	for (i = 0; i < conversion->count; i++) {
		part = &conversion->parts[i];
		if (conversion->to_private)
			vmmem_private_save(part->of.region, part->of.offset,
					   part->of.len, part->words);
		vmmem_private_put(part->of.region, part->of.offset,
				  part->of.len, conversion->to_private);
	}
}

/* The other way round, as two parts may be of the same bytes. */
static void
take_back(struct conversion *conversion)
{
	struct part *part;
	size_t i;

	for (i = conversion->count; i-- > 0;) {
		part = &conversion->parts[i];
		vmmem_private_restore(part->of.region, part->of.offset,
				      part->of.len, part->words);
	}
}

/* tell() tells all listeners, or those before 'refuser', of a part. */
static void
tell(struct conversion *conversion, const struct part *part,
     struct vmmem_listener *refuser, int code)
{
	vmmem_listeners_tell_converted(&conversion->space->listeners, refuser,
				       part->of.region, part->of.offset,
				       part->of.len, conversion->to_private,
				       code);
}

/* give_up() undoes all of a conversion, of which a part was refused. */
static void
give_up(struct conversion *conversion, size_t refused,
	struct vmmem_listener *refuser, int code)
{
	size_t i;

	/* First, as listeners look at what it is now. */
	if (conversion->to_private)
		take_back(conversion);
	for (i = 0; i < refused; i++)
		tell(conversion, &conversion->parts[i], NULL, code);
	tell(conversion, &conversion->parts[refused], refuser, code);
}

/* drop() gives back the side that was left, and counts what it cannot. */
static uint64_t
drop(struct conversion *conversion)
{
	uint64_t kept = 0, gone;
	struct part *part;
	size_t i;

	for (i = 0; i < conversion->count; i++) {
		part = &conversion->parts[i];
		gone = 0;
		if (conversion->to_private) {
			(void)vmmem_discard_checked(part->of.region,
						    part->of.offset,
						    part->of.len, 0, &gone);
		} else {
			/* Other bytes than before are seen from now on. */
			vmmem_mark_written(&part->of.region->entry,
					   part->of.offset, part->of.len);
			if (vmmem_private_drop(part->of.region, part->of.offset,
					       part->of.len) == 0)
				gone = part->of.len;
		}
		kept += part->of.len - gone;
	}
	return kept;
}

/* convert() does it, of a range that was prepared and is held. */
static int
convert(struct conversion *conversion, uint64_t *ret_kept)
{
	struct vmmem_listener *refuser = NULL;
	struct part *part;
	size_t i;
	int rc;

	if (conversion->to_private)
		set_all(conversion);
	for (i = 0; i < conversion->count; i++) {
		part = &conversion->parts[i];
		rc = vmmem_listeners_tell_converting(
			&conversion->space->listeners, part->of.region,
			part->of.offset, part->of.len, conversion->to_private,
			&refuser);
		if (rc == 0)
			continue;
		give_up(conversion, i, refuser, rc);
		return rc;
	}
	if (!conversion->to_private)
		set_all(conversion);
	*ret_kept = drop(conversion);
	for (i = 0; i < conversion->count; i++)
		tell(conversion, &conversion->parts[i], NULL, 0);
	return 0;
}

VMMEM_API int
vmmem_space_convert(struct vmmem_space *space, uint64_t gpa, uint64_t len,
		    int to_private, uint64_t *ret_kept)
{
	struct conversion conversion = {
		.space = space,
		.to_private = to_private != 0,
	};
	uint64_t kept = 0;
	int rc, cancel;

	if (ret_kept == NULL)
		ret_kept = &kept;
	*ret_kept = 0;
	if (space == NULL)
		return VMMEM_EARGUMENT;
	if (len == 0)
		return 0;
	cancel = vmmem_cancel_off();
	/* So that the map stays, and the listeners that were asked. */
	rc = vmmem_space_lock_telling(space);
	if (rc == 0) {
		rc = prepare(&conversion, gpa, len);
		if (rc == 0)
			rc = hold(&conversion);
		if (rc == 0) {
			rc = convert(&conversion, ret_kept);
			unhold(&conversion, conversion.count);
		}
		vmmem_space_unlock_telling(space);
	}
	free(conversion.words);
	free(conversion.parts);
	vmmem_cancel_back(cancel);
	return rc;
}
