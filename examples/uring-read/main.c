/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * uring-read FILE: reads a file through io_uring straight into the memory of a
 * guest, as a disk would into the buffers of its requests, and compares what
 * the guest has with the file.
 *
 * Each request is a chain of buffers, of which one has no bytes and some run
 * through the seam between two regions.  Several are under way at once.  The
 * kernel writes through host addresses, so the program marks each chain as
 * dirty when its request is done; at the end the pages that were written are
 * marked, and no others.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmmem/vmmem.h>

#define EXIT_SKIP 77

/* Two regions that touch. */
#define RAM_LEN UINT64_C(0x100000)
#define REGIONS 2
#define PAGE UINT64_C(4096)

/* A request reads so much of the file, to so many buffers. */
#define CHUNK UINT64_C(0x6000)
#define BUFFERS 4
#define DEPTH 8
/* No buffer runs through more than one seam. */
#define PIECES (2 * BUFFERS)

struct request {
	struct vmmem_range chain[BUFFERS];
	struct iovec iov[PIECES];
	uint64_t offset;
	int busy;
};

struct disk {
	struct io_uring ring;
	struct vmmem_collection *map;
	struct request requests[DEPTH];
	unsigned int under_way; /* that the kernel has */
	int file;
	uint64_t next; /* what is to be asked for */
	uint64_t read;
	int ended;
};

static int
complain(const char *what, int code)
{
	fprintf(stderr, "uring-read: %s: %s\n", what, vmmem_strerror(code));
	return code;
}

static int
make_guest(struct vmmem_collection **ret_map)
{
	struct vmmem_region *regions[REGIONS] = { NULL, NULL };
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	uint64_t i;
	int rc = builder != NULL ? 0 : -ENOMEM;

	for (i = 0; i < REGIONS && rc == 0; i++) {
		vmmem_region_builder_set_range(builder, i * RAM_LEN, RAM_LEN);
		vmmem_region_builder_set_tracking(builder, PAGE);
		rc = vmmem_region_builder_build(builder, &regions[i]);
		if (rc == 0)
			rc = vmmem_bitmap_start_logging(
				vmmem_region_bitmap(regions[i]));
	}
	if (rc == 0)
		rc = vmmem_collection_new(regions, REGIONS, ret_map);
	for (i = 0; i < REGIONS; i++)
		vmmem_region_unref(regions[i]);
	vmmem_region_builder_free(builder);
	return rc;
}

/*
 * The guest's buffers for the bytes of the file from 'offset' on: where they
 * are in the file, so that both can be compared.
 */
static void
choose_buffers(struct vmmem_range *chain, uint64_t offset)
{
	chain[0] = (struct vmmem_range){ offset, 0x1234 };
	chain[1] = (struct vmmem_range){ UINT64_C(0xdead0000), 0 };
	chain[2] = (struct vmmem_range){ offset + 0x1234, 0x2000 };
	chain[3] = (struct vmmem_range){ offset + 0x3234, CHUNK - 0x3234 };
}

/* Puts a request for the next bytes of the file into the ring. */
static int
queue(struct disk *disk, struct request *request)
{
	struct io_uring_sqe *sqe;
	size_t pieces;
	int rc;

	request->offset = disk->next;
	choose_buffers(request->chain, disk->next);
	/* The kernel writes: each byte must be there and permit it. */
	rc = vmmem_collection_iovec_ranges(disk->map, request->chain, BUFFERS,
					   VMMEM_PROT_WRITE, request->iov,
					   PIECES, &pieces, NULL);
	if (rc != 0)
		return complain("the chain", rc);
	sqe = io_uring_get_sqe(&disk->ring);
	if (sqe == NULL)
		return complain("the ring", -EBUSY);
	io_uring_prep_readv(sqe, disk->file, request->iov,
			    (unsigned int)pieces, request->offset);
	io_uring_sqe_set_data(sqe, request);
	request->busy = 1;
	disk->next += CHUNK;
	return 0;
}

/* Waits for an answer: which request, and what became of it. */
static int
wait_for_one(struct disk *disk, struct request **ret_request, int *ret_result)
{
	struct io_uring_cqe *cqe;
	int rc;

	do
		rc = io_uring_wait_cqe(&disk->ring, &cqe);
	while (rc == -EINTR);
	if (rc != 0)
		return complain("waiting", rc);
	*ret_request = io_uring_cqe_get_data(cqe);
	*ret_result = cqe->res;
	io_uring_cqe_seen(&disk->ring, cqe);
	disk->under_way--;
	return 0;
}

/* Takes one answer, and marks what the kernel has written. */
static int
complete(struct disk *disk)
{
	struct request *request;
	uint64_t got, rest = 0;
	int rc, result;

	rc = wait_for_one(disk, &request, &result);
	if (rc != 0)
		return rc;
	request->busy = 0;
	/* A request that failed may have written any of it. */
	got = result < 0 ? CHUNK : (uint64_t)result;
	rc = vmmem_collection_mark_ranges(disk->map, request->chain, BUFFERS,
					  got);
	if (rc != 0)
		return complain("marking", rc);
	if (result < 0)
		return complain("reading", result);
	/* A short one is at the end of the file, or is to be finished. */
	if (got < CHUNK) {
		rc = vmmem_collection_from_fd(disk->map, request->offset + got,
					      CHUNK - got, disk->file,
					      request->offset + got, 0, &rest);
		if (rc != 0 && rc != VMMEM_EEOF)
			return complain("reading", rc);
		disk->ended |= rc == VMMEM_EEOF;
	}
	disk->read += got + rest;
	return 0;
}

static int
read_file(struct disk *disk)
{
	struct request *request;
	int i, rc = 0, result;

	do {
		for (i = 0; i < DEPTH && rc == 0; i++) {
			if (!disk->requests[i].busy && !disk->ended &&
			    disk->next + CHUNK <= REGIONS * RAM_LEN)
				rc = queue(disk, &disk->requests[i]);
		}
		if (rc != 0)
			break;
		rc = io_uring_submit(&disk->ring);
		if (rc < 0) {
			complain("submitting", rc);
			break;
		}
		disk->under_way += (unsigned int)rc;
		rc = disk->under_way != 0 ? complete(disk) : 0;
	} while (rc == 0 && disk->under_way != 0);
	/* The memory must stay until the kernel has done with it. */
	while (disk->under_way != 0 &&
	       wait_for_one(disk, &request, &result) == 0)
		;
	return rc;
}

/* The guest has what the file has, and exactly its pages are marked. */
static int
verify(const struct disk *disk)
{
	uint64_t at, marked = 0, want = (disk->read + PAGE - 1) / PAGE;
	unsigned char guest[PAGE], file[PAGE];
	struct vmmem_region *region;
	uint64_t offset;
	size_t len, i;
	int rc;

	for (at = 0; at < disk->read; at += len) {
		len = disk->read - at < PAGE ? disk->read - at : PAGE;
		rc = vmmem_collection_read(disk->map, at, guest, len, NULL);
		if (rc != 0)
			return complain("looking", rc);
		if (pread(disk->file, file, len, (off_t)at) != (ssize_t)len ||
		    memcmp(guest, file, len) != 0) {
			fprintf(stderr, "uring-read: the bytes from %ju on "
				"differ\n", (uintmax_t)at);
			return -EIO;
		}
		rc = vmmem_collection_locate(disk->map, at, &region, &offset);
		if (rc != 0)
			return complain("looking", rc);
		if (!vmmem_bitmap_test(vmmem_region_bitmap(region), offset)) {
			fprintf(stderr, "uring-read: the page at %ju is not "
				"marked\n", (uintmax_t)at);
			return -EIO;
		}
	}
	for (i = 0; i < vmmem_collection_count(disk->map); i++)
		marked += vmmem_bitmap_count(vmmem_region_bitmap(
			vmmem_collection_region(disk->map, i)));
	printf("%ju bytes, %ju pages marked\n", (uintmax_t)disk->read,
	       (uintmax_t)marked);
	if (marked != want) {
		fprintf(stderr, "uring-read: %ju pages were written\n",
			(uintmax_t)want);
		return -EIO;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct disk disk = { .file = -1 };
	int rc;

	if (argc != 2) {
		fprintf(stderr, "usage: uring-read FILE\n");
		return 2;
	}
	disk.file = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (disk.file < 0) {
		complain(argv[1], -errno);
		return 1;
	}
	rc = io_uring_queue_init(DEPTH, &disk.ring, 0);
	if (rc != 0) {
		/* Where it is switched off or forbidden, or too old. */
		printf("skipped: the kernel gives no io_uring: %s\n",
		       vmmem_strerror(rc));
		close(disk.file);
		return EXIT_SKIP;
	}
	rc = make_guest(&disk.map);
	if (rc != 0)
		complain("the guest's memory", rc);
	if (rc == 0)
		rc = read_file(&disk);
	if (rc == 0)
		rc = verify(&disk);
	io_uring_queue_exit(&disk.ring);
	vmmem_collection_unref(disk.map);
	close(disk.file);
	return rc == 0 ? 0 : 1;
}
