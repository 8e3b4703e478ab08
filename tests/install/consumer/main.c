/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <vmmem/vmmem.h>

int
main(void)
{
	const struct vmmem_range range = {.gpa = 0x1000, .len = 0x1000};
	struct vmmem_collection *memory;
	char text[6] = "";
	int code;

	if (vmmem_version() != VMMEM_VERSION) {
		fprintf(stderr, "the headers are not those of library %s\n",
			vmmem_version_string());
		return 1;
	}
	code = vmmem_collection_new_ranges(&range, 1, NULL, &memory);
	if (code == 0)
		code = vmmem_collection_write(memory, 0x1ff0, "guest", 6, NULL);
	if (code == 0)
		code = vmmem_collection_read(memory, 0x1ff0, text, 6, NULL);
	if (code != 0) {
		fprintf(stderr, "%s\n", vmmem_strerror(code));
		return 1;
	}
	vmmem_collection_unref(memory);
	puts(text);
	return strcmp(text, "guest") != 0;
}
