/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A hostile front end: whatever it sends, a vhost object does what a model of
 * a few lines says, and changes nothing when it refuses.  The input is a list
 * of messages; numbers in it pick from tables of places where things go wrong.
 *
 * Built with -fsanitize=fuzzer, or with fuzz/run.c.
 */
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmmem/vhost.h>
#include <vmmem/vmmem.h>

#include "pool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition)                                                    \
	do {                                                               \
		if (!(condition)) {                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, \
				#condition);                               \
			abort();                                           \
		}                                                          \
	} while (0)

#define PAGE UINT64_C(4096)
#define HUGE UINT64_C(0x200000)
#define FILES 6
#define ROWS 8 /* the most that the object is made for */
#define SENT 10 /* the most that a message has: more than that */
#define LOG_FILE 1
#define HUGE_FILE 5 /* of huge pages, if the pool has one */

static uint64_t file_len[FILES] = { 16 * PAGE, 4 * PAGE, 16 * PAGE, 0, 0,
				    16 * PAGE };
static int files[FILES];

/* The byte at 'offset' of a file. */
static uint8_t
content(unsigned int file, uint64_t offset)
{
	return (uint8_t)(file * 37 + offset / 16 * 5 + 1);
}

static void
make_file(unsigned int file, unsigned int flags)
{
	files[file] = memfd_create("fuzz",
				   MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
	must(files[file] >= 0);
	must(ftruncate(files[file], (off_t)file_len[file]) == 0);
	/* File 2 can be cut short. */
	must(file == 2 || fcntl(files[file], F_ADD_SEALS, F_SEAL_SHRINK) == 0);
}

/* fill() gives a file contents to compare. */
static void
fill(unsigned int file)
{
	uint8_t *bytes = mmap(NULL, file_len[file], PROT_READ | PROT_WRITE,
			      MAP_SHARED, files[file], 0);
	uint64_t at;

	must(bytes != MAP_FAILED);
	for (at = 0; at < file_len[file]; at++)
		bytes[at] = content(file, at);
	munmap(bytes, file_len[file]);
}

static void
make_files(void)
{
	unsigned int i, huge = MFD_HUGETLB | MFD_HUGE_2MB;
	int ends[2];

	for (i = 0; i < 3; i++)
		make_file(i, 0);
	fill(0);
	if (pool_free(HUGE) != 0)
		file_len[HUGE_FILE] = HUGE;
	make_file(HUGE_FILE, file_len[HUGE_FILE] == HUGE ? huge : 0);
	fill(HUGE_FILE);
	must(pipe2(ends, O_CLOEXEC) == 0);
	files[3] = ends[0];
	files[4] = -1;
}

/* ---- the input ---------------------------------------------------------- */

static const uint8_t *next_byte, *end_of_input;

static uint8_t
byte(void)
{
	return next_byte < end_of_input ? *next_byte++ : 0;
}

/* Addresses: small ones that meet, and those near every end. */
static uint64_t
address(void)
{
	static const uint64_t bases[8] = {
		0, 4 * PAGE, 8 * PAGE, 64 * 8 * PAGE,
		UINT64_MAX - 8 * PAGE + 1, UINT64_MAX - PAGE + 1,
		UINT64_C(1) << 63, 0x7f0000000000,
	};
	uint8_t choice = byte();
	uint64_t at = bases[choice & 7] + (choice >> 3 & 7) * PAGE;

	/* Now and then off a page, or off 16. */
	switch (choice >> 6) {
	case 2:
		return at + 16 * (byte() & 15);
	case 3:
		return at - (byte() & 31);
	default:
		return at;
	}
}

static uint64_t
length(uint64_t most)
{
	uint8_t choice = byte();

	switch (choice >> 5) {
	case 0:
		return choice & 31;
	case 1:
		return UINT64_MAX - (choice & 31);
	case 2:
		return most - (choice & 31);
	default:
		return (choice & 7) * PAGE + (choice >> 3 & 3) * 16;
	}
}

static uint64_t
file_offset(void)
{
	uint8_t choice = byte();

	switch (choice >> 5) {
	case 0:
		return INT64_MAX - (uint64_t)(choice & 31);
	case 1:
		return UINT64_MAX - (uint64_t)(choice & 31);
	case 2:
		return (choice & 31) * 16;
	default:
		return (choice & 31) % 16 * PAGE;
	}
}

/* ---- the model ---------------------------------------------------------- */

struct row {
	struct vmmem_vhost_region wire;
	unsigned int file;
};

static struct row table[ROWS];
static size_t count;
static uint64_t log_offset, log_len; /* no log: 0 */

static uint64_t
last(uint64_t start, uint64_t len)
{
	return start + (len - 1);
}

static bool
overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a <= last(b, b_len) && b <= last(a, a_len);
}

/* What opening [offset, offset + len) of a file for a mapping says. */
static int
expect_file(unsigned int file, uint64_t offset, uint64_t len)
{
	uint64_t before = offset % (file_len[file] == HUGE ? HUGE : PAGE);

	if (file == 4)
		return -9; /* EBADF */
	if (file == 3)
		return VMMEM_EFILETYPE;
	if (file == 2)
		return VMMEM_ESHRINKABLE;
	if (len > UINT64_MAX - before || offset > INT64_MAX ||
	    len > INT64_MAX - offset)
		return VMMEM_EWRAPS;
	return offset + len > file_len[file] ? VMMEM_EPASTEOF : 0;
}

/* What setting these rows returns: all checks of a kind before the next. */
static int
expect_rows(const struct row *rows, size_t n, size_t fds)
{
	size_t i, j;
	int rc;

	if (n > ROWS)
		return VMMEM_EREGIONCOUNT;
	if (fds != n)
		return VMMEM_EDESCRIPTORS;
	for (i = 0; i < n; i++)
		if (rows[i].wire.len == 0)
			return VMMEM_EZEROLEN;
	for (i = 0; i < n; i++) {
		const struct vmmem_vhost_region *row = &rows[i].wire;

		if (last(row->gpa, row->len) < row->gpa ||
		    last(row->user_address, row->len) < row->user_address)
			return VMMEM_EWRAPS;
	}
	for (i = 0; i < n; i++)
		for (j = 0; j < i; j++)
			if (overlap(rows[i].wire.gpa, rows[i].wire.len,
				    rows[j].wire.gpa, rows[j].wire.len))
				return VMMEM_EOVERLAP;
	for (i = 0; i < n; i++)
		for (j = 0; j < i; j++)
			if (overlap(rows[i].wire.user_address, rows[i].wire.len,
				    rows[j].wire.user_address,
				    rows[j].wire.len))
				return VMMEM_EUSEROVERLAP;
	for (i = 0; i < n && log_len != 0; i++)
		if (last(rows[i].wire.gpa, rows[i].wire.len) / PAGE >=
		    log_len * 8)
			return VMMEM_ELOGSHORT;
	for (i = 0; i < n; i++)
		if (rows[i].wire.gpa % 16 != rows[i].wire.offset % 16)
			return VMMEM_ECONGRUENCE;
	for (i = 0; i < n; i++) {
		rc = expect_file(rows[i].file, rows[i].wire.offset,
				 rows[i].wire.len);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static const struct row *
row_by_gpa(uint64_t gpa)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (gpa >= table[i].wire.gpa &&
		    gpa - table[i].wire.gpa < table[i].wire.len)
			return &table[i];
	return NULL;
}

static const struct row *
row_by_user(uint64_t user)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (user >= table[i].wire.user_address &&
		    user - table[i].wire.user_address < table[i].wire.len)
			return &table[i];
	return NULL;
}

/* ---- the object --------------------------------------------------------- */

static struct vmmem_space *space;
static struct vmmem_vhost *vhost;

static void
receive_row(struct row *row)
{
	row->wire.gpa = address();
	row->wire.user_address = address();
	row->wire.len = length(file_len[0]);
	row->wire.offset = file_offset();
	row->file = byte() % 16;
	/* Most are good. */
	if (row->file >= FILES)
		row->file = 0;
}

/* A payload of rows, sent as it would come, or by the function itself. */
static int
send_rows(const struct row *rows, size_t n, size_t fds, bool raw)
{
	struct vmmem_vhost_region wire[SENT];
	uint8_t payload[8 + sizeof(wire)] = { 0 };
	uint32_t number = (uint32_t)n;
	int fd[SENT + 1];
	size_t i;

	for (i = 0; i < n; i++)
		wire[i] = rows[i].wire;
	for (i = 0; i < fds; i++)
		fd[i] = files[i < n ? rows[i].file : 0];
	if (!raw)
		return vmmem_vhost_set_table(vhost, wire, n, fd, fds);
	memcpy(payload, &number, sizeof(number));
	memcpy(payload + 8, wire, n * sizeof(wire[0]));
	must(vmmem_vhost_message(vhost, VMMEM_VHOST_SET_MEM_TABLE, payload,
				 7 + n * sizeof(wire[0]), fd, fds, NULL) ==
	     VMMEM_EMESSAGE);
	return vmmem_vhost_message(vhost, VMMEM_VHOST_SET_MEM_TABLE, payload,
				   8 + n * sizeof(wire[0]), fd, fds, NULL);
}

static void
set_table(void)
{
	struct row rows[SENT];
	size_t i, n = byte() % (SENT + 1), fds = n;
	uint8_t how = byte();
	int rc;

	for (i = 0; i < n; i++)
		receive_row(&rows[i]);
	if (how % 16 == 0)
		fds = n + 1;
	rc = send_rows(rows, n, fds, how >> 7 != 0);
	must(rc == expect_rows(rows, n, fds));
	if (rc == 0) {
		memcpy(table, rows, n * sizeof(rows[0]));
		count = n;
	}
}

static void
add(void)
{
	struct row rows[ROWS + 1];
	int rc, want;

	memcpy(rows, table, count * sizeof(rows[0]));
	receive_row(&rows[count]);
	rc = vmmem_vhost_add(vhost, &rows[count].wire,
			     files[rows[count].file]);
	want = expect_rows(rows, count + 1, count + 1);
	must(rc == want);
	if (rc == 0) {
		table[count] = rows[count];
		count++;
	}
}

static void
take_away(void)
{
	struct vmmem_vhost_region wire = { 0 };
	uint8_t choice = byte();
	size_t i;
	bool exact = count != 0 && choice % 4 != 0;

	if (count != 0)
		wire = table[choice / 4 % count].wire;
	if (!exact)
		wire.len ^= 1 + byte();
	wire.offset = choice;
	for (i = 0; i < count; i++)
		if (wire.gpa == table[i].wire.gpa &&
		    wire.len == table[i].wire.len &&
		    wire.user_address == table[i].wire.user_address)
			break;
	must(vmmem_vhost_remove(vhost, &wire) ==
	     (i < count ? 0 : VMMEM_ENOREGION));
	if (i < count)
		table[i] = table[--count];
}

static void
set_log(void)
{
	uint8_t choice = byte();
	uint64_t offset = choice % 4 != 0 ? (choice / 4) * UINT64_C(3) :
					    file_offset(),
		 len = choice % 8 != 1 ? 8 * (uint64_t)byte() : length(PAGE);
	unsigned int file = byte() % 8;
	int rc, want;
	size_t i;

	if (file >= FILES)
		file = LOG_FILE;
	/* These have contents to compare. */
	if (file == 0 || file == HUGE_FILE)
		file = LOG_FILE;
	if (len == 0)
		want = VMMEM_EZEROLEN;
	else
		want = expect_file(file, offset, len);
	for (i = 0; i < count && want == 0; i++)
		if (last(table[i].wire.gpa, table[i].wire.len) / PAGE >=
		    len * 8)
			want = VMMEM_ELOGSHORT;
	rc = vmmem_vhost_set_log(vhost, files[file], offset, len);
	must(rc == want);
	if (rc == 0) {
		log_offset = offset;
		log_len = len;
	}
}

/* A write of one byte sets one bit of the log, and no other. */
static void
check_mark(const struct vmmem_collection *map, uint64_t gpa, uint8_t value)
{
	static uint8_t zeros[4 * PAGE], found[4 * PAGE];
	uint64_t page = gpa / PAGE, i;

	must(pwrite(files[LOG_FILE], zeros, sizeof(zeros), 0) ==
	     (ssize_t)sizeof(zeros));
	must(vmmem_collection_write_u8(map, gpa, value) == 0);
	must(pread(files[LOG_FILE], found, sizeof(found), 0) ==
	     (ssize_t)sizeof(found));
	for (i = 0; i < sizeof(found); i++) {
		bool here = log_len != 0 && i == log_offset + page / 8;

		must(found[i] == (here ? 1U << page % 8 : 0));
	}
}

/* What is at an address, seen from all sides. */
static void
probe(const struct vmmem_collection *map, uint64_t at)
{
	const struct row *row = row_by_gpa(at);
	uint64_t result = 0, offset;
	uint8_t value;
	int rc;

	rc = vmmem_collection_read_u8(map, at, &value);
	must(rc == (row != NULL ? 0 : VMMEM_EBADADDR));
	rc = vmmem_vhost_gpa_to_user(vhost, at, 1, &result);
	must(rc == (row != NULL ? 0 : VMMEM_EBADADDR));
	if (row != NULL) {
		offset = row->wire.offset + (at - row->wire.gpa);
		must(result == row->wire.user_address + (at - row->wire.gpa));
		if (row->file == 0 || row->file == HUGE_FILE) {
			must(value == content(row->file, offset));
			check_mark(map, at, value);
		}
	}
	row = row_by_user(at);
	rc = vmmem_vhost_user_to_gpa(vhost, at, 1, &result);
	must(rc == (row != NULL ? 0 : VMMEM_EUSERADDR));
	if (row != NULL)
		must(result ==
		     row->wire.gpa + (at - row->wire.user_address));
}

/* A range by user address, against a walk over it byte by byte. */
static void
probe_range(uint64_t user, uint64_t len)
{
	uint64_t result = 0, piece = 0, first = 0, i;
	bool together = true;
	int rc, want = 0;

	for (i = 0; i < len && want == 0; i++) {
		const struct row *row;

		/* The last address is followed by none. */
		if (user + i < user) {
			want = VMMEM_EWRAPS;
			break;
		}
		row = row_by_user(user + i);
		if (row == NULL) {
			want = VMMEM_EUSERADDR;
		} else {
			uint64_t gpa = row->wire.gpa +
				       (user + i - row->wire.user_address);

			if (i == 0)
				first = gpa;
			else if (gpa != first + i || gpa == 0)
				together = false;
			if (together)
				piece = i + 1;
		}
	}
	if (want == 0 && !together)
		want = VMMEM_ECROSS;
	rc = vmmem_vhost_user_to_gpa(vhost, user, len, &result);
	must(rc == want);
	if (rc == 0 && len != 0)
		must(result == first);
	rc = vmmem_vhost_user_piece(vhost, user, len, &result, &i);
	must(rc == (piece == 0 && len != 0 ? VMMEM_EUSERADDR : 0));
	if (rc == 0)
		must(i == piece && (len == 0 || result == first));
}

static void
check(void)
{
	struct vmmem_collection *map = vmmem_space_get(space);
	struct vmmem_vhost_region got, before = { 0 };
	size_t i;

	must(vmmem_vhost_count(vhost) == count);
	must(vmmem_collection_count(map) == count);
	must((vmmem_vhost_log(vhost) != NULL) == (log_len != 0));
	for (i = 0; i < count; i++) {
		const struct row *row;

		must(vmmem_vhost_at(vhost, i, &got, NULL) == 0);
		must(i == 0 || before.gpa < got.gpa);
		before = got;
		row = row_by_gpa(got.gpa);
		must(row != NULL &&
		     memcmp(&row->wire, &got, sizeof(got)) == 0);
		probe(map, got.gpa);
		probe(map, last(got.gpa, got.len));
		probe(map, got.gpa - 1);
		probe(map, got.gpa + got.len);
		probe(map, got.user_address);
		probe(map, last(got.user_address, got.len));
		probe(map, got.user_address + got.len);
		probe_range(last(got.user_address, got.len), 40);
	}
	probe(map, address());
	probe_range(address(), byte());
	vmmem_collection_unref(map);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmmem_vhost_options options = { .size = sizeof(options),
					       .regions_max = ROWS };
	struct vmmem_collection *map;
	static bool prepared;

	if (!prepared)
		make_files();
	prepared = true;
	next_byte = data;
	end_of_input = data + size;
	count = 0;
	log_offset = 0;
	log_len = 0;
	must(vmmem_collection_new_empty(&map) == 0);
	must(vmmem_space_new(map, NULL, &space) == 0);
	vmmem_collection_unref(map);
	must(vmmem_vhost_new(space, &options, &vhost) == 0);
	while (next_byte < end_of_input) {
		switch (byte() % 8) {
		case 0:
			set_table();
			break;
		case 1:
		case 2:
		case 3:
			add();
			break;
		case 4:
			take_away();
			break;
		case 5:
			set_log();
			break;
		case 6:
			must(vmmem_vhost_clear_log(vhost) == 0);
			log_offset = 0;
			log_len = 0;
			break;
		default:
			must(vmmem_space_synchronize(space, VMMEM_FOREVER) == 0);
		}
		check();
	}
	vmmem_vhost_free(vhost);
	vmmem_space_unref(space);
	return 0;
}
