/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What of the vhost-user protocol and of virtio is spoken here. */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <stdint.h>

/* Requests of the front end; those of memory are in <vmmem/vhost.h>. */
#define GET_FEATURES 1U
#define SET_FEATURES 2U
#define SET_OWNER 3U
#define RESET_OWNER 4U
#define SET_LOG_FD 7U
#define SET_VRING_NUM 8U
#define SET_VRING_ADDR 9U
#define SET_VRING_BASE 10U
#define GET_VRING_BASE 11U
#define SET_VRING_KICK 12U
#define SET_VRING_CALL 13U
#define SET_VRING_ERR 14U
#define GET_PROTOCOL_FEATURES 15U
#define SET_PROTOCOL_FEATURES 16U
#define GET_QUEUE_NUM 17U
#define SET_VRING_ENABLE 18U
#define SET_BACKEND_REQ_FD 21U
#define GET_CONFIG 24U
#define SET_CONFIG 25U
#define POSTCOPY_ADVISE 28U
#define POSTCOPY_LISTEN 29U
#define POSTCOPY_END 30U
#define GET_INFLIGHT_FD 31U
#define SET_INFLIGHT_FD 32U
#define RESET_DEVICE 34U
#define GET_MAX_MEM_SLOTS 36U

/* A request of the back end. */
#define BACKEND_IOTLB_MSG 1U

struct header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of what follows */
};

#define FLAG_VERSION 1U
#define FLAG_VERSION_MASK 3U
#define FLAG_REPLY 4U
#define FLAG_NEED_REPLY 8U

/* The longest payload: a table of 509 rows. */
#define PAYLOAD_MAX (8 + 509 * 32)
/* Linux passes no more with one message. */
#define FDS_MAX 253

struct ring_state {
	uint32_t index;
	uint32_t value;
};

struct ring_address {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

struct config_message {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t bytes[256];
};

struct inflight_message {
	uint64_t mmap_size;
	uint64_t mmap_offset;
	uint16_t queues;
	uint16_t queue_size;
};

/* In the flags of SET_CONFIG: it is not the guest who writes. */
#define CONFIG_MIGRATION 1U

/* In the payload of KICK, CALL and ERR: no descriptor comes with it. */
#define RING_INDEX 0xffU
#define RING_NO_FD 0x100U

#define BIT(n) (UINT64_C(1) << (n))

#define PROTOCOL_MQ BIT(0)
#define PROTOCOL_LOG_SHMFD BIT(1)
#define PROTOCOL_REPLY_ACK BIT(3)
#define PROTOCOL_BACKEND_REQ BIT(5)
#define PROTOCOL_PAGEFAULT BIT(8)
#define PROTOCOL_CONFIG BIT(9)
#define PROTOCOL_INFLIGHT_SHMFD BIT(12)
#define PROTOCOL_CONFIGURE_MEM_SLOTS BIT(15)

#define F_BLK_SIZE_MAX BIT(1)
#define F_BLK_SEG_MAX BIT(2)
#define F_BLK_RO BIT(5)
#define F_BLK_BLK_SIZE BIT(6)
#define F_BLK_FLUSH BIT(9)
#define F_BLK_MQ BIT(12)
#define F_BLK_DISCARD BIT(13)
#define F_BLK_WRITE_ZEROES BIT(14)
#define F_LOG_ALL BIT(26)
#define F_INDIRECT BIT(28)
#define F_EVENT_IDX BIT(29)
#define F_PROTOCOL_FEATURES BIT(30)
#define F_VERSION_1 BIT(32)
#define F_ACCESS_PLATFORM BIT(33)
#define F_PACKED BIT(34)

#define DESC_NEXT 1U
#define DESC_WRITE 2U
#define DESC_INDIRECT 4U
#define DESC_AVAIL 0x80U /* of packed rings */
#define DESC_USED 0x8000U

#endif
