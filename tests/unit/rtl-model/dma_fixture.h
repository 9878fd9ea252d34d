/* The DMA engine on a real link, with a host at the other end that reads the wire bytes by itself. */
#ifndef KICKSTAND_TESTS_DMA_FIXTURE_H
#define KICKSTAND_TESTS_DMA_FIXTURE_H

#include "rtl-model/blocks/dma/dma.h"
#include "tests/check.h"

/* Guest memory, across the 4 GiB line so that both header sizes are used. */
#define MEMORY_BYTES UINT64_C(0x20000)
#define MEMORY_BASE  (UINT64_C(0x100000000) - MEMORY_BYTES / 2)
#define SEEN_MAX     8192u
#define TAG_COUNT    1024u
#define DEVICE_ID    0x0100

/* A request as it came over the wire. */
struct seen {
	bool write, digest;
	uint16_t tag;
	uint64_t addr;
	uint32_t bytes;
	uint64_t arrive_ps;
	uint32_t answered; /* bytes of a read completed by the test */
};

struct bench {
	struct config config;
	struct cfg_control control;
	uint16_t id;
	struct link_dir *up, *down;
	struct dma *dma;
	struct waker self;
	uint64_t now_ps, due_ps;
	struct dma_done_fifo done[DMA_CHANNELS];
	uint8_t memory[MEMORY_BYTES];
	struct seen seen[SEEN_MAX];
	unsigned count;
	unsigned size_before;    /* MPS or MRRS until a moment ago: TLPs made with it may still come */
	bool tag_out[TAG_COUNT]; /* as the host sees it */
	unsigned reads_out;
	bool pending;
	unsigned pending_calls, timeouts;
};

static inline void bench_wake(void *ctx, uint64_t at_ps)
{
	struct bench *bench = ctx;
	bench->due_ps = min_u64(bench->due_ps, at_ps);
}

static inline void bench_timeout(void *ctx, uint64_t now_ps)
{
	(void)now_ps;
	((struct bench *)ctx)->timeouts++;
}

static inline void bench_pending(void *ctx, bool pending)
{
	struct bench *bench = ctx;
	assert_int_not_equal(pending, bench->pending); /* called when it changes */
	bench->pending = pending;
	bench->pending_calls++;
}

/* As after enumeration: bus master on, 8-bit tags, MPS 256, MRRS 512, timeout 1 ms. Adjust config and control, then
 * bench_start. */
static inline struct bench *bench_create(void)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	assert_non_null(bench);
	config_defaults(&bench->config);
	bench->config.link.gen = 5;
	bench->config.link.lanes = 16;
	bench->config.link.propagation_ps = 1000;
	bench->id = DEVICE_ID;
	bench->control = (struct cfg_control){
		.bus_master = true,
		.relaxed_ordering = true,
		.no_snoop = true,
		.ido_request = true,
		.extended_tag = true,
		.mps_bytes = 256,
		.mrrs_bytes = 512,
		.rcb_bytes = 64,
		.completion_timeout_ps = PS_PER_MS,
	};
	bench->self = (struct waker){bench_wake, bench};
	bench->due_ps = TIME_NEVER_PS;
	return bench;
}

static inline void bench_start(struct bench *bench)
{
	const struct link_config link = {
		.generation = bench->config.link.gen,
		.lanes = bench->config.link.lanes,
		.propagation_ps = bench->config.link.propagation_ps,
		.ack_interval = 0x7fffffff,
		.fc_interval = 1,
	};
	const struct link_credits credits = {0};
	const struct dma_ports ports = {
		.self = &bench->self,
		.up = link_dir_create(&link, &credits, NULL),
		.control = &bench->control,
		.requester_id = &bench->id,
		.timeout = bench_timeout,
		.pending = bench_pending,
		.ctx = bench,
	};
	bench->up = ports.up;
	bench->down = link_dir_create(&link, &credits, NULL);
	assert_non_null(bench->up);
	assert_non_null(bench->down);
	link_dir_pair(bench->up, bench->down);
	bench->dma = dma_create(&bench->config, &ports);
	assert_non_null(bench->dma);
	for (unsigned i = 0; i < DMA_CHANNELS; i++)
		dma_connect(bench->dma, (enum dma_channel)i, &bench->done[i]);
}

static inline void bench_free(struct bench *bench)
{
	dma_free(bench->dma);
	link_dir_free(bench->up);
	link_dir_free(bench->down);
	free(bench);
}

/* ---- the host: header fields straight from PCIe 6.0 §2.2, without pcie/tlp.c ---- */

static inline uint32_t header_dw(const uint8_t *wire, unsigned index)
{
	const uint8_t *p = wire + (size_t)4 * index;
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Number of bytes enabled in front of (or, mirrored, behind) the enabled ones. */
static inline unsigned pad_of(unsigned be, bool behind)
{
	for (unsigned i = 0; i < 4; i++)
		if (be >> (behind ? 3 - i : i) & 1)
			return i;
	fail_msg("byte enables 0");
	return 0;
}

/* What every request of the function has to obey. */
static inline struct seen check_wire(const struct bench *bench, const uint8_t *wire, size_t size)
{
	bool write = wire[0] & 0x40, four_dw = wire[0] & 0x20;
	uint32_t dw0 = header_dw(wire, 0), dw1 = header_dw(wire, 1);
	assert_int_equal(wire[0] & 0x9f, 0); /* MRd or MWr */
	assert_int_equal(dw0 >> 20 & 7, 0);  /* TC 0 */
	assert_int_equal(dw0 >> 12 & 3, 0);  /* RO, no snoop */
	assert_int_equal(dw0 >> 10 & 3, 0);  /* AT untranslated */
	assert_int_equal(dw0 >> 16 & 7, 0);  /* IDO, LN, TH */
	assert_int_equal(dw0 >> 14 & 1, 0);  /* EP */
	assert_int_equal(dw1 >> 16, bench->id);
	uint64_t addr =
		four_dw ? (uint64_t)header_dw(wire, 2) << 32 | header_dw(wire, 3) : header_dw(wire, 2);
	assert_int_equal(four_dw, addr >> 32 != 0);
	assert_int_equal(addr & 3, 0);
	uint32_t length = dw0 & 0x3ff ? dw0 & 0x3ff : 1024;
	bool digest = dw0 >> 15 & 1;
	size_t header = four_dw ? 16 : 12;
	assert_int_equal(size, header + (write ? length * 4 : 0) + (digest ? 4 : 0));
	unsigned first = dw1 & 0xf, last = dw1 >> 4 & 0xf;
	assert_true(length == 1 ? last == 0 && first != 0 : last != 0 && first != 0);
	unsigned front = pad_of(first, false), back = pad_of(length == 1 ? first : last, true);
	unsigned full = length == 1 ? (0xfu << front & 0xf & 0xfu >> back) : (0xfu << front & 0xf);
	assert_int_equal(first, full); /* contiguous */
	if (length > 1)
		assert_int_equal(last, 0xfu >> back);
	for (unsigned i = 0; write && i < front;
	     i++) /* padding is free, but not for what is in the card's memory */
		assert_int_equal(wire[header + i], 0);
	for (unsigned i = 1; write && i <= back; i++)
		assert_int_equal(wire[header + 4 * length - i], 0);
	struct seen seen = {
		.write = write,
		.digest = digest,
		.tag = (uint16_t)((dw0 >> 23 & 1) << 9 | (dw0 >> 19 & 1) << 8 | (dw1 >> 8 & 0xff)),
		.addr = addr + front,
		.bytes = length * 4 - front - back,
	};
	assert_int_equal(seen.addr >> 12, (seen.addr + seen.bytes - 1) >> 12); /* one page */
	assert_true(length * 4 <= max_u32(write ? bench->control.mps_bytes : bench->control.mrrs_bytes,
					  bench->size_before));
	return seen;
}

/* Takes what has arrived. Writes go to memory, reads wait for the test to answer them. */
static inline void host_take(struct bench *bench)
{
	struct link_rx rx;
	while (link_pop(bench->up, bench->now_ps, &rx)) {
		struct seen seen = check_wire(bench, rx.wire, rx.size);
		seen.arrive_ps = rx.arrive_ps;
		if (seen.write) {
			size_t header = seen.addr >> 32 ? 16 : 12;
			assert_true(seen.addr >= MEMORY_BASE && seen.bytes <= MEMORY_BYTES &&
				    seen.addr - MEMORY_BASE <= MEMORY_BYTES - seen.bytes);
			memcpy(bench->memory + (seen.addr - MEMORY_BASE), rx.wire + header + (seen.addr & 3),
			       seen.bytes);
		} else {
			assert_false(bench->tag_out[seen.tag]);
			bench->tag_out[seen.tag] = true;
			bench->reads_out++;
		}
		assert_true(bench->count < SEEN_MAX);
		bench->seen[bench->count++] = seen;
	}
}

/* Runs engine and link until nothing of them is left to do by `until_ps`. */
static inline void bench_run(struct bench *bench, uint64_t until_ps)
{
	for (;;) {
		uint64_t next_ps = min_u64(bench->due_ps, link_next_ps(bench->up, bench->now_ps));
		if (next_ps > until_ps)
			break;
		bench->now_ps = max_u64(bench->now_ps, next_ps);
		if (bench->due_ps <= bench->now_ps) {
			bench->due_ps = TIME_NEVER_PS;
			bench_wake(bench, dma_step(bench->dma, bench->now_ps));
		}
		host_take(bench);
	}
	if (until_ps != TIME_NEVER_PS)
		bench->now_ps = until_ps;
}

static inline void bench_run_for(struct bench *bench, uint64_t ps)
{
	bench_run(bench, bench->now_ps + ps);
}

/* ---- requests ---- */

static inline void request(struct bench *bench, enum dma_channel channel, bool write, uint64_t addr,
			   uint8_t *data, uint32_t bytes, uint32_t cookie)
{
	dma_request_fifo_push(
		dma_requests(bench->dma, channel), bench->now_ps,
		(struct dma_request){
			.addr = addr, .bytes = bytes, .write = write, .data = data, .cookie = cookie});
}

/* The next report of the channel, which is there. */
static inline struct dma_done take_done(struct bench *bench, enum dma_channel channel)
{
	assert_true(dma_done_fifo_ready(&bench->done[channel], bench->now_ps));
	return dma_done_fifo_pop(&bench->done[channel], bench->now_ps);
}

static inline void assert_done(struct bench *bench, enum dma_channel channel, uint32_t cookie,
			       enum dma_status status)
{
	struct dma_done done = take_done(bench, channel);
	assert_int_equal(done.cookie, cookie);
	assert_int_equal(done.status, status);
}

static inline void assert_none_done(struct bench *bench, enum dma_channel channel)
{
	assert_int_equal(dma_done_fifo_count(&bench->done[channel]), 0);
}

/* ---- completions, PCIe 6.0 §2.3.1.1 ---- */

/* The CplD with the next `bytes` of a read; `payload` (of bytes + 6) gets the data with garbage around it. */
static inline struct tlp completion(const struct bench *bench, const struct seen *read, uint32_t bytes,
				    uint8_t *payload)
{
	uint64_t addr = read->addr + read->answered;
	uint32_t pad = addr & 3, length = (pad + bytes + 3) / 4;
	memset(payload, 0xee, (size_t)4 * length);
	if (read->addr - MEMORY_BASE < MEMORY_BYTES)
		memcpy(payload + pad, bench->memory + (addr - MEMORY_BASE), bytes);
	return (struct tlp){
		.type = TLP_CPLD,
		.requester_id = bench->id,
		.tag = read->tag,
		.length_dw = (uint16_t)length,
		.byte_count = (uint16_t)(read->bytes - read->answered),
		.lower_addr = addr & 0x7f,
		.payload = payload,
	};
}

/* The host is done with the read: its tag may come again. */
static inline void host_forget(struct bench *bench, const struct seen *read)
{
	assert_true(bench->tag_out[read->tag]);
	bench->tag_out[read->tag] = false;
	bench->reads_out--;
}

static inline enum dma_completion answer(struct bench *bench, struct seen *read, uint32_t bytes)
{
	uint8_t payload[TLP_PAYLOAD_BYTES_MAX + 8];
	struct tlp cpl = completion(bench, read, bytes, payload);
	read->answered += bytes;
	if (read->answered == read->bytes)
		host_forget(bench, read);
	return dma_complete(bench->dma, bench->now_ps, &cpl);
}

/* A completion without data that ends the read. */
static inline enum dma_completion answer_status(struct bench *bench, struct seen *read, uint8_t status)
{
	struct tlp cpl = {.type = TLP_CPL,
			  .requester_id = bench->id,
			  .tag = read->tag,
			  .status = status,
			  .byte_count = 4};
	host_forget(bench, read);
	return dma_complete(bench->dma, bench->now_ps, &cpl);
}

static inline void fill_pattern(uint8_t *data, size_t bytes, uint64_t seed)
{
	struct rng rng;
	rng_seed(&rng, seed, 0);
	for (size_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)rng_u64(&rng);
}

#endif
