/* What the card puts on the link, seen by an observer that knows the rules of PCIe and the rings: whether every TLP is as
 * it should be, what one request costs, and how much the card asks for at a time (guides: D-067, PERF, FC, ORD). */
#include "tests/e2e/pcie_help.h"

#define CARD_TAGS 1024u
#define HOST_TAGS 256u
#define PAGE      4096u

/* ---- every TLP by the rules ---- */

struct rules {
	struct machine *m;
	struct tlp_requester read[CARD_TAGS];  /* of the card */
	uint64_t answered_ps[CARD_TAGS];       /* when the last completion of the read is ready */
	enum tlp_type host_request[HOST_TAGS]; /* not answered yet; TLP_TYPE_COUNT: none */
	uint32_t host_bytes[HOST_TAGS];        /* still owed */
	bool captured;                         /* the card knows its bus number */
	unsigned tags_in_use_max;
	uint64_t reads, writes, completions, interrupts;
	unsigned answers_wanted;
};

static bool contiguous(unsigned be)
{
	unsigned low = be & -be;
	return be != 0 && (((be / low) + 1) & (be / low)) == 0;
}

/* Byte enables by TLP-007 and TLP-008, for requests that name at least one byte. */
static void check_byte_enables(const struct tlp *tlp)
{
	bool aligned_pair = tlp->length_dw == 2 && tlp->addr % 8 == 0;
	if (tlp->length_dw == 1) {
		CHECK_EQUAL(tlp->last_be, 0);
		return;
	}
	CHECK(tlp->first_be != 0 && tlp->last_be != 0);
	if (aligned_pair)
		return;
	CHECK(contiguous(tlp->first_be) && (tlp->first_be & 8));
	CHECK(contiguous(tlp->last_be) && (tlp->last_be & 1));
}

static void check_request(struct rules *rules, const struct tlp *tlp)
{
	const struct config *config = &rules->m->config;
	uint32_t bytes = tlp->length_dw * 4u;
	CHECK(bytes <= (tlp->type == TLP_MWR ? config->link.mps : config->link.mrrs));
	CHECK(tlp->addr % PAGE + bytes <= PAGE);
	CHECK_EQUAL(tlp->addr64, tlp->addr >> 32 != 0);
	CHECK_EQUAL(tlp->attr | tlp->tc | tlp->at | tlp->th | tlp->ep, 0);
	check_byte_enables(tlp);
}

static unsigned tags_in_use(const struct rules *rules, uint64_t at_ps)
{
	unsigned count = 0;
	for (unsigned i = 0; i < CARD_TAGS; i++)
		count += rules->answered_ps[i] > at_ps;
	return count;
}

static void card_reads(struct rules *rules, uint64_t at_ps, const struct tlp *tlp)
{
	uint64_t addr;
	uint32_t bytes;
	unsigned tags = rules->m->config.link.tags;
	tlp_get_span(tlp, &addr, &bytes);
	CHECK(tlp->tag < (tags > 256 ? 1024u : tags > 32 ? 256u : 32u));
	CHECK(rules->answered_ps[tlp->tag] <= at_ps);
	tlp_requester_start(&rules->read[tlp->tag], addr, bytes, 0, 0);
	rules->answered_ps[tlp->tag] = TIME_NEVER_PS;
	rules->tags_in_use_max = max_u32(rules->tags_in_use_max, tags_in_use(rules, at_ps));
	CHECK(rules->tags_in_use_max <= tags);
	rules->reads++;
}

/* Of the card, for a request of the host: exactly what is owed, and nothing unasked. */
static void card_completes(struct rules *rules, const struct tlp *tlp)
{
	CHECK(tlp->tag < HOST_TAGS);
	enum tlp_type type = rules->host_request[tlp->tag];
	CHECK(type != TLP_TYPE_COUNT);
	CHECK_EQUAL(tlp->completer_id, rules->captured ? ROOT_BUS << 8 : 0);
	CHECK_EQUAL(tlp->byte_count, rules->host_bytes[tlp->tag]);
	if (tlp->status != TLP_SC) { /* not ready yet: the only failure there is here */
		CHECK(tlp->status == TLP_CRS && tlp->type == TLP_CPL && type == TLP_CFGRD0);
		rules->host_bytes[tlp->tag] = 0;
	} else {
		CHECK_EQUAL(tlp->type, type == TLP_MRD || type == TLP_CFGRD0 ? TLP_CPLD : TLP_CPL);
	}
	uint32_t bytes = tlp->payload ? tlp->length_dw * 4u - (tlp->lower_addr & 3u) : 4;
	rules->host_bytes[tlp->tag] -= min_u32(bytes, rules->host_bytes[tlp->tag]);
	if (rules->host_bytes[tlp->tag] != 0)
		return;
	rules->host_request[tlp->tag] = TLP_TYPE_COUNT;
	rules->answers_wanted--;
	rules->completions++;
}

static void host_sends(struct rules *rules, uint64_t at_ps, const struct tlp *tlp)
{
	const uint8_t *data;
	uint32_t bytes;
	uint64_t addr;
	rules->captured |= tlp->type == TLP_CFGWR0;
	if (tlp_class_of(tlp->type) == TLP_NON_POSTED) {
		tlp_get_span(tlp, &addr, &bytes);
		rules->host_request[tlp->tag] = tlp->type;
		rules->host_bytes[tlp->tag] = tlp->type == TLP_MRD ? bytes : 4;
		rules->answers_wanted++;
	} else if (tlp->type == TLP_CPLD) {
		CHECK(tlp_requester_accept(&rules->read[tlp->tag], tlp, &data, &bytes) != TLP_CPL_UNEXPECTED);
		if (rules->read[tlp->tag].bytes == 0)
			rules->answered_ps[tlp->tag] = at_ps;
	}
}

static void watch_rules(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct rules *rules = ctx;
	struct tlp tlp;
	CHECK_EQUAL(tlp_decode(&tlp, wire, size), TLP_OK);
	if (!from_card) {
		host_sends(rules, at_ps, &tlp);
		return;
	}
	if (tlp_class_of(tlp.type) == TLP_COMPLETION) {
		card_completes(rules, &tlp);
		return;
	}
	CHECK_EQUAL(tlp.requester_id, ROOT_BUS << 8);
	CHECK(tlp.type == TLP_MRD || tlp.type == TLP_MWR || tlp.type == TLP_MSG);
	if (tlp.type == TLP_MSG) {
		CHECK(tlp.tc == 0 && tlp.attr == 0);
		return;
	}
	check_request(rules, &tlp);
	if (tlp.type == TLP_MRD)
		card_reads(rules, at_ps, &tlp);
	rules->writes += tlp.type == TLP_MWR;
	rules->interrupts += tlp.type == TLP_MWR && tlp.addr - ROOT_MSI_BASE < ROOT_MSI_BYTES;
}

/* From the first configuration request on. */
static void obeys(struct machine *m)
{
	static const struct load_settings settings = {.bytes_max = 8192};
	struct rules *rules = calloc(1, sizeof(*rules));
	struct load load;
	ASSERT(rules);
	rules->m = m;
	for (unsigned i = 0; i < HOST_TAGS; i++)
		rules->host_request[i] = TLP_TYPE_COUNT;
	root_tap(m->guest.root, watch_rules, rules);
	machine_probe(m);
	load_begin(&load, m, &settings);
	load_run(&load, 600);
	load_drain(&load);
	machine_restart(m);
	machine_check_alive(m);
	machine_wait_us(m, 100);
	root_sync(m->guest.root);
	root_tap(m->guest.root, NULL, NULL);
	CHECK(rules->reads > 600 && rules->writes > 600 && rules->completions > 100);
	CHECK_EQUAL(rules->interrupts != 0, m->config.guest.msix);
	CHECK_EQUAL(rules->answers_wanted, 0);
	CHECK_EQUAL(tags_in_use(rules, kernel_now_ps()), 0);
	CHECK(rules->tags_in_use_max > 1);
	free(rules);
}

static void test_every_tlp_obeys_the_rules_of_pcie(void **state)
{
	(void)state;
	machine_run_levels(obeys, NULL, "device.queues=2", "host.vcpus=1", NULL);
	machine_run(obeys, "host.vcpus=1", "link.mps=128", "link.mrrs=128", "link.tags=4", NULL);
	machine_run(obeys, "host.vcpus=1", "link.mps=1024", "link.mrrs=4096", "link.tags=500", "link.rcb=128",
		    NULL);
	machine_run(obeys, "host.vcpus=1", "host.memory_base=16M", "host.memory=64M", "guest.msix=off",
		    "guest.indirect=on", "link.rcb_pieces=on", NULL);
}

/* ---- what one request costs ---- */

/* What a TLP of the card is for, by its address. */
enum purpose {
	AVAIL_INDEX,
	AVAIL_ENTRY,
	USED_EVENT,
	DESCRIPTORS,
	HEADER,
	PAYLOAD,
	STATUS,
	USED_ELEMENT,
	USED_INDEX,
	AVAIL_EVENT,
	INTERRUPT,
	PURPOSES,
};

struct costs {
	struct machine *m;
	uint64_t data_addr, data_bytes;
	uint64_t tlps[PURPOSES], bytes[PURPOSES];
	uint64_t wire_bytes; /* of all, framing left out */
};

static enum purpose purpose_of(const struct costs *costs, uint64_t addr)
{
	const struct blk_queue *queue = &costs->m->blk.queue[0];
	const struct virtqueue *vq = &queue->vq;
	const struct {
		uint64_t addr, bytes;
	} places[] = {
		[AVAIL_INDEX] = {vq->avail_addr, 4},
		[AVAIL_ENTRY] = {vq->avail_addr + 4, 2u * vq->size},
		[USED_EVENT] = {vq->avail_addr + 4 + 2u * vq->size, 2},
		[DESCRIPTORS] = {vq->desc_addr, 16u * vq->size},
		[HEADER] = {queue->header_addr, vq->size * sizeof(*queue->header)},
		[PAYLOAD] = {costs->data_addr, costs->data_bytes},
		[STATUS] = {queue->status_addr, vq->size},
		[USED_ELEMENT] = {vq->used_addr + 4, 8u * vq->size},
		[USED_INDEX] = {vq->used_addr, 4},
		[AVAIL_EVENT] = {vq->used_addr + 4 + 8u * vq->size, 2},
		[INTERRUPT] = {ROOT_MSI_BASE, ROOT_MSI_BYTES},
	};
	for (unsigned i = 0; i < PURPOSES; i++)
		if (addr - places[i].addr < places[i].bytes)
			return (enum purpose)i;
	machine_check_failed("every TLP is for something", __FILE__, __LINE__);
}

static void watch_costs(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct costs *costs = ctx;
	struct tlp tlp;
	uint64_t addr;
	uint32_t bytes;
	(void)at_ps;
	if (!from_card)
		return;
	costs->wire_bytes += size;
	CHECK_EQUAL(tlp_decode(&tlp, wire, size), TLP_OK);
	if (tlp_class_of(tlp.type) == TLP_COMPLETION)
		return;
	tlp_get_span(&tlp, &addr, &bytes);
	enum purpose purpose = purpose_of(costs, addr);
	bool write = purpose >= PAYLOAD; /* the disk is read here */
	CHECK_EQUAL(tlp.type, write ? TLP_MWR : TLP_MRD);
	costs->tlps[purpose]++;
	costs->bytes[purpose] += bytes;
}

static void submit_reads(struct machine *m, const struct costs *costs, struct blk_request *request,
			 unsigned count)
{
	struct blk_queue *queue = &m->blk.queue[0];
	uint16_t used = machine_used_index(m, 0);
	for (unsigned i = 0; i < count; i++) {
		request[i] = (struct blk_request){.type = VIRTIO_BLK_T_IN,
						  .sector = 8 * i,
						  .data_addr = costs->data_addr + i * PAGE,
						  .data_bytes = PAGE};
		CHECK_EQUAL(blk_submit(&m->blk, queue, &request[i]), 0);
	}
	if (blk_publish(queue))
		blk_kick(&m->blk, queue);
	CHECK(machine_wait_used(m, 0, (uint16_t)(used + count), 1000));
	machine_wait_us(m, 20); /* the interrupt, and the look at the ring that finds it empty */
	while (blk_take(queue) != NULL)
		;
	virtqueue_enable_interrupts(&queue->vq);
}

/* Starts counting when the card has come to rest. */
static struct costs count_costs(struct machine *m, unsigned requests)
{
	struct blk_request request[16];
	struct costs costs = {.m = m, .data_bytes = 16 * PAGE};
	machine_memory(m, costs.data_bytes, DMA_FROM_DEVICE, &costs.data_addr);
	submit_reads(m, &costs, request, 1);
	root_sync(m->guest.root);
	uint64_t before = device_stats(m->guest.device).up->tlp_bytes;
	root_tap(m->guest.root, watch_costs, &costs);
	submit_reads(m, &costs, request, requests);
	root_sync(m->guest.root);
	root_tap(m->guest.root, NULL, NULL);
	/* The link charges for these and no others. */
	CHECK_EQUAL(device_stats(m->guest.device).up->tlp_bytes - before, costs.wire_bytes);
	return costs;
}

static void one_read(struct machine *m)
{
	machine_probe(m);
	struct costs costs = count_costs(m, 1);
	/* The doorbell makes the card look at avail.idx; having taken what is there it asks for the next doorbell and looks
	 * once more. */
	CHECK_EQUAL(costs.tlps[AVAIL_INDEX], 2);
	CHECK_EQUAL(costs.tlps[AVAIL_EVENT], 1);
	CHECK_EQUAL(costs.tlps[AVAIL_ENTRY], 1);
	CHECK_EQUAL(costs.bytes[AVAIL_ENTRY], 2);
	/* Three descriptors, and the one behind them that was read ahead. */
	CHECK_EQUAL(costs.tlps[DESCRIPTORS], 1);
	CHECK_EQUAL(costs.bytes[DESCRIPTORS], 64);
	CHECK_EQUAL(costs.tlps[HEADER], 1);
	CHECK_EQUAL(costs.bytes[HEADER], 16);
	CHECK_EQUAL(costs.tlps[PAYLOAD], PAGE / m->config.link.mps);
	CHECK_EQUAL(costs.bytes[PAYLOAD], PAGE);
	CHECK_EQUAL(costs.tlps[STATUS], 1);
	CHECK_EQUAL(costs.bytes[STATUS], 1);
	CHECK_EQUAL(costs.tlps[USED_ELEMENT], 1);
	CHECK_EQUAL(costs.bytes[USED_ELEMENT], 8);
	CHECK_EQUAL(costs.tlps[USED_INDEX], 1);
	CHECK_EQUAL(costs.bytes[USED_INDEX], 2);
	CHECK_EQUAL(costs.tlps[USED_EVENT], 1);
	CHECK_EQUAL(costs.tlps[INTERRUPT], 1);
}

/* Sixteen published together share the ring's reads, and mostly used.idx and interrupts. */
static void sixteen_reads(struct machine *m)
{
	machine_probe(m);
	struct costs costs = count_costs(m, 16);
	CHECK(costs.tlps[AVAIL_INDEX] <= 3);
	CHECK(costs.tlps[AVAIL_ENTRY] <= 2);
	CHECK_EQUAL(costs.bytes[AVAIL_ENTRY], 2 * 16);
	CHECK_EQUAL(costs.tlps[HEADER], 16);
	CHECK_EQUAL(costs.tlps[STATUS], 16);
	CHECK_EQUAL(costs.bytes[PAYLOAD], 16 * PAGE);
	CHECK_EQUAL(costs.bytes[USED_ELEMENT], 16 * 8);
	CHECK(costs.tlps[USED_INDEX] <= 16 && costs.tlps[USED_EVENT] <= costs.tlps[USED_INDEX]);
	CHECK(costs.tlps[INTERRUPT] <= 16);
}

static void test_one_request_costs_what_the_model_says(void **state)
{
	(void)state;
	machine_run(one_read, "host.vcpus=1", NULL);
	machine_run(one_read, "host.vcpus=1", "link.mps=128", NULL);
	machine_run(sixteen_reads, "host.vcpus=1", NULL);
}

/* ---- unaligned data ---- */

struct data_tlps {
	uint64_t addr, bytes;
	uint64_t reads, writes;
};

static void watch_data(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct data_tlps *data = ctx;
	struct tlp tlp;
	(void)at_ps;
	if (!from_card || tlp_decode(&tlp, wire, size) != TLP_OK || tlp.addr - data->addr >= data->bytes)
		return;
	data->reads += tlp.type == TLP_MRD;
	data->writes += tlp.type == TLP_MWR;
}

/* One TLP for what lies in one page if it fits, else TLPs that end at multiples of `limit`. */
static uint64_t pieces(uint64_t addr, uint64_t bytes, uint64_t limit)
{
	uint64_t count = 0;
	while (bytes != 0) {
		uint64_t part = min_u64(bytes, PAGE - addr % PAGE);
		bool fits = addr % 4 + part <= limit;
		count += fits ? 1 : (addr + part - 1) / limit - addr / limit + 1;
		addr += part;
		bytes -= part;
	}
	return count;
}

static void transfer(struct machine *m, uint32_t type, struct data_tlps *data, uint64_t addr, uint32_t bytes)
{
	struct blk_queue *queue = &m->blk.queue[0];
	struct blk_request request = {.type = type, .data_addr = addr, .data_bytes = bytes};
	uint16_t used = machine_used_index(m, 0);
	data->reads = data->writes = 0;
	root_tap(m->guest.root, watch_data, data);
	CHECK_EQUAL(blk_submit(&m->blk, queue, &request), 0);
	blk_publish(queue);
	machine_kick(m, 0);
	CHECK(machine_wait_used(m, 0, (uint16_t)(used + 1), 1000));
	root_tap(m->guest.root, NULL, NULL);
	CHECK(blk_take(queue) == &request);
	CHECK_EQUAL(request.status, VIRTIO_BLK_S_OK);
}

static void unaligned(struct machine *m)
{
	static const uint32_t offsets[] = {0, 4, 1, 3, 64, 128, 255, 256, 2048, 3584, 4092, 4095};
	static const uint32_t sizes[] = {512, 1024, 4096, 8192};
	struct data_tlps data = {.bytes = 4 * PAGE};
	machine_probe(m);
	machine_memory(m, data.bytes, DMA_BOTH, &data.addr);
	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++)
		for (unsigned j = 0; j < ARRAY_SIZE(sizes); j++) {
			uint64_t addr = data.addr + offsets[i];
			uint64_t before = device_stats(m->guest.device).dma->write_tlps;
			transfer(m, VIRTIO_BLK_T_IN, &data, addr, sizes[j]);
			CHECK_EQUAL(data.writes, pieces(addr, sizes[j], m->config.link.mps));
			CHECK(device_stats(m->guest.device).dma->write_tlps - before > data.writes);
			transfer(m, VIRTIO_BLK_T_OUT, &data, addr, sizes[j]);
			CHECK_EQUAL(data.reads, pieces(addr, sizes[j], m->config.link.mrrs));
			/* More than aligned, unless it is one TLP wherever it lies. */
			if (offsets[i] % m->config.link.mrrs != 0 && sizes[j] > m->config.link.mrrs)
				CHECK(data.reads > sizes[j] / m->config.link.mrrs);
		}
}

static void test_unaligned_data_costs_tlps(void **state)
{
	(void)state;
	machine_run(unaligned, "host.vcpus=1", NULL);
	machine_run(unaligned, "host.vcpus=1", "link.mps=1024", "link.mrrs=4096", NULL);
	machine_run(unaligned, "host.vcpus=1", "link.mps=128", "link.mrrs=128", "link.tags=32", NULL);
}

/* ---- how much is asked for at a time ---- */

/* Data of disk writes that the card has asked for and not got yet, as the root complex sees it: never more than the card
 * has memory for. */
struct demand {
	const struct load *load;
	uint32_t bytes[CARD_TAGS];       /* not sent yet, */
	uint64_t answered_ps[CARD_TAGS]; /* and when the last of it is */
	uint32_t asked[CARD_TAGS];
	uint64_t most, reads;
};

static bool is_data(const struct load *load, uint64_t addr)
{
	for (unsigned i = 0; i < load->places; i++)
		if (addr - load->place[i].buffer_addr < load->settings.bytes_max + 2 * PAGE)
			return true;
	return false;
}

static uint64_t outstanding(const struct demand *demand, uint64_t at_ps)
{
	uint64_t bytes = 0;
	for (unsigned i = 0; i < CARD_TAGS; i++)
		bytes += demand->answered_ps[i] > at_ps ? demand->asked[i] : 0;
	return bytes;
}

static void watch_demand(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct demand *demand = ctx;
	struct tlp tlp;
	uint64_t addr;
	uint32_t bytes;
	CHECK_EQUAL(tlp_decode(&tlp, wire, size), TLP_OK);
	if (from_card && tlp.type == TLP_MRD && is_data(demand->load, tlp.addr)) {
		tlp_get_span(&tlp, &addr, &bytes);
		demand->bytes[tlp.tag] = demand->asked[tlp.tag] = bytes;
		demand->answered_ps[tlp.tag] = TIME_NEVER_PS;
		demand->most = max_u64(demand->most, outstanding(demand, at_ps));
		demand->reads++;
	} else if (!from_card && tlp.type == TLP_CPLD && demand->bytes[tlp.tag] != 0) {
		demand->bytes[tlp.tag] -=
			min_u32(demand->bytes[tlp.tag], tlp.length_dw * 4u - (tlp.lower_addr & 3u));
		demand->answered_ps[tlp.tag] = at_ps;
	}
}

static void demands(struct machine *m)
{
	static const struct load_settings settings = {.depth = 16, .only_writes = true};
	struct demand *demand = calloc(1, sizeof(*demand));
	struct load load;
	ASSERT(demand);
	machine_probe(m);
	load_begin(&load, m, &settings);
	demand->load = &load;
	root_tap(m->guest.root, watch_demand, demand);
	load_run(&load, 600);
	load_drain(&load);
	root_tap(m->guest.root, NULL, NULL);
	uint64_t room = (uint64_t)m->config.mover.buffers * m->config.mover.chunk_bytes;
	CHECK(demand->reads > 600);
	CHECK(demand->most > 0 && demand->most <= room);
	CHECK(demand->most >= room / 4); /* what there is, is used: the bound means something */
	CHECK_EQUAL(outstanding(demand, kernel_now_ps()), 0);
	free(demand);
}

static void test_no_data_is_asked_for_without_room(void **state)
{
	(void)state;
	machine_run_levels(demands, NULL, "host.vcpus=1", "mover.buffers=1", "mover.chunk_bytes=2048", NULL);
	machine_run(demands, "device.queues=2", "host.vcpus=1", "mover.buffers=4", "mover.chunk_bytes=4096",
		    "link.root_complex_ns=2000", NULL);
}

/* ---- reads that rely on nothing ---- */

/* The host may take the bytes of one read at different times. So avail.idx is never in one read with what it speaks of: not
 * with ring entries, and those not with descriptors. */
static void watch_index(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct demand *count = ctx;
	const struct machine *m = count->load->m;
	struct tlp tlp;
	uint64_t addr;
	uint32_t bytes;
	(void)at_ps;
	if (!from_card || tlp_decode(&tlp, wire, size) != TLP_OK || tlp.type != TLP_MRD)
		return;
	tlp_get_span(&tlp, &addr, &bytes);
	for (unsigned i = 0; i < m->blk.queues; i++) {
		uint64_t avail = m->blk.queue[i].vq.avail_addr;
		if (addr >= avail + 4 || addr + bytes <= avail)
			continue;
		CHECK(addr >= avail && addr + bytes <= avail + 4);
		count->reads++;
	}
}

static void index_apart(struct machine *m)
{
	struct load load;
	static const struct load_settings settings = {.bytes_max = 4096};
	struct demand *count = calloc(1, sizeof(*count));
	ASSERT(count);
	machine_probe(m);
	load_begin(&load, m, &settings);
	count->load = &load;
	root_tap(m->guest.root, watch_index, count);
	load_run(&load, 500);
	load_drain(&load);
	root_tap(m->guest.root, NULL, NULL);
	CHECK(count->reads > 10);
	free(count);
}

static void test_index_is_read_apart_from_what_it_covers(void **state)
{
	(void)state;
	machine_run_levels(index_apart, NULL, "device.queues=2", "host.vcpus=1", NULL);
	machine_run(index_apart, "host.vcpus=1", "core.poll_ns=5000", "virtio.notification_data=on", NULL);
}

/* ---- the least credits there may be ---- */

static void starved(struct machine *m)
{
	machine_probe(m);
	load_check_alive(m, 300);
	machine_restart(m);
	machine_check_alive(m);
}

static void test_least_credits_suffice(void **state)
{
	(void)state;
	machine_run_levels(starved, NULL, "device.queues=2", "host.vcpus=1", "link.posted_headers=1",
			   "link.posted_data=16", "link.non_posted_headers=1", "link.non_posted_data=1",
			   NULL);
	machine_run(starved, "host.vcpus=1", "link.mps=128", "link.posted_headers=1", "link.posted_data=8",
		    "link.non_posted_headers=1", "link.non_posted_data=1", "guest.msix=off", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_every_tlp_obeys_the_rules_of_pcie,
			 "D-067 TLP-003 TLP-004 TLP-005 TLP-007 TLP-008 TLP-012 TAG-001 CPL-001 CPL-005 "
			 "CAP-010"),
		REQ_TEST(test_one_request_costs_what_the_model_says, "PERF-005"),
		REQ_TEST(test_unaligned_data_costs_tlps, "PERF-008 TLP-004 TLP-005"),
		REQ_TEST(test_no_data_is_asked_for_without_room, "FC-008"),
		REQ_TEST(test_index_is_read_apart_from_what_it_covers, "ORD-005"),
		REQ_TEST(test_least_credits_suffice, "RC-011 FC-005"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
