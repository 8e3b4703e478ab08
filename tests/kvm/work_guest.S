/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A guest in real mode that computes for as long as it is left to.  The host
 * sets SI to the vCPU's block, BP to the number before the first; DS is 0.
 * There is no stack.
 */
#include "work_layout.h"

	.arch	i386
	.code16
	.text
next:
	movw	%bp, %ax
	movw	$FACTOR, %cx
	mulw	%cx
	addw	$INCREMENT, %ax
	movw	%ax, %bp

	movw	%ax, %bx
	andw	$0x3f00, %bx
	addw	BLOCK_BASE(%si), %bx
	movw	%bx, %es
	movw	%ax, %di
	andw	$0x0ffe, %di
	addw	%ax, %es:(%di)

	movw	BLOCK_ALIAS(%si), %es
	movw	%ax, %di
	andw	$0x7ffe, %di
	addw	%ax, %es:(%di)

	movw	BLOCK_SPIN(%si), %cx
spin:
	loop	spin
	addl	$1, BLOCK_STEPS(%si)
	cmpw	$0, STOP
	je	next

	xorl	%eax, %eax
	xorl	%edx, %edx
	movw	BLOCK_BASE(%si), %bx
	movw	%bx, %bp
	addw	$BASE_LEN / 16, %bp
segment:
	movw	%bx, %es
	xorw	%di, %di
word:
	movw	%es:(%di), %dx
	addl	%edx, %eax
	incw	%di
	incw	%di
	jnz	word
	addw	$0x1000, %bx
	cmpw	%bp, %bx
	jne	segment
	movl	%eax, BLOCK_SUM(%si)
	outl	%eax, $REPORT_PORT
stop:
	hlt
	jmp	stop
