/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The misses of an iommu, for a program that asks for them instead of being
 * called.
 *
 * A question is on the stack of the access that waits.  Its item is in a queue
 * of a fixed size, until the program takes it: it outlives an access that does
 * not wait.  A question whose item was taken still keeps others from asking the
 * same.
 */
#ifndef IOMMU_QUEUE_H
#define IOMMU_QUEUE_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmmem_iommu_queue;

/* A miss, of an access or the program: all its bytes miss for one reason. */
struct vmmem_iommu_item {
	uint64_t iova;
	uint64_t len; /* never 0, and it does not wrap */
	uint32_t access;
	uint32_t reason;
};

/* All except 'item' is the queue's, and zero at first. */
struct vmmem_iommu_question {
	struct vmmem_iommu_item item;
	LIST_ENTRY(vmmem_iommu_question) link;
	/* The question that was asked in place of this one; or NULL. */
	const struct vmmem_iommu_question *behind;
	bool again; /* that one is gone, perhaps without an answer */
	int refused; /* the code, or 0 */
};

/* vmmem_iommu_queue_new() returns 0 or -errno. */
int vmmem_iommu_queue_new(size_t capacity,
			  struct vmmem_iommu_queue **ret_queue);
void vmmem_iommu_queue_free(struct vmmem_iommu_queue *queue);

/* vmmem_iommu_queue_fd() is readable while there are items. */
int vmmem_iommu_queue_fd(const struct vmmem_iommu_queue *queue);

/*
 * vmmem_iommu_queue_ask() asks a question, unless another stands for it.
 *
 * Returns 0, and then vmmem_iommu_queue_end() is to be called; or
 * VMMEM_ENOROOM, or what write(2) said.
 */
int vmmem_iommu_queue_ask(struct vmmem_iommu_queue *queue,
			  struct vmmem_iommu_question *question);

/*
 * vmmem_iommu_queue_end() returns the code of a refusal, or 0; whether others
 * are to look again is in 'ret_wake'.
 */
int vmmem_iommu_queue_end(struct vmmem_iommu_queue *queue,
			  struct vmmem_iommu_question *question,
			  bool *ret_wake);

/* vmmem_iommu_queue_is_over() tells whether the question has ended. */
bool vmmem_iommu_queue_is_over(struct vmmem_iommu_queue *queue,
			       const struct vmmem_iommu_question *question);

/* vmmem_iommu_queue_take() stores the oldest item, or returns false. */
bool vmmem_iommu_queue_take(struct vmmem_iommu_queue *queue,
			    struct vmmem_iommu_item *ret_item);

/*
 * vmmem_iommu_queue_dropped() tells those that ask for what 'item', which the
 * program never sees, asks for: they are to look again.
 */
void vmmem_iommu_queue_dropped(struct vmmem_iommu_queue *queue,
			       const struct vmmem_iommu_item *item);

/* vmmem_iommu_queue_refuse() ends the questions that begin in a range. */
void vmmem_iommu_queue_refuse(struct vmmem_iommu_queue *queue, uint64_t first,
			      uint64_t last, int code);

#endif
