/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A custom region to test on: an array that counts and can fail. */
#ifndef DEVICE_H
#define DEVICE_H

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <vmmem/error.h>
#include <vmmem/region.h>

#define DEVICE_LEN 0x4000

struct device {
	_Alignas(16) uint8_t bytes[DEVICE_LEN];

	/* What host() does. */
	int has_host;	/* give an address ... */
	int host_null;	/* ... but NULL, */
	void *host_at;	/* or this one if it is not NULL */
	int host_code;	/* fail so, if not 0 */

	/* A call that touches a byte from here on fails, and moves nothing. */
	uint64_t fail_from;
	int fail_code;

	/* What happened. */
	unsigned int hosts, reads, writes, destroyed;
	uint64_t last_offset;
	size_t last_len;
	size_t moved; /* bytes, by all calls that succeeded */
};

static inline void
device_init(struct device *device)
{
	memset(device, 0, sizeof(*device));
	device->fail_from = UINT64_MAX;
	device->fail_code = -EIO;
}

static inline int
device_host(void *opaque, void **ret_host)
{
	struct device *device = opaque;

	device->hosts++;
	if (device->host_code != 0)
		return device->host_code;
	if (!device->has_host)
		return VMMEM_ENOHOST;
	*ret_host = device->bytes;
	if (device->host_at != NULL)
		*ret_host = device->host_at;
	if (device->host_null)
		*ret_host = NULL;
	return 0;
}

static inline int
device_fails(struct device *device, uint64_t offset, size_t len)
{
	device->last_offset = offset;
	device->last_len = len;
	if (offset >= device->fail_from || len > device->fail_from - offset)
		return device->fail_code;
	device->moved += len;
	return 0;
}

static inline int
device_read(void *opaque, uint64_t offset, void *buf, size_t len,
	    const struct vmmem_access_info *info)
{
	struct device *device = opaque;
	int code = device_fails(device, offset, len);

	(void)info;
	device->reads++;
	if (code == 0)
		memcpy(buf, device->bytes + offset, len);
	return code;
}

static inline int
device_write(void *opaque, uint64_t offset, const void *buf, size_t len,
	     const struct vmmem_access_info *info)
{
	struct device *device = opaque;
	int code = device_fails(device, offset, len);

	(void)info;
	device->writes++;
	if (code == 0)
		memcpy(device->bytes + offset, buf, len);
	return code;
}

static inline void
device_destroy(void *opaque)
{
	struct device *device = opaque;

	device->destroyed++;
}

static const struct vmmem_region_ops device_ops = {
	.size = sizeof(device_ops),
	.host = device_host,
	.read = device_read,
	.write = device_write,
	.destroy = device_destroy,
};

#endif
