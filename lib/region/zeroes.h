/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Finding out that bytes are zero. */
#ifndef ZEROES_H
#define ZEROES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * vmmem_zeroes_in_memory() is for memory that no other thread changes
 * meanwhile.
 */
bool vmmem_zeroes_in_memory(const unsigned char *bytes, size_t len);

/*
 * vmmem_zeroes_in_file() is whether a file reads as zero in [offset,
 * offset + len); behind its end it does, and if it cannot be read it does not.
 * Reading makes no pages in shared memory, nor in that of the pool.
 */
bool vmmem_zeroes_in_file(int fd, uint64_t offset, uint64_t len);

#endif
