/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The vhost object: a map made of a front end's memory table. */
#include <vmmem/error.h>
#include <vmmem/vhost.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/api.h"
#include "base/struct_size.h"
#include "vhost/vhost_priv.h"

/*
 * The default of what one front end may map: a quarter of the addresses, and so
 * half of them with two tables at once.
 */
#define SHARE 4

/* copy_rules() checks rules and copies them, of any size. */
static int
copy_rules(const struct vmmem_fd_rules *rules,
	   struct vmmem_fd_rules **ret_rules)
{
	struct vmmem_fd_rules *copy;
	int rc;

	*ret_rules = NULL;
	if (rules == NULL)
		return 0;
	/* The rules are checked before the descriptor, and -1 is none. */
	rc = vmmem_fd_check(-1, 0, 0, rules, NULL);
	if (rc != -EBADF)
		return rc;
	copy = malloc(rules->size);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, rules, rules->size);
	*ret_rules = copy;
	return 0;
}

/* addresses() is how many bytes the process may map. */
static uint64_t
addresses(void)
{
	struct rlimit limit;
	/* Whatever the machine has, the stack is in the upper half of it. */
	uint64_t most = UINT64_C(2)
			<< (63 - __builtin_clzll((uintptr_t)&limit));

	if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < most)
		most = limit.rlim_cur;
	return most;
}

VMMEM_API int
vmmem_vhost_new(struct vmmem_space *space,
		const struct vmmem_vhost_options *options,
		struct vmmem_vhost **ret_vhost)
{
	struct vmmem_vhost_options known = { 0 };
	struct vmmem_fd_rules *rules;
	struct vmmem_vhost *vhost;
	int rc;

	if (space == NULL || ret_vhost == NULL)
		return VMMEM_EARGUMENT;
	if (options != NULL) {
		rc = vmmem_struct_take(options, &known, sizeof(known),
				       VMMEM_VHOST_OPTIONS_SIZE_0_9);
		if (rc != 0)
			return rc;
	}
	if (known.regions_max > VMMEM_VHOST_REGIONS_MAX || known.flags != 0)
		return VMMEM_EARGUMENT;
	rc = copy_rules(known.rules, &rules);
	if (rc != 0)
		return rc;

	vhost = calloc(1, sizeof(*vhost));
	if (vhost != NULL)
		vhost->table = vmmem_vhost_table_new(0);
	if (vhost == NULL || vhost->table == NULL) {
		free(vhost);
		free(rules);
		return -ENOMEM;
	}
	vhost->rules = rules;
	vhost->regions_max = known.regions_max != 0 ? known.regions_max :
						      VMMEM_VHOST_REGIONS_MAX;
	vhost->bytes_max = known.bytes_max != 0 ? known.bytes_max :
						  addresses() / SHARE;
	vhost->space = vmmem_space_ref(space);
	vhost->iotlb = vmmem_iotlb_ref(known.iotlb);
	*ret_vhost = vhost;
	return 0;
}

VMMEM_API struct vmmem_vhost *
vmmem_vhost_free(struct vmmem_vhost *vhost)
{
	if (vhost == NULL)
		return NULL;
	vmmem_vhost_table_free(vhost->table);
	vmmem_iotlb_unref(vhost->iotlb);
	vmmem_space_unref(vhost->space);
	free(vhost->rules);
	free(vhost);
	return NULL;
}

/* Whether 'log', or no log, covers all rows of a sorted table. */
static bool
log_reaches(const struct vmmem_bitmap *log,
	    const struct vmmem_vhost_table *table)
{
	const struct vmmem_vhost_region *highest;

	if (log == NULL || table->count == 0)
		return true;
	highest = &table->rows[table->count - 1].wire;
	return highest->gpa + (highest->len - 1) < vmmem_bitmap_len(log);
}

/* check() makes the checks of a table that need no file. */
static int
check(const struct vmmem_vhost *vhost, struct vmmem_vhost_table *table)
{
	size_t i;
	int rc;

	rc = vmmem_vhost_table_sort(table);
	if (rc != 0)
		return rc;
	if (!log_reaches(vhost->table->log, table))
		return VMMEM_ELOGSHORT;
	for (i = 0; i < table->count; i++) {
		const struct vmmem_vhost_region *row = &table->rows[i].wire;

		if ((row->gpa ^ row->offset) % VMMEM_VHOST_CONGRUENCE != 0)
			return VMMEM_ECONGRUENCE;
	}
	table->log = vmmem_bitmap_ref(vhost->table->log);
	table->log_bytes = vhost->table->log_bytes;
	return 0;
}

/* map_rows() maps the rows of a sorted table in the order of the message. */
static int
map_rows(struct vmmem_vhost *vhost, struct vmmem_vhost_table *table,
	 const struct vmmem_vhost_region *regions, const int *fds)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < table->count && rc == 0; i++)
		rc = vmmem_vhost_map_row(vhost, table,
					 vmmem_vhost_row_at(table,
							    regions[i].gpa),
					 fds[i]);
	return rc;
}

VMMEM_API int
vmmem_vhost_set_table(struct vmmem_vhost *vhost,
		      const struct vmmem_vhost_region *regions, size_t count,
		      const int *fds, size_t fd_count)
{
	struct vmmem_vhost_table *table;
	size_t i;
	int rc;

	if (vhost == NULL || (count != 0 && regions == NULL) ||
	    (fd_count != 0 && fds == NULL))
		return VMMEM_EARGUMENT;
	if (count > vhost->regions_max)
		return VMMEM_EREGIONCOUNT;
	if (fd_count != count)
		return VMMEM_EDESCRIPTORS;

	table = vmmem_vhost_table_new(count);
	if (table == NULL)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		table->rows[i].wire = regions[i];
	rc = check(vhost, table);
	if (rc == 0)
		rc = map_rows(vhost, table, regions, fds);
	if (rc == 0)
		rc = vmmem_vhost_install(vhost, table);
	if (rc != 0)
		vmmem_vhost_table_free(table);
	return rc;
}

/*
 * copy_rows() gives a table with room for 'more' rows, after the rows of the
 * current one except the one at 'without'.
 */
static struct vmmem_vhost_table *
copy_rows(const struct vmmem_vhost *vhost, size_t without, size_t more)
{
	const struct vmmem_vhost_table *old = vhost->table;
	struct vmmem_vhost_table *table;
	size_t i, count = 0;

	table = vmmem_vhost_table_new(old->count - (without < old->count) +
				      more);
	if (table == NULL)
		return NULL;
	for (i = 0; i < old->count; i++) {
		if (i == without)
			continue;
		table->rows[count] = old->rows[i];
		table->rows[count].region = NULL;
		vmmem_region_ref(table->rows[count].mapping);
		table->row_bytes += table->rows[count].bytes;
		count++;
	}
	return table;
}

VMMEM_API int
vmmem_vhost_add(struct vmmem_vhost *vhost,
		const struct vmmem_vhost_region *region, int fd)
{
	struct vmmem_vhost_table *table;
	size_t i, count;
	int rc;

	if (vhost == NULL || region == NULL)
		return VMMEM_EARGUMENT;
	count = vhost->table->count;
	if (count >= vhost->regions_max)
		return VMMEM_EREGIONCOUNT;
	table = copy_rows(vhost, SIZE_MAX, 1);
	if (table == NULL)
		return -ENOMEM;
	table->rows[count].wire = *region;
	rc = check(vhost, table);
	/*
	 * Sorting has put it among the others: only the new row has no pages.
	 */
	for (i = 0; i < table->count && rc == 0; i++) {
		if (table->rows[i].mapping == NULL)
			rc = vmmem_vhost_map_row(vhost, table, &table->rows[i],
						 fd);
	}
	if (rc == 0)
		rc = vmmem_vhost_install(vhost, table);
	if (rc != 0)
		vmmem_vhost_table_free(table);
	return rc;
}

VMMEM_API int
vmmem_vhost_remove(struct vmmem_vhost *vhost,
		   const struct vmmem_vhost_region *region)
{
	struct vmmem_vhost_table *table;
	size_t i;
	int rc;

	if (vhost == NULL || region == NULL)
		return VMMEM_EARGUMENT;
	for (i = 0; i < vhost->table->count; i++) {
		const struct vmmem_vhost_region *row =
			&vhost->table->rows[i].wire;

		if (row->gpa == region->gpa && row->len == region->len &&
		    row->user_address == region->user_address)
			break;
	}
	if (i == vhost->table->count)
		return VMMEM_ENOREGION;
	table = copy_rows(vhost, i, 0);
	if (table == NULL)
		return -ENOMEM;
	rc = check(vhost, table);
	if (rc == 0)
		rc = vmmem_vhost_install(vhost, table);
	if (rc != 0)
		vmmem_vhost_table_free(table);
	return rc;
}

/*
 * use_log() makes a part [offset, offset + len) of a file the log of the rows;
 * without bytes they have no log.
 */
static int
use_log(struct vmmem_vhost *vhost, int fd, uint64_t offset, uint64_t len)
{
	struct vmmem_vhost_table *table = copy_rows(vhost, SIZE_MAX, 0);
	int rc;

	if (table == NULL)
		return -ENOMEM;
	/* The rows are checked already; only their order is checked here. */
	rc = vmmem_vhost_table_sort(table);
	if (rc == 0 && len != 0)
		rc = vmmem_vhost_map_log(vhost, table, fd, offset, len);
	if (rc == 0 && !log_reaches(table->log, table))
		rc = VMMEM_ELOGSHORT;
	if (rc == 0)
		rc = vmmem_vhost_install(vhost, table);
	if (rc != 0)
		vmmem_vhost_table_free(table);
	return rc;
}

VMMEM_API int
vmmem_vhost_set_log(struct vmmem_vhost *vhost, int fd, uint64_t offset,
		    uint64_t len)
{
	if (vhost == NULL)
		return VMMEM_EARGUMENT;
	return len == 0 ? VMMEM_EZEROLEN : use_log(vhost, fd, offset, len);
}

VMMEM_API int
vmmem_vhost_clear_log(struct vmmem_vhost *vhost)
{
	if (vhost == NULL)
		return VMMEM_EARGUMENT;
	return vhost->table->log != NULL ? use_log(vhost, -1, 0, 0) : 0;
}

VMMEM_API struct vmmem_bitmap *
vmmem_vhost_log(const struct vmmem_vhost *vhost)
{
	return vhost != NULL ? vhost->table->log : NULL;
}

VMMEM_API int
vmmem_vhost_mark(struct vmmem_vhost *vhost, uint64_t gpa, uint64_t len)
{
	if (vhost == NULL)
		return VMMEM_EARGUMENT;
	return vhost->table->log != NULL ?
		       vmmem_bitmap_mark(vhost->table->log, gpa, len) :
		       0;
}

VMMEM_API struct vmmem_space *
vmmem_vhost_space(const struct vmmem_vhost *vhost)
{
	return vhost != NULL ? vhost->space : NULL;
}

VMMEM_API struct vmmem_iotlb *
vmmem_vhost_iotlb(const struct vmmem_vhost *vhost)
{
	return vhost != NULL ? vhost->iotlb : NULL;
}

VMMEM_API const struct vmmem_fd_rules *
vmmem_vhost_rules(const struct vmmem_vhost *vhost)
{
	return vhost != NULL ? vhost->rules : NULL;
}

VMMEM_API uint32_t
vmmem_vhost_regions_max(const struct vmmem_vhost *vhost)
{
	return vhost != NULL ? (uint32_t)vhost->regions_max : 0;
}

VMMEM_API uint64_t
vmmem_vhost_bytes_max(const struct vmmem_vhost *vhost)
{
	return vhost != NULL ? vhost->bytes_max : 0;
}
