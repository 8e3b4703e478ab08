/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What tests/abi/sample.h declares. */
#include "base/api.h"

/* The header's body is declaration and definition in one. */
#define VMMEM_INLINE VMMEM_API

#include <vmmem/sample.h>

VMMEM_API int
vmmem_sample_new(const struct vmmem_sample_options *options,
		 struct vmmem_sample **ret_sample)
{
	*ret_sample = NULL;
	return options != NULL;
}

VMMEM_API struct vmmem_sample *
vmmem_sample_free(struct vmmem_sample *sample)
{
	(void)sample;
	return NULL;
}

VMMEM_API int
vmmem_sample_read(const struct vmmem_sample *sample, uint64_t gpa, uint64_t len,
		  void *buf)
{
	return sample != NULL && gpa != len && buf != NULL;
}

VMMEM_API int
vmmem_sample_write(struct vmmem_sample *sample, uint64_t gpa, const void *buf,
		   size_t len)
{
	return sample != NULL && gpa != len && buf != NULL;
}

VMMEM_API const char *
vmmem_sample_name(const struct vmmem_sample *sample)
{
	return sample != NULL ? "sample" : NULL;
}
