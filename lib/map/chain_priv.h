/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Chains: ranges of guest addresses that are used as one run of bytes. */
#ifndef CHAIN_PRIV_H
#define CHAIN_PRIV_H

#include <vmmem/collection.h>

/* The rest of a chain. */
struct vmmem_chain {
	const struct vmmem_range *range;
	size_t count;
	uint64_t at; /* what of the first range is behind */
};

/* A length: to the end of the chain. */
#define VMMEM_CHAIN_REST UINT64_MAX

/*
 * vmmem_chain_skip() moves over the next 'len' bytes.  If the chain has less,
 * no range is left, and 'at' is by how many bytes it is too short.
 */
void vmmem_chain_skip(struct vmmem_chain *chain, uint64_t len);

/*
 * vmmem_chain_check() tells how many of the next 'len' bytes of a chain are
 * mapped and permit the access.  Returns 0 if that is all, else why not.
 */
int vmmem_chain_check(const struct vmmem_collection *collection,
		      uint32_t access, const struct vmmem_chain *chain,
		      uint64_t len, uint64_t *ret_len);

/*
 * vmmem_chain_tell() stores the guest address of the byte number 'at' in
 * 'ret_bad', if the chain has that byte and 'ret_bad' is not NULL.
 */
void vmmem_chain_tell(const struct vmmem_chain *chain, uint64_t at,
		      uint64_t *ret_bad);

#endif
