/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* One integer at a time, in the byte order of its type. */
#include <vmmem/access.h>
#include <vmmem/endian.h>
#include <vmmem/error.h>

#include "guest/byte_order.h"
#include "map/access_priv.h"
#include "base/api.h"
#include "map/collection_priv.h"
#include "guest/copy.h"
#include "map/translate.h"

/*
 * The fast path has no call in it, so that it needs no stack; all other cases
 * are in a function of their own.
 */
#define READ(name, type, native, from)                                     \
	static VMMEM_HOT int see_##name(                                   \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		native *ret_value)                                         \
	{                                                                  \
		struct vmmem_seen seen;                                    \
		uint64_t done;                                             \
		type value;                                                \
		int rc = 0;                                                \
                                                                           \
		if (likely(vmmem_see_direct(collection, gpa,               \
					    sizeof(value),                 \
					    VMMEM_PROT_READ, &seen))) {    \
			if (!likely(vmmem_copy_from_guest(                 \
					    &value,                        \
					    seen.entry->host +             \
						    seen.offset,           \
					    sizeof(value)) == 0))          \
				rc = VMMEM_EGONE;                         \
			vmmem_unsee(&seen);                                \
		} else {                                                   \
			rc = vmmem_read_slow(collection, gpa, &value,      \
					     sizeof(value), &done);        \
		}                                                          \
		if (rc == 0)                                               \
			*ret_value = from(&value);                         \
		return rc;                                                 \
	}                                                                  \
                                                                           \
	static VMMEM_COLD int read_##name(                                 \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		native *ret_value)                                         \
	{                                                                  \
		uint64_t done;                                             \
		type value;                                                \
		int rc;                                                    \
                                                                           \
		if (collection == NULL || ret_value == NULL)               \
			return VMMEM_EARGUMENT;                               \
		if (collection->translation != NULL)                       \
			return see_##name(collection, gpa, ret_value);     \
		rc = vmmem_read_slow(collection, gpa, &value,              \
				     sizeof(value), &done);                \
		if (rc == 0)                                               \
			*ret_value = from(&value);                         \
		return rc;                                                 \
	}                                                                  \
                                                                           \
	VMMEM_API int vmmem_collection_read_##name(                        \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		native *ret_value)                                         \
	{                                                                  \
		const struct vmmem_entry *entry;                           \
		uint64_t offset;                                           \
		type value;                                                \
                                                                           \
		if (!likely(collection != NULL && ret_value != NULL &&     \
			    VMMEM_ALIGNED(gpa, sizeof(value))))            \
			return read_##name(collection, gpa, ret_value);    \
		entry = vmmem_find_direct(collection, gpa, sizeof(value),  \
					  VMMEM_PROT_READ, &offset);       \
		if (!likely(entry != NULL))                                \
			return collection->translation != NULL ?           \
				       see_##name(collection, gpa,         \
						  ret_value) :             \
				       read_##name(collection, gpa,        \
						   ret_value);             \
		if (!likely(vmmem_copy_aligned_from_guest(                 \
			    &value, entry->host + offset, sizeof(value)))) \
			return VMMEM_EGONE;                               \
		*ret_value = from(&value);                                 \
		return 0;                                                  \
	}

#define WRITE(name, type, native, to)                                      \
	static VMMEM_HOT int see_to_##name(                                \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		native value)                                              \
	{                                                                  \
		struct vmmem_seen seen;                                    \
		uint64_t done;                                             \
		type stored;                                               \
		size_t left;                                               \
                                                                           \
		to(&stored, value);                                        \
		if (!likely(vmmem_see_direct(collection, gpa,              \
					     sizeof(stored),               \
					     VMMEM_PROT_WRITE, &seen)))    \
			return vmmem_write_slow(collection, gpa, &stored,  \
						sizeof(stored), &done);    \
		left = vmmem_copy_to_guest(seen.entry->host + seen.offset, \
					   &stored, sizeof(stored));       \
		if (likely(left != sizeof(stored)))                        \
			vmmem_seen_written(&seen, 0,                       \
					   sizeof(stored) - left);         \
		vmmem_unsee(&seen);                                        \
		return likely(left == 0) ? 0 : VMMEM_EGONE;               \
	}                                                                  \
                                                                           \
	static VMMEM_COLD int write_##name(                                \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		native value)                                              \
	{                                                                  \
		uint64_t done;                                             \
		type stored;                                               \
                                                                           \
		if (collection == NULL)                                    \
			return VMMEM_EARGUMENT;                               \
		if (collection->translation != NULL)                       \
			return see_to_##name(collection, gpa, value);      \
		to(&stored, value);                                        \
		return vmmem_write_slow(collection, gpa, &stored,          \
					sizeof(stored), &done);            \
	}                                                                  \
                                                                           \
	VMMEM_API int vmmem_collection_write_##name(                       \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		native value)                                              \
	{                                                                  \
		const struct vmmem_entry *entry;                           \
		uint64_t offset;                                           \
		type stored;                                               \
                                                                           \
		if (!likely(collection != NULL &&                          \
			    VMMEM_ALIGNED(gpa, sizeof(stored))))           \
			return write_##name(collection, gpa, value);       \
		entry = vmmem_find_direct(collection, gpa, sizeof(stored), \
					  VMMEM_PROT_WRITE, &offset);      \
		if (!likely(entry != NULL))                                \
			return collection->translation != NULL ?           \
				       see_to_##name(collection, gpa,      \
						     value) :              \
				       write_##name(collection, gpa,       \
						    value);                \
		to(&stored, value);                                        \
		if (!likely(vmmem_copy_aligned_to_guest(                   \
			    entry->host + offset, &stored,                 \
			    sizeof(stored))))                              \
			return VMMEM_EGONE;                               \
		return vmmem_written_all(entry, offset,                    \
					 sizeof(stored));                  \
	}

#define NATIVE_GET(value) (*(value))
#define NATIVE_SET(stored, value) (*(stored) = (value))

READ(u8, uint8_t, uint8_t, NATIVE_GET)
READ(u16, uint16_t, uint16_t, NATIVE_GET)
READ(u32, uint32_t, uint32_t, NATIVE_GET)
READ(u64, uint64_t, uint64_t, NATIVE_GET)

WRITE(u8, uint8_t, uint8_t, NATIVE_SET)
WRITE(u16, uint16_t, uint16_t, NATIVE_SET)
WRITE(u32, uint32_t, uint32_t, NATIVE_SET)
WRITE(u64, uint64_t, uint64_t, NATIVE_SET)

/* In the host's own order they are the same functions. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
VMMEM_TYPED_SAME_ALL(collection, const struct vmmem_collection *collection,
		     gpa, le)
READ(be16, vmmem_be16, uint16_t, vmmem_be16_get)
READ(be32, vmmem_be32, uint32_t, vmmem_be32_get)
READ(be64, vmmem_be64, uint64_t, vmmem_be64_get)
WRITE(be16, vmmem_be16, uint16_t, vmmem_be16_set)
WRITE(be32, vmmem_be32, uint32_t, vmmem_be32_set)
WRITE(be64, vmmem_be64, uint64_t, vmmem_be64_set)
#else
VMMEM_TYPED_SAME_ALL(collection, const struct vmmem_collection *collection,
		     gpa, be)
READ(le16, vmmem_le16, uint16_t, vmmem_le16_get)
READ(le32, vmmem_le32, uint32_t, vmmem_le32_get)
READ(le64, vmmem_le64, uint64_t, vmmem_le64_get)
WRITE(le16, vmmem_le16, uint16_t, vmmem_le16_set)
WRITE(le32, vmmem_le32, uint32_t, vmmem_le32_set)
WRITE(le64, vmmem_le64, uint64_t, vmmem_le64_set)
#endif
