/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A memory table's rows, and the mappings of their files. */
#include <vmmem/address.h>
#include <vmmem/error.h>
#include <vmmem/region_builder.h>
#include <vmmem/update.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhost/vhost_priv.h"

/* No page that the system could map at once is larger. */
#define LARGEST (UINT64_C(1) << 30)

struct vmmem_vhost_table *
vmmem_vhost_table_new(size_t count)
{
	struct vmmem_vhost_table *table;

	/* 'count' is at most VMMEM_VHOST_REGIONS_MAX. */
	table = calloc(1, sizeof(*table) + count * sizeof(table->rows[0]) +
				  count * sizeof(table->by_user[0]));
	if (table == NULL)
		return NULL;
	table->count = count;
	table->by_user = (struct vmmem_vhost_row **)&table->rows[count];
	return table;
}

void
vmmem_vhost_table_free(struct vmmem_vhost_table *table)
{
	size_t i;

	if (table == NULL)
		return;
	for (i = 0; i < table->count; i++) {
		vmmem_region_unref(table->rows[i].region);
		vmmem_region_unref(table->rows[i].mapping);
	}
	vmmem_bitmap_unref(table->log);
	free(table);
}

static int
compare_gpa(const void *a, const void *b)
{
	const struct vmmem_vhost_row *left = a, *right = b;

	return (left->wire.gpa > right->wire.gpa) -
	       (left->wire.gpa < right->wire.gpa);
}

static int
compare_user(const void *a, const void *b)
{
	const struct vmmem_vhost_row *const *left = a, *const *right = b;
	const uint64_t low = (*left)->wire.user_address;
	const uint64_t high = (*right)->wire.user_address;

	return (low > high) - (low < high);
}

/*
 * The front end chooses the order of the rows.  They are so few that no sorting
 * takes long, however bad the order is for it.
 */
int
vmmem_vhost_table_sort(struct vmmem_vhost_table *table)
{
	struct vmmem_vhost_row *rows = table->rows;
	const struct vmmem_vhost_region *low, *high;
	size_t i;

	for (i = 0; i < table->count; i++) {
		if (rows[i].wire.len == 0)
			return VMMEM_EZEROLEN;
	}
	for (i = 0; i < table->count; i++) {
		low = &rows[i].wire;
		if (low->len - 1 > UINT64_MAX - low->gpa ||
		    low->len - 1 > UINT64_MAX - low->user_address)
			return VMMEM_EWRAPS;
	}
	qsort(rows, table->count, sizeof(rows[0]), compare_gpa);
	for (i = 1; i < table->count; i++) {
		low = &rows[i - 1].wire;
		if (rows[i].wire.gpa - low->gpa < low->len)
			return VMMEM_EOVERLAP;
	}
	for (i = 0; i < table->count; i++)
		table->by_user[i] = &rows[i];
	qsort(table->by_user, table->count, sizeof(table->by_user[0]),
	      compare_user);
	for (i = 1; i < table->count; i++) {
		low = &table->by_user[i - 1]->wire;
		high = &table->by_user[i]->wire;
		if (high->user_address - low->user_address < low->len)
			return VMMEM_EUSEROVERLAP;
	}
	return 0;
}

struct vmmem_vhost_row *
vmmem_vhost_row_at(struct vmmem_vhost_table *table, uint64_t gpa)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->rows[middle].wire.gpa < gpa)
			low = middle + 1;
		else
			high = middle;
	}
	return low < table->count && table->rows[low].wire.gpa == gpa ?
		       &table->rows[low] :
		       NULL;
}

/* is_of_file() stores whether 'region' is of the file that 'fd' is of. */
static int
is_of_file(const struct vmmem_region *region, int fd, int *ret_is)
{
	uint64_t offset;
	int own, rc;

	rc = vmmem_region_file(region, &own, &offset);
	return rc != 0 ? rc : vmmem_fd_same_file(own, fd, ret_is);
}

/* A part of a file, and the pages that it is mapped by. */
struct pages {
	int fd;
	uint64_t offset;
	uint64_t len;
	/* Results: the file's numbers, and its pages with that part. */
	struct vmmem_fd_report report;
	uint64_t before; /* bytes of them before 'offset' */
	uint64_t bytes;	 /* of all of them */
};

/*
 * find_mapped() stores the current table's mapping of the same file and range,
 * or NULL.
 */
static int
find_mapped(const struct vmmem_vhost_table *table,
	    const struct vmmem_vhost_row *row, int fd,
	    struct vmmem_region **ret_region)
{
	int rc = 0, same = 0;
	size_t i;

	*ret_region = NULL;
	for (i = 0; i < table->count && rc == 0 && !same; i++) {
		const struct vmmem_vhost_row *old = &table->rows[i];

		/* The numbers first: no other file can be the same. */
		if (old->device != row->device || old->inode != row->inode ||
		    old->wire.offset != row->wire.offset ||
		    old->wire.len != row->wire.len)
			continue;
		rc = is_of_file(old->mapping, fd, &same);
		if (rc == 0 && same)
			*ret_region = old->mapping;
	}
	return rc;
}

/*
 * find_pages() looks at a file, and tells whether no more than 'most' bytes
 * would be mapped of it.
 */
static int
find_pages(const struct vmmem_vhost *vhost, uint64_t most, struct pages *pages)
{
	uint64_t page, whole;
	int rc;

	pages->report.size = sizeof(pages->report);
	/* No bytes: only its pages tell where a mapping may begin. */
	rc = vmmem_fd_check(pages->fd, 0, 0, vhost->rules, &pages->report);
	if (rc != 0)
		return rc;
	page = pages->report.page_size;
	/* A device may have any; mmap(2) wants at least the system's. */
	if (page == 0)
		page = (uint64_t)sysconf(_SC_PAGESIZE);
	pages->before = pages->offset % page;
	if (vmmem_address_checked_add(pages->len, pages->before, &whole) != 0 ||
	    vmmem_address_align_up(whole, page, &pages->bytes) != 0)
		return VMMEM_EWRAPS;
	if (pages->bytes <= most)
		return 0;
	/*
	 * First, as a range past the end of the file is the more telling code.
	 */
	rc = vmmem_fd_check(pages->fd, pages->offset - pages->before, whole,
			    vhost->rules, NULL);
	return rc != 0 ? rc : VMMEM_EREGIONBYTES;
}

static int
map_pages(const struct vmmem_vhost *vhost, const struct pages *pages,
	  struct vmmem_region **ret_region)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_policy *policy = vmmem_policy_new();
	int rc = -ENOMEM;

	if (builder == NULL || policy == NULL)
		goto free;
	/*
	 * At a guest address that means nothing, except that it lies in a page
	 * as the byte does in the file, whose huge pages are mapped as such
	 * only where the host address does too.
	 */
	vmmem_region_builder_set_range(builder, pages->offset % LARGEST,
				       pages->len);
	vmmem_region_builder_set_untrusted_file(builder, pages->fd,
						pages->offset, 0, vhost->rules);
	/*
	 * A front end may have a file of more pages than the pool has, and give
	 * the guest those that there are (virtio-mem).
	 */
	vmmem_policy_set_reserve(policy, VMMEM_RESERVE_NO);
	vmmem_region_builder_set_policy(builder, policy);
	rc = vmmem_region_builder_build(builder, ret_region);
free:
	vmmem_policy_free(policy);
	vmmem_region_builder_free(builder);
	return rc;
}

/* bytes_left() is how many more may be mapped. */
static uint64_t
bytes_left(const struct vmmem_vhost *vhost,
	   const struct vmmem_vhost_table *table)
{
	if (vhost->bytes_max == UINT64_MAX)
		return UINT64_MAX;
	/* This does not wrap: each was checked before it was added. */
	return vhost->bytes_max - table->row_bytes - table->log_bytes;
}

int
vmmem_vhost_map_row(const struct vmmem_vhost *vhost,
		    struct vmmem_vhost_table *table,
		    struct vmmem_vhost_row *row, int fd)
{
	struct pages pages = { .fd = fd, .offset = row->wire.offset,
			       .len = row->wire.len };
	struct vmmem_region *mapping;
	uint64_t rest;
	int rc;

	rc = find_pages(vhost, bytes_left(vhost, table), &pages);
	if (rc != 0)
		return rc;
	row->device = pages.report.device;
	row->inode = pages.report.inode;
	rc = find_mapped(vhost->table, row, fd, &mapping);
	if (rc != 0)
		return rc;
	if (mapping != NULL)
		/* This descriptor may permit less than that one did. */
		rc = vmmem_fd_check(fd, pages.offset - pages.before,
				    pages.before + pages.len, vhost->rules,
				    NULL);
	else
		rc = map_pages(vhost, &pages, &row->mapping);
	if (rc != 0)
		return rc;
	if (mapping != NULL)
		row->mapping = vmmem_region_ref(mapping);
	row->bytes = pages.bytes;
	table->row_bytes += pages.bytes;
	return vmmem_region_host_address(row->mapping, 0, &row->host, &rest);
}

/* The bitmap is gone: its words may be freed. */
static void
release_log(void *opaque)
{
	vmmem_region_unref(opaque);
}

int
vmmem_vhost_map_log(const struct vmmem_vhost *vhost,
		    struct vmmem_vhost_table *table, int fd, uint64_t offset,
		    uint64_t len)
{
	const uint64_t bytes_of_byte = 8 * VMMEM_VHOST_LOG_PAGE;
	struct pages pages = { .fd = fd, .offset = offset, .len = len };
	struct vmmem_region *region;
	uint64_t covered, rest;
	void *host;
	int rc;

	rc = find_pages(vhost, bytes_left(vhost, table), &pages);
	if (rc == 0)
		rc = map_pages(vhost, &pages, &region);
	if (rc != 0)
		return rc;
	rc = vmmem_region_host_address(region, 0, &host, &rest);
	if (rc == 0) {
		covered = len > UINT64_MAX / bytes_of_byte ?
				  UINT64_MAX :
				  len * bytes_of_byte;
		rc = vmmem_bitmap_new_external(host, (size_t)len, covered,
					       VMMEM_VHOST_LOG_PAGE,
					       release_log, region, NULL,
					       &table->log);
	}
	if (rc != 0) {
		vmmem_region_unref(region);
		return rc;
	}
	table->log_bytes = pages.bytes;
	return 0;
}

/* show() makes the region of a row that the space will have. */
static int
show(const struct vmmem_vhost *vhost, const struct vmmem_vhost_table *table,
     struct vmmem_vhost_row *row, struct vmmem_region_builder *builder)
{
	const struct vmmem_vhost_row *old =
		vmmem_vhost_row_at(vhost->table, row->wire.gpa);

	if (old != NULL && old->mapping == row->mapping &&
	    old->wire.len == row->wire.len && vhost->table->log == table->log) {
		row->region = vmmem_region_ref(old->region);
		return 0;
	}
	vmmem_region_builder_set_range(builder, row->wire.gpa, row->wire.len);
	vmmem_region_builder_set_alias(builder, row->mapping,
				       vmmem_region_len(row->mapping) -
					       row->wire.len);
	vmmem_region_builder_set_bitmap(builder, table->log,
					table->log != NULL ? row->wire.gpa : 0);
	return vmmem_region_builder_build(builder, &row->region);
}

static int
show_all(const struct vmmem_vhost *vhost, struct vmmem_vhost_table *table)
{
	struct vmmem_region_builder *builder;
	int rc = 0;
	size_t i;

	builder = vmmem_region_builder_new();
	if (builder == NULL)
		return -ENOMEM;
	for (i = 0; i < table->count && rc == 0; i++)
		rc = show(vhost, table, &table->rows[i], builder);
	vmmem_region_builder_free(builder);
	return rc;
}

/* Whether the space has 'region' from the current table. */
static bool
is_ours(const struct vmmem_vhost *vhost, const struct vmmem_region *region)
{
	const struct vmmem_vhost_row *row;

	row = vmmem_vhost_row_at(vhost->table, vmmem_region_start(region));
	return row != NULL && row->region == region;
}

/* combine() makes a map of the rows of 'table' and of others' regions. */
static int
combine(const struct vmmem_vhost *vhost, const struct vmmem_collection *map,
	const struct vmmem_vhost_table *table,
	struct vmmem_collection **ret_map)
{
	size_t i, count = 0, most = vmmem_collection_count(map) + table->count;
	struct vmmem_region **regions;
	int rc;

	if (most == 0)
		return vmmem_collection_new_empty(ret_map);
	regions = calloc(most, sizeof(regions[0]));
	if (regions == NULL)
		return -ENOMEM;
	for (i = 0; i < vmmem_collection_count(map); i++) {
		struct vmmem_region *region = vmmem_collection_region(map, i);

		if (!is_ours(vhost, region))
			regions[count++] = region;
	}
	for (i = 0; i < table->count; i++)
		regions[count++] = table->rows[i].region;
	rc = count == 0 ? vmmem_collection_new_empty(ret_map) :
			  vmmem_collection_new_unsorted(regions, count,
							ret_map);
	free(regions);
	return rc;
}

int
vmmem_vhost_install(struct vmmem_vhost *vhost, struct vmmem_vhost_table *table)
{
	struct vmmem_collection *map;
	struct vmmem_update *update;
	int rc;

	rc = show_all(vhost, table);
	if (rc != 0)
		return rc;
	rc = vmmem_update_new(vhost->space, VMMEM_FOREVER, &update);
	if (rc != 0)
		return rc;
	rc = combine(vhost, vmmem_update_collection(update), table, &map);
	if (rc == 0) {
		rc = vmmem_update_replace(update, map);
		vmmem_collection_unref(map);
	}
	if (rc == 0)
		rc = vmmem_update_commit(update);
	vmmem_update_free(update);
	if (rc != 0)
		return rc;
	vmmem_vhost_table_free(vhost->table);
	vhost->table = table;
	return 0;
}
