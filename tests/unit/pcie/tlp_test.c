/* Wire format of TLPs: vectors written by hand from PCIe 6.0 §2.2, receiver checks, spans and splitting. */
#include "tests/unit/pcie/tlp_assert.h"

#include <zlib.h>

static const uint8_t DW_41[] = {0x41, 0, 0, 0};
static const uint8_t TWO_DW[] = {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17};
static const uint8_t EIGHT_DW[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,
				   2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3};

/* DWs in hexadecimal as the specification draws them, then what they say. The last column is what a link
 * needs to know without decoding. */
static const struct vector {
	const char *wire;
	enum tlp_class class_;
	struct tlp tlp;
} vectors[] = {
	/* 64 bytes at 0x1000 from 01:00.0, tag 5 */
	{"00000010 010005ff 00001000",
	 TLP_NON_POSTED,
	 {.type = TLP_MRD,
	  .length_dw = 16,
	  .requester_id = 0x0100,
	  .tag = 0x05,
	  .first_be = 0xf,
	  .last_be = 0xf,
	  .addr = 0x1000}},
	/* 1 byte at 0x1_2345_6783 */
	{"20000001 01000708 00000001 23456780",
	 TLP_NON_POSTED,
	 {.type = TLP_MRD,
	  .addr64 = true,
	  .length_dw = 1,
	  .requester_id = 0x0100,
	  .tag = 0x07,
	  .first_be = 0x8,
	  .addr = 0x123456780}},
	/* 4096 bytes: Length 0 */
	{"00000000 0000ffff 00002000",
	 TLP_NON_POSTED,
	 {.type = TLP_MRD, .length_dw = 1024, .tag = 0xff, .first_be = 0xf, .last_be = 0xf, .addr = 0x2000}},
	/* processing hints: the byte enables are steering tag 0x40 */
	{"00010002 01000040 00001004",
	 TLP_NON_POSTED,
	 {.type = TLP_MRD,
	  .th = true,
	  .length_dw = 2,
	  .requester_id = 0x0100,
	  .last_be = 0x4,
	  .addr = 0x1004}},
	/* translated address, no snoop, IDO, traffic class 3 */
	{"00341801 0100000f 00001000",
	 TLP_NON_POSTED,
	 {.type = TLP_MRD,
	  .tc = 3,
	  .attr = TLP_ATTR_NO_SNOOP | TLP_ATTR_IDO,
	  .at = 2,
	  .length_dw = 1,
	  .requester_id = 0x0100,
	  .first_be = 0xf,
	  .addr = 0x1000}},
	{"01000001 00000103 0000007c",
	 TLP_NON_POSTED,
	 {.type = TLP_MRDLK, .length_dw = 1, .tag = 1, .first_be = 0x3, .addr = 0x7c}},
	{"21000001 00000103 80000000 0000007c",
	 TLP_NON_POSTED,
	 {.type = TLP_MRDLK,
	  .addr64 = true,
	  .length_dw = 1,
	  .tag = 1,
	  .first_be = 0x3,
	  .addr = 0x800000000000007c}},
	/* MSI-X message of vector 0x41 */
	{"40000001 0100000f fee01004 41000000",
	 TLP_POSTED,
	 {.type = TLP_MWR,
	  .length_dw = 1,
	  .requester_id = 0x0100,
	  .first_be = 0xf,
	  .addr = 0xfee01004,
	  .payload = DW_41}},
	/* relaxed ordering, tag 0x3ab: T9 and T8 set */
	{"60882002 0100abf7 00000010 00000ff8 1011121314151617",
	 TLP_POSTED,
	 {.type = TLP_MWR,
	  .addr64 = true,
	  .attr = TLP_ATTR_RELAXED,
	  .length_dw = 2,
	  .requester_id = 0x0100,
	  .tag = 0x3ab,
	  .first_be = 0x7,
	  .last_be = 0xf,
	  .addr = 0x1000000ff8,
	  .payload = TWO_DW}},
	/* poisoned, with digest */
	{"4000c001 0100000f fee01004 41000000 7a55520b",
	 TLP_POSTED,
	 {.type = TLP_MWR,
	  .td = true,
	  .ep = true,
	  .length_dw = 1,
	  .requester_id = 0x0100,
	  .first_be = 0xf,
	  .addr = 0xfee01004,
	  .payload = DW_41}},
	{"02000001 0000000f 0000c004",
	 TLP_NON_POSTED,
	 {.type = TLP_IORD, .length_dw = 1, .first_be = 0xf, .addr = 0xc004}},
	{"42000001 00000203 0000c010 41000000",
	 TLP_NON_POSTED,
	 {.type = TLP_IOWR, .length_dw = 1, .tag = 2, .first_be = 0x3, .addr = 0xc010, .payload = DW_41}},
	/* bus 1, device 0, function 0, register 0x104 */
	{"04000001 0000030f 01000104",
	 TLP_NON_POSTED,
	 {.type = TLP_CFGRD0, .length_dw = 1, .tag = 3, .first_be = 0xf, .dest_id = 0x0100, .reg = 0x104}},
	/* bus 0x12, device 3, function 2, register 4, two bytes */
	{"44000001 00000403 121a0004 41000000",
	 TLP_NON_POSTED,
	 {.type = TLP_CFGWR0,
	  .length_dw = 1,
	  .tag = 4,
	  .first_be = 0x3,
	  .dest_id = 0x121a,
	  .reg = 0x004,
	  .payload = DW_41}},
	{"05000001 0000030f 02f80ffc",
	 TLP_NON_POSTED,
	 {.type = TLP_CFGRD1, .length_dw = 1, .tag = 3, .first_be = 0xf, .dest_id = 0x02f8, .reg = 0xffc}},
	{"45000001 0000030f 02000010 41000000",
	 TLP_NON_POSTED,
	 {.type = TLP_CFGWR1,
	  .length_dw = 1,
	  .tag = 3,
	  .first_be = 0xf,
	  .dest_id = 0x0200,
	  .reg = 0x010,
	  .payload = DW_41}},
	{"4c000001 01000900 00001004 41000000",
	 TLP_NON_POSTED,
	 {.type = TLP_FETCHADD,
	  .length_dw = 1,
	  .requester_id = 0x0100,
	  .tag = 9,
	  .addr = 0x1004,
	  .payload = DW_41}},
	{"6d000002 01000900 00000001 00001008 1011121314151617",
	 TLP_NON_POSTED,
	 {.type = TLP_SWAP,
	  .addr64 = true,
	  .length_dw = 2,
	  .requester_id = 0x0100,
	  .tag = 9,
	  .addr = 0x100001008,
	  .payload = TWO_DW}},
	{"4e000002 01000900 00001004 1011121314151617",
	 TLP_NON_POSTED,
	 {.type = TLP_CAS,
	  .length_dw = 2,
	  .requester_id = 0x0100,
	  .tag = 9,
	  .addr = 0x1004,
	  .payload = TWO_DW}},
	{"6e000008 01000900 00000001 00001010 0000000000000000 0101010101010101 0202020202020202 "
	 "0303030303030303",
	 TLP_NON_POSTED,
	 {.type = TLP_CAS,
	  .addr64 = true,
	  .length_dw = 8,
	  .requester_id = 0x0100,
	  .tag = 9,
	  .addr = 0x100001010,
	  .payload = EIGHT_DW}},
	/* Assert_INTA, local */
	{"34000000 01000020 00000000 00000000",
	 TLP_POSTED,
	 {.type = TLP_MSG,
	  .requester_id = 0x0100,
	  .msg_code = TLP_MSG_ASSERT_INTA,
	  .msg_route = TLP_ROUTE_LOCAL}},
	/* ERR_NONFATAL, to the root complex */
	{"30000000 01000031 00000000 00000000",
	 TLP_POSTED,
	 {.type = TLP_MSG,
	  .requester_id = 0x0100,
	  .msg_code = TLP_MSG_ERR_NONFATAL,
	  .msg_route = TLP_ROUTE_TO_RC}},
	/* PME_TO_Ack, gathered to the root complex */
	{"35000000 0100001b 00000000 00000000",
	 TLP_POSTED,
	 {.type = TLP_MSG,
	  .requester_id = 0x0100,
	  .msg_code = TLP_MSG_PME_TO_ACK,
	  .msg_route = TLP_ROUTE_GATHER}},
	/* Vendor_Defined Type 1 to 02:00.0 of vendor 0x1af4 */
	{"32000000 0000007f 02001af4 12345678",
	 TLP_POSTED,
	 {.type = TLP_MSG,
	  .msg_code = TLP_MSG_VENDOR_TYPE1,
	  .msg_route = TLP_ROUTE_ID,
	  .msg_dw2 = 0x02001af4,
	  .msg_dw3 = 0x12345678}},
	/* Set_Slot_Power_Limit of 65 W */
	{"74000001 00000050 00000000 00000000 41000000",
	 TLP_POSTED,
	 {.type = TLP_MSGD,
	  .length_dw = 1,
	  .msg_code = TLP_MSG_SET_SLOT_POWER_LIMIT,
	  .msg_route = TLP_ROUTE_LOCAL,
	  .payload = DW_41}},
	/* Unsupported Request from 01:00.0 for 00:00.0, tag 3 */
	{"0a000000 01002004 00000300",
	 TLP_COMPLETION,
	 {.type = TLP_CPL, .completer_id = 0x0100, .tag = 3, .status = TLP_UR, .byte_count = 4}},
	/* Configuration Request Retry Status, Completer Abort with BCM */
	{"0a000000 01004004 00000300",
	 TLP_COMPLETION,
	 {.type = TLP_CPL, .completer_id = 0x0100, .tag = 3, .status = TLP_CRS, .byte_count = 4}},
	{"0a000000 01009004 00000300",
	 TLP_COMPLETION,
	 {.type = TLP_CPL, .completer_id = 0x0100, .tag = 3, .status = TLP_CA, .bcm = true, .byte_count = 4}},
	{"4a000001 01000004 00000300 41000000",
	 TLP_COMPLETION,
	 {.type = TLP_CPLD,
	  .length_dw = 1,
	  .completer_id = 0x0100,
	  .tag = 3,
	  .byte_count = 4,
	  .payload = DW_41}},
	/* first piece of a read of 4096 bytes at ..78: Byte Count 0, Lower Address 0x78; tag 0x1ab */
	{"4a080002 00000000 0100ab78 1011121314151617",
	 TLP_COMPLETION,
	 {.type = TLP_CPLD,
	  .length_dw = 2,
	  .requester_id = 0x0100,
	  .tag = 0x1ab,
	  .byte_count = 4096,
	  .lower_addr = 0x78,
	  .payload = TWO_DW}},
	{"0b000000 01002004 00000300",
	 TLP_COMPLETION,
	 {.type = TLP_CPLLK, .completer_id = 0x0100, .tag = 3, .status = TLP_UR, .byte_count = 4}},
	{"4b000001 01000002 0000037e 41000000",
	 TLP_COMPLETION,
	 {.type = TLP_CPLDLK,
	  .length_dw = 1,
	  .completer_id = 0x0100,
	  .tag = 3,
	  .byte_count = 2,
	  .lower_addr = 0x7e,
	  .payload = DW_41}},
};

static void test_tlp_vectors_decode_to_their_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		uint8_t wire[64];
		size_t size = bytes_of_hex(vectors[i].wire, wire, sizeof(wire));
		uint8_t *exact = exact_copy(wire, size);
		struct tlp tlp;
		assert_int_equal(tlp_decode(&tlp, exact, size), TLP_OK);
		assert_tlp_equal(&tlp, &vectors[i].tlp);
		free(exact);
	}
}

static void test_tlp_vectors_encode_to_their_bytes(void **state)
{
	(void)state;
	bool covered[TLP_TYPE_COUNT] = {false};
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		uint8_t want[64], got[64];
		size_t size = bytes_of_hex(vectors[i].wire, want, sizeof(want));
		memset(got, 0xee, sizeof(got));
		assert_int_equal(tlp_encode(&vectors[i].tlp, got, size), size);
		assert_memory_equal(got, want, size);
		assert_int_equal(got[size], 0xee);
		assert_int_equal(tlp_encode(&vectors[i].tlp, got, size - 1), 0);
		covered[vectors[i].tlp.type] = true;
	}
	for (int type = 0; type < TLP_TYPE_COUNT; type++)
		assert_true(covered[type]);
}

static void test_tlp_vectors_class_and_payload_are_read_from_the_first_dw(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		uint8_t wire[64];
		bytes_of_hex(vectors[i].wire, wire, sizeof(wire));
		const struct tlp *tlp = &vectors[i].tlp;
		assert_int_equal(tlp_wire_class(wire), vectors[i].class_);
		assert_int_equal(tlp_class_of(tlp->type), vectors[i].class_);
		assert_int_equal(tlp_wire_payload_bytes(wire), tlp->payload ? tlp->length_dw * 4u : 0);
		assert_int_equal(tlp_has_payload(tlp->type), tlp->payload != NULL);
	}
}

static void test_tlp_largest_write_has_length_0_on_the_wire(void **state)
{
	(void)state;
	static uint8_t data[4096], wire[TLP_WIRE_BYTES_MAX];
	struct tlp tlp = {.type = TLP_MWR,
			  .length_dw = 1024,
			  .first_be = 0xf,
			  .last_be = 0xf,
			  .addr = 0x3000,
			  .payload = data};
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	assert_int_equal(tlp_encode(&tlp, wire, sizeof(wire)), 12 + 4096);
	assert_int_equal(load_be32(wire), 0x40000000);
	assert_int_equal(tlp_wire_payload_bytes(wire), 4096);
	struct tlp back;
	assert_int_equal(tlp_decode(&back, wire, 12 + 4096), TLP_OK);
	assert_tlp_equal(&back, &tlp);
	assert_true(tlp_ecrc_ok(wire, 12 + 4096)); /* without a digest there is none to be wrong */
}

/* Bits that are reserved in the header DWs, or not a field of the decoded TLP (PH, LN). TH, which is
 * reserved in most types, is a field, hence not among them. */
static void test_tlp_reserved_bits_set_are_ignored(void **state)
{
	(void)state;
	static const struct {
		const char *wire;
		uint32_t reserved[4];
	} rows[] = {
		{"00000010 010005ff 00001000", {0x00020000, 0, 0x3, 0}},
		{"20000001 01000708 00000001 23456780", {0x00020000, 0, 0, 0x3}},
		{"40000001 0100000f fee01004 41000000", {0x00020000, 0, 0x3, 0}},
		{"02000001 0000000f 0000c004", {0x00020000, 0, 0x3, 0}},
		{"04000001 0000030f 01000104", {0x00020000, 0, 0xf003, 0}},
		{"44000001 00000403 121a0004 41000000", {0x00020000, 0, 0xf003, 0}},
		{"34000000 01000020 00000000 00000000", {0x000203ff, 0, 0, 0}},
		{"0a000000 01002004 00000300", {0x000203ff, 0, 0x80, 0}},
		{"4a000001 01000004 00000300 41000000", {0x00020000, 0, 0x80, 0}},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t wire[32];
		struct tlp clean, dirty;
		size_t size = bytes_of_hex(rows[i].wire, wire, sizeof(wire));
		uint8_t *exact = exact_copy(wire, size);
		for (unsigned dw = 0; dw < 4 && 4 * dw < size; dw++)
			store_be32(exact + 4 * dw, load_be32(exact + 4 * dw) | rows[i].reserved[dw]);
		assert_int_equal(tlp_decode(&clean, wire, size), TLP_OK);
		assert_int_equal(tlp_decode(&dirty, exact, size), TLP_OK);
		assert_tlp_equal(&dirty, &clean);
		assert_int_equal(tlp_encode(&dirty, exact, size), size);
		assert_memory_equal(exact, wire, size);
		free(exact);
	}
}

static void test_tlp_ido_in_configuration_request_is_reserved_and_ignored(void **state)
{
	(void)state;
	uint8_t wire[12];
	struct tlp tlp;
	size_t size = bytes_of_hex("04040001 0000030f 01000104", wire, sizeof(wire));
	assert_int_equal(tlp_decode(&tlp, wire, size), TLP_OK);
}

static void test_tlp_4dw_with_zero_upper_half_is_tolerated(void **state)
{
	(void)state;
	uint8_t wire[16];
	struct tlp tlp;
	size_t size = bytes_of_hex("20000001 0100070f 00000000 23456780", wire, sizeof(wire));
	assert_int_equal(tlp_decode(&tlp, wire, size), TLP_OK);
	assert_int_equal(tlp.addr, 0x23456780);
}

static void test_tlp_size_not_of_length_field_is_malformed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		uint8_t wire[80] = {0};
		size_t right = bytes_of_hex(vectors[i].wire, wire, sizeof(wire));
		for (size_t size = 0; size <= right + 9; size++) {
			uint8_t *exact = exact_copy(wire, size);
			struct tlp tlp;
			enum tlp_error error = tlp_decode(&tlp, exact, size);
			assert_int_equal(error, size == right ? TLP_OK : TLP_BAD_SIZE);
			assert_int_equal(tlp.type, size < 4 ? TLP_TYPE_COUNT : vectors[i].tlp.type);
			if (error)
				assert_null(tlp.payload);
			free(exact);
		}
		/* TD announces a digest that is not there, or the other way round. */
		struct tlp tlp;
		wire[2] ^= 0x80;
		assert_int_equal(tlp_decode(&tlp, wire, right), TLP_BAD_SIZE);
	}
}

static void test_tlp_undefined_first_byte_is_malformed(void **state)
{
	(void)state;
	/* Guide §1.3; routing 6 and 7 of messages are reserved, 0x80 on are prefixes. */
	static const uint8_t defined[] = {0x00, 0x20, 0x01, 0x21, 0x40, 0x60, 0x02, 0x42, 0x04,
					  0x44, 0x05, 0x45, 0x4c, 0x6c, 0x4d, 0x6d, 0x4e, 0x6e,
					  0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x70, 0x71, 0x72,
					  0x73, 0x74, 0x75, 0x0a, 0x4a, 0x0b, 0x4b};
	for (unsigned first = 0; first < 256; first++) {
		uint8_t wire[32] = {(uint8_t)first};
		struct tlp tlp;
		bool want = memchr(defined, (int)first, sizeof(defined)) != NULL;
		enum tlp_error error = tlp_decode(&tlp, wire, sizeof(wire));
		assert_int_equal(error != TLP_BAD_FMT_TYPE, want);
		assert_int_equal(tlp.type != TLP_TYPE_COUNT, want);
	}
}

/* The rule of TLP-008 in other words: enabled bytes without a hole up to the end, or from the start. */
static bool runs_up_to_bit_3(unsigned be)
{
	return be == 0x8 || be == 0xc || be == 0xe || be == 0xf;
}
static bool runs_from_bit_0(unsigned be)
{
	return be == 0x1 || be == 0x3 || be == 0x7 || be == 0xf;
}

static bool byte_enables_legal(unsigned dw, uint64_t addr, unsigned first, unsigned last)
{
	if (dw == 1)
		return last == 0;
	if (first == 0 || last == 0)
		return false;
	return (dw == 2 && addr % 8 == 0) || (runs_up_to_bit_3(first) && runs_from_bit_0(last));
}

static void test_tlp_byte_enables_of_all_patterns_are_judged(void **state)
{
	(void)state;
	static const uint8_t data[12];
	for (unsigned i = 0; i < 3 * 2 * 3 * 256; i++) {
		const enum tlp_type type = (const enum tlp_type[]){TLP_MRD, TLP_MWR, TLP_MRDLK}[i / 256 % 3];
		const unsigned dw = 1 + i / 768 % 3;
		const struct tlp in = {.type = type,
				       .length_dw = (uint16_t)dw,
				       .addr = 0x1000 + 4 * (i / 2304),
				       .first_be = i & 0xf,
				       .last_be = i >> 4 & 0xf,
				       .payload = data};
		uint8_t wire[32];
		struct tlp out;
		size_t size = tlp_encode(&in, wire, sizeof(wire));
		bool legal = byte_enables_legal(dw, in.addr, in.first_be, in.last_be);
		assert_int_equal(tlp_decode(&out, wire, size), legal ? TLP_OK : TLP_BAD_BYTE_ENABLES);
	}
}

static void test_tlp_zero_length_requests_are_legal_and_enable_nothing(void **state)
{
	(void)state;
	static const char *const wires[] = {"00000001 01000500 00001004",
					    "40000001 01000500 00001004 41000000"};
	for (size_t i = 0; i < ARRAY_SIZE(wires); i++) {
		uint8_t wire[16];
		struct tlp tlp;
		uint64_t addr;
		uint32_t bytes;
		size_t size = bytes_of_hex(wires[i], wire, sizeof(wire));
		assert_int_equal(tlp_decode(&tlp, wire, size), TLP_OK);
		tlp_get_span(&tlp, &addr, &bytes);
		assert_int_equal(addr, 0x1004);
		assert_int_equal(bytes, 0);
	}
}

static void test_tlp_read_with_hints_enables_all_bytes(void **state)
{
	(void)state;
	for (unsigned tag = 0; tag < 256; tag++) {
		uint8_t wire[16];
		struct tlp tlp;
		uint64_t addr;
		uint32_t bytes;
		size_t size = bytes_of_hex("00010003 01000000 00001004", wire, sizeof(wire));
		wire[7] = (uint8_t)tag;
		assert_int_equal(tlp_decode(&tlp, wire, size), TLP_OK);
		tlp_get_span(&tlp, &addr, &bytes);
		assert_int_equal(addr, 0x1004);
		assert_int_equal(bytes, 12);
		/* A write's byte enables keep their meaning. */
		uint8_t write[32];
		size = bytes_of_hex("40010001 01000000 00001004 41000000", write, sizeof(write));
		write[7] = (uint8_t)tag;
		assert_int_equal(tlp_decode(&tlp, write, size),
				 tag >> 4 == 0 ? TLP_OK : TLP_BAD_BYTE_ENABLES);
	}
}

static void test_tlp_request_across_4k_is_malformed(void **state)
{
	(void)state;
	static const struct {
		const char *wire;
		enum tlp_error want;
	} rows[] = {
		{"00000001 0100000f 00000ffc", TLP_OK},
		{"00000002 010000ff 00000ff8", TLP_OK},
		{"00000002 010000ff 00000ffc", TLP_BAD_PAGE_CROSS},
		{"00000000 010000ff 00000000", TLP_OK},
		{"00000000 010000ff 00001004", TLP_BAD_PAGE_CROSS},
		{"00000002 0100001f 00001ffc", TLP_BAD_PAGE_CROSS},
		{"20000002 010000ff 00000001 00000ffc", TLP_BAD_PAGE_CROSS},
		{"20000002 010000ff ffffffff fffffffc", TLP_BAD_PAGE_CROSS},
		{"40000002 010000ff 00000ffc 0000000000000000", TLP_BAD_PAGE_CROSS},
		{"01000002 010000ff 00000ffc", TLP_BAD_PAGE_CROSS},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t wire[32];
		struct tlp tlp;
		size_t size = bytes_of_hex(rows[i].wire, wire, sizeof(wire));
		assert_int_equal(tlp_decode(&tlp, wire, size), rows[i].want);
	}
}

static void test_tlp_io_and_configuration_requests_breaking_a_rule_are_malformed(void **state)
{
	(void)state;
	/* Changes to the first two DWs of a good request. */
	static const struct {
		uint32_t dw0_xor, dw1_xor;
	} faults[] = {
		{0x00000003, 0}, /* Length 2 */
		{0x00000001, 0}, /* Length 1024 */
		{0, 0x00000010}, /* Last BE */
		{0x00100000, 0}, /* TC 1 */
		{0x00001000, 0}, /* no snoop */
		{0x00002000, 0}, /* relaxed ordering */
		{0x00000400, 0}, /* AT */
	};
	static const char *const good[] = {
		"02000001 0000000f 0000c004", "42000001 00000203 0000c010 41000000",
		"04000001 0000030f 01000104", "44000001 00000403 121a0004 41000000",
		"05000001 0000030f 02f80ffc", "45000001 0000030f 02000010 41000000"};
	static uint8_t wire[TLP_WIRE_BYTES_MAX];
	for (size_t i = 0; i < ARRAY_SIZE(good) * ARRAY_SIZE(faults); i++) {
		struct tlp tlp;
		memset(wire, 0, sizeof(wire));
		size_t size = bytes_of_hex(good[i / ARRAY_SIZE(faults)], wire, sizeof(wire));
		assert_int_equal(tlp_decode(&tlp, wire, size), TLP_OK);
		store_be32(wire, load_be32(wire) ^ faults[i % ARRAY_SIZE(faults)].dw0_xor);
		store_be32(wire + 4, load_be32(wire + 4) ^ faults[i % ARRAY_SIZE(faults)].dw1_xor);
		size = 12 + tlp_wire_payload_bytes(wire);
		assert_int_equal(tlp_decode(&tlp, wire, size), TLP_BAD_REQUEST);
	}
}

static void test_tlp_message_on_traffic_class_1_is_malformed_where_class_0_is_required(void **state)
{
	(void)state;
	static const uint8_t needs_tc0[] = {0x00, 0x14, 0x18, 0x19, 0x1b, 0x20, 0x21, 0x22, 0x23,
					    0x24, 0x25, 0x26, 0x27, 0x30, 0x31, 0x33, 0x50};
	for (unsigned code = 0; code < 256; code++) {
		uint8_t wire[16];
		struct tlp tlp;
		size_t size = bytes_of_hex("34000000 01000000 00000000 00000000", wire, sizeof(wire));
		wire[7] = (uint8_t)code;
		assert_int_equal(tlp_decode(&tlp, wire, size), TLP_OK);
		wire[1] = 0x10;
		bool bad = memchr(needs_tc0, (int)code, sizeof(needs_tc0)) != NULL;
		assert_int_equal(tlp_decode(&tlp, wire, size), bad ? TLP_BAD_TC : TLP_OK);
	}
}

static void test_tlp_atomic_operand_size_and_alignment_are_checked(void **state)
{
	(void)state;
	static const struct {
		enum tlp_type type;
		uint16_t length_dw;
		uint64_t addr;
		bool ok;
	} rows[] = {
		{TLP_FETCHADD, 1, 0x1004, true},  {TLP_FETCHADD, 2, 0x1008, true},
		{TLP_FETCHADD, 2, 0x1004, false}, {TLP_FETCHADD, 3, 0x1000, false},
		{TLP_FETCHADD, 4, 0x1000, false}, {TLP_FETCHADD, 1024, 0x1000, false},
		{TLP_SWAP, 1, 0x1ffc, true},      {TLP_SWAP, 2, 0x1ff8, true},
		{TLP_SWAP, 2, 0x1ffc, false},     {TLP_SWAP, 8, 0x1000, false},
		{TLP_CAS, 1, 0x1000, false},      {TLP_CAS, 2, 0x1004, true},
		{TLP_CAS, 3, 0x1000, false},      {TLP_CAS, 4, 0x1008, true},
		{TLP_CAS, 4, 0x1004, false},      {TLP_CAS, 5, 0x1000, false},
		{TLP_CAS, 6, 0x1000, false},      {TLP_CAS, 8, 0x1010, true},
		{TLP_CAS, 8, 0x1008, false},      {TLP_CAS, 9, 0x1000, false},
		{TLP_CAS, 16, 0x1000, false},
	};
	static const uint8_t data[4096];
	static uint8_t wire[TLP_WIRE_BYTES_MAX];
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct tlp in = {.type = rows[i].type,
				       .length_dw = rows[i].length_dw,
				       .addr = rows[i].addr,
				       .payload = data};
		struct tlp out;
		size_t size = tlp_encode(&in, wire, sizeof(wire));
		assert_int_equal(tlp_decode(&out, wire, size), rows[i].ok ? TLP_OK : TLP_BAD_ATOMIC);
	}
}

static void test_tlp_posted_and_non_posted_requests_carry_any_tag(void **state)
{
	(void)state;
	for (unsigned tag = 0; tag < 1024; tag++) {
		for (int type = TLP_MRD; type <= TLP_MWR; type++) {
			struct tlp in = {.type = (enum tlp_type)type, .tag = (uint16_t)tag, .payload = DW_41},
				   out;
			uint8_t wire[16];
			tlp_set_span(&in, 0x1000, 4);
			assert_int_equal(tlp_decode(&out, wire, tlp_encode(&in, wire, sizeof(wire))), TLP_OK);
			assert_int_equal(out.tag, tag);
		}
	}
}

/* Digests of headers and payloads typed here, from zlib.crc32 of the bytes with Type[0] and EP set. */
static void test_tlp_ecrc_vectors_match(void **state)
{
	(void)state;
	static const char *const good[] = {
		"4000c001 0100000f fee01004 41000000 7a55520b",
		"40008001 0100000f fee01004 41000000 7a55520b", /* EP is not covered */
		"41008001 0100000f fee01004 41000000 7a55520b", /* neither is Type[0] */
		"20008010 010005ff 00000001 23456000 fc99a98b",
		"0a008000 01002004 00000300 6b9c5367",
	};
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		uint8_t wire[32];
		size_t size = bytes_of_hex(good[i], wire, sizeof(wire));
		assert_true(tlp_ecrc_ok(wire, size));
		for (size_t bit = 0; bit < 8 * size; bit++) {
			bool variant = bit == 0 || bit == 2 * 8 + 6, td = bit == 2 * 8 + 7;
			wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(tlp_ecrc_ok(wire, size), variant || td);
			wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

static void test_tlp_ecrc_is_zlib_crc32_with_variant_bits_set(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(1), 0);
	for (int round = 0; round < 2000; round++) {
		uint8_t bytes[300];
		size_t size = 12 + 4 * rng_below(&rng, 72);
		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t)rng_u64(&rng);
		uint32_t got = tlp_ecrc(bytes, size);
		bytes[0] |= 0x01;
		bytes[2] |= 0x40;
		assert_int_equal(got, crc32(0, bytes, (uInt)size));
	}
}

static void test_tlp_set_span_enables_exactly_its_bytes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4096 * 24; i++) {
		uint64_t base = i % 2 ? 0x7000 : 0x100007000;
		unsigned start = i / 24, bytes = 1 + i % 24;
		if (start + bytes > 4096)
			continue;
		struct tlp tlp = {.type = TLP_MRD};
		tlp_set_span(&tlp, base + start, bytes);
		assert_int_equal(tlp.addr64, base >> 32 != 0);
		assert_int_equal(tlp.addr % 4, 0);
		assert_true(byte_enables_legal(tlp.length_dw, tlp.addr, tlp.first_be, tlp.last_be));
		for (unsigned b = 0; b < tlp.length_dw * 4u; b++) {
			unsigned dw = b / 4;
			unsigned be = dw == 0 ? tlp.first_be : dw == tlp.length_dw - 1u ? tlp.last_be : 0xf;
			uint64_t at = tlp.addr + b;
			bool inside = at >= base + start && at < base + start + bytes;
			assert_int_equal(be >> b % 4 & 1, inside);
		}
		uint64_t addr;
		uint32_t count;
		tlp_get_span(&tlp, &addr, &count);
		assert_int_equal(addr, base + start);
		assert_int_equal(count, bytes);
	}
}

static void test_tlp_get_span_with_holes_runs_from_first_to_last_enabled_byte(void **state)
{
	(void)state;
	for (unsigned enables = 1; enables < 256; enables++) {
		struct tlp tlp = {.type = TLP_MWR,
				  .length_dw = 2,
				  .addr = 0x1000,
				  .first_be = enables & 0xf,
				  .last_be = enables >> 4};
		if (tlp.first_be == 0 || tlp.last_be == 0) {
			tlp.length_dw = 1;
			tlp.addr = 0x1000;
			tlp.first_be |= tlp.last_be;
			tlp.last_be = 0;
		}
		unsigned lanes = tlp.first_be | (unsigned)tlp.last_be << 4, first = 0, last = 7;
		while (!(lanes >> first & 1))
			first++;
		while (!(lanes >> last & 1))
			last--;
		uint64_t addr;
		uint32_t bytes;
		tlp_get_span(&tlp, &addr, &bytes);
		assert_int_equal(addr, 0x1000 + first);
		assert_int_equal(bytes, last - first + 1);
	}
}

static void test_tlp_split_table(void **state)
{
	(void)state;
	static const struct {
		uint64_t addr, bytes;
		uint32_t limit, align, want;
	} rows[] = {
		{0x1000, 64, 128, 0, 64},              /* fits */
		{0x1000, 4096, 512, 0, 512},           /* limited */
		{0x4f6a, 200, 512, 0, 150},            /* page */
		{0x5000, 50, 512, 0, 50},              /* the rest */
		{0x1001, 128, 128, 0, 127},            /* 128 bytes would take 33 DW */
		{0x1003, 4096, 128, 0, 125},           /* DWs 0x1000..0x107f */
		{0x1030, 4096, 128, 64, 0x50},         /* ends at 0x1080, not 0x10b0 */
		{0x1031, 4096, 128, 128, 0x4f},        /* ends at 0x1080 */
		{0x107f, 4096, 128, 128, 1},           /* ends at 0x1080 */
		{0x1fff, 4096, 4096, 0, 1},            /* page */
		{0xfffffffffffffff0, 16, 128, 64, 16}, /* the very last bytes */
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(tlp_split_bytes(rows[i].addr, rows[i].bytes, rows[i].limit, rows[i].align),
				 rows[i].want);
}

static void test_tlp_split_of_random_spans_keeps_all_limits(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(2), 0);
	for (int round = 0; round < 20000; round++) {
		uint32_t limit = 128u << rng_below(&rng, 6);
		uint32_t align = rng_below(&rng, 2) ? 64u << rng_below(&rng, 2) : 0;
		uint64_t start = rng_u64(&rng) >> 16 >> rng_below(&rng, 32);
		uint64_t addr = start, left = 1 + rng_below(&rng, 20000), end = start + left;
		while (left != 0) {
			uint32_t n = tlp_split_bytes(addr, left, limit, align);
			assert_true(n >= 1 && n <= left);
			struct tlp tlp = {.type = TLP_MRD};
			tlp_set_span(&tlp, addr, n);
			assert_true(tlp.length_dw * 4u <= limit);
			assert_true(addr / 4096 == (addr + n - 1) / 4096);
			if (align && n < left)
				assert_int_equal((addr + n) % align, 0);
			/* Never smaller than need be: one more aligned step would break a limit. */
			uint64_t step = align ? align : 1;
			bool page_full = (addr + n) % 4096 == 0;
			assert_true(n == left || page_full || addr % 4 + n + step > limit);
			addr += n;
			left -= n;
		}
		assert_int_equal(addr, end);
	}
}

static void test_tlp_names_are_those_of_the_specification(void **state)
{
	(void)state;
	static const char *const names[TLP_TYPE_COUNT] = {
		"MRd",      "MRdLk", "MWr", "IORd", "IOWr", "CfgRd0", "CfgWr0", "CfgRd1", "CfgWr1",
		"FetchAdd", "Swap",  "CAS", "Msg",  "MsgD", "Cpl",    "CplD",   "CplLk",  "CplDLk"};
	for (int type = 0; type < TLP_TYPE_COUNT; type++)
		assert_string_equal(tlp_type_name((enum tlp_type)type), names[type]);
	assert_string_equal(tlp_type_name(TLP_TYPE_COUNT), "undefined");
	for (int error = TLP_OK; error <= TLP_BAD_TC; error++)
		assert_true(strlen(tlp_error_name((enum tlp_error)error)) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_tlp_vectors_decode_to_their_fields, "TLP-001 TLP-002 CPL-002"),
		REQ_TEST(test_tlp_vectors_encode_to_their_bytes, "TLP-001 TLP-002 CPL-002"),
		REQ_TEST(test_tlp_vectors_class_and_payload_are_read_from_the_first_dw, "TLP-001"),
		REQ_TEST(test_tlp_largest_write_has_length_0_on_the_wire, "TLP-002"),
		REQ_TEST(test_tlp_reserved_bits_set_are_ignored, "TLP-018"),
		REQ_TEST(test_tlp_ido_in_configuration_request_is_reserved_and_ignored, "TLP-018"),
		REQ_TEST(test_tlp_4dw_with_zero_upper_half_is_tolerated, "TLP-003"),
		REQ_TEST(test_tlp_size_not_of_length_field_is_malformed, "ERR-015 TLP-001 TLP-017"),
		REQ_TEST(test_tlp_undefined_first_byte_is_malformed, "ERR-019 ACC-014"),
		REQ_TEST(test_tlp_byte_enables_of_all_patterns_are_judged, "TLP-007 TLP-008 ERR-017"),
		REQ_TEST(test_tlp_zero_length_requests_are_legal_and_enable_nothing, "TLP-009"),
		REQ_TEST(test_tlp_read_with_hints_enables_all_bytes, "TLP-010"),
		REQ_TEST(test_tlp_request_across_4k_is_malformed, "TLP-004 ERR-016"),
		REQ_TEST(test_tlp_io_and_configuration_requests_breaking_a_rule_are_malformed,
			 "TLP-011 ERR-018"),
		REQ_TEST(test_tlp_message_on_traffic_class_1_is_malformed_where_class_0_is_required,
			 "TLP-013 ERR-020"),
		REQ_TEST(test_tlp_atomic_operand_size_and_alignment_are_checked, "TLP-014 ERR-023"),
		REQ_TEST(test_tlp_posted_and_non_posted_requests_carry_any_tag, "TLP-016 TAG-005"),
		REQ_TEST(test_tlp_ecrc_vectors_match, "TLP-017"),
		REQ_TEST(test_tlp_ecrc_is_zlib_crc32_with_variant_bits_set, "TLP-017"),
		REQ_TEST(test_tlp_set_span_enables_exactly_its_bytes, "TLP-003 TLP-007 TLP-008"),
		REQ_TEST(test_tlp_get_span_with_holes_runs_from_first_to_last_enabled_byte, "TLP-008"),
		REQ_TEST(test_tlp_split_table, "TLP-004 TLP-005"),
		REQ_TEST(test_tlp_split_of_random_spans_keeps_all_limits, "TLP-004 TLP-005"),
		cmocka_unit_test(test_tlp_names_are_those_of_the_specification),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
