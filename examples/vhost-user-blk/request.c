/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Requests of virtio-blk. */
#include "device.h"
#include "protocol.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/virtio_blk.h>
#include <string.h>
#include <unistd.h>

struct request_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

struct segment {
	uint64_t sector;
	uint32_t count;
	uint32_t flags;
};

static const char device_id[VIRTIO_BLK_ID_BYTES] = "libvmmem";

static uint64_t
total(const struct vmmem_range *ranges, size_t count)
{
	uint64_t len = 0;
	size_t i;

	/* At most RANGES times 2^32: it cannot wrap. */
	for (i = 0; i < count; i++)
		len += ranges[i].len;
	return len;
}

/*
 * end() writes the status, which is the last byte of the chain.  A driver takes
 * what is there for the status, so a chain is not used without one: the slice
 * leads there however long the request took.  Only memory that is gone, as its
 * file was cut short, cannot be written; the driver has no use of it either.
 */
static void
end(struct request *request, uint8_t status, uint64_t written)
{
	int rc = vmmem_slice_write_u8(&request->status, 0, status);

	request->written = rc == 0 ? (uint32_t)(written + 1) : 0;
	request->done = true;
}

/*
 * chain_read() copies the first bytes of a chain, wherever the driver has put
 * the boundaries.
 */
static int
chain_read(struct queue *queue, const struct vmmem_range *ranges, size_t count,
	   void *buf, size_t len)
{
	uint64_t bad;
	int rc;

	rc = vmmem_collection_ranges_read(queue->map, ranges, count, 0, buf,
					  len, 0, NULL, &bad);
	if (rc == VMMEM_EOUTOFRANGE)
		return -EPROTO;
	if (rc == VMMEM_EWRAPS)
		return rc;
	if (rc != 0)
		queue_failed(queue, rc, bad, 1, VMMEM_PROT_READ);
	return rc;
}

/* copy_header() takes the first bytes of what the device reads. */
static int
copy_header(struct queue *queue, struct chain *chain,
	    struct request_header *header)
{
	uint64_t left = sizeof(*header), here;
	size_t i;
	int rc;

	rc = chain_read(queue, chain->ranges, chain->readable, header,
			sizeof(*header));
	for (i = 0; rc == 0 && left != 0; i++) {
		here = chain->ranges[i].len < left ? chain->ranges[i].len :
						     left;
		chain->ranges[i].gpa += here;
		chain->ranges[i].len -= here;
		left -= here;
	}
	return rc;
}

/* cut_status() takes the last byte off the chain. */
static int
cut_status(struct queue *queue, struct request *request)
{
	struct chain *chain = &request->chain;
	size_t i = chain->count;
	uint64_t address;
	int rc;

	while (i > chain->readable && chain->ranges[i - 1].len == 0)
		i--;
	if (i == chain->readable)
		return -EPROTO;
	chain->ranges[i - 1].len--;
	address = chain->ranges[i - 1].gpa + chain->ranges[i - 1].len;
	rc = vmmem_collection_slice(queue->map, address, 1, VMMEM_PROT_WRITE,
				    &request->status);
	if (rc != 0)
		queue_failed(queue, rc, address, 1, VMMEM_PROT_WRITE);
	return rc;
}

/* Whether [sector, sector + count) is on the disk. */
static bool
on_disk(const struct device *device, uint64_t sector, uint64_t count)
{
	return sector <= device->sectors && count <= device->sectors - sector;
}

/*
 * find_memory() finds the host memory of the data.  Returns 0; or a code with
 * which the request is to be tried again, as its memory may be on its way; or
 * VMMEM_EBADADDR, which ends the request.
 */
static int
find_memory(struct queue *queue, struct request *request)
{
	uint32_t access = request->is_read ? VMMEM_PROT_WRITE : VMMEM_PROT_READ;
	int rc;

	rc = vmmem_collection_slice_list(queue->map, request->data,
					 request->data_count, access,
					 request->slices, PIECES,
					 &request->slice_count, NULL);
	/* Slices hold nothing of vhost's memory, and are not released. */
	if (rc == 0)
		rc = vmmem_slice_list_iovec(request->slices,
					    request->slice_count, access,
					    request->iov, PIECES,
					    &request->iov_count);
	if (rc == 0)
		return 0;
	if (rc == VMMEM_EIOMMUMISS && !queue->gives_up) {
		queue_missed(queue, request->data, request->data_count, access);
		return rc;
	}
	if (rc == VMMEM_EBADADDR && queue_may_come(queue))
		return -EAGAIN;
	return rc == VMMEM_ESTOPPED ? rc : VMMEM_EBADADDR;
}

static int
transfer(struct queue *queue, struct request *request, uint64_t sector)
{
	struct device *device = queue->device;
	int rc;

	request->data_len = total(request->data, request->data_count);
	if (request->data_len % SECTOR != 0 ||
	    !on_disk(device, sector, request->data_len / SECTOR) ||
	    request->data_len > INT32_MAX ||
	    (!request->is_read && device->read_only)) {
		end(request, VIRTIO_BLK_S_IOERR, 0);
		return 0;
	}
	rc = find_memory(queue, request);
	if (rc != 0 && rc != VMMEM_EBADADDR)
		return rc;
	if (rc != 0) {
		/* Not memory: the driver's mistake, and its data's end. */
		end(request, VIRTIO_BLK_S_IOERR, 0);
		return 0;
	}
	request->offset = sector * SECTOR;
	if (request->data_len == 0)
		end(request, VIRTIO_BLK_S_OK, 0);
	else
		engine_transfer(queue->engine, request);
	return 0;
}

/*
 * make_stable() has what was written survive the host, if the driver did not
 * take the means to ask for that: then it may rely on it as soon as it is told.
 */
static bool
make_stable(const struct queue *queue)
{
	return (queue->features & F_BLK_FLUSH) != 0 ||
	       fdatasync(queue->device->file) == 0;
}

void
request_transferred(struct queue *queue, struct request *request,
		    int64_t result)
{
	bool good = result == (int64_t)request->data_len;
	uint64_t written = 0;

	if (request->is_read) {
		/* The kernel may have written any of it if it failed. */
		written = good ? request->data_len : 0;
		(void)vmmem_slice_list_mark(
			request->slices, request->slice_count,
			result < 0 ? request->data_len : (uint64_t)result);
	} else {
		good = good && make_stable(queue);
	}
	end(request, good ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR,
	    written);
}

/* clear() discards a range, or makes it zero. */
static uint8_t
clear(struct queue *queue, uint32_t type, const struct segment *segment)
{
	struct device *device = queue->device;
	uint64_t sector = le64toh(segment->sector);
	uint64_t count = le32toh(segment->count);
	uint32_t flags = le32toh(segment->flags);
	int mode = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;
	int rc;

	if ((flags & ~(uint32_t)VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP) != 0 ||
	    (type == VIRTIO_BLK_T_DISCARD && flags != 0))
		return VIRTIO_BLK_S_UNSUPP;
	if (!on_disk(device, sector, count))
		return VIRTIO_BLK_S_IOERR;
	if (count == 0)
		return VIRTIO_BLK_S_OK;
	if (type == VIRTIO_BLK_T_WRITE_ZEROES && flags == 0)
		mode = FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE;
	rc = fallocate(device->file, mode, (off_t)(sector * SECTOR),
		       (off_t)(count * SECTOR));
	/* tmpfs has no ZERO_RANGE; a hole is read as zero too. */
	if (rc != 0 && errno == EOPNOTSUPP)
		rc = fallocate(device->file,
			       FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
			       (off_t)(sector * SECTOR),
			       (off_t)(count * SECTOR));
	return rc == 0 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static int
clear_all(struct queue *queue, struct request *request, uint32_t type)
{
	struct segment segments[DISCARD_SEGMENTS];
	uint64_t len = total(request->data, request->data_count);
	uint8_t status = VIRTIO_BLK_S_OK;
	size_t i;
	int rc;

	if (queue->device->read_only || len == 0 ||
	    len % sizeof(segments[0]) != 0 || len > sizeof(segments)) {
		end(request, VIRTIO_BLK_S_IOERR, 0);
		return 0;
	}
	rc = chain_read(queue, request->data, request->data_count, segments,
			(size_t)len);
	if (rc != 0)
		return rc;
	for (i = 0; i < len / sizeof(segments[0]) && status == 0; i++)
		status = clear(queue, type, &segments[i]);
	if (status == VIRTIO_BLK_S_OK && !make_stable(queue))
		status = VIRTIO_BLK_S_IOERR;
	end(request, status, 0);
	return 0;
}

static int
get_id(struct queue *queue, struct request *request)
{
	uint64_t len = total(request->data, request->data_count), bad;
	int rc;

	if (len > sizeof(device_id))
		len = sizeof(device_id);
	rc = vmmem_collection_ranges_write(queue->map, request->data,
					   request->data_count, 0, device_id,
					   (size_t)len, 0, NULL, &bad);
	if (rc != 0) {
		if (rc != VMMEM_EWRAPS)
			queue_failed(queue, rc, bad, 1, VMMEM_PROT_WRITE);
		return rc;
	}
	end(request, VIRTIO_BLK_S_OK, len);
	return 0;
}

int
request_begin(struct queue *queue, struct request *request)
{
	struct chain *chain = &request->chain;
	struct request_header header;
	uint32_t type;
	int rc;

	rc = copy_header(queue, chain, &header);
	if (rc == 0)
		rc = cut_status(queue, request);
	if (rc != 0)
		return rc;
	type = le32toh(header.type);
	request->is_read = type == VIRTIO_BLK_T_IN ||
			   type == VIRTIO_BLK_T_GET_ID;
	request->data = chain->ranges;
	request->data_count = chain->readable;
	if (request->is_read) {
		request->data += chain->readable;
		request->data_count = chain->count - chain->readable;
	}
	switch (type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		return transfer(queue, request, le64toh(header.sector));
	case VIRTIO_BLK_T_FLUSH:
		request->data_len = 0;
		engine_flush(queue->engine, request);
		return 0;
	case VIRTIO_BLK_T_GET_ID:
		return get_id(queue, request);
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return clear_all(queue, request, type);
	default:
		end(request, VIRTIO_BLK_S_UNSUPP, 0);
		return 0;
	}
}
