/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * One thread collects, another takes and reads: the worst moment for that is
 * when KVM is being told to watch the pages again.  So just then, within that
 * call, this takes, reads, and has the guest write once more.
 */
#define FAKE_SLOTS 8
#define FAKE_PAGES_MAX 192
#include "fake_kvm.h"
#include "fault.h"
#include "suite.h"

#define PAGES 150
#define LEN (PAGES * FAKE_PAGE)
#define RING 128
#define PLACE (70 * FAKE_PAGE) /* where the guest writes */

const char *
skip_reason(void)
{
	return fake_kvm_missing();
}

static struct vmmem_region *region;
static struct vmmem_harvester *harvester;
static uint8_t *memory, copy[LEN];
static unsigned int moments;

/* What a migration does between two collects. */
static void
take_and_read(void)
{
	const struct vmmem_bitmap *taken = vmmem_harvester_taken(harvester);
	uint64_t at = 0, start, len;

	REQUIRE(vmmem_harvester_take(harvester, NULL) == 0);
	for (;; at = start + len) {
		REQUIRE(vmmem_bitmap_next(taken, at, &start, &len) == 0);
		if (len == 0)
			break;
		memcpy(copy + start, memory + start, len);
	}
}

static void
guest_writes(void)
{
	memory[PLACE]++;
	REQUIRE(fake_kvm_write(0, PLACE));
}

static int
at_the_worst_moment(int fd, unsigned long request, void *argument)
{
	if (request == KVM_CLEAR_DIRTY_LOG ||
	    request == KVM_RESET_DIRTY_RINGS) {
		moments++;
		take_and_read();
		guest_writes();
	}
	return fake_kvm_ioctl(fd, request, argument);
}

START_TEST(no_write_is_lost)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_kvm_options options = {
		.size = sizeof(options),
		.log = (uint32_t)_i,
		.ring_entries = RING,
	};
	struct vmmem_collection *map;
	struct vmmem_space *space;
	struct vmmem_kvm *kvm;
	uint64_t len;
	void *host;

	REQUIRE(builder != NULL);
	vmmem_region_builder_set_range(builder, 0, LEN);
	vmmem_region_builder_set_tracking(builder, FAKE_PAGE);
	REQUIRE(vmmem_region_builder_build(builder, &region) == 0);
	vmmem_region_builder_free(builder);
	REQUIRE(vmmem_region_host_address(region, 0, &host, &len) == 0);
	memory = host;
	REQUIRE(vmmem_collection_new(&region, 1, &map) == 0);
	REQUIRE(vmmem_space_new(map, &space) == 0);
	vmmem_collection_unref(map);

	fake_kvm_open(false);
	fake_kvm_vcpu(0, RING);
	inject_ioctl = at_the_worst_moment;
	REQUIRE(vmmem_kvm_new(space, fake.fd, &options, &kvm) == 0);
	if (_i == VMMEM_KVM_LOG_RING)
		REQUIRE(vmmem_kvm_add_vcpu(kvm, fake.vcpu[0]) == 0);
	REQUIRE(vmmem_harvester_new(vmmem_region_bitmap(region), &harvester) ==
		0);
	REQUIRE(vmmem_kvm_log_start(kvm, NULL) == 0);
	memcpy(copy, memory, LEN);
	moments = 0;
	guest_writes();
	REQUIRE(vmmem_kvm_log_collect(kvm, NULL) == 0);
	REQUIRE(moments > 0 || _i == VMMEM_KVM_LOG_GET);

	/* The guest stands still, and the last round has all that is left. */
	inject_ioctl = fake_kvm_ioctl;
	REQUIRE(vmmem_kvm_log_collect(kvm, NULL) == 0);
	take_and_read();
	REQUIRE(memcmp(copy, memory, LEN) == 0);

	REQUIRE(vmmem_kvm_free(kvm) == 0);
	inject_ioctl = NULL;
	fake_kvm_close();
	vmmem_harvester_free(harvester);
	vmmem_space_unref(space);
	vmmem_region_unref(region);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault_kvm_order");
	TCase *tcase = tcase_create("fault_kvm_order");

	tcase_add_loop_test(tcase, no_write_is_lost, VMMEM_KVM_LOG_GET,
			    VMMEM_KVM_LOG_RING + 1);
	suite_add_tcase(suite, tcase);
	return suite;
}
