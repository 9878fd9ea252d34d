/* The bus between the core and the registers of the blocks: one 4 KiB window a block (csr.toml). */
#ifndef KICKSTAND_RTL_MODEL_CSR_BUS_H
#define KICKSTAND_RTL_MODEL_CSR_BUS_H

#include "csr.h"
#include "pcie/base.h"

#define CSR_WINDOWS 16u

struct csr_window {
	void *ctx;
	/* False: no such register. */
	bool (*read)(void *ctx, uint64_t now_ps, uint32_t offset, uint32_t *value);
	bool (*write)(void *ctx, uint64_t now_ps, uint32_t offset, uint32_t value);
};

struct csr_bus {
	struct csr_window window[CSR_WINDOWS];
};

/* False: nothing at that address, which is an access fault of the core. */
static inline bool csr_bus_read(const struct csr_bus *bus, uint64_t now_ps, uint32_t addr, uint32_t *value)
{
	uint32_t index = (addr - CSR_BASE) / CSR_WINDOW_BYTES;
	if (addr < CSR_BASE || index >= CSR_WINDOWS || (addr & 3) != 0 || !bus->window[index].read)
		return false;
	return bus->window[index].read(bus->window[index].ctx, now_ps, addr % CSR_WINDOW_BYTES, value);
}

static inline bool csr_bus_write(const struct csr_bus *bus, uint64_t now_ps, uint32_t addr, uint32_t value)
{
	uint32_t index = (addr - CSR_BASE) / CSR_WINDOW_BYTES;
	if (addr < CSR_BASE || index >= CSR_WINDOWS || (addr & 3) != 0 || !bus->window[index].write)
		return false;
	return bus->window[index].write(bus->window[index].ctx, now_ps, addr % CSR_WINDOW_BYTES, value);
}

#endif
