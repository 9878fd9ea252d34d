/* Hardware access: the only volatile accesses of the firmware.
 *
 * On the card these are loads and stores. Unit tests on the build machine define HAL_MOCK and supply the functions. */
#ifndef KICKSTAND_FIRMWARE_HAL_H
#define KICKSTAND_FIRMWARE_HAL_H

#include "csr.h"
#include "pcie/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef HAL_MOCK

uint32_t reg_read(uint32_t addr);
void reg_write(uint32_t addr, uint32_t value);
/* The request memory. */
uint8_t *hal_sram(void);
/* Sleep until an enabled event. */
void hal_wait(void);
_Noreturn void hal_panic(uint32_t code);

#else

static inline uint32_t reg_read(uint32_t addr)
{
	return *(volatile uint32_t *)addr;
}

static inline void reg_write(uint32_t addr, uint32_t value)
{
	*(volatile uint32_t *)addr = value;
}

static inline uint8_t *hal_sram(void)
{
	return (uint8_t *)SRAM_BASE;
}

/* Interrupts stay globally disabled: wfi returns as soon as one is pending, and the event loop looks for the cause.
 * An event that comes between the loop's last look and the wfi is pending by then, so none is slept through. */
static inline void hal_wait(void)
{
	__asm__ volatile("wfi" ::: "memory");
}

static inline _Noreturn void hal_panic(uint32_t code)
{
	reg_write(CSR_SYS_PANIC_ADDR, code);
	for (;;)
		hal_wait();
}

#endif

#define PANIC_TRAP      1u
#define PANIC_ASSERTION 2u

/* What only a bug of the firmware or the card can break. Nothing a driver does may lead here. */
static inline void firmware_assert(bool condition)
{
	if (!condition)
		hal_panic(PANIC_ASSERTION);
}

static inline struct slot *slot_at(unsigned slot)
{
	return (struct slot *)(hal_sram() + slot * SLOT_BYTES);
}

static inline struct slot_segment *slot_segments(unsigned slot)
{
	return (struct slot_segment *)(hal_sram() + slot * SLOT_BYTES + SLOT_SEGMENT_OFFSET);
}

/* Small data of a request, SLOT_LOCAL_BYTES. */
static inline void *slot_local(unsigned slot)
{
	return hal_sram() + slot * SLOT_BYTES + SLOT_LOCAL_OFFSET;
}

#endif
