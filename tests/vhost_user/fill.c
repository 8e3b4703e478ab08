/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * fill CALL MEMORY OFFSET ROUNDS - fills a ring's call eventfd just when the
 * back end is about to signal, and says whether the ring goes on.
 *
 * CALL is the eventfd, MEMORY the guest's memory and OFFSET where in it the
 * used index is.  Whoever started this offers a request whenever the one before
 * is used.  In every other round the eventfd has room until the request is used,
 * and is filled then, each time a little later.
 */
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LIMIT 30 /* seconds, after which a ring does not go on */
#define SPIN_MAX 400

static volatile const uint16_t *used;

/* next() waits until another request is used. */
static int
next(void)
{
	static uint16_t last;
	time_t end = time(NULL) + LIMIT;

	while (*used == last)
		if (time(NULL) > end)
			return 0;
	last++;
	return 1;
}

/*
 * If the back end has signalled first, there is no room and nobody makes any:
 * then a tick ends the write.  O_NONBLOCK would be the back end's, too.
 */
static void
tick(int number)
{
	(void)number;
}

static void
begin_ticks(void)
{
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	struct sigaction action = { 0 };

	action.sa_handler = tick;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

int
main(int argc, char **argv)
{
	const uint64_t most = UINT64_MAX - 1;
	unsigned long rounds, i;
	struct pollfd full;
	volatile int spin;
	char *memory;
	uint64_t old;
	int call;

	if (argc != 5)
		return 2;
	call = atoi(argv[1]);
	memory = mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, atoi(argv[2]), 0);
	if (memory == MAP_FAILED)
		return 2;
	used = (const void *)(memory + atol(argv[3]));
	rounds = strtoul(argv[4], NULL, 10);
	begin_ticks();
	full = (struct pollfd){ .fd = call, .events = POLLIN };
	for (i = 0; i < rounds; i++) {
		if (!next()) {
			fprintf(stderr, "stuck in round %lu\n", i);
			return 1;
		}
		for (spin = 0; spin < (int)(i % SPIN_MAX); spin++)
			;
		(void)!write(call, &most, sizeof(most));
		if (!next()) {
			fprintf(stderr, "stuck in round %lu\n", i);
			return 1;
		}
		if (poll(&full, 1, 0) == 1)
			(void)!read(call, &old, sizeof(old));
	}
	return 0;
}
