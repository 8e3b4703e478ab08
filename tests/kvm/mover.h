/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Two machines of two vCPUs each, and the migration of the running guest from
 * the first to the second.
 */
#ifndef MOVER_H
#define MOVER_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <vmmem/kvm.h>
#include <vmmem/vmmem.h>

#include "end_kvm.h"
#include "guest.h"
#include "vcpu.h"
#include "work_guest.h"
#include "work_layout.h"

#define PAGE 4096
#define LOW_LEN 0x60000
#define HIGH_LEN 0x40000
#define ALIAS 0xe0000
#define ALIAS_OFFSET_IN_LOW 0x50000

/*
 * How slow the guest is at first.  A KVM that emulates real mode may do 1024
 * instructions before it looks whether a ring is nearly full, and only has 64
 * entries left then.  A slow guest writes to no more pages than that; a fast one
 * makes such a KVM lose entries.
 */
#define SLOW 64
#define FAST 1

/* Where a device of the host writes meanwhile. */
#define DEVICE 0x8000
#define DEVICE_LEN 0x2000

struct host;

struct host_vcpu {
	struct host *host;
	struct vcpu vcpu;
	pthread_t thread;
	bool finished; /* it reported 'sum', instead of being stopped */
	uint32_t sum;
};

struct host {
	struct vm vm;
	struct vmmem_space *space;
	struct vmmem_reader *reader; /* the main thread's */
	struct vmmem_kvm *kvm;
	uint32_t log;
	struct vmmem_region *regions[2]; /* low and high RAM */
	struct vmmem_harvester *harvesters[2];
	struct host_vcpu vcpus[VCPUS];
	atomic_uint ring_exits;
};

static inline struct vmmem_region *
ram(uint64_t gpa, uint64_t len, bool memfd, uint64_t page)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;

	ck_assert_ptr_nonnull(builder);
	vmmem_region_builder_set_range(builder, gpa, len);
	if (memfd)
		vmmem_region_builder_set_memfd(builder);
	vmmem_region_builder_set_tracking(builder, page);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	return region;
}

/*
 * The high RAM's bitmap has smaller pages than KVM's log, so that each page of
 * the log is several of it.
 */
static inline void
host_open(struct host *host, uint32_t log)
{
	struct vmmem_kvm_options options = {
		.size = sizeof(options),
		.log = log,
		.ring_entries = log == VMMEM_KVM_LOG_RING ? 1024 : 0,
	};
	struct vmmem_region *regions[3];
	struct vmmem_collection *map;

	memset(host, 0, sizeof(*host));
	host->log = log;
	regions[0] = host->regions[0] = ram(0, LOW_LEN, true, PAGE);
	regions[1] = host->regions[1] = ram(LOW_LEN, HIGH_LEN, false, 1024);
	assert_ok(vmmem_region_new_alias(ALIAS, 0x10000, regions[0],
					 ALIAS_OFFSET_IN_LOW, &regions[2]));
	map = guest_of(regions, 3);
	assert_ok(vmmem_space_new(map, NULL, &host->space));
	vmmem_collection_unref(map);
	assert_ok(vmmem_reader_new(host->space, NULL, &host->reader));
	vm_open(&host->vm);
	assert_ok(vmmem_kvm_new(host->space, host->vm.fd, &options,
				&host->kvm));
	for (unsigned int i = 0; i < VCPUS; i++) {
		host->vcpus[i].host = host;
		vcpu_open(&host->vm, i, &host->vcpus[i].vcpu);
		if (log == VMMEM_KVM_LOG_RING)
			assert_ok(vmmem_kvm_add_vcpu(host->kvm,
						     host->vcpus[i].vcpu.fd));
	}
}

static inline void
host_close(struct host *host)
{
	for (unsigned int i = 0; i < VCPUS; i++) {
		if (host->log == VMMEM_KVM_LOG_RING)
			assert_ok(vmmem_kvm_remove_vcpu(
				host->kvm, host->vcpus[i].vcpu.fd));
		vcpu_close(&host->vcpus[i].vcpu);
	}
	end_kvm(host->kvm);
	vm_close(&host->vm);
	vmmem_reader_free(host->reader);
	ck_assert_ptr_null(vmmem_space_unref(host->space));
}

static inline void
host_write(struct host *host, uint64_t gpa, const void *bytes, size_t len)
{
	assert_ok(vmmem_reader_write(host->reader, gpa, bytes, len, NULL));
}

static inline void
host_read(struct host *host, uint64_t gpa, void *bytes, size_t len)
{
	NEED_OK(vmmem_reader_read(host->reader, gpa, bytes, len, NULL));
}

static inline uint32_t
host_u32(struct host *host, uint64_t gpa)
{
	uint32_t value;

	NEED_OK(vmmem_reader_load_u32(host->reader, gpa, VMMEM_ORDER_ACQUIRE,
				      &value));
	return value;
}

static inline void
host_set_u16(struct host *host, uint64_t gpa, uint16_t value)
{
	assert_ok(vmmem_reader_store_u16(host->reader, gpa, value,
					 VMMEM_ORDER_RELEASE));
}

/* Loads the program, and sets each vCPU to begin. */
static inline void
host_load(struct host *host, uint16_t spin)
{
	host_write(host, PROGRAM, work_guest, sizeof(work_guest));
	for (unsigned int i = 0; i < VCPUS; i++) {
		uint64_t block = BLOCK(i);

		host_set_u16(host, block + BLOCK_SPIN, spin);
		host_set_u16(host, block + BLOCK_BASE,
			     i == 0 ? 0x1000 : LOW_LEN >> 4);
		host_set_u16(host, block + BLOCK_ALIAS,
			     (uint16_t)((ALIAS + i * ALIAS_LEN) >> 4));
		vcpu_reset(&host->vcpus[i].vcpu, PROGRAM, (uint16_t)block,
			   (uint16_t)(i + 1));
	}
}

static inline void *
host_vcpu_main(void *opaque)
{
	struct host_vcpu *self = opaque;

	for (;;) {
		switch (vcpu_run(&self->vcpu)) {
		case VCPU_STOPPED:
			return NULL;
		case KVM_EXIT_DIRTY_RING_FULL:
			atomic_fetch_add(&self->host->ring_exits, 1);
			NEED_OK(vmmem_kvm_log_collect(self->host->kvm, NULL));
			break;
		case KVM_EXIT_IO:
			NEED(self->vcpu.run->io.port == REPORT_PORT, "port");
			self->sum = vcpu_port_value(&self->vcpu);
			self->finished = true;
			break;
		case KVM_EXIT_HLT:
			NEED(self->finished, "it halted before the end");
			return NULL;
		default:
			ck_abort_msg("KVM exit reason %u",
				     self->vcpu.run->exit_reason);
		}
	}
}

static inline void
host_start(struct host *host)
{
	for (unsigned int i = 0; i < VCPUS; i++)
		ck_assert_int_eq(pthread_create(&host->vcpus[i].thread, NULL,
						host_vcpu_main,
						&host->vcpus[i]),
				 0);
}

static inline void
host_join(struct host *host)
{
	for (unsigned int i = 0; i < VCPUS; i++)
		pthread_join(host->vcpus[i].thread, NULL);
}

static inline void
host_stop(struct host *host)
{
	for (unsigned int i = 0; i < VCPUS; i++)
		vcpu_stop(&host->vcpus[i].vcpu, host->vcpus[i].thread);
	host_join(host);
}

/* Waits until each vCPU has done so many steps, the last begun since. */
static inline void
host_wait_for_steps(struct host *host, uint32_t count)
{
	for (unsigned int i = 0; i < VCPUS; i++) {
		uint64_t gpa = BLOCK(i) + BLOCK_STEPS;
		uint32_t steps = host_u32(host, gpa);

		while (host_u32(host, gpa) - steps <= count)
			sched_yield();
	}
}

/* Logs from now on what is written. */
static inline void
host_log(struct host *host)
{
	for (unsigned int i = 0; i < 2; i++)
		assert_ok(vmmem_harvester_new(
			vmmem_region_bitmap(host->regions[i]), NULL,
			&host->harvesters[i]));
	assert_ok(vmmem_kvm_log_start(host->kvm, NULL));
}

static inline void
host_log_end(struct host *host)
{
	assert_ok(vmmem_kvm_log_stop(host->kvm, NULL));
	for (unsigned int i = 0; i < 2; i++)
		vmmem_harvester_free(host->harvesters[i]);
}

static inline void
send_range(struct host *from, struct host *to, uint64_t gpa, uint64_t len)
{
	static uint8_t wire[PAGE];

	for (; len > 0; gpa += PAGE) {
		size_t chunk = len < PAGE ? (size_t)len : PAGE;

		NEED_OK(vmmem_reader_read(from->reader, gpa, wire, chunk,
					  NULL));
		NEED_OK(vmmem_reader_write(to->reader, gpa, wire, chunk, NULL));
		len -= chunk;
	}
}

/* Collects and sends what is dirty.  Returns how many bytes that was. */
static inline uint64_t
send_dirty(struct host *from, struct host *to)
{
	uint64_t total = 0;

	assert_ok(vmmem_kvm_log_collect(from->kvm, NULL));
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t base = vmmem_region_start(from->regions[i]);
		uint64_t at, start, len;

		assert_ok(vmmem_harvester_take(from->harvesters[i], NULL));
		for (at = 0;; at = start + len) {
			NEED_OK(vmmem_bitmap_next(
				vmmem_harvester_taken(from->harvesters[i]), at,
				&start, &len));
			if (len == 0)
				break;
			send_range(from, to, base + start, len);
			total += len;
		}
		assert_ok(vmmem_harvester_confirm(from->harvesters[i], 0,
						  UINT64_MAX));
	}
	return total;
}

static inline void
send_all(struct host *from, struct host *to)
{
	for (unsigned int i = 0; i < 2; i++)
		send_range(from, to, vmmem_region_start(from->regions[i]),
			   vmmem_region_len(from->regions[i]));
}

/* Where the two differ, if they do. */
static inline void
expect_same(struct host *from, struct host *to)
{
	for (unsigned int i = 0; i < 2; i++) {
		const uint8_t *here = expect_host(from->regions[i]);
		const uint8_t *there = expect_host(to->regions[i]);
		uint64_t at;

		for (at = 0; at < vmmem_region_len(from->regions[i]); at++)
			NEED(here[at] == there[at],
			     "region %u differs at %#llx", i,
			     (unsigned long long)at);
	}
}

/* What the guest's memory and its answer must be after so many steps. */
static inline void
expect_work(struct host *host, unsigned int vcpu)
{
	static uint16_t base[BASE_LEN / 2], alias[ALIAS_LEN / 2];
	uint32_t steps = host_u32(host, BLOCK(vcpu) + BLOCK_STEPS);
	uint32_t base_gpa = vcpu == 0 ? 0x10000 : LOW_LEN, sum = 0, i;
	uint16_t number = (uint16_t)(vcpu + 1);
	vmmem_le16 word;

	/*
	 * After 65536 steps the numbers begin again, and what overflows is a
	 * multiple of 65536 such runs: nothing in words of 16 bits.
	 */
	memset(base, 0, sizeof(base));
	memset(alias, 0, sizeof(alias));
	for (i = 0; i < 65536; i++) {
		uint32_t times = steps / 65536 + (i < steps % 65536);
		uint16_t *words[2];

		number = (uint16_t)(number * FACTOR + INCREMENT);
		words[0] = &base[BASE_OFFSET(number) / 2];
		words[1] = &alias[ALIAS_OFFSET(number) / 2];
		*words[0] = (uint16_t)(*words[0] + times * number);
		*words[1] = (uint16_t)(*words[1] + times * number);
	}
	for (i = 0; i < BASE_LEN / 2; i++) {
		host_read(host, base_gpa + 2 * i, &word, sizeof(word));
		NEED(vmmem_le16_get(&word) == base[i],
		     "word %u of vCPU %u's memory is wrong", i, vcpu);
		sum += base[i];
	}
	for (i = 0; i < ALIAS_LEN / 2; i++) {
		host_read(host, ALIAS + vcpu * ALIAS_LEN + 2 * i, &word,
			  sizeof(word));
		NEED(vmmem_le16_get(&word) == alias[i],
		     "word %u that vCPU %u wrote by an alias is wrong", i,
		     vcpu);
	}
	ck_assert(host->vcpus[vcpu].finished);
	ck_assert_uint_eq(host->vcpus[vcpu].sum, sum);
	ck_assert_uint_eq(host_u32(host, BLOCK(vcpu) + BLOCK_SUM), sum);
}

/* Threads of the host that go on until the vCPUs have stopped. */
struct helper {
	struct host *host;
	pthread_t thread;
	atomic_bool stop;
};

static inline void
helper_start(struct helper *helper, struct host *host, void *(*run)(void *))
{
	helper->host = host;
	ck_assert_int_eq(pthread_create(&helper->thread, NULL, run, helper),
			 0);
}

static inline void
helper_stop(struct helper *helper)
{
	atomic_store(&helper->stop, true);
	pthread_join(helper->thread, NULL);
}

/* Somebody else who collects, at any moment: that may take nothing from us. */
static inline void *
collector_main(void *opaque)
{
	struct helper *collector = opaque;

	while (!atomic_load(&collector->stop)) {
		NEED_OK(vmmem_kvm_log_collect(collector->host->kvm, NULL));
		sched_yield();
	}
	return NULL;
}

/* A device, whose writes the library marks itself. */
static inline void *
device_main(void *opaque)
{
	struct helper *device = opaque;
	struct vmmem_reader *reader;
	uint32_t turn;

	assert_ok(vmmem_reader_new(device->host->space, NULL, &reader));
	for (turn = 1; !atomic_load(&device->stop); turn++) {
		uint64_t offset = turn * UINT64_C(2654435761) % DEVICE_LEN;

		NEED_OK(vmmem_reader_write_u32(
			reader, DEVICE + offset / 4 * 4, turn));
		if (turn % 16 == 0)
			sched_yield();
	}
	vmmem_reader_free(reader);
	return NULL;
}

/* However long a test may run, and so it ends in time on a busy machine. */
#define MOST_MOVES 25

/*
 * So many rounds with all there is to do; and then until only this little is
 * left, but no more rounds than that.
 */
#define BUSY_ROUNDS 20
#define FEW_BYTES (6 * PAGE)
#define MAX_ROUNDS 200

/*
 * Moves a guest that computes all the time, has it end on the second machine,
 * and looks at what it computed.
 */
static inline void
move_guest(uint32_t log, uint16_t first_spin)
{
	static struct host from, to;
	struct helper device = { 0 }, collector = { 0 };
	uint64_t left;
	uint32_t rounds, spin = first_spin, i;

	host_open(&from, log);
	host_open(&to, log);
	host_load(&from, first_spin);
	host_start(&from);
	host_wait_for_steps(&from, 1);
	host_log(&from);
	helper_start(&device, &from, device_main);
	helper_start(&collector, &from, collector_main);

	send_all(&from, &to);
	for (rounds = 0; rounds < BUSY_ROUNDS; rounds++) {
		host_wait_for_steps(&from, 1 + rounds % 4 * 8);
		ck_assert_uint_gt(send_dirty(&from, &to), 0);
	}
	/* Now it shall converge, so the guest is slowed down. */
	for (rounds = 0; rounds < MAX_ROUNDS; rounds++) {
		spin = spin < 0x8000 ? spin * 2 : spin;
		for (i = 0; i < VCPUS; i++)
			host_set_u16(&from, BLOCK(i) + BLOCK_SPIN,
				     (uint16_t)spin);
		if (send_dirty(&from, &to) <= FEW_BYTES)
			break;
	}

	host_stop(&from);
	helper_stop(&device);
	helper_stop(&collector);
	send_dirty(&from, &to);
	/* Rings that lost something say each time that all is dirty. */
	left = send_dirty(&from, &to);
	ck_assert(left == 0 ||
		  (log == VMMEM_KVM_LOG_RING && left == LOW_LEN + HIGH_LEN));
	expect_same(&from, &to);

	for (i = 0; i < VCPUS; i++)
		vcpu_move(&from.vcpus[i].vcpu, &to.vcpus[i].vcpu);
	host_log_end(&from);
	host_close(&from);
	host_start(&to);
	host_wait_for_steps(&to, 1);
	host_set_u16(&to, STOP, 1);
	host_join(&to);
	for (i = 0; i < VCPUS; i++)
		expect_work(&to, i);
	host_close(&to);
}

#endif
