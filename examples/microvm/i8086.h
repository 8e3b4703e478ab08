/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * An interpreter for the 8086: the common integer, string and jump
 * instructions in real mode.  No stack, no interrupts, no input.
 */
#ifndef I8086_H
#define I8086_H

#include <stdbool.h>
#include <stdint.h>

/* The memory that the CPU is attached to; addresses are physical. */
struct bus;

uint8_t bus_fetch(struct bus *bus, uint64_t address);
uint16_t bus_read(struct bus *bus, uint64_t address, unsigned int len);
void bus_write(struct bus *bus, uint64_t address, unsigned int len,
	       uint16_t value);

/* The numbers that instructions have for them. */
enum { AX, CX, DX, BX, SP, BP, SI, DI };
enum { ES, CS, SS, DS };

struct i8086 {
	uint16_t reg[8];
	uint64_t base[4]; /* of the segments, as addresses */
	uint16_t segment[4];
	uint16_t ip;
	bool carry, zero, sign, overflow;

	/* After I8086_OUT. */
	uint16_t port;
	uint16_t out;
	unsigned int out_len;
};

enum i8086_event {
	I8086_NONE,
	I8086_PAUSE,   /* the guest waits for somebody */
	I8086_OUT,
	I8086_HALT,
	I8086_UNKNOWN, /* not one of the instructions that we know */
};

/* Sets the CPU to what it is after reset. */
void i8086_reset(struct i8086 *cpu);

/*
 * Executes one instruction, or one round of a repeated one.  With
 * I8086_UNKNOWN the CPU is not changed.
 */
enum i8086_event i8086_step(struct i8086 *cpu, struct bus *bus);

#endif
