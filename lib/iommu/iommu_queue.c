/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A bounded queue of misses, with a descriptor that is readable while it has
 * any.
 */
#include "iommu/iommu_queue.h"

#include <vmmem/error.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

struct node {
	TAILQ_ENTRY(node) link;
	struct vmmem_iommu_item item;
};

TAILQ_HEAD(nodes, node);

struct vmmem_iommu_queue {
	int fd;
	bool told; /* the descriptor is readable, as far as is known here */
	pthread_mutex_t lock;
	LIST_HEAD(, vmmem_iommu_question) questions;
	pid_t asked_in; /* whose threads ask these */
	struct nodes waiting;
	struct nodes spare;
	struct node nodes[];
};

int
vmmem_iommu_queue_new(size_t capacity, struct vmmem_iommu_queue **ret_queue)
{
	struct vmmem_iommu_queue *queue;
	size_t i;
	int rc;

	queue = calloc(1, sizeof(*queue) + capacity * sizeof(queue->nodes[0]));
	if (queue == NULL)
		return -ENOMEM;
	rc = -pthread_mutex_init(&queue->lock, NULL);
	if (rc != 0)
		goto no_lock;
	queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->fd < 0) {
		rc = -errno;
		goto no_fd;
	}
	LIST_INIT(&queue->questions);
	TAILQ_INIT(&queue->waiting);
	TAILQ_INIT(&queue->spare);
	for (i = 0; i < capacity; i++)
		TAILQ_INSERT_TAIL(&queue->spare, &queue->nodes[i], link);
	*ret_queue = queue;
	return 0;

no_fd:
	pthread_mutex_destroy(&queue->lock);
no_lock:
	free(queue);
	return rc;
}

void
vmmem_iommu_queue_free(struct vmmem_iommu_queue *queue)
{
	if (queue == NULL)
		return;
	/* Nothing was written to it, so closing loses nothing. */
	(void)close(queue->fd);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
}

int
vmmem_iommu_queue_fd(const struct vmmem_iommu_queue *queue)
{
	return queue->fd;
}

/*
 * tell() makes the descriptor readable.  By syscall(2), as write(2) ends a
 * thread that is cancelled, and this runs under the lock.  It cannot block: the
 * count is 0 or 1.
 */
static int
tell(struct vmmem_iommu_queue *queue)
{
	const uint64_t one = 1;
	const int before = errno;
	int rc = 0;

	if (queue->told)
		return 0;
	if (syscall(SYS_write, (long)queue->fd, &one, sizeof(one)) < 0)
		rc = -errno;
	errno = before;
	queue->told = rc == 0;
	return rc;
}

/* hush() does the opposite.  If it fails the program looks once in vain. */
static void
hush(struct vmmem_iommu_queue *queue)
{
	const int before = errno;
	uint64_t count;

	if (!queue->told || !TAILQ_EMPTY(&queue->waiting))
		return;
	/* EAGAIN: the program has read it, although it should not. */
	queue->told = syscall(SYS_read, (long)queue->fd, &count,
			      sizeof(count)) < 0 && errno != EAGAIN;
	errno = before;
}

/* covers() tells whether 'item' asks for all that 'other' needs. */
static bool
covers(const struct vmmem_iommu_item *item,
       const struct vmmem_iommu_item *other)
{
	return item->reason == other->reason &&
	       (other->access & ~item->access) == 0 &&
	       other->iova >= item->iova &&
	       other->iova - item->iova < item->len &&
	       other->len <= item->len - (other->iova - item->iova);
}

/*
 * forget_others() empties a list that a child has got by fork(): those threads
 * are the parent's, and the child may use their stacks for something else.
 */
static void
forget_others(struct vmmem_iommu_queue *queue)
{
	if (!LIST_EMPTY(&queue->questions) && queue->asked_in != getpid())
		LIST_INIT(&queue->questions);
}

/* add() puts an item into the queue, unless one there covers it. */
static int
add(struct vmmem_iommu_queue *queue, const struct vmmem_iommu_item *item)
{
	struct node *node;
	int rc;

	TAILQ_FOREACH(node, &queue->waiting, link) {
		if (covers(&node->item, item))
			return 0;
	}
	node = TAILQ_FIRST(&queue->spare);
	if (node == NULL)
		return VMMEM_ENOROOM;
	rc = tell(queue);
	if (rc != 0)
		return rc;
	TAILQ_REMOVE(&queue->spare, node, link);
	node->item = *item;
	TAILQ_INSERT_TAIL(&queue->waiting, node, link);
	return 0;
}

/* remove_node() takes an item out again. */
static void
remove_node(struct vmmem_iommu_queue *queue, struct node *node)
{
	TAILQ_REMOVE(&queue->waiting, node, link);
	TAILQ_INSERT_HEAD(&queue->spare, node, link);
}

int
vmmem_iommu_queue_ask(struct vmmem_iommu_queue *queue,
		      struct vmmem_iommu_question *question)
{
	const struct vmmem_iommu_question *other;
	int rc = 0;

	pthread_mutex_lock(&queue->lock);
	forget_others(queue);
	queue->asked_in = getpid();
	LIST_FOREACH(other, &queue->questions, link) {
		/* A question that another stands for has no item itself. */
		if (other->behind == NULL && !other->again &&
		    other->refused == 0 &&
		    covers(&other->item, &question->item))
			break;
	}
	question->behind = other;
	if (other == NULL)
		rc = add(queue, &question->item);
	if (rc == 0)
		LIST_INSERT_HEAD(&queue->questions, question, link);
	pthread_mutex_unlock(&queue->lock);
	return rc;
}

int
vmmem_iommu_queue_end(struct vmmem_iommu_queue *queue,
		      struct vmmem_iommu_question *question, bool *ret_wake)
{
	struct vmmem_iommu_question *other;

	*ret_wake = false;
	pthread_mutex_lock(&queue->lock);
	LIST_REMOVE(question, link);
	LIST_FOREACH(other, &queue->questions, link) {
		if (other->behind != question)
			continue;
		other->behind = NULL;
		other->again = true;
		*ret_wake = true;
	}
	pthread_mutex_unlock(&queue->lock);
	return question->refused;
}

bool
vmmem_iommu_queue_is_over(struct vmmem_iommu_queue *queue,
			  const struct vmmem_iommu_question *question)
{
	bool over;

	pthread_mutex_lock(&queue->lock);
	over = question->again || question->refused != 0;
	pthread_mutex_unlock(&queue->lock);
	return over;
}

bool
vmmem_iommu_queue_take(struct vmmem_iommu_queue *queue,
		       struct vmmem_iommu_item *ret_item)
{
	struct node *node;

	pthread_mutex_lock(&queue->lock);
	node = TAILQ_FIRST(&queue->waiting);
	if (node != NULL) {
		*ret_item = node->item;
		remove_node(queue, node);
	}
	hush(queue);
	pthread_mutex_unlock(&queue->lock);
	return node != NULL;
}

void
vmmem_iommu_queue_dropped(struct vmmem_iommu_queue *queue,
			  const struct vmmem_iommu_item *item)
{
	struct vmmem_iommu_question *question;

	pthread_mutex_lock(&queue->lock);
	forget_others(queue);
	LIST_FOREACH(question, &queue->questions, link) {
		if (covers(item, &question->item))
			question->again = true;
	}
	pthread_mutex_unlock(&queue->lock);
}

void
vmmem_iommu_queue_refuse(struct vmmem_iommu_queue *queue, uint64_t first,
			 uint64_t last, int code)
{
	struct vmmem_iommu_question *question;
	struct node *node, *next;

	pthread_mutex_lock(&queue->lock);
	forget_others(queue);
	/* The bytes of a question begin with the one that the access lacks. */
	LIST_FOREACH(question, &queue->questions, link) {
		if (first <= question->item.iova && question->item.iova <= last)
			question->refused = code;
	}
	for (node = TAILQ_FIRST(&queue->waiting); node != NULL; node = next) {
		next = TAILQ_NEXT(node, link);
		if (first <= node->item.iova && node->item.iova <= last)
			remove_node(queue, node);
	}
	hush(queue);
	pthread_mutex_unlock(&queue->lock);
}
