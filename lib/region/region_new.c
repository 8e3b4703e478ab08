/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Regions that need few settings, without a builder. */
#include <vmmem/region.h>

#include "base/api.h"
#include "region/region_priv.h"

VMMEM_API int
vmmem_region_new_anonymous(uint64_t gpa, uint64_t len,
			   struct vmmem_region **ret_region)
{
	struct vmmem_region_settings settings;

	vmmem_region_settings_init(&settings);
	settings.gpa = gpa;
	settings.len = len;
	return vmmem_region_make(&settings, ret_region);
}

VMMEM_API int
vmmem_region_new_memfd(uint64_t gpa, uint64_t len,
		       struct vmmem_region **ret_region)
{
	struct vmmem_region_settings settings;

	vmmem_region_settings_init(&settings);
	settings.gpa = gpa;
	settings.len = len;
	settings.kind = VMMEM_REGION_MEMFD;
	return vmmem_region_make(&settings, ret_region);
}

VMMEM_API int
vmmem_region_new_file(uint64_t gpa, uint64_t len, int fd, uint64_t offset,
		      struct vmmem_region **ret_region)
{
	struct vmmem_region_settings settings;

	vmmem_region_settings_init(&settings);
	settings.gpa = gpa;
	settings.len = len;
	settings.kind = VMMEM_REGION_FILE;
	settings.fd = fd;
	settings.offset = offset;
	return vmmem_region_make(&settings, ret_region);
}

VMMEM_API int
vmmem_region_new_external(uint64_t gpa, uint64_t len, void *host,
			  struct vmmem_region **ret_region)
{
	struct vmmem_region_settings settings;

	vmmem_region_settings_init(&settings);
	settings.gpa = gpa;
	settings.len = len;
	settings.kind = VMMEM_REGION_EXTERNAL;
	settings.host = host;
	return vmmem_region_make(&settings, ret_region);
}

VMMEM_API int
vmmem_region_new_alias(uint64_t gpa, uint64_t len, struct vmmem_region *target,
		       uint64_t offset, struct vmmem_region **ret_region)
{
	struct vmmem_region_settings settings;

	vmmem_region_settings_init(&settings);
	settings.gpa = gpa;
	settings.len = len;
	settings.kind = VMMEM_REGION_ALIAS;
	settings.target = target;
	settings.offset = offset;
	return vmmem_region_make(&settings, ret_region);
}

VMMEM_API int
vmmem_region_new_custom(uint64_t gpa, uint64_t len,
			const struct vmmem_region_ops *ops, void *opaque,
			struct vmmem_region **ret_region)
{
	struct vmmem_region_settings settings;

	vmmem_region_settings_init(&settings);
	settings.gpa = gpa;
	settings.len = len;
	settings.kind = VMMEM_REGION_CUSTOM;
	settings.ops = ops;
	settings.opaque = opaque;
	return vmmem_region_make(&settings, ret_region);
}
