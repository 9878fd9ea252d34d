/* What the driver asks of the machine it runs on. One implementation is the simulated host (host-sim/guest.c); a client
 * of a device socket would be another. All calls may block in simulated time. */
#ifndef KICKSTAND_HOST_SIM_DRIVER_HOST_OPS_H
#define KICKSTAND_HOST_SIM_DRIVER_HOST_OPS_H

#include "pcie/base.h"

/* What the device may do to DMA memory. IN_ORDER: a ring, whose parts the driver relies on to appear in the order in which
 * they were written, so that relaxed ordering is forbidden there (PCIe ORD-002). */
enum dma_direction {
	DMA_TO_DEVICE = 1,
	DMA_FROM_DEVICE = 2,
	DMA_BOTH = 3,
	DMA_IN_ORDER = 4,
	DMA_RING_FROM_DEVICE = DMA_FROM_DEVICE | DMA_IN_ORDER
};

struct host_ops {
	void *ctx;
	/* Configuration space of the card; 1, 2 or 4 bytes. */
	uint32_t (*config_read)(void *ctx, unsigned reg, unsigned bytes);
	void (*config_write)(void *ctx, unsigned reg, unsigned bytes, uint32_t value);
	/* Memory-mapped registers; 1, 2, 4 bytes. Writes are posted. */
	uint32_t (*mmio_read)(void *ctx, uint64_t addr, unsigned bytes);
	void (*mmio_write)(void *ctx, uint64_t addr, unsigned bytes, uint32_t value);
	/* Zeroed memory for DMA at a multiple of `align`; its bus address in *addr. NULL if there is none left. */
	void *(*dma_alloc)(void *ctx, uint64_t bytes, uint64_t align, enum dma_direction direction,
			   uint64_t *addr);
	/* Makes what the device has written by now visible, before the driver looks at DMA memory. */
	void (*dma_sync)(void *ctx);
	/* Address and data of an interrupt message that reaches CPU `cpu` as vector `vector`. */
	void (*msi_message)(void *ctx, unsigned cpu, unsigned vector, uint64_t *addr, uint32_t *data);
	void (*delay_ns)(void *ctx, uint64_t ns);
};

#endif
