/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The device, its queues and its requests. */
#ifndef DEVICE_H
#define DEVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <vmmem/vmmem.h>

#define QUEUES_MAX 16
/* After a connection could not be taken, it is tried again. */
#define ACCEPT_PAUSE_NS 50000000
#define RING_MAX 32768
#define SECTOR 512
/* A line of the cache for each queue. */
#define INFLIGHT_STRIDE 64
/* Requests of one queue that are under way at once. */
#define DEPTH 128
#define SEGMENTS 126
/*
 * Bytes of one buffer.  A driver puts requests together while they are in order
 * and there are buffers left.  One of a megabyte leaves it nothing to do until
 * all of that is copied; so most of those that come together stay several.
 */
#define SEGMENT_MAX 4096
/* Buffers of one request: SEGMENTS, the header and the status. */
#define RANGES 128
/* Pieces of host memory that they may be, where regions and translations end. */
#define PIECES 256
/* The most of one discard, so that the queue's thread is not held up long. */
#define DISCARD_SEGMENTS 64

/*
 * So much is moved before the driver hears of it.  It is little at first, so
 * that the driver is awake and has something to do while the rest is moved, and
 * doubles, so that it is not interrupted for each request.
 */
#define QUANTUM_MIN 8192
#define QUANTUM_MAX 524288

struct device;
struct queue;
struct postcopy;

/* A chain of buffers: those that the device reads, then those it writes. */
struct chain {
	uint16_t id;
	uint16_t slots; /* it takes in the ring; 1 if that is split */
	size_t count, readable;
	struct vmmem_range ranges[RANGES];
};

struct request {
	struct chain chain;
	bool done;
	uint32_t written; /* bytes of the chain that were written */
	/*
	 * Where the guest looks for the status, and the data.  Slices, because
	 * a translation may go before the request ends: they still lead where
	 * it led, and marks go where the bytes are.  The section in which they
	 * are made lasts until the request is done.
	 */
	struct vmmem_slice status;
	struct vmmem_slice slices[PIECES];
	size_t slice_count;
	/* The data, within the chain. */
	const struct vmmem_range *data;
	size_t data_count;
	uint64_t data_len;
	bool is_read;
	struct iovec iov[PIECES];
	size_t iov_count;
	uint64_t offset; /* in the file */
};

/* What a ring thread was woken by. */
#define WOKEN_KICK 1U
#define WOKEN_STOP 2U

/* One for each queue; engine.c. */
struct engine;

struct queue {
	struct device *device;
	unsigned int index;

	/* The front end's; while the thread runs they do not change. */
	uint32_t size;
	bool addressed, enabled, running;
	uint64_t desc, avail, used; /* gpa, or iova with an iommu */
	uint64_t told[3]; /* the same, as the front end calls them */
	uint32_t base;
	uint64_t features;
	int kick_fd, stop_fd;
	pthread_t thread;
	atomic_bool stop;
	atomic_bool started; /* by a kick, until GET_VRING_BASE */

	/* Masked interrupts are unmasked under a running thread. */
	pthread_mutex_t signal_lock;
	int call_fd, error_fd;

	/* The thread's. */
	struct vmmem_reader *reader;
	struct vmmem_collection *map; /* in a section, else NULL */
	uint64_t section;
	struct engine *engine;
	uint16_t next_avail, next_used;
	uint16_t put_used; /* of split rings: what is put, and not told yet */
	bool avail_wrap, used_wrap; /* of packed rings */
	struct request *requests; /* DEPTH of them, in the ring's order */
	unsigned int first, under_way;
	bool ready; /* it is known where the ring stands */
	bool kicked; /* since it was last seen that nothing is in the ring */
	/* Bytes moved before the driver hears of it: least when it was idle. */
	uint64_t quantum;
	/* Times that it will not look before it sleeps, now and the next. */
	unsigned int spin_skip, spin_skips;
	/* What a section had no translation for; no ranges: it had all. */
	const struct vmmem_range *missing;
	size_t missing_count;
	uint32_t missing_access;
	struct vmmem_range missing_range; /* where there is one only */
	/* How often the oldest chain was translated and was not begun. */
	unsigned int translations;
	/* It waits no more for what its oldest chain needs. */
	bool gives_up;
	/* The front end's memory that the section saw. */
	unsigned int map_seen;
};

struct device {
	int file;
	int listener;
	int next; /* a front end that waits, or -1 */
	int64_t next_until;
	int64_t rest_until; /* when a message that has begun must be there */
	bool read_only;
	bool sealed; /* memory that could be cut short is refused */
	bool survives; /* memory that goes is a code */
	bool files; /* memory may be a file of any file system */
	bool may_postcopy; /* the front end may have our faults */
	uint64_t sectors;
	unsigned int queue_count;
	/* What the front end may have: limits.c. */
	uint32_t rows_max;
	uint64_t bytes_max; /* of rows and log */
	/* What its eventfds are signalled by: eventfds.c. */
	unsigned long aio;
	int ready_fd;
	struct queue queues[QUEUES_MAX];

	struct vmmem_space *memory; /* what the front end has sent */
	struct vmmem_space *space;  /* the same as devices address it */
	struct vmmem_vhost *vhost;
	struct vmmem_iotlb *iotlb;
	struct vmmem_iommu *iommu; /* NULL: addresses are gpas */
	/* It grows when queues shall end their sections. */
	atomic_uint epoch;
	/* How often the memory has changed, and when some of it was removed. */
	pthread_mutex_t map_lock;
	pthread_cond_t map_changed;
	unsigned int map_changes;
	int64_t removed_ns;

	uint64_t features, protocol_features;
	int socket;
	pthread_mutex_t backend_lock;
	int backend_fd;
	/* Descriptors that are being closed by threads: closing.c. */
	atomic_uint closing;
	/* Lines of the log, in the period since: say.c. */
	atomic_uint said;
	_Atomic int64_t said_in;
	/* Queue i's part is at i * INFLIGHT_STRIDE; NULL: none was sent. */
	struct vmmem_collection *inflight;
	struct postcopy *postcopy; /* NULL: none */
};

/* ---- limits.c: what one front end may have ------------------------------ */

/* limits_raise() has the process have as many descriptors as it may. */
void limits_raise(void);

/*
 * limits_set() gives one of 'disks' its share; 'last_fd' is the highest
 * descriptor that is in use.  False: there are too few for all at once.
 */
bool limits_set(struct device *device, size_t disks, int last_fd);

/* ---- eventfds.c: signals that never wait -------------------------------- */

/* eventfds_open() is for the other two; 0, or -errno. */
int eventfds_open(struct device *device);
void eventfds_close(struct device *device);

/* Whether a descriptor is an eventfd, and nothing else. */
bool eventfds_is_one(const struct device *device, int fd);

/* eventfds_signal() adds 1 to an eventfd; one that is full is left so. */
void eventfds_signal(const struct device *device, int fd);

/* ---- closing.c: descriptors that may be anything ------------------------- */

/* close_theirs() closes one that came from the front end, and never waits. */
void close_theirs(struct device *device, int fd);

/* ---- say.c: the log ------------------------------------------------------- */

/* say() puts a line into it, unless there are too many of this front end. */
void say(struct device *device, const char *format, ...)
	__attribute__((__format__(__printf__, 2, 3)));

/* ---- socket.c: messages ------------------------------------------------- */

/* serve() answers one front end until it goes. */
void serve(struct device *device, int socket);

/* ---- postcopy.c: memory that comes while the guest runs ----------------- */

/* postcopy_possible() says whether the system lets us, and if not why. */
bool postcopy_possible(void);

/* ---- queue.c: one thread for each queue --------------------------------- */

int queue_start(struct queue *queue);
void queue_stop(struct queue *queue);

/* queue_is_ending() tells whether this is a queue's thread that is to stop. */
bool queue_is_ending(void);

/* queue_is_in_section() tells whether this is one that must not wait. */
bool queue_is_in_section(void);

/* device_init_locks() is for a device whose bytes are zero. */
void device_init_locks(struct device *device);

/*
 * device_map_changed() has queues that wait for memory look again.  'removed'
 * says that some has gone, in the place of which other may come at once.
 */
void device_map_changed(struct device *device, bool removed);

/* queue_may_come() tells whether memory that is not there may be on its way. */
bool queue_may_come(const struct queue *queue);

int64_t time_ns(void);

/*
 * queue_failed() notes that a range of guest memory could not be reached, and
 * queue_missed() that some range of a chain could not, which stays as it is
 * until the next section.
 */
void queue_failed(struct queue *queue, int rc, uint64_t address, uint64_t len,
		  uint32_t access);
void queue_missed(struct queue *queue, const struct vmmem_range *ranges,
		  size_t count, uint32_t access);

/* ---- split.c and packed.c: the two forms of a ring ---------------------- */

struct ring_ops {
	/* Takes the base, or what the ring itself says. */
	int (*start)(struct queue *queue);
	/* 1 if there is a chain, 0 if not, or a code. */
	int (*has_more)(struct queue *queue);
	/* The same, and what is in it.  It stays in the ring. */
	int (*peek)(struct queue *queue, struct chain *chain);
	/* It is taken. */
	void (*take)(struct queue *queue, const struct chain *chain);
	/* The oldest chain is used. */
	int (*put)(struct queue *queue, const struct chain *chain,
		   uint32_t written);
	/*
	 * What was put is the driver's, or else forgotten, to be put again;
	 * NULL if each is the driver's at once.
	 */
	int (*publish)(struct queue *queue);
	/* Whether the driver wants to hear of 'count' slots just used. */
	bool (*wants_signal)(struct queue *queue, uint16_t count);
	/* Asks to be kicked for what comes next. */
	int (*want_kick)(struct queue *queue);
	/* What the front end is told where the ring stands: at what is next. */
	uint32_t (*base)(const struct queue *queue);
};

extern const struct ring_ops split_ring;
extern const struct ring_ops packed_ring;

/* add_descriptor() puts 16 bytes of a descriptor into a chain. */
int add_descriptor(struct chain *chain, uint64_t address, uint32_t len,
		   uint16_t flags);

/* Accesses to the ring, by address; all go through the queue's map. */
int ring_read(struct queue *queue, uint64_t address, void *buf, size_t len);
int ring_load16(struct queue *queue, uint64_t address, uint16_t *ret_value);
int ring_store16(struct queue *queue, uint64_t address, uint16_t value);

/* ---- request.c: what virtio-blk can do ---------------------------------- */

/* request_begin() does a request, or lets the engine do it. */
int request_begin(struct queue *queue, struct request *request);

/* request_transferred() is told by the engine what came of it. */
void request_transferred(struct queue *queue, struct request *request,
			 int64_t result);

/* ---- engine.c: the file ------------------------------------------------- */

/* engine_new() is for a queue that has its kick and its stop; 0 or -errno. */
int engine_new(struct queue *queue, struct engine **ret_engine);
struct engine *engine_free(struct engine *engine);

/* Whether the kernel is using guest memory. */
bool engine_is_busy(const struct engine *engine);

/* These end in request_transferred(), at once or later. */
void engine_transfer(struct engine *engine, struct request *request);
void engine_flush(struct engine *engine, struct request *request);

/*
 * engine_wait() waits until something is done, a kick comes or the thread shall
 * stop, and returns WOKEN_....  If it is not 'blocking' it only begins what is
 * to be done, and sees to what has been.
 */
unsigned int engine_wait(struct engine *engine, bool blocking);

/* ---- inflight.c: where rings stand, in memory that outlives us ---------- */

/* inflight_note() is done before a descriptor is used; 0, or a code. */
int inflight_note(struct queue *queue, uint16_t used, bool wrap);
void inflight_settle(struct queue *queue);
/*
 * inflight_recall() stores where the ring stands, as an earlier back end has
 * left it, and returns 1; 0 if none has; or a code.
 */
int inflight_recall(struct queue *queue, uint16_t *ret_used, bool *ret_wrap);

#endif
