/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/reader_access.h - an access to a space's current map in one call.
 *
 * Each function vmmem_reader_X() does what vmmem_collection_X() of
 * vmmem/access.h or vmmem/atomic.h does, on the space's current map: it is a
 * section of its own, from vmmem_reader_enter() to vmmem_reader_leave().
 * Within a section of the reader it uses the section's map.  A NULL reader is
 * VMMEM_EARGUMENT.
 *
 * All of it is in this header alone, and no symbol of the library: a program in
 * another language makes the section by itself.
 *
 * Two calls outside of a section may see two different maps.  A caller whose
 * accesses belong together makes one section around all of them.
 *
 * The thread that uses the reader.  No lock is taken, nothing is allocated and
 * nobody is waited for.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_READER_ACCESS_H
#define VMMEM_READER_ACCESS_H

#include <vmmem/access.h>
#include <vmmem/atomic.h>
#include <vmmem/base.h>
#include <vmmem/reader.h>

VMMEM_BEGIN_DECLS

#ifndef VMMEM_NO_INLINE

/*
 * Defines vmmem_reader_NAME(), which passes 'arguments' on.  The function that
 * it calls refuses a NULL map, and a pointer that must not be NULL.
 */
#define VMMEM_READER_ACCESS(name, parameters, arguments)                   \
	VMMEM_NODISCARD VMMEM_STATIC_INLINE int                            \
	vmmem_reader_##name parameters                                     \
	{                                                                  \
		const struct vmmem_collection *map =                       \
			vmmem_reader_enter(reader);                        \
		const int rc = vmmem_collection_##name arguments;          \
									   \
		vmmem_reader_leave(reader);                                \
		return rc;                                                 \
	}

/* Bytes: the functions of vmmem/access.h with the same endings. */
VMMEM_READER_ACCESS(read,
		    (struct vmmem_reader *reader, uint64_t gpa, void *buf,
		     size_t len, size_t *ret_done),
		    (map, gpa, buf, len, ret_done))
VMMEM_READER_ACCESS(read_some,
		    (struct vmmem_reader *reader, uint64_t gpa, void *buf,
		     size_t len, size_t *ret_done),
		    (map, gpa, buf, len, ret_done))
VMMEM_READER_ACCESS(write,
		    (struct vmmem_reader *reader, uint64_t gpa, const void *buf,
		     size_t len, size_t *ret_done),
		    (map, gpa, buf, len, ret_done))
VMMEM_READER_ACCESS(write_some,
		    (struct vmmem_reader *reader, uint64_t gpa, const void *buf,
		     size_t len, size_t *ret_done),
		    (map, gpa, buf, len, ret_done))
VMMEM_READER_ACCESS(fill,
		    (struct vmmem_reader *reader, uint64_t gpa, uint64_t len,
		     uint8_t value, uint64_t *ret_done),
		    (map, gpa, len, value, ret_done))
VMMEM_READER_ACCESS(fill_some,
		    (struct vmmem_reader *reader, uint64_t gpa, uint64_t len,
		     uint8_t value, uint64_t *ret_done),
		    (map, gpa, len, value, ret_done))
VMMEM_READER_ACCESS(copy,
		    (struct vmmem_reader *reader, uint64_t target,
		     uint64_t source, uint64_t len, uint64_t *ret_done),
		    (map, target, source, len, ret_done))

/*
 * Integers, and loads and stores as vmmem/atomic.h has them.  All other atomics
 * are made with vmmem_collection_...(), in a section of the caller's.
 */
#define VMMEM_READER_ACCESS_ALL(bits)                                      \
	VMMEM_READER_ACCESS(read_u##bits,                                  \
			    (struct vmmem_reader *reader, uint64_t gpa,    \
			     uint##bits##_t *ret_value),                   \
			    (map, gpa, ret_value))                         \
	VMMEM_READER_ACCESS(write_u##bits,                                 \
			    (struct vmmem_reader *reader, uint64_t gpa,    \
			     uint##bits##_t value),                        \
			    (map, gpa, value))                             \
	VMMEM_READER_ACCESS(load_u##bits,                                  \
			    (struct vmmem_reader *reader, uint64_t gpa,    \
			     int order, uint##bits##_t *ret_value),        \
			    (map, gpa, order, ret_value))                  \
	VMMEM_READER_ACCESS(store_u##bits,                                 \
			    (struct vmmem_reader *reader, uint64_t gpa,    \
			     uint##bits##_t value, int order),             \
			    (map, gpa, value, order))

VMMEM_READER_ACCESS_ALL(8)
VMMEM_READER_ACCESS_ALL(16)
VMMEM_READER_ACCESS_ALL(32)
VMMEM_READER_ACCESS_ALL(64)

#undef VMMEM_READER_ACCESS
#undef VMMEM_READER_ACCESS_ALL

#endif

VMMEM_END_DECLS

#endif
