/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Signals that are not the library's must be handled as if the library were not
 * there.  So each case is run twice, in a child without it and in one with it,
 * and what was seen is compared.
 */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guest.h"
#include "suite.h"

#define BOTH (VMMEM_FAULT_SIGNAL_BUS | VMMEM_FAULT_SIGNAL_SEGV)

const char *
skip_reason(void)
{
	if (vmmem_fault_enable(BOTH) == VMMEM_ENOSUPPORT)
		return "this processor or build cannot survive faults";
	vmmem_fault_disable(BOTH);
	return NULL;
}

/* What a child saw, for its parent. */
#define SEEN 4
struct seen {
	unsigned int calls;
	struct {
		int number, code, sent, error;
		uint64_t offset, mask;
		int on_stack, has_info;
	} call[SEEN];
	uint64_t mask_after;
	int errno_after;
	int flags_after;
	int same_after; /* the handler that is installed afterwards is ours */
	int done;
	int survived; /* guest accesses that came back with a code */
	int status;
};

static struct seen *seen;
static uint8_t *stack, *memory;
static sigjmp_buf out;
static int jumps, memory_file;

static void
must(int rc)
{
	if (rc != 0)
		_exit(93);
}

/* Takes the memory away, so that touching it raises the signal. */
static void
spoil(int number)
{
	if (number == SIGBUS)
		must(ftruncate(memory_file, 0));
	else
		must(mprotect(memory, page_size(), PROT_NONE));
}

static void
mend(void)
{
	must(ftruncate(memory_file, (off_t)page_size()));
	must(mprotect(memory, page_size(), PROT_READ | PROT_WRITE));
}

/* Everything that a handler can see of how it was called. */
static void
note(int number, const siginfo_t *info)
{
	unsigned int i = seen->calls++ % SEEN;
	uint8_t local;
	sigset_t mask;

	seen->call[i].error = errno;
	seen->call[i].number = number;
	seen->call[i].has_info = info != NULL;
	if (info != NULL) {
		seen->call[i].code = info->si_code;
		if (info->si_code > 0)
			seen->call[i].offset = (uint64_t)((uint8_t *)
					info->si_addr - memory);
		else
			seen->call[i].sent = info->si_value.sival_int;
	}
	sigprocmask(SIG_BLOCK, NULL, &mask);
	memcpy(&seen->call[i].mask, &mask, 8);
	seen->call[i].on_stack = &local >= stack && &local < stack + 65536;
	errno = EDOM;
	if (jumps)
		siglongjmp(out, 1);
	/* The instruction that faulted is tried again. */
	if (info != NULL && info->si_code > 0)
		mend();
}

static void
plain(int number)
{
	note(number, NULL);
	mend();
}

static void
with_info(int number, siginfo_t *info, void *context)
{
	/* The context is the real one, with the mask from before. */
	const ucontext_t *real = context;

	if (sigismember(&real->uc_sigmask, SIGUSR2) != 1)
		_exit(99);
	note(number, info);
}

enum cause { OWN_FAULT, RAISED, QUEUED, AHEAD, CAUSES };
enum kind { DEFAULT, IGNORED, PLAIN, INFO, KINDS };

struct setting {
	int number;
	enum kind kind;
	int flags;
	enum cause cause;
	int alternate; /* is there a stack for handlers */
	int jump;
	int twice;
};

static void
fake(int number, int code, void *address)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = number;
	info.si_code = code;
	info.si_addr = address;
	if (syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), number,
		    &info) != 0)
		_exit(98);
}

static void
trigger(const struct setting *setting)
{
	union sigval value = { .sival_int = 4711 };

	if (sigsetjmp(out, 1) != 0)
		return;
	errno = ERANGE;
	switch (setting->cause) {
	case OWN_FAULT:
		spoil(setting->number);
		((volatile uint8_t *)memory)[5] = 1;
		break;
	case RAISED:
		raise(setting->number);
		break;
	case QUEUED:
		sigqueue(getpid(), setting->number, value);
		break;
	default:
		fake(setting->number, BUS_MCEERR_AO, memory + 7);
		break;
	}
	seen->errno_after = errno;
}

static struct sigaction
action_of(const struct setting *setting)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_flags = setting->flags;
	sigaddset(&action.sa_mask, SIGUSR1);
	sigaddset(&action.sa_mask, SIGHUP);
	if (setting->kind == DEFAULT)
		action.sa_handler = SIG_DFL;
	else if (setting->kind == IGNORED)
		action.sa_handler = SIG_IGN;
	else if (setting->kind == PLAIN)
		action.sa_handler = plain;
	else
		action.sa_sigaction = with_info;
	if (setting->kind == INFO)
		action.sa_flags |= SA_SIGINFO;
	return action;
}

static int
is_same(const struct sigaction *a, const struct sigaction *b)
{
	/* The C library adds a flag of its own on some processors. */
	const int flags = (int)(SA_SIGINFO | SA_NODEFER | SA_RESETHAND |
				SA_ONSTACK | SA_RESTART);

	return a->sa_handler == b->sa_handler &&
	       (a->sa_flags & flags) == (b->sa_flags & flags) &&
	       memcmp(&a->sa_mask, &b->sa_mask, 8) == 0;
}

/* A region that was taken away; reading it must not be noticed by anybody. */
static void
use_library(void)
{
	struct vmmem_collection *map;
	struct vmmem_region *region;
	uint64_t value;
	void *host;

	host = mmap(NULL, page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (vmmem_region_new_external(0, page_size(), host, &region) != 0 ||
	    vmmem_collection_new(&region, 1, &map) != 0)
		_exit(97);
	vmmem_region_unref(region);
	if (vmmem_collection_read_u64(map, 8, &value) == VMMEM_EGONE)
		seen->survived++;
	vmmem_collection_unref(map);
}

static void
child(const struct setting *setting, int with)
{
	struct sigaction action = action_of(setting), now;
	const struct rlimit none = { 0, 0 };
	stack_t alternate = { .ss_sp = stack, .ss_size = 65536 };
	sigset_t mask;

	setrlimit(RLIMIT_CORE, &none);
	mend();
	if (!setting->alternate)
		alternate.ss_flags = SS_DISABLE;
	sigaltstack(&alternate, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	jumps = setting->jump;
	if (sigaction(setting->number, &action, NULL) != 0)
		_exit(96);
	if (with) {
		if (vmmem_fault_enable(BOTH) != 0)
			_exit(95);
		use_library();
	}
	trigger(setting);
	if (with)
		use_library();
	if (setting->twice)
		trigger(setting);
	if (with && vmmem_fault_disable(BOTH) != 0)
		_exit(94);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	memcpy(&seen->mask_after, &mask, 8);
	sigaction(setting->number, NULL, &now);
	/* What was for once only, and has run, is the default now. */
	seen->flags_after = now.sa_handler == SIG_DFL ? -1 : now.sa_flags;
	seen->same_after = is_same(&now, &action);
	seen->done = 1;
	_exit(0);
}

static struct seen
run(const struct setting *setting, int with)
{
	int status;
	pid_t pid;

	memset(seen, 0, sizeof(*seen));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		child(setting, with);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	seen->status = status;
	return *seen;
}

static void
compare(const struct setting *setting)
{
	struct seen without = run(setting, 0), with = run(setting, 1);

	if (WIFEXITED(with.status) && WEXITSTATUS(with.status) != 0)
		ck_abort_msg("the child ended with %d",
			     WEXITSTATUS(with.status));
	ck_assert_int_ge(with.survived, 1);
	with.survived = 0;
	if (memcmp(&without, &with, sizeof(with)) != 0)
		ck_abort_msg("signal %d, kind %d, flags %#x, cause %d, stack "
			     "%d, jump %d, twice %d: status %#x and %#x, "
			     "%u and %u calls, codes %d and %d, masks %#jx "
			     "and %#jx, on stack %d and %d, errno %d and %d, "
			     "after %d %d and %d %d, same %d and %d",
			     setting->number, setting->kind, setting->flags,
			     setting->cause, setting->alternate, setting->jump,
			     setting->twice, without.status, with.status,
			     without.calls, with.calls, without.call[0].code,
			     with.call[0].code,
			     (uintmax_t)without.call[0].mask,
			     (uintmax_t)with.call[0].mask,
			     without.call[0].on_stack, with.call[0].on_stack,
			     without.call[0].error, with.call[0].error,
			     without.errno_after, without.flags_after,
			     with.errno_after, with.flags_after,
			     without.same_after, with.same_after);
}

static void
setup(void)
{
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memory_file = file_of(page_size());
	memory = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED,
		      memory_file, 0);
}

/* Every kind of handler, with every flag, for every cause. */
START_TEST(as_if_not_there)
{
	static const int flags[] = {
		0, SA_NODEFER, SA_ONSTACK, (int)SA_RESETHAND,
		(int)SA_RESETHAND | SA_NODEFER, SA_RESTART | SA_ONSTACK,
	};
	struct setting setting = { .number = _i % 2 == 0 ? SIGBUS : SIGSEGV };
	size_t flag;

	setting.kind = (enum kind)(_i / 2);
	for (flag = 0; flag < ARRAY_LEN(flags); flag++) {
		setting.flags = flags[flag];
		for (setting.cause = 0; setting.cause < CAUSES;
		     setting.cause++) {
			/* There is no such thing. */
			if (setting.cause == AHEAD &&
			    setting.number == SIGSEGV)
				continue;
			setting.alternate = flag % 2 == 0;
			setting.twice = 1;
			setting.jump = 0;
			compare(&setting);
			setting.alternate = !setting.alternate;
			setting.jump = setting.kind >= PLAIN;
			compare(&setting);
		}
	}
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault compared");
	TCase *tcase = tcase_create("compared");

	tcase_set_timeout(tcase, 0);
	tcase_add_unchecked_fixture(tcase, setup, NULL);
	tcase_add_loop_test(tcase, as_if_not_there, 0, 2 * KINDS);
	suite_add_tcase(suite, tcase);
	return suite;
}
