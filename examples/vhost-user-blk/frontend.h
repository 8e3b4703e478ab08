/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A message, between socket.c that receives it and frontend.c that obeys. */
#ifndef FRONTEND_H
#define FRONTEND_H

#include "device.h"
#include "protocol.h"

struct message {
	struct header header;
	/* Aligned for whatever is in it. */
	_Alignas(8) unsigned char payload[PAYLOAD_MAX];
	/*
	 * Those that nobody has taken are closed in the end.  One more, -1, if
	 * there were more than the message may have.
	 */
	int fds[FDS_MAX + 1];
	size_t fd_count;
	bool replied;
};

/* handle() does what a message says.  0, or a code. */
int handle(struct device *device, struct message *message);

/* device_rules() says what a descriptor of memory must be, as in 'rules'. */
void device_rules(const struct device *device,
		  struct vmmem_fd_rules *rules);

/* ---- inflight.c: memory that outlives us -------------------------------- */

/* inflight_give() makes such memory, and sends it as the answer. */
int inflight_give(struct device *device, struct message *message);
/* inflight_take() uses what the front end has kept, and sends back. */
int inflight_take(struct device *device, const struct message *message);
/* inflight_drop() lets go of it. */
void inflight_drop(struct device *device);
/* inflight_forget() forgets what a ring that ended well has noted in it. */
void inflight_forget(struct queue *queue);

/* ---- postcopy.c: memory that comes while the guest runs ----------------- */

/* postcopy_message() does ADVISE, which it answers, LISTEN and END. */
int postcopy_message(struct device *device, struct message *message);

/* postcopy_end() has nobody wait for pages any more. */
void postcopy_end(struct device *device);

/* Whether the front end has to be told where memory is mapped. */
bool postcopy_listens(const struct device *device);

/* postcopy_reply() tells it, in answer to a message that has been obeyed. */
int postcopy_reply(struct device *device, struct message *message);

/* Whether the front end now knows it, which is the message's one purpose. */
bool postcopy_acknowledges(struct device *device,
			   const struct message *message);

/* Whether a request may come before that. */
bool postcopy_permits(const struct device *device, uint32_t request);

/* postcopy_trim() lets go of mappings that the table has no more. */
void postcopy_trim(struct device *device);

/* ---- socket.c: answers -------------------------------------------------- */
/* wants_reply() tells whether an answer of 0 or 1 was asked for. */
bool wants_reply(const struct device *device, const struct message *message);


/* message_u64() is the payload if it is one number, else all ones. */
uint64_t message_u64(const struct message *message);

/* device_queue() is NULL if there is no such queue. */
struct queue *device_queue(struct device *device, uint64_t index);

/* These answer; 'fd' goes with it if it is not -1. */
int reply_with(struct device *device, struct message *message, const void *data,
	       size_t len, int fd);
int reply_u64(struct device *device, struct message *message, uint64_t value);

#endif
