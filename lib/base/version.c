/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The version of the library that is loaded. */
#include <vmmem/version.h>

#include "base/api.h"

#define TEXT(x) #x
#define NUMBER(x) TEXT(x)

VMMEM_API uint32_t
vmmem_version(void)
{
	return VMMEM_VERSION;
}

VMMEM_API const char *
vmmem_version_string(void)
{
	return NUMBER(VMMEM_VERSION_MAJOR) "." NUMBER(
		VMMEM_VERSION_MINOR) "." NUMBER(VMMEM_VERSION_PATCH);
}
