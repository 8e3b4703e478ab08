/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * microvm - a small hypervisor whose guest memory is a libvmmem space.
 *
 * Where to look:
 *   main.c    options and verdict
 *   story.c   what happens, in order; begin reading here
 *   story_migration.c
 *             the chapter in which the guest moves to another machine, work.c
 *             what it should have computed meanwhile
 *   migrate.c how memory is moved under a running guest
 *   memory.c  the memory map: how regions, collections and spaces are made
 *   host.c    a machine's memory and vCPU together
 *   machine.h the vCPU as the host sees it; kvm.c and soft.c are the two
 *             kinds, vcpu.c the thread, i8086*.c the software CPU
 *   guest.S   the guest's program; guest.h its bytes
 *   layout.h  addresses and numbers that the guest and the host agree on
 *   screen*.c everything that is printed
 *
 * Exit status: 0 all is well, 1 a check failed, 2 wrong usage, 77 --kvm was
 * given and KVM cannot be used.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "machine.h"
#include "screen.h"
#include "story.h"

#define STATUS_USAGE 2
#define STATUS_NO_KVM 77

/* Nothing here takes a second; this is only so that a bug cannot hang us. */
#define WATCHDOG_SECONDS 60

static const char usage[] =
	"Usage: microvm [--kvm | --soft]\n"
	"Run a small guest whose memory is a libvmmem space, and migrate it.\n"
	"\n"
	"  --kvm   run the guest under KVM, or fail\n"
	"  --soft  run the guest in software\n"
	"  --help  show this text\n"
	"\n"
	"Without an option: under KVM if it can be used, else in software.\n";

static void
on_alarm(int signal)
{
	static const char text[] = "microvm: FAIL (no progress)\n";

	(void)signal;
	if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EXIT_FAILURE);
	_exit(EXIT_FAILURE);
}

/* Sets 'ret_reason' to why it is not KVM, "" if nothing need be said. */
static struct machine *
choose_machine(bool want_kvm, bool want_soft, char *ret_reason,
	       size_t reason_len)
{
	struct machine *machine;

	ret_reason[0] = '\0';
	if (want_soft)
		return soft_machine_new(ret_reason, reason_len);
	machine = kvm_machine_new(ret_reason, reason_len);
	if (machine != NULL || want_kvm)
		return machine;
	return soft_machine_new(ret_reason, reason_len);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "kvm", no_argument, NULL, 'k' },
		{ "soft", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	bool want_kvm = false, want_soft = false;
	struct machine *machine;
	const char *name;
	char reason[128];
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'k':
			want_kvm = true;
			break;
		case 's':
			want_soft = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			fputs(usage, stderr);
			return STATUS_USAGE;
		}
	}
	if (optind != argc || (want_kvm && want_soft)) {
		fputs(usage, stderr);
		return STATUS_USAGE;
	}

	screen_init();
	signal(SIGALRM, on_alarm);
	alarm(WATCHDOG_SECONDS);

	machine = choose_machine(want_kvm, want_soft, reason, sizeof(reason));
	if (machine == NULL) {
		printf("microvm: %s%s\n", want_kvm ? "no KVM: " : "", reason);
		return want_kvm ? STATUS_NO_KVM : EXIT_FAILURE;
	}
	printf("microvm: a 16-bit guest, its memory from libvmmem %s\n",
	       vmmem_version_string());
	if (want_soft)
		printf("vCPU: software, as asked for\n");
	else if (reason[0] != '\0')
		printf("vCPU: software, there is no KVM: %s\n", reason);
	else
		printf("vCPU: KVM\n");

	name = machine->ops->name;
	story_tell(machine);
	return screen_verdict(name);
}
