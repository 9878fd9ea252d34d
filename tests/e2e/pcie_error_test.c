/* Errors on the link with I/O running: the request gets the prescribed result, the error is logged and reported as it
 * should be, nothing hangs, and the card goes on (guides: ERR, TAG-009, CPL-017). */
#include "tests/e2e/pcie_help.h"

#define AER(bit)     (UINT32_C(1) << AER_##bit)
#define COR_ADVISORY (UINT32_C(1) << AER_ADVISORY_NON_FATAL)
#define STATUS_BITS  0xf900u /* of Status, those that are written 1 to clear; not Master Data Parity Error */

/* Completion timeout of 50 us to 100 us instead of the default's 50 ms. */
static void shorten_timeout(struct machine *m)
{
	config_write(m, m->blk.pci.pcie + PCI_EXP_DEVCTL2, 2, 1);
}

/* Faults are about reads of the card; 32 tags, so that a wrong tag is nobody's. */
#define MACHINE_SETTINGS                                                                                     \
	"host.vcpus=1", "device.queues=2", "guest.indirect=on", "guest.segment_bytes=4096", "link.tags=32"

/* ---- what the host can do to a read ---- */

struct fault_row {
	const char *name;
	enum root_fault_kind kind;
	bool completes;         /* the request is not harmed */
	uint32_t uncorrectable; /* AER */
	uint16_t status;        /* Status register */
	unsigned cor, nonfatal; /* messages */
};

#define LATE_PS (150 * PS_PER_US) /* after the timeout */

static const struct fault_row fault_rows[] = {
	{"UR", ROOT_FAULT_UR, .status = PCI_STATUS_REC_MASTER_ABORT}, /* ERR-004 */
	{"CA", ROOT_FAULT_CA, .status = PCI_STATUS_REC_TARGET_ABORT},
	{"CRS", ROOT_FAULT_CRS, .status = PCI_STATUS_REC_MASTER_ABORT},                         /* ERR-005 */
	{"reserved status", ROOT_FAULT_RESERVED_STATUS, .status = PCI_STATUS_REC_MASTER_ABORT}, /* ERR-006 */
	{"no completion", ROOT_FAULT_DROP, .uncorrectable = AER(COMPLETION_TIMEOUT),
	 .nonfatal = 1}, /* ERR-007 */
	{"late completion", ROOT_FAULT_LATE,
	 .uncorrectable = AER(COMPLETION_TIMEOUT) | AER(UNEXPECTED_COMPLETION), .nonfatal = 1, .cor = 1},
	{"poisoned", ROOT_FAULT_POISON, .uncorrectable = AER(POISONED), .status = PCI_STATUS_DETECTED_PARITY,
	 .nonfatal = 1}, /* ERR-012 */
	{"wrong tag", ROOT_FAULT_WRONG_TAG,
	 .uncorrectable = AER(COMPLETION_TIMEOUT) | AER(UNEXPECTED_COMPLETION), .nonfatal = 1,
	 .cor = 1}, /* ERR-008 */
	{"Byte Count", ROOT_FAULT_BYTE_COUNT, .uncorrectable = AER(UNEXPECTED_COMPLETION),
	 .cor = 1}, /* ERR-009 */
	{"Lower Address", ROOT_FAULT_LOWER_ADDRESS, .uncorrectable = AER(UNEXPECTED_COMPLETION), .cor = 1},
	{"TC", ROOT_FAULT_WRONG_TC, .uncorrectable = AER(UNEXPECTED_COMPLETION), .cor = 1},
	{"duplicate", ROOT_FAULT_DUPLICATE, .completes = true, .uncorrectable = AER(UNEXPECTED_COMPLETION),
	 .cor = 1},                                                             /* ERR-010 */
	{"no data", ROOT_FAULT_NO_DATA, .status = PCI_STATUS_REC_MASTER_ABORT}, /* ERR-011 */
};

static void inject(struct machine *m, const struct fault_row *row, uint64_t addr, uint64_t bytes)
{
	const struct root_fault fault = {
		.kind = row->kind,
		.addr = addr,
		.bytes = bytes,
		.count = 1,
		.delay_ps = row->kind == ROOT_FAULT_LATE ? LATE_PS : 0,
	};
	printf("%s\n", row->name);
	root_inject(m->guest.root, &fault);
}

static void check_log(struct machine *m, const struct fault_row *row, const struct errors *before)
{
	struct errors errors = errors_since(m, before);
	CHECK_EQUAL(errors.uncorrectable, row->uncorrectable);
	CHECK_EQUAL(errors.status & STATUS_BITS, row->status);
	/* One message for every completion that is wrong: with the usual settings a read has more than one. */
	bool many = m->config.link.mrrs > m->config.link.mps;
	CHECK(errors.nonfatal == row->nonfatal ||
	      (many && errors.nonfatal > row->nonfatal && row->nonfatal != 0));
	CHECK(errors.cor == row->cor || (many && errors.cor > row->cor && row->cor != 0));
	CHECK_EQUAL(errors.fatal, 0);
	CHECK_EQUAL(errors.correctable, row->cor ? COR_ADVISORY : 0);
	CHECK_EQUAL(errors.device_status & 0xf,
		    (row->cor ? PCI_EXP_DEVSTA_CED : 0) | (row->nonfatal ? PCI_EXP_DEVSTA_NFED : 0));
}

/* Data the card reads: the request gets S_IOERR. */
static void faults_on_data(struct machine *m)
{
	static const struct load_settings settings = {.errors_allowed = true, .bytes_max = 8192};
	struct load load;
	machine_probe(m);
	shorten_timeout(m);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < ARRAY_SIZE(fault_rows); i++) {
		const struct load_place *victim = &load.place[i % load.places];
		struct errors before = errors_clear(m);
		load.errors = 0;
		inject(m, &fault_rows[i], victim->buffer_addr, settings.bytes_max);
		load_run(&load, 300);
		load_drain(&load);
		machine_wait_us(m, 300);
		CHECK_EQUAL(load.errors, !fault_rows[i].completes);
		check_log(m, &fault_rows[i], &before);
	}
}

static void test_data_read_fault_fails_the_request(void **state)
{
	(void)state;
	machine_run(faults_on_data, MACHINE_SETTINGS, NULL);
	machine_run(faults_on_data, MACHINE_SETTINGS, "link.mrrs=256", "link.tags=256", NULL);
}

static void test_data_read_fault_fails_the_request_by_firmware(void **state)
{
	(void)state;
	machine_run(faults_on_data, MACHINE_SETTINGS, "device.offload=firmware", NULL);
}

/* The header cannot be read, but there is a place for the status. */
static void faults_on_headers(struct machine *m)
{
	static const struct load_settings settings = {.errors_allowed = true, .bytes_max = 4096};
	struct load load;
	machine_probe(m);
	shorten_timeout(m);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < ARRAY_SIZE(fault_rows); i++) {
		const struct blk_queue *queue = &m->blk.queue[i % m->blk.queues];
		struct errors before = errors_clear(m);
		load.errors = 0;
		inject(m, &fault_rows[i], queue->header_addr, queue->vq.size * sizeof(struct blk_header));
		load_run(&load, 300);
		load_drain(&load);
		machine_wait_us(m, 300);
		CHECK_EQUAL(load.errors, !fault_rows[i].completes);
		check_log(m, &fault_rows[i], &before);
	}
}

static void test_header_read_fault_fails_the_request(void **state)
{
	(void)state;
	machine_run(faults_on_headers, MACHINE_SETTINGS, NULL);
}

/* Rings, descriptors, indirect tables and event fields: DEVICE_NEEDS_RESET, and after a reset all is well. */
struct structure {
	const char *name;
	uint64_t addr, bytes;
};

static void fault_on_structure(struct machine *m, struct load *load, const struct structure *structure,
			       const struct fault_row *row)
{
	struct errors before = errors_clear(m);
	printf("%s: ", structure->name);
	load->config_interrupts = 0;
	inject(m, row, structure->addr, structure->bytes);
	load_run_ps(load, 400 * PS_PER_US);
	uint8_t status = virtio_status(&m->blk.virtio);
	if (row->completes) {
		CHECK(!(status & VIRTIO_CONFIG_S_NEEDS_RESET));
		load_drain(load);
	} else {
		CHECK(status & VIRTIO_CONFIG_S_NEEDS_RESET);
		CHECK_EQUAL(load->config_interrupts, 1);
		struct quiet quiet;
		quiet_begin(m, &quiet);
		machine_kick(m, 0); /* nothing is processed any more */
		machine_kick(m, 1);
		quiet_end(m, &quiet, 200);
		load_forget(load);
	}
	check_log(m, row, &before);
	machine_restart(m);
	load_run(load, 50);
	load_drain(load);
}

static void faults_on_structures(struct machine *m)
{
	static const struct load_settings settings = {.keep_chains = true, .bytes_max = 4096};
	struct load load;
	machine_probe(m);
	shorten_timeout(m);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < ARRAY_SIZE(fault_rows); i++) {
		const struct virtqueue *vq = &m->blk.queue[i % m->blk.queues].vq;
		const struct structure structures[] = {
			{"avail.idx", vq->avail_addr, 4},
			{"available ring", vq->avail_addr + 4, 2 * (uint64_t)vq->size},
			{"descriptors", vq->desc_addr, 16 * (uint64_t)vq->size},
			{"indirect tables", vq->indirect_addr,
			 16 * (uint64_t)vq->size * vq->indirect_entries},
			{"used_event", vq->avail_addr + 4 + 2 * (uint64_t)vq->size, 2},
		};
		for (unsigned j = 0; j < ARRAY_SIZE(structures); j++)
			fault_on_structure(m, &load, &structures[j], &fault_rows[i]);
	}
}

static void test_ring_read_fault_needs_reset(void **state)
{
	(void)state;
	machine_run(faults_on_structures, MACHINE_SETTINGS, NULL);
}

static void test_ring_read_fault_needs_reset_by_firmware(void **state)
{
	(void)state;
	machine_run(faults_on_structures, MACHINE_SETTINGS, "device.offload=firmware", NULL);
}

/* ---- completions made up by the host (ERR-008..ERR-010, CPL-016) ---- */

struct forger {
	uint64_t addr, bytes; /* reads in this range */
	struct tlp request;
	bool caught;
};

static void catch_read(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct forger *forger = ctx;
	struct tlp tlp;
	(void)at_ps;
	if (!from_card || tlp_decode(&tlp, wire, size) != TLP_OK || tlp.type != TLP_MRD || forger->caught)
		return;
	if (tlp.addr - forger->addr >= forger->bytes || tlp.length_dw < 32)
		return;
	forger->request = tlp;
	forger->caught = true;
}

enum forgery {
	FORGE_TOO_LONG,     /* more data than requested */
	FORGE_NOT_AT_RCB,   /* a first piece that ends anywhere */
	FORGE_SECOND_PIECE, /* the first is missing */
	FORGE_SHORT,        /* Byte Count says all, Length says less, and nothing follows */
	FORGE_ERROR_LATER,  /* a good piece, then CA */
	FORGERIES,
};

static void forge(struct machine *m, const struct tlp *request, enum forgery forgery)
{
	static const uint8_t data[TLP_PAYLOAD_BYTES_MAX];
	uint32_t bytes = request->length_dw * 4u;
	struct tlp cpl = {
		.type = TLP_CPLD,
		.requester_id = request->requester_id,
		.tag = request->tag,
		.length_dw = (uint16_t)(bytes / 4),
		.byte_count = (uint16_t)bytes,
		.lower_addr = request->addr & 0x7f,
		.payload = data,
	};
	uint32_t to_rcb = 64 - request->addr % 64;
	switch (forgery) {
	case FORGE_TOO_LONG: cpl.length_dw++; break;
	case FORGE_NOT_AT_RCB: cpl.length_dw = (uint16_t)(to_rcb / 4 + 1); break;
	case FORGE_SECOND_PIECE:
		cpl.length_dw = (uint16_t)((bytes - to_rcb) / 4);
		cpl.byte_count = (uint16_t)(bytes - to_rcb);
		cpl.lower_addr = (uint8_t)(request->addr + to_rcb) & 0x7f;
		break;
	case FORGE_SHORT:
	case FORGE_ERROR_LATER: cpl.length_dw = (uint16_t)(to_rcb / 4); break;
	default: ASSERT(false);
	}
	send_tlp(m, &cpl);
	if (forgery != FORGE_ERROR_LATER)
		return;
	struct tlp error = {.type = TLP_CPL,
			    .requester_id = request->requester_id,
			    .tag = request->tag,
			    .status = TLP_CA,
			    .byte_count = 4};
	send_tlp(m, &error);
}

static bool was_caught(void *ctx)
{
	return ((struct forger *)ctx)->caught;
}

static void forged_completions(struct machine *m)
{
	machine_probe(m);
	shorten_timeout(m);
	for (unsigned i = 0; i < FORGERIES; i++) {
		struct machine_buffers buffers = machine_buffers(m, VIRTIO_BLK_T_OUT, 0, 4096);
		struct forger forger = {.addr = buffers.data_addr, .bytes = 4096};
		const struct root_fault fault = {
			.kind = ROOT_FAULT_DROP, .addr = buffers.data_addr, .bytes = 4096, .count = 1};
		struct errors before = errors_clear(m);
		uint16_t used = machine_used_index(m, 0);
		root_tap(m->guest.root, catch_read, &forger);
		root_inject(m->guest.root, &fault);
		machine_desc(m, 0, 0, buffers.header_addr, 16, VRING_DESC_F_NEXT, 1);
		machine_desc(m, 0, 1, buffers.data_addr, 4096, VRING_DESC_F_NEXT, 2);
		machine_desc(m, 0, 2, buffers.status_addr, 1, VRING_DESC_F_WRITE, 0);
		machine_offer(m, 0, 0);
		CHECK(machine_wait_until(m, was_caught, &forger, 1000));
		forge(m, &forger.request, (enum forgery)i);
		CHECK(machine_wait_used(m, 0, (uint16_t)(used + 1), 1000));
		CHECK_EQUAL(*buffers.status, VIRTIO_BLK_S_IOERR);
		struct errors errors = errors_since(m, &before);
		if (i == FORGE_ERROR_LATER)
			CHECK(errors.status & PCI_STATUS_REC_TARGET_ABORT);
		else if (i == FORGE_SHORT)
			CHECK_EQUAL(errors.uncorrectable, AER(COMPLETION_TIMEOUT));
		else
			CHECK(errors.uncorrectable & (AER(UNEXPECTED_COMPLETION) | AER(MALFORMED)));
		root_tap(m->guest.root, NULL, NULL);
	}
	machine_restart(m);
	load_check_alive(m, 100);
}

static void test_forged_completion_fails_the_request(void **state)
{
	(void)state;
	machine_run(forged_completions, "host.vcpus=1", "link.rcb=64", NULL);
}

/* Completions nobody has asked for: dropped and logged, I/O goes on. */
static void stray_completions(struct machine *m)
{
	static const uint8_t data[64];
	static const struct load_settings settings = {0};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < 100; i++) {
		bool known_id = i % 2;
		struct tlp cpl = {
			.type = i % 3 ? TLP_CPLD : TLP_CPL,
			.requester_id = known_id ? ROOT_BUS << 8 : TESTER_ID,
			.tag = (uint16_t)(0x40 + i), /* 32 tags: never in use */
			.byte_count = 64,
		};
		if (cpl.type == TLP_CPLD) {
			cpl.length_dw = 16;
			cpl.payload = data;
		}
		struct errors before = errors_clear(m);
		load_run(&load, 5);
		send_tlp(m, &cpl);
		load_run(&load, 5);
		struct errors errors = errors_since(m, &before);
		CHECK_EQUAL(errors.uncorrectable, AER(UNEXPECTED_COMPLETION));
		CHECK_EQUAL(errors.first, AER_UNEXPECTED_COMPLETION);
		CHECK_EQUAL(errors.header[0] >> 24, cpl.type == TLP_CPLD ? 0x4a : 0x0a);
		CHECK_EQUAL(errors.header[2] >> 8 & 0xff, cpl.tag);
		CHECK_EQUAL(errors.cor, 1);
		CHECK_EQUAL(errors.nonfatal + errors.fatal, 0);
	}
	load_drain(&load);
}

static void test_stray_completion_is_dropped_and_logged(void **state)
{
	(void)state;
	machine_run(stray_completions, MACHINE_SETTINGS, NULL);
}

/* ---- requests the card cannot serve (ERR-001, ERR-002, ERR-013..ERR-024) ---- */

#define NO_ANSWER 0x200u

struct request_row {
	const char *name;
	enum tlp_type type;
	uint32_t bytes; /* payload or requested */
	uint16_t bar4;  /* offset in BAR4 if nonzero, else it is to an address where nothing is */
	uint16_t reg;   /* configuration requests */
	enum tlp_message code;
	bool ep, td, function_1;
	uint8_t tc;
	uint8_t be;      /* last << 4 | first, 0 = as they should be */
	unsigned answer; /* enum tlp_status or NO_ANSWER */
	uint32_t uncorrectable;
	uint16_t status; /* Status register */
	unsigned cor, nonfatal, fatal;
	size_t cut; /* wire bytes to leave off */
	bool spoil; /* the last byte */
};

static const uint8_t zeroes[TLP_PAYLOAD_BYTES_MAX];

#define NOWHERE                UINT64_C(0x70000000)
#define UNSUPPORTED_NON_POSTED .answer = TLP_UR, .uncorrectable = AER(UNSUPPORTED_REQUEST), .cor = 1
#define UNSUPPORTED_POSTED     .answer = NO_ANSWER, .uncorrectable = AER(UNSUPPORTED_REQUEST), .nonfatal = 1
#define IS_POISONED            .uncorrectable = AER(POISONED), .status = PCI_STATUS_DETECTED_PARITY
#define IS_MALFORMED           .answer = NO_ANSWER, .uncorrectable = AER(MALFORMED), .fatal = 1
#define SCRATCH                .bar4 = VIRTIO_PCI_COMMON_GFSELECT /* a register without consequences */

static const struct request_row request_rows[] = {
	{"write to nowhere", TLP_MWR, 4, UNSUPPORTED_POSTED},
	{"read of nowhere", TLP_MRD, 4, UNSUPPORTED_NON_POSTED},
	{"long read of nowhere", TLP_MRD, 4096, UNSUPPORTED_NON_POSTED},
	{"locked read", TLP_MRDLK, 4, UNSUPPORTED_NON_POSTED},
	{"locked read of a register", TLP_MRDLK, 4, SCRATCH, UNSUPPORTED_NON_POSTED},
	{"I/O read", TLP_IORD, 4, UNSUPPORTED_NON_POSTED},
	{"I/O write", TLP_IOWR, 4, UNSUPPORTED_NON_POSTED},
	{"FetchAdd", TLP_FETCHADD, 4, SCRATCH, UNSUPPORTED_NON_POSTED},
	{"Swap", TLP_SWAP, 8, SCRATCH, UNSUPPORTED_NON_POSTED},
	{"CAS", TLP_CAS, 8, SCRATCH, UNSUPPORTED_NON_POSTED},
	{"Type 1 read", TLP_CFGRD1, 4, UNSUPPORTED_NON_POSTED},
	{"Type 1 write", TLP_CFGWR1, 4, UNSUPPORTED_NON_POSTED},
	{"function 1", TLP_CFGRD0, 4, .function_1 = true, UNSUPPORTED_NON_POSTED},
	{"poisoned write", TLP_MWR, 4, SCRATCH, .ep = true, .answer = NO_ANSWER, IS_POISONED, .nonfatal = 1},
	/* Unsupported Request goes before Poisoned (PCIe 6.0 §6.2.3.2.3). */
	{"poisoned write to nowhere", TLP_MWR, 4, .ep = true, UNSUPPORTED_POSTED,
	 .status = PCI_STATUS_DETECTED_PARITY},
	{"poisoned configuration write", TLP_CFGWR0, 4, .reg = PCI_COMMAND, .ep = true, .answer = TLP_UR,
	 IS_POISONED, .cor = 1},
	{"payload above MPS", TLP_MWR, 512, SCRATCH, IS_MALFORMED},
	{"payload shorter than Length", TLP_MWR, 16, SCRATCH, .cut = 4, IS_MALFORMED},
	{"header cut off", TLP_MRD, 16, SCRATCH, .cut = 4, IS_MALFORMED},
	{"Last BE of one DW", TLP_MRD, 4, SCRATCH, .be = 0x1f, IS_MALFORMED},
	{"First BE 0 of two DW", TLP_MWR, 8, SCRATCH, .be = 0xf0, IS_MALFORMED},
	{"two DW of configuration", TLP_CFGRD0, 8, IS_MALFORMED},
	{"configuration on TC 1", TLP_CFGRD0, 4, .tc = 1, IS_MALFORMED},
	{"INTx on TC 1", TLP_MSG, .code = TLP_MSG_ASSERT_INTA, .tc = 1, IS_MALFORMED},
	{"Assert_INTA downwards", TLP_MSG, .code = TLP_MSG_ASSERT_INTA, UNSUPPORTED_POSTED},
	{"ERR_FATAL downwards", TLP_MSG, .code = TLP_MSG_ERR_FATAL, UNSUPPORTED_POSTED},
	{"PM_PME downwards", TLP_MSG, .code = TLP_MSG_PM_PME, UNSUPPORTED_POSTED},
	{"Vendor_Defined Type 0", TLP_MSG, .code = TLP_MSG_VENDOR_TYPE0, UNSUPPORTED_POSTED},
	{"FetchAdd of 3 DW", TLP_FETCHADD, 12, SCRATCH, IS_MALFORMED},
	{"bad ECRC", TLP_MWR, 4, SCRATCH, .td = true, .spoil = true, .answer = NO_ANSWER,
	 .uncorrectable = AER(ECRC), .nonfatal = 1},
};

static struct tlp tlp_of_row(struct machine *m, const struct request_row *row)
{
	bool to_root = row->code == TLP_MSG_ERR_FATAL || row->code == TLP_MSG_PM_PME;
	struct tlp tlp = {
		.type = row->type,
		.tc = row->tc,
		.ep = row->ep,
		.td = row->td,
		.requester_id = TESTER_ID,
		.dest_id = ROOT_BUS << 8 | row->function_1,
		.reg = row->reg,
		.msg_code = (uint8_t)row->code,
		.msg_route = to_root ? TLP_ROUTE_TO_RC : TLP_ROUTE_LOCAL,
		.payload = zeroes,
	};
	if (row->bytes != 0)
		tlp_set_span(&tlp, row->bar4 ? m->blk.virtio.common.addr + row->bar4 : NOWHERE, row->bytes);
	if (row->be != 0) {
		tlp.first_be = row->be & 0xf;
		tlp.last_be = row->be >> 4;
	}
	return tlp;
}

/* Sends the row's request; returns the completion's status or NO_ANSWER. */
static unsigned send_row(struct machine *m, const struct request_row *row)
{
	uint8_t wire[TLP_WIRE_BYTES_MAX];
	struct tlp tlp = tlp_of_row(m, row), completion;
	if (row->answer != NO_ANSWER) {
		unsigned status = request_status(m, &tlp, &completion, NULL);
		CHECK_EQUAL(completion.type,
			    tlp.type == TLP_MRDLK ? TLP_CPLLK : TLP_CPL); /* ACC-010, CPL-004 */
		CHECK_EQUAL(completion.completer_id, ROOT_BUS << 8);
		return status;
	}
	size_t size = tlp_encode(&tlp, wire, sizeof(wire));
	ASSERT(size != 0);
	if (row->spoil)
		wire[size - 1] ^= 1;
	root_send_raw(m->guest.root, wire, size - row->cut);
	machine_wait_us(m, 5);
	return NO_ANSWER;
}

static void bad_requests(struct machine *m)
{
	static const struct load_settings settings = {0};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	unsigned cap = aer_at(m) + PCI_ERR_CAP;
	config_write(m, cap, 4, config_read(m, cap, 4) | PCI_ERR_CAP_ECRC_CHKE);
	for (unsigned i = 0; i < ARRAY_SIZE(request_rows); i++) {
		const struct request_row *row = &request_rows[i];
		struct traffic traffic;
		printf("%s\n", row->name);
		virtio_common_write(&m->blk.virtio, VIRTIO_PCI_COMMON_GFSELECT, 4, 0x5a5a5a5a);
		uint16_t command = (uint16_t)config_read(m, PCI_COMMAND, 2);
		struct errors before = errors_clear(m);
		load_run(&load, 10);
		traffic_watch(m, &traffic);
		CHECK_EQUAL(send_row(m, row), row->answer);
		traffic_end(m);
		load_run(&load, 10);
		struct errors errors = errors_since(m, &before);
		CHECK_EQUAL(traffic.completions, row->answer != NO_ANSWER); /* CPL-001 */
		CHECK_EQUAL(errors.uncorrectable, row->uncorrectable);
		CHECK_EQUAL(1u << errors.first, row->uncorrectable);
		CHECK_EQUAL(errors.correctable, row->cor ? COR_ADVISORY : 0);
		CHECK_EQUAL(errors.status & STATUS_BITS, row->status);
		CHECK_EQUAL(errors.cor, row->cor);
		CHECK_EQUAL(errors.nonfatal, row->nonfatal);
		CHECK_EQUAL(errors.fatal, row->fatal);
		bool unsupported = row->uncorrectable & AER(UNSUPPORTED_REQUEST);
		CHECK_EQUAL(errors.device_status & 0xf, (row->cor ? PCI_EXP_DEVSTA_CED : 0) |
								(row->nonfatal ? PCI_EXP_DEVSTA_NFED : 0) |
								(row->fatal ? PCI_EXP_DEVSTA_FED : 0) |
								(unsupported ? PCI_EXP_DEVSTA_URD : 0));
		/* Nothing was executed. */
		CHECK_EQUAL(virtio_common_read(&m->blk.virtio, VIRTIO_PCI_COMMON_GFSELECT, 4), 0x5a5a5a5a);
		CHECK_EQUAL(config_read(m, PCI_COMMAND, 2), command);
	}
	load_drain(&load);
}

static void test_bad_request_is_answered_and_logged(void **state)
{
	(void)state;
	machine_run(bad_requests, "host.vcpus=1", "device.queues=2", NULL);
}

/* Fmt/Type codes that mean nothing, each of them (ERR-019). */
static void undefined_types(struct machine *m)
{
	static const struct load_settings settings = {0};
	struct load load;
	unsigned tried = 0;
	machine_probe(m);
	load_begin(&load, m, &settings);
	for (unsigned code = 0; code < 256; code++) {
		uint8_t wire[20] = {(uint8_t)code, 0, 0, 1, TESTER_ID >> 8, TESTER_ID & 0xff, 0, 0x0f};
		struct tlp tlp;
		if (tlp_decode(&tlp, wire, sizeof(wire)) != TLP_BAD_FMT_TYPE)
			continue;
		struct errors before = errors_clear(m);
		root_send_raw(m->guest.root, wire, sizeof(wire));
		load_run(&load, 5);
		struct errors errors = errors_since(m, &before);
		CHECK_EQUAL(errors.uncorrectable, AER(MALFORMED));
		CHECK_EQUAL(errors.fatal, 1);
		CHECK_EQUAL(errors.header[0], code << 24 | 1);
		tried++;
	}
	CHECK(tried > 150);
	load_drain(&load);
}

static void test_undefined_type_is_malformed(void **state)
{
	(void)state;
	machine_run(undefined_types, "host.vcpus=1", NULL);
}

/* Reporting off: the bits are set, nobody is told (ERR-028). Then the first error keeps pointer and log (ERR-027,
 * CAP-008). */
static void reporting_off(struct machine *m)
{
	static const uint8_t data[4];
	struct tlp write = memory_request(TLP_MWR, NOWHERE, data),
		   read = memory_request(TLP_MRD, NOWHERE + 4, NULL);
	machine_probe(m);
	const unsigned devctl = m->blk.pci.pcie + PCI_EXP_DEVCTL;
	struct tlp poisoned = memory_request(TLP_MWR, m->blk.pci.msix_table, data);
	poisoned.ep = true;
	struct errors before = errors_clear(m);
	config_write(m, devctl, 1, config_read(m, devctl, 1) & ~0xfu);
	send_tlp(m, &poisoned);
	send_tlp(m, &write);
	CHECK_EQUAL(request_status(m, &read, NULL, NULL), TLP_UR);
	struct errors errors = errors_since(m, &before);
	CHECK_EQUAL(errors.cor + errors.nonfatal + errors.fatal, 0);
	CHECK_EQUAL(errors.uncorrectable, AER(POISONED) | AER(UNSUPPORTED_REQUEST));
	CHECK_EQUAL(errors.device_status & 0xf,
		    PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_NFED | PCI_EXP_DEVSTA_URD);
	CHECK_EQUAL(errors.first, AER_POISONED);
	CHECK_EQUAL(errors.header[2], m->blk.pci.msix_table);
	/* SERR# Enable alone has uncorrectable errors reported. */
	pci_set_command(&m->blk.pci, PCI_COMMAND_SERR, 0);
	send_tlp(m, &write);
	machine_wait_us(m, 5);
	errors = errors_since(m, &before);
	CHECK_EQUAL(errors.nonfatal, 1);
	CHECK_EQUAL(errors.cor + errors.fatal, 0);
	CHECK(errors.status & PCI_STATUS_SIG_SYSTEM_ERROR);
	CHECK_EQUAL(errors.first, AER_POISONED);
	load_check_alive(m, 50);
}

static void test_reporting_disabled_logs_and_is_silent(void **state)
{
	(void)state;
	machine_run(reporting_off, "host.vcpus=1", NULL);
}

/* Poisoned data with Parity Error Response on: Master Data Parity Error as well (CFG-007). */
static void parity_response(struct machine *m)
{
	machine_probe(m);
	for (unsigned on = 0; on < 2; on++) {
		uint8_t data[512] = {0};
		struct root_fault fault = {.kind = ROOT_FAULT_POISON,
					   .addr = m->guest.memory.base,
					   .bytes = m->guest.memory.bytes,
					   .count = 1};
		errors_clear(m);
		pci_set_command(&m->blk.pci, on ? PCI_COMMAND_PARITY : 0, PCI_COMMAND_PARITY);
		CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_OUT, 0, data, 512, 1000), VIRTIO_BLK_S_OK);
		fault.skip = 4; /* index, entry, descriptors, header; then the data */
		root_inject(m->guest.root, &fault);
		CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_OUT, 0, data, 512, 1000), VIRTIO_BLK_S_IOERR);
		CHECK_EQUAL(config_read(m, PCI_STATUS, 2) & (PCI_STATUS_PARITY | PCI_STATUS_DETECTED_PARITY),
			    PCI_STATUS_DETECTED_PARITY | (on ? PCI_STATUS_PARITY : 0));
	}
}

static void test_poisoned_completion_sets_parity_status(void **state)
{
	(void)state;
	machine_run(parity_response, "host.vcpus=1", NULL);
}

/* Errors are reported while interrupts are masked and the function may not master (ERR-029, ACC-002). */
static void reported_without_mastering(struct machine *m)
{
	static const uint8_t data[4];
	struct tlp write = memory_request(TLP_MWR, NOWHERE, data),
		   read = memory_request(TLP_MRD, NOWHERE, NULL);
	machine_probe(m);
	struct errors before = errors_clear(m);
	config_write(m, m->blk.pci.msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pci_set_command(&m->blk.pci, 0, PCI_COMMAND_MASTER);
	send_tlp(m, &write);
	CHECK_EQUAL(request_status(m, &read, NULL, NULL), TLP_UR);
	struct errors errors = errors_since(m, &before);
	CHECK_EQUAL(errors.nonfatal, 1);
	CHECK_EQUAL(errors.cor, 1);
	pci_set_command(&m->blk.pci, PCI_COMMAND_MASTER, 0);
	config_write(m, m->blk.pci.msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	load_check_alive(m, 50);
}

static void test_errors_are_reported_without_bus_master(void **state)
{
	(void)state;
	machine_run(reported_without_mastering, "host.vcpus=1", NULL);
}

/* ---- storms and moving targets ---- */

struct completion_count {
	uint64_t good, unsupported, others;
};

static void count_completions(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct completion_count *count = ctx;
	struct tlp tlp;
	(void)at_ps;
	if (!from_card || tlp_decode(&tlp, wire, size) != TLP_OK ||
	    tlp_class_of(tlp.type) != TLP_COMPLETION || tlp.requester_id != TESTER_ID)
		return;
	if (tlp.status == TLP_SC)
		count->good++;
	else if (tlp.status == TLP_UR)
		count->unsupported++;
	else
		count->others++;
}

/* A storm of requests that all are unsupported: each is answered, credits come back, I/O and registers go on
 * (ERR-033, FC-016). */
static void storm(struct machine *m)
{
	enum { ROUNDS = 200, PER_ROUND = 50 };
	static const uint8_t data[256];
	static const struct load_settings settings = {0};
	struct completion_count count = {0};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	root_tap(m->guest.root, count_completions, &count);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t done = load.done;
		for (unsigned j = 0; j < PER_ROUND; j++) {
			struct tlp read = memory_request(TLP_MRD, NOWHERE, NULL);
			struct tlp write = {.type = TLP_MWR, .requester_id = TESTER_ID, .payload = data};
			read.tag = (uint16_t)j;
			tlp_set_span(&write, NOWHERE, sizeof(data));
			send_tlp(m, &read);
			send_tlp(m, &write);
		}
		load_run_ps(&load, 20 * PS_PER_US);
		CHECK_EQUAL(virtio_common_read(&m->blk.virtio, VIRTIO_PCI_COMMON_NUMQ, 2), 2);
		CHECK(load.done > done || i == 0);
	}
	load_drain(&load);
	machine_wait_us(m, 10);
	root_sync(m->guest.root);
	CHECK_EQUAL(count.unsupported, ROUNDS * PER_ROUND);
	CHECK_EQUAL(count.good + count.others, 0);
	CHECK_EQUAL(device_stats(m->guest.device).endpoint->unsupported, 2 * ROUNDS * PER_ROUND);
}

static void test_storm_of_unsupported_requests_is_survived(void **state)
{
	(void)state;
	machine_run(storm, "host.vcpus=1", "device.queues=2", "link.non_posted_headers=1",
		    "link.posted_headers=2", NULL);
}

/* Decoding is switched off, or the BAR moved, in the middle of a burst of reads: each is decided by the state it meets,
 * and each is answered (ERR-031, ACC-001, CFG-012). */
static void moving_decode(struct machine *m)
{
	enum { READS = 20 };
	machine_probe(m);
	for (unsigned i = 0; i < 40; i++) {
		struct completion_count count = {0};
		struct tlp read = memory_request(TLP_MRD, m->blk.virtio.common.addr, NULL);
		bool move = i % 2;
		uint8_t value[4];
		unsigned before = (unsigned)rng_below(&m->rng, READS + 1);
		store_le32(value, move ? 0x1000 : 0);
		struct tlp off = config_request(TLP_CFGWR0, move ? PCI_BASE_ADDRESS_5 : PCI_COMMAND, value);
		off.tag = 0xff;
		root_tap(m->guest.root, count_completions, &count);
		for (unsigned j = 0; j < READS; j++) {
			read.tag = (uint16_t)j;
			if (j == before)
				send_tlp(m, &off);
			send_tlp(m, &read);
		}
		machine_wait_us(m, 5);
		bool sent = before < READS;
		CHECK_EQUAL(count.good, before + sent); /* the write's completion is good too */
		CHECK_EQUAL(count.unsupported, READS - before);
		CHECK_EQUAL(count.others, 0);
		root_tap(m->guest.root, NULL, NULL);
		pci_restore(&m->blk.pci, &m->blk.settings.pci);
	}
	load_check_alive(m, 50);
}

static void test_requests_are_decided_by_the_state_they_meet(void **state)
{
	(void)state;
	machine_run(moving_decode, "host.vcpus=1", NULL);
}

/* Read-only and reserved registers take writes without an error and without an effect (ERR-030, CFG-003). */
static void read_only_registers(struct machine *m)
{
	machine_probe(m);
	struct errors before = errors_clear(m);
	static const uint16_t registers[] = {PCI_VENDOR_ID,
					     PCI_CLASS_REVISION,
					     PCI_SUBSYSTEM_VENDOR_ID,
					     PCI_CARDBUS_CIS,
					     PCI_ROM_ADDRESS,
					     PCI_CAPABILITY_LIST,
					     0x150,
					     0x200,
					     0xffc};
	for (unsigned i = 0; i < ARRAY_SIZE(registers); i++) {
		uint32_t value = config_read(m, registers[i], 4);
		uint8_t data[4];
		store_le32(data, ~value);
		struct tlp write = config_request(TLP_CFGWR0, registers[i], data);
		CHECK_EQUAL(request_status(m, &write, NULL, NULL), TLP_SC);
		CHECK_EQUAL(config_read(m, registers[i], 4), value);
	}
	struct errors errors = errors_since(m, &before);
	CHECK_EQUAL(errors.uncorrectable | errors.correctable, 0);
	load_check_alive(m, 50);
}

static void test_read_only_registers_complete_and_keep_their_value(void **state)
{
	(void)state;
	machine_run(read_only_registers, "host.vcpus=1", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_data_read_fault_fails_the_request,
			 "ERR-004 ERR-005 ERR-006 ERR-007 ERR-008 ERR-009 ERR-010 ERR-011 ERR-012 ERR-034 "
			 "CPL-013 CPL-017 "
			 "TAG-009 CFG-007 RC-012"),
		REQ_TEST(test_data_read_fault_fails_the_request_by_firmware, "ERR-004 ERR-007 ERR-034"),
		REQ_TEST(test_header_read_fault_fails_the_request, "ERR-034"),
		REQ_TEST(test_ring_read_fault_needs_reset, "ERR-004 ERR-007 ERR-012 ERR-034 TAG-009 RC-012"),
		REQ_TEST(test_ring_read_fault_needs_reset_by_firmware, "ERR-004 ERR-007 ERR-012 ERR-034"),
		REQ_TEST(test_forged_completion_fails_the_request, "ERR-009 ERR-010 CPL-013 CPL-016"),
		REQ_TEST(test_stray_completion_is_dropped_and_logged, "ERR-008 CAP-007 CAP-008"),
		REQ_TEST(test_bad_request_is_answered_and_logged,
			 "ERR-001 ERR-002 ERR-013 ERR-014 ERR-015 ERR-017 ERR-018 ERR-020 ERR-021 ERR-023 "
			 "ERR-024 "
			 "ERR-027 ACC-003 ACC-010 ACC-011 ACC-012 ACC-013 ACC-015 CFG-004 CPL-001 CPL-004 "
			 "TLP-015"),
		REQ_TEST(test_undefined_type_is_malformed, "ERR-019 ACC-014 CAP-007"),
		REQ_TEST(test_reporting_disabled_logs_and_is_silent, "ERR-027 ERR-028 CAP-008"),
		REQ_TEST(test_poisoned_completion_sets_parity_status, "ERR-012 CFG-007"),
		REQ_TEST(test_errors_are_reported_without_bus_master, "ERR-029 ACC-002"),
		REQ_TEST(test_storm_of_unsupported_requests_is_survived, "ERR-033 FC-016 CPL-001"),
		REQ_TEST(test_requests_are_decided_by_the_state_they_meet, "ERR-031 ACC-001 CFG-012"),
		REQ_TEST(test_read_only_registers_complete_and_keep_their_value, "ERR-030 CFG-003"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
