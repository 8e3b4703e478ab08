/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The benchmark: libvmmem, two versions of vm-memory and the floor, on the same
 * addresses, in one process.  tools/bench builds and runs it.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "row.h"

#ifdef BENCH_PEERS
extern const struct bench_peer bench_peer_0_18, bench_peer_0_16;
const struct bench_peer *bench_peers[PEERS] = { &bench_peer_0_18,
						&bench_peer_0_16 };
#else
const struct bench_peer *bench_peers[PEERS];
#endif

static uint64_t state;

uint64_t
bench_random(uint64_t limit)
{
	uint64_t z;

	/* splitmix64 */
	state += UINT64_C(0x9e3779b97f4a7c15);
	z = (state ^ (state >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return limit != 0 ? z % limit : z;
}

void
bench_fail(int rc, const char *what)
{
	fprintf(stderr, "bench: %s failed: %d\n", what, rc);
	exit(1);
}

void *
bench_alloc(size_t count, size_t size)
{
	void *memory;

	/* A table begins where a page does, on every run. */
	memory = aligned_alloc(4096, (count * size + 4095) & ~(size_t)4095);
	bench_must(memory == NULL ? -1 : 0, "memory");
	memset(memory, 0, count * size);
	return memory;
}

static _Noreturn void
usage(void)
{
	fprintf(stderr,
		"usage: bench [--quick] [--rows PATTERN] [--seed NUMBER] "
		"[--batches NUMBER] [--json FILE] [--plots DIRECTORY]\n");
	exit(2);
}

static uint64_t
number(const char *text)
{
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno != 0 || end == text || *end != '\0')
		usage();
	return value;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "batches", required_argument, NULL, 'b' },
		{ "json", required_argument, NULL, 'j' },
		{ "plots", required_argument, NULL, 'p' },
		{ "quick", no_argument, NULL, 'q' },
		{ "rows", required_argument, NULL, 'r' },
		{ "seed", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	const struct bench_result *results;
	const char *json = NULL, *plots = NULL;
	uint64_t seed;
	int option;

	bench_must(getrandom(&seed, sizeof(seed), 0) < 0 ? -errno : 0, "seed");
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'b':
			bench_settings.batches = number(optarg);
			if (bench_settings.batches < 15 ||
			    bench_settings.batches > 101)
				usage();
			break;
		case 'j':
			json = optarg;
			break;
		case 'p':
			plots = optarg;
			break;
		case 'q':
			bench_settings.batches = 15;
			bench_settings.batch_ns = 3e5;
			break;
		case 'r':
			bench_settings.rows = optarg;
			break;
		case 's':
			seed = number(optarg);
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();

	state = seed;
	printf("seed 0x%016" PRIx64 ", medians of %zu batches\n", seed,
	       bench_settings.batches);
	if (bench_peers[0] == NULL)
		printf("without vm-memory: there is no Rust\n");
	bench_print_head();
	bench_find_rows();
	bench_access_rows();
	bench_slice_rows();
	bench_dirty_rows();
	bench_change_rows();
	bench_space_rows();
	bench_device_rows();
	bench_iommu_rows();
	if (bench_results(&results) == 0) {
		fprintf(stderr, "bench: no row matches '%s'\n",
			bench_settings.rows);
		return 1;
	}
	bench_print_verdict();
	if (json != NULL)
		bench_must(bench_write_json(json), json);
	if (plots != NULL)
		bench_must(bench_write_plots(plots), plots);
	return 0;
}
