/* Bandwidth of long streams against the closed form: raw rate after line coding, less skip ordered sets, times
 * the payload's share of the bytes, where a TLP of n bytes costs n + 8 and its DLLPs cost 8 bytes each on the
 * other lanes. */
#include "tests/unit/pcie/link_fixture.h"

#define ACK_INTERVAL 4
#define FC_INTERVAL  4
#define FRAMING      8.0
#define DLLP         8.0
#define READ_HEADER  16.0 /* 64-bit address */
#define WRITE_HEADER 16.0
#define CPL_HEADER   12.0

static const unsigned payloads[] = {128, 256, 512, 1024};
static const unsigned read_sizes[] = {128, 256, 512, 1024, 2048, 4096};

/* Bytes per picosecond that TLPs and DLLPs share. */
static double effective_rate(unsigned generation, unsigned lanes)
{
	static const double gt_per_s[] = {0, 2.5, 5, 8, 16, 32};
	double coding = generation <= 2 ? 8.0 / 10 : 128.0 / 130;
	return gt_per_s[generation] / 1000 * coding * lanes / 8 * (1 - 4.0 / 1538);
}

static struct wire make_tlp64(enum tlp_type type, unsigned bytes)
{
	static uint8_t payload[TLP_PAYLOAD_BYTES_MAX];
	struct tlp tlp = {.type = type,
			  .addr64 = type != TLP_CPLD,
			  .addr = UINT64_C(1) << 32,
			  .first_be = 0xf,
			  .last_be = 0xf,
			  .length_dw = (uint16_t)(bytes / 4),
			  .payload = payload};
	struct wire wire;
	wire.size = tlp_encode(&tlp, wire.bytes, sizeof(wire.bytes));
	return wire;
}

static struct link_config stream_config(unsigned generation, unsigned lanes)
{
	struct link_config config = plain_config(generation, lanes);
	config.ack_interval = ACK_INTERVAL;
	config.fc_interval = FC_INTERVAL;
	config.drain_ps = 10000;
	config.fc_latency_ps = 40000;
	return config;
}

static void assert_within_2_percent(double got, double expected, unsigned generation, unsigned lanes,
				    unsigned mps, unsigned mrrs)
{
	if (got < expected * 0.98 || got > expected * 1.02)
		fail_msg("generation %u x%u MPS %u MRRS %u: %.4f GB/s, closed form %.4f", generation, lanes,
			 mps, mrrs, got * 1000, expected * 1000);
}

/* Payload bytes per picosecond between the arrival of the first quarter of `n` TLPs and the last. */
static double payload_rate(struct link_dir *dir, unsigned n, unsigned payload_bytes)
{
	uint64_t first_ps = 0, last_ps = 0;
	for (unsigned i = 0; i < n; i++) {
		last_ps = pop_arrival(dir, PS_PER_S);
		assert_true(last_ps != TIME_NEVER_PS);
		if (i == n / 4)
			first_ps = last_ps;
	}
	return (double)(n - 1 - n / 4) * payload_bytes / (double)(last_ps - first_ps);
}

static void write_stream(unsigned generation, unsigned lanes, unsigned mps, bool both_ways)
{
	const struct link_credits credits = {{127, 64, 0}, {2047, 64, 0}};
	struct link_config config = stream_config(generation, lanes);
	struct link_dir *up = link_dir_create(&config, &credits, NULL);
	struct link_dir *down = link_dir_create(&config, &credits, NULL);
	link_dir_pair(up, down);
	struct wire write = make_tlp64(TLP_MWR, mps);
	for (unsigned i = 0; i < 1000; i++) {
		push(up, 0, &write);
		if (both_ways)
			push(down, 0, &write);
	}
	double bytes = mps + WRITE_HEADER + FRAMING;
	if (both_ways)
		bytes += DLLP / ACK_INTERVAL + DLLP / FC_INTERVAL;
	double expected = effective_rate(generation, lanes) * mps / bytes;
	assert_within_2_percent(payload_rate(up, 1000, mps), expected, generation, lanes, mps, 0);
	if (both_ways)
		assert_within_2_percent(payload_rate(down, 1000, mps), expected, generation, lanes, mps, 0);
	link_dir_free(up);
	link_dir_free(down);
}

static void test_link_write_stream_meets_closed_form(void **state)
{
	(void)state;
	for (unsigned generation = 1; generation <= 5; generation++)
		for (unsigned lanes = 1; lanes <= 16; lanes *= 2)
			for (size_t i = 0; i < ARRAY_SIZE(payloads); i++)
				write_stream(generation, lanes, payloads[i], false);
}

static void test_link_write_streams_both_ways_share_lanes_with_dllps(void **state)
{
	(void)state;
	for (unsigned generation = 1; generation <= 5; generation++)
		for (unsigned lanes = 1; lanes <= 16; lanes *= 2)
			for (size_t i = 0; i < ARRAY_SIZE(payloads); i++)
				write_stream(generation, lanes, payloads[i], true);
}

/* A device with `tags` reads outstanding and a root complex that answers each after root_ps. */
struct reads {
	struct link_dir *up, *down;
	unsigned completions_per_read;
	struct wire read, completion;
	uint64_t root_ps;
	unsigned left; /* reads to issue */
	unsigned received;
};

static void answer_reads(struct reads *r, uint64_t now_ps)
{
	struct link_rx rx;
	while (link_pop(r->up, now_ps, &rx))
		for (unsigned i = 0; i < r->completions_per_read; i++)
			push(r->down, rx.arrive_ps + r->root_ps, &r->completion);
}

/* Returns the time of the last completion, and in *first_ps that of completion number `first`. */
static uint64_t run_reads(struct reads *r, unsigned first, uint64_t *first_ps)
{
	uint64_t now_ps = 0;
	for (;;) {
		uint64_t next_ps = min_u64(link_next_ps(r->up, now_ps), link_next_ps(r->down, now_ps));
		if (next_ps == TIME_NEVER_PS)
			return now_ps;
		now_ps = next_ps;
		answer_reads(r, now_ps);
		struct link_rx rx;
		while (link_pop(r->down, now_ps, &rx)) {
			if (r->received++ == first)
				*first_ps = rx.arrive_ps;
			if (r->received % r->completions_per_read == 0 && r->left != 0) {
				r->left--;
				push(r->up, now_ps, &r->read);
			}
		}
	}
}

/* Read payload per picosecond. */
static double read_rate(unsigned generation, unsigned lanes, unsigned mps, unsigned mrrs, unsigned tags,
			uint64_t root_ps)
{
	const struct link_credits root = {{64, 127, 0}, {1024, 64, 0}},
				  endpoint = {{64, 64, 0}, {1024, 64, 0}};
	unsigned payload = min_u32(mps, mrrs);
	struct link_config config = stream_config(generation, lanes);
	struct reads r = {
		.up = link_dir_create(&config, &root, NULL),
		.down = link_dir_create(&config, &endpoint, NULL),
		.completions_per_read = mrrs / payload,
		.read = make_tlp64(TLP_MRD, mrrs),
		.completion = make_tlp64(TLP_CPLD, payload),
		.root_ps = root_ps,
		.left = 2000 / (mrrs / payload),
	};
	link_dir_pair(r.up, r.down);
	for (unsigned i = 0; i < tags; i++)
		push(r.up, 0, &r.read);
	unsigned total = (r.left + tags) * r.completions_per_read, first = total / 4;
	uint64_t first_ps = 0, last_ps = run_reads(&r, first, &first_ps);
	assert_int_equal(r.received, total);
	link_dir_free(r.up);
	link_dir_free(r.down);
	return (double)(total - 1 - first) * payload / (double)(last_ps - first_ps);
}

static void test_link_read_stream_meets_closed_form(void **state)
{
	(void)state;
	for (unsigned generation = 1; generation <= 5; generation++)
		for (unsigned lanes = 1; lanes <= 16; lanes *= 2)
			for (size_t i = 0; i < ARRAY_SIZE(payloads); i++)
				for (size_t k = 0; k < ARRAY_SIZE(read_sizes); k++) {
					unsigned mps = payloads[i], mrrs = read_sizes[k];
					/* Downstream: the completions, and the DLLPs for the read. Upstream: the
					 * read, and the Acks of its completions, whose credits are infinite. */
					double completions = mrrs > mps ? (double)mrrs / mps : 1;
					double down = mrrs + completions * (CPL_HEADER + FRAMING) +
						      DLLP / ACK_INTERVAL + DLLP / FC_INTERVAL;
					double up = READ_HEADER + FRAMING + completions * DLLP / ACK_INTERVAL;
					double expected = effective_rate(generation, lanes) * mrrs /
							  (down > up ? down : up);
					unsigned tags = mrrs <= 512 ? 256 : 48;
					double got = read_rate(generation, lanes, mps, mrrs, tags, 10000);
					assert_within_2_percent(got, expected, generation, lanes, mps, mrrs);
				}
}

/* Few tags: their requested bytes per round trip. */
static void test_link_read_throughput_is_bound_by_tags_per_round_trip(void **state)
{
	(void)state;
	for (unsigned tags = 1; tags <= 8; tags *= 2)
		for (unsigned mrrs = 128; mrrs <= 256; mrrs *= 2) {
			uint64_t root_ps = 900000;
			uint64_t round_trip_ps =
				lanes_ps(4, 16, 24) + 70000 + root_ps + lanes_ps(4, 16, mrrs + 20) + 70000;
			double expected = (double)tags * mrrs / (double)round_trip_ps;
			double got = read_rate(4, 16, 256, mrrs, tags, root_ps);
			assert_within_2_percent(got, expected, 4, 16, 256, mrrs);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_link_write_stream_meets_closed_form, "PERF-001 PERF-002 PERF-003"),
		REQ_TEST(test_link_write_streams_both_ways_share_lanes_with_dllps, "PERF-001"),
		REQ_TEST(test_link_read_stream_meets_closed_form, "PERF-001 PERF-003"),
		REQ_TEST(test_link_read_throughput_is_bound_by_tags_per_round_trip, "TAG-010 PERF-006"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
