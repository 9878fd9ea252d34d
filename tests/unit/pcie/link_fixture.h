/* A link for tests: two directions, TLPs made by name, and arithmetic of its own. */
#ifndef KICKSTAND_TESTS_LINK_FIXTURE_H
#define KICKSTAND_TESTS_LINK_FIXTURE_H

#include "tests/check.h"

#include "pcie/link.h"

#define NO_ACKS 0x7fffffffu

typedef unsigned __int128 u128;

struct wire {
	uint8_t bytes[TLP_WIRE_BYTES_MAX];
	size_t size;
};

/* A request carries `id` as its Requester ID, a completion as its Completer ID. */
static inline struct wire make_tlp(enum tlp_type type, unsigned payload_bytes, unsigned attr, unsigned id)
{
	static uint8_t payload[TLP_PAYLOAD_BYTES_MAX];
	bool completion = tlp_class_of(type) == TLP_COMPLETION;
	struct tlp tlp = {
		.type = type,
		.attr = (uint8_t)attr,
		.length_dw = (uint16_t)(payload_bytes != 0 ? payload_bytes / 4 : 1),
		.requester_id = (uint16_t)(completion ? 0 : id),
		.completer_id = (uint16_t)(completion ? id : 0),
		.first_be = 0xf,
		.last_be = payload_bytes > 4 ? 0xf : 0,
		.byte_count = 4,
		.payload = payload,
	};
	struct wire wire;
	wire.size = tlp_encode(&tlp, wire.bytes, sizeof(wire.bytes));
	assert_true(wire.size != 0);
	return wire;
}

/* Both directions alike; a carries what is under test, b its DLLPs. */
struct pair {
	struct link_dir *a, *b;
};

/* No DLLPs, no delays but propagation. */
static inline struct link_config plain_config(unsigned generation, unsigned lanes)
{
	return (struct link_config){.generation = generation,
				    .lanes = lanes,
				    .propagation_ps = 70000,
				    .ack_interval = NO_ACKS,
				    .fc_interval = 1};
}

static const struct link_credits infinite_credits;

static inline struct pair make_pair(const struct link_config *config, const struct link_credits *credits,
				    const struct link_receiver *receiver)
{
	struct pair p = {link_dir_create(config, credits, receiver),
			 link_dir_create(config, &infinite_credits, NULL)};
	assert_non_null(p.a);
	assert_non_null(p.b);
	link_dir_pair(p.a, p.b);
	return p;
}

static inline void free_pair(struct pair p)
{
	link_dir_free(p.a);
	link_dir_free(p.b);
}

static inline void push(struct link_dir *dir, uint64_t ready_ps, const struct wire *wire)
{
	link_push(dir, ready_ps, wire->bytes, wire->size);
}

static inline uint64_t pop_arrival(struct link_dir *dir, uint64_t now_ps)
{
	struct link_rx rx;
	return link_pop(dir, now_ps, &rx) ? rx.arrive_ps : TIME_NEVER_PS;
}

static inline unsigned count_pops(struct link_dir *dir, uint64_t now_ps)
{
	unsigned n = 0;
	while (pop_arrival(dir, now_ps) != TIME_NEVER_PS)
		n++;
	return n;
}

/* A receiver's `urgent`: writes into memory need nobody. */
static inline bool posted_is_lazy(void *ctx, const uint8_t *wire, size_t size)
{
	(void)ctx, (void)size;
	return tlp_wire_class(wire) != TLP_POSTED;
}

/* Time of `bytes` on the lanes as a fraction, straight from the definition: 8 bits a byte, GT/s per lane times
 * line coding, 4 of 1538 bytes for skip ordered sets. */
struct exact_ps {
	u128 num, den;
};

static inline struct exact_ps exact_ps(unsigned generation, unsigned lanes, uint64_t bytes)
{
	static const unsigned tenths_of_gt[] = {0, 25, 50, 80, 160, 320};
	bool old = generation <= 2;
	return (struct exact_ps){
		.num = (u128)bytes * 8 * 10000 * (old ? 10 : 130) * 1538,
		.den = (u128)tenths_of_gt[generation] * lanes * (old ? 8 : 128) * 1534,
	};
}

static inline uint64_t lanes_ps(unsigned generation, unsigned lanes, uint64_t bytes)
{
	struct exact_ps t = exact_ps(generation, lanes, bytes);
	return (uint64_t)((t.num + t.den - 1) / t.den);
}

#endif
