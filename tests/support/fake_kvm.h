/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A KVM that is a few hundred lines long: memory slots, the dirty log in each
 * of its ways, and a guest that is a function call.  It says what Linux says,
 * and where there is a /dev/kvm it is checked against that: each change of a
 * slot is made on both, and both must say the same.
 *
 * A test that includes this is linked with support/inject.c and has
 * inject_ioctl point to fake_kvm_ioctl().
 */
#ifndef FAKE_KVM_H
#define FAKE_KVM_H

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmmem/endian.h>

#define FAKE_PAGE UINT64_C(4096)
#ifndef FAKE_SLOTS
#define FAKE_SLOTS 64
#define FAKE_PAGES_MAX 1024 /* of one slot */
#endif
#define FAKE_ADDRESS_BITS 46 /* where there is no real one */
#define FAKE_RING_MAX 65536
#define FAKE_RING_KEPT 1 /* entries of a ring that are never used; 64 or more */
#define FAKE_VCPUS 2

/* Linux 6.8. */
#define FAKE_MEM_GUEST_MEMFD 4U
#define FAKE_SET_REGION2 _IOC(_IOC_WRITE, KVMIO, 0x49, 160)
#define FAKE_CAP_USER_MEMORY2 231
#define FAKE_CAP_GUEST_MEMFD 234
#define FAKE_SET_ATTRIBUTES _IOC(_IOC_WRITE, KVMIO, 0xd2, 32)
#define FAKE_CAP_MEMORY_ATTRIBUTES 233
#define FAKE_ATTRIBUTE_PRIVATE 8U
#define FAKE_ATTRIBUTE_PAGES 1024 /* from guest address 0 on */

struct fake_region2 {
	uint32_t slot, flags;
	uint64_t gpa, len, host, guest_memfd_offset;
	uint32_t guest_memfd, pad;
};

struct fake_slot {
	struct fake_region2 is; /* of length 0: there is none */
	/* A byte for each page: logged; and not watched any more. */
	uint8_t dirty[FAKE_PAGES_MAX];
	uint8_t open[FAKE_PAGES_MAX];
};

struct fake_entry {
	uint32_t flags, slot;
	uint64_t page;
};

struct fake_kvm {
	int fd;
	int real; /* the machine to compare with, -1 if there is none */
	struct fake_slot slots[FAKE_SLOTS];

	/* What it has, for the test to change. */
	int nr_slots, read_only, guest_memfd, user_memory2, manual, ring,
		ring_acq_rel, address_spaces;
	bool moves;
	unsigned int address_bits;

	/* What attributes there are: no real KVM that tests meet has any. */
	uint32_t attributes;
	uint8_t attribute[FAKE_ATTRIBUTE_PAGES]; /* of each page */
	unsigned int attribute_calls;

	uint64_t protect; /* what was enabled of MANUAL_DIRTY_LOG_PROTECT2 */
	uint32_t ring_entries;
	int vcpu[FAKE_VCPUS];
	size_t ring_len[FAKE_VCPUS];
	struct fake_entry *entries[FAKE_VCPUS];
	uint32_t put[FAKE_VCPUS], taken[FAKE_VCPUS];

	/*
	 * The calls numbered 'fail_from' to 'fail_to', from 1 on, fail with
	 * 'fail_with'; 'calls' of each kind were made.
	 */
	unsigned int calls, fail_from, fail_to;
	int fail_with;
	uint64_t last_gpa; /* that a slot was put at */
	unsigned int sets, deletes, moves_made, gets, clears, resets;
};

static struct fake_kvm fake = { .fd = -1, .real = -1 };

/* fake_kvm_missing() returns why there can be none, NULL if there can. */
static inline const char *
fake_kvm_missing(void)
{
	return sysconf(_SC_PAGESIZE) != (long)FAKE_PAGE ?
		       "pages are not of 4096 bytes" :
		       NULL;
}

/* What stands behind support/inject.c. */
int __real_ioctl(int fd, unsigned long request, ...);
int __real_fstat(int fd, struct stat *ret_stat);

/* How long an address may be that the real one takes. */
static inline unsigned int
fake_real_address_bits(void)
{
	static uint8_t page[2 * FAKE_PAGE];
	struct kvm_userspace_memory_region region = {
		.memory_size = FAKE_PAGE,
		.userspace_addr = ((uintptr_t)page + FAKE_PAGE - 1) &
				  ~(FAKE_PAGE - 1),
	};
	unsigned int bits = 53;

	do {
		bits--;
		region.guest_phys_addr = (UINT64_C(1) << bits) - FAKE_PAGE;
	} while (bits > 30 && __real_ioctl(fake.real,
					   KVM_SET_USER_MEMORY_REGION,
					   &region) != 0);
	region.memory_size = 0;
	if (__real_ioctl(fake.real, KVM_SET_USER_MEMORY_REGION, &region) != 0)
		abort();
	return bits;
}

static inline void
fake_kvm_open(bool compare)
{
	int system = compare ? open("/dev/kvm", O_RDWR | O_CLOEXEC) : -1;

	memset(&fake, 0, sizeof(fake));
	fake.fd = memfd_create("fake kvm", MFD_CLOEXEC);
	if (fake.fd < 0)
		abort();
	fake.real = -1;
	if (system >= 0) {
		fake.real = __real_ioctl(system, KVM_CREATE_VM, 0UL);
		close(system);
	}
	fake.address_bits = fake.real >= 0 ? fake_real_address_bits() :
					     FAKE_ADDRESS_BITS;
	fake.nr_slots = FAKE_SLOTS;
	fake.read_only = 1;
	fake.guest_memfd = 1;
	fake.user_memory2 = 1;
	fake.manual = 3;
	fake.ring = fake.ring_acq_rel = FAKE_RING_MAX * 16;
	fake.moves = true;
}

static inline void
fake_kvm_close(void)
{
	int i;

	for (i = 0; i < FAKE_VCPUS; i++) {
		if (fake.entries[i] == NULL)
			continue;
		munmap(fake.entries[i], fake.ring_len[i]);
		close(fake.vcpu[i]);
	}
	if (fake.real >= 0)
		close(fake.real);
	close(fake.fd);
	fake.fd = -1;
}

/*
 * fake_kvm_vcpu() makes a vCPU, whose ring of as many entries as are or will be
 * asked for can be mapped like that of a real one.
 */
static inline int
fake_kvm_vcpu(int i, uint32_t entries)
{
	off_t at = (off_t)(KVM_DIRTY_LOG_PAGE_OFFSET * FAKE_PAGE);
	size_t bytes = entries * 16;

	fake.ring_len[i] = bytes;
	fake.vcpu[i] = memfd_create("fake vcpu", MFD_CLOEXEC);
	if (fake.vcpu[i] < 0 ||
	    ftruncate(fake.vcpu[i], at + (off_t)bytes) != 0)
		abort();
	fake.entries[i] = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			       fake.vcpu[i], at);
	if (fake.entries[i] == MAP_FAILED)
		abort();
	return fake.vcpu[i];
}

static inline int
fake_fails(int error)
{
	errno = error;
	return -1;
}

static inline bool
fake_overlaps(const struct fake_region2 *a, const struct fake_region2 *b)
{
	return a->len != 0 && b->len != 0 && a->gpa < b->gpa + b->len &&
	       b->gpa < a->gpa + a->len;
}

static inline int
fake_set_region(const struct fake_region2 *new)
{
	uint32_t id = new->slot & 0xffff, valid = KVM_MEM_LOG_DIRTY_PAGES;
	struct fake_slot *slot = &fake.slots[id];
	uint64_t i;

	if (fake.read_only)
		valid |= KVM_MEM_READONLY;
	if ((new->flags & FAKE_MEM_GUEST_MEMFD) != 0)
		valid = FAKE_MEM_GUEST_MEMFD;
	if ((new->flags & ~valid) != 0 || new->slot >> 16 != 0 ||
	    id >= (uint32_t)fake.nr_slots ||
	    ((new->gpa | new->len | new->host) & (FAKE_PAGE - 1)) != 0)
		return fake_fails(EINVAL);
	if (new->len == 0) {
		if (slot->is.len == 0)
			return fake_fails(EINVAL);
		fake.deletes++;
		memset(slot, 0, sizeof(*slot));
		return 0;
	}
	if (new->gpa + new->len > UINT64_C(1) << fake.address_bits)
		return fake_fails(EINVAL);
	if (slot->is.len != 0) {
		if ((slot->is.flags & FAKE_MEM_GUEST_MEMFD) != 0 ||
		    new->host != slot->is.host || new->len != slot->is.len ||
		    ((new->flags ^ slot->is.flags) & KVM_MEM_READONLY) != 0)
			return fake_fails(EINVAL);
		if (!fake.moves && new->gpa != slot->is.gpa)
			return fake_fails(EINVAL);
	}
	for (i = 0; i < FAKE_SLOTS; i++)
		if (i != id && fake_overlaps(&fake.slots[i].is, new))
			return fake_fails(EEXIST);
	if (new->len / FAKE_PAGE > FAKE_PAGES_MAX)
		abort();
	fake.moves_made += slot->is.len != 0 && slot->is.gpa != new->gpa;
	fake.sets++;
	if ((new->flags & KVM_MEM_LOG_DIRTY_PAGES) == 0) {
		memset(slot->dirty, 0, sizeof(slot->dirty));
	} else if ((slot->is.flags & KVM_MEM_LOG_DIRTY_PAGES) == 0) {
		memset(slot->open, 0, sizeof(slot->open));
		for (i = 0; i < new->len / FAKE_PAGE; i++)
			slot->dirty[i] = fake.protect == 3;
		/* All counts as dirty, so nothing is watched yet. */
		memcpy(slot->open, slot->dirty, sizeof(slot->open));
	}
	if (slot->is.gpa != new->gpa && fake.protect != 3)
		memset(slot->open, 0, sizeof(slot->open));
	slot->is = *new;
	fake.last_gpa = new->gpa;
	return 0;
}

static inline int
fake_set_attributes(const uint64_t *argument)
{
	const uint64_t first = argument[0] / FAKE_PAGE;
	const uint64_t count = argument[1] / FAKE_PAGE;

	if (fake.attributes == 0)
		return fake_fails(ENOTTY);
	if (argument[0] % FAKE_PAGE != 0 || argument[1] % FAKE_PAGE != 0 ||
	    count == 0 || (argument[2] & ~(uint64_t)fake.attributes) != 0 ||
	    argument[3] != 0)
		return fake_fails(EINVAL);
	if (first + count > FAKE_ATTRIBUTE_PAGES)
		abort();
	fake.attribute_calls++;
	memset(&fake.attribute[first], (int)argument[2], count);
	return 0;
}

static inline int
fake_get_log(const struct kvm_dirty_log *log)
{
	struct fake_slot *slot = &fake.slots[log->slot % FAKE_SLOTS];
	vmmem_le64 *words = log->dirty_bitmap;
	uint64_t i, pages = slot->is.len / FAKE_PAGE;

	fake.gets++;
	if (fake.ring_entries != 0)
		return fake_fails(ENXIO);
	if ((slot->is.flags & KVM_MEM_LOG_DIRTY_PAGES) == 0)
		return fake_fails(ENOENT);
	for (i = 0; i < (pages + 63) / 64; i++)
		vmmem_le64_set(&words[i], 0);
	for (i = 0; i < pages; i++) {
		if (slot->dirty[i])
			vmmem_le64_set(&words[i / 64],
				       vmmem_le64_get(&words[i / 64]) |
					       UINT64_C(1) << i % 64);
		if (fake.protect == 0)
			slot->dirty[i] = slot->open[i] = 0;
	}
	return 0;
}

static inline int
fake_clear_log(const struct kvm_clear_dirty_log *log)
{
	struct fake_slot *slot = &fake.slots[log->slot % FAKE_SLOTS];
	const vmmem_le64 *words = log->dirty_bitmap;
	uint64_t i, pages = slot->is.len / FAKE_PAGE;

	fake.clears++;
	if ((slot->is.flags & KVM_MEM_LOG_DIRTY_PAGES) == 0)
		return fake_fails(ENOENT);
	if (fake.protect == 0 || log->first_page % 64 != 0 ||
	    log->first_page > pages ||
	    log->num_pages > pages - log->first_page ||
	    (log->num_pages < pages - log->first_page &&
	     log->num_pages % 64 != 0))
		return fake_fails(EINVAL);
	for (i = 0; i < log->num_pages; i++)
		if ((vmmem_le64_get(&words[i / 64]) >> i % 64 & 1) != 0)
			slot->dirty[log->first_page + i] =
				slot->open[log->first_page + i] = 0;
	return 0;
}

static inline int
fake_reset_rings(void)
{
	int i, count = 0;

	fake.resets++;
	if (fake.ring_entries == 0)
		return fake_fails(EINVAL);
	for (i = 0; i < FAKE_VCPUS; i++) {
		while (fake.entries[i] != NULL) {
			struct fake_entry *entry =
				&fake.entries[i][fake.taken[i] %
						 fake.ring_entries];
			struct fake_slot *slot =
				&fake.slots[entry->slot % FAKE_SLOTS];

			if ((entry->flags & 2) == 0)
				break;
			/* More was given back than there is.  KVM would go on. */
			if (fake.taken[i] == fake.put[i])
				abort();
			entry->flags = 0;
			if (entry->page < slot->is.len / FAKE_PAGE)
				slot->open[entry->page] = 0;
			fake.taken[i]++;
			count++;
		}
	}
	return count;
}

static inline int
fake_extension(unsigned long which)
{
	switch (which) {
	case KVM_CAP_NR_MEMSLOTS:
		return fake.nr_slots;
	case KVM_CAP_READONLY_MEM:
		return fake.read_only;
	case FAKE_CAP_GUEST_MEMFD:
		return fake.guest_memfd;
	case FAKE_CAP_MEMORY_ATTRIBUTES:
		return (int)fake.attributes;
	case FAKE_CAP_USER_MEMORY2:
		return fake.user_memory2;
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		return fake.manual;
	case KVM_CAP_DIRTY_LOG_RING:
		return fake.ring;
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL:
		return fake.ring_acq_rel;
	case KVM_CAP_MULTI_ADDRESS_SPACE:
		return fake.address_spaces;
	default:
		return 0;
	}
}

static inline int
fake_enable(const struct kvm_enable_cap *cap)
{
	if (cap->cap == KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) {
		fake.protect = cap->args[0];
		return 0;
	}
	if ((cap->cap != KVM_CAP_DIRTY_LOG_RING &&
	     cap->cap != KVM_CAP_DIRTY_LOG_RING_ACQ_REL) ||
	    fake_extension(cap->cap) == 0 || fake.ring_entries != 0)
		return fake_fails(EINVAL);
	fake.ring_entries = (uint32_t)(cap->args[0] / 16);
	return 0;
}

/* The real one is asked for the same, and its log is not that of the fake. */
static inline int
fake_ask_real(unsigned long request, const void *argument)
{
	static uint64_t words[FAKE_PAGES_MAX / 64];
	struct kvm_dirty_log log;

	if (request == KVM_GET_DIRTY_LOG) {
		memcpy(&log, argument, sizeof(log));
		log.dirty_bitmap = words;
		return __real_ioctl(fake.real, request, &log);
	}
	if (request == KVM_CHECK_EXTENSION)
		return 0;
	return __real_ioctl(fake.real, request, argument);
}

static inline int
fake_answer(unsigned long request, void *argument)
{
	struct fake_region2 region = { .len = 0 };

	switch (request) {
	case KVM_CHECK_EXTENSION:
		return fake_extension((unsigned long)(uintptr_t)argument);
	case KVM_ENABLE_CAP:
		return fake_enable(argument);
	case KVM_SET_USER_MEMORY_REGION:
		memcpy(&region, argument,
		       sizeof(struct kvm_userspace_memory_region));
		return fake_set_region(&region);
	case FAKE_SET_REGION2:
		memcpy(&region, argument, sizeof(region));
		return fake_set_region(&region);
	case FAKE_SET_ATTRIBUTES:
		return fake_set_attributes(argument);
	case KVM_GET_DIRTY_LOG:
		return fake_get_log(argument);
	case KVM_CLEAR_DIRTY_LOG:
		return fake_clear_log(argument);
	case KVM_RESET_DIRTY_RINGS:
		return fake_reset_rings();
	default:
		return fake_fails(ENOTTY);
	}
}

/* fake_is() tells whether a descriptor is that of the fake, or a duplicate. */
static inline bool
fake_is(int fd)
{
	struct stat of_fd, of_fake;

	return fd == fake.fd ||
	       (fake.fd >= 0 && __real_fstat(fd, &of_fd) == 0 &&
		__real_fstat(fake.fd, &of_fake) == 0 &&
		of_fd.st_dev == of_fake.st_dev &&
		of_fd.st_ino == of_fake.st_ino);
}

/* fake_kvm_ioctl() is ioctl(): any other descriptor goes to the system. */
static inline int
fake_kvm_ioctl(int fd, unsigned long request, void *argument)
{
	int rc, real, error;

	if (fd < 0 || !fake_is(fd))
		return -2;
	if (request != KVM_CHECK_EXTENSION)
		fake.calls++;
	if (fake.fail_from != 0 && fake.calls >= fake.fail_from &&
	    fake.calls <= fake.fail_to)
		return fake_fails(fake.fail_with);
	rc = fake_answer(request, argument);
	error = errno;
	/* Its guest never runs, so it has no rings to give back. */
	if (fake.real >= 0 && request != KVM_RESET_DIRTY_RINGS &&
	    request != KVM_CHECK_EXTENSION) {
		real = fake_ask_real(request, argument);
		if (real != rc || (rc < 0 && errno != error))
			abort();
	}
	errno = error;
	return rc;
}

/*
 * fake_kvm_write() has a vCPU write to the page at 'gpa'.  False is an exit:
 * there is no memory there, or the ring is full.
 */
static inline bool
fake_kvm_write(int vcpu, uint64_t gpa)
{
	struct fake_slot *slot = NULL;
	struct fake_entry *entry;
	uint64_t page;
	uint32_t i;

	for (i = 0; i < FAKE_SLOTS && slot == NULL; i++)
		if (gpa >= fake.slots[i].is.gpa &&
		    gpa - fake.slots[i].is.gpa < fake.slots[i].is.len)
			slot = &fake.slots[i];
	if (slot == NULL || (slot->is.flags & KVM_MEM_READONLY) != 0)
		return false;
	page = (gpa - slot->is.gpa) / FAKE_PAGE;
	if ((slot->is.flags & KVM_MEM_LOG_DIRTY_PAGES) == 0 ||
	    slot->open[page])
		return true;
	if (fake.ring_entries == 0) {
		slot->dirty[page] = slot->open[page] = 1;
		return true;
	}
	if (fake.put[vcpu] - fake.taken[vcpu] ==
	    fake.ring_entries - FAKE_RING_KEPT)
		return false;
	entry = &fake.entries[vcpu][fake.put[vcpu] % fake.ring_entries];
	entry->slot = slot->is.slot;
	entry->page = page;
	entry->flags = 1;
	fake.put[vcpu]++;
	slot->open[page] = 1;
	return true;
}

#endif
