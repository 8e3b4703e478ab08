/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <stdio.h>

#include <vmmem/kvm.h>
#include <vmmem/vhost.h>
#include <vmmem/vmmem.h>

/* One object of each library. */
int
main(void)
{
	const struct vmmem_range range = {.gpa = 0x1000, .len = 0x1000};
	struct vmmem_collection *map = NULL;
	struct vmmem_space *space = NULL;
	struct vmmem_slot_table *slots = NULL;
	struct vmmem_vhost *vhost = NULL;
	int code;

	code = vmmem_collection_new_ranges(&range, 1, NULL, &map);
	if (code == 0)
		code = vmmem_space_new(map, NULL, &space);
	if (code == 0)
		code = vmmem_slot_table_new(NULL, &slots);
	if (code == 0)
		code = vmmem_vhost_new(space, NULL, &vhost);
	vmmem_vhost_free(vhost);
	vmmem_slot_table_free(slots);
	vmmem_space_unref(space);
	vmmem_collection_unref(map);
	if (code != 0) {
		fprintf(stderr, "%s\n", vmmem_strerror(code));
		return 1;
	}
	puts("guest");
	return 0;
}
