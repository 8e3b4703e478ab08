/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The end of a kvm object.  KVM may refuse to delete a slot.  As long as it has
 * the slot, the guest can reach the memory of it, so the memory must stay
 * mapped.  vmmem_kvm_stop() says so to the caller.  vmmem_kvm_free() cannot:
 * what it could not delete is kept in a list, and other calls try again.
 */
#include <vmmem/error.h>
#include <vmmem/kvm.h>
#include <vmmem/update.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/api.h"
#include "kvm/kvm_priv.h"

/* The objects that were freed and could not end yet. */
static struct vmmem_kvm *remains;

void
vmmem_kvm_destroy(struct vmmem_kvm *kvm)
{
	vmmem_kvm_drop_rings(kvm);
	vmmem_collection_unref(kvm->map);
	vmmem_collection_unref(kvm->empty);
	/*
	 * Slots that could not be deleted keep their regions for ever.  If the
	 * memory were unmapped, the machine would see the next mapping there.
	 */
	if (vmmem_slot_table_count(kvm->slots) == 0 || vmmem_kvm_is_child(kvm))
		vmmem_slot_table_free(kvm->slots);
	free(kvm->region_starts);
	free(kvm->words);
	/* A thread that a child does not have may hold its lock. */
	if (!vmmem_kvm_is_child(kvm))
		pthread_mutex_destroy(&kvm->lock);
	free(kvm);
}

void
vmmem_kvm_listener_gone(void *opaque)
{
	struct vmmem_kvm *kvm = opaque;

	/*
	 * Freed in a callback, on this thread: the end had only to wait for
	 * this.
	 */
	if (kvm->freed) {
		vmmem_kvm_destroy(kvm);
		return;
	}
	/*
	 * Release: the thread that frees the object sees all that callbacks
	 * have done to it.  From here on it may be freed.
	 */
	__atomic_store_n(&kvm->follows, false, __ATOMIC_RELEASE);
}

/*
 * leave_space() ends the listener.  In a callback of the space the writer still
 * holds it until all listeners were told; then the object has to stay.  In a
 * child this calls no KVM.
 */
static bool
leave_space(struct vmmem_kvm *kvm)
{
	kvm->listener = vmmem_listener_free(kvm->listener);
	kvm->space = NULL;
	/* Acquire: see vmmem_kvm_listener_gone(). */
	return !__atomic_load_n(&kvm->follows, __ATOMIC_ACQUIRE);
}

/* in_callback() tells whether this thread is in a callback of the space. */
static bool
in_callback(const struct vmmem_kvm *kvm)
{
	struct vmmem_update *update = NULL;
	int rc;

	if (kvm->space == NULL)
		return false;
	/* Another thread's update is no obstacle: then the time is over. */
	rc = vmmem_update_new(kvm->space, 0, &update);
	vmmem_update_free(update);
	return rc == VMMEM_ESELFWAIT;
}

/* let_go() deletes all slots that KVM lets it delete.  Under the lock. */
static int
let_go(struct vmmem_kvm *kvm)
{
	vmmem_kvm_set_map(kvm, kvm->empty);
	return vmmem_slot_table_count(kvm->slots) != 0 || kvm->pending ?
		       vmmem_kvm_settle(kvm) :
		       0;
}

/* set_closing() makes the listener drop slots, whatever KVM says. */
static void
set_closing(struct vmmem_kvm *kvm)
{
	if (vmmem_kvm_lock(kvm) != 0)
		return;
	kvm->closing = true;
	vmmem_kvm_unlock(kvm);
}

VMMEM_API int
vmmem_kvm_stop(struct vmmem_kvm *kvm)
{
	int rc;

	if (kvm == NULL)
		return VMMEM_EARGUMENT;
	if (in_callback(kvm))
		return VMMEM_ESELFWAIT;
	set_closing(kvm);
	(void)leave_space(kvm);
	/* In a child there is nothing more to stop. */
	if (vmmem_kvm_lock(kvm) != 0)
		return 0;
	rc = let_go(kvm);
	vmmem_kvm_unlock(kvm);
	vmmem_kvm_retry();
	return rc;
}

/* keep() puts objects into the list. */
static void
keep(struct vmmem_kvm *first, struct vmmem_kvm *last)
{
	/*
	 * Relaxed: compare-exchange below finds out whether it is still so.
	 * Other threads put objects in, or take all of them out.
	 */
	struct vmmem_kvm *head = __atomic_load_n(&remains, __ATOMIC_RELAXED);

	do
		last->next = head;
	/*
	 * Release: the thread that takes the list out finds the objects whole.
	 * An object that comes back to the head meanwhile does no harm, as
	 * nobody takes out a single one.
	 */
	while (!__atomic_compare_exchange_n(&remains, &head, first, true,
					    __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED));
}

/* end() tries to end an object that was freed. */
static bool
end(struct vmmem_kvm *kvm)
{
	bool done;

	done = leave_space(kvm);
	if (vmmem_kvm_lock(kvm) == 0) {
		done = let_go(kvm) == 0 && done;
		vmmem_kvm_unlock(kvm);
	}
	if (done) {
		close(kvm->fd);
		vmmem_kvm_destroy(kvm);
	}
	return done;
}

void
vmmem_kvm_retry(void)
{
	struct vmmem_kvm *kvm, *next;
	int cancel;

	/* Relaxed: usually there is none, and the exchange looks again. */
	if (__atomic_load_n(&remains, __ATOMIC_RELAXED) == NULL)
		return;
	/* A thread that ended in close(2) would take the rest along. */
	cancel = vmmem_cancel_off();
	/* Acquire: the threads that put objects in have finished with them. */
	kvm = __atomic_exchange_n(&remains, NULL, __ATOMIC_ACQUIRE);
	for (; kvm != NULL; kvm = next) {
		next = kvm->next;
		if (!end(kvm))
			keep(kvm, kvm);
	}
	vmmem_cancel_back(cancel);
}

VMMEM_API struct vmmem_kvm *
vmmem_kvm_free(struct vmmem_kvm *kvm)
{
	bool alone, empty = true;
	int cancel;

	if (kvm == NULL)
		return NULL;
	cancel = vmmem_cancel_off();
	set_closing(kvm);
	alone = leave_space(kvm);
	if (vmmem_kvm_lock(kvm) == 0) {
		empty = let_go(kvm) == 0;
		vmmem_kvm_unlock(kvm);
	}
	vmmem_kvm_retry();
	/* From here on no callback runs: nothing is logged or described. */
	vmmem_kvm_drop_rings(kvm);
	if (kvm->options.destroy != NULL)
		kvm->options.destroy(kvm->options.opaque);
	if (empty && alone) {
		vmmem_kvm_destroy(kvm);
	} else if (empty) {
		/* The writer, which is this thread, ends the listener later. */
		kvm->freed = true;
	} else {
		/*
		 * The caller may close its descriptor now.  Without one of our
		 * own there is no way left to delete the slots, and their
		 * memory stays mapped.
		 */
		kvm->fd = fcntl(kvm->fd, F_DUPFD_CLOEXEC, 0);
		keep(kvm, kvm);
	}
	vmmem_cancel_back(cancel);
	return NULL;
}
