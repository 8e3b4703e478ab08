/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Which parts of a file have data, and which are holes. */
#ifndef FILE_DATA_H
#define FILE_DATA_H

#include <stdbool.h>
#include <stdint.h>

struct vmmem_file_data {
	int fd;
	int cancel;	 /* from open to close the thread is not cancelled */
	bool own;	 /* else it is the caller's */
	int64_t restore; /* where the caller's stood */
};

/*
 * vmmem_file_data_open() prepares for questions about the regular file 'fd'.
 * The answer moves where a file stands, which others may share: so the file is
 * opened once more, or if that is not permitted it is put back afterwards.
 * The last one opened is closed first, as pagemap.h says.  Returns 0 or -errno:
 * -ESPIPE if it is no file that can be asked.
 */
int vmmem_file_data_open(int fd, struct vmmem_file_data *ret_data);
void vmmem_file_data_close(const struct vmmem_file_data *data);

/*
 * vmmem_file_data_next() finds the first data in [from, end) of the file.  Both
 * results are 'end' if there is none.  On a file system without holes all bytes
 * are data.  Returns 0 or -errno.
 */
int vmmem_file_data_next(const struct vmmem_file_data *data, uint64_t from,
			 uint64_t end, uint64_t *ret_from, uint64_t *ret_end);

#endif
