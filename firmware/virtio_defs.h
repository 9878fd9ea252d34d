/* Constants of the virtio specification the firmware needs (virtio 1.4; clause numbers with each group). The kernel's
 * headers are for hosted programs, hence a list of our own; tests/unit/firmware compares the two. */
#ifndef KICKSTAND_FIRMWARE_VIRTIO_DEFS_H
#define KICKSTAND_FIRMWARE_VIRTIO_DEFS_H

#include <stdint.h>

/* §2.1 device status */
#define STATUS_DRIVER_OK   0x04u
#define STATUS_FEATURES_OK 0x08u
#define STATUS_NEEDS_RESET 0x40u

/* §5.2.3 and §6 feature bits */
#define F_BLK_SIZE_MAX      1
#define F_BLK_SEG_MAX       2
#define F_BLK_RO            5
#define F_BLK_BLK_SIZE      6
#define F_BLK_FLUSH         9
#define F_BLK_TOPOLOGY      10
#define F_BLK_CONFIG_WCE    11
#define F_BLK_MQ            12
#define F_BLK_DISCARD       13
#define F_BLK_WRITE_ZEROES  14
#define F_BLK_LIFETIME      15
#define F_BLK_SECURE_ERASE  16
#define F_INDIRECT_DESC     28
#define F_EVENT_IDX         29
#define F_VERSION_1         32
#define F_ACCESS_PLATFORM   33
#define F_IN_ORDER          35
#define F_ORDER_PLATFORM    36
#define F_NOTIFICATION_DATA 38
#define F_RING_RESET        40

#define FEATURE(bit) (UINT64_C(1) << (bit))

/* §5.2.6 request types and status */
#define BLK_T_IN           0u
#define BLK_T_OUT          1u
#define BLK_T_FLUSH        4u
#define BLK_T_GET_ID       8u
#define BLK_T_GET_LIFETIME 10u
#define BLK_T_DISCARD      11u
#define BLK_T_WRITE_ZEROES 13u
#define BLK_T_SECURE_ERASE 14u

#define BLK_S_OK     0u
#define BLK_S_IOERR  1u
#define BLK_S_UNSUPP 2u

#define BLK_ID_BYTES       20u
#define BLK_LIFETIME_BYTES 6u
#define SECTOR_BYTES       512u

/* §5.2.6 struct virtio_blk_discard_write_zeroes */
#define RANGE_BYTES      16u
#define RANGE_FLAG_UNMAP 1u

/* §5.2.4 struct virtio_blk_config */
#define CONFIG_CAPACITY                 0x00u
#define CONFIG_SIZE_MAX                 0x08u
#define CONFIG_SEG_MAX                  0x0cu
#define CONFIG_BLK_SIZE                 0x14u
#define CONFIG_TOPOLOGY                 0x18u
#define CONFIG_OPT_IO_SIZE              0x1cu
#define CONFIG_WRITEBACK                0x20u /* u8 writeback, u8 unused, u16 num_queues */
#define CONFIG_WRITEBACK_MASK           0xffu
#define CONFIG_MAX_DISCARD_SECTORS      0x24u
#define CONFIG_MAX_DISCARD_SEG          0x28u
#define CONFIG_DISCARD_ALIGNMENT        0x2cu
#define CONFIG_MAX_WRITE_ZEROES_SECTORS 0x30u
#define CONFIG_MAX_WRITE_ZEROES_SEG     0x34u
#define CONFIG_WRITE_ZEROES_MAY_UNMAP   0x38u
#define CONFIG_MAX_SECURE_ERASE_SECTORS 0x3cu
#define CONFIG_MAX_SECURE_ERASE_SEG     0x40u
#define CONFIG_SECURE_ERASE_ALIGNMENT   0x44u

/* §2.7 split virtqueues */
#define DESC_F_NEXT     1u
#define DESC_F_WRITE    2u
#define DESC_F_INDIRECT 4u
#define DESC_BYTES      16u
#define DESC_ALIGN      16u
#define AVAIL_ALIGN     2u
#define USED_ALIGN      4u
#define RING_TAIL_BYTES 6u /* of either ring, besides its elements: flags, idx, event */

#endif
