/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A guest in real mode that goes round and round: in each window it stores the
 * number of the lap and increments a word, whether there is memory or not.
 * It has no stack; DS is 0.
 */
#include "hotplug_layout.h"

	.arch	i386
	.code16
	.text
lap:
	incl	LAP
	movl	LAP, %eax
	movw	$WINDOW_SEGMENT, %bx
window:
	movw	%bx, %es
	movl	%eax, %es:WINDOW_LAP
	incl	%es:WINDOW_COUNT
	addw	$WINDOW_STRIDE, %bx
	cmpw	$WINDOW_SEGMENT + WINDOWS * WINDOW_STRIDE, %bx
	jne	window
	cmpw	$0, TELL
	jne	tell
	testw	%ax, %ax
	jnz	lap
tell:
	outl	%eax, $REPORT_PORT
	jmp	lap
