/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Whether the assembler can mark a section as one to be kept. */
__asm__(".pushsection vmmem_probe, \"aR\"\n"
	".long 0\n"
	".popsection\n");

int
main(void)
{
	return 0;
}
