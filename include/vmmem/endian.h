/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/endian.h - integers of a fixed byte order, as types.
 *
 * A vmmem_le32 has the size and the alignment of a uint32_t, but the compiler
 * refuses to mix it with a plain integer, so a byte swap cannot be forgotten.
 * Use them as members of structs that a guest shares:
 *
 *     struct virtq_desc { vmmem_le64 addr; vmmem_le32 len; ... };
 *
 * For each type, _get() returns the value in the host's order and _set() stores
 * one.  They work on the caller's own memory; guest memory is read and written
 * with vmmem/endian_access.h.
 *
 * Where an integer is at hand, and no such type, _from_host() returns what is
 * to be stored for a value in the host's order, and _to_host() the value of
 * what was stored.  They are for atomics that have no byte order of their own,
 * such as vmmem_slice_fetch_or_u16().
 *
 * All of it is in this header alone.  The pointers must not be NULL and are
 * aligned as the type is.  Any thread, any time.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_ENDIAN_H
#define VMMEM_ENDIAN_H

#include <vmmem/base.h>

VMMEM_BEGIN_DECLS

/* A 16-bit integer, least significant byte first. */
typedef struct {
	uint16_t raw; /* as it lies in memory; use the helpers */
} vmmem_le16;

/* A 32-bit integer, least significant byte first. */
typedef struct {
	uint32_t raw; /* as it lies in memory; use the helpers */
} vmmem_le32;

/* A 64-bit integer, least significant byte first. */
typedef struct {
	uint64_t raw; /* as it lies in memory; use the helpers */
} vmmem_le64;

/* A 16-bit integer, most significant byte first. */
typedef struct {
	uint16_t raw; /* as it lies in memory; use the helpers */
} vmmem_be16;

/* A 32-bit integer, most significant byte first. */
typedef struct {
	uint32_t raw; /* as it lies in memory; use the helpers */
} vmmem_be32;

/* A 64-bit integer, most significant byte first. */
typedef struct {
	uint64_t raw; /* as it lies in memory; use the helpers */
} vmmem_be64;

#ifndef VMMEM_NO_INLINE

VMMEM_STATIC_INLINE uint16_t
vmmem_le16_from_host(uint16_t value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return value;
#else
	return __builtin_bswap16(value);
#endif
}

VMMEM_STATIC_INLINE uint16_t
vmmem_le16_to_host(uint16_t stored)
{
	return vmmem_le16_from_host(stored);
}

VMMEM_STATIC_INLINE uint16_t
vmmem_le16_get(const vmmem_le16 *value)
{
	return vmmem_le16_to_host(value->raw);
}

VMMEM_STATIC_INLINE void
vmmem_le16_set(vmmem_le16 *value, uint16_t native)
{
	value->raw = vmmem_le16_from_host(native);
}

VMMEM_STATIC_INLINE uint32_t
vmmem_le32_from_host(uint32_t value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return value;
#else
	return __builtin_bswap32(value);
#endif
}

VMMEM_STATIC_INLINE uint32_t
vmmem_le32_to_host(uint32_t stored)
{
	return vmmem_le32_from_host(stored);
}

VMMEM_STATIC_INLINE uint32_t
vmmem_le32_get(const vmmem_le32 *value)
{
	return vmmem_le32_to_host(value->raw);
}

VMMEM_STATIC_INLINE void
vmmem_le32_set(vmmem_le32 *value, uint32_t native)
{
	value->raw = vmmem_le32_from_host(native);
}

VMMEM_STATIC_INLINE uint64_t
vmmem_le64_from_host(uint64_t value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return value;
#else
	return __builtin_bswap64(value);
#endif
}

VMMEM_STATIC_INLINE uint64_t
vmmem_le64_to_host(uint64_t stored)
{
	return vmmem_le64_from_host(stored);
}

VMMEM_STATIC_INLINE uint64_t
vmmem_le64_get(const vmmem_le64 *value)
{
	return vmmem_le64_to_host(value->raw);
}

VMMEM_STATIC_INLINE void
vmmem_le64_set(vmmem_le64 *value, uint64_t native)
{
	value->raw = vmmem_le64_from_host(native);
}

VMMEM_STATIC_INLINE uint16_t
vmmem_be16_from_host(uint16_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return value;
#else
	return __builtin_bswap16(value);
#endif
}

VMMEM_STATIC_INLINE uint16_t
vmmem_be16_to_host(uint16_t stored)
{
	return vmmem_be16_from_host(stored);
}

VMMEM_STATIC_INLINE uint16_t
vmmem_be16_get(const vmmem_be16 *value)
{
	return vmmem_be16_to_host(value->raw);
}

VMMEM_STATIC_INLINE void
vmmem_be16_set(vmmem_be16 *value, uint16_t native)
{
	value->raw = vmmem_be16_from_host(native);
}

VMMEM_STATIC_INLINE uint32_t
vmmem_be32_from_host(uint32_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return value;
#else
	return __builtin_bswap32(value);
#endif
}

VMMEM_STATIC_INLINE uint32_t
vmmem_be32_to_host(uint32_t stored)
{
	return vmmem_be32_from_host(stored);
}

VMMEM_STATIC_INLINE uint32_t
vmmem_be32_get(const vmmem_be32 *value)
{
	return vmmem_be32_to_host(value->raw);
}

VMMEM_STATIC_INLINE void
vmmem_be32_set(vmmem_be32 *value, uint32_t native)
{
	value->raw = vmmem_be32_from_host(native);
}

VMMEM_STATIC_INLINE uint64_t
vmmem_be64_from_host(uint64_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return value;
#else
	return __builtin_bswap64(value);
#endif
}

VMMEM_STATIC_INLINE uint64_t
vmmem_be64_to_host(uint64_t stored)
{
	return vmmem_be64_from_host(stored);
}

VMMEM_STATIC_INLINE uint64_t
vmmem_be64_get(const vmmem_be64 *value)
{
	return vmmem_be64_to_host(value->raw);
}

VMMEM_STATIC_INLINE void
vmmem_be64_set(vmmem_be64 *value, uint64_t native)
{
	value->raw = vmmem_be64_from_host(native);
}

#endif

VMMEM_END_DECLS

#endif
