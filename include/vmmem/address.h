/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/address.h - arithmetic on guest physical addresses that cannot wrap
 * unnoticed.
 *
 * An address is any uint64_t.  Each helper is a small inline body here and an
 * exported function of the same name, compiled from that body.  All are pure
 * arithmetic: any thread, any time, also in a signal handler.  On failure the
 * output is not written.  Since: 0.1.
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
VMMEM_NODISCARD VMMEM_INLINE int
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

/*
 * vmmem_address_checked_sub() stores 'address' - 'offset'.  It also tells how
 * far an address lies above a base: pass the base as 'offset'.
 *
 * Returns 0, or
 *   VMMEM_EWRAPS     'offset' is greater than 'address'
 *   VMMEM_EARGUMENT  'ret_difference' is NULL
 */
VMMEM_NODISCARD VMMEM_INLINE int
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

/*
 * vmmem_address_overflowing_add() stores 'address' + 'offset' modulo 2^64.
 * Returns 1 if the sum wrapped, else 0.  'ret_sum' may be NULL.
 */
VMMEM_INLINE int
vmmem_address_overflowing_add(uint64_t address, uint64_t offset,
			      uint64_t *ret_sum)
{
	if (ret_sum != NULL)
		*ret_sum = address + offset;
	return offset > UINT64_MAX - address;
}

/*
 * vmmem_address_overflowing_sub() stores 'address' - 'offset' modulo 2^64.
 * Returns 1 if the difference wrapped, else 0.  'ret_difference' may be NULL.
 */
VMMEM_INLINE int
vmmem_address_overflowing_sub(uint64_t address, uint64_t offset,
			      uint64_t *ret_difference)
{
	if (ret_difference != NULL)
		*ret_difference = address - offset;
	return offset > address;
}

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
VMMEM_NODISCARD VMMEM_INLINE int
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

/*
 * vmmem_address_align_down() stores the largest multiple of 'alignment' that
 * is not above 'address'.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'alignment' is not a power of two (0 is none), or
 *                    'ret_aligned' is NULL
 */
VMMEM_NODISCARD VMMEM_INLINE int
vmmem_address_align_down(uint64_t address, uint64_t alignment,
			 uint64_t *ret_aligned)
{
	uint64_t low = alignment - 1;

	if (alignment == 0 || (alignment & low) != 0 || ret_aligned == NULL)
		return VMMEM_EARGUMENT;
	*ret_aligned = address & ~low;
	return 0;
}

/*
 * vmmem_address_is_aligned() returns 1 if 'address' is a multiple of
 * 'alignment', else 0; 0 too if 'alignment' is not a power of two.
 */
VMMEM_INLINE int
vmmem_address_is_aligned(uint64_t address, uint64_t alignment)
{
	uint64_t low = alignment - 1;

	return alignment != 0 && (alignment & low) == 0 && (address & low) == 0;
}

/* vmmem_address_mask() returns the bits of 'address' that are set in 'mask'. */
VMMEM_INLINE uint64_t
vmmem_address_mask(uint64_t address, uint64_t mask)
{
	return address & mask;
}

/*
 * vmmem_address_range_last() stores the last address of a range of 'len'
 * bytes that starts at 'address'.  The last address may be 2^64 - 1.
 *
 * Returns 0, or
 *   VMMEM_EZEROLEN   'len' is 0: the range has no last address
 *   VMMEM_EWRAPS     the range would pass 2^64
 *   VMMEM_EARGUMENT  'ret_last' is NULL
 */
VMMEM_NODISCARD VMMEM_INLINE int
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

VMMEM_END_DECLS

#endif
