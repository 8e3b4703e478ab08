/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vhost-user-blk: a disk for a virtual machine, as a process of its own.  See
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
#include <unistd.h>

static void
usage(void)
{
	fprintf(stderr,
		"usage: vhost-user-blk --socket PATH --file PATH\n"
		"           [--queues N] [--read-only] [--once] "
		"[--postcopy]\n"
		"           [--trust-file-memory]\n");
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

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "file", required_argument, NULL, 'f' },
		{ "queues", required_argument, NULL, 'q' },
		{ "read-only", no_argument, NULL, 'r' },
		{ "once", no_argument, NULL, '1' },
		{ "postcopy", no_argument, NULL, 'p' },
		{ "trust-file-memory", no_argument, NULL, 't' },
		{ 0 },
	};
	static struct device device = { .queue_count = 1 };
	const char *socket_path = NULL, *file_path = NULL;
	bool once = false;
	int option, listener, fd;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			socket_path = optarg;
			break;
		case 'f':
			file_path = optarg;
			break;
		case 'q':
			device.queue_count =
				(unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			device.read_only = true;
			break;
		case '1':
			once = true;
			break;
		case 'p':
			device.may_postcopy = true;
			break;
		case 't':
			device.trusting = true;
			break;
		default:
			usage();
		}
	}
	if (socket_path == NULL || file_path == NULL || optind != argc ||
	    device.queue_count == 0 || device.queue_count > QUEUES_MAX)
		usage();
	if (device.may_postcopy)
		device.may_postcopy = postcopy_possible();
	/* A front end that has gone is seen by the code of a write. */
	signal(SIGPIPE, SIG_IGN);
	pthread_mutex_init(&device.backend_lock, NULL);
	open_file(&device, file_path);
	listener = listen_at(socket_path);
	do {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 && errno != EINTR && errno != ECONNABORTED) {
			perror("accept");
			return 1;
		}
		if (fd >= 0) {
			serve(&device, fd);
			close(fd);
		}
	} while (!once || fd < 0);
	unlink(socket_path);
	close(listener);
	close(device.file);
	return 0;
}
