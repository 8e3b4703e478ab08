/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/sample.h - an object with one of each thing that an ABI consists of.
 *
 * tests/abi/gate_selftest.sh puts it into a copy of the tree and changes it
 * there.  It is no part of the library.
 */
#ifndef VMMEM_SAMPLE_H
#define VMMEM_SAMPLE_H

#include <vmmem/base.h>

VMMEM_BEGIN_DECLS

#define VMMEM_SAMPLE_ONE 1
#define VMMEM_SAMPLE_TWO 2

struct vmmem_sample;

/* Never grows. */
struct vmmem_sample_pair {
	uint64_t gpa;
	uint64_t len;
};

/* May grow. */
struct vmmem_sample_options {
	size_t size;
	uint64_t limit;
	uint32_t flags;
	uint32_t mode;
	int (*tell)(void *opaque, uint64_t gpa, uint64_t len);
	void *opaque;
};

typedef uint32_t __attribute__((__may_alias__)) vmmem_sample_u32;

VMMEM_NODISCARD int
vmmem_sample_new(const struct vmmem_sample_options *options,
		 struct vmmem_sample **ret_sample);

struct vmmem_sample *vmmem_sample_free(struct vmmem_sample *sample);

int vmmem_sample_read(const struct vmmem_sample *sample, uint64_t gpa,
		      uint64_t len, void *buf);

int vmmem_sample_write(struct vmmem_sample *sample, uint64_t gpa,
		       const void *buf, size_t len);

const char *vmmem_sample_name(const struct vmmem_sample *sample);

uint64_t vmmem_sample_last(uint64_t start, uint64_t len);

VMMEM_INLINE uint64_t
vmmem_sample_last(uint64_t start, uint64_t len)
{
	return start + len - 1;
}

VMMEM_INLINE uint32_t
vmmem_sample_le32(uint32_t value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return value;
#else
	return __builtin_bswap32(value);
#endif
}

VMMEM_STATIC_INLINE uint64_t
vmmem_sample_half(uint64_t value)
{
	return value >> 1;
}

VMMEM_END_DECLS

#endif
