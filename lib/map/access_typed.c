/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* One integer at a time, in the byte order of the host. */
#include <vmmem/access.h>
#include <vmmem/error.h>

#include "map/access_priv.h"
#include "base/api.h"
#include "map/collection_priv.h"
#include "guest/copy.h"
#include "map/translate.h"

/*
 * The fast path has no call in it, so that it needs no stack; all other cases
 * are in a function of their own.
 */
#define READ(name, type)                                                   \
	static VMMEM_HOT int translated_read_##name(                       \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		type *ret_value)                                           \
	{                                                                  \
		struct vmmem_place place;                                  \
		uint64_t done;                                             \
		type value;                                                \
		int rc = 0;                                                \
                                                                           \
		if (likely(vmmem_translate_direct(                         \
			    collection, gpa, sizeof(value),                \
			    VMMEM_PROT_READ, &place))) {                   \
			if (!likely(vmmem_copy_from_guest(                 \
					    &value,                        \
					    place.entry->host +            \
						    place.offset,          \
					    sizeof(value)) == 0))          \
				rc = VMMEM_EGONE;                          \
			vmmem_translate_end(&place);                       \
		} else {                                                   \
			rc = vmmem_access_read_slow(collection, gpa,       \
						    &value, sizeof(value), \
						    &done);                \
		}                                                          \
		if (rc == 0)                                               \
			*ret_value = value;                                \
		return rc;                                                 \
	}                                                                  \
                                                                           \
	static VMMEM_COLD int read_##name(                                 \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		type *ret_value)                                           \
	{                                                                  \
		uint64_t done;                                             \
		type value;                                                \
		int rc;                                                    \
                                                                           \
		if (collection == NULL || ret_value == NULL)               \
			return VMMEM_EARGUMENT;                            \
		if (collection->translation != NULL)                       \
			return translated_read_##name(collection, gpa,     \
						      ret_value);          \
		rc = vmmem_access_read_slow(collection, gpa, &value,       \
					    sizeof(value), &done);         \
		if (rc == 0)                                               \
			*ret_value = value;                                \
		return rc;                                                 \
	}                                                                  \
                                                                           \
	VMMEM_API int vmmem_collection_read_##name(                        \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		type *ret_value)                                           \
	{                                                                  \
		const struct vmmem_region_entry *entry;                    \
		uint64_t offset;                                           \
		type value;                                                \
                                                                           \
		if (!likely(collection != NULL && ret_value != NULL &&     \
			    VMMEM_ALIGNED(gpa, sizeof(value))))            \
			return read_##name(collection, gpa, ret_value);    \
		entry = vmmem_collection_find_direct(collection, gpa,      \
						     sizeof(value),        \
						     VMMEM_PROT_READ,      \
						     &offset);             \
		if (!likely(entry != NULL))                                \
			return collection->translation != NULL ?           \
				       translated_read_##name(collection,  \
							      gpa,         \
							      ret_value) : \
				       read_##name(collection, gpa,        \
						   ret_value);             \
		if (!likely(vmmem_copy_aligned_from_guest(                 \
			    &value, entry->host + offset, sizeof(value)))) \
			return VMMEM_EGONE;                                \
		*ret_value = value;                                        \
		return 0;                                                  \
	}

#define WRITE(name, type)                                                  \
	static VMMEM_HOT int translated_write_##name(                      \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		type value)                                                \
	{                                                                  \
		struct vmmem_place place;                                  \
		uint64_t done;                                             \
		size_t left;                                               \
                                                                           \
		if (!likely(vmmem_translate_direct(                        \
			    collection, gpa, sizeof(value),                \
			    VMMEM_PROT_WRITE, &place)))                    \
			return vmmem_access_write_slow(collection, gpa,    \
						       &value,             \
						       sizeof(value),      \
						       &done);             \
		left = vmmem_copy_to_guest(place.entry->host +             \
						   place.offset,           \
					   &value, sizeof(value));         \
		if (likely(left != sizeof(value)))                         \
			vmmem_place_written(&place, 0,                     \
					    sizeof(value) - left);         \
		vmmem_translate_end(&place);                               \
		return likely(left == 0) ? 0 : VMMEM_EGONE;                \
	}                                                                  \
                                                                           \
	static VMMEM_COLD int write_##name(                                \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		type value)                                                \
	{                                                                  \
		uint64_t done;                                             \
                                                                           \
		if (collection == NULL)                                    \
			return VMMEM_EARGUMENT;                            \
		if (collection->translation != NULL)                       \
			return translated_write_##name(collection, gpa,    \
						       value);             \
		return vmmem_access_write_slow(collection, gpa, &value,    \
					       sizeof(value), &done);      \
	}                                                                  \
                                                                           \
	VMMEM_API int vmmem_collection_write_##name(                       \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		type value)                                                \
	{                                                                  \
		const struct vmmem_region_entry *entry;                    \
		uint64_t offset;                                           \
                                                                           \
		if (!likely(collection != NULL &&                          \
			    VMMEM_ALIGNED(gpa, sizeof(value))))            \
			return write_##name(collection, gpa, value);       \
		entry = vmmem_collection_find_direct(collection, gpa,      \
						     sizeof(value),        \
						     VMMEM_PROT_WRITE,     \
						     &offset);             \
		if (!likely(entry != NULL))                                \
			return collection->translation != NULL ?           \
				       translated_write_##name(            \
					       collection, gpa, value) :   \
				       write_##name(collection, gpa,       \
						    value);                \
		if (!likely(vmmem_copy_aligned_to_guest(                   \
			    entry->host + offset, &value, sizeof(value)))) \
			return VMMEM_EGONE;                                \
		return vmmem_mark_written_all(entry, offset,               \
					      sizeof(value));              \
	}

READ(u8, uint8_t)
READ(u16, uint16_t)
READ(u32, uint32_t)
READ(u64, uint64_t)

WRITE(u8, uint8_t)
WRITE(u16, uint16_t)
WRITE(u32, uint32_t)
WRITE(u64, uint64_t)
