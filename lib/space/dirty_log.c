/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The dirty log of a space: a listener that keeps a part for each region. */
#include <vmmem/dirty_log.h>
#include <vmmem/error.h>
#include <vmmem/harvester.h>
#include <vmmem/listener.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/api.h"
#include "base/struct_size.h"
#include "base/tree.h"
#include "dirty/bitmap_priv.h"
#include "map/translate.h"
#include "space/dirty_part.h"

#define FLAGS_KNOWN (VMMEM_DIRTY_LOG_CLEAN | VMMEM_DIRTY_LOG_SKIP_UNLOGGED)

/* A bitmap of regions of the space, and the harvester of it for all of them. */
struct vmmem_dirty_source {
	RB_ENTRY(vmmem_dirty_source) by_bitmap;
	struct vmmem_bitmap *bitmap;
	struct vmmem_harvester *harvester;
	size_t parts; /* that take from it */
};

RB_HEAD(vmmem_dirty_sources, vmmem_dirty_source);

/* The parts of one map, by guest address. */
struct parts {
	struct vmmem_dirty_part **parts;
	size_t count;
};

struct vmmem_dirty_log {
	struct vmmem_space *space;
	struct vmmem_listener *listener;
	struct vmmem_dirty_log_options options;
	char *name; /* or NULL */

	/*
	 * The lock of all that follows.  The listener's callbacks take it with
	 * the lock of the telling thread held, so a thread that has it tells
	 * nothing, and changes no space.
	 */
	pthread_mutex_t lock;
	struct vmmem_dirty_sources sources;
	struct parts current;
	struct parts staged; /* of the map that is about to be published */
	uint64_t numbers;    /* of parts, given out so far */
	bool follows;	     /* the first map is there */
};

static int
compare_sources(const struct vmmem_dirty_source *a,
		const struct vmmem_dirty_source *b)
{
	const uintptr_t bitmap = (uintptr_t)a->bitmap;
	const uintptr_t other = (uintptr_t)b->bitmap;

	return (bitmap > other) - (bitmap < other);
}

VMMEM_TREE_FUNCTIONS(vmmem_dirty_sources, vmmem_dirty_source, by_bitmap,
		     compare_sources)

/* source_take() returns the source for 'bitmap', for one part more. */
static int
source_take(struct vmmem_dirty_log *log, struct vmmem_bitmap *bitmap,
	    struct vmmem_dirty_source **ret_source)
{
	struct vmmem_dirty_source key = { .bitmap = bitmap }, *source;
	int rc;

	source = RB_FIND(vmmem_dirty_sources, &log->sources, &key);
	if (source == NULL) {
		source = calloc(1, sizeof(*source));
		if (source == NULL)
			return -ENOMEM;
		rc = vmmem_harvester_new(bitmap, NULL, &source->harvester);
		if (rc != 0) {
			free(source);
			return rc;
		}
		source->bitmap = bitmap;
		RB_INSERT(vmmem_dirty_sources, &log->sources, source);
	}
	source->parts++;
	*ret_source = source;
	return 0;
}

static void
source_drop(struct vmmem_dirty_log *log, struct vmmem_dirty_source *source)
{
	if (source == NULL || --source->parts != 0)
		return;
	RB_REMOVE(vmmem_dirty_sources, &log->sources, source);
	vmmem_harvester_free(source->harvester);
	free(source);
}

static void
part_drop(struct vmmem_dirty_log *log, struct vmmem_dirty_part *part)
{
	source_drop(log, part->source);
	vmmem_dirty_part_free(part);
}

/* part_add() makes the part of a region that the log does not have yet. */
static int
part_add(struct vmmem_dirty_log *log, const struct vmmem_region *region,
	 struct vmmem_dirty_part **ret_part)
{
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(region);
	const uint32_t flags = log->options.flags;
	struct vmmem_dirty_part *part;
	int rc;

	if (bitmap == NULL && (flags & VMMEM_DIRTY_LOG_SKIP_UNLOGGED) == 0 &&
	    (vmmem_region_protection(region) & VMMEM_PROT_WRITE) != 0)
		return VMMEM_ENOBITMAP;
	rc = vmmem_dirty_part_new(region, &part);
	if (rc != 0)
		return rc;
	if (bitmap != NULL) {
		rc = source_take(log, bitmap, &part->source);
		if (rc != 0) {
			vmmem_dirty_part_free(part);
			return rc;
		}
	}
	part->number = ++log->numbers;
	part->fresh = true;
	/*
	 * The log of a later region was off before: its pages may have been
	 * written meanwhile.
	 */
	if (log->follows || (flags & VMMEM_DIRTY_LOG_CLEAN) == 0)
		vmmem_dirty_part_fill(part);
	*ret_part = part;
	return 0;
}

/* unstage() drops the parts that were made for a map that will not come. */
static void
unstage(struct vmmem_dirty_log *log)
{
	struct vmmem_dirty_part *part;
	size_t i;

	for (i = 0; i < log->staged.count; i++) {
		part = log->staged.parts[i];
		part->staged = false;
		if (part->fresh)
			part_drop(log, part);
	}
	free(log->staged.parts);
	memset(&log->staged, 0, sizeof(log->staged));
}

/*
 * stage() makes the parts of 'map'.  Both maps are sorted, so a region that
 * stays is found by walking over both.
 */
static int
stage(struct vmmem_dirty_log *log, const struct vmmem_collection *map)
{
	const size_t count = vmmem_collection_count(map);
	struct vmmem_dirty_part *part;
	const struct vmmem_region *region;
	size_t i, old = 0;
	int rc;

	/* The end of the listener is told as such a map, and must not fail. */
	if (count == 0)
		return 0;
	log->staged.parts = calloc(count, sizeof(*log->staged.parts));
	if (log->staged.parts == NULL)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		region = vmmem_collection_region(map, i);
		while (old < log->current.count &&
		       log->current.parts[old]->start <
			       vmmem_region_start(region))
			old++;
		part = old < log->current.count ? log->current.parts[old] :
						  NULL;
		if (part == NULL || part->region != region) {
			rc = part_add(log, region, &part);
			if (rc != 0)
				return rc;
		}
		part->staged = true;
		log->staged.parts[log->staged.count++] = part;
	}
	return 0;
}

/* has_more() tells whether 'map' has a bitmap that is no source yet. */
static bool
has_more(struct vmmem_dirty_log *log, const struct vmmem_collection *map)
{
	struct vmmem_dirty_source key;
	size_t i;

	for (i = 0; i < vmmem_collection_count(map); i++) {
		key.bitmap =
			vmmem_region_bitmap(vmmem_collection_region(map, i));
		if (key.bitmap != NULL &&
		    RB_FIND(vmmem_dirty_sources, &log->sources, &key) == NULL)
			return true;
	}
	return false;
}

/*
 * on_commit() is where a map may still be refused.  Logging is on before the
 * map is published: no write to a new region is missed.
 */
static int
on_commit(void *opaque, struct vmmem_collection *old_map,
	  struct vmmem_collection *new_map)
{
	const struct vmmem_collection *map = vmmem_translate_physical(new_map);
	struct vmmem_dirty_log *log = opaque;
	bool started = false;
	int rc = 0;

	(void)old_map;
	pthread_mutex_lock(&log->lock);
	/* All at once, with one barrier: the harvesters then make none. */
	if (has_more(log, map)) {
		rc = vmmem_collection_start_logging(map);
		started = rc == 0;
	}
	if (rc == 0)
		rc = stage(log, map);
	if (rc != 0)
		unstage(log);
	if (started)
		(void)vmmem_collection_stop_logging(map);
	pthread_mutex_unlock(&log->lock);
	return rc;
}

static void
on_published(void *opaque, struct vmmem_collection *old_map,
	     struct vmmem_collection *new_map)
{
	struct vmmem_dirty_log *log = opaque;
	struct parts old;
	size_t i;

	(void)old_map;
	(void)new_map;
	pthread_mutex_lock(&log->lock);
	old = log->current;
	log->current = log->staged;
	memset(&log->staged, 0, sizeof(log->staged));
	for (i = 0; i < old.count; i++) {
		if (!old.parts[i]->staged)
			part_drop(log, old.parts[i]);
	}
	for (i = 0; i < log->current.count; i++) {
		log->current.parts[i]->staged = false;
		log->current.parts[i]->fresh = false;
	}
	free(old.parts);
	log->follows = true;
	pthread_mutex_unlock(&log->lock);
}

static void
on_abort(void *opaque, struct vmmem_collection *old_map,
	 struct vmmem_collection *new_map)
{
	struct vmmem_dirty_log *log = opaque;

	(void)old_map;
	(void)new_map;
	pthread_mutex_lock(&log->lock);
	unstage(log);
	pthread_mutex_unlock(&log->lock);
}

/* release() frees a log that no listener tells anything any more. */
static void
release(struct vmmem_dirty_log *log)
{
	size_t i;

	/* It was freed between its agreement to a map and the end of that. */
	unstage(log);
	for (i = 0; i < log->current.count; i++)
		part_drop(log, log->current.parts[i]);
	free(log->current.parts);
	pthread_mutex_destroy(&log->lock);
	free(log->name);
	free(log);
}

/* The last that the listener says: when the log was freed. */
static void
on_destroy(void *opaque)
{
	struct vmmem_dirty_log *log = opaque;
	struct vmmem_dirty_log_options options = log->options;

	release(log);
	if (options.destroy != NULL)
		options.destroy(options.opaque);
}

static const struct vmmem_listener_ops listener_ops = {
	.size = sizeof(listener_ops),
	.commit = on_commit,
	.published = on_published,
	.abort = on_abort,
	.destroy = on_destroy,
};

/* take_options() copies the caller's options, which may be NULL. */
static int
take_options(struct vmmem_dirty_log *log,
	     const struct vmmem_dirty_log_options *options)
{
	struct vmmem_dirty_log_options *known = &log->options;
	int rc;

	if (options == NULL)
		return 0;
	rc = vmmem_struct_take(options, known, sizeof(*known),
			       VMMEM_DIRTY_LOG_OPTIONS_SIZE_0_9);
	if (rc != 0)
		return rc;
	if ((known->flags & ~FLAGS_KNOWN) != 0 || known->reserved != 0)
		return VMMEM_EARGUMENT;
	if (known->name == NULL)
		return 0;
	log->name = strdup(known->name);
	/* The caller's is good during the call alone. */
	known->name = log->name;
	return log->name != NULL ? 0 : -ENOMEM;
}

VMMEM_API int
vmmem_dirty_log_new(struct vmmem_space *space,
		    const struct vmmem_dirty_log_options *options,
		    struct vmmem_dirty_log **ret_log)
{
	struct vmmem_listener_options listener = {
		.size = sizeof(listener),
		.name = "dirty log",
	};
	struct vmmem_dirty_log *log;
	int rc;

	if (space == NULL || ret_log == NULL)
		return VMMEM_EARGUMENT;
	log = calloc(1, sizeof(*log));
	if (log == NULL)
		return -ENOMEM;
	RB_INIT(&log->sources);
	rc = take_options(log, options);
	if (rc == 0)
		rc = -pthread_mutex_init(&log->lock, NULL);
	if (rc != 0) {
		free(log->name);
		free(log);
		return rc;
	}
	/* The first map comes in the callbacks. */
	rc = vmmem_listener_new(space, &listener_ops, log, &listener,
				&log->listener);
	if (rc != 0) {
		release(log);
		return rc;
	}
	log->space = space;
	*ret_log = log;
	return 0;
}

VMMEM_API struct vmmem_dirty_log *
vmmem_dirty_log_free(struct vmmem_dirty_log *log)
{
	/*
	 * on_destroy() does the rest, in a callback of the space a little
	 * later.
	 */
	if (log != NULL)
		vmmem_listener_free(log->listener);
	return NULL;
}

VMMEM_API struct vmmem_space *
vmmem_dirty_log_space(const struct vmmem_dirty_log *log)
{
	return log != NULL ? log->space : NULL;
}

VMMEM_API const char *
vmmem_dirty_log_name(const struct vmmem_dirty_log *log)
{
	return log != NULL ? log->name : NULL;
}

/* count() returns how many bytes are dirty.  Under the lock. */
static uint64_t
count(const struct vmmem_dirty_log *log)
{
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < log->current.count; i++)
		bytes += vmmem_dirty_part_count(log->current.parts[i]);
	return bytes;
}

/* collect() moves the marks from the bitmaps to the parts.  Under the lock. */
static int
collect(struct vmmem_dirty_log *log)
{
	struct vmmem_dirty_source *source;
	struct vmmem_dirty_part *part;
	size_t i;
	int rc;

	/* If one fails, the harvesters before it keep what they took. */
	RB_FOREACH(source, vmmem_dirty_sources, &log->sources) {
		rc = vmmem_harvester_take(source->harvester, NULL);
		if (rc != 0)
			return rc;
	}
	for (i = 0; i < log->current.count; i++) {
		part = log->current.parts[i];
		if (part->source == NULL)
			continue;
		vmmem_dirty_part_settle(part);
		if (part->source->harvester->taken_pages != 0)
			vmmem_dirty_part_take(
				part, &part->source->harvester->taken.bits);
	}
	RB_FOREACH(source, vmmem_dirty_sources, &log->sources)
		(void)vmmem_harvester_confirm(source->harvester, 0,
					      UINT64_MAX);
	return 0;
}

VMMEM_API int
vmmem_dirty_log_collect(struct vmmem_dirty_log *log, uint64_t *ret_bytes)
{
	int rc = 0;

	if (log == NULL)
		return VMMEM_EARGUMENT;
	if (log->options.collect != NULL)
		rc = log->options.collect(log->options.opaque);
	if (rc != 0)
		return rc > 0 ? VMMEM_ECALLBACK : rc;
	pthread_mutex_lock(&log->lock);
	rc = collect(log);
	if (rc == 0 && ret_bytes != NULL)
		*ret_bytes = count(log);
	pthread_mutex_unlock(&log->lock);
	return rc;
}

VMMEM_API uint64_t
vmmem_dirty_log_count(struct vmmem_dirty_log *log)
{
	uint64_t bytes;

	if (log == NULL)
		return 0;
	pthread_mutex_lock(&log->lock);
	bytes = count(log);
	pthread_mutex_unlock(&log->lock);
	return bytes;
}

/* find() is the first part that ends at 'gpa' or above.  Under the lock. */
static size_t
find(const struct vmmem_dirty_log *log, uint64_t gpa)
{
	size_t low = 0, high = log->current.count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (log->current.parts[middle]->last < gpa)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * begin() is where to look on behind 'range'; false if there is nothing behind
 * it.
 */
static bool
begin(const struct vmmem_dirty_range *range, uint64_t *ret_gpa)
{
	*ret_gpa = range->gpa + range->len;
	return range->len == 0 || *ret_gpa > range->gpa;
}

/* next() finds the first range of parts that are, or are not, logged. */
static int
next(struct vmmem_dirty_log *log, struct vmmem_dirty_range *range,
     bool logged)
{
	struct vmmem_dirty_range found = { 0 };
	struct vmmem_dirty_part *part;
	uint64_t gpa;
	size_t i;

	if (log == NULL || range == NULL)
		return VMMEM_EARGUMENT;
	pthread_mutex_lock(&log->lock);
	i = begin(range, &gpa) ? find(log, gpa) : log->current.count;
	for (; i < log->current.count && found.len == 0; i++) {
		part = log->current.parts[i];
		if ((part->source != NULL) != logged)
			continue;
		if (gpa < part->start)
			gpa = part->start;
		found.region = part->number;
		if (logged) {
			(void)vmmem_dirty_part_next(part, gpa, &found.gpa,
						    &found.len);
		} else {
			found.gpa = gpa;
			found.len = part->last - gpa + 1;
		}
	}
	pthread_mutex_unlock(&log->lock);
	if (found.len == 0)
		memset(&found, 0, sizeof(found));
	*range = found;
	return 0;
}

VMMEM_API int
vmmem_dirty_log_next(struct vmmem_dirty_log *log,
		     struct vmmem_dirty_range *range)
{
	return next(log, range, true);
}

VMMEM_API int
vmmem_dirty_log_next_unlogged(struct vmmem_dirty_log *log,
			      struct vmmem_dirty_range *range)
{
	return next(log, range, false);
}

VMMEM_API int
vmmem_dirty_log_confirm(struct vmmem_dirty_log *log,
			const struct vmmem_dirty_range *range)
{
	struct vmmem_dirty_part *part;
	uint64_t first, last;
	size_t i;

	if (log == NULL || range == NULL)
		return VMMEM_EARGUMENT;
	if (range->len == 0)
		return 0;
	first = range->gpa;
	last = range->len - 1 <= UINT64_MAX - first ?
		       first + (range->len - 1) :
		       UINT64_MAX;
	pthread_mutex_lock(&log->lock);
	for (i = find(log, first); i < log->current.count; i++) {
		part = log->current.parts[i];
		if (part->start > last)
			break;
		if (part->number != range->region || part->source == NULL)
			continue;
		vmmem_dirty_part_confirm(
			part, first > part->start ? first : part->start,
			last < part->last ? last : part->last);
	}
	pthread_mutex_unlock(&log->lock);
	return 0;
}
