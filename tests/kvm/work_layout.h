/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What work_guest.S and the tests that run it agree on: plain numbers, as the
 * assembler reads this too.
 */
#ifndef WORK_LAYOUT_H
#define WORK_LAYOUT_H

/* Two vCPUs run the same program, each with a block of parameters at SI. */
#define VCPUS 2
#define PROGRAM 0x1000
#define STOP 0x500 /* 16-bit: not 0 ends the work */
#define BLOCK(i) (0x600 + (i) * 0x100)
#define BLOCK_STEPS 0x00 /* 32-bit: steps done */
#define BLOCK_SPIN 0x04	 /* 16-bit: rounds of a loop in each step, not 0 */
#define BLOCK_BASE 0x06	 /* the segment of 64 pages to work on */
#define BLOCK_ALIAS 0x08 /* the segment of 32 KiB to work on through an alias */
#define BLOCK_SUM 0x0c	 /* 32-bit: of all words of the 64 pages, at the end */
#define BLOCK_LEN 0x10

/*
 * Each step takes the next of 65536 numbers and adds it to two words, one in
 * the pages and one in the alias, that the number chooses.
 */
#define FACTOR 25173
#define INCREMENT 13849
#define BASE_LEN 0x40000
#define ALIAS_LEN 0x8000
#define BASE_OFFSET(number) (((number) & 0x3f00) * 16 + ((number) & 0x0ffe))
#define ALIAS_OFFSET(number) ((number) & 0x7ffe)

/* When all is done: a 32-bit out to this port, of the sum; and HLT. */
#define REPORT_PORT 0x80

#endif
