/* Bad TLPs: what is answered, logged and told (PCIe 6.0 §2.3, §2.7, §6.2). */
#include "tests/unit/pcie/cfg_fixture.h"
#include "tests/unit/rtl-model/endpoint_fixture.h"

#define COMMON (BAR4_ADDR + 0x0000)
#define ISR    (BAR4_ADDR + 0x1000)
#define NOTIFY (BAR4_ADDR + 0x3000)

#define CARD(...) card_enumerated((const char *const[]){__VA_ARGS__, NULL})

/* Status and Device Status bits. */
enum {
	SIG_TARGET_ABORT = 1 << 11,
	REC_TARGET_ABORT = 1 << 12,
	REC_MASTER_ABORT = 1 << 13,
	DETECTED_PARITY = 1 << 15,
	MASTER_DATA_PARITY = 1 << 8,
	COR_DETECTED = 1 << 0,
	NONFATAL_DETECTED = 1 << 1,
	FATAL_DETECTED = 1 << 2,
	UR_DETECTED = 1 << 3,
};

/* What a stimulus has to leave behind. */
struct reaction {
	uint32_t uncorrectable, correctable; /* AER status registers */
	unsigned device_status, status;
	unsigned cor, nonfatal, fatal; /* messages */
};

#define BIT(n) (1u << (n))

static const struct reaction no_reaction;
static const struct reaction posted_ur = {
	.uncorrectable = BIT(20), .device_status = NONFATAL_DETECTED | UR_DETECTED, .nonfatal = 1};
static const struct reaction non_posted_ur = {.uncorrectable = BIT(20),
					      .correctable = BIT(13),
					      .device_status = COR_DETECTED | UR_DETECTED,
					      .cor = 1};
static const struct reaction malformed = {
	.uncorrectable = BIT(18), .device_status = FATAL_DETECTED, .fatal = 1};
static const struct reaction poisoned_posted = {.uncorrectable = BIT(12),
						.device_status = NONFATAL_DETECTED,
						.status = DETECTED_PARITY,
						.nonfatal = 1};
static const struct reaction poisoned_non_posted = {.uncorrectable = BIT(12),
						    .correctable = BIT(13),
						    .device_status = COR_DETECTED,
						    .status = DETECTED_PARITY,
						    .cor = 1};
static const struct reaction bad_ecrc = {
	.uncorrectable = BIT(19), .device_status = NONFATAL_DETECTED, .nonfatal = 1};
static const struct reaction unexpected = {
	.uncorrectable = BIT(16), .correctable = BIT(13), .device_status = COR_DETECTED, .cor = 1};

/* All errors reported, advisory ones too. */
static void report_all(struct card *card)
{
	cfg_wr16(card, DEVCTL, 0x281f);
	cfg_wr(card, COR_MASK, 0);
	cfg_wr(card, UNCOR_MASK, 0);
}

static void clear_errors(struct card *card)
{
	cfg_wr(card, UNCOR_STATUS, UINT32_MAX);
	cfg_wr(card, COR_STATUS, UINT32_MAX);
	cfg_wr_be(card, DEVCTL, 0x000f0000, 0xc);
	cfg_wr_be(card, COMMAND, 0xf9000000, 0xc);
}

static void expect(struct card *card, unsigned from, const struct reaction *r)
{
	assert_int_equal(cfg_rd(card, UNCOR_STATUS), r->uncorrectable);
	assert_int_equal(cfg_rd(card, COR_STATUS), r->correctable);
	assert_int_equal(cfg_rd(card, DEVCTL) >> 16 & 0xf, r->device_status);
	assert_int_equal(cfg_rd(card, COMMAND) >> 16 & 0xf900, r->status);
	assert_int_equal(messages_since(card, from, TLP_MSG_ERR_COR), r->cor);
	assert_int_equal(messages_since(card, from, TLP_MSG_ERR_NONFATAL), r->nonfatal);
	assert_int_equal(messages_since(card, from, TLP_MSG_ERR_FATAL), r->fatal);
}

/* The first DWs of the TLP, as the log shows them. */
static void expect_header_log(struct card *card, const uint8_t *wire, size_t size)
{
	size_t header = wire[0] & 0x20 ? 16 : 12;
	for (size_t i = 0; i < 16; i += 4)
		assert_int_equal(cfg_rd(card, HEADER_LOG + (unsigned)i),
				 i + 4 <= size && i < header ? load_be32(wire + i) : 0);
}

/* ---- requests ---- */

static const uint8_t ones[4096] = {[0 ... 4095] = 0xff};

/* One request per row; the ID of each is that of the table's user. */
struct request_case {
	const char *name;
	enum tlp_type type;
	uint64_t addr;
	unsigned length_dw;
	uint8_t first_be, last_be;
	unsigned reg, dest_id, status; /* NO_ANSWER: none comes */
	bool ep;
	const struct reaction *reaction;
};

#define GF COMMON + 8 /* driver_feature_select: a register without consequences */

static const struct request_case requests[] = {
	{"MRd to nowhere", TLP_MRD, NOWHERE, 1, 0xf, 0, 0, 0, TLP_UR, false, &non_posted_ur},
	{"MRd of a page of nowhere", TLP_MRD, NOWHERE, 1024, 0xf, 0xf, 0, 0, TLP_UR, false, &non_posted_ur},
	{"MWr to nowhere", TLP_MWR, NOWHERE, 1, 0xf, 0, 0, 0, NO_ANSWER, false, &posted_ur},
	{"MRdLk", TLP_MRDLK, GF, 1, 0xf, 0, 0, 0, TLP_UR, false, &non_posted_ur},
	{"IORd", TLP_IORD, 0x1000, 1, 0xf, 0, 0, 0, TLP_UR, false, &non_posted_ur},
	{"IOWr", TLP_IOWR, 0x1000, 1, 0xf, 0, 0, 0, TLP_UR, false, &non_posted_ur},
	{"CfgRd1", TLP_CFGRD1, 0, 1, 0xf, 0, 0, CARD_ID, TLP_UR, false, &non_posted_ur},
	{"CfgWr1", TLP_CFGWR1, 0, 1, 0xf, 0, COMMAND, CARD_ID, TLP_UR, false, &non_posted_ur},
	{"CfgRd0 of function 3", TLP_CFGRD0, 0, 1, 0xf, 0, 0, CARD_ID | 3, TLP_UR, false, &non_posted_ur},
	{"FetchAdd", TLP_FETCHADD, GF, 1, 0, 0, 0, 0, TLP_UR, false, &non_posted_ur},
	{"Swap", TLP_SWAP, GF, 2, 0, 0, 0, 0, TLP_UR, false, &non_posted_ur},
	{"CAS of 128 bits", TLP_CAS, COMMON + 0x20, 8, 0, 0, 0, 0, TLP_UR, false, &non_posted_ur},
	{"poisoned MWr to a register", TLP_MWR, GF, 1, 0xf, 0, 0, 0, NO_ANSWER, true, &poisoned_posted},
	{"poisoned MWr to a doorbell", TLP_MWR, NOTIFY, 1, 0x3, 0, 0, 0, NO_ANSWER, true, &poisoned_posted},
	{"poisoned CfgWr0", TLP_CFGWR0, 0, 1, 0xf, 0, COMMAND, CARD_ID, TLP_UR, true, &poisoned_non_posted},
};

static struct tlp tlp_of(const struct request_case *c)
{
	return (struct tlp){.type = c->type,
			    .addr = c->addr,
			    .addr64 = c->addr >> 32 != 0,
			    .length_dw = (uint16_t)c->length_dw,
			    .first_be = c->first_be,
			    .last_be = c->last_be,
			    .reg = (uint16_t)c->reg,
			    .dest_id = (uint16_t)c->dest_id,
			    .ep = c->ep,
			    .payload = ones};
}

/* Nothing of it may have been carried out. */
static void expect_untouched(struct card *card)
{
	assert_int_equal(mem_read_value(card, GF, 4), 0x5a5a);
	assert_int_equal(mem_read_value(card, COMMON + 0x20, 8), 0);
	assert_int_equal(cfg_rd(card, COMMAND) & 0xffff, COMMAND_MEMORY | COMMAND_MASTER);
	assert_int_equal(card->doorbell_count, 0);
}

static void test_endpoint_bad_request_answered_logged_and_told(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	report_all(card);
	mem_write_value(card, GF, 4, 0x5a5a);
	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
		clear_errors(card);
		unsigned from = card->seen_count;
		struct tlp tlp = tlp_of(&requests[i]);
		unsigned tag = card_send(card, &tlp);
		if (requests[i].status == NO_ANSWER)
			card_run(card, 2 * PS_PER_US);
		else if (card_wait(card, tag) != requests[i].status)
			fail_msg("%s", requests[i].name);
		uint8_t wire[TLP_WIRE_BYTES_MAX];
		size_t size = tlp_encode(&tlp, wire, sizeof(wire));
		expect_header_log(card, wire, size);
		assert_int_equal(cfg_rd(card, AER_CONTROL) & 0x1f,
				 (unsigned)__builtin_ctz(requests[i].reaction->uncorrectable));
		expect(card, from, requests[i].reaction);
		expect_untouched(card);
	}
	card_free(card);
}

/* With reporting off the bits are set and nobody is told; with bus mastering off messages go all the same. */
static void test_endpoint_error_reporting_off_logs_only(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	cfg_wr16(card, DEVCTL, 0x2810);
	cfg_wr(card, COR_MASK, 0);
	cfg_wr(card, UNCOR_MASK, 0);
	mem_write_value(card, GF, 4, 0x5a5a);
	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
		clear_errors(card);
		unsigned from = card->seen_count;
		struct tlp tlp = tlp_of(&requests[i]);
		card_send(card, &tlp);
		card_run(card, 2 * PS_PER_US);
		struct reaction silent = *requests[i].reaction;
		silent.cor = silent.nonfatal = silent.fatal = 0;
		expect(card, from, &silent);
	}
	card_free(card);
}

static void test_endpoint_error_messages_without_bus_master(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	report_all(card);
	cfg_wr16(card, COMMAND, COMMAND_MEMORY);
	clear_errors(card);
	unsigned from = card->seen_count;
	mem_write_value(card, NOWHERE, 4, 0);
	card_run(card, PS_PER_US);
	expect(card, from, &posted_ur);
	const struct tlp *message = NULL;
	for (unsigned i = from; i < card->seen_count; i++)
		if (card->seen[i].tlp.type == TLP_MSG)
			message = &card->seen[i].tlp;
	assert_non_null(message);
	assert_int_equal(message->msg_route, TLP_ROUTE_TO_RC);
	assert_int_equal(message->requester_id, CARD_ID);
	assert_int_equal(message->attr, 0);
	card_free(card);
}

/* ---- messages ---- */

static void test_endpoint_messages(void **state)
{
	(void)state;
	static const uint8_t power[4] = {0x4b, 0x02}; /* 75, scale 2: 0.75 W */
	static const struct {
		enum tlp_message code;
		enum tlp_route route;
		const uint8_t *payload;
		const struct reaction *reaction;
	} cases[] = {
		{TLP_MSG_UNLOCK, TLP_ROUTE_BROADCAST, NULL, &no_reaction},
		{TLP_MSG_VENDOR_TYPE1, TLP_ROUTE_BROADCAST, NULL, &no_reaction},
		{TLP_MSG_VENDOR_TYPE1, TLP_ROUTE_ID, power, &no_reaction},
		{TLP_MSG_VENDOR_TYPE0, TLP_ROUTE_ID, NULL, &posted_ur},
		{TLP_MSG_VENDOR_TYPE0, TLP_ROUTE_ID, power, &posted_ur},
		{TLP_MSG_PM_ACTIVE_STATE_NAK, TLP_ROUTE_LOCAL, NULL, &no_reaction},
		{TLP_MSG_SET_SLOT_POWER_LIMIT, TLP_ROUTE_LOCAL, power, &no_reaction},
		{TLP_MSG_SET_SLOT_POWER_LIMIT, TLP_ROUTE_LOCAL, NULL, &posted_ur},
		{TLP_MSG_OBFF, TLP_ROUTE_LOCAL, NULL, &posted_ur},
		{TLP_MSG_INVALIDATE_REQ, TLP_ROUTE_ID, power, &posted_ur},
		/* Those that go up only (ERR-021). */
		{TLP_MSG_ASSERT_INTA, TLP_ROUTE_LOCAL, NULL, &posted_ur},
		{TLP_MSG_DEASSERT_INTA, TLP_ROUTE_LOCAL, NULL, &posted_ur},
		{TLP_MSG_ERR_COR, TLP_ROUTE_TO_RC, NULL, &posted_ur},
		{TLP_MSG_ERR_FATAL, TLP_ROUTE_TO_RC, NULL, &posted_ur},
		{TLP_MSG_PM_PME, TLP_ROUTE_TO_RC, NULL, &posted_ur},
		{TLP_MSG_PME_TO_ACK, TLP_ROUTE_GATHER, NULL, &posted_ur},
		{(enum tlp_message)0xee, TLP_ROUTE_LOCAL, NULL, &posted_ur},
	};
	struct card *card = CARD(NULL);
	report_all(card);
	uint32_t devcap = cfg_rd(card, DEVCAP);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		clear_errors(card);
		unsigned from = card->seen_count;
		struct tlp tlp = message_tlp(cases[i].code, cases[i].route, cases[i].payload);
		card_send(card, &tlp);
		card_run(card, PS_PER_US);
		expect(card, from, cases[i].reaction);
	}
	assert_int_equal(cfg_rd(card, DEVCAP), (devcap & 0xf003ffff) | 0x4bu << 18 | 2u << 26);
	/* Poisoned data of a message is not taken. */
	clear_errors(card);
	unsigned from = card->seen_count;
	struct tlp tlp = message_tlp(TLP_MSG_SET_SLOT_POWER_LIMIT, TLP_ROUTE_LOCAL, ones);
	tlp.ep = true;
	card_send(card, &tlp);
	card_run(card, PS_PER_US);
	expect(card, from, &poisoned_posted);
	assert_int_equal(cfg_rd(card, DEVCAP) >> 18 & 0x3ff, 0x24b);
	card_free(card);
}

static void test_endpoint_pme_turn_off_acknowledged(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	unsigned from = card->seen_count;
	struct tlp tlp = message_tlp(TLP_MSG_PME_TURN_OFF, TLP_ROUTE_BROADCAST, NULL);
	card_send(card, &tlp);
	card_run(card, PS_PER_US);
	assert_int_equal(card->seen_count, from + 1);
	const struct tlp *ack = &card->seen[from].tlp;
	assert_int_equal(ack->type, TLP_MSG);
	assert_int_equal(ack->msg_code, 0x1b);
	assert_int_equal(ack->msg_route, TLP_ROUTE_GATHER);
	card_free(card);
}

/* ---- malformed ---- */

struct malformed_case {
	const char *name;
	struct tlp tlp;
	int cut; /* bytes left off, or added */
};

static const struct malformed_case bad_tlps[] = {
	{"payload above MPS",
	 {.type = TLP_MWR, .addr = GF, .length_dw = 33, .first_be = 0xf, .last_be = 0xf},
	 0},
	{"MsgD above MPS", {.type = TLP_MSGD, .msg_code = 0x7f, .msg_route = 4, .length_dw = 64}, 0},
	{"CplD above MPS", {.type = TLP_CPLD, .length_dw = 33, .byte_count = 132}, 0},
	{"payload missing",
	 {.type = TLP_MWR, .addr = GF, .length_dw = 2, .first_be = 0xf, .last_be = 0xf},
	 4},
	{"payload too long",
	 {.type = TLP_MWR, .addr = GF, .length_dw = 2, .first_be = 0xf, .last_be = 0xf},
	 -4},
	{"header cut", {.type = TLP_MRD, .addr = GF, .length_dw = 1, .first_be = 0xf}, 4},
	{"odd bytes", {.type = TLP_MWR, .addr = GF, .length_dw = 1, .first_be = 0xf}, 1},
	{"digest missing", {.type = TLP_MWR, .addr = GF, .length_dw = 1, .first_be = 0xf, .td = true}, 4},
	{"MWr across a page",
	 {.type = TLP_MWR, .addr = BAR4_ADDR + 0xffc, .length_dw = 2, .first_be = 0xf, .last_be = 0xf},
	 0},
	{"MRd across a page",
	 {.type = TLP_MRD, .addr = BAR4_ADDR + 0xff0, .length_dw = 8, .first_be = 0xf, .last_be = 0xf},
	 0},
	{"past the end of BAR 1",
	 {.type = TLP_MWR, .addr = BAR1_ADDR + 0xffc, .length_dw = 2, .first_be = 0xf, .last_be = 0xf},
	 0},
	{"Last BE of one DW",
	 {.type = TLP_MWR, .addr = GF, .length_dw = 1, .first_be = 0xf, .last_be = 1},
	 0},
	{"First BE 0 of two DW",
	 {.type = TLP_MWR, .addr = GF, .length_dw = 2, .first_be = 0, .last_be = 0xf},
	 0},
	{"holes", {.type = TLP_MWR, .addr = GF, .length_dw = 3, .first_be = 0x5, .last_be = 0xf}, 0},
	{"CfgRd0 of two DW", {.type = TLP_CFGRD0, .dest_id = CARD_ID, .length_dw = 2, .first_be = 0xf}, 0},
	{"CfgWr0 with Last BE",
	 {.type = TLP_CFGWR0,
	  .dest_id = CARD_ID,
	  .reg = COMMAND,
	  .length_dw = 1,
	  .first_be = 0xf,
	  .last_be = 1},
	 0},
	{"CfgWr0 on TC 3",
	 {.type = TLP_CFGWR0, .dest_id = CARD_ID, .reg = COMMAND, .length_dw = 1, .first_be = 0xf, .tc = 3},
	 0},
	{"CfgWr0 with RO",
	 {.type = TLP_CFGWR0, .dest_id = CARD_ID, .reg = COMMAND, .length_dw = 1, .first_be = 0xf, .attr = 2},
	 0},
	{"IOWr on TC 1", {.type = TLP_IOWR, .length_dw = 1, .first_be = 0xf, .tc = 1}, 0},
	{"INTx message on TC 1", {.type = TLP_MSG, .msg_code = 0x20, .msg_route = 4, .tc = 1}, 0},
	{"error message on TC 2", {.type = TLP_MSG, .msg_code = 0x33, .msg_route = 0, .tc = 2}, 0},
	{"PME_Turn_Off on TC 7", {.type = TLP_MSG, .msg_code = 0x19, .msg_route = 3, .tc = 7}, 0},
	{"FetchAdd of 3 DW", {.type = TLP_FETCHADD, .addr = COMMON, .length_dw = 3}, 0},
	{"Swap not aligned", {.type = TLP_SWAP, .addr = COMMON + 4, .length_dw = 2}, 0},
	{"CAS of 3 DW", {.type = TLP_CAS, .addr = COMMON, .length_dw = 3}, 0},
};

static void send_malformed(struct card *card, const uint8_t *wire, size_t size, const char *name)
{
	clear_errors(card);
	unsigned from = card->seen_count;
	card_send_wire(card, wire, size);
	card_run(card, PS_PER_US);
	for (unsigned i = from; i < card->seen_count; i++) /* no completion */
		if (card->seen[i].tlp.type != TLP_MSG)
			fail_msg("%s was answered", name);
	expect(card, from, &malformed);
	expect_header_log(card, wire, size);
}

static void test_endpoint_malformed_dropped_and_told(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	report_all(card);
	mem_write_value(card, GF, 4, 0x5a5a);
	for (unsigned i = 0; i < ARRAY_SIZE(bad_tlps); i++) {
		uint8_t wire[TLP_WIRE_BYTES_MAX] = {0};
		struct tlp tlp = bad_tlps[i].tlp;
		tlp.payload = ones;
		tlp.addr64 = tlp.addr >> 32 != 0;
		size_t size = tlp_encode(&tlp, wire, sizeof(wire));
		send_malformed(card, wire, size - (size_t)bad_tlps[i].cut, bad_tlps[i].name);
		expect_untouched(card);
	}
	/* Inside MPS it is carried out. */
	cfg_wr16(card, DEVCTL, 0x283f); /* 256 bytes */
	uint8_t data[132] = {0};
	mem_write(card, BAR1_ADDR, sizeof(data), data);
	assert_int_equal(mem_read_value(card, BAR1_ADDR + 12, 4), 0);
	card_free(card);
}

static void test_endpoint_undefined_type_malformed(void **state)
{
	(void)state;
	static const uint8_t defined[] = {0x00, 0x20, 0x01, 0x21, 0x40, 0x60, 0x02, 0x42, 0x04, 0x44, 0x05,
					  0x45, 0x4c, 0x6c, 0x4d, 0x6d, 0x4e, 0x6e, 0x0a, 0x4a, 0x0b, 0x4b};
	struct card *card = CARD(NULL);
	report_all(card);
	for (unsigned code = 0; code < 256; code++) {
		bool known = (code >= 0x30 && code <= 0x35) || (code >= 0x70 && code <= 0x75);
		for (unsigned i = 0; i < sizeof(defined); i++)
			known |= defined[i] == code;
		if (known)
			continue;
		uint8_t wire[20] = {(uint8_t)code, 0, 0, 1, 0, 0, 0, 0x0f};
		send_malformed(card, wire, sizeof(wire), "undefined type");
	}
	card_free(card);
}

/* ---- ECRC, several errors of one TLP ---- */

static void test_endpoint_ecrc_checked_when_enabled(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	report_all(card);
	for (int checked = 0; checked < 2; checked++) {
		cfg_wr(card, AER_CONTROL, checked ? 0x100 : 0);
		clear_errors(card);
		for (int spoiled = 0; spoiled < 2; spoiled++) {
			uint8_t wire[64], data[4] = {(uint8_t)(1 + spoiled)};
			struct tlp tlp = memory_request(TLP_MWR, GF, 4, data);
			tlp.td = true;
			size_t size = tlp_encode(&tlp, wire, sizeof(wire));
			wire[size - 1] ^= (uint8_t)spoiled;
			unsigned from = card->seen_count;
			mem_write_value(card, GF, 4, 0);
			card_send_wire(card, wire, size);
			card_run(card, PS_PER_US);
			bool dropped = checked && spoiled;
			assert_int_equal(mem_read_value(card, GF, 4), dropped ? 0 : data[0]);
			expect(card, from, dropped ? &bad_ecrc : &no_reaction);
		}
	}
	card_free(card);
}

static void test_endpoint_most_significant_error_reported(void **state)
{
	(void)state;
	static const struct {
		struct tlp tlp;
		bool spoil;
		const struct reaction *reaction;
		unsigned status; /* on top of the reaction's */
	} cases[] = {
		/* Malformed goes before everything. */
		{{.type = TLP_MWR,
		  .addr = NOWHERE,
		  .length_dw = 1,
		  .first_be = 1,
		  .last_be = 1,
		  .ep = true,
		  .td = true},
		 true,
		 &malformed,
		 0},
		/* A bad ECRC means that the header cannot be trusted either. */
		{{.type = TLP_MWR, .addr = NOWHERE, .length_dw = 1, .first_be = 0xf, .ep = true, .td = true},
		 true,
		 &bad_ecrc,
		 0},
		{{.type = TLP_MWR, .addr = NOWHERE, .length_dw = 1, .first_be = 0xf, .ep = true, .td = true},
		 false,
		 &posted_ur,
		 DETECTED_PARITY},
		{{.type = TLP_CPLD, .length_dw = 1, .tag = 77, .byte_count = 4, .ep = true},
		 false,
		 &unexpected,
		 DETECTED_PARITY},
	};
	struct card *card = CARD(NULL);
	report_all(card);
	cfg_wr(card, AER_CONTROL, 0x100);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t wire[64];
		struct tlp tlp = cases[i].tlp;
		tlp.payload = ones;
		size_t size = tlp_encode(&tlp, wire, sizeof(wire));
		wire[size - 1] ^= (uint8_t)cases[i].spoil;
		clear_errors(card);
		unsigned from = card->seen_count;
		card_send_wire(card, wire, size);
		card_run(card, PS_PER_US);
		struct reaction reaction = *cases[i].reaction;
		reaction.status |= cases[i].status;
		expect(card, from, &reaction);
	}
	card_free(card);
}

static void test_endpoint_first_error_keeps_pointer_and_log(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	report_all(card);
	clear_errors(card);
	uint8_t wire[64];
	struct tlp first = memory_request(TLP_MWR, NOWHERE + 0x40, 4, ones);
	size_t size = tlp_encode(&first, wire, sizeof(wire));
	card_send(card, &first);
	mem_write_value(card, NOWHERE + 0x80, 4, 0);
	static const uint8_t undefined[16] = {0xff};
	card_send_wire(card, undefined, sizeof(undefined));
	card_run(card, PS_PER_US);
	assert_int_equal(cfg_rd(card, UNCOR_STATUS), BIT(20) | BIT(18));
	assert_int_equal(cfg_rd(card, AER_CONTROL) & 0x1f, 20);
	expect_header_log(card, wire, size);
	card_free(card);
}

/* EP says nothing about a TLP without data. */
static void test_endpoint_poison_without_data_ignored(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	report_all(card);
	clear_errors(card);
	unsigned from = card->seen_count;
	struct tlp read = memory_request(TLP_MRD, COMMON + 0x12, 2, NULL);
	read.ep = true;
	assert_int_equal(card_wait(card, card_send(card, &read)), TLP_SC);
	expect(card, from, &no_reaction);
	card_free(card);
}

/* ---- completions ---- */

/* Starts a DMA read of 64 bytes and returns the request as the host sees it. */
static struct tlp dma_read(struct card *card, uint8_t *data)
{
	unsigned from = card->seen_count;
	card->answers_reads = false;
	dma_request_fifo_push(dma_requests(card->dma, DMA_COPY), card->sim.now_ps,
			      (struct dma_request){.addr = 0x10000, .bytes = 64, .data = data});
	card_run(card, PS_PER_US);
	assert_int_equal(card->seen_count, from + 1);
	assert_int_equal(card->seen[from].tlp.type, TLP_MRD);
	return card->seen[from].tlp;
}

static struct tlp completion_of(const struct tlp *req, enum tlp_status status)
{
	struct tlp cpl;
	tlp_completion_without_data(&cpl, req, ROOT_ID, status);
	if (status == TLP_SC) {
		cpl.type = TLP_CPLD;
		cpl.length_dw = 16;
		cpl.byte_count = 64;
		cpl.payload = ones;
	}
	return cpl;
}

static void test_endpoint_completions_of_own_reads(void **state)
{
	(void)state;
	static const struct reaction none;
	static const struct reaction unsupported = {.status = REC_MASTER_ABORT};
	static const struct reaction aborted = {.status = REC_TARGET_ABORT};
	static const struct reaction poisoned = {.uncorrectable = BIT(12),
						 .device_status = NONFATAL_DETECTED,
						 .status = DETECTED_PARITY,
						 .nonfatal = 1};
	enum change {
		NOTHING,
		STATUS,
		POISON,
		WRONG_TAG,
		WRONG_ID,
		WRONG_COUNT,
		WRONG_LOWER,
		WRONG_TC,
		WRONG_ATTR,
		NO_DATA,
		LOCKED
	};
	static const struct {
		enum change change;
		enum tlp_status status;
		const struct reaction *reaction;
		int result; /* DMA_*, or -1: the read goes on */
	} cases[] = {
		{NOTHING, TLP_SC, &none, DMA_OK},
		{STATUS, TLP_UR, &unsupported, DMA_FAILED},
		{STATUS, TLP_CA, &aborted, DMA_FAILED},
		{STATUS, TLP_CRS, &unsupported, DMA_FAILED},
		{STATUS, (enum tlp_status)3, &unsupported, DMA_FAILED}, /* reserved: as UR */
		{STATUS, (enum tlp_status)7, &unsupported, DMA_FAILED},
		{POISON, TLP_SC, &poisoned, DMA_FAILED},
		{WRONG_TAG, TLP_SC, &unexpected, -1},
		{WRONG_ID, TLP_SC, &unexpected, -1},
		{WRONG_COUNT, TLP_SC, &unexpected, DMA_FAILED},
		{WRONG_LOWER, TLP_SC, &unexpected, DMA_FAILED},
		{WRONG_TC, TLP_SC, &unexpected, DMA_FAILED},
		{WRONG_ATTR, TLP_SC, &unexpected, DMA_FAILED},
		{NO_DATA, TLP_SC, &unsupported, DMA_FAILED},
		{LOCKED, TLP_SC, &unexpected, DMA_FAILED},
	};
	struct card *card = CARD(NULL);
	report_all(card);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t data[64] = {0}, guard[64] = {0};
		clear_errors(card);
		struct tlp req = dma_read(card, data);
		assert_int_equal(cfg_rd(card, DEVCTL) >> 16 & 0x20, 0x20); /* Transactions Pending */
		struct tlp cpl = completion_of(&req, cases[i].status);
		switch (cases[i].change) {
		case POISON: cpl.ep = true; break;
		case WRONG_TAG: cpl.tag ^= 0x15; break;
		case WRONG_ID: cpl.requester_id ^= 0x100; break;
		case WRONG_COUNT: cpl.byte_count = 68; break;
		case WRONG_LOWER: cpl.lower_addr = 4; break;
		case WRONG_TC: cpl.tc = 1; break;
		case WRONG_ATTR: cpl.attr = TLP_ATTR_RELAXED; break;
		case NO_DATA: cpl.type = TLP_CPL; break;
		case LOCKED: cpl.type = TLP_CPLDLK; break;
		default: break;
		}
		unsigned from = card->seen_count;
		card_send(card, &cpl);
		card_run(card, PS_PER_US);
		expect(card, from, cases[i].reaction);
		assert_int_equal(dma_done_fifo_count(&card->dma_done), cases[i].result >= 0);
		if (cases[i].result < 0) { /* the right one still comes */
			cpl = completion_of(&req, TLP_SC);
			card_send(card, &cpl);
			card_run(card, PS_PER_US);
		}
		int result = (int)dma_done_fifo_pop(&card->dma_done, card->sim.now_ps).status;
		assert_int_equal(result, cases[i].result < 0 ? DMA_OK : cases[i].result);
		if (result == DMA_OK)
			assert_memory_equal(data, ones, 64);
		else
			assert_memory_equal(data, guard, 64);
	}
	/* After the last one of a read, another is unexpected. */
	uint8_t data[64];
	struct tlp req = dma_read(card, data);
	struct tlp cpl = completion_of(&req, TLP_SC);
	card_send(card, &cpl);
	card_run(card, PS_PER_US);
	clear_errors(card);
	unsigned from = card->seen_count;
	card_send(card, &cpl);
	card_run(card, PS_PER_US);
	expect(card, from, &unexpected);
	card_free(card);
}

/* Master Data Parity Error needs Parity Error Response. */
static void test_endpoint_poisoned_completion_parity_bits(void **state)
{
	(void)state;
	for (int response = 0; response < 2; response++) {
		struct card *card = CARD(NULL);
		uint8_t data[64];
		cfg_wr16(card, COMMAND, COMMAND_MEMORY | COMMAND_MASTER | (response ? COMMAND_PARITY : 0));
		struct tlp req = dma_read(card, data);
		struct tlp cpl = completion_of(&req, TLP_SC);
		cpl.ep = true;
		card_send(card, &cpl);
		card_run(card, PS_PER_US);
		assert_int_equal(cfg_rd(card, COMMAND) >> 16 & 0xf900,
				 DETECTED_PARITY | (response ? MASTER_DATA_PARITY : 0));
		card_free(card);
	}
}

static void test_endpoint_completion_timeout_reported(void **state)
{
	(void)state;
	static const struct reaction timed_out = {
		.uncorrectable = BIT(14), .device_status = NONFATAL_DETECTED, .nonfatal = 1};
	struct card *card = CARD(NULL);
	report_all(card);
	cfg_wr16(card, DEVCTL2, 0x1); /* 50 to 100 us */
	clear_errors(card);
	uint8_t data[64];
	struct tlp req = dma_read(card, data);
	unsigned from = card->seen_count;
	card_run(card, 110 * PS_PER_US);
	assert_int_equal(dma_done_fifo_pop(&card->dma_done, card->sim.now_ps).status, DMA_FAILED);
	expect(card, from, &timed_out);
	/* It comes late: dropped. */
	clear_errors(card);
	from = card->seen_count;
	struct tlp cpl = completion_of(&req, TLP_SC);
	card_send(card, &cpl);
	card_run(card, PS_PER_US);
	expect(card, from, &unexpected);
	card_free(card);
}

/* ---- storms ---- */

static void test_endpoint_storm_of_bad_requests_leaves_all_working(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	struct rng rng;
	uint8_t data[64];
	rng_seed(&rng, test_seed(33), 0);
	report_all(card);
	unsigned bad = 0;
	for (unsigned n = 0; n < 3000; n++) {
		const struct request_case *c = &requests[rng_below(&rng, ARRAY_SIZE(requests))];
		struct tlp tlp = tlp_of(c);
		card_send(card, &tlp);
		bad++;
		if (n % 4 == 0) {
			static const uint8_t undefined[16] = {0xff};
			card_send_wire(card, undefined, sizeof(undefined));
		}
		if (n % 100 != 0)
			continue;
		/* Register access and DMA make progress in the middle of it. */
		assert_int_equal(mem_read_value(card, COMMON + 0x12, 2), 1);
		card->answers_reads = true;
		dma_request_fifo_push(dma_requests(card->dma, DMA_COPY), card->sim.now_ps,
				      (struct dma_request){.addr = 0x10000, .bytes = 64, .data = data});
		sim_wake(card->dma_process, card->sim.now_ps);
		card_run(card, 20 * PS_PER_US);
		assert_int_equal(dma_done_fifo_pop(&card->dma_done, card->sim.now_ps).status, DMA_OK);
	}
	card_run(card, PS_PER_MS);
	assert_true(card_all_answered(card));
	const struct endpoint_stats *s = endpoint_stats(card->endpoint);
	assert_int_equal(s->unsupported + s->poisoned, bad);
	assert_int_equal(s->malformed, 750);
	assert_int_equal(link_backlog_bytes(card->down, card->sim.now_ps), 0);
	assert_int_equal(link_backlog_bytes(card->up, card->sim.now_ps), 0);
	card_free(card);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_endpoint_bad_request_answered_logged_and_told,
			 "ERR-001 ERR-002 ERR-013 ACC-003 ACC-010 ACC-011 ACC-012 ACC-015 CFG-004 CFG-007 "
			 "CPL-001 CPL-004 CPL-013 CAP-008 TLP-015"),
		REQ_TEST(test_endpoint_error_reporting_off_logs_only, "ERR-028"),
		REQ_TEST(test_endpoint_error_messages_without_bus_master, "ERR-029 ACC-002"),
		REQ_TEST(test_endpoint_messages, "ACC-013 ERR-021 ACC-015"),
		REQ_TEST(test_endpoint_pme_turn_off_acknowledged, "ACC-013 RST-011"),
		REQ_TEST(test_endpoint_malformed_dropped_and_told,
			 "ERR-014 ERR-015 ERR-016 ERR-017 ERR-018 ERR-020 ERR-023 TLP-004 TLP-007 TLP-008 "
			 "TLP-011 TLP-013 TLP-014"),
		REQ_TEST(test_endpoint_undefined_type_malformed, "ACC-014 ERR-019"),
		REQ_TEST(test_endpoint_ecrc_checked_when_enabled, "ERR-024 TLP-017"),
		REQ_TEST(test_endpoint_most_significant_error_reported, "ERR-027"),
		REQ_TEST(test_endpoint_first_error_keeps_pointer_and_log, "ERR-027 CAP-008"),
		cmocka_unit_test(test_endpoint_poison_without_data_ignored),
		REQ_TEST(test_endpoint_completions_of_own_reads,
			 "ERR-004 ERR-005 ERR-006 ERR-008 ERR-009 ERR-010 ERR-011 ERR-012 CFG-007 TAG-011"),
		REQ_TEST(test_endpoint_poisoned_completion_parity_bits, "CFG-007 ERR-012"),
		REQ_TEST(test_endpoint_completion_timeout_reported, "ERR-007 TAG-009"),
		REQ_TEST(test_endpoint_storm_of_bad_requests_leaves_all_working, "ERR-033 FC-016 ACC-017"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
