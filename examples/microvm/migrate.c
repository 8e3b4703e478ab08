/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "migrate.h"

/* As much as goes over the wire at once; there is no wire here. */
#define CHUNK 65536

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/*
 * What vCPUs write is in KVM's log, what this process writes is marked by the
 * library.  This brings all of it together, in the bitmaps of the regions.
 */
static int
collect(void *opaque)
{
	struct machine *machine = opaque;

	return machine->ops->log_collect(machine);
}

static int
start_logs(struct migration *migration, struct vmmem_space *from)
{
	const struct vmmem_dirty_log_options options = {
		.size = sizeof(options),
		.name = "migration",
		.collect = collect,
		.opaque = migration->machine,
	};
	int rc = vmmem_dirty_log_new(from, &options, &migration->log);

	return rc == 0 ? migration->machine->ops->log_start(migration->machine)
		       : rc;
}

static int
add_part(struct migration *migration, struct vmmem_region *region)
{
	struct migrate_part *part = &migration->parts[migration->count];
	uint64_t pages = (vmmem_region_len(region) + MIGRATE_PAGE - 1) /
			 MIGRATE_PAGE;

	part->region = region;
	part->pages = pages;
	part->again = calloc(pages, sizeof(*part->again));
	part->last_round = calloc(pages, sizeof(*part->last_round));
	/* Counted at once, so that migrate_end() frees a half-made one. */
	migration->count++;
	return part->again == NULL || part->last_round == NULL ? -ENOMEM : 0;
}

int
migrate_start(struct migration *migration, struct machine *machine,
	      struct vmmem_space *from, struct vmmem_space *to)
{
	size_t count;
	int rc = 0;

	memset(migration, 0, sizeof(*migration));
	migration->machine = machine;
	migration->from = vmmem_space_get(from);
	migration->to = vmmem_space_get(to);
	count = vmmem_collection_count(migration->from);
	migration->parts = calloc(count, sizeof(*migration->parts));
	if (migration->parts == NULL)
		return -ENOMEM;

	for (size_t i = 0; i < count && rc == 0; i++) {
		struct vmmem_region *region =
			vmmem_collection_region(migration->from, i);

		/* An alias has the bitmap of its target, which is no ROM. */
		if (vmmem_region_bitmap(region) != NULL)
			rc = add_part(migration, region);
	}
	return rc == 0 ? start_logs(migration, from) : rc;
}

/* Reading and writing again is all that a real wire would do in between. */
static int
send_bytes(const struct migration *migration, uint64_t gpa, uint64_t len)
{
	static uint8_t wire[CHUNK];
	size_t chunk;
	int rc = 0;

	for (; len > 0 && rc == 0; gpa += chunk, len -= chunk) {
		chunk = len < CHUNK ? (size_t)len : CHUNK;
		rc = vmmem_collection_read(migration->from, gpa, wire, chunk,
					   NULL);
		if (rc == 0)
			rc = vmmem_collection_write(migration->to, gpa, wire,
						    chunk, NULL);
	}
	return rc;
}

/* Keeps the books of what was sent, which is in one region. */
static void
note_sent(struct migration *migration, uint64_t gpa, uint64_t len)
{
	struct migrate_part *part = migration->parts;
	uint64_t first, last;

	while (vmmem_region_last(part->region) < gpa)
		part++;
	first = (gpa - vmmem_region_start(part->region)) / MIGRATE_PAGE;
	last = first + (len - 1) / MIGRATE_PAGE;
	for (uint64_t i = first; i <= last; i++) {
		if (migration->round > 1)
			part->again[i]++;
		part->last_round[i] = migration->round;
		migration->sent++;
	}
}

int
migrate_send(struct migration *migration)
{
	struct vmmem_dirty_range range = { 0 };
	double start = now();
	int rc;

	migration->round++;
	migration->sent = 0;
	/* First the marks, then the bytes: see docs/marking.md. */
	rc = vmmem_dirty_log_collect(migration->log, NULL);
	while (rc == 0) {
		rc = vmmem_dirty_log_next(migration->log, &range);
		if (rc != 0 || range.len == 0)
			break;
		/* What was not sent is still dirty in the next round. */
		rc = send_bytes(migration, range.gpa, range.len);
		if (rc == 0)
			rc = vmmem_dirty_log_confirm(migration->log, &range);
		if (rc == 0)
			note_sent(migration, range.gpa, range.len);
	}
	migration->seconds = now() - start;
	return rc;
}

int
migrate_look(struct migration *migration)
{
	uint64_t bytes = 0;
	int rc = vmmem_dirty_log_collect(migration->log, &bytes);

	migration->left = bytes / MIGRATE_PAGE;
	return rc;
}

int
migrate_end(struct migration *migration)
{
	int rc = migration->machine->ops->log_stop(migration->machine);

	vmmem_dirty_log_free(migration->log);
	for (size_t i = 0; i < migration->count; i++) {
		free(migration->parts[i].again);
		free(migration->parts[i].last_round);
	}
	free(migration->parts);
	vmmem_collection_unref(migration->from);
	vmmem_collection_unref(migration->to);
	memset(migration, 0, sizeof(*migration));
	return rc;
}

/* FNV-1a. */
static uint64_t
hash(uint64_t hash, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash;
}

int
migrate_compare(const struct migration *migration, bool *ret_same,
		uint64_t ret_hashes[2])
{
	static uint8_t from[CHUNK], to[CHUNK];
	uint64_t hashes[2] = { 0xcbf29ce484222325, 0xcbf29ce484222325 };
	bool same = vmmem_collection_count(migration->from) ==
		    vmmem_collection_count(migration->to);

	for (size_t i = 0; i < vmmem_collection_count(migration->from); i++) {
		struct vmmem_region *region =
			vmmem_collection_region(migration->from, i);
		uint64_t gpa = vmmem_region_start(region);
		uint64_t len = vmmem_region_len(region);
		size_t chunk;
		int rc;

		for (; len > 0; gpa += chunk, len -= chunk) {
			chunk = len < CHUNK ? (size_t)len : CHUNK;
			rc = vmmem_collection_read(migration->from, gpa, from,
						   chunk, NULL);
			if (rc == 0)
				rc = vmmem_collection_read(migration->to, gpa,
							   to, chunk, NULL);
			if (rc != 0)
				return rc;
			same = same && memcmp(from, to, chunk) == 0;
			hashes[0] = hash(hashes[0], from, chunk);
			hashes[1] = hash(hashes[1], to, chunk);
		}
	}
	*ret_same = same;
	memcpy(ret_hashes, hashes, sizeof(hashes));
	return 0;
}
