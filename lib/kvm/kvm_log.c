/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * KVM's dirty log.  The order that loses nothing: KVM says which pages are
 * dirty, then the library tells KVM to watch those pages again, then it marks
 * them, then the thread that takes the marks reads the pages.  If a page were
 * marked earlier, another thread could take and read it, and a vCPU could write
 * it once more before KVM watches it.  With KVM_GET_DIRTY_LOG the first two are
 * one call.  KVM does not say the same twice, so the library makes the marks
 * whatever fails in between.
 */
#include <vmmem/bitmap.h>
#include <vmmem/error.h>
#include <vmmem/kvm.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/kvm_priv.h"
#include "kvm/slot_table_priv.h"

#define WORD_PAGES UINT64_C(64)

/*
 * The most pages that one KVM_CLEAR_DIRTY_LOG is for: vCPUs that fault wait
 * meanwhile.
 */
#define CLEAR_PAGES (UINT64_C(1) << 18)

#define RING_ENTRIES_DEFAULT 65536

static int
enable(const struct vmmem_kvm *kvm, uint32_t capability, uint64_t argument)
{
	struct kvm_enable_cap enable = {
		.cap = capability,
		.args = { argument },
	};

	if ((kvm->options.flags & VMMEM_KVM_FLAG_LOG_IS_ON) != 0)
		return 0;
	return vmmem_kvm_ioctl(kvm, KVM_ENABLE_CAP, &enable);
}

static int
enable_clear(struct vmmem_kvm *kvm)
{
	int need = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
	int have = vmmem_kvm_extension(kvm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);

	if (kvm->options.log == VMMEM_KVM_LOG_ALL_SET)
		need |= KVM_DIRTY_LOG_INITIALLY_SET;
	if (have < 0)
		return have;
	if ((need & ~have) != 0)
		return VMMEM_ENOSUPPORT;
	return enable(kvm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, (uint64_t)need);
}

static int
enable_rings(struct vmmem_kvm *kvm)
{
	uint32_t capability = KVM_CAP_DIRTY_LOG_RING_ACQ_REL;
	uint32_t most;
	int bytes;

	bytes = vmmem_kvm_extension(kvm, capability);
	if (bytes == 0) {
		/* x86 had it first, and needs no other. */
		capability = KVM_CAP_DIRTY_LOG_RING;
		bytes = vmmem_kvm_extension(kvm, capability);
	}
	if (bytes < 0)
		return bytes;
	most = (uint32_t)bytes / sizeof(struct vmmem_kvm_gfn);
	kvm->ring_entries = kvm->options.ring_entries;
	if (kvm->ring_entries == 0)
		kvm->ring_entries = most < RING_ENTRIES_DEFAULT ?
					    most :
					    RING_ENTRIES_DEFAULT;
	if (kvm->ring_entries == 0 || kvm->ring_entries > most)
		return VMMEM_ENOSUPPORT;
	return enable(kvm, capability,
		      kvm->ring_entries * sizeof(struct vmmem_kvm_gfn));
}

int
vmmem_kvm_log_enable(struct vmmem_kvm *kvm)
{
	switch (kvm->options.log) {
	case VMMEM_KVM_LOG_GET:
		return 0;
	case VMMEM_KVM_LOG_RING:
		return enable_rings(kvm);
	default:
		return enable_clear(kvm);
	}
}

static size_t
words_of(const struct vmmem_kvm *kvm, uint64_t len)
{
	uint64_t pages = len / kvm->page_size;

	return (size_t)((pages - 1) / WORD_PAGES + 1);
}

int
vmmem_kvm_log_reserve(struct vmmem_kvm *kvm, uint64_t len)
{
	size_t count = words_of(kvm, len);
	vmmem_le64 *words;

	if (vmmem_kvm_has_rings(kvm) || count <= kvm->word_count)
		return 0;
	words = reallocarray(kvm->words, count, sizeof(*words));
	if (words == NULL)
		return -ENOMEM;
	/* KVM sets them all.  Not every analyser knows that. */
	memset(&words[kvm->word_count], 0,
	       (count - kvm->word_count) * sizeof(*words));
	kvm->words = words;
	kvm->word_count = count;
	return 0;
}

/* Where in the bitmap of its region a slot begins. */
static uint64_t
log_offset(const struct vmmem_slot *slot)
{
	return vmmem_region_bitmap_offset(slot->region) +
	       (slot->gpa - vmmem_region_start(slot->region));
}

int
vmmem_kvm_mark(const struct vmmem_slot *slot, uint64_t offset, uint64_t len)
{
	return vmmem_bitmap_mark(vmmem_region_bitmap(slot->region),
				 log_offset(slot) + offset, len);
}

/* KVM's words are little-endian everywhere, with a bit for each page. */
static int
mark_words(const struct vmmem_kvm *kvm, const struct vmmem_slot *slot)
{
	return vmmem_bitmap_merge(vmmem_region_bitmap(slot->region),
				  log_offset(slot), slot->len, kvm->page_size,
				  kvm->words,
				  words_of(kvm, slot->len) *
					  sizeof(kvm->words[0]));
}

/* clear_words() makes KVM watch the pages again that it said were dirty. */
static int
clear_words(const struct vmmem_kvm *kvm, const struct vmmem_slot *slot)
{
	uint64_t pages = slot->len / kvm->page_size, page, end;
	int rc;

	for (page = 0; page < pages; page = end) {
		struct kvm_clear_dirty_log clear = {
			.slot = vmmem_kvm_slot_id(kvm, slot),
		};
		size_t word = (size_t)(page / WORD_PAGES), last;

		end = pages - page < CLEAR_PAGES ? pages : page + CLEAR_PAGES;
		last = (size_t)((end - 1) / WORD_PAGES);
		while (word <= last && kvm->words[word].raw == 0)
			word++;
		if (word > last)
			continue;
		while (kvm->words[last].raw == 0)
			last--;
		/* Whole words, unless it is to the end of the slot. */
		clear.first_page = word * WORD_PAGES;
		clear.num_pages = (uint32_t)((last + 1 - word) * WORD_PAGES);
		if (clear.num_pages > pages - clear.first_page)
			clear.num_pages =
				(uint32_t)(pages - clear.first_page);
		clear.dirty_bitmap = &kvm->words[word];
		rc = vmmem_kvm_ioctl(kvm, KVM_CLEAR_DIRTY_LOG, &clear);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
vmmem_kvm_fetch(struct vmmem_kvm *kvm, const struct vmmem_slot *slot,
		bool goes_on)
{
	struct kvm_dirty_log log = {
		.slot = vmmem_kvm_slot_id(kvm, slot),
		.dirty_bitmap = kvm->words,
	};
	int rc, failed;

	if (vmmem_kvm_has_rings(kvm))
		return vmmem_kvm_harvest(kvm);
	rc = vmmem_kvm_ioctl(kvm, KVM_GET_DIRTY_LOG, &log);
	if (rc < 0)
		return rc;
	/*
	 * The marks are made last: a thread that finds one may read the page at
	 * once, and a later write of a vCPU must be logged.  The library makes
	 * them in any case, as KVM does not say again what was cleared.
	 */
	if (goes_on && kvm->options.log != VMMEM_KVM_LOG_GET)
		rc = clear_words(kvm, slot);
	failed = mark_words(kvm, slot);
	if (rc >= 0)
		rc = failed;
	return rc;
}

static struct vmmem_kvm_start *
find_start(const struct vmmem_kvm *kvm, const struct vmmem_region *region)
{
	const struct vmmem_region *root = vmmem_slot_root(region);
	size_t i;

	for (i = 0; i < kvm->region_start_count; i++)
		if (kvm->region_starts[i].root == root)
			return &kvm->region_starts[i];
	return NULL;
}

bool
vmmem_kvm_wants_log(const struct vmmem_kvm *kvm,
		    const struct vmmem_region *region)
{
	return kvm->starts != 0 || find_start(kvm, region) != NULL;
}

/* shows() tells whether a slot with all of 'flags' shows the region. */
static bool
shows(const struct vmmem_kvm *kvm, const struct vmmem_region *root,
      uint32_t flags)
{
	size_t i, count = vmmem_slot_table_count(kvm->slots);
	struct vmmem_slot slot;

	for (i = 0; i < count; i++)
		if (vmmem_slot_table_at(kvm->slots, i, &slot) == 0 &&
		    (slot.flags & flags) == flags &&
		    vmmem_slot_root(slot.region) == root)
			return true;
	return false;
}

static void
remove_start(struct vmmem_kvm *kvm, struct vmmem_kvm_start *start)
{
	*start = kvm->region_starts[--kvm->region_start_count];
}

void
vmmem_kvm_forget_starts(struct vmmem_kvm *kvm)
{
	size_t i = kvm->region_start_count;

	while (i-- > 0)
		if (!shows(kvm, kvm->region_starts[i].root, 0))
			remove_start(kvm, &kvm->region_starts[i]);
}

/* add_start() notes one more start of a region. */
static int
add_start(struct vmmem_kvm *kvm, const struct vmmem_region *region)
{
	struct vmmem_kvm_start *starts, *start = find_start(kvm, region);

	if (start != NULL) {
		start->count++;
		return 0;
	}
	if (!shows(kvm, vmmem_slot_root(region), 0))
		return VMMEM_ENOREGION;
	starts = reallocarray(kvm->region_starts, kvm->region_start_count + 1,
			      sizeof(*starts));
	if (starts == NULL)
		return -ENOMEM;
	kvm->region_starts = starts;
	starts[kvm->region_start_count++] =
		(struct vmmem_kvm_start){ vmmem_slot_root(region), 1 };
	return 0;
}

/* take_back() takes one start of a region, or of all, back. */
static int
take_back(struct vmmem_kvm *kvm, const struct vmmem_region *region)
{
	struct vmmem_kvm_start *start;

	if (region == NULL) {
		if (kvm->starts == 0)
			return VMMEM_EARGUMENT;
		kvm->starts--;
	} else {
		start = find_start(kvm, region);
		if (start == NULL)
			return VMMEM_EARGUMENT;
		if (--start->count == 0)
			remove_start(kvm, start);
	}
	vmmem_slot_table_redescribe(kvm->slots);
	return 0;
}

int
vmmem_kvm_start(struct vmmem_kvm *kvm, const struct vmmem_region *region)
{
	int rc = 0;

	if (region == NULL)
		kvm->starts++;
	else
		rc = add_start(kvm, region);
	if (rc != 0)
		return rc;
	vmmem_slot_table_redescribe(kvm->slots);
	rc = vmmem_kvm_run(kvm, kvm->map);
	if (rc == 0) {
		kvm->pending = false;
	} else {
		(void)take_back(kvm, region);
		vmmem_kvm_undo(kvm);
	}
	return rc;
}

int
vmmem_kvm_stop_log(struct vmmem_kvm *kvm, const struct vmmem_region *region)
{
	int rc = take_back(kvm, region);

	return rc != 0 ? rc : vmmem_kvm_settle(kvm);
}

int
vmmem_kvm_collect(struct vmmem_kvm *kvm, const struct vmmem_region *region)
{
	const struct vmmem_region *root = NULL;
	size_t i, count = vmmem_slot_table_count(kvm->slots);
	struct vmmem_slot slot;
	int rc = 0, failed;

	if (region != NULL) {
		root = vmmem_slot_root(region);
		if (!shows(kvm, root, VMMEM_SLOT_LOG))
			return VMMEM_ENOREGION;
	}
	if (vmmem_kvm_has_rings(kvm))
		return vmmem_kvm_harvest(kvm);
	for (i = 0; i < count; i++) {
		failed = vmmem_slot_table_at(kvm->slots, i, &slot);
		if (failed == 0 && (slot.flags & VMMEM_SLOT_LOG) != 0 &&
		    (root == NULL || vmmem_slot_root(slot.region) == root))
			failed = vmmem_kvm_fetch(kvm, &slot, true);
		rc = rc != 0 ? rc : failed;
	}
	return rc;
}
