/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What libFuzzer does, without libFuzzer: runs a fuzz target on the files that
 * are named, or on random inputs of which it prints the seed.  It also watches
 * what no target sees of itself: that no descriptor is left.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 600

static unsigned int
open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int count = 0;

	if (dir == NULL)
		abort();
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static int
replay(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *file = fopen(path, "rb");
	size_t size;

	if (file == NULL) {
		perror(path);
		return 1;
	}
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	return 0;
}

int
main(int argc, char **argv)
{
	struct rng rng = { .state = rng_seed() };
	uint64_t i, rounds = rng_rounds(4000);
	uint8_t data[INPUT_MAX];
	unsigned int before;
	size_t size, at;
	int rc = 0, arg;

	for (arg = 1; arg < argc; arg++)
		rc |= replay(argv[arg]);
	if (argc > 1)
		return rc;
	/* It is printed now, as the target may abort. */
	printf("%" PRIu64 " inputs; VMMEM_TEST_SEED=%" PRIu64 "\n", rounds,
	       rng.state);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, 0);
	before = open_descriptors();
	for (i = 0; i < rounds; i++) {
		size = 1 + (size_t)rng_below(&rng, sizeof(data));
		for (at = 0; at < size; at++)
			data[at] = (uint8_t)rng_next(&rng);
		LLVMFuzzerTestOneInput(data, size);
	}
	if (open_descriptors() != before) {
		fprintf(stderr, "descriptors are left\n");
		return 1;
	}
	return 0;
}
