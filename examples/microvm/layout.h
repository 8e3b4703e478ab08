/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What the guest and the host agree on.  guest.S includes this too, so there
 * is nothing here but plain numbers.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

/* The machine's memory, by guest physical address. */
#define LOW_RAM 0x00000000
#define LOW_RAM_LEN 0xa0000
#define HOTPLUG 0x000c0000 /* nothing is here at power-on */
#define HOTPLUG_LEN 0x10000
#define ROM_LOW 0x000f0000 /* the ROM where 16-bit code reaches it, */
#define ROM_TOP 0xffff0000 /* and where an x86 starts after reset */
#define ROM_LEN 0x10000

/*
 * The guest program fills the end of the ROM, so that the reset vector, 16
 * bytes below the end, is part of it.  It runs in a segment of its own.
 */
#define GUEST_LEN 0x200
#define GUEST_SEGMENT 0xffe0
#define GUEST_SIGNATURE 0x1e0 /* offset of 8 bytes of text */
#define GUEST_RESET 0x1f0     /* offset of the reset vector */
#define RESET_VECTOR 0xfffffff0

/* The mailbox, in low RAM.  All fields are 16-bit and little-endian. */
#define MAILBOX 0x500	  /* a command; the guest takes it and stores 0 */
#define HEARTBEAT 0x502	  /* counts while the guest waits for a command */
#define ARG_SEGMENT 0x504 /* of COMMAND_FILL and COMMAND_PROBE */
#define ARG_WORDS 0x506	  /* of COMMAND_FILL */
#define ARG_SEED 0x508	  /* of COMMAND_FILL and COMMAND_WORK */
#define RESULT_COUNT 0x510
#define RESULT_SUM 0x514  /* 32-bit: of the primes, or the checksum */
#define RESULT_SEEN 0x518 /* what the guest read */
#define WORK_STEPS 0x51c  /* 32-bit: counts the steps of COMMAND_WORK */

#define COMMAND_FILL 1	/* fill ARG_WORDS words with a pattern; checksum */
#define COMMAND_PROBE 2 /* read a word */
#define COMMAND_POKE 3	/* write to the ROM and read it back */
#define COMMAND_HALT 4
#define COMMAND_WORK 5 /* work until the next command, whatever it is */
#define COMMAND_REST 6 /* ends the work */

/* The guest says that a result is ready with a 16-bit out to this port. */
#define REPORT_PORT 0x80
#define REPORT_PRIMES 0x1001
#define REPORT_FILLED 0x1002
#define REPORT_PROBED 0x1003
#define REPORT_POKED 0x1004
#define REPORT_WORKED 0x1005

/* Where the guest keeps its sieve and the table of primes: segments. */
#define SIEVE_SEGMENT 0x1000
#define PRIMES_SEGMENT 0x2000

/*
 * The work.  Each step takes the next number of the pattern and adds it, the
 * number after it, and so on, to the words of a block.  The number's square
 * says in which page, so that the first pages are written to the most, and the
 * number itself in which block of the page.
 */
#define WORK_SEGMENT 0x4000
#define WORK_PAGES 64
#define WORK_BLOCKS 32 /* in a page of 4096 bytes */
#define WORK_WORDS 64  /* in a block */
#define WORK_LEN (WORK_PAGES * WORK_BLOCKS * WORK_WORDS * 2)

/* The pattern: each word is the one before times this plus that. */
#define PATTERN_FACTOR 25173
#define PATTERN_INCREMENT 13849

#define POKE_BYTE 0x55

#endif
