/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The vCPU's thread, and the one-place queue of exits that it leaves. */
#include <pthread.h>
#include <stdlib.h>

#include "machine.h"

struct vcpu {
	struct machine *machine;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool full;
	struct vcpu_exit exit; /* if full */
};

static void *
vcpu_main(void *opaque)
{
	struct vcpu *vcpu = opaque;
	struct vcpu_exit exit;

	do {
		vcpu->machine->ops->run(vcpu->machine, &exit);
		pthread_mutex_lock(&vcpu->lock);
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
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));

	if (vcpu == NULL)
		return NULL;
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

void
vcpu_join(struct vcpu *vcpu)
{
	pthread_join(vcpu->thread, NULL);
	pthread_cond_destroy(&vcpu->changed);
	pthread_mutex_destroy(&vcpu->lock);
	free(vcpu);
}
