/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What COMMAND_WORK should come to, as the host computes it. */
#ifndef WORK_H
#define WORK_H

#include <stdint.h>

#include "layout.h"

#define WORK_TOTAL (WORK_LEN / 2)

/*
 * Fills 'ret_words' with what memory that was zero holds after the guest has
 * worked for 'steps' steps from 'seed', and returns the checksum of it.
 */
uint32_t work_expected(uint16_t seed, uint32_t steps,
		       uint16_t ret_words[WORK_TOTAL]);

#endif
