/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vhost-bench --file FILE [OPTION...] NAME=SOCKET,PID...
 *
 * measures the back ends in turns, all of which have FILE as their disk, and
 * prints a line of JSON for each time.  tools/bench-vhost makes a table.
 */
#include "front.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TARGETS_MAX 8

/* A back end. */
struct target {
	struct link link;
	const char *name, *path;
	long pid;
	struct driver drivers[QUEUES_MAX];
};

struct row {
	const char *name;
	struct work work;
};

struct job {
	struct driver *driver;
	const struct work *work;
	double seconds;
	pthread_t thread;
};

static const struct row rows[] = {
	{ "random read 4 KiB", { false, false, false, 1, 0 } },
	{ "random write 4 KiB", { true, false, false, 1, 0 } },
	{ "sequential read 128 KiB", { false, true, false, 32, 0 } },
	{ "sequential write 128 KiB", { true, true, false, 32, 0 } },
};

static const unsigned int depths[] = { 1, 8, 32 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void
die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "vhost-bench: ");
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	va_end(arguments);
	exit(1);
}

/* The processor time of a process and of all its threads, in seconds. */
static double
cpu_of(long pid)
{
	unsigned long user, system;
	char path[64], line[1024];
	const char *at;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	file = fopen(path, "re");
	if (file == NULL || fgets(line, sizeof(line), file) == NULL)
		die("%s: %s", path, strerror(errno));
	fclose(file);
	/* A name may have anything in it, but what follows the last bracket. */
	at = strrchr(line, ')');
	if (at == NULL ||
	    sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
		   &user, &system) != 2)
		die("%s: not understood", path);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void *
work(void *opaque)
{
	struct job *job = opaque;

	driver_run(job->driver, job->work, job->seconds);
	return NULL;
}

/* run_all() has all queues work at once, and returns how long it took. */
static double
run_all(struct target *target, const struct work *what, unsigned int queues,
	double seconds)
{
	struct job jobs[QUEUES_MAX];
	double begin = now();
	unsigned int i;

	for (i = 0; i < queues; i++) {
		jobs[i] = (struct job){ .driver = &target->drivers[i],
					.work = what, .seconds = seconds };
		if (i != 0 && pthread_create(&jobs[i].thread, NULL, work,
					     &jobs[i]) != 0)
			die("no thread");
	}
	work(&jobs[0]);
	for (i = 1; i < queues; i++)
		pthread_join(jobs[i].thread, NULL);
	return now() - begin;
}

static void
measure(struct target *target, const struct row *row, const struct work *what,
	unsigned int queues, double seconds, unsigned int round)
{
	uint64_t requests = 0, kicks = 0, waits = 0;
	double cpu, took;
	unsigned int i;

	/* It is warm before it counts. */
	run_all(target, what, queues, seconds / 10);
	cpu = cpu_of(target->pid);
	took = run_all(target, what, queues, seconds);
	cpu = cpu_of(target->pid) - cpu;
	for (i = 0; i < queues; i++) {
		requests += target->drivers[i].requests;
		kicks += target->drivers[i].kicks;
		waits += target->drivers[i].waits;
	}
	printf("{\"round\": %u, \"row\": \"%s\", \"depth\": %u, "
	       "\"queues\": %u, \"polling\": %s, \"target\": \"%s\", "
	       "\"bytes\": %u, \"requests\": %llu, \"seconds\": %.6f, "
	       "\"cpu\": %.2f, \"kicks\": %llu, \"waits\": %llu}\n",
	       round, row->name, what->depth, queues,
	       what->polling ? "true" : "false", target->name,
	       what->blocks * BLOCK, (unsigned long long)requests, took, cpu,
	       (unsigned long long)kicks, (unsigned long long)waits);
	fflush(stdout);
}

static void
usage(void)
{
	fprintf(stderr,
		"usage: vhost-bench --file FILE [--size MIB] [--queues N] "
		"[--rounds N]\n"
		"           [--seconds S] [--rows TEXT] [--depth N] [--poll] "
		"NAME=SOCKET,PID...\n");
	exit(2);
}

static void
parse_target(struct target *target, char *text)
{
	char *path = strchr(text, '='), *pid;

	pid = path == NULL ? NULL : strrchr(path, ',');
	if (pid == NULL)
		usage();
	*path++ = '\0';
	*pid++ = '\0';
	target->name = text;
	target->path = path;
	target->pid = strtol(pid, NULL, 10);
}

static void
open_target(struct target *target, struct disk *disk, unsigned int queues)
{
	unsigned int i;

	link_open(&target->link, target->name, target->path,
		  driver_memory() * queues);
	if (target->link.sectors != disk->blocks * SECTORS_OF_BLOCK)
		die("%s: a disk of another size", target->name);
	for (i = 0; i < queues; i++)
		driver_start(&target->drivers[i], &target->link, disk, i,
			     queues);
	printf("{\"target\": \"%s\", \"features\": \"0x%llx\", "
	       "\"protocol\": \"0x%llx\"}\n",
	       target->name, (unsigned long long)target->link.features,
	       (unsigned long long)target->link.protocol_features);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "file", required_argument, NULL, 'f' },
		{ "size", required_argument, NULL, 'm' },
		{ "queues", required_argument, NULL, 'q' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ "rows", required_argument, NULL, 'w' },
		{ "depth", required_argument, NULL, 'd' },
		{ "poll", no_argument, NULL, 'p' },
		{ 0 },
	};
	static struct target targets[TARGETS_MAX];
	unsigned int queues = 1, rounds = 5, round, count, i, depth = 0;
	const char *file = NULL, *only = "";
	struct disk disk = { 0 };
	bool polling = false;
	double seconds = 1;
	uint64_t mib = 256;
	size_t d, r;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'f':
			file = optarg;
			break;
		case 'm':
			mib = strtoull(optarg, NULL, 10);
			break;
		case 'q':
			queues = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			rounds = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 's':
			seconds = strtod(optarg, NULL);
			break;
		case 'w':
			only = optarg;
			break;
		case 'd':
			depth = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'p':
			polling = true;
			break;
		default:
			usage();
		}
	}
	count = (unsigned int)(argc - optind);
	/* Requests under way at once must fit a queue's part of the disk. */
	if (file == NULL || count == 0 || count > TARGETS_MAX || queues == 0 ||
	    queues > QUEUES_MAX || depth > DEPTH_MAX || mib < 16 * queues)
		usage();
	disk_fill(&disk, file, mib << 20);
	for (i = 0; i < count; i++) {
		parse_target(&targets[i], argv[(unsigned int)optind + i]);
		open_target(&targets[i], &disk, queues);
		if (targets[i].link.features != targets[0].link.features)
			die("%s and %s have other features", targets[i].name,
			    targets[0].name);
	}
	for (round = 0; round < rounds; round++) {
		for (r = 0; r < COUNT(rows); r++) {
			for (d = 0; d < COUNT(depths); d++) {
				struct work what = rows[r].work;

				what.polling = polling;
				what.depth = depths[d];
				if (strstr(rows[r].name, only) == NULL ||
				    (depth != 0 && depth != depths[d]))
					continue;
				/* Who begins changes from round to round. */
				for (i = 0; i < count; i++)
					measure(&targets[(i + round) % count],
						&rows[r], &what, queues,
						seconds, round);
			}
		}
	}
	for (i = 0; i < count; i++) {
		for (d = 0; d < queues; d++)
			driver_stop(&targets[i].drivers[d]);
		link_close(&targets[i].link);
	}
	return 0;
}
