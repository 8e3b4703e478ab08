/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The guest: 16-bit real-mode code in ROM, for an 8086 and all that came
 * after.  guest.h holds its bytes, so that hosts without an x86 assembler can
 * build the example; tests/microvm_guest.sh compares the two, and with --update
 * writes guest.h anew.
 *
 * There is no stack and there are no interrupts.  DS is 0, where the mailbox
 * is, but for the few lines that say otherwise.
 */
#include "layout.h"

	.arch	i8086
	.code16
	.text
rom:
	cld
	xorw	%ax, %ax
	movw	%ax, %ds

/*
 * The sieve of Eratosthenes.  Byte n of the sieve segment is 1 once n is
 * known to be a product; the numbers from 0 to 65535 just fill a segment.
 */
	movw	$SIEVE_SEGMENT, %bx
	movw	%bx, %es
	xorw	%di, %di
	movw	$0x8000, %cx
	rep stosw			/* AX is 0 */

	movw	$2, %bx
next_factor:
	cmpb	$0, %es:(%bx)
	jne	not_prime
	movw	%bx, %ax
	mulw	%bx			/* below the square all is done */
	movw	%ax, %di
strike:
	movb	$1, %es:(%di)
	addw	%bx, %di
	jnc	strike
not_prime:
	incw	%bx
	cmpw	$256, %bx		/* 256 * 256 is past the end */
	jb	next_factor

/* Make a table of what is left, and add it up in DX:BX. */
	movw	%es, %ax
	movw	%ax, %ds		/* DS:SI walks the sieve */
	movw	$PRIMES_SEGMENT, %ax
	movw	%ax, %es		/* ES:DI walks the table */
	xorw	%di, %di
	xorw	%bx, %bx
	xorw	%dx, %dx
	movw	$2, %si
collect:
	cmpb	$0, (%si)
	jne	skip
	movw	%si, %ax
	stosw
	addw	%ax, %bx
	adcw	$0, %dx
skip:
	incw	%si
	jnz	collect			/* 65535 was the last */

	xorw	%ax, %ax
	movw	%ax, %ds
	shrw	$1, %di			/* bytes to words */
	movw	%di, RESULT_COUNT
	movw	%bx, RESULT_SUM
	movw	%dx, RESULT_SUM + 2
	movw	$REPORT_PRIMES, %ax
report:
	outw	%ax, $REPORT_PORT

/* Show that we are alive until the host has something for us. */
idle:
	incw	HEARTBEAT
	rep; nop			/* "pause" to a newer CPU */
	movw	MAILBOX, %ax
	testw	%ax, %ax
	jz	idle
	movw	$0, MAILBOX
	cmpw	$COMMAND_FILL, %ax
	je	fill
	cmpw	$COMMAND_PROBE, %ax
	je	probe
	cmpw	$COMMAND_POKE, %ax
	je	poke
stop:
	hlt
	jmp	stop

/* Fill the segment that the host names with a pattern. */
fill:
	movw	ARG_SEGMENT, %es
	movw	ARG_WORDS, %cx
	movw	ARG_SEED, %ax
	movw	$PATTERN_FACTOR, %bx
	xorw	%di, %di
fill_next:
	mulw	%bx
	addw	$PATTERN_INCREMENT, %ax
	stosw
	loop	fill_next

/*
 * Read it back for a Fletcher-32 checksum: BX sums the words, DX sums what BX
 * comes to after each, both with the carry brought round.
 */
	movw	ARG_WORDS, %cx
	xorw	%bx, %bx
	xorw	%dx, %dx
	xorw	%si, %si
sum_next:
	addw	%es:(%si), %bx
	adcw	$0, %bx
	addw	%bx, %dx
	adcw	$0, %dx
	incw	%si
	incw	%si
	loop	sum_next
	movw	%bx, RESULT_SUM
	movw	%dx, RESULT_SUM + 2
	movw	$REPORT_FILLED, %ax
	jmp	report

/* Read the first word of the segment that the host names. */
probe:
	movw	ARG_SEGMENT, %es
	movw	%es:0, %ax
	movw	%ax, RESULT_SEEN
	movw	$REPORT_PROBED, %ax
	jmp	report

/* Try to change the ROM. */
poke:
	movb	$POKE_BYTE, %cs:GUEST_SIGNATURE
	movw	%cs:GUEST_SIGNATURE, %ax
	movw	%ax, RESULT_SEEN
	movw	$REPORT_POKED, %ax
	jmp	report

	.org	GUEST_SIGNATURE, 0xf4
	.ascii	"libvmmem"

/* The first instruction after reset. */
	.org	GUEST_RESET, 0xf4
	ljmp	$GUEST_SEGMENT, $0
	.org	GUEST_LEN, 0xf4
