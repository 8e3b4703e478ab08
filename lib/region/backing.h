/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The backings that the library maps itself.  Each fills in the mapping, the
 * host address, the file, the flags and the page size of a region whose range
 * and protection are set; on failure vmmem_region_free() undoes the rest.
 */
#ifndef BACKING_H
#define BACKING_H

#include "region/region_priv.h"

int vmmem_backing_anonymous(struct vmmem_region *region,
			    struct vmmem_region_settings *settings);
int vmmem_backing_memfd(struct vmmem_region *region,
			struct vmmem_region_settings *settings);
int vmmem_backing_file(struct vmmem_region *region,
		       struct vmmem_region_settings *settings);

#endif
