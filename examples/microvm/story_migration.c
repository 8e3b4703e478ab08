/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Pre-copy migration.  How many rounds it takes and how long is another each
 * time, so these are lines that tests/microvm.sh leaves out.
 */
#include <time.h>

#include "layout.h"
#include "memory.h"
#include "migrate.h"
#include "screen.h"
#include "screen_migration.h"
#include "story_migration.h"
#include "work.h"

#define WORK_SEED 1815

/*
 * The guest is stopped when this few pages are left.  A guest that writes
 * faster than they are sent never gets there, so it is also stopped after so
 * many rounds, or so many in a row that left no fewer than ever before.
 */
#define FEW_PAGES 4
#define MAX_ROUNDS 20
#define MAX_VAIN 3

/*
 * A guest that gets no time on a busy host would have nothing to show.  So it
 * gets what it needs for a step while this many pages are sent, however long
 * that takes.
 */
#define PAGES_PER_STEP 4

/* And so many steps, at least, it does on the second machine. */
#define STEPS_THERE 100

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool
start_working(const struct host *host)
{
	int rc;

	rc = vmmem_reader_write_le16(host->reader, ARG_SEED, WORK_SEED);
	if (rc == 0)
		rc = vmmem_reader_write_le32(host->reader, WORK_STEPS, 0);
	return screen_worked(rc, "cannot write arguments") &&
	       host_ring(host, COMMAND_WORK) &&
	       screen_check(host_sees_count(host, WORK_STEPS, 0, 1),
			    "the guest works on %d KiB, and counts the steps",
			    WORK_LEN / 1024);
}

static bool
next_machine(const struct host *host, struct host *ret_host)
{
	struct machine *machine;
	char reason[128];

	machine = host->machine->ops->another(reason, sizeof(reason));
	return screen_check(machine != NULL, "there is a second machine") &&
	       host_new(ret_host, machine) &&
	       screen_worked(memory_insert_hotplug(ret_host->space),
			     "cannot insert");
}

/* Sends a round while the guest works. */
static bool
send_round(const struct host *host, struct migration *migration)
{
	uint32_t steps;
	int rc;

	rc = vmmem_reader_read_le32(host->reader, WORK_STEPS, &steps);
	if (rc == 0)
		rc = migrate_send(migration);
	if (!screen_worked(rc, "cannot send a round"))
		return false;
	if (!host_sees_count(host, WORK_STEPS, steps,
			     (uint32_t)migration->sent / PAGES_PER_STEP))
		return screen_check(false, "the guest works on meanwhile");
	rc = migrate_look(migration);
	if (!screen_worked(rc, "cannot collect what the guest wrote"))
		return false;
	screen_round(migration, "");
	return true;
}

static bool
precopy(const struct host *host, struct migration *migration)
{
	uint64_t fewest = UINT64_MAX;
	uint32_t vain = 0;

	screen_round_head();
	do {
		if (!send_round(host, migration))
			return false;
		vain = migration->left < fewest ? 0 : vain + 1;
		if (vain == 0)
			fewest = migration->left;
	} while (migration->left > FEW_PAGES && vain < MAX_VAIN &&
		 migration->round < MAX_ROUNDS);
	return screen_check(true, "only few pages are left, or they do not get "
				  "fewer");
}

/* The vCPU stands still from here on, until it runs on the other machine. */
static bool
last_round(struct host *host, struct migration *migration,
	   struct vcpu_state *ret_state, double *ret_seconds)
{
	double start = now();
	int rc;

	if (!screen_check(vcpu_stop(host->vcpu),
			  "the vCPU stops between two instructions"))
		return false;
	host->vcpu = NULL;
	rc = migrate_send(migration);
	if (rc == 0)
		rc = host->machine->ops->save(host->machine, ret_state);
	*ret_seconds = now() - start;
	if (rc == 0)
		rc = migrate_look(migration);
	if (!screen_worked(rc, "cannot send the last round, or the vCPU"))
		return false;
	screen_round(migration, "the last");
	return screen_check(migration->left == 0, "no dirty page is left");
}

static bool
check_same(const struct migration *migration)
{
	uint64_t hashes[2];
	bool same;
	int rc;

	rc = migrate_compare(migration, &same, hashes);
	if (!screen_worked(rc, "cannot compare the memories"))
		return false;
	screen_info("memory here %08x %08x, there %08x %08x",
		    (unsigned int)(hashes[0] >> 32), (unsigned int)hashes[0],
		    (unsigned int)(hashes[1] >> 32), (unsigned int)hashes[1]);
	return screen_check(same && hashes[0] == hashes[1],
			    "both machines' memories are the same, each byte");
}

/* The guest ends its work on the second machine, and tells what it found. */
static bool
check_work(const struct host *host, uint32_t steps_before)
{
	static vmmem_le16 words[WORK_TOTAL];
	static uint16_t expected[WORK_TOTAL];
	uint32_t steps = 0, checksum = 0, want;
	bool same = true;
	int rc;

	if (!screen_check(host_sees_count(host, WORK_STEPS, steps_before,
					  STEPS_THERE),
			  "the guest works on there") ||
	    !host_ring(host, COMMAND_REST) ||
	    !host_expect_report(host, REPORT_WORKED,
				"told to, it ends its work and reports"))
		return false;
	rc = vmmem_reader_read_le32(host->reader, WORK_STEPS, &steps);
	if (rc == 0)
		rc = vmmem_reader_read_le32(host->reader, RESULT_SUM,
					    &checksum);
	if (rc == 0)
		rc = vmmem_reader_read(host->reader, WORK_SEGMENT << 4, words,
				       sizeof(words), NULL);
	if (!screen_worked(rc, "cannot read the guest's results"))
		return false;

	want = work_expected(WORK_SEED, steps, expected);
	for (size_t i = 0; i < WORK_TOTAL; i++)
		same = same && vmmem_le16_get(&words[i]) == expected[i];
	screen_info("%u steps here, %u more there; checksum %08x",
		    steps_before, steps - steps_before, checksum);
	screen_check(same, "all %d bytes are what the host computes",
		     WORK_LEN);
	return screen_check(checksum == want,
			    "the guest's checksum of them is right");
}

bool
story_migration(struct host *host)
{
	struct migration migration;
	struct vcpu_state state;
	struct host there;
	uint32_t steps = 0;
	double seconds, start;
	bool ok;
	int rc;

	screen_heading("The host moves the guest to a second machine, while it "
		       "works");
	if (!start_working(host) || !next_machine(host, &there))
		return false;
	rc = migrate_start(&migration, host->machine, host->space,
			   there.space);
	if (!screen_worked(rc, "cannot start"))
		return false;
	if (!precopy(host, &migration) ||
	    !last_round(host, &migration, &state, &seconds) || !check_same(&migration))
		return false;
	screen_heat(&migration);
	rc = vmmem_reader_read_le32(host->reader, WORK_STEPS, &steps);
	if (!screen_worked(rc, "cannot read the guest's steps"))
		return false;

	/* Nothing of it may be needed any more. */
	rc = migrate_end(&migration);
	if (!screen_worked(rc, "cannot stop logging"))
		return false;
	host_free(host);
	*host = there;
	start = now();
	rc = host->machine->ops->load(host->machine, &state);
	ok = screen_worked(rc, "cannot load the vCPU's state") &&
	     screen_check(host_start(host),
			  "the first machine is gone, the vCPU runs on the "
			  "second");
	seconds += now() - start;
	screen_info("the guest stood still for %.2f ms, our checks apart",
		    seconds * 1000);
	return ok && check_work(host, steps);
}
