/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The messages of vhost-user that are about memory. */
#include <vmmem/error.h>
#include <vmmem/vhost.h>

#include <string.h>

#include "base/api.h"

/* The bytes before the rows: their number and padding, or padding. */
#define PREFIX 8

_Static_assert(sizeof(struct vmmem_vhost_region) == 32 &&
	       sizeof(struct vmmem_vhost_iotlb_msg) == 32,
	       "as they stand in the protocol");

static int
set_table(struct vmmem_vhost *vhost, const unsigned char *payload, size_t len,
	  const int *fds, size_t fd_count)
{
	struct vmmem_vhost_region regions[VMMEM_VHOST_REGIONS_MAX];
	uint32_t count;

	if (len < PREFIX)
		return VMMEM_EMESSAGE;
	memcpy(&count, payload, sizeof(count));
	if (count > VMMEM_VHOST_REGIONS_MAX)
		return VMMEM_EREGIONCOUNT;
	if (len != PREFIX + count * sizeof(regions[0]))
		return VMMEM_EMESSAGE;
	memcpy(regions, payload + PREFIX, count * sizeof(regions[0]));
	return vmmem_vhost_set_table(vhost, regions, count, fds, fd_count);
}

static int
change_row(struct vmmem_vhost *vhost, uint32_t request,
	   const unsigned char *payload, size_t len, const int *fds,
	   size_t fd_count)
{
	struct vmmem_vhost_region region;

	if (len != PREFIX + sizeof(region))
		return VMMEM_EMESSAGE;
	memcpy(&region, payload + PREFIX, sizeof(region));
	if (request == VMMEM_VHOST_REM_MEM_REG)
		return vmmem_vhost_remove(vhost, &region);
	if (fd_count != 1)
		return VMMEM_EDESCRIPTORS;
	return vmmem_vhost_add(vhost, &region, fds[0]);
}

static int
set_log(struct vmmem_vhost *vhost, const unsigned char *payload, size_t len,
	const int *fds, size_t fd_count)
{
	uint64_t log[2]; /* its length and its offset */

	if (len != sizeof(log))
		return VMMEM_EMESSAGE;
	if (fd_count != 1)
		return VMMEM_EDESCRIPTORS;
	memcpy(log, payload, sizeof(log));
	return vmmem_vhost_set_log(vhost, fds[0], log[1], log[0]);
}

/* handle() gets descriptors that are aligned. */
static int
handle(struct vmmem_vhost *vhost, uint32_t request, const void *payload,
       size_t len, const int *fds, size_t fd_count)
{
	struct vmmem_vhost_iotlb_msg iotlb;

	switch (request) {
	case VMMEM_VHOST_SET_MEM_TABLE:
		return set_table(vhost, payload, len, fds, fd_count);
	case VMMEM_VHOST_ADD_MEM_REG:
	case VMMEM_VHOST_REM_MEM_REG:
		return change_row(vhost, request, payload, len, fds, fd_count);
	case VMMEM_VHOST_SET_LOG_BASE:
		return set_log(vhost, payload, len, fds, fd_count);
	case VMMEM_VHOST_IOTLB_MSG:
		if (len != sizeof(iotlb))
			return VMMEM_EMESSAGE;
		if (fd_count != 0)
			return VMMEM_EDESCRIPTORS;
		memcpy(&iotlb, payload, sizeof(iotlb));
		return vmmem_vhost_iotlb_message(vhost, &iotlb);
	default:
		return VMMEM_EMESSAGE;
	}
}

/* due() returns the steps that are due before the reply to a message. */
static uint32_t
due(uint32_t request, const void *payload)
{
	struct vmmem_vhost_iotlb_msg iotlb;

	switch (request) {
	case VMMEM_VHOST_SET_MEM_TABLE:
	case VMMEM_VHOST_REM_MEM_REG:
	case VMMEM_VHOST_SET_LOG_BASE:
		return VMMEM_VHOST_DUE_SPACE;
	case VMMEM_VHOST_IOTLB_MSG:
		memcpy(&iotlb, payload, sizeof(iotlb));
		return iotlb.type == VMMEM_VHOST_IOTLB_INVALIDATE ?
			       VMMEM_VHOST_DUE_IOTLB :
			       0;
	default:
		return 0;
	}
}

VMMEM_API int
vmmem_vhost_message(struct vmmem_vhost *vhost, uint32_t request,
		    const void *payload, size_t len, const void *fds,
		    size_t fd_count, uint32_t *ret_due)
{
	int copy[VMMEM_VHOST_REGIONS_MAX];
	int rc;

	if (vhost == NULL || (payload == NULL && len != 0) ||
	    (fds == NULL && fd_count != 0))
		return VMMEM_EARGUMENT;
	/* If there are more, none is looked at. */
	if (fd_count != 0 && fd_count <= VMMEM_VHOST_REGIONS_MAX)
		memcpy(copy, fds, fd_count * sizeof(copy[0]));
	rc = handle(vhost, request, payload, len, copy, fd_count);
	if (rc == 0 && ret_due != NULL)
		*ret_due = due(request, payload);
	return rc;
}
