/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/endian_access.h - integers of guest memory in a fixed byte order.
 *
 * Each function here is the one of the same name with u16, u32 or u64 in place
 * of its TYPE: le16, le32, le64 are little-endian in memory, be16, be32, be64
 * big-endian; the caller has the value in the host's order.  The codes, the
 * marks and the threads are those of that function, and so is what is left
 * after a failure: 'ret_value' is not written.
 *
 *     vmmem_collection_read_TYPE(collection, gpa, &value)
 *     vmmem_collection_write_TYPE(collection, gpa, value)
 *     vmmem_collection_load_TYPE(collection, gpa, order, &value)
 *     vmmem_collection_store_TYPE(collection, gpa, value, order)
 *     vmmem_reader_read_TYPE(reader, gpa, &value)
 *     vmmem_reader_write_TYPE(reader, gpa, value)
 *     vmmem_reader_load_TYPE(reader, gpa, order, &value)
 *     vmmem_reader_store_TYPE(reader, gpa, value, order)
 *     vmmem_slice_read_TYPE(slice, offset, &value)
 *     vmmem_slice_write_TYPE(slice, offset, value)
 *     vmmem_slice_load_TYPE(slice, offset, order, &value)
 *     vmmem_slice_store_TYPE(slice, offset, value, order)
 *
 * So an index of a virtio ring is loaded as _load_le16(...,
 * VMMEM_ORDER_ACQUIRE, ...), and stored as _store_le16(...,
 * VMMEM_ORDER_RELEASE).
 *
 * All of it is in this header alone, and no symbol of the library: a program in
 * another language swaps the bytes of a u16, u32 or u64 by itself.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_ENDIAN_ACCESS_H
#define VMMEM_ENDIAN_ACCESS_H

#include <vmmem/access.h>
#include <vmmem/atomic.h>
#include <vmmem/base.h>
#include <vmmem/endian.h>
#include <vmmem/reader_access.h>
#include <vmmem/slice.h>
#include <vmmem/slice_atomic.h>

VMMEM_BEGIN_DECLS

#ifndef VMMEM_NO_INLINE

/* 'handle' declares the parameter 'object', and 'at' is a place in it. */
#define VMMEM_ENDIAN_ACCESS(object, handle, at, type, bits)                \
	VMMEM_NODISCARD VMMEM_STATIC_INLINE int                            \
	vmmem_##object##_read_##type(handle, uint64_t at,                  \
				     uint##bits##_t *ret_value)            \
	{                                                                  \
		int rc = vmmem_##object##_read_u##bits(object, at,         \
						       ret_value);         \
									   \
		if (rc == 0)                                               \
			*ret_value = vmmem_##type##_to_host(*ret_value);   \
		return rc;                                                 \
	}                                                                  \
									   \
	VMMEM_NODISCARD VMMEM_STATIC_INLINE int                            \
	vmmem_##object##_write_##type(handle, uint64_t at,                 \
				      uint##bits##_t value)                \
	{                                                                  \
		return vmmem_##object##_write_u##bits(                     \
			object, at, vmmem_##type##_from_host(value));      \
	}                                                                  \
									   \
	VMMEM_NODISCARD VMMEM_STATIC_INLINE int                            \
	vmmem_##object##_load_##type(handle, uint64_t at, int order,       \
				     uint##bits##_t *ret_value)            \
	{                                                                  \
		int rc = vmmem_##object##_load_u##bits(object, at, order,  \
						       ret_value);         \
									   \
		if (rc == 0)                                               \
			*ret_value = vmmem_##type##_to_host(*ret_value);   \
		return rc;                                                 \
	}                                                                  \
									   \
	VMMEM_NODISCARD VMMEM_STATIC_INLINE int                            \
	vmmem_##object##_store_##type(handle, uint64_t at,                 \
				      uint##bits##_t value, int order)     \
	{                                                                  \
		return vmmem_##object##_store_u##bits(                     \
			object, at, vmmem_##type##_from_host(value),       \
			order);                                            \
	}

#define VMMEM_ENDIAN_ACCESS_ALL(object, handle, at)                        \
	VMMEM_ENDIAN_ACCESS(object, handle, at, le16, 16)                  \
	VMMEM_ENDIAN_ACCESS(object, handle, at, le32, 32)                  \
	VMMEM_ENDIAN_ACCESS(object, handle, at, le64, 64)                  \
	VMMEM_ENDIAN_ACCESS(object, handle, at, be16, 16)                  \
	VMMEM_ENDIAN_ACCESS(object, handle, at, be32, 32)                  \
	VMMEM_ENDIAN_ACCESS(object, handle, at, be64, 64)

VMMEM_ENDIAN_ACCESS_ALL(collection, const struct vmmem_collection *collection,
			gpa)
VMMEM_ENDIAN_ACCESS_ALL(reader, struct vmmem_reader *reader, gpa)
VMMEM_ENDIAN_ACCESS_ALL(slice, const struct vmmem_slice *slice, offset)

#undef VMMEM_ENDIAN_ACCESS
#undef VMMEM_ENDIAN_ACCESS_ALL

#endif

VMMEM_END_DECLS

#endif
