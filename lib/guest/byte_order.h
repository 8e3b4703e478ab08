/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Loads and stores in a byte order, of an object that has those in the host's.
 * In the host's own order they are the same functions by other names.
 */
#ifndef BYTE_ORDER_H
#define BYTE_ORDER_H

#include <vmmem/endian.h>

#include "base/api.h"

/* 'object' is a name, 'handle' its parameter, 'at' the name of the place. */
#define VMMEM_ORDERED_SAME(object, handle, at, type, bits)                 \
	VMMEM_API int vmmem_##object##_load_##type(                        \
		handle, uint64_t at, int order, uint##bits##_t *ret_value) \
		__attribute__((__alias__("vmmem_" #object                  \
					 "_load_u" #bits)));               \
	VMMEM_API int vmmem_##object##_store_##type(                       \
		handle, uint64_t at, uint##bits##_t value, int order)      \
		__attribute__((__alias__("vmmem_" #object                  \
					 "_store_u" #bits)));

#define VMMEM_ORDERED_SWAP(object, handle, at, type, bits)                 \
	VMMEM_API int vmmem_##object##_load_##type(                        \
		handle, uint64_t at, int order, uint##bits##_t *ret_value) \
	{                                                                  \
		int rc = vmmem_##object##_load_u##bits(object, at, order,  \
						       ret_value);         \
                                                                           \
		if (likely(rc == 0))                                       \
			*ret_value = vmmem_##type##_to_host(*ret_value);   \
		return rc;                                                 \
	}                                                                  \
                                                                           \
	VMMEM_API int vmmem_##object##_store_##type(                       \
		handle, uint64_t at, uint##bits##_t value, int order)      \
	{                                                                  \
		return vmmem_##object##_store_u##bits(                     \
			object, at, vmmem_##type##_from_host(value),       \
			order);                                            \
	}

/* The same for reads and writes, which are made in any other way elsewhere. */
#define VMMEM_TYPED_SAME(object, handle, at, type, bits)                   \
	VMMEM_API int vmmem_##object##_read_##type(                        \
		handle, uint64_t at, uint##bits##_t *ret_value)            \
		__attribute__((__alias__("vmmem_" #object                  \
					 "_read_u" #bits)));               \
	VMMEM_API int vmmem_##object##_write_##type(                       \
		handle, uint64_t at, uint##bits##_t value)                 \
		__attribute__((__alias__("vmmem_" #object                  \
					 "_write_u" #bits)));

#define VMMEM_TYPED_SAME_ALL(object, handle, at, order)                    \
	VMMEM_TYPED_SAME(object, handle, at, order##16, 16)                \
	VMMEM_TYPED_SAME(object, handle, at, order##32, 32)                \
	VMMEM_TYPED_SAME(object, handle, at, order##64, 64)

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define VMMEM_ORDERED_LITTLE VMMEM_ORDERED_SAME
#define VMMEM_ORDERED_BIG VMMEM_ORDERED_SWAP
#else
#define VMMEM_ORDERED_LITTLE VMMEM_ORDERED_SWAP
#define VMMEM_ORDERED_BIG VMMEM_ORDERED_SAME
#endif

#define VMMEM_ORDERED(object, handle, at)                                  \
	VMMEM_ORDERED_LITTLE(object, handle, at, le16, 16)                 \
	VMMEM_ORDERED_LITTLE(object, handle, at, le32, 32)                 \
	VMMEM_ORDERED_LITTLE(object, handle, at, le64, 64)                 \
	VMMEM_ORDERED_BIG(object, handle, at, be16, 16)                    \
	VMMEM_ORDERED_BIG(object, handle, at, be32, 32)                    \
	VMMEM_ORDERED_BIG(object, handle, at, be64, 64)

#endif
