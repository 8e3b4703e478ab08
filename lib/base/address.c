/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The exported twins of the helpers in vmmem/address.h.  Their bodies are in
 * the header; here they are compiled as ordinary functions.
 */
#include "base/api.h"

#undef VMMEM_INLINE
#define VMMEM_INLINE VMMEM_API

#include <vmmem/address.h>
