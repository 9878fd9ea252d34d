/* The decoder on bytes it should never get: random, and good TLPs with flipped bits or a wrong size.
 * Blocks are of exactly their size, so the sanitizer build sees any access outside. */
#include "tests/unit/pcie/tlp_assert.h"

#define ROUNDS 200000

/* What holds for whatever the decoder accepts: sizes add up, the payload lies inside, and encoding gives
 * the same TLP again. */
static void check_accepted(const struct tlp *tlp, const uint8_t *wire, size_t size)
{
	static uint8_t again[TLP_WIRE_BYTES_MAX];
	struct tlp back;

	assert_true(tlp->type < TLP_TYPE_COUNT);
	assert_int_equal(tlp_wire_class(wire), tlp_class_of(tlp->type));
	assert_int_equal(tlp_wire_payload_bytes(wire), tlp->payload ? tlp->length_dw * 4u : 0);
	if (tlp->payload) {
		assert_true(tlp->payload >= wire + 12);
		assert_true(tlp->payload + tlp->length_dw * 4u + (tlp->td ? 4 : 0) == wire + size);
	}
	assert_int_equal(tlp_encode(tlp, again, sizeof(again)), size);
	assert_true(tlp_ecrc_ok(again, size));
	assert_int_equal(tlp_decode(&back, again, size), TLP_OK);
	assert_tlp_equal(&back, tlp);
	(void)tlp_ecrc_ok(wire, size);
	if (tlp->type == TLP_MRD || tlp->type == TLP_MRDLK || tlp->type == TLP_MWR) {
		uint64_t addr;
		uint32_t bytes;
		tlp_get_span(tlp, &addr, &bytes);
		assert_true(addr % 4096 + bytes <= 4096);
	}
}

static enum tlp_error decode_exact(const uint8_t *bytes, size_t size)
{
	uint8_t *exact = exact_copy(bytes, size);
	struct tlp tlp;
	enum tlp_error error = tlp_decode(&tlp, exact, size);
	if (error == TLP_OK)
		check_accepted(&tlp, exact, size);
	else
		assert_true(strlen(tlp_error_name(error)) > 0);
	(void)tlp_type_name(tlp.type);
	free(exact);
	return error;
}

static void test_tlp_decode_of_random_bytes_never_misbehaves(void **state)
{
	(void)state;
	static const uint8_t first_bytes[] = {0x00, 0x20, 0x01, 0x40, 0x60, 0x02, 0x42, 0x04, 0x44,
					      0x4c, 0x6d, 0x4e, 0x30, 0x74, 0x0a, 0x4a, 0x0b, 0x4b};
	unsigned count[TLP_BAD_TC + 1] = {0};
	struct rng rng;
	rng_seed(&rng, test_seed(11), 0);
	for (int round = 0; round < ROUNDS; round++) {
		uint8_t bytes[80];
		size_t size = rng_below(&rng, sizeof(bytes));
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)rng_u64(&rng);
		if (rng_below(&rng, 8) !=
		    0) /* mostly a defined type with a small Length, so that checks are reached */
			bytes[0] = first_bytes[rng_below(&rng, ARRAY_SIZE(first_bytes))];
		if (rng_below(&rng, 4) != 0) {
			bytes[2] = (uint8_t)(rng_below(&rng, 2) << 7);
			bytes[3] = (uint8_t)(1 + rng_below(&rng, 8));
			size = (bytes[0] & 0x20 ? 16u : 12u) + tlp_wire_payload_bytes(bytes) +
			       (bytes[2] ? 4 : 0);
		}
		if (rng_below(&rng, 2))
			bytes[1] = bytes[2] = 0;
		count[decode_exact(bytes, size)]++;
	}
	for (int error = TLP_OK; error <= TLP_BAD_TC; error++)
		assert_true(error == TLP_BAD_PAGE_CROSS || count[error] > 100);
}

/* A well-formed TLP of any type with random fields. */
static struct tlp random_tlp(struct rng *rng, const uint8_t *payload)
{
	struct tlp t = {
		.type = (enum tlp_type)rng_below(rng, TLP_TYPE_COUNT),
		.td = rng_below(rng, 4) == 0,
		.ep = rng_below(rng, 8) == 0,
		.requester_id = (uint16_t)rng_u64(rng),
		.tag = (uint16_t)rng_below(rng, 1024),
	};
	bool plain = t.type >= TLP_IORD && t.type <= TLP_CFGWR1;
	if (!plain) {
		t.tc = (uint8_t)rng_below(rng, 8);
		t.attr = (uint8_t)rng_below(rng, 8);
		t.at = (uint8_t)rng_below(rng, 4);
	}
	switch (t.type) {
	case TLP_MRD:
	case TLP_MRDLK:
	case TLP_MWR: {
		uint64_t addr = rng_u64(rng) >> (rng_below(rng, 2) ? 33 : 0);
		tlp_set_span(&t, addr, 1 + (uint32_t)rng_below(rng, 4096 - addr % 4096));
		break;
	}
	case TLP_FETCHADD:
	case TLP_SWAP:
	case TLP_CAS:
		t.length_dw = (uint16_t)(2u << rng_below(rng, t.type == TLP_CAS ? 3 : 1));
		t.addr = rng_u64(rng) & ~UINT64_C(31);
		t.addr64 = t.addr >> 32 != 0;
		break;
	case TLP_MSG:
	case TLP_MSGD:
		t.msg_code = TLP_MSG_VENDOR_TYPE0;
		t.msg_route = (uint8_t)rng_below(rng, 6);
		t.msg_dw2 = (uint32_t)rng_u64(rng);
		t.msg_dw3 = (uint32_t)rng_u64(rng);
		t.length_dw = t.type == TLP_MSGD ? (uint16_t)(1 + rng_below(rng, 1024)) : 0;
		break;
	case TLP_CPL:
	case TLP_CPLD:
	case TLP_CPLLK:
	case TLP_CPLDLK:
		t.completer_id = (uint16_t)rng_u64(rng);
		t.status = (uint8_t)rng_below(rng, 8);
		t.bcm = rng_below(rng, 2);
		t.byte_count = (uint16_t)(1 + rng_below(rng, 4096));
		t.lower_addr = (uint8_t)rng_below(rng, 128);
		t.length_dw = tlp_has_payload(t.type) ? (uint16_t)(1 + rng_below(rng, 1024)) : 0;
		break;
	default: /* I/O and configuration */
		t.length_dw = 1;
		t.first_be = (uint8_t)rng_below(rng, 16);
		if (t.type == TLP_IORD || t.type == TLP_IOWR)
			t.addr = rng_below(rng, UINT64_C(1) << 30) * 4;
		else {
			t.dest_id = (uint16_t)rng_u64(rng);
			t.reg = (uint16_t)(4 * rng_below(rng, 1024));
		}
		break;
	}
	t.payload = tlp_has_payload(t.type) ? payload : NULL;
	return t;
}

static void test_tlp_decode_of_encode_is_identity(void **state)
{
	(void)state;
	static uint8_t payload[4096], wire[TLP_WIRE_BYTES_MAX];
	struct rng rng;
	rng_seed(&rng, test_seed(12), 0);
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)rng_u64(&rng);
	for (int round = 0; round < ROUNDS / 10; round++) {
		struct tlp in = random_tlp(&rng, payload), out;
		size_t size = tlp_encode(&in, wire, sizeof(wire));
		uint8_t *exact = exact_copy(wire, size);
		assert_int_equal(tlp_decode(&out, exact, size), TLP_OK);
		assert_tlp_equal(&out, &in);
		assert_true(tlp_ecrc_ok(exact, size));
		free(exact);
	}
}

static void test_tlp_decode_of_damaged_tlps_never_misbehaves(void **state)
{
	(void)state;
	static uint8_t payload[4096], wire[TLP_WIRE_BYTES_MAX + 8];
	struct rng rng;
	rng_seed(&rng, test_seed(13), 0);
	unsigned refused = 0;
	for (int round = 0; round < ROUNDS / 10; round++) {
		struct tlp in = random_tlp(&rng, payload);
		size_t size = tlp_encode(&in, wire, sizeof(wire));
		for (uint64_t flips = rng_below(&rng, 4); flips != 0; flips--)
			wire[rng_below(&rng, 16)] ^= (uint8_t)(1u << rng_below(&rng, 8));
		if (rng_below(&rng, 4) == 0)
			size = rng_below(&rng, size + 8);
		refused += decode_exact(wire, size) != TLP_OK;
	}
	assert_true(refused > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_tlp_decode_of_random_bytes_never_misbehaves, "ERR-015 ERR-019"),
		REQ_TEST(test_tlp_decode_of_encode_is_identity, "TLP-001 TLP-002 TAG-005"),
		REQ_TEST(test_tlp_decode_of_damaged_tlps_never_misbehaves, "ERR-015"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
