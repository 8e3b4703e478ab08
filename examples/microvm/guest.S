/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The guest: 16-bit real-mode code in ROM, for an 8086 and all that came
 * after.  guest.h holds its bytes, so that hosts without an x86 assembler can
 * build the example; tests/guest_bytes.sh compares the two, and with --update
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
	cmpw	$COMMAND_WORK, %ax
	je	work
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

/*
 * Work, a step for each number of the pattern, until there is a command.  BP
 * is the number.  layout.h says what a step does.
 */
work:
	movw	ARG_SEED, %bp
work_next:
	movw	%bp, %ax
	movw	$PATTERN_FACTOR, %bx
	mulw	%bx
	addw	$PATTERN_INCREMENT, %ax
	movw	%ax, %bp
	mulw	%ax
	shrw	$1, %dx			/* the 6 highest bits of the square */
	shrw	$1, %dx			/* choose one of 64 pages */
	andw	$0x3f00, %dx
	addw	$WORK_SEGMENT, %dx
	movw	%dx, %es
	movw	%bp, %di		/* and 5 of the number one of 32 */
	andw	$0x0f80, %di		/* blocks */
	movw	%bp, %ax
	movw	$WORK_WORDS, %cx
work_word:
	addw	%ax, %es:(%di)
	incw	%ax
	incw	%di
	incw	%di
	loop	work_word
	addw	$1, WORK_STEPS
	adcw	$0, WORK_STEPS + 2
	cmpw	$0, MAILBOX
	je	work_next
	movw	$0, MAILBOX

/* A checksum of all that was worked on, as above. */
	movw	$WORK_SEGMENT, %ax
	xorw	%bx, %bx
	xorw	%dx, %dx
	xorw	%si, %si
worked_segment:
	movw	%ax, %es
worked_word:
	addw	%es:(%si), %bx
	adcw	$0, %bx
	addw	%bx, %dx
	adcw	$0, %dx
	incw	%si
	incw	%si
	jnz	worked_word
	addw	$0x1000, %ax
	cmpw	$WORK_SEGMENT + WORK_LEN / 16, %ax
	jne	worked_segment
	movw	%bx, RESULT_SUM
	movw	%dx, RESULT_SUM + 2
	movw	$REPORT_WORKED, %ax
	jmp	report

	.org	GUEST_SIGNATURE, 0xf4
	.ascii	"libvmmem"

/* The first instruction after reset. */
	.org	GUEST_RESET, 0xf4
	ljmp	$GUEST_SEGMENT, $0
	.org	GUEST_LEN, 0xf4
