/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Between i8086.c and i8086_decode.c: how an instruction finds its operands. */
#ifndef I8086_DECODE_H
#define I8086_DECODE_H

#include "i8086.h"

/* What an instruction works on: a register, or 1 or 2 bytes of memory. */
struct operand {
	bool in_memory;
	unsigned int reg;
	uint64_t address;
	unsigned int len;
};

/* One instruction on its way through the CPU. */
struct insn {
	struct i8086 *cpu;
	struct bus *bus;
	int segment; /* that a prefix asks for, or -1 */
	bool repeat;
	struct operand rm; /* from the ModRM byte ... */
	unsigned int reg;  /* ... which names a register too */
};

void set_segment(struct i8086 *cpu, unsigned int segment, uint16_t value);
uint16_t get_reg(const struct i8086 *cpu, unsigned int reg, unsigned int len);
void set_reg(struct i8086 *cpu, unsigned int reg, unsigned int len,
	     uint16_t value);

/* The next bytes of the instruction. */
uint8_t fetch8(struct insn *insn);
uint16_t fetch16(struct insn *insn);
uint16_t fetch(struct insn *insn, unsigned int len);
uint16_t sign_extended(uint8_t byte);

/* Fetches a ModRM byte and what belongs to it into insn->rm and insn->reg. */
void fetch_modrm(struct insn *insn, unsigned int len);

/* The physical address of 'offset' in 'segment', or in that of the prefix. */
uint64_t address_of(const struct insn *insn, int segment, uint16_t offset);

uint16_t get(const struct insn *insn, const struct operand *operand);
void set(const struct insn *insn, const struct operand *operand,
	 uint16_t value);

#endif
