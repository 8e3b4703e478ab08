/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The system's pool of huge pages. */
#ifndef POOL_H
#define POOL_H

#include <stdint.h>
#include <stdio.h>

/* How many free huge pages of 'bytes' there are. */
static inline unsigned long
pool_free(uint64_t bytes)
{
	unsigned long count = 0;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/hugepages/hugepages-%llukB/free_hugepages",
		 (unsigned long long)(bytes / 1024));
	file = fopen(path, "r");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%lu", &count) != 1)
		count = 0;
	fclose(file);
	return count;
}

#endif
