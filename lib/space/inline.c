/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The exported twins of the accessors in vmmem/inline.h.  Their bodies are in
 * the header; here they are compiled as ordinary functions, which come back
 * with a code where memory is gone.
 */
#include <vmmem/endian.h>
#include <vmmem/reader.h>
#include <vmmem/slice.h>
#include <vmmem/slice_atomic.h>

#include "base/api.h"

/* From here on: the headers above have their own twins elsewhere. */
#undef VMMEM_INLINE
#define VMMEM_INLINE VMMEM_API

#include "guest/guest_atomic.h"
