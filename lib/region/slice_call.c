/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The functions that the bodies of vmmem/inline.h call.  A body cannot call the
 * function of its own name: compilers would see it call itself.  So there is
 * one function here for all widths of a shape, and 'code' tells which is meant.
 */
#include <vmmem/error.h>
#include <vmmem/slice.h>
#include <vmmem/slice_atomic.h>

#include "base/api.h"

/* Parts of a code; see vmmem/slice_atomic.h. */
#define PLAIN 0x40U
#define EXCHANGE 0x100U
#define FETCH_ADD 0x200U
#define FETCH_OR 0x300U
#define FETCH_AND 0x400U

#define READ(code, type)                                                   \
	case PLAIN | (code):                                               \
		return vmmem_slice_read_##type(slice, offset, ret_value)

#define LOAD(code, type)                                                   \
	case code:                                                         \
		return vmmem_slice_load_##type(slice, offset, order,       \
					       ret_value)

VMMEM_API int
vmmem_inline_call_load(const struct vmmem_slice *slice, uint64_t offset,
		       uint32_t code, int order, void *ret_value)
{
	switch (code) {
	LOAD(1, u8);
	LOAD(2, u16);
	LOAD(4, u32);
	LOAD(8, u64);
	READ(1, u8);
	READ(2, u16);
	READ(4, u32);
	READ(8, u64);
	default:
		return VMMEM_EARGUMENT;
	}
}

#define WRITE(code, type, bits)                                            \
	case PLAIN | (code):                                               \
		return vmmem_slice_write_##type(slice, offset,             \
						(uint##bits##_t)value)

#define STORE(code, type, bits)                                            \
	case code:                                                         \
		return vmmem_slice_store_##type(                           \
			slice, offset, (uint##bits##_t)value, order)

VMMEM_API int
vmmem_inline_call_store(const struct vmmem_slice *slice, uint64_t offset,
			uint32_t code, int order, uint64_t value)
{
	switch (code) {
	STORE(1, u8, 8);
	STORE(2, u16, 16);
	STORE(4, u32, 32);
	STORE(8, u64, 64);
	WRITE(1, u8, 8);
	WRITE(2, u16, 16);
	WRITE(4, u32, 32);
	WRITE(8, u64, 64);
	default:
		return VMMEM_EARGUMENT;
	}
}

#define MODIFY(code, name, bits)                                           \
	case (code) | (bits) / 8:                                          \
		return vmmem_slice_##name##_u##bits(                       \
			slice, offset, (uint##bits##_t)operand, order,     \
			ret_previous)

#define MODIFY_ALL(code, name)                                             \
	MODIFY(code, name, 8);                                             \
	MODIFY(code, name, 16);                                            \
	MODIFY(code, name, 32);                                            \
	MODIFY(code, name, 64)

VMMEM_API int
vmmem_inline_call_modify(const struct vmmem_slice *slice, uint64_t offset,
			 uint32_t code, int order, uint64_t operand,
			 void *ret_previous)
{
	switch (code) {
	MODIFY_ALL(EXCHANGE, exchange);
	MODIFY_ALL(FETCH_ADD, fetch_add);
	MODIFY_ALL(FETCH_OR, fetch_or);
	MODIFY_ALL(FETCH_AND, fetch_and);
	default:
		return VMMEM_EARGUMENT;
	}
}

#define COMPARE_EXCHANGE(bits)                                             \
	case (bits) / 8:                                                   \
		return vmmem_slice_compare_exchange_u##bits(               \
			slice, offset, (uint##bits##_t)expected,           \
			(uint##bits##_t)desired, success, failure,         \
			ret_previous)

VMMEM_API int
vmmem_inline_call_compare_exchange(const struct vmmem_slice *slice,
				   uint64_t offset, uint32_t code,
				   int success, int failure,
				   uint64_t expected, uint64_t desired,
				   void *ret_previous)
{
	switch (code) {
	COMPARE_EXCHANGE(8);
	COMPARE_EXCHANGE(16);
	COMPARE_EXCHANGE(32);
	COMPARE_EXCHANGE(64);
	default:
		return VMMEM_EARGUMENT;
	}
}

VMMEM_API int
vmmem_inline_call_sub(const struct vmmem_slice *slice, uint64_t offset,
		      uint64_t len, struct vmmem_slice *ret_slice)
{
	return vmmem_slice_sub(slice, offset, len, ret_slice);
}
