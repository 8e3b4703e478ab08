/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What happens to the guest.  It runs on a thread of its own all the time;
 * this thread is the host.  The two meet in the guest's memory and at exits,
 * so nothing here depends on time.
 */
#include <sched.h>
#include <string.h>

#include "layout.h"
#include "memory.h"
#include "screen.h"
#include "story.h"

#define SEED 2024
#define HOTPLUG_WORDS (HOTPLUG_LEN / 2)
#define NUMBERS 65536

struct story {
	struct machine *machine;
	struct vcpu *vcpu;
	struct vmmem_collection *map; /* what the guest sees now */
};

/*
 * Gives the guest a command.  The release makes sure that whoever sees the
 * command also sees what the host did before: arguments, and the memory map.
 */
static bool
ring(const struct story *story, uint16_t command)
{
	vmmem_le16 word;
	int rc;

	vmmem_le16_set(&word, command);
	rc = vmmem_collection_store_u16(story->map, MAILBOX, word.raw,
					VMMEM_ORDER_RELEASE);
	return screen_worked(rc, "cannot ring the guest");
}

/*
 * Waits for the next exit, which should be 'want'.  Accesses to memory that is
 * not there are worth a line of their own, and so is any surprise.
 */
static bool
expect_exit(const struct story *story, const struct vcpu_exit *want,
	    const char *what)
{
	struct vcpu_exit exit;
	bool same;

	vcpu_take_exit(story->vcpu, &exit);
	same = exit.kind == want->kind && exit.address == want->address &&
	       exit.len == want->len && exit.value == want->value;
	if (!same || exit.kind == EXIT_MEMORY_READ ||
	    exit.kind == EXIT_MEMORY_WRITE)
		screen_exit(&exit);
	return screen_check(same, "%s", what);
}

static bool
expect_report(const struct story *story, uint32_t report, const char *what)
{
	const struct vcpu_exit want = {
		.kind = EXIT_PORT_WRITE, .address = REPORT_PORT,
		.len = 2, .value = report,
	};

	return expect_exit(story, &want, what);
}

/* Waits until the guest has counted on, and so is alive. */
static bool
check_heartbeat(const struct story *story, const char *when)
{
	uint16_t first = 0, now;
	int rc;

	rc = vmmem_collection_load_u16(story->map, HEARTBEAT,
				       VMMEM_ORDER_ACQUIRE, &first);
	now = first;
	while (rc == 0 && now == first && !vcpu_has_exit(story->vcpu)) {
		sched_yield();
		rc = vmmem_collection_load_u16(story->map, HEARTBEAT,
					       VMMEM_ORDER_ACQUIRE, &now);
	}
	return screen_check(rc == 0 && now != first,
			    "the guest's heartbeat goes on %s", when);
}

static bool
check_primes(const struct story *story)
{
	static uint8_t composite[NUMBERS];
	static vmmem_le16 table[NUMBERS];
	uint16_t count = 0, last = 0;
	uint32_t sum = 0, expected_sum = 0;
	size_t expected = 0;
	bool same = true;
	int rc;

	if (!expect_report(story, REPORT_PRIMES,
			   "the guest reports that its table is ready"))
		return false;

	rc = vmmem_collection_read_le16(story->map, RESULT_COUNT, &count);
	if (rc == 0)
		rc = vmmem_collection_read_le32(story->map, RESULT_SUM, &sum);
	if (rc == 0)
		rc = vmmem_collection_read(story->map, PRIMES_SEGMENT << 4,
					   table, count * sizeof(*table), NULL);
	if (!screen_worked(rc, "cannot read the guest's results"))
		return false;

	for (uint32_t n = 2; n < NUMBERS; n++) {
		if (composite[n])
			continue;
		for (uint32_t product = 2 * n; product < NUMBERS; product += n)
			composite[product] = 1;
		if (expected < count)
			same = same && vmmem_le16_equal(&table[expected],
							(uint16_t)n);
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
check_rom(const struct story *story)
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
	rc = vmmem_collection_read_le16(story->map, low, &before);
	if (!screen_worked(rc, "cannot read the ROM") ||
	    !ring(story, COMMAND_POKE) ||
	    !expect_exit(story, &want, "the guest's write ends as an exit") ||
	    !expect_report(story, REPORT_POKED, "the guest goes on"))
		return false;
	rc = vmmem_collection_read_le16(story->map, RESULT_SEEN, &seen);
	screen_check(rc == 0 && seen == before,
		     "it reads what was there before");

	rc = vmmem_collection_write_u8(story->map, low, POKE_BYTE);
	screen_check(rc == VMMEM_EPERM, "the host's write returns %s: %s",
		     vmmem_error_name(rc), vmmem_strerror(rc));

	rc = vmmem_collection_read(story->map, low, at_low, 8, NULL);
	if (rc == 0)
		rc = vmmem_collection_read(story->map, top, at_top, 8, NULL);
	return screen_check(rc == 0 && memcmp(at_low, "libvmmem", 8) == 0 &&
				    memcmp(at_top, "libvmmem", 8) == 0,
			    "the ROM still reads \"libvmmem\" at %08x and %08x",
			    (unsigned int)low, (unsigned int)top);
}

/* One's complement addition, as Fletcher's checksum has it. */
static uint32_t
add_round(uint32_t sum, uint32_t value)
{
	sum += value;
	return (sum & 0xffff) + (sum >> 16);
}

/* Compares the new memory, and the guest's checksum of it, with our own. */
static bool
check_pattern(const struct story *story)
{
	static vmmem_le16 words[HOTPLUG_WORDS];
	uint32_t low = 0, high = 0, checksum = 0;
	uint16_t value = SEED;
	bool same = true;
	int rc;

	rc = vmmem_collection_read(story->map, HOTPLUG, words, sizeof(words),
				   NULL);
	if (rc == 0)
		rc = vmmem_collection_read_le32(story->map, RESULT_SUM,
						&checksum);
	if (!screen_worked(rc, "cannot read the new memory"))
		return false;

	for (size_t i = 0; i < HOTPLUG_WORDS; i++) {
		value = (uint16_t)(value * PATTERN_FACTOR + PATTERN_INCREMENT);
		same = same && vmmem_le16_equal(&words[i], value);
		low = add_round(low, value);
		high = add_round(high, low);
	}
	screen_check(same, "all %d bytes are right, read through the new map",
		     HOTPLUG_LEN);
	return screen_check(checksum == (high << 16 | low),
			    "the guest's checksum of them is right: %08x",
			    checksum);
}

/* Takes the place of story->map, whose reference is dropped. */
static bool
use_map(struct story *story, struct vmmem_collection *map)
{
	vmmem_collection_unref(story->map);
	story->map = map;
	return screen_worked(story->machine->ops->set_memory(story->machine,
							     map),
			     "the vCPU refuses the map");
}

static bool
insert_memory(struct story *story)
{
	struct vmmem_collection *old = vmmem_collection_ref(story->map);
	struct vmmem_collection *new = NULL;
	size_t count = vmmem_collection_count(old);
	uint8_t byte;
	int rc;

	screen_heading("The host inserts %d KiB at %08x while the guest runs",
		       HOTPLUG_LEN / 1024, HOTPLUG);
	check_heartbeat(story, "before it");
	if (!screen_worked(memory_with_hotplug(old, &new), "cannot insert") ||
	    !use_map(story, new))
		goto fail;
	check_heartbeat(story, "after it");
	screen_check(vmmem_collection_count(new) == count + 1 &&
			     vmmem_collection_count(old) == count,
		     "the new map has %zu regions, the old one still %zu",
		     vmmem_collection_count(new), vmmem_collection_count(old));
	rc = vmmem_collection_read_u8(old, HOTPLUG, &byte);
	screen_check(rc == VMMEM_EBADADDR, "a read through the old: %s: %s",
		     vmmem_error_name(rc), vmmem_strerror(rc));

	rc = vmmem_collection_write_le16(new, ARG_SEGMENT, HOTPLUG >> 4);
	if (rc == 0)
		rc = vmmem_collection_write_le16(new, ARG_WORDS,
						 HOTPLUG_WORDS);
	if (rc == 0)
		rc = vmmem_collection_write_le16(new, ARG_SEED, SEED);
	if (!screen_worked(rc, "cannot write arguments") ||
	    !ring(story, COMMAND_FILL) ||
	    !expect_report(story, REPORT_FILLED,
			   "the guest reports that it filled the memory") ||
	    !check_pattern(story))
		goto fail;
	vmmem_collection_unref(old);
	screen_map("Memory map with the inserted region", new);
	return true;

fail:
	vmmem_collection_unref(old);
	return false;
}

static bool
remove_memory(struct story *story)
{
	struct vmmem_collection *old = vmmem_collection_ref(story->map);
	struct vmmem_collection *new = NULL;
	struct vmmem_region *removed = NULL;
	const struct vcpu_exit want = {
		.kind = EXIT_MEMORY_READ, .address = HOTPLUG,
		.len = 2, .value = 0xffff,
	};
	uint16_t word = 0, seen = 0;
	bool ok = false;
	int rc;

	screen_heading("The host removes it, and the guest looks once more");
	rc = vmmem_collection_remove(old, HOTPLUG, HOTPLUG_LEN, &new, &removed);
	if (!screen_worked(rc, "cannot remove") || !use_map(story, new))
		goto out;
	screen_check(strcmp(vmmem_region_name(removed), "hotplug") == 0 &&
			     !vmmem_collection_contains(new, HOTPLUG),
		     "the region \"%s\" is out of the new map",
		     vmmem_region_name(removed));
	check_heartbeat(story, "without it");
	if (!ring(story, COMMAND_PROBE) ||
	    !expect_exit(story, &want, "the guest's read ends as an exit") ||
	    !expect_report(story, REPORT_PROBED, "the guest goes on"))
		goto out;
	rc = vmmem_collection_read_le16(new, RESULT_SEEN, &seen);
	screen_check(rc == 0 && seen == 0xffff, "it saw %04x", seen);
	rc = vmmem_collection_read_le16(old, HOTPLUG, &word);
	ok = screen_check(rc == 0 && word == (uint16_t)(SEED * PATTERN_FACTOR +
							PATTERN_INCREMENT),
			  "the old map still holds the guest's bytes: %04x",
			  word);

	/* With these two the region's memory goes back to the system. */
out:
	vmmem_region_unref(removed);
	vmmem_collection_unref(old);
	return ok;
}

static bool
halt(struct story *story)
{
	const struct vcpu_exit want = { .kind = EXIT_HALT };

	if (!ring(story, COMMAND_HALT) ||
	    !expect_exit(story, &want, "the guest halts when told to"))
		return false;
	vcpu_join(story->vcpu);
	return true;
}

bool
story_tell(struct machine *machine)
{
	struct story story = { .machine = machine };

	if (!screen_worked(memory_at_power_on(&story.map), "no memory map"))
		return false;
	screen_map("Memory map at power-on", story.map);
	if (!screen_worked(machine->ops->set_memory(machine, story.map),
			   "the vCPU refuses the map"))
		return false;

	screen_heading("The guest starts at %08x, in the ROM, and computes",
		       RESET_VECTOR);
	story.vcpu = vcpu_start(machine);
	if (!screen_check(story.vcpu != NULL, "the vCPU runs, as a thread") ||
	    !check_primes(&story) || !check_rom(&story) ||
	    !insert_memory(&story) || !remove_memory(&story) || !halt(&story))
		return false;

	screen_map("Memory map at the end", story.map);
	vmmem_collection_unref(story.map);
	return true;
}
