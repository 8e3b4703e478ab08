/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A plugin that has a static copy of the library, or the shared one: where its
 * calls go.
 */
#include <dlfcn.h>
#include <stddef.h>

#include <vmmem/vmmem.h>

const char *plugin_version_of(void);

/* plugin_version_of() returns the file whose vmmem_version() this file calls. */
const char *
plugin_version_of(void)
{
	uint32_t (*version)(void) = vmmem_version;
	union {
		uint32_t (*function)(void);
		void *address;
	} at = { .function = version };
	Dl_info info;

	if (version() != VMMEM_VERSION || vmmem_region_unref(NULL) != NULL)
		return NULL;
	return dladdr(at.address, &info) != 0 ? info.dli_fname : NULL;
}
