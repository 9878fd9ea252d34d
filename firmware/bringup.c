/* What the card offers: features, queues, device configuration (virtio 1.4 §5.2.4, §5.2.5). */
#include "firmware/card.h"

#define MEDIA_CAN(what) CSR_MEDIA_FLAGS_##what##_MASK

/* What firmware and engines know: the straps choose among these (D-008). */
#define KNOWN_FEATURES                                                                                       \
	(FEATURE(F_BLK_SIZE_MAX) | FEATURE(F_BLK_SEG_MAX) | FEATURE(F_BLK_RO) | FEATURE(F_BLK_BLK_SIZE) |    \
	 FEATURE(F_BLK_FLUSH) | FEATURE(F_BLK_TOPOLOGY) | FEATURE(F_BLK_CONFIG_WCE) | FEATURE(F_BLK_MQ) |    \
	 FEATURE(F_BLK_DISCARD) | FEATURE(F_BLK_WRITE_ZEROES) | FEATURE(F_BLK_LIFETIME) |                    \
	 FEATURE(F_BLK_SECURE_ERASE) | FEATURE(F_INDIRECT_DESC) | FEATURE(F_EVENT_IDX) |                     \
	 FEATURE(F_VERSION_1) | FEATURE(F_ACCESS_PLATFORM) | FEATURE(F_IN_ORDER) |                           \
	 FEATURE(F_ORDER_PLATFORM) | FEATURE(F_NOTIFICATION_DATA) | FEATURE(F_RING_RESET))

/* Offered whatever the straps say: D-051, D-132 and with it D-133. */
#define CONSTANT_FEATURES (FEATURE(F_VERSION_1) | FEATURE(F_BLK_FLUSH))

static uint64_t read_pair(uint32_t addr_lo)
{
	return reg_read(addr_lo) | (uint64_t)reg_read(addr_lo + 4) << 32;
}

/* The straps say what is wanted, the medium what is possible. */
static uint64_t features_to_offer(uint64_t wanted, uint32_t media_flags)
{
	static const struct {
		uint32_t flag;
		unsigned feature;
	} needs[] = {
		{MEDIA_CAN(DISCARD), F_BLK_DISCARD},
		{MEDIA_CAN(WRITE_ZEROES), F_BLK_WRITE_ZEROES},
		{MEDIA_CAN(SECURE_ERASE), F_BLK_SECURE_ERASE},
		{MEDIA_CAN(LIFETIME), F_BLK_LIFETIME},
	};
	uint64_t features = (wanted & KNOWN_FEATURES) | CONSTANT_FEATURES;
	for (unsigned i = 0; i < ARRAY_SIZE(needs); i++)
		if (!(media_flags & needs[i].flag))
			features &= ~FEATURE(needs[i].feature);
	if (media_flags & MEDIA_CAN(READ_ONLY))
		features |= FEATURE(F_BLK_RO);
	return features;
}

/* ---- device configuration ---- */

static void set_config(uint32_t offset, uint32_t value)
{
	reg_write(CSR_VIRTIO_DEVICE_CONFIG_ADDR + offset, value);
}

/* Fields of features that are not offered stay 0. */
static void set_field(const struct card *card, unsigned feature, uint32_t offset, uint32_t value)
{
	set_config(offset, offered(card, feature) ? value : 0);
}

static void set_capacity(struct card *card)
{
	card->capacity_sectors = read_pair(CSR_MEDIA_SECTORS_LO_ADDR);
	set_config(CONFIG_CAPACITY, (uint32_t)card->capacity_sectors);
	set_config(CONFIG_CAPACITY + 4, (uint32_t)(card->capacity_sectors >> 32));
	reg_write(CSR_DIRECT_SECTORS_LO_ADDR, (uint32_t)card->capacity_sectors);
	reg_write(CSR_DIRECT_SECTORS_HI_ADDR, (uint32_t)(card->capacity_sectors >> 32));
}

static void fill_config(struct card *card)
{
	uint32_t block_bytes = reg_read(CSR_MEDIA_BLOCK_BYTES_ADDR);
	uint32_t alignment = block_bytes / SECTOR_BYTES;
	bool zeroes_may_unmap = card->media_flags & MEDIA_CAN(DISCARD); /* D-157 */
	uint32_t num_queues = offered(card, F_BLK_MQ) ? card->queues << 16 : 0;
	set_capacity(card);
	set_field(card, F_BLK_SIZE_MAX, CONFIG_SIZE_MAX, reg_read(CSR_SYS_SIZE_MAX_ADDR));
	set_field(card, F_BLK_SEG_MAX, CONFIG_SEG_MAX, reg_read(CSR_SYS_SEG_MAX_ADDR));
	set_field(card, F_BLK_BLK_SIZE, CONFIG_BLK_SIZE, block_bytes);
	set_field(card, F_BLK_TOPOLOGY, CONFIG_TOPOLOGY,
		  reg_read(CSR_MEDIA_PHYSICAL_EXP_ADDR) | 1u << 16); /* min_io_size 1 */
	set_field(card, F_BLK_TOPOLOGY, CONFIG_OPT_IO_SIZE, reg_read(CSR_MEDIA_OPTIMAL_BLOCKS_ADDR));
	set_config(CONFIG_WRITEBACK, offered(card, F_BLK_CONFIG_WCE) | num_queues);
	set_field(card, F_BLK_DISCARD, CONFIG_MAX_DISCARD_SECTORS, RANGE_SECTORS_MAX);
	set_field(card, F_BLK_DISCARD, CONFIG_MAX_DISCARD_SEG, RANGES_MAX);
	set_field(card, F_BLK_DISCARD, CONFIG_DISCARD_ALIGNMENT, alignment);
	set_field(card, F_BLK_WRITE_ZEROES, CONFIG_MAX_WRITE_ZEROES_SECTORS, RANGE_SECTORS_MAX);
	set_field(card, F_BLK_WRITE_ZEROES, CONFIG_MAX_WRITE_ZEROES_SEG, RANGES_MAX);
	set_field(card, F_BLK_WRITE_ZEROES, CONFIG_WRITE_ZEROES_MAY_UNMAP, zeroes_may_unmap);
	set_field(card, F_BLK_SECURE_ERASE, CONFIG_MAX_SECURE_ERASE_SECTORS, RANGE_SECTORS_MAX);
	set_field(card, F_BLK_SECURE_ERASE, CONFIG_MAX_SECURE_ERASE_SEG, RANGES_MAX);
	set_field(card, F_BLK_SECURE_ERASE, CONFIG_SECURE_ERASE_ALIGNMENT, alignment);
}

/* ---- entry points ---- */

/* Makes the offer: at power-on and whenever a reset has taken it away. */
void card_offer(struct card *card)
{
	reg_write(CSR_VIRTIO_DEVICE_FEATURES_LO_ADDR, (uint32_t)card->offered);
	reg_write(CSR_VIRTIO_DEVICE_FEATURES_HI_ADDR, (uint32_t)(card->offered >> 32));
	reg_write(CSR_VIRTIO_NUM_QUEUES_ADDR, card->queues);
	reg_write(CSR_VIRTIO_QUEUE_SIZE_MAX_ADDR, reg_read(CSR_SYS_QUEUE_SIZE_ADDR));
	fill_config(card);
	reg_write(CSR_VIRTIO_CONFIG_CHANGED_ADDR, CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK);
}

static void read_straps(struct card *card)
{
	uint32_t window = reg_read(CSR_SYS_POLL_CYCLES_ADDR);
	card->offload = reg_read(CSR_SYS_OFFLOAD_ADDR);
	card->queues = reg_read(CSR_SYS_QUEUES_ADDR);
	firmware_assert(card->queues <= QUEUES_MAX);
	/* A core that walks the rings itself has no one to leave the polling to. Longer windows: see poll.c. */
	card->poll_cycles = min_u32(window, INT32_MAX);
	if (card->offload == OFFLOAD_FIRMWARE)
		card->poll_cycles = 0;
	card->media_flags = reg_read(CSR_MEDIA_FLAGS_ADDR);
	card->offered = features_to_offer(read_pair(CSR_SYS_FEATURES_LO_ADDR), card->media_flags);
	card->read_only = offered(card, F_BLK_RO);
}

void card_init(struct card *card)
{
	firmware_assert(reg_read(CSR_SYS_ID_ADDR) == CSR_SYS_ID_RESET);
	firmware_assert(reg_read(CSR_SYS_VERSION_ADDR) == CSR_SYS_VERSION_RESET);
	read_straps(card);
	rings_init();
	card_offer(card);
	reg_write(CSR_SYS_EVENT_ENABLE_ADDR, UINT32_MAX);
	reg_write(CSR_SYS_READY_ADDR, 1);
	console_print("virtio-blk: ");
	console_print_number(card->queues);
	console_print(card->queues == 1 ? " queue, " : " queues, ");
	console_print_number((uint32_t)(card->capacity_sectors >> 11));
	console_print(" MiB\n");
}

/* The medium has another size (D-149, D-150). */
void card_capacity_changed(struct card *card)
{
	set_capacity(card);
	reg_write(CSR_VIRTIO_CONFIG_CHANGED_ADDR,
		  CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK |
			  (card->live ? CSR_VIRTIO_CONFIG_CHANGED_NOTIFY_MASK : 0));
}
