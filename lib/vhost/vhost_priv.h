/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The inside of a vhost object: its table, and how a new one is made. */
#ifndef VHOST_PRIV_H
#define VHOST_PRIV_H

#include <stddef.h>
#include <stdint.h>

#include <vmmem/bitmap.h>
#include <vmmem/region.h>
#include <vmmem/vhost.h>

/*
 * The modulus by which a guest address and the offset in a mapping of its file
 * agree.
 */
#define VMMEM_VHOST_CONGRUENCE 16

struct vmmem_vhost_row {
	struct vmmem_vhost_region wire;
	/* The file.  While it is mapped its number is not used again. */
	uint64_t device;
	uint64_t inode;
	/* The region of the file's pages, and the alias that the space has. */
	struct vmmem_region *mapping;
	struct vmmem_region *region;
	/* The length of the mapping, with all of its pages. */
	uint64_t bytes;
	/* The address of the row's first byte. */
	void *host;
};

/* A table never changes once it is in use; rows are sorted by gpa. */
struct vmmem_vhost_table {
	struct vmmem_bitmap *log;
	uint64_t log_bytes; /* of its mapping */
	uint64_t row_bytes; /* of those of all rows */
	size_t count;
	/* The rows by user address; it stands behind them. */
	struct vmmem_vhost_row **by_user;
	struct vmmem_vhost_row rows[];
};

struct vmmem_vhost {
	struct vmmem_space *space;
	struct vmmem_iotlb *iotlb;
	struct vmmem_fd_rules *rules; /* NULL: the strictest */
	size_t regions_max;
	uint64_t bytes_max; /* UINT64_MAX: any */
	struct vmmem_vhost_table *table;
};

/* vmmem_vhost_table_new() gives 'count' rows of zeros; NULL if no memory. */
struct vmmem_vhost_table *vmmem_vhost_table_new(size_t count);

/* vmmem_vhost_table_free() copes with rows that are not complete. */
void vmmem_vhost_table_free(struct vmmem_vhost_table *table);

/* vmmem_vhost_table_sort() checks and sorts rows; only their 'wire' is set. */
int vmmem_vhost_table_sort(struct vmmem_vhost_table *table);

/* vmmem_vhost_row_at() is the row that begins at 'gpa', or NULL. */
struct vmmem_vhost_row *vmmem_vhost_row_at(struct vmmem_vhost_table *table,
					   uint64_t gpa);

/*
 * vmmem_vhost_map_row() maps the file of a row of 'table', or takes the current
 * table's mapping of it.
 */
int vmmem_vhost_map_row(const struct vmmem_vhost *vhost,
			struct vmmem_vhost_table *table,
			struct vmmem_vhost_row *row, int fd);

/*
 * vmmem_vhost_map_log() makes a bitmap of a part of a file, and makes it the
 * log of 'table', which has none.
 */
int vmmem_vhost_map_log(const struct vmmem_vhost *vhost,
			struct vmmem_vhost_table *table, int fd,
			uint64_t offset, uint64_t len);

/*
 * vmmem_vhost_install() makes the regions of 'table', whose rows are mapped,
 * and puts them into the space in place of those of the current table, which is
 * then freed.  After a failure 'table' is still the caller's.
 */
int vmmem_vhost_install(struct vmmem_vhost *vhost,
			struct vmmem_vhost_table *table);

#endif
