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
collect(struct migration *migration)
{
	return migration->machine->ops->log_collect(migration->machine);
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
	if (part->again == NULL || part->last_round == NULL)
		return -ENOMEM;
	return vmmem_harvester_new(vmmem_region_bitmap(region), NULL,
				   &part->harvester);
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
	if (rc == 0)
		rc = machine->ops->log_start(machine);
	return rc;
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

/* Sends [offset, offset + len) of a region, and keeps the books. */
static int
send_range(struct migration *migration, struct migrate_part *part,
	   uint64_t offset, uint64_t len)
{
	int rc = send_bytes(migration,
			    vmmem_region_start(part->region) + offset, len);

	/* What was not sent is still there after the next take. */
	if (rc == 0)
		rc = vmmem_harvester_confirm(part->harvester, offset, len);
	if (rc != 0)
		return rc;
	for (uint64_t i = offset / MIGRATE_PAGE;
	     i <= (offset + (len - 1)) / MIGRATE_PAGE; i++) {
		if (migration->round > 1)
			part->again[i]++;
		part->last_round[i] = migration->round;
		migration->sent++;
	}
	return 0;
}

static int
send_dirty(struct migration *migration, struct migrate_part *part)
{
	const struct vmmem_bitmap *taken;
	uint64_t at = 0, start, len;
	int rc;

	/* First the marks, then the bytes: see docs/marking.md. */
	rc = vmmem_harvester_take(part->harvester, NULL);
	if (rc != 0)
		return rc;
	taken = vmmem_harvester_taken(part->harvester);
	if (migration->round == 1)
		return send_range(migration, part, 0,
				  vmmem_region_len(part->region));
	for (;;) {
		rc = vmmem_bitmap_next(taken, at, &start, &len);
		if (rc != 0 || len == 0)
			return rc;
		rc = send_range(migration, part, start, len);
		if (rc != 0)
			return rc;
		at = start + len;
	}
}

int
migrate_send(struct migration *migration)
{
	double start = now();
	int rc;

	migration->round++;
	migration->sent = 0;
	rc = collect(migration);
	for (size_t i = 0; i < migration->count && rc == 0; i++)
		rc = send_dirty(migration, &migration->parts[i]);
	migration->seconds = now() - start;
	return rc;
}

int
migrate_look(struct migration *migration)
{
	int rc = collect(migration);

	migration->left = 0;
	for (size_t i = 0; i < migration->count; i++)
		migration->left += vmmem_bitmap_count(
			vmmem_region_bitmap(migration->parts[i].region));
	return rc;
}

int
migrate_end(struct migration *migration)
{
	int rc = migration->machine->ops->log_stop(migration->machine);

	for (size_t i = 0; i < migration->count; i++) {
		vmmem_harvester_free(migration->parts[i].harvester);
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
