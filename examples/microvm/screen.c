/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "screen.h"

static const char *bold = "";
static const char *green = "";
static const char *red = "";
static const char *cyan = "";
static const char *plain = "";

static unsigned int checks;
static unsigned int failures;

void
screen_init(void)
{
	/* Whatever happens next, what was printed is out. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!isatty(STDOUT_FILENO) || getenv("NO_COLOR") != NULL)
		return;
	bold = "\033[1m";
	green = "\033[32m";
	red = "\033[31m";
	cyan = "\033[36m";
	plain = "\033[0m";
}

void
screen_heading(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("\n%s", bold);
	vprintf(format, args);
	printf("%s\n", plain);
	va_end(args);
}

static const char *
kind_name(uint32_t kind)
{
	switch (kind) {
	case VMMEM_REGION_ANONYMOUS:
		return "anonymous";
	case VMMEM_REGION_MEMFD:
		return "memfd";
	case VMMEM_REGION_FILE:
		return "file";
	case VMMEM_REGION_EXTERNAL:
		return "external";
	case VMMEM_REGION_ALIAS:
		return "alias";
	case VMMEM_REGION_CUSTOM:
		return "custom";
	default:
		return "?";
	}
}

static void
format_size(char *text, size_t text_len, uint64_t len)
{
	static const char *const units[] = {
		"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB",
	};
	size_t unit = 0;

	while (len % 1024 == 0 && unit + 1 < sizeof(units) / sizeof(*units)) {
		len /= 1024;
		unit++;
	}
	snprintf(text, text_len, "%" PRIu64 " %s", len, units[unit]);
}

static void
format_backing(char *text, size_t text_len, const struct vmmem_region *region)
{
	uint64_t offset;
	int fd;

	if (vmmem_region_kind(region) == VMMEM_REGION_MEMFD)
		snprintf(text, text_len, "sealed memfd");
	else if (vmmem_region_kind(region) == VMMEM_REGION_ALIAS)
		snprintf(text, text_len, "%s + 0x%" PRIx64,
			 vmmem_region_name(vmmem_region_alias_target(region)),
			 vmmem_region_alias_offset(region));
	else if (vmmem_region_file(region, &fd, &offset) == 0)
		snprintf(text, text_len, "file + 0x%" PRIx64, offset);
	else if (vmmem_region_kind(region) == VMMEM_REGION_ANONYMOUS)
		snprintf(text, text_len, "private memory");
	else
		snprintf(text, text_len, "the host program");
}

static int
print_region(void *opaque, struct vmmem_region *region)
{
	const int *digits = opaque;
	uint32_t protection = vmmem_region_protection(region);
	char size[32], backing[VMMEM_REGION_NAME_MAX + 32];

	format_size(size, sizeof(size), vmmem_region_len(region));
	format_backing(backing, sizeof(backing), region);
	printf("  %0*" PRIx64 "-%0*" PRIx64 "  %8s  %-9s  %c%c%c   %-8s  %s\n",
	       *digits, vmmem_region_start(region), *digits,
	       vmmem_region_last(region), size,
	       kind_name(vmmem_region_kind(region)),
	       protection & VMMEM_PROT_READ ? 'r' : '-',
	       protection & VMMEM_PROT_WRITE ? 'w' : '-',
	       protection & VMMEM_PROT_EXEC ? 'x' : '-',
	       vmmem_region_name(region), backing);
	return 0;
}

void
screen_map(const char *title, const struct vmmem_collection *map)
{
	uint64_t last = 0;
	int digits;

	screen_heading("%s", title);
	if (vmmem_collection_last(map, &last) == VMMEM_ENOREGION) {
		printf("  empty\n");
		return;
	}
	digits = last > UINT32_MAX ? 16 : 8;
	printf("  %-*s  %8s  %-9s  %s  %-8s  %s\n", 2 * digits + 1,
	       "guest addresses", "size", "kind", "prot", "name", "backed by");
	vmmem_collection_for_each(map, print_region, &digits);
}

void
screen_exit(const struct vcpu_exit *exit)
{
	bool read = exit->kind == EXIT_MEMORY_READ;

	printf("  %sexit%s  ", cyan, plain);
	switch (exit->kind) {
	case EXIT_MEMORY_READ:
	case EXIT_MEMORY_WRITE:
		printf("MMIO %s of %" PRIu32 " byte%s at %08" PRIx64 ", ",
		       read ? "read" : "write", exit->len,
		       exit->len == 1 ? "" : "s", exit->address);
		printf("%s %0*" PRIx32 "\n",
		       read ? "answered with" : "refused:",
		       (int)(2 * exit->len), exit->value);
		break;
	case EXIT_PORT_WRITE:
		printf("%04" PRIx32 " written to port %" PRIx64 "\n",
		       exit->value, exit->address);
		break;
	case EXIT_HALT:
		printf("halted\n");
		break;
	case EXIT_INTERRUPTED:
		printf("interrupted\n");
		break;
	case EXIT_ERROR:
		printf("%s\n", exit->text);
		break;
	}
}

bool
screen_check(bool holds, const char *format, ...)
{
	va_list args;

	checks++;
	if (!holds)
		failures++;
	va_start(args, format);
	printf("  %s%s%s  ", holds ? green : red, holds ? "ok  " : "FAIL",
	       plain);
	vprintf(format, args);
	printf("\n");
	va_end(args);
	return holds;
}

void
screen_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("  %sinfo%s  ", cyan, plain);
	vprintf(format, args);
	printf("\n");
	va_end(args);
}

bool
screen_worked(int rc, const char *what)
{
	if (rc == 0)
		return true;
	return screen_check(false, "%s: %s", what, vmmem_strerror(rc));
}

int
screen_verdict(const char *machine)
{
	if (failures == 0)
		printf("\n%smicrovm: PASS%s (%s, %u checks)\n", green, plain,
		       machine, checks);
	else
		printf("\n%smicrovm: FAIL%s (%s, %u of %u checks)\n", red,
		       plain, machine, failures, checks);
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
