/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What happens to the guest.  It runs on a thread of its own all the time;
 * this thread is the host.  The two meet in the guest's memory and at exits,
 * so nothing here depends on time.
 */
#include <string.h>

#include "checksum.h"
#include "host.h"
#include "layout.h"
#include "memory.h"
#include "screen.h"
#include "story.h"
#include "story_migration.h"

#define SEED 2024
#define HOTPLUG_WORDS (HOTPLUG_LEN / 2)
#define NUMBERS 65536

static void
check_heartbeat(const struct host *host, const char *when)
{
	screen_check(host_sees_counting(host, HEARTBEAT),
		     "the guest's heartbeat goes on %s", when);
}

static bool
check_primes(const struct host *host)
{
	static uint8_t composite[NUMBERS];
	static vmmem_le16 table[NUMBERS];
	uint16_t count = 0, last = 0;
	uint32_t sum = 0, expected_sum = 0;
	size_t expected = 0;
	bool same = true;
	int rc;

	if (!host_expect_report(host, REPORT_PRIMES,
			   "the guest reports that its table is ready"))
		return false;

	rc = vmmem_reader_read_le16(host->reader, RESULT_COUNT, &count);
	if (rc == 0)
		rc = vmmem_reader_read_le32(host->reader, RESULT_SUM, &sum);
	if (rc == 0)
		rc = vmmem_reader_read(host->reader, PRIMES_SEGMENT << 4,
					   table, count * sizeof(*table), NULL);
	if (!screen_worked(rc, "cannot read the guest's results"))
		return false;

	for (uint32_t n = 2; n < NUMBERS; n++) {
		if (composite[n])
			continue;
		for (uint32_t product = 2 * n; product < NUMBERS; product += n)
			composite[product] = 1;
		if (expected < count)
			same = same && vmmem_le16_get(&table[expected]) ==
					       (uint16_t)n;
		expected++;
		expected_sum += n;
	}
	if (count > 0)
		last = vmmem_le16_get(&table[count - 1]);

	screen_check(count == expected, "it found %d primes below %d", count,
		     NUMBERS);
	screen_check(same && count > 0,
		     "each is what the host finds, from 2 to %d", last);
	return screen_check(sum == expected_sum, "their sum is %u", sum);
}

static bool
check_rom(const struct host *host)
{
	const uint64_t low = ROM_LOW + ROM_LEN - GUEST_LEN + GUEST_SIGNATURE;
	const uint64_t top = ROM_TOP + ROM_LEN - GUEST_LEN + GUEST_SIGNATURE;
	const struct vcpu_exit want = {
		.kind = EXIT_MEMORY_WRITE, .address = low,
		.len = 1, .value = POKE_BYTE,
	};
	char at_low[8] = "", at_top[8] = "";
	uint16_t before = 0, seen = 0;
	int rc;

	screen_heading("The guest, then the host, try to write to the ROM");
	rc = vmmem_reader_read_le16(host->reader, low, &before);
	if (!screen_worked(rc, "cannot read the ROM") ||
	    !host_ring(host, COMMAND_POKE) ||
	    !host_expect_exit(host, &want, "the guest's write ends as an exit") ||
	    !host_expect_report(host, REPORT_POKED, "the guest goes on"))
		return false;
	rc = vmmem_reader_read_le16(host->reader, RESULT_SEEN, &seen);
	screen_check(rc == 0 && seen == before,
		     "it reads what was there before");

	rc = vmmem_reader_write_u8(host->reader, low, POKE_BYTE);
	screen_check(rc == VMMEM_EDENIED, "the host's write returns %s: %s",
		     vmmem_error_name(rc), vmmem_strerror(rc));

	rc = vmmem_reader_read(host->reader, low, at_low, 8, NULL);
	if (rc == 0)
		rc = vmmem_reader_read(host->reader, top, at_top, 8, NULL);
	return screen_check(rc == 0 && memcmp(at_low, "libvmmem", 8) == 0 &&
				    memcmp(at_top, "libvmmem", 8) == 0,
			    "the ROM still reads \"libvmmem\" at %08x and %08x",
			    (unsigned int)low, (unsigned int)top);
}

/* Compares the new memory, and the guest's checksum of it, with our own. */
static bool
check_pattern(const struct host *host)
{
	static vmmem_le16 words[HOTPLUG_WORDS];
	struct checksum expected = { 0 };
	uint32_t checksum = 0;
	uint16_t value = SEED;
	bool same = true;
	int rc;

	rc = vmmem_reader_read(host->reader, HOTPLUG, words, sizeof(words),
				   NULL);
	if (rc == 0)
		rc = vmmem_reader_read_le32(host->reader, RESULT_SUM,
						&checksum);
	if (!screen_worked(rc, "cannot read the new memory"))
		return false;

	for (size_t i = 0; i < HOTPLUG_WORDS; i++) {
		value = (uint16_t)(value * PATTERN_FACTOR + PATTERN_INCREMENT);
		same = same && vmmem_le16_get(&words[i]) == value;
		checksum_add(&expected, value);
	}
	screen_check(same, "all %d bytes are right, read through the new map",
		     HOTPLUG_LEN);
	return screen_check(checksum == checksum_get(&expected),
			    "the guest's checksum of them is right: %08x",
			    checksum);
}

static bool
insert_memory(struct host *host)
{
	struct vmmem_collection *old = vmmem_space_get(host->space);
	struct vmmem_collection *new = NULL;
	uint8_t byte;
	bool ok = false;
	int rc;

	screen_heading("The host inserts %d KiB at %08x while the guest runs",
		       HOTPLUG_LEN / 1024, HOTPLUG);
	check_heartbeat(host, "before it");
	rc = memory_insert_hotplug(host->space);
	if (!screen_worked(rc, "cannot insert"))
		goto out;
	new = vmmem_space_get(host->space);
	check_heartbeat(host, "after it");
	screen_check(vmmem_collection_count(new) == 4 &&
			     vmmem_collection_count(old) == 3,
		     "the new map has %zu regions, the old one still %zu",
		     vmmem_collection_count(new), vmmem_collection_count(old));
	rc = vmmem_collection_read_u8(old, HOTPLUG, &byte);
	screen_check(rc == VMMEM_EBADADDR, "a read through the old: %s: %s",
		     vmmem_error_name(rc), vmmem_strerror(rc));

	rc = vmmem_reader_write_le16(host->reader, ARG_SEGMENT, HOTPLUG >> 4);
	if (rc == 0)
		rc = vmmem_reader_write_le16(host->reader, ARG_WORDS,
					     HOTPLUG_WORDS);
	if (rc == 0)
		rc = vmmem_reader_write_le16(host->reader, ARG_SEED, SEED);
	if (!screen_worked(rc, "cannot write arguments") ||
	    !host_ring(host, COMMAND_FILL) ||
	    !host_expect_report(host, REPORT_FILLED,
				"the guest reports that it filled the memory"))
		goto out;
	ok = check_pattern(host);
	screen_map("Memory map with the inserted region", new);
out:
	vmmem_collection_unref(new);
	vmmem_collection_unref(old);
	return ok;
}

static bool
remove_memory(struct host *host)
{
	struct vmmem_collection *old = vmmem_space_get(host->space);
	struct vmmem_region *removed = NULL;
	const struct vcpu_exit want = {
		.kind = EXIT_MEMORY_READ, .address = HOTPLUG,
		.len = 2, .value = 0xffff,
	};
	uint16_t word = 0, seen = 0;
	bool ok = false;
	int rc;

	screen_heading("The host removes it, and the guest looks once more");
	rc = memory_remove_hotplug(host->space, &removed);
	if (!screen_worked(rc, "cannot remove"))
		goto out;
	rc = vmmem_reader_read_le16(host->reader, HOTPLUG, &word);
	screen_check(strcmp(vmmem_region_name(removed), "hotplug") == 0 &&
			     rc == VMMEM_EBADADDR,
		     "the region \"%s\" is out of the new map",
		     vmmem_region_name(removed));
	check_heartbeat(host, "without it");
	if (!host_ring(host, COMMAND_PROBE) ||
	    !host_expect_exit(host, &want, "the guest's read ends as an exit") ||
	    !host_expect_report(host, REPORT_PROBED, "the guest goes on"))
		goto out;
	rc = vmmem_reader_read_le16(host->reader, RESULT_SEEN, &seen);
	screen_check(rc == 0 && seen == 0xffff, "it saw %04x", seen);
	rc = vmmem_collection_read_le16(old, HOTPLUG, &word);
	ok = screen_check(rc == 0 && word == (uint16_t)(SEED * PATTERN_FACTOR +
							PATTERN_INCREMENT),
			  "the old map still holds the guest's bytes: %04x",
			  word);

out:
	vmmem_region_unref(removed);
	vmmem_collection_unref(old);
	if (ok) {
		rc = vmmem_space_synchronize(host->space, VMMEM_FOREVER);
		ok = screen_check(rc == 0 &&
					  vmmem_space_retired(host->space) == 0,
				  "nobody sees the old map any more, and its "
				  "memory is unmapped");
	}
	return ok;
}

static bool
halt(struct host *host)
{
	const struct vcpu_exit want = { .kind = EXIT_HALT };

	if (!host_ring(host, COMMAND_HALT) ||
	    !host_expect_exit(host, &want, "the guest halts when told to"))
		return false;
	vcpu_join(host->vcpu);
	host->vcpu = NULL;
	return true;
}

static void
show_map(const char *title, const struct host *host)
{
	screen_map(title, vmmem_reader_enter(host->reader));
	vmmem_reader_leave(host->reader);
}

bool
story_tell(struct machine *machine)
{
	struct host host;

	if (!host_new(&host, machine))
		return false;
	show_map("Memory map at power-on", &host);
	screen_heading("The guest starts at %08x, in the ROM, and computes",
		       RESET_VECTOR);
	if (!screen_check(host_start(&host), "the vCPU runs, as a thread") ||
	    !check_primes(&host) || !check_rom(&host) ||
	    !insert_memory(&host) || !story_migration(&host) ||
	    !remove_memory(&host) || !halt(&host))
		return false;

	show_map("Memory map at the end", &host);
	host_free(&host);
	return true;
}
