/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Moving bytes and elements to, from and between slices. */
#include <vmmem/error.h>
#include <vmmem/slice.h>

#include "base/api.h"
#include "guest/copy.h"
#include "region/slice_priv.h"

/* check() tells whether 'len' bytes, more than 0, may be accessed. */
static int
check(const struct vmmem_slice *slice, uint64_t offset, uint64_t len,
      uint32_t access)
{
	if (!vmmem_slice_holds(slice, offset, len))
		return VMMEM_EOUTOFRANGE;
	if (!likely((access & ~slice->access) == 0))
		return vmmem_slice_ask(slice, offset, len, access);
	return 0;
}

/*
 * written() ends a write of 'len' bytes of which 'left' found their memory
 * gone.  The others begin at 'offset', and are marked.
 */
static int
written(const struct vmmem_slice *slice, uint64_t offset, uint64_t len,
	uint64_t left)
{
	if (likely(left == 0)) {
		vmmem_slice_written(slice, offset, len);
		return 0;
	}
	if (left != len)
		vmmem_slice_written(slice, offset, len - left);
	return VMMEM_EGONE;
}

/* read_bytes() and write_bytes() also store how many bytes were moved. */
static inline int
read_bytes(const struct vmmem_slice *slice, uint64_t offset, void *buf,
	   size_t len, size_t *ret_done)
{
	size_t left;
	int rc;

	*ret_done = 0;
	if (slice == NULL || (buf == NULL && len != 0))
		return VMMEM_EARGUMENT;
	if (len == 0)
		return 0;
	rc = check(slice, offset, len, VMMEM_PROT_READ);
	if (rc != 0)
		return rc;
	left = vmmem_copy_from_guest(buf, vmmem_slice_host(slice, offset), len);
	*ret_done = len - left;
	return likely(left == 0) ? 0 : VMMEM_EGONE;
}

static inline int
write_bytes(const struct vmmem_slice *slice, uint64_t offset, const void *buf,
	    size_t len, size_t *ret_done)
{
	size_t left;
	int rc;

	*ret_done = 0;
	if (slice == NULL || (buf == NULL && len != 0))
		return VMMEM_EARGUMENT;
	if (len == 0)
		return 0;
	rc = check(slice, offset, len, VMMEM_PROT_WRITE);
	if (rc != 0)
		return rc;
	left = vmmem_copy_to_guest(vmmem_slice_host(slice, offset), buf, len);
	*ret_done = len - left;
	return written(slice, offset, len, left);
}

VMMEM_API int
vmmem_slice_read(const struct vmmem_slice *slice, uint64_t offset, void *buf,
		 size_t len)
{
	size_t done;

	return read_bytes(slice, offset, buf, len, &done);
}

VMMEM_API int
vmmem_slice_write(const struct vmmem_slice *slice, uint64_t offset,
		  const void *buf, size_t len)
{
	size_t done;

	return write_bytes(slice, offset, buf, len, &done);
}

/* clip() is how many of 'len' bytes from 'offset' on the slice has. */
static size_t
clip(const struct vmmem_slice *slice, uint64_t offset, size_t len)
{
	uint64_t more = offset < slice->len ? slice->len - offset : 0;

	return len < more ? len : (size_t)more;
}

VMMEM_API int
vmmem_slice_read_some(const struct vmmem_slice *slice, uint64_t offset,
		      void *buf, size_t len, size_t *ret_done)
{
	size_t most, done;
	int rc;

	if (slice == NULL || (buf == NULL && len != 0))
		return VMMEM_EARGUMENT;
	most = clip(slice, offset, len);
	rc = read_bytes(slice, offset, buf, most, &done);
	if (rc == 0 && most < len)
		rc = VMMEM_EOUTOFRANGE;
	if (ret_done != NULL)
		*ret_done = done;
	return rc;
}

VMMEM_API int
vmmem_slice_write_some(const struct vmmem_slice *slice, uint64_t offset,
		       const void *buf, size_t len, size_t *ret_done)
{
	size_t most, done;
	int rc;

	if (slice == NULL || (buf == NULL && len != 0))
		return VMMEM_EARGUMENT;
	most = clip(slice, offset, len);
	rc = write_bytes(slice, offset, buf, most, &done);
	if (rc == 0 && most < len)
		rc = VMMEM_EOUTOFRANGE;
	if (ret_done != NULL)
		*ret_done = done;
	return rc;
}

VMMEM_API int
vmmem_slice_fill(const struct vmmem_slice *slice, uint64_t offset,
		 uint64_t len, uint8_t value)
{
	size_t left;
	int rc;

	if (slice == NULL)
		return VMMEM_EARGUMENT;
	if (len == 0)
		return 0;
	rc = check(slice, offset, len, VMMEM_PROT_WRITE);
	if (rc != 0)
		return rc;
	left = vmmem_copy_fill(vmmem_slice_host(slice, offset), value, len);
	return written(slice, offset, len, left);
}

VMMEM_API int
vmmem_slice_copy(const struct vmmem_slice *target, uint64_t target_offset,
		 const struct vmmem_slice *source, uint64_t source_offset,
		 uint64_t len)
{
	const void *from;
	size_t left;
	void *to;
	int rc;

	if (target == NULL || source == NULL)
		return VMMEM_EARGUMENT;
	if (len == 0)
		return 0;
	rc = check(source, source_offset, len, VMMEM_PROT_READ);
	if (rc == 0)
		rc = check(target, target_offset, len, VMMEM_PROT_WRITE);
	if (rc != 0)
		return rc;
	to = vmmem_slice_host(target, target_offset);
	from = vmmem_slice_host(source, source_offset);
	left = vmmem_copy_within_guest(to, from, len);
	/* Of a copy that is not upwards the last bytes are done. */
	if (!vmmem_transfer_is_upwards((uintptr_t)to, (uintptr_t)from, len))
		target_offset += left;
	return written(target, target_offset, len, left);
}

/*
 * elements() turns elements [index, index + count) into bytes.  If the end fits
 * 64 bits the length does, too, as 'count' is a size_t.
 */
static int
elements(uint64_t index, size_t element_size, size_t count,
	 uint64_t *ret_offset, uint64_t *ret_len)
{
	uint64_t end;

	*ret_offset = 0;
	*ret_len = 0;
	if (element_size == 0)
		return VMMEM_EARGUMENT;
	/* Zero elements succeed, whatever the index. */
	if (count == 0)
		return 0;
	if (__builtin_add_overflow(index, count, &end) ||
	    __builtin_mul_overflow(end, element_size, &end))
		return VMMEM_ETOOBIG;
	*ret_offset = index * element_size;
	*ret_len = (uint64_t)count * element_size;
	return 0;
}

VMMEM_API int
vmmem_slice_read_elements(const struct vmmem_slice *slice, uint64_t index,
			  size_t element_size, size_t count, void *buf)
{
	uint64_t offset, len;
	int rc;

	rc = elements(index, element_size, count, &offset, &len);
	return rc != 0 ? rc : vmmem_slice_read(slice, offset, buf, len);
}

VMMEM_API int
vmmem_slice_write_elements(const struct vmmem_slice *slice, uint64_t index,
			   size_t element_size, size_t count, const void *buf)
{
	uint64_t offset, len;
	int rc;

	rc = elements(index, element_size, count, &offset, &len);
	return rc != 0 ? rc : vmmem_slice_write(slice, offset, buf, len);
}

VMMEM_API int
vmmem_slice_copy_elements(const struct vmmem_slice *target,
			  uint64_t target_index,
			  const struct vmmem_slice *source,
			  uint64_t source_index, size_t element_size,
			  size_t count)
{
	uint64_t to, from, len;
	int rc;

	rc = elements(target_index, element_size, count, &to, &len);
	if (rc == 0)
		rc = elements(source_index, element_size, count, &from, &len);
	return rc != 0 ? rc : vmmem_slice_copy(target, to, source, from, len);
}

VMMEM_API int
vmmem_slice_load_element(const struct vmmem_slice *slice, uint64_t index,
			 size_t element_size, void *ret_element)
{
	return vmmem_slice_read_elements(slice, index, element_size, 1,
					 ret_element);
}

VMMEM_API int
vmmem_slice_store_element(const struct vmmem_slice *slice, uint64_t index,
			  size_t element_size, const void *element)
{
	return vmmem_slice_write_elements(slice, index, element_size, 1,
					  element);
}
