#include "rtl-model/blocks/sys/sys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#define FEATURE(bit) (UINT64_C(1) << (bit))

#ifndef VIRTIO_BLK_F_LIFETIME
#define VIRTIO_BLK_F_LIFETIME 15 /* virtio 1.4 §5.2.3, not in older kernel headers */
#endif
#ifndef VIRTIO_F_NOTIFICATION_DATA
#define VIRTIO_F_NOTIFICATION_DATA 38 /* virtio 1.4 §6 */
#endif

/* Features this configuration wants offered. The firmware leaves out what the medium cannot do. */
static uint64_t wanted_features(const struct config *config)
{
	const struct {
		bool on;
		uint64_t bits;
	} wishes[] = {
		{true, FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_BLK_F_SEG_MAX) |
			       FEATURE(VIRTIO_BLK_F_BLK_SIZE) | FEATURE(VIRTIO_BLK_F_FLUSH) |
			       FEATURE(VIRTIO_BLK_F_TOPOLOGY)},
		{config->device.size_max != 0, FEATURE(VIRTIO_BLK_F_SIZE_MAX)},
		{config->device.read_only, FEATURE(VIRTIO_BLK_F_RO)},
		{config->device.queues > 1, FEATURE(VIRTIO_BLK_F_MQ)},
		{config->virtio.config_wce, FEATURE(VIRTIO_BLK_F_CONFIG_WCE)},
		{config->virtio.discard, FEATURE(VIRTIO_BLK_F_DISCARD)},
		{config->virtio.write_zeroes, FEATURE(VIRTIO_BLK_F_WRITE_ZEROES)},
		{config->virtio.secure_erase, FEATURE(VIRTIO_BLK_F_SECURE_ERASE)},
		{config->virtio.lifetime, FEATURE(VIRTIO_BLK_F_LIFETIME)},
		{config->virtio.indirect, FEATURE(VIRTIO_RING_F_INDIRECT_DESC)},
		{config->virtio.event_idx, FEATURE(VIRTIO_RING_F_EVENT_IDX)},
		{config->virtio.in_order, FEATURE(VIRTIO_F_IN_ORDER)},
		{config->virtio.notification_data, FEATURE(VIRTIO_F_NOTIFICATION_DATA)},
		{config->virtio.ring_reset, FEATURE(VIRTIO_F_RING_RESET)},
		{config->virtio.access_platform,
		 FEATURE(VIRTIO_F_ACCESS_PLATFORM) | FEATURE(VIRTIO_F_ORDER_PLATFORM)},
	};
	uint64_t features = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(wishes); i++)
		features |= wishes[i].on ? wishes[i].bits : 0;
	return features;
}

void sys_init(struct sys *sys, const struct config *config, const struct store_info *store,
	      const struct sys_ports *ports)
{
	memset(sys, 0, sizeof(*sys));
	sys->ports = *ports;
	sys->config = config;
	sys->store = *store;
	sys->features = wanted_features(config);
	snprintf(sys->serial, sizeof(sys->serial), "kickstand-%010" PRIu64,
		 config->sim.seed % UINT64_C(10000000000));
}

static uint32_t events(const struct sys *sys, uint64_t now_ps)
{
	return sys->ports.events(sys->ports.ctx, now_ps) |
	       (sys->function_reset ? CSR_SYS_EVENTS_FUNCTION_RESET_MASK : 0);
}

uint64_t sys_step(struct sys *sys, uint64_t now_ps)
{
	bool line = (events(sys, now_ps) & sys->event_enable) != 0;
	if (line != sys->line) {
		sys->line = line;
		sys->ports.interrupt(sys->ports.ctx, now_ps, line);
	}
	return TIME_NEVER_PS;
}

void sys_function_reset(struct sys *sys, uint64_t now_ps)
{
	sys->function_reset = true;
	sys_step(sys, now_ps);
}

bool sys_csr_read(struct sys *sys, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	const struct config *config = sys->config;
	switch (offset) {
	case CSR_SYS_ID: *value = CSR_SYS_ID_RESET; break;
	case CSR_SYS_VERSION: *value = CSR_SYS_VERSION_RESET; break;
	case CSR_SYS_EVENTS: *value = events(sys, now_ps); break;
	case CSR_SYS_EVENT_ENABLE: *value = sys->event_enable; break;
	case CSR_SYS_READY: *value = sys->ready; break;
	case CSR_SYS_TRAP_CAUSE: *value = sys->trap_cause; break;
	case CSR_SYS_TRAP_PC: *value = sys->trap_pc; break;
	case CSR_SYS_TRAP_VALUE: *value = sys->trap_value; break;
	case CSR_SYS_PANIC:
	case CSR_SYS_CARD_RESET: *value = 0; break;
	case CSR_SYS_OFFLOAD: *value = config->device.offload; break;
	case CSR_SYS_FEATURES_LO: *value = (uint32_t)sys->features; break;
	case CSR_SYS_FEATURES_HI: *value = (uint32_t)(sys->features >> 32); break;
	case CSR_SYS_QUEUES: *value = config->device.queues; break;
	case CSR_SYS_QUEUE_SIZE: *value = config->device.queue_size; break;
	case CSR_SYS_POLL_CYCLES:
		*value = (uint32_t)min_u64(UINT32_MAX,
					   config->core.poll_ps / config_period_ps(config->core.clock_mhz));
		break;
	case CSR_SYS_SEG_MAX: *value = config->device.seg_max; break;
	case CSR_SYS_SIZE_MAX: *value = config->device.size_max; break;
	case CSR_SYS_CORE_HZ: *value = config->core.clock_mhz * 1000000u; break;
	case CSR_SYS_ENGINES_BUSY: *value = sys->ports.busy(sys->ports.ctx); break;
	default: return false;
	}
	return true;
}

bool sys_csr_write(struct sys *sys, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	uint32_t ignored;
	switch (offset) {
	case CSR_SYS_EVENT_ENABLE:
		sys->event_enable = value;
		sys_step(sys, now_ps);
		return true;
	case CSR_SYS_READY:
		sys->ready = value & 1;
		sys->ports.ready(sys->ports.ctx, sys->ready);
		return true;
	case CSR_SYS_TRAP_CAUSE: sys->trap_cause = value; return true;
	case CSR_SYS_TRAP_PC: sys->trap_pc = value; return true;
	case CSR_SYS_TRAP_VALUE: sys->trap_value = value; return true;
	case CSR_SYS_PANIC: sys->ports.panic(sys->ports.ctx, now_ps, value); return true;
	case CSR_SYS_CARD_RESET:
		if (value & CSR_SYS_CARD_RESET_ENGINES_MASK)
			sys->ports.engines_reset(sys->ports.ctx, now_ps);
		return true;
	default: return sys_csr_read(sys, now_ps, offset, &ignored); /* read-only registers ignore writes */
	}
}

static uint32_t media_flags(const struct sys *sys)
{
	const struct store_info *store = &sys->store;
	return (store->read_only || sys->config->device.read_only ? CSR_MEDIA_FLAGS_READ_ONLY_MASK : 0) |
	       (store->can_flush ? CSR_MEDIA_FLAGS_FLUSH_MASK : 0) |
	       (store->can_discard ? CSR_MEDIA_FLAGS_DISCARD_MASK : 0) |
	       (store->can_zero ? CSR_MEDIA_FLAGS_WRITE_ZEROES_MASK | CSR_MEDIA_FLAGS_SECURE_ERASE_MASK : 0) |
	       CSR_MEDIA_FLAGS_LIFETIME_MASK;
}

/* Wear of a medium that stands RATED_CYCLES full overwrites (virtio 1.4 §5.2.6.2: 1 = up to 10 % used, …, 10 = up to
 * 100 %, 11 = exceeded; pre_eol_info 1 below 80 %, 2 from 80 %, 3 from 90 %). The card knows no other wear, so both
 * estimates are the same. */
#define RATED_CYCLES 3000u

static uint32_t lifetime(const struct sys *sys)
{
	/* Full overwrites, and tenths of the rated ones: divisions only, so that no size overflows. */
	uint64_t tenth_bytes = sys->store.bytes / 10 + 1;
	uint64_t tenths = min_u64(sys->ports.written_bytes(sys->ports.ctx) / RATED_CYCLES / tenth_bytes, 10);
	uint32_t pre_eol = tenths >= 9 ? 3 : tenths >= 8 ? 2 : 1;
	return pre_eol << CSR_MEDIA_LIFETIME_PRE_EOL_SHIFT |
	       (uint32_t)(tenths + 1) << CSR_MEDIA_LIFETIME_EST_A_SHIFT |
	       (uint32_t)(tenths + 1) << CSR_MEDIA_LIFETIME_EST_B_SHIFT;
}

bool sys_media_csr_read(struct sys *sys, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	(void)now_ps;
	uint64_t sectors = sys->ports.sectors(sys->ports.ctx);
	uint32_t within = offset - CSR_MEDIA_SERIAL;
	if (within < SYS_SERIAL_BYTES && within % 4 == 0) {
		*value = load_le32(sys->serial + within);
		return true;
	}
	switch (offset) {
	case CSR_MEDIA_SECTORS_LO: *value = (uint32_t)sectors; break;
	case CSR_MEDIA_SECTORS_HI: *value = (uint32_t)(sectors >> 32); break;
	case CSR_MEDIA_FLAGS: *value = media_flags(sys); break;
	case CSR_MEDIA_BLOCK_BYTES: *value = sys->config->media.block_bytes; break;
	case CSR_MEDIA_PHYSICAL_EXP:
		*value = sys->config->media.block_bytes < 4096
				 ? (unsigned)__builtin_ctz(4096 / sys->config->media.block_bytes)
				 : 0;
		break;
	case CSR_MEDIA_OPTIMAL_BLOCKS:
		*value = sys->config->mover.chunk_bytes / sys->config->media.block_bytes;
		break;
	case CSR_MEDIA_LIFETIME: *value = lifetime(sys); break;
	default: return false;
	}
	return true;
}

bool sys_media_csr_write(struct sys *sys, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	uint32_t ignored;
	(void)value;
	return sys_media_csr_read(sys, now_ps, offset, &ignored);
}

bool sys_pcie_csr_read(struct sys *sys, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	const struct cfg_control *control = sys->ports.control;
	(void)now_ps;
	switch (offset) {
	case CSR_PCIE_STATE:
		*value = (control->bus_master ? CSR_PCIE_STATE_BUS_MASTER_MASK : 0) |
			 (control->msix_enable ? CSR_PCIE_STATE_MSIX_ENABLE_MASK : 0) |
			 (control->power_state == 3 ? CSR_PCIE_STATE_D3HOT_MASK : 0);
		return true;
	case CSR_PCIE_FUNCTION_RESET: *value = 0; return true;
	default: return false;
	}
}

bool sys_pcie_csr_write(struct sys *sys, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case CSR_PCIE_STATE: return true; /* read-only */
	case CSR_PCIE_FUNCTION_RESET:
		if ((value & CSR_PCIE_FUNCTION_RESET_DONE_MASK) && sys->function_reset) {
			sys->function_reset = false;
			sys->ports.function_reset_done(sys->ports.ctx, now_ps);
		}
		return true;
	default: return false;
	}
}
