#include "tests/e2e/shim.h"

static void record(struct shim *shim, enum access_kind kind, uint64_t at, unsigned bytes, uint32_t value)
{
	if (shim->count == shim->room) {
		shim->room = shim->room ? 2 * shim->room : 1024;
		shim->log = realloc(shim->log, shim->room * sizeof(*shim->log));
		ASSERT(shim->log);
	}
	shim->log[shim->count++] = (struct access){kind, at, bytes, value};
}

enum access_place shim_place(const struct shim *shim, const struct access *access, unsigned *offset)
{
	const struct virtio_device *virtio = &shim->m->blk.virtio;
	const struct pci_device *pci = &shim->m->blk.pci;
	const struct {
		uint64_t addr, bytes;
	} places[] = {
		[IN_COMMON] = {virtio->common.addr, virtio->common.bytes},
		[IN_NOTIFY] = {virtio->notify.addr, virtio->notify.bytes},
		[IN_ISR] = {virtio->isr.addr, virtio->isr.bytes},
		[IN_DEVICE] = {virtio->device.addr, virtio->device.bytes},
		[IN_MSIX] = {pci->msix_table, 16u * pci->msix_vectors},
	};
	if (access->kind == CONFIG_READ || access->kind == CONFIG_WRITE)
		return ELSEWHERE;
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		if (access->at - places[i].addr >= places[i].bytes)
			continue;
		*offset = (unsigned)(access->at - places[i].addr);
		return (enum access_place)i;
	}
	return ELSEWHERE;
}

/* ---- configuration space ---- */

void shim_show(struct shim *shim, unsigned reg, unsigned bytes, uint32_t value)
{
	for (unsigned i = 0; i < bytes; i++) {
		shim->config[reg + i] = (uint8_t)(value >> 8 * i);
		shim->config_shown[reg + i] = true;
	}
}

static uint32_t config_read(void *ctx, unsigned reg, unsigned bytes)
{
	struct shim *shim = ctx;
	uint32_t value = shim->real->config_read(shim->real->ctx, reg, bytes);
	for (unsigned i = 0; i < bytes && reg + i < PCI_CFG_SPACE_SIZE; i++)
		if (shim->config_shown[reg + i])
			value = (value & ~(UINT32_C(0xff) << 8 * i)) | (uint32_t)shim->config[reg + i]
									       << 8 * i;
	record(shim, CONFIG_READ, reg, bytes, value);
	return value;
}

static void config_write(void *ctx, unsigned reg, unsigned bytes, uint32_t value)
{
	struct shim *shim = ctx;
	record(shim, CONFIG_WRITE, reg, bytes, value);
	shim->real->config_write(shim->real->ctx, reg, bytes, value);
}

/* ---- memory ---- */

static uint32_t other_features(const struct shim *shim, uint32_t value)
{
	if (shim->feature_select > 1)
		return value;
	unsigned shift = 32 * shim->feature_select;
	return (value & ~(uint32_t)(shim->hidden_features >> shift)) |
	       (uint32_t)(shim->added_features >> shift);
}

static uint32_t mmio_read(void *ctx, uint64_t addr, unsigned bytes)
{
	struct shim *shim = ctx;
	struct access access = {MMIO_READ, addr, bytes, shim->real->mmio_read(shim->real->ctx, addr, bytes)};
	if (addr == shim->m->blk.virtio.common.addr + VIRTIO_PCI_COMMON_DF)
		access.value = other_features(shim, access.value);
	if (shim->read)
		shim->read(shim, &access, &access.value);
	record(shim, MMIO_READ, addr, bytes, access.value);
	return access.value;
}

static void mmio_write(void *ctx, uint64_t addr, unsigned bytes, uint32_t value)
{
	struct shim *shim = ctx;
	const struct access access = {MMIO_WRITE, addr, bytes, value};
	if (addr == shim->m->blk.virtio.common.addr + VIRTIO_PCI_COMMON_DFSELECT)
		shim->feature_select = value;
	if (shim->write)
		shim->write(shim, &access);
	record(shim, MMIO_WRITE, addr, bytes, value);
	shim->real->mmio_write(shim->real->ctx, addr, bytes, value);
}

/* ---- the rest ---- */

static void *dma_alloc(void *ctx, uint64_t bytes, uint64_t align, enum dma_direction direction,
		       uint64_t *addr)
{
	struct shim *shim = ctx;
	return shim->real->dma_alloc(shim->real->ctx, bytes, align, direction, addr);
}

static void dma_sync(void *ctx)
{
	struct shim *shim = ctx;
	shim->real->dma_sync(shim->real->ctx);
	if (shim->sync)
		shim->sync(shim);
}

static void msi_message(void *ctx, unsigned cpu, unsigned vector, uint64_t *addr, uint32_t *data)
{
	struct shim *shim = ctx;
	shim->real->msi_message(shim->real->ctx, cpu, vector, addr, data);
}

static void delay_ns(void *ctx, uint64_t ns)
{
	struct shim *shim = ctx;
	shim->real->delay_ns(shim->real->ctx, ns);
}

void shim_insert(struct shim *shim, struct machine *m)
{
	*shim = (struct shim){.m = m, .real = m->ops};
	shim->ops = (struct host_ops){shim,      config_read, config_write, mmio_read, mmio_write,
				      dma_alloc, dma_sync,    msi_message,  delay_ns};
	m->ops = &shim->ops;
}
