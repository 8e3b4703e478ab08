/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A thread that was told to end (pthread_cancel(3)) ends neither under a lock
 * nor half-way through something, whatever the library calls: close(2), or a
 * program's callback that does what could end it.
 */
#include "guest.h"
#include "suite.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <linux/kvm.h>

#include <vmmem/iommu.h>
#include <vmmem/kvm.h>
#include <vmmem/slot_table.h>

#define LEN UINT64_C(0x4000)
#define AT(n) ((n) * 2 * LEN)

static struct vmmem_space *space;
static struct vmmem_update *update;
static int file;
static bool finished;
static unsigned int called;
static int failed;

/* Check's own assertions could end the thread that is to go on. */
static void
note(int rc)
{
	if (failed == 0)
		failed = rc;
}

/* What could end a thread, and is called back. */
static void
ending(void)
{
	called++;
	pthread_testcancel();
}

static struct vmmem_region *
file_region(uint64_t gpa)
{
	struct vmmem_region *region = NULL;

	assert_ok(vmmem_region_new_file(gpa, LEN, file, 0, &region));
	return region;
}

static void
release(void *opaque)
{
	(void)opaque;
	ending();
}

/* A region whose owner is told. */
static struct vmmem_region *
owned_region(uint64_t gpa)
{
	static _Alignas(4096) unsigned char memory[LEN];
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;

	vmmem_region_builder_set_range(builder, gpa, LEN);
	vmmem_region_builder_set_external(builder, memory, release, NULL);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	return region;
}

static int
told(void *opaque, struct vmmem_region *region)
{
	(void)opaque;
	(void)region;
	ending();
	return 0;
}

static int
told_maps(void *opaque, struct vmmem_collection *old_map,
	  struct vmmem_collection *new_map)
{
	(void)opaque;
	(void)old_map;
	(void)new_map;
	ending();
	return 0;
}

static void
told_published(void *opaque, struct vmmem_collection *old_map,
	       struct vmmem_collection *new_map)
{
	(void)told_maps(opaque, old_map, new_map);
}

static const struct vmmem_listener_ops ops = {
	.size = sizeof(ops),
	.begin = told_maps,
	.added = told,
	.removed = told,
	.commit = told_maps,
	.published = told_published,
};

/* ---- what is done; each first without, to be ready, and then for real ---- */

static struct vmmem_region *region, *other;
static struct vmmem_collection *map;
static struct vmmem_listener *listener;
static struct vmmem_bitmap *bitmap;
static struct vmmem_region_builder *builder;
static struct vmmem_policy *policy;

static void
ready_region(void)
{
	region = file_region(AT(1));
}

static void
drop_region(void)
{
	region = vmmem_region_unref(region);
}

static void
ready_map(void)
{
	struct vmmem_region *regions[] = { owned_region(AT(1)),
					   file_region(AT(2)),
					   owned_region(AT(3)) };
	size_t i;

	assert_ok(vmmem_collection_new(regions, 3, &map));
	for (i = 0; i < 3; i++)
		vmmem_region_unref(regions[i]);
}

static void
drop_map(void)
{
	map = vmmem_collection_unref(map);
}

static void
ready_bitmap(void)
{
	static uint64_t word;

	assert_ok(vmmem_bitmap_new_external(&word, sizeof(word), 64, 64,
					    release, NULL, NULL, &bitmap));
}

static void
drop_bitmap(void)
{
	bitmap = vmmem_bitmap_unref(bitmap);
}

static int
progress(void *opaque, uint64_t done, uint64_t total)
{
	(void)opaque;
	(void)done;
	(void)total;
	ending();
	return 0;
}

/* Other threads work meanwhile, on what is on this thread's stack. */
static void
ready_policy(void)
{
	builder = vmmem_region_builder_new();
	policy = vmmem_policy_new();
	vmmem_policy_set_prefault(policy, 4);
	vmmem_policy_set_progress(policy, progress, NULL);
	vmmem_policy_set_reserve(policy, VMMEM_RESERVE_YES);
	vmmem_region_builder_set_range(builder, AT(1), 16 << 20);
	vmmem_region_builder_set_memfd(builder);
	vmmem_region_builder_set_policy(builder, policy);
}

static void
build(void)
{
	note(vmmem_region_builder_build(builder, &region));
	region = vmmem_region_unref(region);
	vmmem_region_builder_free(builder);
	vmmem_policy_free(policy);
}

static void
ask_residency(void)
{
	struct vmmem_residency residency = { .size = sizeof(residency) };

	note(vmmem_region_residency(region, 0, LEN, &residency));
	region = vmmem_region_unref(region);
}

/* The last reference to a file's region goes under the writers' lock. */
static void
ready_update(void)
{
	assert_ok(vmmem_update_new(space, VMMEM_FOREVER, &update));
	region = file_region(AT(1));
	assert_ok(vmmem_update_insert(update, region));
	region = vmmem_region_unref(region);
}

static void
remove_in_update(void)
{
	note(vmmem_update_remove(update, AT(1), LEN, NULL));
	note(vmmem_update_commit(update));
	vmmem_update_free(update);
}

static void
ready_other(void)
{
	ready_update();
	other = file_region(AT(2));
}

static void
insert_in_update(void)
{
	note(vmmem_update_insert(update, other));
	other = vmmem_region_unref(other);
	update = vmmem_update_free(update);
}

static void
replace_in_update(void)
{
	struct vmmem_collection *empty = NULL;

	note(vmmem_collection_new_empty(&empty));
	note(vmmem_update_replace(update, empty));
	vmmem_collection_unref(empty);
	note(vmmem_update_commit(update));
	vmmem_update_free(update);
}

static void
ready_space(void)
{
	region = file_region(AT(1));
	other = owned_region(AT(2));
	assert_ok(vmmem_space_insert(space, region));
	assert_ok(vmmem_space_insert(space, other));
	region = vmmem_region_unref(region);
	other = vmmem_region_unref(other);
}

static void
remove_from_space(void)
{
	note(vmmem_space_remove(space, AT(1), LEN, NULL));
	note(vmmem_space_remove(space, AT(2), LEN, NULL));
	note(vmmem_space_synchronize(space, 0));
}

static void
listen(void)
{
	note(vmmem_listener_new(space, &ops, NULL, NULL, &listener));
	note(vmmem_space_insert(space, region));
	note(vmmem_space_remove(space, AT(1), LEN, NULL));
	vmmem_listener_free(listener);
	region = vmmem_region_unref(region);
}

static int
discard_custom(void *opaque, uint64_t offset, uint64_t len)
{
	(void)opaque;
	(void)offset;
	(void)len;
	ending();
	return 0;
}

static int
read_custom(void *opaque, uint64_t offset, void *buf, size_t len,
	    const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	(void)offset;
	memset(buf, 0, len);
	return 0;
}

static int
write_custom(void *opaque, uint64_t offset, const void *buf, size_t len,
	     const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	(void)offset;
	(void)buf;
	(void)len;
	return 0;
}

static void
ready_custom(void)
{
	const struct vmmem_region_ops custom = { .size = sizeof(custom),
						 .read = read_custom,
						 .write = write_custom,
						 .discard = discard_custom };

	assert_ok(vmmem_region_new_custom(AT(1), LEN, &custom, NULL, &region));
	assert_ok(vmmem_space_insert(space, region));
	region = vmmem_region_unref(region);
}

static void
discard_in_space(void)
{
	note(vmmem_space_discard(space, AT(1), LEN, 0, NULL));
	note(vmmem_space_remove(space, AT(1), LEN, NULL));
}

/* Private memory of a file, under its lock; parts of pages, and looking. */
static void
ready_private(void)
{
	struct vmmem_region_builder *one = vmmem_region_builder_new();

	vmmem_region_builder_set_range(one, AT(1), LEN);
	vmmem_region_builder_set_file(one, file, 0, VMMEM_FILE_PRIVATE);
	assert_ok(vmmem_region_builder_build(one, &region));
	vmmem_region_builder_free(one);
	assert_ok(vmmem_region_new_memfd(AT(2), LEN, &other));
	assert_ok(vmmem_collection_new(&other, 1, &map));
}

static void
discard_and_save(void)
{
	uint64_t offset, len;

	note(vmmem_region_discard(region, 100, LEN / 2, 0, NULL));
	note(vmmem_region_discard(other, 100, LEN / 2, 0, NULL));
	note(vmmem_region_next_populated(region, 0, LEN, &offset, &len));
	note(vmmem_collection_to_fd(map, AT(2), LEN, file, 0,
				    VMMEM_IO_SPARSE | VMMEM_IO_NO_SIGNAL,
				    NULL));
	note(vmmem_collection_from_fd(map, AT(2), LEN, file, 0,
				      VMMEM_IO_SPARSE, NULL));
	map = vmmem_collection_unref(map);
	other = vmmem_region_unref(other);
	region = vmmem_region_unref(region);
}

/* The signal is taken back, which could end a thread. */
static void
ready_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = LEN;
	setrlimit(RLIMIT_FSIZE, &limit);
}

static void
pass_limit(void)
{
	note(vmmem_region_new_memfd(0, 2 * LEN, &region) != -EFBIG);
}

static void
done_limit(void)
{
	struct rlimit limit;
	sigset_t mask;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_FSIZE, &limit);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	note(sigismember(&mask, SIGXFSZ) != 0);
}

static struct vmmem_iommu *iommu;

static void
ready_iommu(void)
{
	const struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.destroy = release,
		.flags = VMMEM_IOMMU_QUEUE_MISSES,
	};
	struct vmmem_iotlb *iotlb;

	assert_ok(vmmem_iotlb_new(NULL, &iotlb));
	assert_ok(vmmem_iommu_new(iotlb, &options, &iommu));
	vmmem_iotlb_unref(iotlb);
}

static void
drop_iommu(void)
{
	iommu = vmmem_iommu_unref(iommu);
}

static struct vmmem_slot_table *slots;

static void
ready_slots(void)
{
	const struct vmmem_slot_table_options options = {
		.size = sizeof(options),
		.destroy = release,
	};

	assert_ok(vmmem_slot_table_new(&options, &slots));
	region = owned_region(AT(1));
	assert_ok(vmmem_slot_table_exclude(slots, region));
	region = vmmem_region_unref(region);
}

static void
drop_slots(void)
{
	slots = vmmem_slot_table_free(slots);
	/* What the note had was the last reference, and then the table's. */
	note(called != 2);
}

static int
describe(void *opaque, const struct vmmem_region *of, struct vmmem_slot *slot)
{
	(void)opaque;
	(void)of;
	(void)slot;
	ending();
	return 0;
}

static int system_fd, vm_fd;

static void
ready_kvm(void)
{
	ready_region();
	vm_fd = -1;
	system_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (system_fd >= 0)
		vm_fd = ioctl(system_fd, KVM_CREATE_VM, 0);
}

/* The program is called back with kvm's own lock. */
static void
with_kvm(void)
{
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .describe = describe };
	struct vmmem_kvm *kvm;

	if (vm_fd >= 0) {
		note(vmmem_kvm_new(space, vm_fd, &options, &kvm));
		note(vmmem_space_insert(space, region));
		note(vmmem_space_remove(space, AT(1), LEN, NULL));
		note(vmmem_kvm_stop(kvm));
		vmmem_kvm_free(kvm);
	} else {
		called++;
	}
}

static void
done_kvm(void)
{
	if (vm_fd >= 0)
		close(vm_fd);
	if (system_fd >= 0)
		close(system_fd);
	region = vmmem_region_unref(region);
}

static void
nothing(void)
{
}

static const struct {
	void (*ready)(void);
	void (*run)(void);
	void (*done)(void);
	unsigned int least; /* times that the program is called back */
} cases[] = {
	{ ready_region, drop_region, nothing, 0 },
	{ ready_map, drop_map, nothing, 2 },
	{ ready_bitmap, drop_bitmap, nothing, 1 },
	{ ready_policy, build, nothing, 1 },
	{ ready_region, ask_residency, nothing, 0 },
	{ ready_update, remove_in_update, nothing, 0 },
	{ ready_other, insert_in_update, nothing, 0 },
	{ ready_update, replace_in_update, nothing, 0 },
	{ ready_space, remove_from_space, nothing, 1 },
	{ ready_region, listen, nothing, 12 },
	{ ready_custom, discard_in_space, nothing, 1 },
	{ ready_private, discard_and_save, nothing, 0 },
	{ ready_limit, pass_limit, done_limit, 0 },
	{ ready_kvm, with_kvm, done_kvm, 1 },
	{ ready_iommu, drop_iommu, nothing, 1 },
	{ ready_slots, drop_slots, nothing, 2 },
};

/* ---- the thread --------------------------------------------------------- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
void __asan_handle_no_return(void);
#else
#define __asan_handle_no_return() ((void)0)
#endif

/*
 * The sanitizer is not told of the frames that are left where a thread ends,
 * and takes what comes to stand there for a mistake.
 */
static void
frames_are_left(void *opaque)
{
	(void)opaque;
	__asan_handle_no_return();
}

static void *
run(void *opaque)
{
	const size_t *which = opaque;
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	cases[*which].ready();
	pthread_cleanup_push(frames_are_left, NULL);
	pthread_cancel(pthread_self());
	called = 0;
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
	cases[*which].run();
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	cases[*which].done();
	finished = true;
	/* Nor was it left off. */
	pthread_setcancelstate(state, &state);
	pthread_testcancel();
	pthread_cleanup_pop(0);
	return NULL;
}

static void
expect_writer(void)
{
	struct vmmem_region *more = file_region(AT(9));

	assert_ok(vmmem_space_insert(space, more));
	assert_ok(vmmem_space_remove(space, AT(9), LEN, NULL));
	vmmem_region_unref(more);
}

static void
setup(void)
{
	struct vmmem_collection *empty = NULL;

	file = memfd_create("cancel", MFD_CLOEXEC);
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(ftruncate(file, (off_t)LEN), 0);
	assert_ok(vmmem_collection_new_empty(&empty));
	assert_ok(vmmem_space_new(empty, NULL, &space));
	vmmem_collection_unref(empty);
	finished = false;
}

static void
teardown(void)
{
	vmmem_space_unref(space);
	close(file);
}

START_TEST(goes_on)
{
	size_t which = (size_t)_i, files = open_files();
	pthread_t thread;
	void *result;

	ck_assert_int_eq(pthread_create(&thread, NULL, run, &which), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert(finished);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	assert_ok(failed);
	ck_assert_uint_ge(called, cases[which].least);
	/* No lock was taken along, and nothing is left. */
	expect_writer();
	ck_assert_uint_eq(open_files(), files);
}
END_TEST

static void *
synchronize(void *opaque)
{
	(void)opaque;
	pthread_cleanup_push(frames_are_left, NULL);
	/* For ever, as a reader stays where it is. */
	note(vmmem_space_synchronize(space, VMMEM_FOREVER));
	pthread_cleanup_pop(0);
	return NULL;
}

/* Who waits for readers may be ended, and holds nothing. */
START_TEST(who_waits_ends)
{
	struct vmmem_reader *reader = NULL;
	pthread_t thread;
	void *result;

	assert_ok(vmmem_reader_new(space, NULL, &reader));
	vmmem_reader_enter(reader);
	expect_writer();
	ck_assert_int_eq(pthread_create(&thread, NULL, synchronize, NULL), 0);
	ck_assert_int_eq(pthread_cancel(thread), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	vmmem_reader_leave(reader);
	vmmem_reader_free(reader);
	expect_writer();
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("cancel");
	TCase *tcase = tcase_create("cancel");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, goes_on, 0, (int)ARRAY_LEN(cases));
	tcase_add_test(tcase, who_waits_ends);
	suite_add_tcase(suite, tcase);
	return suite;
}
