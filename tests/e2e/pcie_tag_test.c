/* Tags of the card's reads: which values, how many, when again; completion timeouts (guides: TAG, CPL-003). */
#include "tests/e2e/pcie_help.h"

#define TAGS 1024u

/* ---- an observer of tags ---- */

struct tags {
	struct machine *m;
	/* When a tag can be seen again at the earliest: the final completion has to go there and the next read to come
	 * here. Never: no final completion has been sent. */
	uint64_t free_ps[TAGS];
	struct tlp_requester expect[TAGS];
	unsigned lowest, highest, outstanding_max;
};

static unsigned outstanding(const struct tags *tags, uint64_t at_ps)
{
	unsigned count = 0;
	for (unsigned i = 0; i < TAGS; i++)
		count += tags->free_ps[i] > at_ps;
	return count;
}

static void read_seen(struct tags *tags, uint64_t at_ps, const struct tlp *tlp)
{
	uint64_t addr;
	uint32_t bytes;
	tlp_get_span(tlp, &addr, &bytes);
	/* Not before the card has received the final completion (TAG-001, TAG-006). */
	CHECK(tags->free_ps[tlp->tag] <= at_ps);
	tags->free_ps[tlp->tag] = TIME_NEVER_PS;
	tlp_requester_start(&tags->expect[tlp->tag], addr, bytes, tlp->tc, tlp->attr);
	tags->lowest = min_u32(tags->lowest, tlp->tag);
	tags->highest = max_u32(tags->highest, tlp->tag);
	tags->outstanding_max = max_u32(tags->outstanding_max, outstanding(tags, at_ps));
}

static void completion_sent(struct tags *tags, uint64_t at_ps, const struct tlp *tlp)
{
	const uint8_t *data;
	uint32_t bytes;
	if (tlp->requester_id != ROOT_BUS << 8 || tags->free_ps[tlp->tag] != TIME_NEVER_PS)
		return;
	if (tlp_requester_accept(&tags->expect[tlp->tag], tlp, &data, &bytes) == TLP_CPL_PART)
		return;
	tags->free_ps[tlp->tag] = at_ps + 2 * tags->m->config.link.propagation_ps;
}

static void observe(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct tags *tags = ctx;
	struct tlp tlp;
	CHECK_EQUAL(tlp_decode(&tlp, wire, size), TLP_OK);
	if (from_card && tlp.type == TLP_MRD)
		read_seen(tags, at_ps, &tlp);
	else if (!from_card && tlp_class_of(tlp.type) == TLP_COMPLETION)
		completion_sent(tags, at_ps, &tlp);
}

static void tags_begin(struct tags *tags, struct machine *m)
{
	root_sync(m->guest.root);
	memset(tags, 0, sizeof(*tags));
	tags->m = m;
	tags->lowest = TAGS;
	root_tap(m->guest.root, observe, tags);
}

/* ---- widths (TAG-001..TAG-003) ---- */

static void set_tags(struct machine *m, bool extended, bool ten_bit)
{
	unsigned pcie = m->blk.pci.pcie;
	uint32_t devctl = config_read(m, pcie + PCI_EXP_DEVCTL, 2) & ~(uint32_t)PCI_EXP_DEVCTL_EXT_TAG;
	config_write(m, pcie + PCI_EXP_DEVCTL, 2, devctl | (extended ? PCI_EXP_DEVCTL_EXT_TAG : 0));
	config_write(m, pcie + PCI_EXP_DEVCTL2, 2, ten_bit ? 1u << 12 : 0);
}

struct width {
	bool extended, ten_bit;
	unsigned lowest, highest, outstanding;
};

static const struct width widths[] = {
	{false, false, 0, 31, 32},
	{true, false, 0, 255, 256},
	{true, true, 256, 1023, 300},
	{false, true, 256, 1023, 300}, /* 10-bit wins */
};

static void check_width(struct machine *m, struct load *load, const struct width *width)
{
	static struct tags tags;
	set_tags(m, width->extended, width->ten_bit);
	load_drain(load);
	tags_begin(&tags, m);
	load_run(load, 200);
	load_drain(load);
	machine_wait_us(m, 500); /* the reads behind the last completions */
	root_tap(m->guest.root, NULL, NULL);
	printf("tags %u..%u, %u at a time\n", tags.lowest, tags.highest, tags.outstanding_max);
	CHECK(tags.lowest >= width->lowest);
	CHECK(tags.highest <= width->highest);
	CHECK(tags.outstanding_max >= width->outstanding * 9 / 10); /* the width is used */
	CHECK(tags.outstanding_max <= width->highest - width->lowest + 1);
	CHECK_EQUAL(outstanding(&tags, kernel_now_ps()), 0);
}

static void tag_widths(struct machine *m)
{
	static const struct load_settings settings = {
		.depth = 32, .bytes_max = 32768, .only_writes = true, .fixed = true};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < 3 * ARRAY_SIZE(widths); i++) {
		load_run_ps(&load, 20 * PS_PER_US); /* changed under load */
		check_width(m, &load, &widths[rng_below(&m->rng, ARRAY_SIZE(widths))]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(widths); i++)
		check_width(m, &load, &widths[i]);
}

/* The host is slow, so that the tags are what limits. */
#define SLOW_HOST                                                                                            \
	"host.vcpus=1", "link.root_complex_ns=20000", "link.root_complex_jitter=100",                        \
		"link.non_posted_headers=127"

static void test_tag_width_follows_device_control(void **state)
{
	(void)state;
	machine_run(tag_widths, SLOW_HOST, "link.tags=768", NULL);
	machine_run(tag_widths, SLOW_HOST, "link.tags=768", "link.error_ppm=20000", "link.rcb_pieces=on",
		    NULL);
}

/* Fewer than there could be. */
static void few_tags(struct machine *m)
{
	static const struct load_settings settings = {.bytes_max = 32768};
	static struct tags tags;
	struct load load;
	machine_probe(m);
	tags_begin(&tags, m);
	load_begin(&load, m, &settings);
	load_run(&load, 100);
	load_drain(&load);
	CHECK_EQUAL(tags.outstanding_max, m->config.link.tags);
}

static void test_number_of_tags_is_kept(void **state)
{
	(void)state;
	machine_run(few_tags, SLOW_HOST, "link.tags=1", NULL);
	machine_run(few_tags, SLOW_HOST, "link.tags=7", NULL);
	machine_run(few_tags, SLOW_HOST, "link.tags=33", NULL);
}

/* ---- tags of the host (TAG-005, CPL-003) ---- */

struct echo {
	struct tlp completion;
	unsigned seen;
};

static void catch_completion(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct echo *echo = ctx;
	struct tlp tlp;
	(void)at_ps;
	if (!from_card || tlp_decode(&tlp, wire, size) != TLP_OK || tlp.requester_id != TESTER_ID)
		return;
	echo->completion = tlp;
	echo->seen++;
}

static void any_tag(struct machine *m)
{
	static const uint16_t tags[] = {0, 1, 31, 32, 255, 256, 511, 512, 1023};
	machine_probe(m);
	set_tags(m, false, false); /* the card's own enables do not matter */
	for (unsigned i = 0; i < ARRAY_SIZE(tags) * 8; i++) {
		struct tlp requests[] = {
			memory_request(TLP_MRD, m->blk.virtio.common.addr, NULL),
			config_request(TLP_CFGRD0, PCI_VENDOR_ID, NULL),
			memory_request(TLP_MRD, 0x70000000, NULL), /* UR */
		};
		struct tlp *request = &requests[i % 3];
		struct echo echo = {.seen = 0};
		request->tag = tags[i % ARRAY_SIZE(tags)];
		if (request->type == TLP_MRD) { /* configuration requests have TC 0 and no attributes */
			request->tc = (uint8_t)(i % 8);
			request->attr = (uint8_t)(i / 2 % 4);
		}
		root_tap(m->guest.root, catch_completion, &echo);
		send_tlp(m, request);
		machine_wait_us(m, 2);
		CHECK_EQUAL(echo.seen, 1);
		CHECK_EQUAL(echo.completion.tag, request->tag);
		CHECK_EQUAL(echo.completion.tc, request->tc);
		CHECK_EQUAL(echo.completion.attr, request->attr);
		CHECK_EQUAL(echo.completion.completer_id, ROOT_BUS << 8);
		CHECK_EQUAL(echo.completion.status, i % 3 == 2 ? TLP_UR : TLP_SC);
	}
	root_tap(m->guest.root, NULL, NULL);
}

static void test_completions_carry_the_request_back(void **state)
{
	(void)state;
	machine_run(any_tag, "host.vcpus=1", NULL);
}

/* ---- timeouts (TAG-006..TAG-009, TAG-011) ---- */

struct timing {
	uint64_t addr, bytes; /* where a read is not answered */
	uint64_t read_ps, again_ps, error_ps;
	unsigned tag;
};

static void observe_timing(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct timing *timing = ctx;
	struct tlp tlp;
	if (!from_card || tlp_decode(&tlp, wire, size) != TLP_OK)
		return;
	bool victim = tlp.type == TLP_MRD && tlp.addr - timing->addr < timing->bytes;
	if (victim && timing->read_ps == 0) {
		timing->read_ps = at_ps;
		timing->tag = tlp.tag;
	} else if (tlp.type == TLP_MRD && timing->read_ps != 0 && tlp.tag == timing->tag &&
		   timing->again_ps == 0) {
		timing->again_ps = at_ps;
	} else if (tlp.type == TLP_MSG && tlp.msg_code == TLP_MSG_ERR_NONFATAL && timing->error_ps == 0) {
		timing->error_ps = at_ps;
	}
}

static bool transactions_pending(struct machine *m)
{
	return config_read(m, m->blk.pci.pcie + PCI_EXP_DEVSTA, 2) & PCI_EXP_DEVSTA_TRPND;
}

/* One write request whose data is never sent. */
static void unanswered_read(struct machine *m, struct timing *timing)
{
	struct blk_queue *queue = &m->blk.queue[0];
	static struct blk_request request;
	request = (struct blk_request){.type = VIRTIO_BLK_T_OUT, .data_bytes = 512};
	machine_memory(m, 512, DMA_TO_DEVICE, &request.data_addr);
	const struct root_fault fault = {
		.kind = ROOT_FAULT_DROP, .addr = request.data_addr, .bytes = 512, .count = 1};
	root_inject(m->guest.root, &fault);
	*timing = (struct timing){.addr = request.data_addr, .bytes = request.data_bytes};
	root_tap(m->guest.root, observe_timing, timing);
	CHECK_EQUAL(blk_submit(&m->blk, queue, &request), 0);
	blk_publish(queue);
	blk_kick(&m->blk, queue);
}

static void take_failed(struct machine *m)
{
	struct blk_request *request = blk_take(&m->blk.queue[0]);
	CHECK(request != NULL);
	CHECK_EQUAL(request->status, VIRTIO_BLK_S_IOERR);
	virtqueue_enable_interrupts(&m->blk.queue[0].vq);
}

struct range {
	unsigned code;
	uint64_t from_us, to_us;
};

/* PCIe 6.0 §7.5.3.16. Codes that are reserved act as the default. */
static const struct range ranges[] = {
	{1, 50, 100},           {0, 50, 50000},          {2, 1000, 10000},
	{5, 16000, 55000},      {6, 65000, 210000},      {9, 260000, 900000},
	{10, 1000000, 3500000}, {13, 4000000, 13000000}, {3, 50, 50000},
};

static void timeout_ranges(struct machine *m)
{
	machine_probe(m);
	for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
		struct timing timing;
		CHECK(!transactions_pending(m));
		config_write(m, m->blk.pci.pcie + PCI_EXP_DEVCTL2, 2, ranges[i].code);
		unanswered_read(m, &timing);
		machine_wait_us(m, ranges[i].from_us * 9 / 10);
		CHECK(transactions_pending(m)); /* TAG-011 */
		CHECK_EQUAL(timing.error_ps, 0);
		machine_wait_us(m, ranges[i].to_us);
		CHECK(!transactions_pending(m));
		root_sync(m->guest.root);
		uint64_t waited_us = (timing.error_ps - timing.read_ps) / PS_PER_US;
		CHECK(timing.error_ps != 0);
		CHECK(waited_us >= ranges[i].from_us);
		CHECK(waited_us <= ranges[i].to_us);
		take_failed(m);
		root_tap(m->guest.root, NULL, NULL);
		/* Until the next, so that the tag has rested. */
		machine_wait_us(m, ranges[i].to_us);
		CHECK_EQUAL(device_stats(m->guest.device).dma->tags_in_use, 0);
	}
}

static void test_timeout_lies_in_the_range_chosen(void **state)
{
	(void)state;
	machine_run(timeout_ranges, "host.vcpus=1", NULL);
}

/* Disabled: it waits for ever, and a hot reset still gets it going. */
static void timeout_disabled(struct machine *m)
{
	struct timing timing;
	machine_probe(m);
	config_write(m, m->blk.pci.pcie + PCI_EXP_DEVCTL2, 2, PCI_EXP_DEVCTL2_COMP_TMOUT_DIS);
	unanswered_read(m, &timing);
	machine_wait_us(m, 10000000);
	CHECK_EQUAL(timing.error_ps, 0);
	CHECK(transactions_pending(m));
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 1000),
		    VIRTIO_BLK_S_OK); /* others go on */
	root_tap(m->guest.root, NULL, NULL);
	root_hot_reset(m->guest.root);
	recover_function(m);
	CHECK(!transactions_pending(m));
	load_check_alive(m, 50);
}

static void test_timeout_can_be_disabled(void **state)
{
	(void)state;
	machine_run(timeout_disabled, "host.vcpus=1", NULL);
}

/* A tag whose read has timed out is not used while a late completion may still come; the others go on, and when all
 * tags are gone the card waits and then goes on (TAG-006, TAG-009). */
static void quarantine(struct machine *m)
{
	static const struct load_settings settings = {.errors_allowed = true, .bytes_max = 4096};
	struct root_fault fault = {.kind = ROOT_FAULT_DROP, .count = 1};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	config_write(m, m->blk.pci.pcie + PCI_EXP_DEVCTL2, 2, 1);
	struct timing timing = {.addr = load.place[0].buffer_addr, .bytes = settings.bytes_max};
	fault.addr = timing.addr;
	fault.bytes = timing.bytes;
	root_tap(m->guest.root, observe_timing, &timing);
	root_inject(m->guest.root, &fault);
	load_run_ps(&load, 1000 * PS_PER_US);
	CHECK_EQUAL(load.errors, 1);
	CHECK(load.done > 50);
	CHECK(timing.again_ps != 0);
	CHECK(timing.again_ps >= timing.error_ps + 50 * PS_PER_US);
	root_tap(m->guest.root, NULL, NULL);
	load_drain(&load);
	/* Now all four at once. */
	fault.bytes = load.place[load.places - 1].buffer_addr + settings.bytes_max - fault.addr;
	fault.count = 4;
	root_inject(m->guest.root, &fault);
	load_run_ps(&load, 60 * PS_PER_US);
	CHECK_EQUAL(device_stats(m->guest.device).dma->tags_in_use, 4);
	uint64_t done = load.done;
	load_run_ps(&load, 30 * PS_PER_US);
	CHECK_EQUAL(load.done, done);
	load_run(&load, 100);
	load_drain(&load);
	CHECK(load.errors >= 2 && load.errors <= 5);
}

static void test_timed_out_tag_rests(void **state)
{
	(void)state;
	machine_run(quarantine, "host.vcpus=1", "link.tags=4", NULL);
}

/* Late completions come while the tag rests, again and again, with everything else at work: no data is harmed. */
static void late_completions(struct machine *m)
{
	static const struct load_settings settings = {.errors_allowed = true};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	config_write(m, m->blk.pci.pcie + PCI_EXP_DEVCTL2, 2, 1);
	uint64_t errors = 0;
	for (unsigned i = 0; i < 60; i++) {
		const struct load_place *victim = &load.place[rng_below(&m->rng, load.places)];
		const struct root_fault fault = {
			.kind = i % 3 ? ROOT_FAULT_LATE : ROOT_FAULT_DUPLICATE,
			.addr = victim->buffer_addr,
			.bytes = 16384,
			.count = 1,
			.delay_ps = i % 3 ? 100 * PS_PER_US + rng_below(&m->rng, 80 * PS_PER_US) : 0,
		};
		errors += i % 3 != 0;
		root_inject(m->guest.root, &fault);
		load_run(&load, 200);
	}
	load_drain(&load);
	CHECK(load.errors > 30);
	CHECK(load.errors <= errors);
	CHECK(device_stats(m->guest.device).dma->unexpected >= load.errors);
}

static void test_late_and_duplicate_completions_are_dropped(void **state)
{
	(void)state;
	machine_run(late_completions, "host.vcpus=1", "device.queues=2", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_tag_width_follows_device_control, "TAG-001 TAG-002 TAG-003 TAG-006 CAP-004"),
		REQ_TEST(test_number_of_tags_is_kept, "TAG-001 TAG-002 TAG-006"),
		REQ_TEST(test_completions_carry_the_request_back, "TAG-005 CPL-003"),
		REQ_TEST(test_timeout_lies_in_the_range_chosen, "TAG-007 TAG-008 TAG-009 TAG-011 ERR-007"),
		REQ_TEST(test_timeout_can_be_disabled, "TAG-008 TAG-011"),
		REQ_TEST(test_timed_out_tag_rests, "TAG-006 TAG-009"),
		REQ_TEST(test_late_and_duplicate_completions_are_dropped, "TAG-006 TAG-009 ERR-010"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
