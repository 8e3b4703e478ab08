/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The inside of a region, for the files that make one and those that use it. */
#ifndef REGION_PRIV_H
#define REGION_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/types.h>

#include <vmmem/region.h>

#include "region/file.h"
#include "region/fd_priv.h"
#include "region/policy_priv.h"
struct vmmem_fault_record;
struct vmmem_pin_set;
struct vmmem_private;
struct vmmem_replaced;

/*
 * Guest and host address of a region agree modulo this, the widest access that
 * any processor makes as one, so that either tells whether one is aligned.
 */
#define VMMEM_CONGRUENCE 16

/*
 * The members of a region that an access needs, beside each other in 32 bytes,
 * so that one cache line serves it and the rest of the region is not looked at.
 */
struct vmmem_region_entry {
	uint64_t span;		 /* length - 1 */
	unsigned char *host;	 /* of the first byte, or NULL: ask first */
	const uint32_t *logging; /* is not 0 while writes are marked */
	uint32_t access;	 /* what the region permits */
	/*
	 * The same, or 0 if host is NULL; and VMMEM_SLICE_CALL where a peer
	 * can take the memory away: its slices are the library's.
	 */
	uint32_t direct;
};

/* 'logging' points to this word if there is no bitmap: it is always 0. */
extern const uint32_t vmmem_region_never_logging;

/* A pointer that a component has left with an object, under its key. */
struct vmmem_cookie {
	const void *key;
	void *cookie;
	void (*destroy)(void *cookie); /* or NULL */
};

struct vmmem_region {
	/* First, in a cache line that does not change. */
	struct vmmem_region_entry entry;
	uint64_t bitmap_offset; /* see 'bitmap' */

	uint64_t start;
	uint64_t last;
	unsigned char *host; /* of the first byte; NULL: callbacks only */

	uint32_t kind;
	uint32_t protection;
	uint32_t role;
	uint32_t guest_node;
	atomic_size_t refs;

	bool can_shrink; /* another process may cut its file short */
	uint32_t mapping_flags; /* the flags of mmap(2), except MAP_FIXED */
	uint32_t huge_pages;
	uint64_t page_size; /* 0: unknown */

	/*
	 * An alias holds a reference to the region that has the bytes, which
	 * is never an alias itself.
	 */
	struct vmmem_region *target;
	uint64_t target_offset;

	/*
	 * The file, which other regions may share, and its descriptor: -1 if
	 * there is none.  An alias looks at its target's.  While the region is
	 * made, 'file' is NULL and 'fd' the region's own.
	 */
	struct vmmem_file *file;
	int fd;
	uint64_t fd_offset;

	/* The range to munmap(); NULL if the library mapped nothing. */
	void *map;
	size_t map_len;
	pid_t mapper; /* this process alone has the pages; 0: children, too */

	/*
	 * The whole pages within that which hold the region, and where in them
	 * it begins.  The rest on both sides is at least 'guard' bytes.
	 */
	unsigned char *pages;
	size_t pages_len;
	size_t shift;
	uint64_t guard;

	/* The policy that was applied to them. */
	struct vmmem_policy_settings policy;

	/* Of a private file: the pages that were replaced, or NULL. */
	struct vmmem_replaced *replaced;

	/*
	 * Where writes are marked, and where in it the region begins
	 * ('bitmap_offset').  An alias has its target's, if that has one.
	 */
	struct vmmem_bitmap *bitmap;

	/*
	 * The guest_memfd and the private pages, or NULL.  An alias uses its
	 * target's.
	 */
	struct vmmem_private *secret;

	/* The pinned ranges, or NULL.  An alias uses its target's. */
	struct vmmem_pin_set *pins;

	/* The faults of the memory.  An alias uses its target's. */
	struct vmmem_fault_record *faults;

	/* A custom region's callbacks, and the callback of the end. */
	struct vmmem_region_ops ops;
	void (*release)(void *opaque);
	void *opaque;

	char name[VMMEM_REGION_NAME_MAX + 1];
	size_t cookie_count;
	struct vmmem_cookie cookies[];
};

/*
 * vmmem_region_owner() is the region that has the bytes which 'region' shows.
 */
static inline struct vmmem_region *
vmmem_region_owner(const struct vmmem_region *region)
{
	return region->target != NULL ?
		       region->target :
		       (struct vmmem_region *)(uintptr_t)region;
}

/* Whether writes change the file, if there is one. */
static inline bool
vmmem_region_is_shared(const struct vmmem_region *region)
{
	return (region->mapping_flags & (uint32_t)MAP_TYPE) != MAP_PRIVATE;
}

/* The file offset of the byte at a host address of the region. */
static inline uint64_t
vmmem_region_file_offset(const struct vmmem_region *region,
			 const unsigned char *address)
{
	return region->fd_offset - region->shift +
	       (uint64_t)(address - region->pages);
}

/* All VMMEM_FILE_..., which is also what contradicts itself. */
#define VMMEM_FILE_FLAGS (VMMEM_FILE_PRIVATE | VMMEM_FILE_SYNC)

/* The settings of a builder, of which a region is made. */
struct vmmem_region_settings {
	uint64_t gpa;
	uint64_t len;
	uint32_t kind;
	uint32_t protection;
	bool protection_set; /* else an alias has its target's */
	uint32_t role;	     /* 0: an alias has its target's */
	uint32_t guest_node;
	bool name_too_long;
	uint64_t huge_page_size;
	struct vmmem_policy_settings policy;

	int fd;
	uint32_t file_flags; /* VMMEM_FILE_... */
	uint64_t offset;     /* in the file, or in the target */
	bool untrusted;  /* the file is subject to rules */
	int rules_code;	 /* what is wrong with them */
	struct vmmem_fd_rules rules;
	struct vmmem_region *target;
	struct vmmem_region *like; /* has 'fd', if that is not the caller's */
	void *host;
	void (*release)(void *opaque);
	void *opaque;
	const struct vmmem_region_ops *ops;

	bool has_guest_memfd;
	bool begins_shared;
	int guest_memfd;
	uint64_t guest_memfd_offset;

	uint64_t tracking; /* the page size of a new bitmap, or 0 */
	struct vmmem_bitmap *bitmap;
	uint64_t bitmap_offset;
	bool logging; /* on from the start */

	struct vmmem_cookie cookies[VMMEM_REGION_COOKIES_MAX];
	size_t cookie_count;
	bool cookie_lost; /* there was no room for one */
	char name[VMMEM_REGION_NAME_MAX + 1];

	const char *why; /* the last making failed, or NULL: its code says so */
};

/*
 * vmmem_region_refuse() returns 'code' and notes 'why', a sentence that is
 * constant, names the setting, and has no full stop.
 */
static inline int
vmmem_region_refuse(struct vmmem_region_settings *settings, int code,
		    const char *why)
{
	settings->why = why;
	return code;
}

/* vmmem_region_builder_settings() are the settings of a builder. */
struct vmmem_region_builder;
struct vmmem_region_settings *
vmmem_region_builder_settings(struct vmmem_region_builder *builder);

/* vmmem_region_settings_init() gives the settings of a new builder. */
void vmmem_region_settings_init(struct vmmem_region_settings *settings);

/*
 * vmmem_region_make() is vmmem_region_builder_build() of the settings, of which
 * it changes 'why' alone.
 */
int vmmem_region_make(struct vmmem_region_settings *settings,
		      struct vmmem_region **ret_region);

/*
 * vmmem_region_free() undoes a region, whole or half made, that nobody refers
 * to.  It does not tell the owner.
 */
void vmmem_region_free(struct vmmem_region *region);

/*
 * vmmem_region_acquire() maps bytes of a region without a host address, and
 * vmmem_region_release() undoes it.  VMMEM_ENOHOST if the region cannot.
 */
int vmmem_region_acquire(const struct vmmem_region *region, uint64_t offset,
			 uint64_t len, uint32_t access, void **ret_host);
void vmmem_region_release(const struct vmmem_region *region, uint64_t offset,
			  uint64_t len, uint32_t access, void *host);

/*
 * vmmem_region_call_read() and vmmem_region_call_write() reach a region that
 * has no host address.  They return what the access function returns, and add
 * to '*done' how many bytes were moved, which are the first ones.
 */
int vmmem_region_call_read(const struct vmmem_region *region, uint64_t offset,
			   void *buf, size_t len, uint64_t *done);
int vmmem_region_call_write(const struct vmmem_region *region, uint64_t offset,
			    const void *buf, size_t len, uint64_t *done);
int vmmem_region_call_read_with(const struct vmmem_region *region,
				uint64_t offset, void *buf, size_t len,
				const struct vmmem_access_info *info,
				uint64_t *done);
int vmmem_region_call_write_with(const struct vmmem_region *region,
				 uint64_t offset, const void *buf, size_t len,
				 const struct vmmem_access_info *info,
				 uint64_t *done);

/*
 * vmmem_region_call_fill() sets the first of 'len' bytes, and stores how many
 * those are or would have been.
 */
int vmmem_region_call_fill(const struct vmmem_region *region, uint64_t offset,
			   uint64_t len, uint8_t value, uint64_t *ret_piece,
			   uint64_t *done);

/* The info that callbacks get for an access without info. */
extern const struct vmmem_access_info vmmem_region_plain_access;

/* vmmem_region_of() returns the region whose entry this is. */
static inline struct vmmem_region *
vmmem_region_of(const struct vmmem_region_entry *entry)
{
	_Static_assert(offsetof(struct vmmem_region, entry) == 0, "first");
	return (struct vmmem_region *)(uintptr_t)entry;
}

#endif
