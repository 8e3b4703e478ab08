/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The bytes of an instruction, and the registers and memory that they name. */
#include "i8086_decode.h"

void
set_segment(struct i8086 *cpu, unsigned int segment, uint16_t value)
{
	cpu->segment[segment] = value;
	cpu->base[segment] = (uint64_t)value << 4;
}

uint8_t
fetch8(struct insn *insn)
{
	struct i8086 *cpu = insn->cpu;

	return bus_fetch(insn->bus, cpu->base[CS] + cpu->ip++);
}

uint16_t
fetch16(struct insn *insn)
{
	uint8_t low = fetch8(insn);

	return (uint16_t)(fetch8(insn) << 8 | low);
}

uint16_t
fetch(struct insn *insn, unsigned int len)
{
	return len == 1 ? fetch8(insn) : fetch16(insn);
}

uint16_t
sign_extended(uint8_t byte)
{
	return (uint16_t)(byte < 0x80 ? byte : byte | 0xff00);
}

uint64_t
address_of(const struct insn *insn, int segment, uint16_t offset)
{
	if (insn->segment >= 0)
		segment = insn->segment;
	return insn->cpu->base[segment] + offset;
}

/* Byte registers 0 to 3 are the low halves of AX to BX, 4 to 7 the high. */
uint16_t
get_reg(const struct i8086 *cpu, unsigned int reg, unsigned int len)
{
	if (len == 2)
		return cpu->reg[reg];
	return (cpu->reg[reg & 3] >> (reg < 4 ? 0 : 8)) & 0xff;
}

void
set_reg(struct i8086 *cpu, unsigned int reg, unsigned int len, uint16_t value)
{
	uint16_t *whole = &cpu->reg[len == 2 ? reg : reg & 3];

	if (len == 2)
		*whole = value;
	else if (reg < 4)
		*whole = (uint16_t)((*whole & 0xff00) | (value & 0xff));
	else
		*whole = (uint16_t)((*whole & 0xff) | (value & 0xff) << 8);
}

uint16_t
get(const struct insn *insn, const struct operand *operand)
{
	if (operand->in_memory)
		return bus_read(insn->bus, operand->address, operand->len);
	return get_reg(insn->cpu, operand->reg, operand->len);
}

void
set(const struct insn *insn, const struct operand *operand, uint16_t value)
{
	if (operand->in_memory)
		bus_write(insn->bus, operand->address, operand->len, value);
	else
		set_reg(insn->cpu, operand->reg, operand->len, value);
}

void
fetch_modrm(struct insn *insn, unsigned int len)
{
	const uint16_t *reg = insn->cpu->reg;
	const uint16_t offset[8] = {
		(uint16_t)(reg[BX] + reg[SI]), (uint16_t)(reg[BX] + reg[DI]),
		(uint16_t)(reg[BP] + reg[SI]), (uint16_t)(reg[BP] + reg[DI]),
		reg[SI], reg[DI], reg[BP], reg[BX],
	};
	uint8_t modrm = fetch8(insn);
	unsigned int mod = modrm >> 6;
	unsigned int rm = modrm & 7;
	int segment = rm == 2 || rm == 3 || rm == 6 ? SS : DS;
	uint16_t displacement = 0;

	insn->reg = (modrm >> 3) & 7;
	insn->rm = (struct operand){ .reg = rm, .len = len };
	if (mod == 3)
		return;
	insn->rm.in_memory = true;
	if (mod == 0 && rm == 6) {
		insn->rm.address = address_of(insn, DS, fetch16(insn));
		return;
	}
	if (mod == 1)
		displacement = sign_extended(fetch8(insn));
	else if (mod == 2)
		displacement = fetch16(insn);
	insn->rm.address = address_of(insn, segment,
				      (uint16_t)(offset[rm] + displacement));
}
