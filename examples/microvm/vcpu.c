/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The vCPU's thread, and the one-place queue of exits that it leaves. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "machine.h"

struct vcpu {
	struct machine *machine;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool full;
	struct vcpu_exit exit; /* if full */
	bool interrupted;
};

/* Nothing: that it comes is what ends a system call. */
static void
on_kick(int signal)
{
	(void)signal;
}

static void *
vcpu_main(void *opaque)
{
	struct vcpu *vcpu = opaque;
	struct vcpu_exit exit;

	do {
		vcpu->machine->ops->run(vcpu->machine, &exit);
		pthread_mutex_lock(&vcpu->lock);
		if (exit.kind == EXIT_INTERRUPTED) {
			/* Nothing to hand over: whoever asked waits. */
			vcpu->interrupted = true;
			pthread_cond_broadcast(&vcpu->changed);
			pthread_mutex_unlock(&vcpu->lock);
			return NULL;
		}
		while (vcpu->full)
			pthread_cond_wait(&vcpu->changed, &vcpu->lock);
		vcpu->exit = exit;
		vcpu->full = true;
		pthread_cond_broadcast(&vcpu->changed);
		pthread_mutex_unlock(&vcpu->lock);
	} while (exit.kind != EXIT_HALT && exit.kind != EXIT_ERROR);
	return NULL;
}

struct vcpu *
vcpu_start(struct machine *machine)
{
	const struct sigaction kick = { .sa_handler = on_kick };
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));

	if (vcpu == NULL)
		return NULL;
	sigaction(SIGUSR1, &kick, NULL);
	vcpu->machine = machine;
	pthread_mutex_init(&vcpu->lock, NULL);
	pthread_cond_init(&vcpu->changed, NULL);
	if (pthread_create(&vcpu->thread, NULL, vcpu_main, vcpu) != 0) {
		free(vcpu);
		return NULL;
	}
	return vcpu;
}

void
vcpu_take_exit(struct vcpu *vcpu, struct vcpu_exit *ret_exit)
{
	pthread_mutex_lock(&vcpu->lock);
	while (!vcpu->full)
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	*ret_exit = vcpu->exit;
	vcpu->full = false;
	pthread_cond_broadcast(&vcpu->changed);
	pthread_mutex_unlock(&vcpu->lock);
}

bool
vcpu_has_exit(struct vcpu *vcpu)
{
	bool full;

	pthread_mutex_lock(&vcpu->lock);
	full = vcpu->full;
	pthread_mutex_unlock(&vcpu->lock);
	return full;
}

bool
vcpu_stop(struct vcpu *vcpu)
{
	bool interrupted;

	/* In this order: a signal that comes too early is no loss. */
	vcpu->machine->ops->interrupt(vcpu->machine);
	pthread_kill(vcpu->thread, SIGUSR1);
	pthread_mutex_lock(&vcpu->lock);
	while (!vcpu->interrupted && !vcpu->full)
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	interrupted = vcpu->interrupted;
	pthread_mutex_unlock(&vcpu->lock);
	if (interrupted)
		vcpu_join(vcpu);
	return interrupted;
}

void
vcpu_join(struct vcpu *vcpu)
{
	pthread_join(vcpu->thread, NULL);
	pthread_cond_destroy(&vcpu->changed);
	pthread_mutex_destroy(&vcpu->lock);
	free(vcpu);
}
