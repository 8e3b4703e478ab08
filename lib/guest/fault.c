/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The handler that makes an access come back where it cannot go on.  What it
 * looks at is constant, or atomic: it takes no lock and allocates nothing.
 */
#include <vmmem/error.h>
#include <vmmem/fault.h>
#include <vmmem/slice.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/api.h"
#include "guest/fault.h"
#include "guest/fault_log.h"
#include "guest/guest_access.h"

#define SIGNALS 2
static const int signal_numbers[SIGNALS] = { SIGBUS, SIGSEGV };
#define SIGNALS_KNOWN (VMMEM_FAULT_SIGNAL_BUS | VMMEM_FAULT_SIGNAL_SEGV)

/* Of the kernel's signal set, which is shorter than the C library's. */
#define MASK_SIZE sizeof(uint64_t)

#ifndef SEGV_PKUERR
#define SEGV_PKUERR 4
#endif

/*
 * What was there before.  A handler may read while enable or disable changes
 * it: of two copies one is written while the other is read, and the number of
 * changes tells which is good (see previous_of()).
 */
struct previous {
	_Atomic uintptr_t handler;
	atomic_int flags;
	_Atomic uint64_t mask;
};

/*
 * A handler of ours that was installed, and what it stands on.  There are
 * several because somebody may install another on top, which goes on to call
 * ours: if ours came on top again, with that one below, the two would call
 * each other for ever.  So a new one comes on top then.
 */
#define LAYERS 8
struct layer {
	atomic_uint changes;
	struct previous previous[2];
	/*
	 * The change whose handler was for once only (SA_RESETHAND), and ran.
	 */
	atomic_uint spent;
	/* Under the lock. */
	bool used;
	struct sigaction action;
};

static struct layer layers[LAYERS][SIGNALS];

/* For enable and disable; never for a handler. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int enabled[SIGNALS];

/* Whether faults are caught: 'enabled', for the handler. */
static atomic_bool catching[SIGNALS];

#ifdef VMMEM_GUEST_WAYS_OUT

/* The linker puts these around the table that guest_access.h fills. */
extern const struct vmmem_guest_way_out ways_out[] __asm__(
	"__start_" VMMEM_GUEST_TABLE)
	__attribute__((__visibility__("hidden")));
extern const struct vmmem_guest_way_out ways_out_end[] __asm__(
	"__stop_" VMMEM_GUEST_TABLE)
	__attribute__((__visibility__("hidden")));

/* gcc forgets that of what it knows by another name, and lld exports them. */
__asm__(".hidden __start_" VMMEM_GUEST_TABLE "\n"
	".hidden __stop_" VMMEM_GUEST_TABLE "\n");

/*
 * A way out of no instruction: a program to which nothing is linked that could
 * fault has a table, too.
 */
__asm__(VMMEM_GUEST_IN_TABLE
	".balign 4\n"
	".long 0\n"
	".long 0\n"
	".popsection\n");

#if defined(__x86_64__)
#define PC(context) ((context)->uc_mcontext.gregs[REG_RIP])
#elif defined(__aarch64__)
#define PC(context) ((context)->uc_mcontext.pc)
#else
#define PC(context) ((context)->uc_mcontext.__gregs[REG_PC])
#endif

/* take_way_out() goes on elsewhere if the instruction is one of ours. */
static bool
take_way_out(ucontext_t *context)
{
	const uintptr_t pc = (uintptr_t)PC(context);
	const struct vmmem_guest_way_out *way;

	/* A few hundred: a fault costs more than looking at all of them. */
	for (way = ways_out; way != ways_out_end; way++) {
		if ((uintptr_t)&way->instruction +
			    (uintptr_t)(intptr_t)way->instruction !=
		    pc)
			continue;
		PC(context) = (__typeof__(PC(context)))(
			(uintptr_t)&way->target +
			(uintptr_t)(intptr_t)way->target);
		return true;
	}
	return false;
}

bool
vmmem_fault_has_table(void)
{
	const struct vmmem_guest_way_out *way = ways_out;
	bool own = false, others = false;

	/* The compiler thinks that the table has an entry; it may have none. */
	__asm__("" : "+r"(way));
	for (; way != ways_out_end; way++) {
		if (way->instruction == 0)
			own = true;
		else
			others = true;
	}
#ifdef VMMEM_NO_RETAIN
	return own && others;
#else
	(void)others;
	return own;
#endif
}

#else

bool
vmmem_fault_has_table(void)
{
	return false;
}

static bool
take_way_out(ucontext_t *context)
{
	(void)context;
	return false;
}
#endif

/*
 * kind_of() tells what an instruction has met; VMMEM_FAULT_KIND_NONE if it is
 * none of our affair, or if no instruction has met anything: somebody has sent
 * the signal.
 */
static uint32_t
kind_of(const siginfo_t *info)
{
	if (info->si_signo == SIGBUS) {
		switch (info->si_code) {
		case BUS_ADRERR:
		case BUS_OBJERR:
			return VMMEM_FAULT_KIND_BACKING;
		case BUS_MCEERR_AR:
			return VMMEM_FAULT_KIND_POISON;
		default:
			return VMMEM_FAULT_KIND_NONE;
		}
	}
	switch (info->si_code) {
	case SEGV_MAPERR:
		return VMMEM_FAULT_KIND_UNMAPPED;
	case SEGV_ACCERR:
	case SEGV_PKUERR:
		return VMMEM_FAULT_KIND_DENIED;
	default:
		return VMMEM_FAULT_KIND_NONE;
	}
}

/* is_ahead() tells whether memory was lost that nobody has touched. */
static bool
is_ahead(const siginfo_t *info)
{
	return info->si_signo == SIGBUS && info->si_code == BUS_MCEERR_AO;
}

/* lost() is how many bytes were lost with the one at the address. */
static uint64_t
lost(const siginfo_t *info)
{
	unsigned int bits = (unsigned int)info->si_addr_lsb;

	return bits < 64 ? UINT64_C(1) << bits : 1;
}

/* die() does what the system does if there is no handler. */
static void
die(int number, siginfo_t *info)
{
	struct sigaction action;
	long pid = getpid(), thread = gettid();
	int saved = errno;

	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_DFL;
	sigaction(number, &action, NULL);
	/*
	 * All signals are blocked here.  The one that is sent comes when this
	 * returns, to where it came first, with the same to say, and kills.
	 * Just to return would be to try the instruction again, and that may
	 * succeed this time.
	 */
	if (syscall(SYS_rt_tgsigqueueinfo, pid, thread, number, info) < 0)
		syscall(SYS_tgkill, pid, thread, number);
	errno = saved;
}

struct handler {
	uintptr_t function;
	int flags;
	uint64_t mask;
};

/* previous_of() copies what a layer stands on. */
static void
previous_of(struct layer *layer, struct handler *ret_handler)
{
	const struct previous *previous;
	unsigned int now, then;

	/* Acquire: what that change has written. */
	now = atomic_load_explicit(&layer->changes, memory_order_acquire);
	do {
		then = now;
		previous = &layer->previous[then % 2];
		/*
		 * Acquire: before the number is looked at again.  It differs
		 * if this copy may have been written meanwhile.
		 */
		ret_handler->function = atomic_load_explicit(
			&previous->handler, memory_order_acquire);
		ret_handler->flags = atomic_load_explicit(
			&previous->flags, memory_order_acquire);
		ret_handler->mask = atomic_load_explicit(
			&previous->mask, memory_order_acquire);
		now = atomic_load_explicit(&layer->changes,
					   memory_order_acquire);
	} while (now != then);

	/*
	 * What is ignored is not used up.  Relaxed: of all threads that come
	 * here for one change, one finds another number than its own.
	 */
	if ((ret_handler->flags & (int)SA_RESETHAND) != 0 &&
	    ret_handler->function != (uintptr_t)SIG_IGN &&
	    atomic_exchange_explicit(&layer->spent, then,
				     memory_order_relaxed) == then)
		ret_handler->function = (uintptr_t)SIG_DFL;
}

/*
 * pass_on() does what would have been done without the library, except that a
 * process need not die of memory of which a region 'knows' that it was lost.
 */
static void
pass_on(struct layer *layer, int number, siginfo_t *info, ucontext_t *context,
	bool knows)
{
	struct handler handler;
	uint64_t mask;

	previous_of(layer, &handler);
	/*
	 * The kernel lets a process ignore a signal that was sent, and no
	 * fault; and it sends a signal to say what was lost.
	 */
	if (handler.function == (uintptr_t)SIG_IGN &&
	    (info->si_code <= 0 || is_ahead(info)))
		return;
	if (handler.function == (uintptr_t)SIG_IGN ||
	    handler.function == (uintptr_t)SIG_DFL) {
		if (!knows)
			die(number, info);
		return;
	}
	/* The signals that the kernel would have blocked. */
	memcpy(&mask, &context->uc_sigmask, sizeof(mask));
	mask |= handler.mask;
	if ((handler.flags & SA_NODEFER) == 0)
		mask |= UINT64_C(1) << (number - 1);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, MASK_SIZE);
	if ((handler.flags & SA_SIGINFO) != 0)
		((void (*)(int, siginfo_t *, void *))handler.function)(
			number, info, context);
	else
		((void (*)(int))handler.function)(number);
}

static void
handle(unsigned int which, int number, siginfo_t *info, void *context)
{
	unsigned int index = number == SIGBUS ? 0 : 1;
	uintptr_t address = (uintptr_t)info->si_addr;
	bool knows = false;
	uint32_t kind;

	/* Relaxed: disabling does not wait for faults under way. */
	if (atomic_load_explicit(&catching[index], memory_order_relaxed)) {
		kind = kind_of(info);
		if (kind != VMMEM_FAULT_KIND_NONE && take_way_out(context)) {
			vmmem_fault_log_add(address, 1, kind);
			return;
		}
		if (is_ahead(info))
			knows = vmmem_fault_log_add(
				address, lost(info),
				VMMEM_FAULT_KIND_POISON_AHEAD);
	}
	pass_on(&layers[which][index], number, info, context, knows);
}

#define HANDLER(which)                                                     \
	static void handler_##which(int number, siginfo_t *info,           \
				    void *context)                         \
	{                                                                  \
		handle(which, number, info, context);                      \
	}

HANDLER(0)
HANDLER(1)
HANDLER(2)
HANDLER(3)
HANDLER(4)
HANDLER(5)
HANDLER(6)
HANDLER(7)

static void (*const handlers[LAYERS])(int, siginfo_t *, void *) = {
	handler_0, handler_1, handler_2, handler_3,
	handler_4, handler_5, handler_6, handler_7,
};

/* layer_of() returns which of our handlers 'action' is; LAYERS if none. */
static unsigned int
layer_of(const struct sigaction *action)
{
	unsigned int which;

	for (which = 0; which < LAYERS; which++) {
		if ((action->sa_flags & SA_SIGINFO) != 0 &&
		    action->sa_sigaction == handlers[which])
			break;
	}
	return which;
}

/* stand_on() says what comes below a layer.  Under the lock. */
static void
stand_on(struct layer *layer, const struct sigaction *action)
{
	struct previous *previous;
	unsigned int change;
	uint64_t mask;

	layer->action = *action;
	memcpy(&mask, &action->sa_mask, sizeof(mask));
	/* Relaxed: only changed under the lock. */
	change = atomic_load_explicit(&layer->changes, memory_order_relaxed);
	previous = &layer->previous[(change + 1) % 2];
	/* Release: a thread that sees one sees the change before it. */
	atomic_store_explicit(&previous->handler,
			      (action->sa_flags & SA_SIGINFO) != 0 ?
				      (uintptr_t)action->sa_sigaction :
				      (uintptr_t)action->sa_handler,
			      memory_order_release);
	atomic_store_explicit(&previous->flags, action->sa_flags,
			      memory_order_release);
	atomic_store_explicit(&previous->mask, mask, memory_order_release);
	atomic_store_explicit(&layer->changes, change + 1,
			      memory_order_release);
}

static bool
is_function(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) != 0 ||
	       (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

/* put_on_top() sees to it that a handler of ours is the first to be called. */
static int
put_on_top(unsigned int index)
{
	struct sigaction now, was, ours;
	struct layer *layer;
	unsigned int which;

	if (sigaction(signal_numbers[index], NULL, &now) != 0)
		return -errno;
	if (layer_of(&now) != LAYERS)
		return 0;
	for (which = 0; which < LAYERS && layers[which][index].used; which++)
		;
	if (which == LAYERS)
		return VMMEM_EHANDLERS;
	layer = &layers[which][index];

	/* Before it is installed, as it may be called at once. */
	stand_on(layer, &now);
	memset(&ours, 0, sizeof(ours));
	ours.sa_sigaction = handlers[which];
	/*
	 * No other handler comes in between: it could access guest memory, and
	 * our signal is blocked.  A handler that is called then gets its mask.
	 */
	sigfillset(&ours.sa_mask);
	/*
	 * On the stack that the other expects, and with system calls going on
	 * as it wants.  If there is no other, it is as if nothing happened.
	 */
	ours.sa_flags = is_function(&now) ?
				now.sa_flags & (SA_ONSTACK | SA_RESTART) :
				SA_ONSTACK | SA_RESTART;
	ours.sa_flags |= SA_SIGINFO;
	if (sigaction(signal_numbers[index], &ours, &was) != 0)
		return -errno;
	layer->used = true;
	/* Somebody else may have been about it. */
	if (layer_of(&was) == LAYERS)
		stand_on(layer, &was);
	return 0;
}

/* take_from_top() puts back what was there, if ours is what is there now. */
static int
take_from_top(unsigned int index)
{
	struct sigaction now;
	struct layer *layer;
	unsigned int which, change;

	if (sigaction(signal_numbers[index], NULL, &now) != 0)
		return -errno;
	which = layer_of(&now);
	/* Not ours: it may call ours, which stays below as it is. */
	if (which == LAYERS)
		return 0;
	layer = &layers[which][index];
	now = layer->action;
	/* Relaxed, both: as above; and a handler that ran has long run. */
	change = atomic_load_explicit(&layer->changes, memory_order_relaxed);
	if ((now.sa_flags & (int)SA_RESETHAND) != 0 &&
	    atomic_load_explicit(&layer->spent, memory_order_relaxed) ==
		    change) {
		memset(&now, 0, sizeof(now));
		now.sa_handler = SIG_DFL;
	}
	if (sigaction(signal_numbers[index], &now, NULL) != 0)
		return -errno;
	layer->used = false;
	return 0;
}

static int
enable(unsigned int index)
{
	int rc;

	rc = put_on_top(index);
	if (rc != 0)
		return rc;
	enabled[index]++;
	/* Relaxed: the caller tells the threads that rely on it. */
	atomic_store_explicit(&catching[index], true, memory_order_relaxed);
	/* Relaxed: a slice that another thread makes meanwhile may lack it. */
	__atomic_store_n(&vmmem_fault_call, VMMEM_SLICE_CALL,
			 __ATOMIC_RELAXED);
	return 0;
}

static int
disable(unsigned int index)
{
	int rc = 0;

	if (enabled[index] == 1) {
		rc = take_from_top(index);
		if (rc != 0)
			return rc;
		/* Relaxed: as above. */
		atomic_store_explicit(&catching[index], false,
				      memory_order_relaxed);
	}
	enabled[index]--;
	/* Relaxed: a slice that has it needlessly is slower, and no more. */
	if (enabled[0] == 0 && enabled[1] == 0)
		__atomic_store_n(&vmmem_fault_call, 0, __ATOMIC_RELAXED);
	return 0;
}

VMMEM_API int
vmmem_fault_enable(uint32_t signals)
{
	unsigned int index;
	int rc = 0;

	if (signals == 0 || (signals & ~SIGNALS_KNOWN) != 0)
		return VMMEM_EARGUMENT;
	if (!vmmem_fault_has_table())
		return VMMEM_ENOSUPPORT;
	pthread_mutex_lock(&lock);
	for (index = 0; index < SIGNALS && rc == 0; index++) {
		if ((signals & 1U << index) != 0)
			rc = enable(index);
	}
	/* Only the second can fail after the first did not. */
	if (rc != 0 && index == SIGNALS && signals == SIGNALS_KNOWN)
		disable(0);
	pthread_mutex_unlock(&lock);
	return rc;
}

VMMEM_API int
vmmem_fault_disable(uint32_t signals)
{
	unsigned int index;
	int rc = 0;

	if (signals == 0 || (signals & ~SIGNALS_KNOWN) != 0)
		return VMMEM_EARGUMENT;
	pthread_mutex_lock(&lock);
	for (index = 0; index < SIGNALS; index++) {
		if ((signals & 1U << index) != 0 && enabled[index] == 0)
			rc = VMMEM_EARGUMENT;
	}
	for (index = 0; index < SIGNALS && rc == 0; index++) {
		if ((signals & 1U << index) != 0)
			rc = disable(index);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}
