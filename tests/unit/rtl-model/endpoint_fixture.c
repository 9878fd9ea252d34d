#include "tests/unit/rtl-model/endpoint_fixture.h"

#include "tests/unit/pcie/cfg_fixture.h"

#define ANSWER_LIMIT_PS (100 * PS_PER_US)

/* ---- the firmware ---- */

static void firmware_offer(struct card *card)
{
	static const struct {
		uint32_t offset, value;
	} writes[] = {
		{CSR_VIRTIO_DEVICE_FEATURES_LO, (uint32_t)VIRTIO_BITS},
		{CSR_VIRTIO_DEVICE_FEATURES_HI, (uint32_t)(VIRTIO_BITS >> 32)},
		{CSR_VIRTIO_QUEUE_SIZE_MAX, 256},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(writes); i++)
		virtio_csr_write(&card->virtio, card->sim.now_ps, writes[i].offset, writes[i].value);
	virtio_csr_write(&card->virtio, card->sim.now_ps, CSR_VIRTIO_NUM_QUEUES, card->config.device.queues);
	for (unsigned i = 0; i < DEVICE_CONFIG_BYTES / 4; i++)
		virtio_csr_write(&card->virtio, card->sim.now_ps, CSR_VIRTIO_DEVICE_CONFIG + 4 * i,
				 0x03020100 + i * 0x04040404);
	virtio_csr_write(&card->virtio, card->sim.now_ps, CSR_VIRTIO_CONFIG_CHANGED,
			 CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK);
}

static void firmware_act(struct card *card)
{
	uint64_t now_ps = card->sim.now_ps;
	if (card->function_was_reset) {
		card->function_was_reset = false;
		firmware_offer(card);
		endpoint_reset_done(card->endpoint);
	}
	if (virtio_events(&card->virtio) & CSR_SYS_EVENTS_STATUS_MASK) {
		uint32_t written;
		virtio_csr_read(&card->virtio, now_ps, CSR_VIRTIO_STATUS_WRITTEN, &written);
		virtio_csr_write(&card->virtio, now_ps, CSR_VIRTIO_STATUS,
				 (written & 0xff) | CSR_VIRTIO_STATUS_ANSWER_MASK);
	}
}

/* Woken by an event, it acts firmware_ps later. */
static uint64_t firmware_step(void *ctx, uint64_t now_ps)
{
	struct card *card = ctx;
	bool event = card->function_was_reset || (virtio_events(&card->virtio) & CSR_SYS_EVENTS_STATUS_MASK);
	if (card->firmware_hangs || !event) {
		card->firmware_due_ps = TIME_NEVER_PS;
		return TIME_NEVER_PS;
	}
	if (card->firmware_due_ps == TIME_NEVER_PS)
		card->firmware_due_ps = now_ps + card->firmware_ps;
	if (card->firmware_due_ps > now_ps)
		return card->firmware_due_ps;
	card->firmware_due_ps = TIME_NEVER_PS;
	firmware_act(card);
	return now_ps;
}

/* ---- what the blocks ask of each other, as rtl-model/device.c wires it ---- */

static void function_reset(void *ctx, uint64_t now_ps)
{
	struct card *card = ctx;
	dma_abort(card->dma, now_ps, DMA_CHANNELS);
	notify_reset(card->notify);
	service_fifo_clear(&card->services);
	msix_drop_events(card->msix);
	card->function_was_reset = true;
	card->function_resets++;
	sim_wake(card->firmware_process, now_ps);
}

static void want_msix(void *ctx, uint64_t now_ps, unsigned vector, bool queue)
{
	msix_event(((struct card *)ctx)->msix, now_ps, vector, queue);
}

static void intx_level(void *ctx, uint64_t now_ps, bool level)
{
	endpoint_set_intx(((struct card *)ctx)->endpoint, now_ps, level);
}

static void status_answered(void *ctx, uint64_t now_ps)
{
	endpoint_status_answered(((struct card *)ctx)->endpoint, now_ps);
}

static void dma_timeout(void *ctx, uint64_t now_ps)
{
	endpoint_dma_timeout(((struct card *)ctx)->endpoint, now_ps);
}

static void messages_sent(void *ctx, uint64_t now_ps)
{
	endpoint_messages_sent(((struct card *)ctx)->endpoint, now_ps);
}

static void dma_pending(void *ctx, bool pending)
{
	endpoint_dma_pending(((struct card *)ctx)->endpoint, pending);
}

static uint64_t step_endpoint(void *ctx, uint64_t now_ps)
{
	return endpoint_step(((struct card *)ctx)->endpoint, now_ps);
}

static uint64_t step_dma(void *ctx, uint64_t now_ps)
{
	return dma_step(((struct card *)ctx)->dma, now_ps);
}

static uint64_t step_msix(void *ctx, uint64_t now_ps)
{
	return msix_step(((struct card *)ctx)->msix, now_ps);
}

/* The consumer of the services takes them at once. */
static uint64_t step_notify(void *ctx, uint64_t now_ps)
{
	struct card *card = ctx;
	if (card->notify_sleeps)
		return TIME_NEVER_PS;
	while (service_fifo_ready(&card->services, now_ps)) {
		struct service service = service_fifo_pop(&card->services, now_ps);
		if (card->doorbell_count < ARRAY_SIZE(card->doorbells))
			card->doorbells[card->doorbell_count++] = (uint8_t)service.queue;
	}
	uint64_t next_ps = notify_step(card->notify, now_ps);
	return min_u64(next_ps, service_fifo_next_ps(&card->services));
}

void notify_sleep(struct card *card, bool sleeps)
{
	card->notify_sleeps = sleeps;
	sim_wake(card->notify_process, card->sim.now_ps);
}

/* ---- the root complex ---- */

static void answer_read(struct card *card, const struct tlp *req)
{
	static const uint8_t zeroes[4096];
	struct tlp_completer completer;
	struct tlp cpl;
	uint64_t addr;
	uint32_t bytes;
	tlp_completer_start(&completer, req, ROOT_ID);
	while (tlp_completer_next(&completer, 128, 64, false, &cpl, &addr, &bytes)) {
		cpl.payload = zeroes;
		card_send(card, &cpl);
	}
}

static void take_read_data(struct card *card, struct asked *asked, const struct tlp *cpl)
{
	const uint8_t *data;
	uint32_t bytes, mps = endpoint_control(card->endpoint)->mps_bytes;
	uint64_t end = (asked->expect.addr & ~UINT64_C(3)) + cpl->length_dw * 4u;
	enum tlp_cpl_result result = tlp_requester_accept(&asked->expect, cpl, &data, &bytes);
	assert_true(result == TLP_CPL_PART || result == TLP_CPL_DONE);
	assert_true(result == TLP_CPL_DONE || end % 128 == 0); /* CPL-009 */
	if (!card->mps_varies) {
		assert_true(cpl->length_dw * 4u <= mps); /* CPL-010 */
		/* No smaller than it need be. */
		assert_true(result == TLP_CPL_DONE || cpl->length_dw * 4u + 128 > mps);
	}
	memcpy(asked->data + asked->bytes, data, bytes);
	asked->bytes += bytes;
	asked->done = result == TLP_CPL_DONE;
}

static void take_completion(struct card *card, const struct tlp *cpl, uint64_t at_ps)
{
	struct asked *asked = &card->asked[cpl->tag];
	assert_true(asked->used && !asked->done); /* CPL-001, TAG-001 */
	const struct tlp *req = &asked->req;
	bool config = req->type == TLP_CFGRD0 || req->type == TLP_CFGWR0;
	asked->completions++;
	asked->done_ps = at_ps;
	asked->status = cpl->status;
	assert_int_equal(cpl->requester_id, req->requester_id); /* CPL-003 */
	assert_int_equal(cpl->tc, req->tc);
	assert_int_equal(cpl->attr, req->attr);
	assert_false(cpl->ep);
	assert_true(cpl->status != TLP_CRS || config); /* CPL-018 */
	if (cpl->status != TLP_SC || req->type == TLP_CFGWR0) {
		assert_int_equal(cpl->type,
				 req->type == TLP_MRDLK ? TLP_CPLLK : TLP_CPL); /* CPL-004, CPL-013 */
		asked->done = true;
	} else if (req->type == TLP_CFGRD0) {
		assert_int_equal(cpl->type, TLP_CPLD);
		assert_int_equal(cpl->length_dw, 1);
		assert_int_equal(cpl->byte_count, 4); /* CPL-005, CPL-006 */
		assert_int_equal(cpl->lower_addr, 0);
		memcpy(asked->data, cpl->payload, 4);
		asked->done = true;
	} else {
		assert_int_equal(req->type, TLP_MRD);
		assert_int_equal(cpl->type, TLP_CPLD);
		take_read_data(card, asked, cpl);
	}
}

static void take_tlp(struct card *card, const struct link_rx *rx)
{
	if (card->seen_count == card->seen_room) {
		card->seen_room = card->seen_room ? 2 * card->seen_room : 256;
		card->seen = realloc(card->seen, card->seen_room * sizeof(*card->seen));
		assert_non_null(card->seen);
	}
	struct seen *seen = &card->seen[card->seen_count++];
	*seen = (struct seen){.at_ps = rx->arrive_ps, .wire = malloc(rx->size), .size = rx->size};
	assert_non_null(seen->wire);
	memcpy(seen->wire, rx->wire, rx->size);
	assert_int_equal(tlp_decode(&seen->tlp, seen->wire, seen->size), TLP_OK);
	assert_true(tlp_ecrc_ok(seen->wire, seen->size));
	switch (seen->tlp.type) {
	case TLP_MSG: assert_int_equal(seen->tlp.tc, 0); break;
	case TLP_MWR: assert_true(card->masters); break;
	case TLP_MRD:
		assert_true(card->masters);
		if (card->answers_reads) {
			const struct tlp req = seen->tlp;
			answer_read(card, &req);
		}
		break;
	default:
		assert_int_equal(tlp_class_of(seen->tlp.type), TLP_COMPLETION);
		const struct tlp cpl = seen->tlp;
		take_completion(card, &cpl, rx->arrive_ps);
	}
}

static uint64_t step_host(void *ctx, uint64_t now_ps)
{
	struct card *card = ctx;
	struct link_rx rx;
	while (link_pop(card->up, now_ps, &rx))
		take_tlp(card, &rx);
	return link_next_ps(card->up, now_ps);
}

/* ---- making and running ---- */

static void create_link(struct card *card)
{
	const struct link_config link = {
		.generation = 3,
		.lanes = 8,
		.propagation_ps = 50 * PS_PER_NS,
		.ack_interval = 4,
		.fc_interval = 4,
		.drain_ps = 16 * PS_PER_NS,
		.fc_latency_ps = 40 * PS_PER_NS,
	};
	const struct link_credits credits = {
		.header = {[TLP_POSTED] = 8, [TLP_NON_POSTED] = 8},
		.data = {[TLP_POSTED] = 64, [TLP_NON_POSTED] = 16},
	};
	const struct link_receiver to_host = {.ctx = card->host_process, .wake = sim_wake};
	const struct link_receiver to_card = {.ctx = card->endpoint_process, .wake = sim_wake};
	card->up = link_dir_create(&link, &credits, &to_host);
	card->down = link_dir_create(&link, &credits, &to_card);
	assert_true(card->up && card->down);
	link_dir_pair(card->up, card->down);
}

static void create_blocks(struct card *card)
{
	char error[160];
	card->endpoint = endpoint_create(&card->config, error, sizeof(error));
	if (!card->endpoint)
		fail_msg("%s", error);
	const struct cfg_control *control = endpoint_control(card->endpoint);
	const struct dma_ports dma_ports = {.self = &card->dma_process->waker,
					    .up = card->up,
					    .control = control,
					    .requester_id = endpoint_id(card->endpoint),
					    .timeout = dma_timeout,
					    .pending = dma_pending,
					    .messages_sent = messages_sent,
					    .ctx = card};
	card->dma = dma_create(&card->config, &dma_ports);
	dma_connect(card->dma, DMA_COPY, &card->dma_done);
	const struct msix_ports msix_ports = {.self = &card->msix_process->waker,
					      .control = control,
					      .dma = dma_requests(card->dma, DMA_MSIX)};
	card->msix = msix_create(&card->config, &msix_ports);
	assert_true(card->dma && card->msix);
	card->notify = notify_create(&card->config, &card->notify_process->waker, &card->services);
	assert_non_null(card->notify);
	const struct virtio_ports virtio_ports = {.ctx = card,
						  .control = control,
						  .events = &card->firmware_process->waker,
						  .msix = want_msix,
						  .intx = intx_level,
						  .answered = status_answered};
	virtio_regs_init(&card->virtio, &card->config, &virtio_ports);
	const struct endpoint_ports ports = {.self = &card->endpoint_process->waker,
					     .down = card->down,
					     .up = card->up,
					     .dma = card->dma,
					     .dma_wake = &card->dma_process->waker,
					     .msix = card->msix,
					     .virtio = &card->virtio,
					     .doorbells = &card->notify->doorbells,
					     .probe = &card->probe,
					     .ctx = card,
					     .function_reset = function_reset};
	endpoint_connect(card->endpoint, &ports);
}

struct card *card_create(const char *const settings[])
{
	struct card *card = calloc(1, sizeof(*card));
	char error[160];
	assert_non_null(card);
	config_defaults(&card->config);
	for (unsigned i = 0; settings && settings[i]; i++)
		if (config_set(&card->config, settings[i], error, sizeof(error)) != 0)
			fail_msg("%s", error);
	card->endpoint_process = sim_add(&card->sim, step_endpoint, card);
	card->dma_process = sim_add(&card->sim, step_dma, card);
	card->notify_process = sim_add(&card->sim, step_notify, card);
	card->msix_process = sim_add(&card->sim, step_msix, card);
	card->host_process = sim_add(&card->sim, step_host, card);
	card->firmware_process = sim_add(&card->sim, firmware_step, card);
	card->firmware_ps = PS_PER_US;
	card->firmware_due_ps = TIME_NEVER_PS;
	card->answers_reads = true;
	create_link(card);
	create_blocks(card);
	return card;
}

void card_free(struct card *card)
{
	for (unsigned i = 0; i < card->seen_count; i++)
		free(card->seen[i].wire);
	free(card->seen);
	msix_free(card->msix);
	notify_free(card->notify);
	dma_free(card->dma);
	endpoint_free(card->endpoint);
	link_dir_free(card->up);
	link_dir_free(card->down);
	free(card);
}

void card_firmware_up(struct card *card)
{
	firmware_offer(card);
	endpoint_set_ready(card->endpoint, true);
}

struct card *card_enumerated(const char *const settings[])
{
	struct card *card = card_create(settings);
	card_firmware_up(card);
	cfg_wr(card, BAR1, (uint32_t)BAR1_ADDR);
	cfg_wr(card, BAR4, (uint32_t)BAR4_ADDR);
	cfg_wr(card, BAR5, (uint32_t)(BAR4_ADDR >> 32));
	cfg_wr16(card, COMMAND, COMMAND_MEMORY | COMMAND_MASTER);
	card->masters = true;
	notify_csr_write(card->notify, 0, CSR_NOTIFY_ENABLE_LO, UINT32_MAX);
	notify_csr_write(card->notify, 0, CSR_NOTIFY_ENABLE_HI, UINT32_MAX);
	return card;
}

void card_run(struct card *card, uint64_t ps)
{
	sim_run_for(&card->sim, ps);
}

/* ---- requests ---- */

static unsigned take_tag(struct card *card)
{
	for (unsigned i = 0; i < TAGS; i++) {
		unsigned tag = card->next_tag++ % TAGS;
		struct asked *asked = &card->asked[tag];
		if (asked->used && !asked->done)
			continue;
		asked->used = true;
		asked->done = false;
		asked->completions = 0;
		asked->bytes = 0;
		return tag;
	}
	fail_msg("no tag is free");
	return 0;
}

unsigned card_send(struct card *card, struct tlp *tlp)
{
	uint8_t wire[TLP_WIRE_BYTES_MAX];
	if (tlp_class_of(tlp->type) == TLP_NON_POSTED) {
		tlp->tag = (uint16_t)take_tag(card);
		struct asked *asked = &card->asked[tlp->tag];
		asked->req = *tlp;
		if (tlp->type == TLP_MRD) {
			uint64_t addr;
			uint32_t bytes;
			tlp_get_span(tlp, &addr, &bytes);
			tlp_requester_start(&asked->expect, addr, bytes ? bytes : 1, tlp->tc, tlp->attr);
		}
	}
	size_t size = tlp_encode(tlp, wire, sizeof(wire));
	assert_true(size != 0);
	card_send_wire(card, wire, size);
	return tlp->tag;
}

void card_send_wire(struct card *card, const uint8_t *wire, size_t size)
{
	link_push(card->down, card->sim.now_ps, wire, size);
}

unsigned card_wait(struct card *card, unsigned tag)
{
	uint64_t limit_ps = card->sim.now_ps + ANSWER_LIMIT_PS;
	while (!card->asked[tag].done && card->sim.now_ps < limit_ps)
		card_run(card, 10 * PS_PER_NS);
	return card->asked[tag].done ? card->asked[tag].status : NO_ANSWER;
}

bool card_all_answered(const struct card *card)
{
	for (unsigned i = 0; i < TAGS; i++)
		if (card->asked[i].used && !card->asked[i].done)
			return false;
	return true;
}

struct tlp memory_request(enum tlp_type type, uint64_t addr, uint32_t bytes, const void *payload)
{
	struct tlp tlp = {.type = type, .requester_id = ROOT_ID, .payload = payload};
	tlp_set_span(&tlp, addr, bytes);
	return tlp;
}

struct tlp config_request(enum tlp_type type, unsigned reg, uint8_t be, const void *payload)
{
	return (struct tlp){.type = type,
			    .length_dw = 1,
			    .requester_id = ROOT_ID,
			    .first_be = be,
			    .dest_id = CARD_ID,
			    .reg = (uint16_t)reg,
			    .payload = payload};
}

unsigned mem_read(struct card *card, uint64_t addr, uint32_t bytes, void *data)
{
	struct tlp tlp = memory_request(TLP_MRD, addr, bytes, NULL);
	unsigned tag = card_send(card, &tlp);
	unsigned status = card_wait(card, tag);
	if (status == TLP_SC) {
		assert_int_equal(card->asked[tag].bytes, bytes);
		memcpy(data, card->asked[tag].data, bytes);
	}
	return status;
}

uint64_t mem_read_value(struct card *card, uint64_t addr, unsigned bytes)
{
	uint8_t data[8] = {0};
	assert_int_equal(mem_read(card, addr, bytes, data), TLP_SC);
	return load_le64(data);
}

void mem_write(struct card *card, uint64_t addr, uint32_t bytes, const void *data)
{
	uint8_t padded[4096 + 8];
	memset(padded, 0x99, sizeof(padded)); /* what is not enabled is rubbish */
	memcpy(padded + addr % 4, data, bytes);
	struct tlp tlp = memory_request(TLP_MWR, addr, bytes, padded);
	card_send(card, &tlp);
}

void mem_write_value(struct card *card, uint64_t addr, unsigned bytes, uint64_t value)
{
	uint8_t data[8];
	store_le64(data, value);
	mem_write(card, addr, bytes, data);
}

unsigned cfg_read_status(struct card *card, unsigned reg)
{
	struct tlp tlp = config_request(TLP_CFGRD0, reg, 0xf, NULL);
	return card_wait(card, card_send(card, &tlp));
}

uint32_t cfg_rd(struct card *card, unsigned reg)
{
	struct tlp tlp = config_request(TLP_CFGRD0, reg, 0xf, NULL);
	unsigned tag = card_send(card, &tlp);
	assert_int_equal(card_wait(card, tag), TLP_SC);
	return load_le32(card->asked[tag].data);
}

void cfg_wr_be(struct card *card, unsigned reg, uint32_t value, uint8_t be)
{
	uint8_t data[4];
	store_le32(data, value);
	struct tlp tlp = config_request(TLP_CFGWR0, reg, be, data);
	assert_int_equal(card_wait(card, card_send(card, &tlp)), TLP_SC);
}

void cfg_wr(struct card *card, unsigned reg, uint32_t value)
{
	cfg_wr_be(card, reg, value, 0xf);
}

void cfg_wr16(struct card *card, unsigned reg, uint32_t value)
{
	cfg_wr_be(card, reg, value, 0x3);
}

struct tlp message_tlp(enum tlp_message code, enum tlp_route route, const uint8_t *payload)
{
	return (struct tlp){.type = payload ? TLP_MSGD : TLP_MSG,
			    .length_dw = payload ? 1 : 0,
			    .requester_id = ROOT_ID,
			    .msg_code = (uint8_t)code,
			    .msg_route = (uint8_t)route,
			    .payload = payload};
}

void program_vector(struct card *card, unsigned vector, uint32_t addr, uint32_t data)
{
	uint8_t entry[16] = {0};
	store_le32(entry, addr);
	store_le32(entry + 8, data);
	mem_write(card, BAR1_ADDR + 16 * vector, sizeof(entry), entry);
}

void msix_enable(struct card *card, bool on)
{
	cfg_wr_be(card, MSIX, on ? 0x80000000 : 0, 0xc);
}

/* ---- what was seen ---- */

unsigned messages_since(const struct card *card, unsigned from, enum tlp_message code)
{
	unsigned count = 0;
	for (unsigned i = from; i < card->seen_count; i++)
		count += card->seen[i].tlp.type == TLP_MSG && card->seen[i].tlp.msg_code == code;
	return count;
}

unsigned writes_since(const struct card *card, unsigned from, uint64_t addr)
{
	unsigned count = 0;
	for (unsigned i = from; i < card->seen_count; i++)
		count += card->seen[i].tlp.type == TLP_MWR && card->seen[i].tlp.addr == addr;
	return count;
}

unsigned requests_since(const struct card *card, unsigned from)
{
	unsigned count = 0;
	for (unsigned i = from; i < card->seen_count; i++)
		count += card->seen[i].tlp.type == TLP_MWR || card->seen[i].tlp.type == TLP_MRD;
	return count;
}

void bring_up_virtio(struct card *card)
{
	static const uint8_t steps[] = {0x01, 0x03, 0x0b, 0x0f};
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		mem_write_value(card, BAR4_ADDR + 0x14, 1, steps[i]);
		assert_int_equal(mem_read_value(card, BAR4_ADDR + 0x14, 1), steps[i]);
	}
}
