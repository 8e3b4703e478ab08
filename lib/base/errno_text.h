/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Names and texts of the system's errors. */
#ifndef ERRNO_TEXT_H
#define ERRNO_TEXT_H

/* Both return a constant, or NULL if there is no such errno. */
const char *vmmem_errno_name(int number);
const char *vmmem_errno_sentence(int number);

#endif
