/* The simulated guest's driver as a driver: what it does to the device while it brings it up, and how it takes devices
 * that look otherwise than ours (guide sections 5.1, 5.4 and 5.5). A shim between driver and machine records and bends. */
#include "tests/e2e/shim.h"

#include "tests/e2e/load.h"

#define BIT(n)         (UINT64_C(1) << (n))
#define STATUS         VIRTIO_PCI_COMMON_STATUS
#define NO_VECTOR      VIRTIO_MSI_NO_VECTOR
#define Q_RESET        58u /* queue_reset, virtio 1.4 §4.1.4.3 */
#define WCE            offsetof(struct virtio_blk_config, wce)
#define RUN(body, ...) machine_run(body, "device.queues=4", "host.vcpus=1", ##__VA_ARGS__, NULL)

static unsigned config_byte(struct machine *m, unsigned reg)
{
	return m->ops->config_read(m->ops->ctx, reg, 1);
}

/* ---- the order of things ---- */

/* Width of each register of the common configuration; 0: no register starts there. */
static const uint8_t width[64] = {
	[0x00] = 4, [0x04] = 4, [0x08] = 4, [0x0c] = 4, [0x10] = 2, [0x12] = 2, [0x14] = 1, [0x15] = 1,
	[0x16] = 2, [0x18] = 2, [0x1a] = 2, [0x1c] = 2, [0x1e] = 2, [0x20] = 4, [0x24] = 4, [0x28] = 4,
	[0x2c] = 4, [0x30] = 4, [0x34] = 4, [0x38] = 2, [0x3a] = 2, [0x3c] = 2, [0x3e] = 2,
};

static bool is_read_only(unsigned offset)
{
	return offset == VIRTIO_PCI_COMMON_DF || offset == VIRTIO_PCI_COMMON_NUMQ ||
	       offset == VIRTIO_PCI_COMMON_CFGGENERATION || offset == VIRTIO_PCI_COMMON_Q_NOFF ||
	       offset == VIRTIO_PCI_COMMON_Q_NDATA;
}

/* What has been seen of a bring-up so far. */
struct bring_up {
	struct shim *shim;
	uint8_t status;         /* as the driver has written it */
	bool reset_pending;     /* 0 written, 0 not read yet */
	bool features_unproven; /* FEATURES_OK written, not read back yet */
	bool began;
	uint64_t offered, accepted;
	uint32_t window; /* driver_feature_select */
	unsigned queue, enabled;
	uint8_t queue_fields;     /* of the selected queue: bit 0 size, bits 1..6 address halves */
	unsigned vector_register; /* written and to be read back; 0 = none */
	uint16_t vector;
	uint64_t addr[3];
};

static void status_written(struct bring_up *b, uint8_t value)
{
	if (value == 0) {
		b->status = 0;
		b->reset_pending = b->began = true;
		return;
	}
	CHECK(b->began);
	CHECK_EQUAL(value & b->status, b->status); /* G-002 */
	CHECK(!(value & ~0x8fu));
	uint8_t added = value & (uint8_t)~b->status;
	if (added & VIRTIO_CONFIG_S_DRIVER)
		CHECK(value & VIRTIO_CONFIG_S_ACKNOWLEDGE);
	if (added & VIRTIO_CONFIG_S_FEATURES_OK) {
		CHECK(value & VIRTIO_CONFIG_S_DRIVER);
		CHECK_EQUAL(b->accepted & ~b->offered, 0); /* G-005 */
		CHECK(b->accepted & BIT(VIRTIO_F_VERSION_1));
		CHECK(b->accepted & BIT(VIRTIO_F_ACCESS_PLATFORM));
		CHECK(b->accepted & BIT(VIRTIO_F_ORDER_PLATFORM));
		b->features_unproven = true;
	}
	if (added & VIRTIO_CONFIG_S_DRIVER_OK)
		CHECK(value & VIRTIO_CONFIG_S_FEATURES_OK && !b->features_unproven &&
		      b->enabled == b->shim->m->blk.queues);
	b->status = value;
}

static void queue_enabled(struct bring_up *b, uint32_t value)
{
	CHECK_EQUAL(value, 1);              /* G-077 */
	CHECK_EQUAL(b->queue_fields, 0x7f); /* G-075 */
	CHECK_EQUAL(b->addr[0] % 16, 0);
	CHECK_EQUAL(b->addr[1] % 2, 0);
	CHECK_EQUAL(b->addr[2] % 4, 0);
	/* G-048: nothing is in the used ring yet. */
	CHECK_EQUAL(load_le32(memory_at(&b->shim->m->guest.memory, b->addr[2], 4)), 0);
	b->enabled++;
}

static void vector_written(struct bring_up *b, unsigned offset, uint32_t value)
{
	CHECK(value == NO_VECTOR || value < b->shim->m->blk.pci.msix_vectors); /* G-086 */
	b->vector_register = offset;
	b->vector = (uint16_t)value;
}

static void common_written(struct bring_up *b, unsigned offset, uint32_t value)
{
	bool agreed = b->status & VIRTIO_CONFIG_S_FEATURES_OK && !b->features_unproven;
	CHECK(!is_read_only(offset)); /* G-073 */
	if (offset >= VIRTIO_PCI_COMMON_Q_SIZE)
		CHECK(agreed && !(b->status & VIRTIO_CONFIG_S_DRIVER_OK));
	switch (offset) {
	case STATUS: status_written(b, (uint8_t)value); break;
	case VIRTIO_PCI_COMMON_GFSELECT: b->window = value; break;
	case VIRTIO_PCI_COMMON_GF:
		CHECK(b->status & VIRTIO_CONFIG_S_DRIVER &&
		      !(b->status & VIRTIO_CONFIG_S_FEATURES_OK)); /* G-019 */
		b->accepted |= (uint64_t)value << (32 * b->window);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		b->queue = value;
		b->queue_fields = 0;
		break;
	case VIRTIO_PCI_COMMON_Q_SIZE:
		CHECK(is_power_of_2(value)); /* G-074 */
		b->queue_fields |= 1;
		break;
	case VIRTIO_PCI_COMMON_MSIX:
	case VIRTIO_PCI_COMMON_Q_MSIX: vector_written(b, offset, value); break;
	case VIRTIO_PCI_COMMON_Q_ENABLE: queue_enabled(b, value); break;
	default:
		if (offset >= VIRTIO_PCI_COMMON_Q_DESCLO && offset <= VIRTIO_PCI_COMMON_Q_USEDHI) {
			unsigned half = (offset - VIRTIO_PCI_COMMON_Q_DESCLO) / 4;
			uint64_t *addr = &b->addr[half / 2];
			*addr = half % 2 ? (uint32_t)*addr | (uint64_t)value << 32
					 : (*addr & ~UINT64_C(0xffffffff)) | value;
			b->queue_fields |= (uint8_t)(2u << half);
		}
	}
}

static void common_read(struct bring_up *b, unsigned offset, uint32_t value)
{
	if (offset == STATUS) {
		b->reset_pending = b->reset_pending && value != 0;
		if (b->features_unproven && (value & VIRTIO_CONFIG_S_FEATURES_OK))
			b->features_unproven = false; /* G-020 */
	}
	if (offset == b->vector_register && b->vector_register != 0) {
		CHECK_EQUAL(value, b->vector);
		b->vector_register = 0;
	}
}

static void look_at(struct bring_up *b, const struct access *access)
{
	unsigned offset = 0;
	enum access_place place = shim_place(b->shim, access, &offset);
	bool write = access->kind == MMIO_WRITE;
	CHECK_EQUAL(access->at % access->bytes, 0);
	CHECK(access->bytes <= 4);
	/* G-087: nothing else of the device before the vector has been read back; G-076: nor before the reset is over. */
	if (b->vector_register != 0 && place == IN_COMMON)
		CHECK(!write && offset == b->vector_register);
	if (b->reset_pending && place != ELSEWHERE)
		CHECK(place == IN_COMMON && offset == STATUS && !write);
	switch (place) {
	case IN_COMMON:
		CHECK_EQUAL(access->bytes, width[offset]); /* G-068 */
		if (write)
			common_written(b, offset, access->value);
		else
			common_read(b, offset, access->value);
		break;
	case IN_NOTIFY: CHECK(b->status & VIRTIO_CONFIG_S_DRIVER_OK); break; /* G-022 */
	case IN_DEVICE:
		CHECK(!write || (b->status & VIRTIO_CONFIG_S_FEATURES_OK));        /* G-018 */
		CHECK(offset != WCE || (b->status & VIRTIO_CONFIG_S_FEATURES_OK)); /* G-093 */
		break;
	case IN_ISR:
	case IN_MSIX:
	case ELSEWHERE: break;
	}
}

static void check_bring_up(struct shim *shim)
{
	struct bring_up b = {.shim = shim};
	b.offered = virtio_device_features(&shim->m->blk.virtio);
	for (unsigned i = 0; i < shim->count; i++)
		if (shim->log[i].kind == MMIO_READ || shim->log[i].kind == MMIO_WRITE)
			look_at(&b, &shim->log[i]);
	CHECK_EQUAL(b.status, 0x0f);
	CHECK_EQUAL(b.enabled, shim->m->blk.queues);
}

/* G-072: no capability of the vendor kind is written. */
static void check_config_writes(const struct shim *shim)
{
	struct machine *m = shim->m;
	for (unsigned at = 0; (at = pci_find_capability(&m->blk.pci, PCI_CAP_ID_VNDR, at)) != 0;) {
		unsigned end = at + config_byte(m, at + VIRTIO_PCI_CAP_LEN);
		for (unsigned i = 0; i < shim->count; i++)
			if (shim->log[i].kind == CONFIG_WRITE)
				CHECK(shim->log[i].at < at || shim->log[i].at >= end);
	}
}

static void bring_up(struct machine *m)
{
	struct shim shim;
	shim_insert(&shim, m);
	machine_probe(m);
	unsigned count = shim.count;
	check_config_writes(&shim);
	shim.count = count;
	check_bring_up(&shim);
	machine_check_alive(m);
	/* The same after a reset, which the driver begins with. */
	shim.count = 0;
	machine_restart(m);
	check_bring_up(&shim);
	CHECK_EQUAL(shim.log[0].kind, MMIO_WRITE);
	CHECK_EQUAL(shim.log[0].at, m->blk.virtio.common.addr + STATUS);
	CHECK_EQUAL(shim.log[0].value, 0);
	free(shim.log);
}

static void test_driver_brings_the_device_up_in_order(void **state)
{
	(void)state;
	RUN(bring_up);
	RUN(bring_up, "guest.msix=off");
	RUN(bring_up, "virtio.notification_data=on", "virtio.in_order=on", "guest.indirect=on",
	    "guest.queue_size=16");
}

/* ---- negotiation ---- */

static void refused(struct machine *m)
{
	struct shim shim;
	char error[200] = "";
	machine_find(m);
	shim_insert(&shim, m);
	m->blk.pci.ops = m->ops;
	/* The device cannot do without ACCESS_PLATFORM; the driver does not see it. */
	shim.hidden_features = BIT(VIRTIO_F_ACCESS_PLATFORM);
	CHECK_EQUAL(virtio_negotiate(&m->blk.virtio, UINT64_MAX, error, sizeof(error)), -1);
	CHECK(error[0] != '\0');
	uint8_t status = virtio_status(&m->blk.virtio);
	CHECK(status & VIRTIO_CONFIG_S_FAILED);
	CHECK(!(status & (VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)));
	/* It begins again with a reset. */
	shim.hidden_features = 0;
	shim.count = 0;
	machine_probe(m);
	unsigned first = 0;
	while (shim.log[first].at != m->blk.virtio.common.addr + STATUS)
		first++;
	CHECK(shim.log[first].kind == MMIO_WRITE && shim.log[first].value == 0);
	machine_check_alive(m);
	free(shim.log);
}

static void test_driver_gives_up_a_device_that_refuses(void **state)
{
	(void)state;
	RUN(refused);
}

/* Features nobody has heard of are no reason to fail, nor to accept them. */
static void unknown_features(struct machine *m)
{
	struct shim shim;
	machine_find(m);
	shim_insert(&shim, m);
	shim.added_features = BIT(3) | BIT(8) | BIT(17) | BIT(23) | BIT(24) | BIT(30) | BIT(34) | BIT(37) |
			      BIT(41) | BIT(43) | BIT(44) | BIT(49) | BIT(50) | BIT(63);
	machine_probe(m);
	CHECK_EQUAL(m->blk.virtio.features & shim.added_features, 0);
	machine_check_alive(m);
	free(shim.log);
}

static void test_driver_ignores_features_it_does_not_know(void **state)
{
	(void)state;
	RUN(unknown_features);
}

/* Only what cannot be missing is offered: the driver falls back, and leaves fields alone that belong to other features. */
static void bare_device(struct machine *m)
{
	struct shim shim;
	machine_find(m);
	shim_insert(&shim, m);
	shim.hidden_features = ~(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM));
	machine_probe(m);
	CHECK_EQUAL(m->blk.virtio.features, BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM));
	CHECK_EQUAL(m->blk.queues, 1);
	for (unsigned i = 0; i < shim.count; i++) {
		unsigned offset = 0;
		if (shim_place(&shim, &shim.log[i], &offset) == IN_DEVICE)
			CHECK(offset < sizeof(uint64_t)); /* capacity only */
	}
	load_check_alive(m, 200);
	free(shim.log);
}

static void test_driver_falls_back_to_what_is_offered(void **state)
{
	(void)state;
	RUN(bare_device, "guest.indirect=on", "guest.config_wce=on");
}

/* ---- identity and capabilities ---- */

static void other_identity(struct machine *m)
{
	struct shim shim;
	shim_insert(&shim, m);
	shim_show(&shim, PCI_DEVICE_ID, 2, 0x1001);
	shim_show(&shim, PCI_REVISION_ID, 1, 0x7f);
	shim_show(&shim, PCI_SUBSYSTEM_VENDOR_ID, 4, 0x12345678);
	machine_probe(m);
	machine_check_alive(m);
	free(shim.log);
}

static void foreign_device(struct machine *m)
{
	struct shim shim;
	struct pci_settings settings = {.mps_bytes = 256, .mrrs_bytes = 512};
	char error[200] = "";
	shim_insert(&shim, m);
	shim_show(&shim, PCI_DEVICE_ID, 2, 0x1041); /* a network card */
	CHECK_EQUAL(pci_probe(&m->blk.pci, m->ops, &settings, error, sizeof(error)), -1);
	for (unsigned i = 0; i < shim.count; i++)
		CHECK_EQUAL(shim.log[i].kind, CONFIG_READ);
	free(shim.log);
}

static void test_driver_matches_any_block_device(void **state)
{
	(void)state;
	RUN(other_identity);
	RUN(foreign_device);
}

static void show_virtio_cap(struct shim *shim, unsigned at, unsigned next, unsigned length, unsigned type,
			    unsigned bar, uint32_t offset, uint32_t bytes)
{
	shim_show(shim, at, 4, PCI_CAP_ID_VNDR | next << 8 | length << 16 | type << 24);
	shim_show(shim, at + VIRTIO_PCI_CAP_BAR, 4, bar);
	shim_show(shim, at + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	shim_show(shim, at + VIRTIO_PCI_CAP_LENGTH, 4, bytes);
}

/* The byte that holds the offset of capability `at`. */
static unsigned link_to(struct machine *m, unsigned at)
{
	unsigned link = PCI_CAPABILITY_LIST;
	while (config_byte(m, link) != at)
		link = config_byte(m, link) + PCI_CAP_LIST_NEXT;
	return link;
}

/* In front of the real ones: a reserved type, a reserved BAR, a window past the end of its BAR. Behind them: a second
 * instance of the common configuration, which is not the preferred one. They stand where the PCIe capability was, which
 * is taken out of the list, and in the free space at the end. */
static void odd_list(struct machine *m)
{
	struct shim shim;
	machine_find(m);
	unsigned first = config_byte(m, PCI_CAPABILITY_LIST), at = m->blk.pci.pcie,
		 end = PCI_CFG_SPACE_SIZE - 16;
	unsigned from_pcie = at + PCI_CAP_LIST_NEXT, to_pcie = link_to(m, at), last = link_to(m, 0);
	struct virtio_device truth = m->blk.virtio;
	shim_insert(&shim, m);
	shim_show(&shim, to_pcie, 1, config_byte(m, from_pcie));
	shim_show(&shim, PCI_CAPABILITY_LIST, 1, at);
	show_virtio_cap(&shim, at, at + 16, 16, 0x20, 4, 0, 0x1000);
	show_virtio_cap(&shim, at + 16, at + 32, 16, VIRTIO_PCI_CAP_COMMON_CFG, 6, 0, 0x1000);
	show_virtio_cap(&shim, at + 32, first, 16, VIRTIO_PCI_CAP_DEVICE_CFG, 4, 0x3ff0, 0x1000);
	shim_show(&shim, last == from_pcie ? to_pcie : last, 1, end);
	show_virtio_cap(&shim, end, 0, 16, VIRTIO_PCI_CAP_COMMON_CFG, 4, 0x2000, 0x1000);
	machine_probe(m);
	CHECK_EQUAL(m->blk.virtio.common.addr, truth.common.addr);
	CHECK_EQUAL(m->blk.virtio.notify.addr, truth.notify.addr);
	CHECK_EQUAL(m->blk.virtio.device.addr, truth.device.addr);
	machine_check_alive(m);
	free(shim.log);
}

static void test_driver_takes_the_first_usable_capability(void **state)
{
	(void)state;
	RUN(odd_list);
}

/* Longer capabilities and windows than there are today, and a device configuration of capacity alone. */
static void odd_sizes(struct machine *m)
{
	struct shim shim;
	machine_find(m);
	unsigned common = m->blk.virtio.common.capability, device = m->blk.virtio.device.capability;
	shim_insert(&shim, m);
	shim_show(&shim, common + VIRTIO_PCI_CAP_LEN, 1, 64);
	shim_show(&shim, common + VIRTIO_PCI_CAP_LENGTH, 4, 0x4000);
	machine_probe(m);
	machine_check_alive(m);
	shim_show(&shim, device + VIRTIO_PCI_CAP_LENGTH, 4, 8);
	shim.hidden_features = ~(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM));
	machine_probe(m);
	machine_check_alive(m);
	free(shim.log);
}

static void test_driver_takes_other_sizes(void **state)
{
	(void)state;
	RUN(odd_sizes);
}

static void no_capabilities(struct machine *m)
{
	struct shim shim;
	char error[200] = "";
	machine_find(m);
	struct blk_settings settings = m->blk.settings;
	shim_insert(&shim, m);
	shim_show(&shim, PCI_CAPABILITY_LIST, 1, m->blk.pci.msix);
	shim_show(&shim, m->blk.pci.msix + PCI_CAP_LIST_NEXT, 1, 0);
	CHECK_EQUAL(blk_probe(&m->blk, m->ops, &settings, error, sizeof(error)), -1);
	CHECK(error[0] != '\0');
	/* A list that bites its tail ends, too. */
	shim_show(&shim, m->blk.pci.msix + PCI_CAP_LIST_NEXT, 1, m->blk.pci.msix);
	CHECK_EQUAL(blk_probe(&m->blk, m->ops, &settings, error, sizeof(error)), -1);
	for (unsigned i = 0; i < shim.count; i++)
		CHECK(shim.log[i].kind == CONFIG_READ || shim.log[i].kind == CONFIG_WRITE);
	free(shim.log);
}

static void test_driver_fails_without_capabilities(void **state)
{
	(void)state;
	RUN(no_capabilities);
}

/* ---- configuration fields ---- */

/* Every read of the generation gives another value, for a while. */
static void restless_generation(struct shim *shim, const struct access *access, uint32_t *value)
{
	unsigned offset = 0;
	if (shim_place(shim, access, &offset) == IN_COMMON && offset == VIRTIO_PCI_COMMON_CFGGENERATION &&
	    shim->hits < 20)
		*value = shim->hits++ & 0xff;
}

static void retries(struct machine *m)
{
	struct shim shim;
	machine_find(m);
	shim_insert(&shim, m);
	m->blk.pci.ops = m->ops;
	shim.read = restless_generation;
	CHECK_EQUAL(virtio_config_read64(&m->blk.virtio, offsetof(struct virtio_blk_config, capacity)),
		    MACHINE_DISK_BYTES / 512);
	CHECK(shim.hits == 20);
	for (unsigned i = 0; i < shim.count; i++)
		CHECK(shim.log[i].bytes <= 4);
	free(shim.log);
}

static void test_driver_reads_again_when_the_generation_changes(void **state)
{
	(void)state;
	RUN(retries);
}

static void changed_capacity(struct machine *m)
{
	machine_probe(m);
	machine_wait_us(m, 50); /* live, or nobody is told */
	CHECK(device_resize(m->guest.device, 1234));
	machine_wait_us(m, 50);
	CHECK(machine_took_interrupt(m, BLK_CONFIG_VECTOR));
	CHECK(blk_config_changed(&m->blk));
	CHECK_EQUAL(m->blk.capacity_sectors, 1234);
	/* A configuration interrupt may also mean the end. */
	CHECK(device_mail(m->guest.device, MAILBOX_FAIL, 0));
	machine_wait_us(m, 50);
	CHECK(!blk_config_changed(&m->blk));
}

static void test_driver_reads_the_capacity_again(void **state)
{
	(void)state;
	RUN(changed_capacity);
}

static void window_use(struct machine *m)
{
	struct shim shim;
	machine_probe(m);
	shim_insert(&shim, m);
	m->blk.pci.ops = m->ops;
	unsigned bar = config_byte(m, m->blk.virtio.common.capability + VIRTIO_PCI_CAP_BAR);
	CHECK_EQUAL(virtio_window_read(&m->blk.virtio, bar, STATUS, 1), 0x0f);
	shim.count = 0;
	virtio_window_read(&m->blk.virtio, bar, VIRTIO_PCI_COMMON_NUMQ, 2);
	unsigned at = m->blk.virtio.pci_cfg.capability;
	uint32_t offset = UINT32_MAX, length = UINT32_MAX;
	for (unsigned i = 0; i < shim.count; i++) {
		if (shim.log[i].kind != CONFIG_WRITE)
			continue;
		CHECK(shim.log[i].at >= at + VIRTIO_PCI_CAP_BAR &&
		      shim.log[i].at < at + sizeof(struct virtio_pci_cap) + 4);
		if (shim.log[i].at == at + VIRTIO_PCI_CAP_OFFSET)
			offset = shim.log[i].value;
		if (shim.log[i].at == at + VIRTIO_PCI_CAP_LENGTH)
			length = shim.log[i].value;
	}
	CHECK(length == 2 && offset % length == 0);
	free(shim.log);
}

static void test_driver_uses_the_window_as_it_may(void **state)
{
	(void)state;
	RUN(window_use);
}

/* The cache mode is the device's, or its owner's, to choose: the driver never writes it, so it cannot be wrong about what
 * became stable when it did. */
static void cache_mode(struct machine *m)
{
	struct shim shim;
	shim_insert(&shim, m);
	machine_probe(m);
	CHECK(virtio_has(&m->blk.virtio, VIRTIO_BLK_F_CONFIG_WCE));
	load_check_alive(m, 300);
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 1000), 0);
	CHECK(device_resize(m->guest.device, MACHINE_DISK_BYTES / 1024));
	machine_wait_us(m, 50);
	CHECK(blk_config_changed(&m->blk));
	machine_restart(m);
	for (unsigned i = 0; i < shim.count; i++) {
		unsigned offset = 0;
		CHECK(shim.log[i].kind != MMIO_WRITE ||
		      shim_place(&shim, &shim.log[i], &offset) != IN_DEVICE);
	}
	free(shim.log);
}

static void test_driver_leaves_the_cache_mode_alone(void **state)
{
	(void)state;
	RUN(cache_mode, "guest.config_wce=on");
}

/* ---- vectors ---- */

static void few_vectors(struct machine *m)
{
	machine_probe(m);
	CHECK_EQUAL(m->blk.pci.msix_vectors, m->config.msix.vectors);
	CHECK_EQUAL(m->blk.vectors, min_u32(m->config.msix.vectors, m->blk.queues + 1));
	for (unsigned i = 0; i < m->blk.queues; i++)
		CHECK(m->blk.queue[i].vector < m->config.msix.vectors);
	load_check_alive(m, 400);
}

static void test_driver_lives_with_any_number_of_vectors(void **state)
{
	static const char *const counts[] = {"msix.vectors=1", "msix.vectors=2",  "msix.vectors=3",
					     "msix.vectors=4", "msix.vectors=64", "msix.vectors=2048"};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++)
		RUN(few_vectors, counts[i]);
}

static void refuse_vector(struct shim *shim, const struct access *access, uint32_t *value)
{
	unsigned offset = 0;
	if (shim_place(shim, access, &offset) == IN_COMMON && offset == shim->hits)
		*value = NO_VECTOR;
}

static void refused_vectors(struct machine *m)
{
	static const unsigned registers[] = {VIRTIO_PCI_COMMON_MSIX, VIRTIO_PCI_COMMON_Q_MSIX};
	struct shim shim;
	machine_find(m);
	struct blk_settings settings = m->blk.settings;
	shim_insert(&shim, m);
	shim.read = refuse_vector;
	for (unsigned i = 0; i < ARRAY_SIZE(registers); i++) {
		char error[200] = "";
		shim.hits = registers[i];
		CHECK_EQUAL(blk_probe(&m->blk, m->ops, &settings, error, sizeof(error)), -1);
		CHECK(error[0] != '\0');
		CHECK(virtio_status(&m->blk.virtio) & VIRTIO_CONFIG_S_FAILED);
	}
	shim.read = NULL;
	machine_probe(m);
	machine_check_alive(m);
	free(shim.log);
}

static void test_driver_gives_up_when_a_vector_is_refused(void **state)
{
	(void)state;
	RUN(refused_vectors);
}

/* ---- kicks, interrupts, queue resets ---- */

/* With MSI-X the driver knows why it was interrupted; ISR status is not for it. */
static void kicks(struct machine *m)
{
	struct shim shim;
	unsigned kicks_seen = 0;
	shim_insert(&shim, m);
	machine_probe(m);
	shim.count = 0;
	load_check_alive(m, 500);
	unsigned wanted_bytes = virtio_has(&m->blk.virtio, 38 /* VIRTIO_F_NOTIFICATION_DATA */) ? 4 : 2;
	for (unsigned i = 0; i < shim.count; i++) {
		unsigned offset = 0;
		enum access_place place = shim_place(&shim, &shim.log[i], &offset);
		CHECK(place != IN_ISR);
		if (place != IN_NOTIFY)
			continue;
		unsigned queue = offset / m->blk.virtio.notify_multiplier;
		CHECK_EQUAL(shim.log[i].at, m->blk.queue[queue].doorbell);
		CHECK_EQUAL(shim.log[i].bytes, wanted_bytes);
		CHECK_EQUAL(shim.log[i].value & 0xffff, queue);
		kicks_seen++;
	}
	CHECK(kicks_seen > 0);
	free(shim.log);
}

/* The upper half of a kick with NOTIFICATION_DATA is avail.idx as it is then. */
static void check_kick(struct shim *shim, const struct access *access)
{
	unsigned offset = 0;
	if (shim_place(shim, access, &offset) != IN_NOTIFY)
		return;
	const struct virtqueue *vq = &shim->m->blk.queue[offset / shim->m->blk.virtio.notify_multiplier].vq;
	CHECK_EQUAL(access->value >> 16, load_le16(vq->avail + 2));
	shim->hits++;
}

static void kick_data(struct machine *m)
{
	struct shim shim;
	shim_insert(&shim, m);
	shim.write = check_kick;
	machine_probe(m);
	load_check_alive(m, 500);
	CHECK(shim.hits > 0);
	free(shim.log);
}

static void test_driver_kicks_with_the_right_width_and_value(void **state)
{
	(void)state;
	RUN(kicks);
	RUN(kicks, "virtio.notification_data=on");
	RUN(kick_data, "virtio.notification_data=on");
}

/* Interrupts for nothing, of all vectors, all the time. */
static void spurious(struct machine *m)
{
	static const struct load_settings settings = {.depth = 4};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < 200; i++) {
		for (unsigned vector = 0; vector <= m->blk.queues; vector++)
			m->guest.cpu[0].pending[0] |= BIT(vector);
		guest_cpu_wake(&m->guest.cpu[0]);
		load_run(&load, 3);
		for (unsigned queue = 0; queue < m->blk.queues; queue++)
			if (!virtqueue_has_used(&m->blk.queue[queue].vq))
				CHECK(blk_take(&m->blk.queue[queue]) == NULL);
	}
	load_drain(&load);
}

static void test_driver_tolerates_spurious_interrupts(void **state)
{
	(void)state;
	RUN(spurious);
}

/* One interrupt may mean a queue and the configuration: one vector for all, or INTx with both bits. */
static void shared_interrupt(struct machine *m)
{
	uint8_t data[512];
	machine_probe(m);
	machine_wait_us(m, 50);
	CHECK(device_resize(m->guest.device, 4321));
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_IN, 0, data, sizeof(data), 1000), 0);
	machine_wait_us(m, 50);
	if (m->blk.vectors != 0) {
		CHECK_EQUAL(m->blk.vectors, 1);
		CHECK(machine_took_interrupt(m, BLK_CONFIG_VECTOR));
	} else {
		CHECK_EQUAL(virtio_isr(&m->blk.virtio), 3);
	}
	CHECK(blk_config_changed(&m->blk));
	CHECK_EQUAL(m->blk.capacity_sectors, 4321);
	load_check_alive(m, 200);
}

static void test_one_interrupt_may_mean_both(void **state)
{
	(void)state;
	machine_run(shared_interrupt, "msix.vectors=1", "host.vcpus=1", NULL);
	machine_run(shared_interrupt, "guest.msix=off", "host.vcpus=1", NULL);
}

/* queue_reset stays 1 for a while, or for ever. */
static void slow_queue_reset(struct shim *shim, const struct access *access, uint32_t *value)
{
	unsigned offset = 0;
	if (shim_place(shim, access, &offset) == IN_COMMON && offset == Q_RESET && shim->hits != 0) {
		shim->hits--;
		*value = 1;
	}
}

static void queue_reset(struct machine *m)
{
	struct shim shim;
	machine_probe(m);
	machine_check_alive(m);
	shim_insert(&shim, m);
	m->blk.pci.ops = m->ops;
	shim.read = slow_queue_reset;
	shim.hits = 10;
	CHECK_EQUAL(virtio_queue_reset(&m->blk.virtio, 1, 1000000), 0);
	CHECK_EQUAL(shim.hits, 0);
	/* Back with another size, everything programmed again. */
	struct virtqueue *vq = &m->blk.queue[1].vq;
	virtqueue_reset(vq);
	vq->size = 8;
	shim.count = 0;
	machine_enable(m, 1, vq);
	unsigned fields = 0;
	for (unsigned i = 0; i < shim.count; i++)
		fields += shim.log[i].kind == MMIO_WRITE;
	CHECK(fields >= 1 + 1 + 6 + 1 + 1); /* select, size, addresses, vector, enable */
	CHECK_EQUAL(machine_request(m, 1, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 1000), 0);
	vq->size = MACHINE_QUEUE_SIZE;
	shim.hits = UINT32_MAX;
	CHECK_EQUAL(virtio_queue_reset(&m->blk.virtio, 1, 100000), -1);
	shim.read = NULL;
	machine_restart(m);
	machine_check_alive(m);
	free(shim.log);
}

static void test_driver_waits_for_a_queue_reset(void **state)
{
	(void)state;
	RUN(queue_reset);
}

/* The same for the reset of the device. */
static void slow_reset(struct shim *shim, const struct access *access, uint32_t *value)
{
	unsigned offset = 0;
	if (shim_place(shim, access, &offset) == IN_COMMON && offset == STATUS && shim->hits != 0) {
		shim->hits--;
		*value = 0x0f;
	}
}

static void device_reset(struct machine *m)
{
	struct shim shim;
	machine_probe(m);
	machine_check_alive(m);
	shim_insert(&shim, m);
	m->blk.pci.ops = m->ops;
	shim.read = slow_reset;
	shim.hits = 10;
	machine_restart(m);
	CHECK_EQUAL(shim.hits, 0);
	machine_check_alive(m);
	shim.hits = UINT32_MAX;
	CHECK_EQUAL(virtio_reset(&m->blk.virtio, 100000), -1);
	free(shim.log);
}

static void test_driver_waits_for_a_reset(void **state)
{
	(void)state;
	RUN(device_reset);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_driver_brings_the_device_up_in_order,
			 "G-001 G-002 G-005 G-009 G-017 G-018 G-019 G-020 G-022 G-028 G-029 G-031 G-034 "
			 "G-048 G-068 G-072 "
			 "G-073 G-074 G-075 G-076 G-077 G-086 G-087 G-093"),
		REQ_TEST(test_driver_gives_up_a_device_that_refuses, "G-003 G-007 G-020 G-021"),
		REQ_TEST(test_driver_ignores_features_it_does_not_know, "G-005 G-006 G-008"),
		REQ_TEST(test_driver_falls_back_to_what_is_offered, "G-007 G-012"),
		REQ_TEST(test_driver_matches_any_block_device, "G-066 G-067"),
		REQ_TEST(test_driver_takes_the_first_usable_capability, "G-069 G-070"),
		REQ_TEST(test_driver_takes_other_sizes, "G-013 G-071"),
		REQ_TEST(test_driver_fails_without_capabilities, "G-090"),
		REQ_TEST(test_driver_reads_again_when_the_generation_changes, "G-010 G-011"),
		REQ_TEST(test_driver_reads_the_capacity_again, "G-097 G-004"),
		REQ_TEST(test_driver_uses_the_window_as_it_may, "G-083 G-072"),
		REQ_TEST(test_driver_leaves_the_cache_mode_alone, "G-105"),
		REQ_TEST(test_driver_lives_with_any_number_of_vectors, "G-084 G-085"),
		REQ_TEST(test_driver_gives_up_when_a_vector_is_refused, "G-087 G-021"),
		REQ_TEST(test_driver_kicks_with_the_right_width_and_value, "G-081 G-088"),
		REQ_TEST(test_driver_tolerates_spurious_interrupts, "G-046"),
		REQ_TEST(test_one_interrupt_may_mean_both, "G-089"),
		REQ_TEST(test_driver_waits_for_a_queue_reset, "G-014 G-016 G-078 G-079"),
		REQ_TEST(test_driver_waits_for_a_reset, "G-009 G-076"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
