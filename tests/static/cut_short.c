/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Memory that is cut short, in a program that was linked statically: exit
 * status 0 if each access says so, 2 if it is said that none would, 1 or a
 * signal if not all do.
 */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmmem/vmmem.h>

#define LEN 16384
#define LEFT 4096

static int bad;

static void
expect(const char *what, int rc)
{
	if (rc == VMMEM_EGONE)
		return;
	printf("%s: %s\n", what, vmmem_strerror(rc));
	bad = 1;
}

int
main(void)
{
	static char buf[LEN];
	struct vmmem_collection *map;
	struct vmmem_region *region;
	uint64_t value;
	int fd, rc;

	fd = memfd_create("guest", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, LEN) != 0 ||
	    vmmem_region_new_file(0, LEN, fd, 0, &region) != 0 ||
	    vmmem_collection_new(&region, 1, &map) != 0)
		return 1;
	rc = vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS | VMMEM_FAULT_SIGNAL_SEGV);
	if (rc == VMMEM_ENOSUPPORT)
		return 2;
	if (rc != 0 || ftruncate(fd, LEFT) != 0)
		return 1;
	expect("read", vmmem_collection_read(map, 0, buf, LEN, NULL));
	expect("write", vmmem_collection_write(map, 100, buf, LEN - 100, NULL));
	expect("fill", vmmem_collection_fill(map, 0, LEN, 1, NULL));
	expect("copy", vmmem_collection_copy(map, 0, LEFT - 8, 4096, NULL));
	expect("integer", vmmem_collection_read_u32(map, 8192, (void *)buf));
	expect("load", vmmem_collection_load_u64(map, 8192, VMMEM_ORDER_ACQUIRE,
						 &value));
	expect("add", vmmem_collection_fetch_add_u64(
			      map, 8192, 1, VMMEM_ORDER_SEQ_CST, &value));
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
	return bad;
}
