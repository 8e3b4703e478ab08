/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What the system says of memory, for tests that do not believe the library. */
#ifndef MEMORY_H
#define MEMORY_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "guest.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)

static inline struct vmmem_policy *
new_policy(void)
{
	struct vmmem_policy *policy = vmmem_policy_new();

	ck_assert_ptr_nonnull(policy);
	return policy;
}

/* How many bytes of [host, host + len), whole pages, are in memory. */
static inline uint64_t
in_core(const void *host, uint64_t len)
{
	uint64_t pages = len / page_size(), count = 0, i;
	unsigned char *vector = malloc(pages);

	ck_assert_ptr_nonnull(vector);
	ck_assert_int_eq(mincore((void *)(uintptr_t)host, len, vector), 0);
	for (i = 0; i < pages; i++)
		count += vector[i] & 1;
	free(vector);
	return count * page_size();
}

/*
 * Finds the line of /proc/self/smaps with 'key' in the mapping that holds
 * 'host'; false if there is no such mapping.
 */
static inline bool
smaps_line(const void *host, const char *key, char *line, size_t size)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	unsigned long first, end;
	bool within = false, found = false;

	if (file == NULL)
		return false;
	while (!found && fgets(line, (int)size, file) != NULL) {
		if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
			within = (uintptr_t)host >= first &&
				 (uintptr_t)host < end;
		else if (within)
			found = strncmp(line, key, strlen(key)) == 0;
	}
	fclose(file);
	return found;
}

/* Whether the mapping that holds 'host' has one of VmFlags. */
static inline bool
smaps_flag(const void *host, const char *flag)
{
	char line[512], word[8];

	ck_assert(smaps_line(host, "VmFlags:", line, sizeof(line)));
	snprintf(word, sizeof(word), " %s", flag);
	return strstr(line, word) != NULL;
}

/* Whether a mapping of this process has 'name' in its path. */
static inline bool
maps_name(const char *name)
{
	FILE *file = fopen("/proc/self/maps", "r");
	char line[512];
	bool found = false;

	ck_assert_ptr_nonnull(file);
	while (!found && fgets(line, sizeof(line), file) != NULL)
		found = strstr(line, name) != NULL;
	fclose(file);
	return found;
}

/* How many bytes of storage a file has. */
static inline uint64_t
storage(int fd)
{
	struct stat status;

	ck_assert_int_eq(fstat(fd, &status), 0);
	return (uint64_t)status.st_blocks * 512;
}

/*
 * What madvise() and smaps say is about this process, and not about that of an
 * emulator which ignores advice: for skip_reason().
 */
static inline const char *
memory_skip_reason(void)
{
	size_t page = (size_t)page_size();
	unsigned char core = 0;
	char line[512];
	bool works;
	void *at = mmap(NULL, page, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return "no memory";
	works = madvise(at, page, MADV_POPULATE_WRITE) == 0 &&
		mincore(at, page, &core) == 0 && (core & 1) != 0 &&
		smaps_line(at, "VmFlags:", line, sizeof(line));
	munmap(at, page);
	return works ? NULL :
		       "needs MADV_POPULATE_WRITE (Linux 5.14) and "
		       "/proc/self/smaps, and no emulator between";
}

/* Whether pages can be locked as they are touched; not under valgrind. */
static inline bool
can_lock_on_fault(void)
{
	size_t page = (size_t)page_size();
	bool can;
	void *at = mmap(NULL, page, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(at, MAP_FAILED);
	can = mlock2(at, page, MLOCK_ONFAULT) == 0;
	munmap(at, page);
	return can;
}

/* Whether a child that touches 'host' is killed by SIGSEGV. */
static inline bool
touching_kills(const volatile uint8_t *host)
{
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		/* A sanitizer would make a report of it. */
		signal(SIGSEGV, SIG_DFL);
		(void)*host;
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

#endif
