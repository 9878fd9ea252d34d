/* What the card offers: features, queues, device configuration (virtio 1.4 §5.2.4, §5.2.5). */
#include "firmware/card.h"
#include "firmware/virtio_defs.h"

#define MEDIA_CAN(what) CSR_MEDIA_FLAGS_##what##_MASK

/* Ranges of a DISCARD, WRITE_ZEROES or SECURE_ERASE request fit the slot's small memory. */
#define RANGES_MAX (SLOT_LOCAL_BYTES / RANGE_BYTES)
/* Sectors of one such range: as many as keep its bytes in 31 bits. */
#define RANGE_SECTORS_MAX 0x3fffffu

static void set_config(uint32_t offset, uint32_t value)
{
	reg_write(CSR_VIRTIO_DEVICE_CONFIG_ADDR + offset, value);
}

static uint64_t read_pair(uint32_t addr_lo)
{
	return reg_read(addr_lo) | (uint64_t)reg_read(addr_lo + 4) << 32;
}

/* The straps say what is wanted, the medium what is possible. FLUSH is always offered (D-132). */
static uint64_t possible_features(uint32_t media_flags)
{
	uint64_t features = ~UINT64_C(0);
	if (!(media_flags & MEDIA_CAN(DISCARD)))
		features &= ~FEATURE(F_BLK_DISCARD);
	if (!(media_flags & MEDIA_CAN(WRITE_ZEROES)))
		features &= ~FEATURE(F_BLK_WRITE_ZEROES);
	if (!(media_flags & MEDIA_CAN(SECURE_ERASE)))
		features &= ~FEATURE(F_BLK_SECURE_ERASE);
	if (!(media_flags & MEDIA_CAN(LIFETIME)))
		features &= ~FEATURE(F_BLK_LIFETIME);
	return features;
}

static void set_capacity(struct card *card)
{
	card->capacity_sectors = read_pair(CSR_MEDIA_SECTORS_LO_ADDR);
	set_config(CONFIG_CAPACITY, (uint32_t)card->capacity_sectors);
	set_config(CONFIG_CAPACITY + 4, (uint32_t)(card->capacity_sectors >> 32));
}

/* Fields of features that are not offered stay 0. */
static void fill_config(struct card *card)
{
	uint32_t block_bytes = reg_read(CSR_MEDIA_BLOCK_BYTES_ADDR);
	uint32_t alignment = block_bytes / SECTOR_BYTES;
	set_capacity(card);
	if (offered(card, F_BLK_SIZE_MAX))
		set_config(CONFIG_SIZE_MAX, reg_read(CSR_SYS_SIZE_MAX_ADDR));
	set_config(CONFIG_SEG_MAX, reg_read(CSR_SYS_SEG_MAX_ADDR));
	set_config(CONFIG_BLK_SIZE, block_bytes);
	set_config(CONFIG_TOPOLOGY, reg_read(CSR_MEDIA_PHYSICAL_EXP_ADDR) | 1u << 16); /* min_io_size 1 */
	set_config(CONFIG_OPT_IO_SIZE, reg_read(CSR_MEDIA_OPTIMAL_BLOCKS_ADDR));
	set_config(CONFIG_WRITEBACK, 1u | (offered(card, F_BLK_MQ) ? card->queues << 16 : 0));
	if (offered(card, F_BLK_DISCARD)) {
		set_config(CONFIG_MAX_DISCARD_SECTORS, RANGE_SECTORS_MAX);
		set_config(CONFIG_MAX_DISCARD_SEG, RANGES_MAX);
		set_config(CONFIG_DISCARD_ALIGNMENT, alignment);
	}
	if (offered(card, F_BLK_WRITE_ZEROES)) {
		set_config(CONFIG_MAX_WRITE_ZEROES_SECTORS, RANGE_SECTORS_MAX);
		set_config(CONFIG_MAX_WRITE_ZEROES_SEG, RANGES_MAX);
		set_config(CONFIG_WRITE_ZEROES_MAY_UNMAP, (card->media_flags & MEDIA_CAN(DISCARD)) != 0);
	}
	if (offered(card, F_BLK_SECURE_ERASE)) {
		set_config(CONFIG_MAX_SECURE_ERASE_SECTORS, RANGE_SECTORS_MAX);
		set_config(CONFIG_MAX_SECURE_ERASE_SEG, RANGES_MAX);
		set_config(CONFIG_SECURE_ERASE_ALIGNMENT, alignment);
	}
}

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

void card_init(struct card *card)
{
	firmware_assert(reg_read(CSR_SYS_ID_ADDR) == CSR_SYS_ID_RESET);
	card->offload = reg_read(CSR_SYS_OFFLOAD_ADDR);
	card->queues = reg_read(CSR_SYS_QUEUES_ADDR);
	card->poll_cycles = reg_read(CSR_SYS_POLL_CYCLES_ADDR);
	card->media_flags = reg_read(CSR_MEDIA_FLAGS_ADDR);
	card->offered = read_pair(CSR_SYS_FEATURES_LO_ADDR) & possible_features(card->media_flags);
	if (card->media_flags & MEDIA_CAN(READ_ONLY))
		card->offered |= FEATURE(F_BLK_RO);
	card->read_only = offered(card, F_BLK_RO);
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
