/* How fast the link model is: TLPs pushed, timed through credits, ordering and both directions' lanes, and
 * popped, per second of wall time. The load is that of a busy disk: 256-byte writes and reads upstream, the
 * reads' completions downstream, 64 reads outstanding. */
#include "pcie/link.h"
#include "pcie/rng.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define TLPS_PER_ROUND    2000000u
#define ROUNDS            5
#define READS_OUTSTANDING 64
#define PAYLOAD_BYTES     256

static const struct link_config config = {
	.generation = 4,
	.lanes = 8,
	.propagation_ps = 70000,
	.ack_interval = 4,
	.fc_interval = 4,
	.drain_ps = 20000,
	.fc_latency_ps = 40000,
};
static const struct link_credits endpoint_credits = {{64, 64, 0}, {1024, 64, 0}};
static const struct link_credits root_credits = {{64, 64, 0}, {1024, 64, 0}};

struct wire {
	uint8_t bytes[TLP_WIRE_BYTES_MAX];
	size_t size;
};

struct bench {
	struct link_dir *up, *down;
	struct wire write, read, completion;
	struct rng latency;
	uint64_t tlps;
};

static struct wire encode(enum tlp_type type, unsigned length_dw)
{
	static const uint8_t payload[PAYLOAD_BYTES];
	struct tlp tlp = {.type = type,
			  .addr64 = type != TLP_CPLD,
			  .length_dw = (uint16_t)length_dw,
			  .first_be = 0xf,
			  .last_be = 0xf,
			  .addr = UINT64_C(1) << 32,
			  .byte_count = (uint16_t)(length_dw * 4),
			  .payload = payload};
	struct wire wire;
	wire.size = tlp_encode(&tlp, wire.bytes, sizeof(wire.bytes));
	return wire;
}

/* Writes into host memory need nobody. */
static bool root_urgent(void *ctx, const uint8_t *wire, size_t size)
{
	(void)ctx, (void)size;
	return tlp_wire_class(wire) != TLP_POSTED;
}

static void push(struct bench *b, struct link_dir *dir, uint64_t ready_ps, const struct wire *wire)
{
	link_push(dir, ready_ps, wire->bytes, wire->size);
	b->tlps++;
}

static void run_root(struct bench *b, uint64_t now_ps)
{
	struct link_rx rx;
	while (link_pop(b->up, now_ps, &rx))
		if (tlp_wire_class(rx.wire) == TLP_NON_POSTED)
			push(b, b->down, now_ps + 300000 + rng_below(&b->latency, 30000), &b->completion);
}

static void run_device(struct bench *b, uint64_t now_ps)
{
	struct link_rx rx;
	while (link_pop(b->down, now_ps, &rx)) {
		push(b, b->up, now_ps + 4000, &b->write);
		push(b, b->up, now_ps + 4000, &b->read);
	}
}

static double seconds_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(void)
{
	const struct link_receiver root = {.urgent = root_urgent};
	struct bench b = {
		.up = link_dir_create(&config, &root_credits, &root),
		.down = link_dir_create(&config, &endpoint_credits, NULL),
		.write = encode(TLP_MWR, PAYLOAD_BYTES / 4),
		.read = encode(TLP_MRD, PAYLOAD_BYTES / 4),
		.completion = encode(TLP_CPLD, PAYLOAD_BYTES / 4),
	};
	if (b.up == NULL || b.down == NULL) {
		fprintf(stderr, "link_bench: out of memory\n");
		return 1;
	}
	link_dir_pair(b.up, b.down);
	rng_seed(&b.latency, 1, 0);
	for (int i = 0; i < READS_OUTSTANDING; i++)
		push(&b, b.up, 0, &b.read);

	double best = 0;
	for (uint64_t round = 1, now_ps = 0; round <= ROUNDS; round++) {
		uint64_t before = b.tlps;
		double start = seconds_now();
		while (b.tlps < round * TLPS_PER_ROUND) {
			now_ps = min_u64(link_next_ps(b.up, now_ps), link_next_ps(b.down, now_ps));
			run_root(&b, now_ps);
			run_device(&b, now_ps);
		}
		double rate = (double)(b.tlps - before) / (seconds_now() - start);
		best = rate > best ? rate : best;
	}
	printf("link: %.0f timed TLPs per wall second\n", best);
	link_dir_free(b.up);
	link_dir_free(b.down);
	return 0;
}
