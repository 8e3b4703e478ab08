/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What has been lost of each region's memory.  A signal handler writes it, and
 * finds the record of a region by the host address.  So nothing here takes a
 * lock, and a record that is given back stays a record, for the next region.
 */
#ifndef FAULT_LOG_H
#define FAULT_LOG_H

#include <stdbool.h>
#include <stdint.h>

struct vmmem_fault_record;

/*
 * VMMEM_SLICE_CALL while faults are caught, else 0: what slices that are made
 * now have in 'access' besides.  It is here, as every program with a region has
 * this file, and not all have the handler.
 */
extern uint32_t vmmem_fault_call;

/*
 * vmmem_fault_record_new() gives a record for the 'span' + 1 bytes at 'host',
 * NULL if they have no address.  Returns 0 or -ENOMEM.
 */
int vmmem_fault_record_new(const void *host, uint64_t span,
			   struct vmmem_fault_record **ret_record);

/*
 * vmmem_fault_record_free() comes before the memory is unmapped.  NULL: none.
 */
void vmmem_fault_record_free(struct vmmem_fault_record *record);

/* vmmem_fault_record_add() notes a fault of 'kind' at 'offset'. */
void vmmem_fault_record_add(struct vmmem_fault_record *record, uint64_t offset,
			    uint32_t kind);

/*
 * vmmem_fault_log_add() does so for whatever record has one of the 'len' bytes
 * at host address 'address', and tells whether there was one.
 */
bool vmmem_fault_log_add(uintptr_t address, uint64_t len, uint32_t kind);

uint64_t vmmem_fault_record_count(const struct vmmem_fault_record *record);

/* These return the kind, 0 if there was no fault, and store the offset. */
uint32_t vmmem_fault_record_first(const struct vmmem_fault_record *record,
				  uint64_t *ret_offset);
uint32_t vmmem_fault_record_last(const struct vmmem_fault_record *record,
				 uint64_t *ret_offset);

#endif
