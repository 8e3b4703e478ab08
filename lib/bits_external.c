/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <endian.h>

#include "bits.h"
#include "guest_atomic.h"

uint64_t
vmmem_bits_external_word(const uint64_t *word)
{
	uint64_t value;

	/* Acquire: what was written before a bit was set is seen after it. */
	if (vmmem_inline_load_u64(word, VMMEM_ORDER_ACQUIRE, &value) != 0)
		return 0;
	return le64toh(value);
}

void
vmmem_bits_external_set(uint64_t *word, uint64_t mask)
{
	uint64_t previous;

	/*
	 * Never skipped: whoever clears the bits makes no barrier.  Release:
	 * the data comes before the mark.
	 */
	(void)vmmem_inline_fetch_or_u64(word, htole64(mask),
					VMMEM_ORDER_ACQ_REL, &previous);
}

void
vmmem_bits_external_clear(uint64_t *word, uint64_t mask)
{
	uint64_t previous;

	/* Acquire: the data is looked at after the bit is cleared. */
	(void)vmmem_inline_fetch_and_u64(word, htole64(~mask),
					 VMMEM_ORDER_ACQ_REL, &previous);
}

void
vmmem_bits_external_fill(uint64_t *word, const uint64_t *end)
{
	/* All bits become set, so that a store loses nobody's mark. */
	for (; word != end; word++)
		(void)vmmem_inline_store_u64(word, UINT64_MAX,
					     VMMEM_ORDER_RELEASE);
}

uint64_t
vmmem_bits_external_take(uint64_t *word)
{
	uint64_t value;

	/* Most are zero, and there is no summary above that was cleared. */
	if (vmmem_bits_external_word(word) == 0)
		return 0;
	/*
	 * Acquire: what the markers did before is seen from here on.  Nothing
	 * is stored where the word has gone since it was looked at.
	 */
	if (vmmem_inline_exchange_u64(word, 0, VMMEM_ORDER_ACQ_REL, &value) != 0)
		return 0;
	return le64toh(value);
}
