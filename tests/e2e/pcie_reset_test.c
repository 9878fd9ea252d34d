/* Resets and power states with I/O in every stage: once acknowledged nothing comes from the card any more, what has to
 * survive survives, and the card works again (guides: RST, ERR-032, ACC-002, ACC-016). */
#include "tests/e2e/pcie_help.h"

#define ISR_QUEUE 1u
/* Read requests of 24 bytes the transmit buffer takes: one more begins as long as there is a byte of room. Those it held when Bus Master Enable was cleared may still go once
 * there are credits: the completion of the clearing write passes them. */
#define READS_QUEUED ((2048 + 23) / 24)
#define QUIET_US     60000u /* longer than a completion timeout may be */

/* ---- kinds ---- */

enum stop {
	STOP_VIRTIO,       /* device_status = 0 */
	STOP_FLR_PREPARED, /* bus master off, nothing pending, then FLR (RST-007) */
	STOP_FLR_SUDDEN,
	STOP_HOT,
	STOP_MASTER, /* Bus Master Enable off and on again */
	STOP_POWER,  /* D3hot and back */
	STOPS,
};

static const char *const stop_names[] = {"virtio reset", "FLR, prepared",  "FLR",
					 "hot reset",    "bus master off", "D3hot"};

static void start_flr(struct machine *m)
{
	unsigned at = m->blk.pci.pcie + PCI_EXP_DEVCTL;
	config_write(m, at, 2, config_read(m, at, 2) | PCI_EXP_DEVCTL_BCR_FLR);
}

static void set_power(struct machine *m, unsigned state)
{
	config_write(m, m->blk.pci.pm + PCI_PM_CTRL, 2, state);
	CHECK_EQUAL(config_read(m, m->blk.pci.pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK, state);
}

/* Returns when the card has acknowledged. */
static void stop(struct machine *m, enum stop kind)
{
	switch (kind) {
	case STOP_VIRTIO: CHECK_EQUAL(virtio_reset(&m->blk.virtio, 1000000000), 0); break;
	case STOP_FLR_PREPARED: pci_function_reset(&m->blk.pci); break;
	case STOP_FLR_SUDDEN:
		start_flr(m);
		CHECK_EQUAL(config_read(m, PCI_VENDOR_ID, 2),
			    0x1af4); /* retried until the function is back */
		break;
	case STOP_HOT: root_hot_reset(m->guest.root); break;
	case STOP_MASTER:
		pci_set_command(&m->blk.pci, 0, PCI_COMMAND_MASTER);
		CHECK(!(config_read(m, PCI_COMMAND, 2) &
			PCI_COMMAND_MASTER)); /* pushes what was sent before */
		break;
	case STOP_POWER: set_power(m, 3); break;
	case STOPS: ASSERT(false);
	}
}

static bool forgets(enum stop kind)
{
	return kind != STOP_MASTER && kind != STOP_POWER;
}

static void go_on(struct machine *m, enum stop kind)
{
	switch (kind) {
	case STOP_VIRTIO: machine_restart(m); break;
	case STOP_MASTER: pci_set_command(&m->blk.pci, PCI_COMMAND_MASTER, 0); break;
	case STOP_POWER: set_power(m, 0); break;
	default: recover_function(m);
	}
}

/* Slots, tags, buffers, queues: everything is home. */
static void check_nothing_left(struct machine *m)
{
	const char *what = "";
	machine_wait_us(m, 120000); /* tags rest as long as a late completion may take */
	if (!device_quiescent(m->guest.device, &what)) {
		printf("left over: %s\n", what);
		device_dump(m->guest.device, stdout);
		machine_check_failed("everything is idle", __FILE__, __LINE__);
	}
	CHECK_EQUAL(device_stats(m->guest.device).dma->tags_in_use, 0);
}

/* ---- at random moments of I/O on several queues ---- */

static void stop_under_load(struct machine *m)
{
	static const struct load_settings settings = {.depth = 16};
	enum stop kind = *(const enum stop *)m->arg;
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < 60; i++) {
		struct quiet quiet;
		load_run_ps(&load, rng_below(&m->rng, 60 * PS_PER_US));
		stop(m, kind);
		quiet_begin(m, &quiet);
		quiet.reads_allowed = forgets(kind) ? 0 : READS_QUEUED;
		quiet_end(m, &quiet, QUIET_US);
		if (forgets(kind))
			load_forget(&load);
		go_on(m, kind);
		load_run(&load, rng_below(&m->rng, 30));
	}
	load_drain(&load);
	check_nothing_left(m);
}

static void run_kinds(machine_body *body, const char *const *settings)
{
	for (enum stop kind = 0; kind < STOPS; kind++) {
		const struct machine_options options = {.arg = &kind};
		printf("%s\n", stop_names[kind]);
		machine_run_with(body, &options, settings);
	}
}

#define COMMON "host.vcpus=1", "device.queues=4", "guest.indirect=on", "guest.segment_bytes=512"

static void test_stop_under_load_is_quiet_and_loses_nothing(void **state)
{
	static const char *const settings[] = {COMMON, NULL};
	(void)state;
	run_kinds(stop_under_load, settings);
}

static void test_stop_under_load_on_a_bad_link_is_quiet(void **state)
{
	static const char *const settings[] = {COMMON,
					       "link.gen=1",
					       "link.lanes=1",
					       "link.mps=128",
					       "link.error_ppm=50000",
					       "link.root_complex_jitter=100",
					       "link.posted_headers=2",
					       "link.posted_data=8",
					       "link.non_posted_headers=1",
					       "link.tags=6",
					       NULL};
	(void)state;
	run_kinds(stop_under_load, settings);
}

/* Interrupts that are held back when the reset comes belong to the old life. */
static void test_stop_while_interrupts_are_moderated_is_quiet(void **state)
{
	static const char *const settings[] = {COMMON, "msix.holdoff_ns=50000", NULL};
	(void)state;
	run_kinds(stop_under_load, settings);
}

static void test_stop_under_load_by_firmware_is_quiet(void **state)
{
	static const char *const settings[] = {COMMON, "device.offload=firmware", NULL};
	(void)state;
	run_kinds(stop_under_load, settings);
}

/* While the card's writes wait for credits, acknowledgements wait behind them. */
static void stop_while_starved(struct machine *m)
{
	static const struct load_settings settings = {.depth = 16};
	enum stop kind = *(const enum stop *)m->arg;
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < 40; i++) {
		struct quiet quiet;
		load_run_ps(&load, 20 * PS_PER_US + rng_below(&m->rng, 20 * PS_PER_US));
		device_hold_credits(m->guest.device, kernel_now_ps() + rng_below(&m->rng, 200 * PS_PER_US));
		load_run_ps(&load, rng_below(&m->rng, 50 * PS_PER_US));
		stop(m, kind);
		quiet_begin(m, &quiet);
		quiet.reads_allowed = forgets(kind) ? 0 : READS_QUEUED;
		quiet_end(m, &quiet, QUIET_US);
		if (forgets(kind))
			load_forget(&load);
		go_on(m, kind);
	}
	load_run(&load, 100);
	load_drain(&load);
	check_nothing_left(m);
}

static void test_stop_while_credits_starve_is_quiet(void **state)
{
	static const char *const settings[] = {COMMON, "link.posted_headers=8", NULL};
	(void)state;
	run_kinds(stop_while_starved, settings);
}

/* ---- at every stage of one request ---- */

static void stop_at_every_stage(struct machine *m)
{
	enum { STEP_NS = 70, STEPS = 250, BYTES = 4096 }; /* a request takes some 12 us */
	enum stop kind = *(const enum stop *)m->arg;
	struct blk_queue *queue;
	uint64_t addr;
	machine_probe(m);
	queue = &m->blk.queue[0];
	machine_memory(m, BYTES, DMA_BOTH, &addr);
	for (unsigned i = 0; i < STEPS; i++) {
		struct blk_request request = {.type = i % 2 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
					      .data_addr = addr,
					      .data_bytes = BYTES};
		struct quiet quiet;
		CHECK_EQUAL(blk_submit(&m->blk, queue, &request), 0);
		blk_publish(queue);
		blk_kick(&m->blk, queue);
		kernel_wait_ps(i * STEP_NS * PS_PER_NS);
		stop(m, kind);
		quiet_begin(m, &quiet);
		quiet_end(m, &quiet, 200);
		go_on(m, kind);
		machine_wait_us(m, 50);
		if (!forgets(kind)) {
			CHECK(blk_take(queue) == &request);
			CHECK_EQUAL(request.status, VIRTIO_BLK_S_OK);
			virtqueue_enable_interrupts(&queue->vq);
		}
		CHECK(blk_take(queue) == NULL);
		CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 1000), VIRTIO_BLK_S_OK);
	}
	check_nothing_left(m);
}

static void test_stop_at_every_stage_of_a_request_is_quiet(void **state)
{
	static const char *const settings[] = {"host.vcpus=1", NULL};
	(void)state;
	run_kinds(stop_at_every_stage, settings);
}

/* ---- one reset into the other ---- */

static void begin_stop(struct machine *m, enum stop kind)
{
	switch (kind) {
	case STOP_VIRTIO: virtio_common_write(&m->blk.virtio, VIRTIO_PCI_COMMON_STATUS, 1, 0); break;
	case STOP_FLR_PREPARED:
	case STOP_FLR_SUDDEN: start_flr(m); break;
	case STOP_HOT: root_hot_reset(m->guest.root); break;
	case STOP_MASTER: config_write(m, PCI_COMMAND, 2, PCI_COMMAND_MEMORY); break;
	case STOP_POWER: config_write(m, m->blk.pci.pm + PCI_PM_CTRL, 2, 3); break;
	case STOPS: ASSERT(false);
	}
}

static void reset_storm(struct machine *m)
{
	static const struct load_settings settings = {.depth = 8};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < 150; i++) {
		struct quiet quiet;
		load_run_ps(&load, rng_below(&m->rng, 40 * PS_PER_US));
		unsigned count = 1 + (unsigned)rng_below(&m->rng, 4);
		for (unsigned j = 0; j < count; j++) {
			begin_stop(m, (enum stop)rng_below(&m->rng, STOPS));
			kernel_wait_ps(rng_below(&m->rng, 10 * PS_PER_US));
		}
		root_hot_reset(m->guest.root);
		quiet_begin(m, &quiet);
		quiet_end(m, &quiet, 1000);
		load_forget(&load);
		recover_function(m);
		load_run(&load, rng_below(&m->rng, 20));
	}
	load_drain(&load);
	check_nothing_left(m);
}

static void test_resets_into_resets_are_survived(void **state)
{
	(void)state;
	machine_run(reset_storm, COMMON, NULL);
}

/* Requests keep coming while a function level reset goes on (RST-005). */
static void requests_during_flr(struct machine *m)
{
	static const struct load_settings settings = {0};
	static const uint8_t data[4];
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < 50; i++) {
		struct traffic traffic;
		load_run_ps(&load, 20 * PS_PER_US);
		struct tlp write = memory_request(TLP_MWR, m->blk.queue[0].doorbell, data);
		struct tlp read = memory_request(TLP_MRD, m->blk.virtio.common.addr, NULL);
		struct tlp config = config_request(TLP_CFGRD0, PCI_VENDOR_ID, NULL);
		start_flr(m);
		traffic_watch(m, &traffic);
		for (unsigned j = 0; j < 20; j++) {
			read.tag = (uint16_t)(2 * j);
			config.tag = (uint16_t)(2 * j + 1);
			send_tlp(m, &write);
			send_tlp(m, &read);
			send_tlp(m, &config);
			kernel_wait_ps(rng_below(&m->rng, 200 * PS_PER_NS));
		}
		machine_wait_us(m, 5);
		traffic_end(m);
		CHECK_EQUAL(traffic.completions,
			    40); /* answered UR or CRS: nothing is left without an answer */
		CHECK_EQUAL(traffic.writes + traffic.interrupts, 0);
		load_forget(&load);
		recover_function(m);
	}
	load_run(&load, 50);
	load_drain(&load);
	check_nothing_left(m);
}

static void test_requests_during_flr_are_answered(void **state)
{
	(void)state;
	machine_run(requests_during_flr, "host.vcpus=1", NULL);
}

/* ---- what a reset changes and what it keeps (RST-002..RST-004, RST-008, RST-013) ---- */

static void dump(struct machine *m, uint32_t space[PCI_CFG_SPACE_EXP_SIZE / 4])
{
	for (unsigned reg = 0; reg < PCI_CFG_SPACE_EXP_SIZE; reg += 4)
		space[reg / 4] = config_read(m, reg, 4);
}

/* Ones into everything a driver can write, but for what would start something. */
static void scribble(struct machine *m)
{
	unsigned pcie = m->blk.pci.pcie, aer = aer_at(m);
	config_write(m, PCI_CACHE_LINE_SIZE, 1, 0xff);
	config_write(m, PCI_INTERRUPT_LINE, 1, 0xff);
	for (unsigned reg = PCI_BASE_ADDRESS_0; reg <= PCI_BASE_ADDRESS_5; reg += 4)
		config_write(m, reg, 4, UINT32_MAX);
	config_write(m, m->blk.pci.msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	uint32_t devctl = 0x7fff & ~(PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_READRQ);
	config_write(m, pcie + PCI_EXP_DEVCTL, 2,
		     devctl | PCI_EXP_DEVCTL_PAYLOAD_512B | PCI_EXP_DEVCTL_READRQ_4096B);
	config_write(m, pcie + PCI_EXP_LNKCTL, 2, 0xffff & ~(PCI_EXP_LNKCTL_LD | PCI_EXP_LNKCTL_RL));
	config_write(m, pcie + PCI_EXP_DEVCTL2, 2, 0xffff);
	config_write(m, aer + PCI_ERR_UNCOR_MASK, 4, UINT32_MAX);
	config_write(m, aer + PCI_ERR_COR_MASK, 4, 0);
	config_write(m, aer + PCI_ERR_CAP, 4, UINT32_MAX);
	config_write(m, m->blk.virtio.pci_cfg.capability + 8, 4, 0x1234);
	config_write(m, PCI_COMMAND, 2, PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
}

/* Bits of the Express capability that belong to the link or come from it: kept by FLR (RST-004). */
static uint32_t kept_by_flr(const struct machine *m, unsigned reg)
{
	if (reg == m->blk.pci.pcie + PCI_EXP_DEVCTL)
		return PCI_EXP_DEVCTL_PAYLOAD;
	if (reg == m->blk.pci.pcie + PCI_EXP_DEVCAP)
		return PCI_EXP_DEVCAP_PWR_VAL | PCI_EXP_DEVCAP_PWR_SCL;
	if (reg == m->blk.pci.pcie + PCI_EXP_LNKCTL)
		return PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_RCB | PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES;
	return 0;
}

static bool is_sticky(struct machine *m, unsigned reg)
{
	unsigned aer = aer_at(m);
	return (reg >= aer + 4 && reg < aer + 0x2c) || reg == m->blk.pci.pcie + PCI_EXP_LNKCTL2;
}

static void registers_after_reset(struct machine *m)
{
	enum stop kind = *(const enum stop *)m->arg;
	uint32_t fresh[PCI_CFG_SPACE_EXP_SIZE / 4], before[PCI_CFG_SPACE_EXP_SIZE / 4],
		after[PCI_CFG_SPACE_EXP_SIZE / 4];
	struct tlp slot_power = {.type = TLP_MSGD,
				 .msg_code = TLP_MSG_SET_SLOT_POWER_LIMIT,
				 .msg_route = TLP_ROUTE_LOCAL,
				 .length_dw = 1,
				 .payload = (const uint8_t[]){0x19, 0x01, 0, 0}};
	dump(m, fresh);
	machine_probe(m);
	send_tlp(m, &slot_power);
	errors_clear(m);
	struct tlp nowhere = memory_request(TLP_MRD, 0x70000000, NULL);
	CHECK_EQUAL(request_status(m, &nowhere, NULL, NULL), TLP_UR); /* something for the sticky error log */
	scribble(m);
	dump(m, before);
	stop(m, kind);
	uint64_t timeouts = root_stats(m->guest.root)->timeouts;
	CHECK_EQUAL(timeouts, 0); /* the write that starts an FLR is completed */
	dump(m, after);
	for (unsigned reg = 0; reg < PCI_CFG_SPACE_EXP_SIZE; reg += 4) {
		uint32_t keep = kind == STOP_HOT ? 0 : kept_by_flr(m, reg);
		if (is_sticky(m, reg))
			keep = UINT32_MAX;
		if (after[reg / 4] == ((before[reg / 4] & keep) | (fresh[reg / 4] & ~keep)))
			continue;
		printf("register %#x: %#x, before the reset %#x, fresh %#x\n", reg, after[reg / 4],
		       before[reg / 4], fresh[reg / 4]);
		machine_check_failed("reset values", __FILE__, __LINE__);
	}
	CHECK(before[(m->blk.pci.pcie + PCI_EXP_DEVCAP) / 4] & PCI_EXP_DEVCAP_PWR_VAL);
	CHECK(after[(aer_at(m) + PCI_ERR_UNCOR_STATUS) / 4] & UINT32_C(1) << AER_UNSUPPORTED_REQUEST);
	recover_function(m);
	load_check_alive(m, 50);
}

static void run_for_each(machine_body *body, const enum stop *kinds, size_t count,
			 const char *const *settings)
{
	for (size_t i = 0; i < count; i++) {
		const struct machine_options options = {.arg = &kinds[i]};
		printf("%s\n", stop_names[kinds[i]]);
		machine_run_with(body, &options, settings);
	}
}

static void test_reset_restores_registers(void **state)
{
	static const enum stop kinds[] = {STOP_HOT, STOP_FLR_SUDDEN, STOP_FLR_PREPARED};
	static const char *const settings[] = {"host.vcpus=1", "link.mps=256", NULL};
	(void)state;
	run_for_each(registers_after_reset, kinds, ARRAY_SIZE(kinds), settings);
}

/* Bus and device number are what the last configuration write said, 0 after a conventional reset (RST-002, CFG-005). */
static void captured_id(struct machine *m)
{
	struct tlp completion, read = config_request(TLP_CFGRD0, PCI_VENDOR_ID, NULL);
	static const uint8_t data[4];
	struct tlp write = config_request(TLP_CFGWR0, PCI_VENDOR_ID, data);
	CHECK_EQUAL(root_request(m->guest.root, &read, &completion, (uint8_t[TLP_PAYLOAD_BYTES_MAX]){0}),
		    true);
	CHECK_EQUAL(completion.completer_id, 0);
	machine_find(m);
	request_status(m, &read, &completion, NULL);
	CHECK_EQUAL(completion.completer_id, ROOT_BUS << 8);
	write.dest_id = 0x2a << 8 | 3 << 3;
	CHECK_EQUAL(request_status(m, &write, &completion, NULL), TLP_SC);
	CHECK_EQUAL(completion.completer_id, 0x2a << 8 | 3 << 3);
	start_flr(m); /* captures again, and FLR keeps it */
	do {
		request_status(m, &read, &completion, NULL);
		CHECK_EQUAL(completion.completer_id, ROOT_BUS << 8);
		machine_wait_us(m, 1);
	} while (completion.status == TLP_CRS);
	root_hot_reset(m->guest.root);
	do
		request_status(m, &read, &completion, NULL);
	while (completion.status == TLP_CRS);
	CHECK_EQUAL(completion.completer_id, 0);
	machine_probe(m);
	load_check_alive(m, 50);
}

static void wait_for_power_on(struct machine *m)
{
	struct tlp completion, read = config_request(TLP_CFGRD0, PCI_VENDOR_ID, NULL);
	uint8_t data[TLP_PAYLOAD_BYTES_MAX];
	unsigned retried = 0;
	do {
		retried++;
		CHECK(root_request(m->guest.root, &read, &completion, data));
		CHECK(completion.status == TLP_CRS || completion.status == TLP_SC); /* RST-003 */
		machine_wait_us(m, 5);
	} while (completion.status == TLP_CRS);
	CHECK(retried > 1);
	CHECK(kernel_now_ps() < PS_PER_S);
	captured_id(m);
}

static void test_requester_id_is_captured_and_lost(void **state)
{
	(void)state;
	machine_run(wait_for_power_on, "host.vcpus=1", NULL);
}

/* Nothing of the old life shows through the function; the medium keeps its contents (RST-008). */
static void virtio_state_after_reset(struct machine *m)
{
	enum stop kind = *(const enum stop *)m->arg;
	uint8_t out[4096], in[4096];
	machine_probe(m);
	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)rng_u64(&m->rng);
	CHECK_EQUAL(machine_request(m, 1, VIRTIO_BLK_T_OUT, 16, out, sizeof(out), 1000), VIRTIO_BLK_S_OK);
	stop(m, kind);
	if (kind != STOP_VIRTIO)
		pci_restore(&m->blk.pci, &m->blk.settings.pci);
	const struct virtio_device *virtio = &m->blk.virtio;
	CHECK_EQUAL(virtio_status(virtio), 0);
	CHECK_EQUAL(virtio_isr(virtio), 0);
	CHECK_EQUAL(virtio_common_read(virtio, VIRTIO_PCI_COMMON_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	CHECK_EQUAL(virtio_common_read(virtio, VIRTIO_PCI_COMMON_GF, 4), 0);
	for (unsigned i = 0; i < m->blk.queues; i++) {
		virtio_common_write(virtio, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
		CHECK_EQUAL(virtio_common_read(virtio, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		CHECK_EQUAL(virtio_common_read(virtio, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
		CHECK_EQUAL(virtio_common_read(virtio, VIRTIO_PCI_COMMON_Q_SIZE, 2), MACHINE_QUEUE_SIZE);
		for (unsigned at = VIRTIO_PCI_COMMON_Q_DESCLO; at <= VIRTIO_PCI_COMMON_Q_USEDHI; at += 4)
			CHECK_EQUAL(virtio_common_read(virtio, at, 4), 0);
	}
	for (unsigned i = 0; i < m->blk.pci.msix_vectors && kind != STOP_VIRTIO; i++) {
		CHECK_EQUAL(root_mmio_read(m->guest.root,
					   m->blk.pci.msix_table + 16 * i + PCI_MSIX_ENTRY_VECTOR_CTRL, 4) &
				    1,
			    1);
		CHECK_EQUAL(root_mmio_read(m->guest.root, m->blk.pci.msix_table + 16 * i, 4), 0);
	}
	machine_restart(m);
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_IN, 16, in, sizeof(in), 1000), VIRTIO_BLK_S_OK);
	CHECK(memcmp(in, out, sizeof(in)) == 0);
}

static void test_reset_hides_the_old_life_and_keeps_the_medium(void **state)
{
	static const enum stop kinds[] = {STOP_VIRTIO, STOP_FLR_PREPARED, STOP_FLR_SUDDEN, STOP_HOT};
	static const char *const settings[] = {"host.vcpus=1", "device.queues=4", NULL};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct machine_options options = {.arg = &kinds[i]};
		machine_run_with(virtio_state_after_reset, &options, settings);
	}
}

/* A virtio reset touches nothing of PCI (RST-013). */
static void virtio_reset_and_pci(struct machine *m)
{
	static const struct load_settings settings = {0};
	uint32_t before[PCI_CFG_SPACE_EXP_SIZE / 4], after[PCI_CFG_SPACE_EXP_SIZE / 4], table[64], word;
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	load_run(&load, 50);
	dump(m, before);
	CHECK(m->blk.pci.msix_vectors * 4 <= ARRAY_SIZE(table));
	for (unsigned i = 0; i < m->blk.pci.msix_vectors * 4; i++)
		table[i] = (uint32_t)root_mmio_read(m->guest.root, m->blk.pci.msix_table + 4 * i, 4);
	stop(m, STOP_VIRTIO);
	dump(m, after);
	/* Transactions Pending may have ended. */
	word = (m->blk.pci.pcie + PCI_EXP_DEVCTL) / 4;
	before[word] &= ~((uint32_t)PCI_EXP_DEVSTA_TRPND << 16);
	after[word] &= ~((uint32_t)PCI_EXP_DEVSTA_TRPND << 16);
	CHECK(memcmp(before, after, sizeof(before)) == 0);
	for (unsigned i = 0; i < m->blk.pci.msix_vectors * 4; i++)
		CHECK_EQUAL(root_mmio_read(m->guest.root, m->blk.pci.msix_table + 4 * i, 4), table[i]);
}

static void test_virtio_reset_changes_nothing_of_pci(void **state)
{
	(void)state;
	machine_run(virtio_reset_and_pci, "host.vcpus=1", "device.queues=4", NULL);
}

/* ---- INTx and resets (RST-006, INT-016) ---- */

static void intx_and_reset(struct machine *m)
{
	enum stop kind = *(const enum stop *)m->arg;
	uint8_t data[512];
	machine_probe(m);
	/* A completion whose interrupt nobody handles. */
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_IN, 0, data, sizeof(data), 1000), VIRTIO_BLK_S_OK);
	machine_wait_us(m, 10);
	CHECK(m->guest.intx);
	uint64_t messages = root_stats(m->guest.root)->intx_messages;
	stop(m, kind);
	machine_wait_us(m, 10);
	CHECK(!m->guest.intx);
	CHECK_EQUAL(root_stats(m->guest.root)->intx_messages,
		    messages + (kind != STOP_HOT)); /* link down: no message */
	CHECK(!(config_read(m, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT));
	go_on(m, kind);
	machine_wait_us(m, 50);
	CHECK(!m->guest.intx); /* only new causes */
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_IN, 0, data, sizeof(data), 1000), VIRTIO_BLK_S_OK);
	machine_wait_us(m, 10);
	CHECK(m->guest.intx);
	CHECK_EQUAL(virtio_isr(&m->blk.virtio), ISR_QUEUE);
}

static void test_reset_takes_intx_back(void **state)
{
	static const enum stop kinds[] = {STOP_VIRTIO, STOP_FLR_PREPARED, STOP_FLR_SUDDEN, STOP_HOT};
	static const char *const settings[] = {"host.vcpus=1", "guest.msix=off", "guest.event_idx=off", NULL};
	(void)state;
	run_for_each(intx_and_reset, kinds, ARRAY_SIZE(kinds), settings);
}

/* ---- power (RST-010, RST-011, ACC-016) ---- */

static void power_state(struct machine *m)
{
	static const struct load_settings settings = {0};
	struct load load;
	struct tlp read;
	machine_probe(m);
	read = memory_request(TLP_MRD, m->blk.virtio.common.addr, NULL);
	load_begin(&load, m, &settings);
	load_run(&load, 50);
	load_drain(&load);
	uint32_t before[PCI_CFG_SPACE_EXP_SIZE / 4], after[PCI_CFG_SPACE_EXP_SIZE / 4];
	dump(m, before);
	uint8_t status = virtio_status(&m->blk.virtio);
	set_power(m, 3);
	CHECK_EQUAL(request_status(m, &read, NULL, NULL), TLP_UR);
	CHECK_EQUAL(config_read(m, PCI_VENDOR_ID, 2), 0x1af4);
	machine_kick(m, 0);                                 /* dropped */
	config_write(m, m->blk.pci.pm + PCI_PM_CTRL, 2, 1); /* D1 is not there */
	CHECK_EQUAL(config_read(m, m->blk.pci.pm + PCI_PM_CTRL, 2) & 3, 3);
	set_power(m, 0);
	CHECK(config_read(m, m->blk.pci.pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_NO_SOFT_RESET);
	errors_clear(m);
	dump(m, after);
	before[PCI_COMMAND / 4] &= 0xffff, after[PCI_COMMAND / 4] &= 0xffff;
	CHECK(memcmp(before, after, PCI_CFG_SPACE_SIZE) == 0);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), status);
	load_run(&load, 50);
	load_drain(&load);
}

static void test_d3hot_keeps_state_and_takes_configuration_only(void **state)
{
	(void)state;
	machine_run(power_state, "host.vcpus=1", NULL);
}

struct pme_watch {
	unsigned acks;
};

static void watch_pme(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct pme_watch *watch = ctx;
	struct tlp tlp;
	(void)at_ps;
	if (!from_card || tlp_decode(&tlp, wire, size) != TLP_OK || tlp.type != TLP_MSG)
		return;
	CHECK_EQUAL(tlp.msg_code, TLP_MSG_PME_TO_ACK);
	CHECK_EQUAL(tlp.msg_route, TLP_ROUTE_GATHER);
	CHECK_EQUAL(tlp.tc, 0);
	CHECK_EQUAL(tlp.attr, 0);
	watch->acks++;
}

static void turn_off(struct machine *m)
{
	static const struct load_settings settings = {0};
	struct tlp message = {
		.type = TLP_MSG, .msg_code = TLP_MSG_PME_TURN_OFF, .msg_route = TLP_ROUTE_BROADCAST};
	struct pme_watch watch = {0};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	root_tap(m->guest.root, watch_pme, &watch);
	for (unsigned i = 0; i < 10; i++) {
		load_run_ps(&load, 10 * PS_PER_US);
		send_tlp(m, &message);
		machine_wait_us(m, 2);
		root_sync(m->guest.root);
		CHECK_EQUAL(watch.acks, i + 1);
	}
	root_tap(m->guest.root, NULL, NULL);
	load_drain(&load);
}

static void test_pme_turn_off_is_acknowledged(void **state)
{
	(void)state;
	machine_run(turn_off, "host.vcpus=1", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_stop_under_load_is_quiet_and_loses_nothing,
			 "RST-001 RST-004 RST-005 RST-007 RST-009 RST-010 ERR-032 ACC-002 ACC-016 DLL-009"),
		REQ_TEST(test_stop_under_load_on_a_bad_link_is_quiet,
			 "RST-004 RST-005 RST-009 ERR-032 ACC-002 ACC-016 DLL-009"),
		REQ_TEST(test_stop_under_load_by_firmware_is_quiet, "RST-004 RST-009 ERR-032 ACC-002"),
		REQ_TEST(test_stop_while_interrupts_are_moderated_is_quiet, "RST-004 RST-009 ERR-032"),
		REQ_TEST(test_stop_while_credits_starve_is_quiet, "RST-009 ERR-032 ACC-002 ORD-007"),
		REQ_TEST(test_stop_at_every_stage_of_a_request_is_quiet,
			 "RST-004 RST-007 RST-009 RST-010 ERR-032 ACC-002 ACC-018"),
		REQ_TEST(test_resets_into_resets_are_survived, "RST-001 RST-005 RST-007 RST-009"),
		REQ_TEST(test_requests_during_flr_are_answered, "RST-005"),
		REQ_TEST(test_reset_restores_registers, "RST-001 RST-002 RST-004 ACC-013"),
		REQ_TEST(test_requester_id_is_captured_and_lost, "RST-002 RST-003 CFG-005 CPL-003"),
		REQ_TEST(test_reset_hides_the_old_life_and_keeps_the_medium, "RST-008 INT-003"),
		REQ_TEST(test_virtio_reset_changes_nothing_of_pci, "RST-013"),
		REQ_TEST(test_reset_takes_intx_back, "RST-006 INT-016"),
		REQ_TEST(test_d3hot_keeps_state_and_takes_configuration_only, "RST-010 ACC-016"),
		REQ_TEST(test_pme_turn_off_is_acknowledged, "RST-011 ACC-013 TLP-012 TLP-013"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
