/* The firmware's own list of constants against the kernel's headers, or the specification where these are older. */
#include "tests/unit/firmware/fixture.h"

#define CONFIG(field) offsetof(struct virtio_blk_config, field)

struct constant {
	const char *name;
	uint64_t ours, theirs;
};

static void check(const struct constant *constants, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (constants[i].ours != constants[i].theirs)
			fail_msg("%s", constants[i].name);
}

static void test_virtio_defs_status_and_features_as_the_kernel_has_them(void **state)
{
	(void)state;
	static const struct constant constants[] = {
		{"DRIVER_OK", STATUS_DRIVER_OK, VIRTIO_CONFIG_S_DRIVER_OK},
		{"FEATURES_OK", STATUS_FEATURES_OK, VIRTIO_CONFIG_S_FEATURES_OK},
		{"NEEDS_RESET", STATUS_NEEDS_RESET, VIRTIO_CONFIG_S_NEEDS_RESET},
		{"SIZE_MAX", F_BLK_SIZE_MAX, VIRTIO_BLK_F_SIZE_MAX},
		{"SEG_MAX", F_BLK_SEG_MAX, VIRTIO_BLK_F_SEG_MAX},
		{"RO", F_BLK_RO, VIRTIO_BLK_F_RO},
		{"BLK_SIZE", F_BLK_BLK_SIZE, VIRTIO_BLK_F_BLK_SIZE},
		{"FLUSH", F_BLK_FLUSH, VIRTIO_BLK_F_FLUSH},
		{"TOPOLOGY", F_BLK_TOPOLOGY, VIRTIO_BLK_F_TOPOLOGY},
		{"CONFIG_WCE", F_BLK_CONFIG_WCE, VIRTIO_BLK_F_CONFIG_WCE},
		{"MQ", F_BLK_MQ, VIRTIO_BLK_F_MQ},
		{"DISCARD", F_BLK_DISCARD, VIRTIO_BLK_F_DISCARD},
		{"WRITE_ZEROES", F_BLK_WRITE_ZEROES, VIRTIO_BLK_F_WRITE_ZEROES},
		{"LIFETIME", F_BLK_LIFETIME, 15}, /* §5.2.3 */
		{"SECURE_ERASE", F_BLK_SECURE_ERASE, VIRTIO_BLK_F_SECURE_ERASE},
		{"INDIRECT_DESC", F_INDIRECT_DESC, VIRTIO_RING_F_INDIRECT_DESC},
		{"EVENT_IDX", F_EVENT_IDX, VIRTIO_RING_F_EVENT_IDX},
		{"VERSION_1", F_VERSION_1, VIRTIO_F_VERSION_1},
		{"ACCESS_PLATFORM", F_ACCESS_PLATFORM, VIRTIO_F_ACCESS_PLATFORM},
		{"IN_ORDER", F_IN_ORDER, VIRTIO_F_IN_ORDER},
		{"ORDER_PLATFORM", F_ORDER_PLATFORM, VIRTIO_F_ORDER_PLATFORM},
		{"NOTIFICATION_DATA", F_NOTIFICATION_DATA, 38}, /* §6 */
		{"RING_RESET", F_RING_RESET, VIRTIO_F_RING_RESET},
	};
	check(constants, ARRAY_SIZE(constants));
}

static void test_virtio_defs_requests_and_rings_as_the_kernel_has_them(void **state)
{
	(void)state;
	static const struct constant constants[] = {
		{"IN", BLK_T_IN, VIRTIO_BLK_T_IN},
		{"OUT", BLK_T_OUT, VIRTIO_BLK_T_OUT},
		{"FLUSH", BLK_T_FLUSH, VIRTIO_BLK_T_FLUSH},
		{"GET_ID", BLK_T_GET_ID, VIRTIO_BLK_T_GET_ID},
		{"GET_LIFETIME", BLK_T_GET_LIFETIME, 10}, /* §5.2.6 */
		{"DISCARD", BLK_T_DISCARD, VIRTIO_BLK_T_DISCARD},
		{"WRITE_ZEROES", BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_WRITE_ZEROES},
		{"SECURE_ERASE", BLK_T_SECURE_ERASE, VIRTIO_BLK_T_SECURE_ERASE},
		{"S_OK", BLK_S_OK, VIRTIO_BLK_S_OK},
		{"S_IOERR", BLK_S_IOERR, VIRTIO_BLK_S_IOERR},
		{"S_UNSUPP", BLK_S_UNSUPP, VIRTIO_BLK_S_UNSUPP},
		{"ID_BYTES", BLK_ID_BYTES, VIRTIO_BLK_ID_BYTES},
		{"LIFETIME_BYTES", BLK_LIFETIME_BYTES, 3 * sizeof(__virtio16)}, /* §5.2.6 */
		{"SECTOR_BYTES", SECTOR_BYTES, 512},
		{"HEADER_BYTES", HEADER_BYTES, sizeof(struct virtio_blk_outhdr)},
		{"RANGE_BYTES", RANGE_BYTES, sizeof(struct virtio_blk_discard_write_zeroes)},
		{"UNMAP", RANGE_FLAG_UNMAP, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP},
		{"DESC_NEXT", DESC_F_NEXT, VRING_DESC_F_NEXT},
		{"DESC_WRITE", DESC_F_WRITE, VRING_DESC_F_WRITE},
		{"DESC_INDIRECT", DESC_F_INDIRECT, VRING_DESC_F_INDIRECT},
		{"DESC_BYTES", DESC_BYTES, sizeof(struct vring_desc)},
		{"DESC_ALIGN", DESC_ALIGN, VRING_DESC_ALIGN_SIZE},
		{"AVAIL_ALIGN", AVAIL_ALIGN, VRING_AVAIL_ALIGN_SIZE},
		{"USED_ALIGN", USED_ALIGN, VRING_USED_ALIGN_SIZE},
	};
	check(constants, ARRAY_SIZE(constants));
}

static void test_virtio_defs_configuration_as_the_kernel_has_it(void **state)
{
	(void)state;
	static const struct constant constants[] = {
		{"capacity", CONFIG_CAPACITY, CONFIG(capacity)},
		{"size_max", CONFIG_SIZE_MAX, CONFIG(size_max)},
		{"seg_max", CONFIG_SEG_MAX, CONFIG(seg_max)},
		{"blk_size", CONFIG_BLK_SIZE, CONFIG(blk_size)},
		{"topology", CONFIG_TOPOLOGY, CONFIG(physical_block_exp)},
		{"min_io_size", CONFIG_TOPOLOGY + 2, CONFIG(min_io_size)},
		{"opt_io_size", CONFIG_OPT_IO_SIZE, CONFIG(opt_io_size)},
		{"writeback", CONFIG_WRITEBACK, CONFIG(wce)},
		{"num_queues", CONFIG_WRITEBACK + 2, CONFIG(num_queues)},
		{"max_discard_sectors", CONFIG_MAX_DISCARD_SECTORS, CONFIG(max_discard_sectors)},
		{"max_discard_seg", CONFIG_MAX_DISCARD_SEG, CONFIG(max_discard_seg)},
		{"discard_sector_alignment", CONFIG_DISCARD_ALIGNMENT, CONFIG(discard_sector_alignment)},
		{"max_write_zeroes_sectors", CONFIG_MAX_WRITE_ZEROES_SECTORS,
		 CONFIG(max_write_zeroes_sectors)},
		{"max_write_zeroes_seg", CONFIG_MAX_WRITE_ZEROES_SEG, CONFIG(max_write_zeroes_seg)},
		{"write_zeroes_may_unmap", CONFIG_WRITE_ZEROES_MAY_UNMAP, CONFIG(write_zeroes_may_unmap)},
		{"max_secure_erase_sectors", CONFIG_MAX_SECURE_ERASE_SECTORS,
		 CONFIG(max_secure_erase_sectors)},
		{"max_secure_erase_seg", CONFIG_MAX_SECURE_ERASE_SEG, CONFIG(max_secure_erase_seg)},
		{"secure_erase_sector_alignment", CONFIG_SECURE_ERASE_ALIGNMENT,
		 CONFIG(secure_erase_sector_alignment)},
	};
	check(constants, ARRAY_SIZE(constants));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_virtio_defs_status_and_features_as_the_kernel_has_them),
		cmocka_unit_test(test_virtio_defs_requests_and_rings_as_the_kernel_has_them),
		cmocka_unit_test(test_virtio_defs_configuration_as_the_kernel_has_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
