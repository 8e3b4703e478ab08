/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/version.h - the version of these headers and of the loaded library.
 *
 * This file is the one place where the version is written; SONAMEs, symbol
 * nodes and the packages' files are made of it.
 */
#ifndef VMMEM_VERSION_H
#define VMMEM_VERSION_H

#include <vmmem/base.h>

VMMEM_BEGIN_DECLS

#define VMMEM_VERSION_MAJOR 0
#define VMMEM_VERSION_MINOR 1
#define VMMEM_VERSION_PATCH 0

/* One number that grows with each release: major, minor, patch, 8 bits each. */
#define VMMEM_VERSION                                                      \
	((VMMEM_VERSION_MAJOR << 16) | (VMMEM_VERSION_MINOR << 8) |        \
	 VMMEM_VERSION_PATCH)

/*
 * vmmem_version() returns VMMEM_VERSION of the library that is loaded, which
 * may be newer than the headers a program was compiled with.
 *
 * Any thread, any time, also in a signal handler.  Since: 0.1.
 */
uint32_t vmmem_version(void);

/*
 * vmmem_version_string() returns the loaded library's version as text,
 * "major.minor.patch".  The string is constant and never freed.
 *
 * Any thread, any time, also in a signal handler.  Since: 0.1.
 */
const char *vmmem_version_string(void);

VMMEM_END_DECLS

#endif
