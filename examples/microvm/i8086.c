/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What the instructions do. */
#include <string.h>

#include "i8086_decode.h"

/* ALU operations, by their number in the instruction set. */
enum { ADD, OR, ADC, SBB, AND, SUB, XOR, CMP };

void
i8086_reset(struct i8086 *cpu)
{
	memset(cpu, 0, sizeof(*cpu));
	/* Since the 386 the first fetch is just below 4 GiB. */
	cpu->segment[CS] = 0xf000;
	cpu->base[CS] = 0xffff0000;
	cpu->ip = 0xfff0;
}

static uint16_t
alu(struct i8086 *cpu, unsigned int op, uint32_t a, uint32_t b,
    unsigned int len)
{
	uint32_t top = len == 1 ? 0x80 : 0x8000;
	uint32_t mask = top | (top - 1);
	uint32_t carry = (op == ADC || op == SBB) && cpu->carry;
	uint32_t result;

	cpu->carry = false;
	cpu->overflow = false;
	switch (op) {
	case AND:
		result = a & b;
		break;
	case OR:
		result = a | b;
		break;
	case XOR:
		result = a ^ b;
		break;
	case ADD:
	case ADC:
		result = a + b + carry;
		cpu->carry = result > mask;
		cpu->overflow = (~(a ^ b) & (a ^ result) & top) != 0;
		break;
	default: /* SUB, SBB, CMP */
		result = a - b - carry;
		cpu->carry = a < b + carry;
		cpu->overflow = ((a ^ b) & (a ^ result) & top) != 0;
	}
	cpu->zero = (result & mask) == 0;
	cpu->sign = (result & top) != 0;
	return (uint16_t)(result & mask);
}

/* INC and DEC leave the carry flag as it is. */
static uint16_t
step_by_one(struct i8086 *cpu, unsigned int op, uint16_t a, unsigned int len)
{
	bool carry = cpu->carry;
	uint16_t result = alu(cpu, op, a, 1, len);

	cpu->carry = carry;
	return result;
}

/* Instructions 00 to 3f: eight operations in six forms each. */
static enum i8086_event
alu_block(struct insn *insn, uint8_t opcode)
{
	struct i8086 *cpu = insn->cpu;
	unsigned int op = opcode >> 3;
	unsigned int len = (opcode & 1) + 1;
	struct operand a, b;
	uint16_t right, result;

	if ((opcode & 7) >= 6)
		return I8086_UNKNOWN;
	if (opcode & 4) {
		a = (struct operand){ .reg = AX, .len = len };
		right = fetch(insn, len);
	} else {
		fetch_modrm(insn, len);
		b = (struct operand){ .reg = insn->reg, .len = len };
		a = opcode & 2 ? b : insn->rm;
		right = get(insn, opcode & 2 ? &insn->rm : &b);
	}
	result = alu(cpu, op, get(insn, &a), right, len);
	if (op != CMP)
		set(insn, &a, result);
	return I8086_NONE;
}

/* Instructions 80, 81 and 83: an operation with a constant. */
static enum i8086_event
alu_constant(struct insn *insn, uint8_t opcode)
{
	unsigned int len = (opcode & 1) + 1;
	uint16_t right, result;

	fetch_modrm(insn, len);
	right = opcode == 0x81 ? fetch16(insn) : sign_extended(fetch8(insn));
	if (len == 1)
		right &= 0xff;
	result = alu(insn->cpu, insn->reg, get(insn, &insn->rm), right, len);
	if (insn->reg != CMP)
		set(insn, &insn->rm, result);
	return I8086_NONE;
}

static enum i8086_event
jump_if(struct insn *insn, uint8_t opcode)
{
	struct i8086 *cpu = insn->cpu;
	bool less = cpu->sign != cpu->overflow;
	const bool conditions[8] = {
		cpu->overflow, cpu->carry, cpu->zero, cpu->carry || cpu->zero,
		cpu->sign, false, less, less || cpu->zero,
	};
	unsigned int condition = (opcode >> 1) & 7;
	uint16_t distance = sign_extended(fetch8(insn));

	if (condition == 5)
		return I8086_UNKNOWN; /* parity */
	if (conditions[condition] != (opcode & 1))
		cpu->ip = (uint16_t)(cpu->ip + distance);
	return I8086_NONE;
}

/* Instructions aa to ad: STOS and LODS, and one round of REP. */
static enum i8086_event
string(struct insn *insn, uint8_t opcode, uint16_t start)
{
	struct i8086 *cpu = insn->cpu;
	unsigned int len = (opcode & 1) + 1;
	bool store = opcode < 0xac;
	uint16_t *index = &cpu->reg[store ? DI : SI];

	if (insn->repeat && cpu->reg[CX] == 0)
		return I8086_NONE;
	if (store)
		bus_write(insn->bus, cpu->base[ES] + *index, len,
			  get_reg(cpu, AX, len));
	else
		set_reg(cpu, AX, len,
			bus_read(insn->bus, address_of(insn, DS, *index), len));
	*index = (uint16_t)(*index + len);
	if (insn->repeat && --cpu->reg[CX] != 0)
		cpu->ip = start;
	return I8086_NONE;
}

static enum i8086_event
multiply(struct insn *insn)
{
	struct i8086 *cpu = insn->cpu;
	uint32_t product;

	fetch_modrm(insn, 2);
	if (insn->reg != 4)
		return I8086_UNKNOWN;
	product = (uint32_t)cpu->reg[AX] * get(insn, &insn->rm);
	cpu->reg[AX] = (uint16_t)product;
	cpu->reg[DX] = (uint16_t)(product >> 16);
	cpu->carry = cpu->overflow = cpu->reg[DX] != 0;
	return I8086_NONE;
}

static enum i8086_event
shift_right(struct insn *insn, unsigned int len)
{
	struct i8086 *cpu = insn->cpu;
	uint16_t value, result;

	fetch_modrm(insn, len);
	if (insn->reg != 5)
		return I8086_UNKNOWN;
	value = get(insn, &insn->rm);
	result = alu(cpu, OR, value >> 1U, 0, len);
	cpu->carry = (value & 1) != 0;
	cpu->overflow = (value >> (8 * len - 1)) != 0;
	set(insn, &insn->rm, result);
	return I8086_NONE;
}

static enum i8086_event
move(struct insn *insn, uint8_t opcode)
{
	struct i8086 *cpu = insn->cpu;
	unsigned int len = (opcode & 1) + 1;
	struct operand direct = { .in_memory = true, .len = len };

	switch (opcode) {
	case 0x88: case 0x89: /* register to memory */
		fetch_modrm(insn, len);
		set(insn, &insn->rm, get_reg(cpu, insn->reg, len));
		return I8086_NONE;
	case 0x8a: case 0x8b:
		fetch_modrm(insn, len);
		set_reg(cpu, insn->reg, len, get(insn, &insn->rm));
		return I8086_NONE;
	case 0x8c: case 0x8e: /* segment registers */
		fetch_modrm(insn, 2);
		if (insn->reg > DS || (opcode == 0x8e && insn->reg == CS))
			return I8086_UNKNOWN;
		if (opcode == 0x8c)
			set(insn, &insn->rm, cpu->segment[insn->reg]);
		else
			set_segment(cpu, insn->reg, get(insn, &insn->rm));
		return I8086_NONE;
	case 0xa0: case 0xa1: /* AX and a constant address */
		direct.address = address_of(insn, DS, fetch16(insn));
		set_reg(cpu, AX, len, get(insn, &direct));
		return I8086_NONE;
	case 0xa2: case 0xa3:
		direct.address = address_of(insn, DS, fetch16(insn));
		set(insn, &direct, get_reg(cpu, AX, len));
		return I8086_NONE;
	default: /* c6, c7: constant to memory */
		fetch_modrm(insn, len);
		if (insn->reg != 0)
			return I8086_UNKNOWN;
		set(insn, &insn->rm, fetch(insn, len));
		return I8086_NONE;
	}
}

/* go() is for what changes where the program goes on. */
static enum i8086_event
go(struct insn *insn, uint8_t opcode)
{
	struct i8086 *cpu = insn->cpu;
	uint16_t word;

	switch (opcode) {
	case 0xe2: /* LOOP */
		word = sign_extended(fetch8(insn));
		if (--cpu->reg[CX] != 0)
			cpu->ip = (uint16_t)(cpu->ip + word);
		break;
	case 0xea: /* JMP to another segment */
		word = fetch16(insn);
		set_segment(cpu, CS, fetch16(insn));
		cpu->ip = word;
		break;
	default: /* e9, eb: JMP */
		word = opcode == 0xe9 ? fetch16(insn)
				      : sign_extended(fetch8(insn));
		cpu->ip = (uint16_t)(cpu->ip + word);
		break;
	}
	return I8086_NONE;
}

/* in_blocks() is for opcodes that hold an operation or a register. */
static enum i8086_event
in_blocks(struct insn *insn, uint8_t opcode)
{
	struct i8086 *cpu = insn->cpu;
	unsigned int len;
	uint16_t word;

	if (opcode < 0x40)
		return alu_block(insn, opcode);
	if (opcode < 0x50) {
		word = cpu->reg[opcode & 7];
		cpu->reg[opcode & 7] =
			step_by_one(cpu, opcode < 0x48 ? ADD : SUB, word, 2);
		return I8086_NONE;
	}
	if (opcode >= 0x70 && opcode < 0x80)
		return jump_if(insn, opcode);
	if (opcode >= 0xb0 && opcode < 0xc0) {
		len = opcode < 0xb8 ? 1 : 2;
		set_reg(cpu, opcode & 7, len, fetch(insn, len));
		return I8086_NONE;
	}
	return I8086_UNKNOWN;
}

/* of_size() is for opcodes whose lowest bit says how long the operands are. */
static enum i8086_event
of_size(struct insn *insn, uint8_t opcode)
{
	const unsigned int len = (opcode & 1) + 1;
	struct i8086 *cpu = insn->cpu;

	switch (opcode) {
	case 0x84: case 0x85: /* TEST */
		fetch_modrm(insn, len);
		alu(cpu, AND, get(insn, &insn->rm),
		    get_reg(cpu, insn->reg, len), len);
		return I8086_NONE;
	case 0xd0: case 0xd1:
		return shift_right(insn, len);
	case 0xe6: case 0xe7: /* OUT */
		cpu->port = fetch8(insn);
		cpu->out = get_reg(cpu, AX, len);
		cpu->out_len = len;
		return I8086_OUT;
	case 0xfe: case 0xff: /* INC, DEC */
		fetch_modrm(insn, len);
		if (insn->reg > 1)
			return I8086_UNKNOWN;
		set(insn, &insn->rm,
		    step_by_one(cpu, insn->reg == 0 ? ADD : SUB,
				get(insn, &insn->rm), len));
		return I8086_NONE;
	default:
		return in_blocks(insn, opcode);
	}
}

static enum i8086_event
execute(struct insn *insn, uint16_t start)
{
	uint8_t opcode = fetch8(insn);

	/* Prefixes.  More than these two cannot be: each counts once. */
	for (int i = 0; i < 2; i++) {
		if ((opcode & 0xe7) == 0x26)
			insn->segment = (opcode >> 3) & 3;
		else if (opcode == 0xf3)
			insn->repeat = true;
		else
			break;
		opcode = fetch8(insn);
	}

	switch (opcode) {
	case 0x80: case 0x81: case 0x83:
		return alu_constant(insn, opcode);
	case 0x88: case 0x89: case 0x8a: case 0x8b: case 0x8c: case 0x8e:
	case 0xa0: case 0xa1: case 0xa2: case 0xa3: case 0xc6: case 0xc7:
		return move(insn, opcode);
	case 0x90: /* NOP; as F3 90, PAUSE */
		return insn->repeat ? I8086_PAUSE : I8086_NONE;
	case 0xaa: case 0xab: case 0xac: case 0xad:
		return string(insn, opcode, start);
	case 0xe2: case 0xe9: case 0xea: case 0xeb:
		return go(insn, opcode);
	case 0xf4:
		return I8086_HALT;
	case 0xf7:
		return multiply(insn);
	case 0xfc: /* CLD: strings are always walked upwards */
		return I8086_NONE;
	default:
		return of_size(insn, opcode);
	}
}

enum i8086_event
i8086_step(struct i8086 *cpu, struct bus *bus)
{
	struct insn insn = { .cpu = cpu, .bus = bus, .segment = -1 };
	uint16_t start = cpu->ip;
	enum i8086_event event = execute(&insn, start);

	if (event == I8086_UNKNOWN)
		cpu->ip = start;
	return event;
}
