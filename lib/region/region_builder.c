/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Region builders: settings, their checks, and building a region. */
#include <vmmem/address.h>
#include <vmmem/error.h>
#include <vmmem/region_builder.h>
#include <vmmem/slice.h>

#include <bsd/string.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/api.h"
#include "region/backing.h"
#include "dirty/bitmap_priv.h"
#include "base/cancel.h"
#include "guest/fault_log.h"
#include "region/private_priv.h"
#include "region/region_priv.h"
#include "base/struct_size.h"
#include "base/zalloc.h"

struct vmmem_region_builder {
	struct vmmem_region_settings settings;
};


#define PROTECTION_KNOWN (VMMEM_PROT_READ | VMMEM_PROT_WRITE | VMMEM_PROT_EXEC)

_Static_assert(VMMEM_PROT_READ == PROT_READ && VMMEM_PROT_WRITE == PROT_WRITE &&
	       VMMEM_PROT_EXEC == PROT_EXEC, "passed to mmap() as they are");

void
vmmem_region_settings_init(struct vmmem_region_settings *settings)
{
	*settings = (struct vmmem_region_settings){
		.kind = VMMEM_REGION_ANONYMOUS,
		.protection = VMMEM_PROT_READ | VMMEM_PROT_WRITE,
		.guest_node = VMMEM_GUEST_NODE_NONE,
		.fd = -1,
	};
}

struct vmmem_region_settings *
vmmem_region_builder_settings(struct vmmem_region_builder *builder)
{
	return &builder->settings;
}

VMMEM_API struct vmmem_region_builder *
vmmem_region_builder_new(void)
{
	struct vmmem_region_builder *builder = malloc(sizeof(*builder));

	if (builder != NULL)
		vmmem_region_settings_init(&builder->settings);
	return builder;
}

VMMEM_API struct vmmem_region_builder *
vmmem_region_builder_free(struct vmmem_region_builder *builder)
{
	if (builder != NULL) {
		vmmem_region_unref(builder->settings.target);
		vmmem_region_unref(builder->settings.like);
		vmmem_bitmap_unref(builder->settings.bitmap);
	}
	free(builder);
	return NULL;
}

VMMEM_API void
vmmem_region_builder_set_range(struct vmmem_region_builder *builder,
			       uint64_t gpa, uint64_t len)
{
	if (builder == NULL)
		return;
	builder->settings.gpa = gpa;
	builder->settings.len = len;
}

/* The last backing counts: no setting of an earlier one may stay. */
static struct vmmem_region_settings *
set_kind(struct vmmem_region_builder *builder, uint32_t kind)
{
	struct vmmem_region_settings *settings;

	if (builder == NULL)
		return NULL;
	settings = &builder->settings;
	settings->kind = kind;
	settings->fd = -1;
	settings->file_flags = 0;
	settings->offset = 0;
	settings->untrusted = false;
	settings->rules_code = 0;
	settings->target = vmmem_region_unref(settings->target);
	settings->like = vmmem_region_unref(settings->like);
	settings->host = NULL;
	settings->release = NULL;
	settings->opaque = NULL;
	settings->ops = NULL;
	return settings;
}

VMMEM_API void
vmmem_region_builder_set_anonymous(struct vmmem_region_builder *builder)
{
	set_kind(builder, VMMEM_REGION_ANONYMOUS);
}

VMMEM_API void
vmmem_region_builder_set_memfd(struct vmmem_region_builder *builder)
{
	set_kind(builder, VMMEM_REGION_MEMFD);
}

VMMEM_API void
vmmem_region_builder_set_file(struct vmmem_region_builder *builder, int fd,
			      uint64_t offset, uint32_t flags)
{
	struct vmmem_region_settings *settings;

	settings = set_kind(builder, VMMEM_REGION_FILE);
	if (settings == NULL)
		return;
	settings->fd = fd;
	settings->file_flags = flags;
	settings->offset = offset;
}

VMMEM_API void
vmmem_region_builder_set_untrusted_file(struct vmmem_region_builder *builder,
					int fd, uint64_t offset,
					uint32_t flags,
					const struct vmmem_fd_rules *rules)
{
	struct vmmem_region_settings *settings;

	vmmem_region_builder_set_file(builder, fd, offset, flags);
	if (builder == NULL)
		return;
	settings = &builder->settings;
	settings->untrusted = true;
	settings->rules_code = vmmem_fd_take(rules, &settings->rules);
}

VMMEM_API void
vmmem_region_builder_set_external(struct vmmem_region_builder *builder,
				  void *host, void (*release)(void *opaque),
				  void *opaque)
{
	struct vmmem_region_settings *settings;

	settings = set_kind(builder, VMMEM_REGION_EXTERNAL);
	if (settings == NULL)
		return;
	settings->host = host;
	settings->release = release;
	settings->opaque = opaque;
}

VMMEM_API void
vmmem_region_builder_set_alias(struct vmmem_region_builder *builder,
			       struct vmmem_region *target, uint64_t offset)
{
	struct vmmem_region_settings *settings;

	/* First, as 'target' may be the very region that is dropped. */
	if (builder != NULL)
		vmmem_region_ref(target);
	settings = set_kind(builder, VMMEM_REGION_ALIAS);
	if (settings == NULL)
		return;
	settings->target = target;
	settings->offset = offset;
}

VMMEM_API void
vmmem_region_builder_set_custom(struct vmmem_region_builder *builder,
				const struct vmmem_region_ops *ops,
				void *opaque)
{
	struct vmmem_region_settings *settings;

	settings = set_kind(builder, VMMEM_REGION_CUSTOM);
	if (settings == NULL)
		return;
	settings->ops = ops;
	settings->opaque = opaque;
}

VMMEM_API void
vmmem_region_builder_set_protection(struct vmmem_region_builder *builder,
				    uint32_t protection)
{
	if (builder == NULL)
		return;
	builder->settings.protection = protection;
	builder->settings.protection_set = true;
}

VMMEM_API void
vmmem_region_builder_set_role(struct vmmem_region_builder *builder,
			      uint32_t role)
{
	if (builder != NULL)
		builder->settings.role = role;
}

VMMEM_API void
vmmem_region_builder_set_guest_node(struct vmmem_region_builder *builder,
				    uint32_t node)
{
	if (builder != NULL)
		builder->settings.guest_node = node;
}

VMMEM_API void
vmmem_region_builder_set_huge_page_size(struct vmmem_region_builder *builder,
					uint64_t bytes)
{
	if (builder != NULL)
		builder->settings.huge_page_size = bytes;
}

VMMEM_API void
vmmem_region_builder_set_tracking(struct vmmem_region_builder *builder,
				  uint64_t page_size)
{
	if (builder != NULL)
		builder->settings.tracking = page_size;
}

VMMEM_API void
vmmem_region_builder_set_bitmap(struct vmmem_region_builder *builder,
				struct vmmem_bitmap *bitmap, uint64_t offset)
{
	struct vmmem_region_settings *settings;

	if (builder == NULL)
		return;
	settings = &builder->settings;
	/* First, as 'bitmap' may be the very one that is dropped. */
	vmmem_bitmap_ref(bitmap);
	vmmem_bitmap_unref(settings->bitmap);
	settings->bitmap = bitmap;
	settings->bitmap_offset = offset;
}

VMMEM_API void
vmmem_region_builder_set_guest_memfd(struct vmmem_region_builder *builder,
				     int fd, uint64_t offset)
{
	if (builder == NULL)
		return;
	builder->settings.has_guest_memfd = fd >= 0;
	builder->settings.guest_memfd = fd;
	builder->settings.guest_memfd_offset = offset;
}

VMMEM_API void
vmmem_region_builder_set_private(struct vmmem_region_builder *builder,
				 int is_private)
{
	if (builder != NULL)
		builder->settings.begins_shared = is_private == 0;
}

VMMEM_API void
vmmem_region_builder_set_logging(struct vmmem_region_builder *builder,
				 int logging)
{
	if (builder != NULL)
		builder->settings.logging = logging != 0;
}

VMMEM_API void
vmmem_region_builder_set_cookie(struct vmmem_region_builder *builder,
				const void *key, void *cookie,
				void (*destroy)(void *cookie))
{
	struct vmmem_region_settings *settings;
	struct vmmem_cookie *list;
	size_t i = 0;

	if (builder == NULL)
		return;
	settings = &builder->settings;
	list = settings->cookies;
	while (i < settings->cookie_count && list[i].key != key)
		i++;
	if (cookie == NULL) {
		if (i == settings->cookie_count)
			return;
		settings->cookie_count--;
		memmove(&list[i], &list[i + 1],
			(settings->cookie_count - i) * sizeof(*list));
		return;
	}
	if (i == VMMEM_REGION_COOKIES_MAX) {
		settings->cookie_lost = true;
		return;
	}
	if (i == settings->cookie_count)
		settings->cookie_count++;
	list[i] = (struct vmmem_cookie){ key, cookie, destroy };
}

VMMEM_API void
vmmem_region_builder_set_name(struct vmmem_region_builder *builder,
			      const char *name)
{
	struct vmmem_region_settings *settings;

	if (builder == NULL)
		return;
	settings = &builder->settings;
	settings->name_too_long =
		strlcpy(settings->name, name != NULL ? name : "",
			sizeof(settings->name)) >= sizeof(settings->name);
}

VMMEM_API void
vmmem_region_builder_set_policy(struct vmmem_region_builder *builder,
				const struct vmmem_policy *policy)
{
	if (builder == NULL)
		return;
	builder->settings.policy = policy != NULL ?
					   policy->settings :
					   (struct vmmem_policy_settings){ 0 };
}

/* check() makes the checks of the settings that need no backing. */
static int
check(struct vmmem_region_settings *settings)
{
	const uint64_t huge = settings->huge_page_size;

	size_t i;

	if (settings->name_too_long)
		return VMMEM_ELONGNAME;
	if (settings->cookie_lost)
		return vmmem_region_refuse(settings, VMMEM_EARGUMENT,
					   "There are too many cookies");
	for (i = 0; i < settings->cookie_count; i++) {
		if (settings->cookies[i].key == NULL)
			return vmmem_region_refuse(
				settings, VMMEM_EARGUMENT,
				"The key of a cookie is NULL");
	}
	if ((settings->file_flags & ~VMMEM_FILE_FLAGS) != 0)
		return vmmem_region_refuse(
			settings, VMMEM_EARGUMENT,
			"The file's flags have an unknown bit");
	if (settings->file_flags == VMMEM_FILE_FLAGS)
		return vmmem_region_refuse(
			settings, VMMEM_EARGUMENT,
			"The file's flags contradict each other");
	if (settings->role > VMMEM_ROLE_RESERVED)
		return vmmem_region_refuse(settings, VMMEM_EARGUMENT,
					   "The role is unknown");
	if ((settings->protection & ~PROTECTION_KNOWN) != 0)
		return vmmem_region_refuse(settings, VMMEM_EARGUMENT,
					   "The protection has an unknown bit");
	/* Sizes of pages are powers of two, and huge ones above the page's. */
	if (huge != 0 && ((huge & (huge - 1)) != 0 ||
			  huge <= (uint64_t)sysconf(_SC_PAGESIZE)))
		return vmmem_region_refuse(
			settings, VMMEM_EHUGEPAGE,
			"The huge page size is not a power of two "
			"above the page size");
	if (settings->rules_code != 0)
		return vmmem_region_refuse(
			settings, settings->rules_code,
			"The rules for the file have a wrong size "
			"or an unknown bit");
	return vmmem_policy_check(settings);
}

static int
back_external(struct vmmem_region *region,
	      struct vmmem_region_settings *settings)
{
	if (settings->host == NULL)
		return vmmem_region_refuse(settings, VMMEM_EARGUMENT,
					   "The external memory is NULL");
	region->host = settings->host;
	if (settings->huge_page_size != 0) {
		region->huge_pages = VMMEM_HUGE_PAGES_YES;
		region->page_size = settings->huge_page_size;
	}
	return 0;
}

static int
back_alias(struct vmmem_region *region,
	   struct vmmem_region_settings *settings)
{
	struct vmmem_region *target = settings->target;
	struct vmmem_region *owner;
	uint64_t span;

	if (target == NULL)
		return vmmem_region_refuse(settings, VMMEM_EARGUMENT,
					   "The alias has no target");
	span = target->last - target->start;
	if (settings->offset > span ||
	    region->last - region->start > span - settings->offset)
		return vmmem_region_refuse(settings, VMMEM_EOUTOFRANGE,
					   "The alias reaches past its target");

	/* Straight to the bytes: chains of aliases never get longer than 1. */
	owner = vmmem_region_owner(target);
	region->target = vmmem_region_ref(owner);
	region->target_offset = target->target_offset + settings->offset;
	if (target->host != NULL)
		region->host = target->host + settings->offset;
	if (!settings->protection_set)
		region->protection = target->protection;
	region->protection &= target->protection;
	if (settings->role == 0)
		region->role = target->role;
	if (settings->guest_node == VMMEM_GUEST_NODE_NONE)
		region->guest_node = target->guest_node;
	region->mapping_flags = owner->mapping_flags;
	region->huge_pages = owner->huge_pages;
	region->page_size = owner->page_size;
	if (target->bitmap != NULL) {
		region->bitmap = vmmem_bitmap_ref(target->bitmap);
		region->bitmap_offset =
			target->bitmap_offset + settings->offset;
	}
	return 0;
}

static int
back_custom(struct vmmem_region *region,
	    struct vmmem_region_settings *settings)
{
	struct vmmem_region_ops *ops = &region->ops;
	void *host = NULL;
	int rc;

	if (settings->ops == NULL)
		return vmmem_region_refuse(
			settings, VMMEM_EARGUMENT,
			"The custom region has no callbacks");
	rc = vmmem_struct_take(settings->ops, ops, sizeof(*ops),
			       VMMEM_REGION_OPS_SIZE_0_9);
	if (rc != 0)
		return vmmem_region_refuse(
			settings, rc,
			"The size of the callbacks is wrong, or "
			"the library too old for one of them");

	rc = ops->host != NULL ? ops->host(settings->opaque, &host) :
				 VMMEM_ENOHOST;
	if (rc > 0)
		return VMMEM_ECALLBACK;
	if (rc == 0) {
		if (host == NULL)
			return vmmem_region_refuse(
				settings, VMMEM_EARGUMENT,
				"The host() callback stored NULL");
		region->host = host;
		return 0;
	}
	if (rc != VMMEM_ENOHOST)
		return rc;

	if (ops->read == NULL && ops->acquire == NULL)
		return vmmem_region_refuse(
			settings, VMMEM_EARGUMENT,
			"The custom region has no host address, "
			"no read() and no acquire()");
	if (ops->write == NULL && ops->acquire == NULL)
		region->protection &= ~VMMEM_PROT_WRITE;
	return 0;
}

static int
back(struct vmmem_region *region, struct vmmem_region_settings *settings)
{
	switch (settings->kind) {
	case VMMEM_REGION_ANONYMOUS:
		return vmmem_backing_anonymous(region, settings);
	case VMMEM_REGION_MEMFD:
		return vmmem_backing_memfd(region, settings);
	case VMMEM_REGION_FILE:
		return vmmem_backing_file(region, settings);
	case VMMEM_REGION_EXTERNAL:
		return back_external(region, settings);
	case VMMEM_REGION_ALIAS:
		return back_alias(region, settings);
	default:
		return back_custom(region, settings);
	}
}

/* track() gives the region its bitmap. */
static int
track(struct vmmem_region *region, struct vmmem_region_settings *settings)
{
	uint64_t span = region->last - region->start;
	uint64_t len;
	int rc;

	if (settings->tracking == 0 && settings->bitmap == NULL)
		return 0;
	/*
	 * One log for each byte: an alias of a tracked region has its target's.
	 */
	if (region->bitmap != NULL)
		return vmmem_region_refuse(
			settings, VMMEM_EARGUMENT,
			"The alias is tracked by its target, and "
			"takes neither tracking nor a bitmap");
	if (settings->tracking != 0 && settings->bitmap != NULL)
		return vmmem_region_refuse(
			settings, VMMEM_EARGUMENT,
			"Tracking and a bitmap are both set");
	if (settings->tracking != 0) {
		rc = vmmem_bitmap_new(span + 1, 0, settings->tracking,
				      NULL, &region->bitmap);
		if (rc == VMMEM_EARGUMENT)
			settings->why = "The page size to track is not a power "
					"of two from 64 on";
		return rc;
	}
	/* A bitmap never shrinks, so what fits now fits for good. */
	len = vmmem_bitmap_len(settings->bitmap);
	if (settings->bitmap_offset >= len ||
	    span > len - settings->bitmap_offset - 1)
		return vmmem_region_refuse(
			settings, VMMEM_EOUTOFRANGE,
			"The region reaches past its bitmap");
	region->bitmap = vmmem_bitmap_ref(settings->bitmap);
	region->bitmap_offset = settings->bitmap_offset;
	return 0;
}

/* The host address must agree with the guest's, also if the caller chose it. */
static int
check_host(const struct vmmem_region *region,
	   struct vmmem_region_settings *settings)
{
	uintptr_t host = (uintptr_t)region->host;

	if (region->host == NULL)
		return 0;
	if (region->last - region->start > UINTPTR_MAX - host)
		return vmmem_region_refuse(
			settings, VMMEM_EWRAPS,
			"The host address and the length pass the "
			"end of the address space");
	if ((region->start ^ host) % VMMEM_CONGRUENCE != 0)
		return vmmem_region_refuse(
			settings, VMMEM_ECONGRUENCE,
			"Guest and host address of the first byte "
			"differ modulo 16");
	return 0;
}

/*
 * finish() gives a region that has its bytes all else that can fail.  The log
 * may be others', too, so it is started last: there is no failure after it.
 */
static int
finish(struct vmmem_region *region, struct vmmem_region_settings *settings)
{
	int rc = check_host(region, settings);

	if (rc == 0)
		rc = vmmem_private_make(region, settings);
	if (rc == 0)
		rc = track(region, settings);
	if (rc == 0 && region->target != NULL)
		region->faults = region->target->faults;
	else if (rc == 0)
		rc = vmmem_fault_record_new(region->host,
					    region->last - region->start,
					    &region->faults);
	if (rc != 0 || !settings->logging)
		return rc;
	if (region->bitmap == NULL)
		return vmmem_region_refuse(
			settings, VMMEM_EARGUMENT,
			"Logging is to be on, and there is neither "
			"tracking nor a bitmap");
	return vmmem_bitmap_start_logging(region->bitmap);
}

/*
 * allocate() gives a region of zeros whose entry is in one cache line, with
 * room for its cookies.
 */
static struct vmmem_region *
allocate(size_t cookies)
{
	const size_t bytes = sizeof(struct vmmem_region) +
			     cookies * sizeof(struct vmmem_cookie);

	return vmmem_zalloc(bytes);
}

/* set_entry() copies the members that accesses need. */
static void
set_entry(struct vmmem_region *region)
{
	const bool asks = region->secret != NULL ||
			  (region->target != NULL &&
			   region->target->secret != NULL);
	/* No fast path takes what must be asked about, page by page. */
	unsigned char *host = asks ? NULL : region->host;

	region->entry = (struct vmmem_region_entry){
		.span = region->last - region->start,
		.host = host,
		.logging = region->bitmap != NULL ? &region->bitmap->logging :
						    &vmmem_region_never_logging,
		.access = region->protection,
		.direct = host != NULL ? region->protection : 0,
	};
	if (region->target != NULL)
		region->can_shrink = region->target->can_shrink;
	if (host != NULL && region->can_shrink)
		region->entry.direct |= VMMEM_SLICE_CALL;
}

int
vmmem_region_make(struct vmmem_region_settings *settings,
		  struct vmmem_region **ret_region)
{
	struct vmmem_region *region;
	uint64_t last;
	int rc, cancel;

	settings->why = NULL;
	if (ret_region == NULL)
		return vmmem_region_refuse(
			settings, VMMEM_EARGUMENT,
			"There is no place to store the region");
	rc = vmmem_address_range_last(settings->gpa, settings->len, &last);
	if (rc != 0)
		return rc;
	rc = check(settings);
	if (rc != 0)
		return rc;

	region = allocate(settings->cookie_count);
	if (region == NULL)
		return -ENOMEM;
	atomic_init(&region->refs, 1);
	region->start = settings->gpa;
	region->last = last;
	region->kind = settings->kind;
	region->fd = -1;
	region->protection = settings->protection;
	region->role = settings->role != 0 ? settings->role : VMMEM_ROLE_RAM;
	region->guest_node = settings->guest_node;
	region->policy = settings->policy;
	region->mapper = settings->policy.dont_fork ? getpid() : 0;
	strlcpy(region->name, settings->name, sizeof(region->name));

	/* Not cancelled: no owner would free a region that is half made. */
	cancel = vmmem_cancel_off();
	rc = back(region, settings);
	if (rc == 0)
		rc = finish(region, settings);
	if (rc != 0)
		vmmem_region_free(region);
	vmmem_cancel_back(cancel);
	if (rc != 0)
		return rc;

	set_entry(region);
	/* From here on the region owns what the caller gave. */
	region->cookie_count = settings->cookie_count;
	memcpy(region->cookies, settings->cookies,
	       settings->cookie_count * sizeof(*region->cookies));
	region->opaque = settings->opaque;
	region->release = settings->kind == VMMEM_REGION_CUSTOM ?
				  region->ops.destroy :
				  settings->release;
	*ret_region = region;
	return 0;
}

VMMEM_API int
vmmem_region_builder_build(struct vmmem_region_builder *builder,
			   struct vmmem_region **ret_region)
{
	int rc;

	if (builder == NULL)
		return VMMEM_EARGUMENT;
	rc = vmmem_region_make(&builder->settings, ret_region);
	/* If no reason was noted, the text of the code is the reason. */
	if (rc != 0 && builder->settings.why == NULL)
		builder->settings.why = vmmem_strerror(rc);
	return rc;
}

VMMEM_API const char *
vmmem_region_builder_why(const struct vmmem_region_builder *builder)
{
	return builder != NULL && builder->settings.why != NULL ?
		       builder->settings.why :
		       "";
}
