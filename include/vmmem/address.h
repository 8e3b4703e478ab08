/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/address.h - arithmetic on guest physical addresses that cannot wrap
 * unnoticed.
 *
 * An address is any uint64_t.  Each helper is a small inline body here and an
 * exported function of the same name, compiled from that body.  All are pure
 * arithmetic: any thread, any time, also in a signal handler.  On failure the
 * output is not written.  Since: 0.9.
 */
#ifndef VMMEM_ADDRESS_H
#define VMMEM_ADDRESS_H

#include <vmmem/base.h>
#include <vmmem/error.h>

VMMEM_BEGIN_DECLS

/*
 * vmmem_address_checked_add() stores 'address' + 'offset'.
 *
 * Returns 0, or
 *   VMMEM_EWRAPS     the sum is 2^64 or more
 *   VMMEM_EARGUMENT  'ret_sum' is NULL
 */
VMMEM_NODISCARD int
vmmem_address_checked_add(uint64_t address, uint64_t offset,
			  uint64_t *ret_sum);

/*
 * vmmem_address_checked_sub() stores 'address' - 'offset'.  It also tells how
 * far an address lies above a base: pass the base as 'offset'.
 *
 * Returns 0, or
 *   VMMEM_EWRAPS     'offset' is greater than 'address'
 *   VMMEM_EARGUMENT  'ret_difference' is NULL
 */
VMMEM_NODISCARD int
vmmem_address_checked_sub(uint64_t address, uint64_t offset,
			  uint64_t *ret_difference);

/*
 * vmmem_address_align_up() stores the smallest multiple of 'alignment' that is
 * not below 'address'.  An address that is a multiple already stays as it is,
 * at the very top of the address space too.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'alignment' is not a power of two (0 is none), or
 *                    'ret_aligned' is NULL
 *   VMMEM_EWRAPS     the multiple would be 2^64
 */
VMMEM_NODISCARD int
vmmem_address_align_up(uint64_t address, uint64_t alignment,
		       uint64_t *ret_aligned);

/*
 * vmmem_address_align_down() stores the largest multiple of 'alignment' that
 * is not above 'address'.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'alignment' is not a power of two (0 is none), or
 *                    'ret_aligned' is NULL
 */
VMMEM_NODISCARD int
vmmem_address_align_down(uint64_t address, uint64_t alignment,
			 uint64_t *ret_aligned);

/*
 * vmmem_address_range_last() stores the last address of a range of 'len'
 * bytes that starts at 'address'.  The last address may be 2^64 - 1.
 *
 * Returns 0, or
 *   VMMEM_EZEROLEN   'len' is 0: the range has no last address
 *   VMMEM_EWRAPS     the range would pass 2^64
 *   VMMEM_EARGUMENT  'ret_last' is NULL
 */
VMMEM_NODISCARD int
vmmem_address_range_last(uint64_t address, uint64_t len, uint64_t *ret_last);

#ifndef VMMEM_NO_INLINE

VMMEM_INLINE int
vmmem_address_checked_add(uint64_t address, uint64_t offset,
			  uint64_t *ret_sum)
{
	if (ret_sum == NULL)
		return VMMEM_EARGUMENT;
	if (offset > UINT64_MAX - address)
		return VMMEM_EWRAPS;
	*ret_sum = address + offset;
	return 0;
}

VMMEM_INLINE int
vmmem_address_checked_sub(uint64_t address, uint64_t offset,
			  uint64_t *ret_difference)
{
	if (ret_difference == NULL)
		return VMMEM_EARGUMENT;
	if (offset > address)
		return VMMEM_EWRAPS;
	*ret_difference = address - offset;
	return 0;
}

VMMEM_INLINE int
vmmem_address_align_up(uint64_t address, uint64_t alignment,
		       uint64_t *ret_aligned)
{
	uint64_t low = alignment - 1;

	if (alignment == 0 || (alignment & low) != 0 || ret_aligned == NULL)
		return VMMEM_EARGUMENT;
	if ((address & low) != 0 && (address | low) == UINT64_MAX)
		return VMMEM_EWRAPS;
	*ret_aligned = (address + low) & ~low;
	return 0;
}

VMMEM_INLINE int
vmmem_address_align_down(uint64_t address, uint64_t alignment,
			 uint64_t *ret_aligned)
{
	uint64_t low = alignment - 1;

	if (alignment == 0 || (alignment & low) != 0 || ret_aligned == NULL)
		return VMMEM_EARGUMENT;
	*ret_aligned = address & ~low;
	return 0;
}

VMMEM_INLINE int
vmmem_address_range_last(uint64_t address, uint64_t len, uint64_t *ret_last)
{
	if (ret_last == NULL)
		return VMMEM_EARGUMENT;
	if (len == 0)
		return VMMEM_EZEROLEN;
	if (len - 1 > UINT64_MAX - address)
		return VMMEM_EWRAPS;
	*ret_last = address + (len - 1);
	return 0;
}

#endif

VMMEM_END_DECLS

#endif
