#include "tests/e2e/pcie_help.h"

/* ---- registers ---- */

uint32_t config_read(struct machine *m, unsigned reg, unsigned bytes)
{
	return root_config_read(m->guest.root, reg, bytes);
}

void config_write(struct machine *m, unsigned reg, unsigned bytes, uint32_t value)
{
	root_config_write(m->guest.root, reg, bytes, value);
}

unsigned aer_at(struct machine *m)
{
	for (unsigned at = PCI_CFG_SPACE_SIZE; at != 0;) {
		uint32_t header = config_read(m, at, 4);
		if (PCI_EXT_CAP_ID(header) == PCI_EXT_CAP_ID_ERR)
			return at;
		at = PCI_EXT_CAP_NEXT(header);
	}
	machine_check_failed("the card has AER", __FILE__, __LINE__);
}

/* ---- errors ---- */

static struct errors read_errors(struct machine *m)
{
	unsigned aer = aer_at(m);
	const struct root_stats *stats = root_stats(m->guest.root);
	struct errors errors = {
		.status = (uint16_t)config_read(m, PCI_STATUS, 2),
		.device_status = (uint16_t)config_read(m, m->blk.pci.pcie + PCI_EXP_DEVSTA, 2),
		.uncorrectable = config_read(m, aer + PCI_ERR_UNCOR_STATUS, 4),
		.correctable = config_read(m, aer + PCI_ERR_COR_STATUS, 4),
		.first = config_read(m, aer + PCI_ERR_CAP, 4) & 0x1f,
	};
	for (unsigned i = 0; i < 4; i++)
		errors.header[i] = config_read(m, aer + PCI_ERR_HEADER_LOG + 4 * i, 4);
	errors.cor = stats->err_cor;
	errors.nonfatal = stats->err_nonfatal;
	errors.fatal = stats->err_fatal;
	return errors;
}

struct errors errors_clear(struct machine *m)
{
	unsigned aer = aer_at(m), pcie = m->blk.pci.pcie;
	config_write(m, aer + PCI_ERR_UNCOR_STATUS, 4, UINT32_MAX);
	config_write(m, aer + PCI_ERR_COR_STATUS, 4, UINT32_MAX);
	config_write(m, aer + PCI_ERR_UNCOR_MASK, 4, 0);
	config_write(m, aer + PCI_ERR_COR_MASK, 4, 0);
	config_write(m, PCI_STATUS, 2, 0xffff);
	config_write(m, pcie + PCI_EXP_DEVSTA, 2, 0xffff);
	config_write(m, pcie + PCI_EXP_DEVCTL, 1, config_read(m, pcie + PCI_EXP_DEVCTL, 1) | 0xf);
	return read_errors(m);
}

struct errors errors_since(struct machine *m, const struct errors *before)
{
	struct errors errors = read_errors(m);
	errors.cor -= before->cor;
	errors.nonfatal -= before->nonfatal;
	errors.fatal -= before->fatal;
	return errors;
}

/* ---- what the card sends ---- */

static void count_tlp(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct traffic *traffic = ctx;
	struct tlp tlp;
	if (!from_card || tlp_decode(&tlp, wire, size) != TLP_OK)
		return;
	bool interrupt = tlp.type == TLP_MWR && tlp.addr - ROOT_MSI_BASE < ROOT_MSI_BYTES;
	traffic->interrupts += interrupt;
	traffic->writes += tlp.type == TLP_MWR && !interrupt;
	traffic->reads += tlp.type == TLP_MRD;
	traffic->messages += tlp.type == TLP_MSG;
	traffic->completions += tlp_class_of(tlp.type) == TLP_COMPLETION;
	if (tlp.type == TLP_MWR || tlp.type == TLP_MRD)
		traffic->last_request_ps = at_ps;
}

void traffic_watch(struct machine *m, struct traffic *traffic)
{
	*traffic = (struct traffic){0};
	root_sync(m->guest.root); /* what has arrived by now is not counted */
	root_tap(m->guest.root, count_tlp, traffic);
}

void traffic_end(struct machine *m)
{
	root_sync(m->guest.root);
	root_tap(m->guest.root, NULL, NULL);
}

void quiet_begin(struct machine *m, struct quiet *quiet)
{
	const struct memory *memory = &m->guest.memory;
	traffic_watch(m, &quiet->traffic);
	quiet->reads_allowed = 0;
	quiet->bytes = memory->next - memory->base;
	quiet->memory = malloc(quiet->bytes);
	ASSERT(quiet->memory);
	memcpy(quiet->memory, memory->data, quiet->bytes);
}

void quiet_end(struct machine *m, struct quiet *quiet, uint64_t us)
{
	machine_wait_us(m, us);
	traffic_end(m);
	CHECK_EQUAL(quiet->traffic.writes, 0);
	CHECK(quiet->traffic.reads <= quiet->reads_allowed);
	CHECK_EQUAL(quiet->traffic.interrupts, 0);
	CHECK(memcmp(quiet->memory, m->guest.memory.data, quiet->bytes) == 0);
	free(quiet->memory);
}

/* ---- resets ---- */

void recover_function(struct machine *m)
{
	pci_restore(&m->blk.pci, &m->blk.settings.pci);
	machine_restart(m);
}

/* ---- raw TLPs ---- */

void send_tlp(struct machine *m, const struct tlp *tlp)
{
	uint8_t wire[TLP_WIRE_BYTES_MAX];
	size_t size = tlp_encode(tlp, wire, sizeof(wire));
	ASSERT(size != 0);
	root_send_raw(m->guest.root, wire, size);
}

unsigned request_status(struct machine *m, struct tlp *request, struct tlp *completion, uint8_t *data)
{
	struct tlp ignored;
	uint8_t none[TLP_PAYLOAD_BYTES_MAX];
	if (!completion)
		completion = &ignored;
	if (!root_request(m->guest.root, request, completion, data ? data : none))
		return 0x100;
	return completion->status;
}

struct tlp memory_request(enum tlp_type type, uint64_t addr, const uint8_t *payload)
{
	struct tlp tlp = {.type = type, .requester_id = TESTER_ID, .payload = payload};
	tlp_set_span(&tlp, addr, 4);
	return tlp;
}

struct tlp config_request(enum tlp_type type, unsigned reg, const uint8_t *payload)
{
	return (struct tlp){.type = type,
			    .requester_id = TESTER_ID,
			    .length_dw = 1,
			    .first_be = 0xf,
			    .dest_id = ROOT_BUS << 8,
			    .reg = (uint16_t)reg,
			    .payload = payload};
}
