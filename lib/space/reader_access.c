/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The accesses of a collection, each in a section of a reader. */
#include <vmmem/access.h>
#include <vmmem/atomic.h>
#include <vmmem/inline.h>
#include <vmmem/reader_access.h>

#include "base/api.h"

/*
 * IN_SECTION() defines vmmem_reader_NAME(), which passes 'arguments' on.  The
 * function that it calls refuses a pointer that must not be NULL.
 */
#define IN_SECTION(name, parameters, arguments)                            \
	VMMEM_API int vmmem_reader_##name parameters                       \
	{                                                                  \
		struct vmmem_collection *map = vmmem_reader_enter(reader);  \
		int rc = vmmem_collection_##name arguments;                \
                                                                           \
		vmmem_reader_leave(reader);                              \
		return rc;                                                 \
	}

IN_SECTION(read, (struct vmmem_reader *reader, uint64_t gpa, void *buf,
		  size_t len, size_t *ret_done),
	   (map, gpa, buf, len, ret_done))
IN_SECTION(read_some, (struct vmmem_reader *reader, uint64_t gpa, void *buf,
		       size_t len, size_t *ret_done),
	   (map, gpa, buf, len, ret_done))
IN_SECTION(write, (struct vmmem_reader *reader, uint64_t gpa, const void *buf,
		   size_t len, size_t *ret_done),
	   (map, gpa, buf, len, ret_done))
IN_SECTION(write_some, (struct vmmem_reader *reader, uint64_t gpa,
			const void *buf, size_t len, size_t *ret_done),
	   (map, gpa, buf, len, ret_done))
IN_SECTION(fill, (struct vmmem_reader *reader, uint64_t gpa, uint64_t len,
		  uint8_t value, uint64_t *ret_done),
	   (map, gpa, len, value, ret_done))
IN_SECTION(fill_some, (struct vmmem_reader *reader, uint64_t gpa,
		       uint64_t len, uint8_t value, uint64_t *ret_done),
	   (map, gpa, len, value, ret_done))
IN_SECTION(copy, (struct vmmem_reader *reader, uint64_t target,
		  uint64_t source, uint64_t len, uint64_t *ret_done),
	   (map, target, source, len, ret_done))

#define INTEGER(type, native)                                              \
	IN_SECTION(read_##type, (struct vmmem_reader *reader, uint64_t gpa, \
				 native *ret_value),                       \
		   (map, gpa, ret_value))                                  \
	IN_SECTION(write_##type, (struct vmmem_reader *reader,             \
				  uint64_t gpa, native value),             \
		   (map, gpa, value))

INTEGER(u8, uint8_t)
INTEGER(u16, uint16_t)
INTEGER(u32, uint32_t)
INTEGER(u64, uint64_t)

#define ATOMIC(bits)                                                       \
	IN_SECTION(load_u##bits, (struct vmmem_reader *reader,             \
				  uint64_t gpa, int order,                 \
				  uint##bits##_t *ret_value),              \
		   (map, gpa, order, ret_value))                           \
	IN_SECTION(store_u##bits, (struct vmmem_reader *reader,            \
				   uint64_t gpa, uint##bits##_t value,     \
				   int order),                             \
		   (map, gpa, value, order))

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)
