/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vhost-user-blk: disks for virtual machines, as a process of its own.  See
 * README.md.
 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DISKS_MAX 16

/* What accept(2) lacks is said when it has lacked nothing for so long. */
#define SILENT_NS INT64_C(10000000000)

/* One of --socket: a device of its own, for a front end of its own. */
struct disk {
	const char *socket_path, *file_path;
	bool once;
	int64_t silent_until; /* of what accept(2) lacks */
	struct device device;
	pthread_t thread;
};

static void
usage(void)
{
	fprintf(stderr,
		"usage: vhost-user-blk [--once] [--sealed | --files] "
		"[--postcopy]\n"
		"           (--socket PATH --file PATH [--queues N] "
		"[--read-only])...\n");
	exit(2);
}

static int
listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		fprintf(stderr, "%s: too long\n", path);
		exit(1);
	}
	strcpy(address.sun_path, path);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(fd, 1) != 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

static void
open_file(struct device *device, const char *path)
{
	struct stat status;

	device->file = open(path, (device->read_only ? O_RDONLY : O_RDWR) |
					  O_CLOEXEC);
	if (device->file < 0 || fstat(device->file, &status) != 0) {
		perror(path);
		exit(1);
	}
	if (!S_ISREG(status.st_mode)) {
		fprintf(stderr, "%s: not a regular file\n", path);
		exit(1);
	}
	device->sectors = (uint64_t)status.st_size / SECTOR;
}

/*
 * accept_one() waits for a front end.  What the system lacks may be there the
 * next time, and the other disks have their front ends: nothing ends it.
 */
static int
accept_one(struct disk *disk)
{
	const struct timespec pause = { .tv_nsec = ACCEPT_PAUSE_NS };
	int fd = disk->device.next;

	disk->device.next = -1;
	while (fd < 0) {
		fd = accept4(disk->device.listener, NULL, NULL, SOCK_CLOEXEC);
		/* Here it is; or it has gone again, or a signal came. */
		if (fd >= 0 || errno == EINTR || errno == ECONNABORTED)
			continue;
		if (time_ns() >= disk->silent_until)
			perror(disk->socket_path);
		disk->silent_until = time_ns() + SILENT_NS;
		(void)nanosleep(&pause, NULL);
	}
	return fd;
}

/* run() serves one front end after the other. */
static void *
run(void *opaque)
{
	struct disk *disk = opaque;
	int fd;

	do {
		fd = accept_one(disk);
		serve(&disk->device, fd);
		close(fd);
	} while (!disk->once);
	unlink(disk->socket_path);
	close(disk->device.listener);
	close(disk->device.file);
	eventfds_close(&disk->device);
	return NULL;
}

/*
 * survive() tells whether memory that a front end cuts short can be taken: then
 * functions of the library return VMMEM_EGONE, and the system -EFAULT.
 */
static bool
survive(void)
{
	int rc = vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS);

	if (rc != 0)
		fprintf(stderr, "only sealed memory is taken: %s\n",
			vmmem_strerror(rc));
	return rc == 0;
}

/*
 * open_all() opens what each disk needs, and then divides what is left.
 */
static void
open_all(struct disk *disks, size_t count)
{
	bool enough = true;
	int last_fd = 0, rc;
	size_t i;

	limits_raise();
	for (i = 0; i < count; i++) {
		struct disk *disk = &disks[i];

		open_file(&disk->device, disk->file_path);
		rc = eventfds_open(&disk->device);
		if (rc != 0) {
			fprintf(stderr, "signals by io_submit(2): %s\n",
				vmmem_strerror(rc));
			exit(1);
		}
		disk->device.listener = listen_at(disk->socket_path);
		last_fd = disk->device.listener;
	}
	for (i = 0; i < count; i++)
		enough = limits_set(&disks[i].device, count, last_fd) && enough;
	if (!enough)
		fprintf(stderr, "RLIMIT_NOFILE is too low for as many disks "
				"and queues at once\n");
}

/* What the command line says of all disks, and of each. */
struct settings {
	bool once, sealed, postcopy, files;
	size_t count;
	struct disk disks[DISKS_MAX];
};

static void
take_option(struct settings *settings, int option)
{
	struct disk *disk = settings->disks;

	/* What is of a disk comes after its socket. */
	if (settings->count == 0 && strchr("fqr", option) != NULL)
		usage();
	if (settings->count != 0)
		disk = &settings->disks[settings->count - 1];
	switch (option) {
	case 's':
		if (settings->count == DISKS_MAX)
			usage();
		disk = &settings->disks[settings->count++];
		disk->socket_path = optarg;
		disk->device.queue_count = 1;
		disk->device.next = -1;
		break;
	case 'f':
		disk->file_path = optarg;
		break;
	case 'q':
		disk->device.queue_count =
			(unsigned int)strtoul(optarg, NULL, 10);
		break;
	case 'r':
		disk->device.read_only = true;
		break;
	case '1':
		settings->once = true;
		break;
	case 'S':
		settings->sealed = true;
		break;
	case 'F':
		settings->files = true;
		break;
	case 'p':
		settings->postcopy = true;
		break;
	default:
		usage();
	}
}

static void
take_options(struct settings *settings, int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "file", required_argument, NULL, 'f' },
		{ "queues", required_argument, NULL, 'q' },
		{ "read-only", no_argument, NULL, 'r' },
		{ "once", no_argument, NULL, '1' },
		{ "sealed", no_argument, NULL, 'S' },
		{ "files", no_argument, NULL, 'F' },
		{ "postcopy", no_argument, NULL, 'p' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		take_option(settings, option);
	if (settings->count == 0 || optind != argc ||
	    (settings->sealed && settings->files))
		usage();
}

int
main(int argc, char **argv)
{
	static struct settings settings;
	struct disk *disks = settings.disks;
	bool survives;
	size_t i;

	take_options(&settings, argc, argv);
	/* A front end that has gone is seen by the code of a write. */
	signal(SIGPIPE, SIG_IGN);
	/* And so is what would be too long by RLIMIT_FSIZE, of any file. */
	signal(SIGXFSZ, SIG_IGN);
	survives = survive();
	settings.sealed = settings.sealed || !survives;
	settings.postcopy = settings.postcopy && postcopy_possible();
	for (i = 0; i < settings.count; i++) {
		struct device *device = &disks[i].device;

		if (disks[i].file_path == NULL || device->queue_count == 0 ||
		    device->queue_count > QUEUES_MAX)
			usage();
		disks[i].once = settings.once;
		device->sealed = settings.sealed;
		device->survives = survives;
		device->files = settings.files;
		device->may_postcopy = settings.postcopy;
		device_init_locks(device);
	}
	open_all(disks, settings.count);
	for (i = 0; i < settings.count; i++) {
		if (pthread_create(&disks[i].thread, NULL, run, &disks[i]) !=
		    0) {
			fprintf(stderr, "no thread for %s\n",
				disks[i].socket_path);
			return 1;
		}
	}
	for (i = 0; i < settings.count; i++)
		pthread_join(disks[i].thread, NULL);
	return 0;
}
