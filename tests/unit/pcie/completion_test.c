/* Completions: the worked examples of PCIe 6.0 §2.3.1.1, reassembly, and whole reads and writes through
 * encoder, decoder, completer and requester. */
#include "tests/unit/pcie/tlp_assert.h"

#define COMPLETER_ID 0x0100
#define REQUESTER_ID 0x0008
#define PIECES_MAX   64 /* of one read: 4096 bytes in pieces of 64, one more if unaligned */

static struct tlp read_request(uint64_t addr, uint32_t bytes)
{
	struct tlp req = {.type = TLP_MRD,
			  .requester_id = REQUESTER_ID,
			  .tag = 0x2a5,
			  .tc = 5,
			  .attr = TLP_ATTR_RELAXED | TLP_ATTR_IDO};
	tlp_set_span(&req, addr, bytes);
	return req;
}

/* Worked examples of guide §2: (Lower Address, Byte Count, Length) of each completion. */
static void test_completer_worked_examples_give_listed_pieces(void **state)
{
	(void)state;
	static const struct {
		uint64_t addr;
		uint32_t bytes, mps, rcb;
		bool rcb_pieces;
		uint16_t request_dw;
		uint8_t first_be, last_be;
		struct {
			uint8_t lower_addr;
			uint16_t byte_count, length_dw;
		} want[9];
	} rows[] = {
		{0x1000, 64, 128, 64, false, 16, 0xf, 0xf, {{0x00, 64, 16}}},
		{0x13, 1, 128, 64, false, 1, 0x8, 0x0, {{0x13, 1, 1}}},
		{0x13, 1, 4096, 128, true, 1, 0x8, 0x0, {{0x13, 1, 1}}},
		{0x2003, 5, 512, 128, false, 2, 0x8, 0xf, {{0x03, 5, 2}}},
		{0x7e, 4, 128, 64, false, 2, 0xc, 0x3, {{0x7e, 4, 2}}},
		{0x7e, 4, 128, 64, true, 2, 0xc, 0x3, {{0x7e, 4, 1}, {0x00, 2, 1}}},
		{0x30, 256, 128, 64, false, 64, 0xf, 0xf, {{0x30, 256, 20}, {0x00, 176, 32}, {0x00, 48, 12}}},
		{0x30,
		 256,
		 128,
		 64,
		 true,
		 64,
		 0xf,
		 0xf,
		 {{0x30, 256, 4}, {0x40, 240, 16}, {0x00, 176, 16}, {0x40, 112, 16}, {0x00, 48, 12}}},
		{0x30, 256, 256, 64, false, 64, 0xf, 0xf, {{0x30, 256, 64}}},
		{0x4f6a, 150, 128, 64, false, 38, 0xc, 0xf, {{0x6a, 150, 22}, {0x40, 64, 16}}},
		{0x5000, 50, 128, 64, false, 13, 0xf, 0x3, {{0x00, 50, 13}}},
		{0x1004,
		 508,
		 128,
		 64,
		 false,
		 127,
		 0xf,
		 0xf,
		 {{0x04, 508, 31}, {0x00, 384, 32}, {0x00, 256, 32}, {0x00, 128, 32}}},
		{0x1004,
		 512,
		 128,
		 64,
		 false,
		 128,
		 0xf,
		 0xf,
		 {{0x04, 512, 31}, {0x00, 388, 32}, {0x00, 260, 32}, {0x00, 132, 32}, {0x00, 4, 1}}},
		{0x1000,
		 4096,
		 512,
		 64,
		 false,
		 1024,
		 0xf,
		 0xf,
		 {{0x00, 4096, 128},
		  {0x00, 3584, 128},
		  {0x00, 3072, 128},
		  {0x00, 2560, 128},
		  {0x00, 2048, 128},
		  {0x00, 1536, 128},
		  {0x00, 1024, 128},
		  {0x00, 512, 128}}},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tlp req = read_request(rows[i].addr, rows[i].bytes), cpl;
		struct tlp_completer c;
		uint64_t addr;
		uint32_t bytes;

		assert_int_equal(req.length_dw, rows[i].request_dw);
		assert_int_equal(req.first_be, rows[i].first_be);
		assert_int_equal(req.last_be, rows[i].last_be);
		tlp_completer_start(&c, &req, COMPLETER_ID);
		for (size_t p = 0; rows[i].want[p].length_dw != 0; p++) {
			assert_true(tlp_completer_next(&c, rows[i].mps, rows[i].rcb, rows[i].rcb_pieces, &cpl,
						       &addr, &bytes));
			assert_int_equal(cpl.lower_addr, rows[i].want[p].lower_addr);
			assert_int_equal(cpl.byte_count, rows[i].want[p].byte_count);
			assert_int_equal(cpl.length_dw, rows[i].want[p].length_dw);
		}
		assert_false(tlp_completer_next(&c, rows[i].mps, rows[i].rcb, rows[i].rcb_pieces, &cpl, &addr,
						&bytes));
	}
}

static void test_split_worked_example_cuts_at_the_page(void **state)
{
	(void)state;
	assert_int_equal(tlp_split_bytes(0x4f6a, 200, 512, 0), 150);
	assert_int_equal(tlp_split_bytes(0x5000, 50, 512, 0), 50);
}

static void test_completer_one_dw_reads_have_byte_count_and_lower_address_of_first_be(void **state)
{
	(void)state;
	static const struct {
		uint16_t byte_count;
		uint8_t lower_bits;
	} want[16] = {
		[0x0] = {1, 0}, [0x1] = {1, 0}, [0x2] = {1, 1}, [0x3] = {2, 0},
		[0x4] = {1, 2}, [0x5] = {3, 0}, [0x6] = {2, 1}, [0x7] = {3, 0},
		[0x8] = {1, 3}, [0x9] = {4, 0}, [0xa] = {3, 1}, [0xb] = {4, 0},
		[0xc] = {2, 2}, [0xd] = {4, 0}, [0xe] = {3, 1}, [0xf] = {4, 0},
	};
	for (unsigned be = 0; be < 16; be++) {
		const struct tlp req = {
			.type = TLP_MRD, .length_dw = 1, .addr = 0x10ec, .first_be = (uint8_t)be};
		struct tlp_completer c;
		struct tlp cpl;
		uint64_t addr;
		uint32_t bytes;
		tlp_completer_start(&c, &req, COMPLETER_ID);
		assert_true(tlp_completer_next(&c, 128, 64, true, &cpl, &addr, &bytes));
		assert_int_equal(cpl.byte_count, want[be].byte_count);
		assert_int_equal(cpl.lower_addr, 0x6c + want[be].lower_bits);
		assert_int_equal(cpl.length_dw, 1);
		assert_false(tlp_completer_next(&c, 128, 64, true, &cpl, &addr, &bytes));
	}
}

static void assert_copied_from_request(const struct tlp *cpl, const struct tlp *req)
{
	assert_int_equal(cpl->requester_id, req->requester_id);
	assert_int_equal(cpl->tag, req->tag);
	assert_int_equal(cpl->tc, req->tc);
	assert_int_equal(cpl->attr, req->attr);
	assert_int_equal(cpl->completer_id, COMPLETER_ID);
}

static void test_completions_copy_ids_tag_class_and_attributes(void **state)
{
	(void)state;
	for (unsigned tag = 0; tag < 1024; tag++) {
		struct tlp req = read_request(0x1000, 4), cpl;
		struct tlp_completer c;
		uint64_t addr;
		uint32_t bytes;
		req.tag = (uint16_t)tag;
		req.tc = tag % 8;
		req.attr = tag / 8 % 8;
		tlp_completer_start(&c, &req, COMPLETER_ID);
		assert_true(tlp_completer_next(&c, 128, 64, false, &cpl, &addr, &bytes));
		assert_copied_from_request(&cpl, &req);
		assert_int_equal(cpl.status, 0);
		tlp_completion_without_data(&cpl, &req, COMPLETER_ID, TLP_UR);
		assert_copied_from_request(&cpl, &req);
		tlp_completion_with_dw(&cpl, &req, COMPLETER_ID, (const uint8_t[4]){0});
		assert_copied_from_request(&cpl, &req);
	}
}

static void test_completions_without_data_have_type_and_byte_count_of_their_request(void **state)
{
	(void)state;
	static const struct {
		enum tlp_type request;
		uint16_t length_dw;
		enum tlp_status status;
		enum tlp_type type;
		uint16_t byte_count;
	} rows[] = {
		{TLP_MRD, 16, TLP_UR, TLP_CPL, 4},     {TLP_MRD, 16, TLP_CA, TLP_CPL, 4},
		{TLP_MRDLK, 1, TLP_UR, TLP_CPLLK, 4},  {TLP_IORD, 1, TLP_UR, TLP_CPL, 4},
		{TLP_IOWR, 1, TLP_SC, TLP_CPL, 4},     {TLP_CFGRD0, 1, TLP_CRS, TLP_CPL, 4},
		{TLP_CFGWR0, 1, TLP_SC, TLP_CPL, 4},   {TLP_CFGRD1, 1, TLP_UR, TLP_CPL, 4},
		{TLP_CFGWR1, 1, TLP_UR, TLP_CPL, 4},   {TLP_FETCHADD, 1, TLP_UR, TLP_CPL, 4},
		{TLP_FETCHADD, 2, TLP_UR, TLP_CPL, 8}, {TLP_SWAP, 2, TLP_UR, TLP_CPL, 8},
		{TLP_CAS, 2, TLP_UR, TLP_CPL, 4},      {TLP_CAS, 8, TLP_CA, TLP_CPL, 16},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct tlp req = {.type = rows[i].request,
					.length_dw = rows[i].length_dw,
					.addr = 0x1014,
					.reg = 0x14,
					.first_be = 0x8};
		struct tlp cpl;
		tlp_completion_without_data(&cpl, &req, COMPLETER_ID, rows[i].status);
		assert_int_equal(cpl.type, rows[i].type);
		assert_int_equal(cpl.status, rows[i].status);
		assert_int_equal(cpl.byte_count, rows[i].byte_count);
		assert_int_equal(cpl.lower_addr, 0);
		assert_int_equal(cpl.length_dw, 0);
		assert_null(cpl.payload);
	}
}

static void test_completion_with_dw_has_byte_count_4_and_lower_address_0(void **state)
{
	(void)state;
	static const uint8_t dw[4] = {0xf4, 0x1a, 0x42, 0x10};
	static const enum tlp_type types[] = {TLP_CFGRD0, TLP_IORD};
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		const struct tlp req = {.type = types[i],
					.length_dw = 1,
					.tag = 7,
					.addr = 0xc01c,
					.reg = 0x1c,
					.first_be = 0x8};
		uint8_t wire[16], want[16];
		struct tlp cpl;
		tlp_completion_with_dw(&cpl, &req, COMPLETER_ID, dw);
		assert_int_equal(tlp_encode(&cpl, wire, sizeof(wire)), 16);
		bytes_of_hex("4a000001 01000004 00000700 f41a4210", want, sizeof(want));
		assert_memory_equal(wire, want, sizeof(want));
	}
}

static void test_locked_read_is_completed_with_locked_completions(void **state)
{
	(void)state;
	struct tlp req = read_request(0x1000, 4), cpl;
	struct tlp_completer c;
	uint64_t addr;
	uint32_t bytes;
	req.type = TLP_MRDLK;
	tlp_completer_start(&c, &req, COMPLETER_ID);
	assert_true(tlp_completer_next(&c, 128, 64, false, &cpl, &addr, &bytes));
	assert_int_equal(cpl.type, TLP_CPLDLK);
}

/* Random reads: every rule on the pieces, checked from the outside. */
static void test_completer_pieces_of_random_reads_keep_all_rules(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(21), 0);
	for (int round = 0; round < 50000; round++) {
		uint32_t rcb = 64u << rng_below(&rng, 2), mps = 128u << rng_below(&rng, 6);
		bool pieces = rng_below(&rng, 2);
		uint64_t start = rng_u64(&rng) >> rng_below(&rng, 40);
		uint32_t total = 1 + (uint32_t)rng_below(&rng, rng_below(&rng, 2) ? 4096 - start % 4096 : 1);
		struct tlp req = read_request(start, total), cpl;
		struct tlp_completer c;
		uint64_t addr, at = start;
		uint32_t bytes, count = 0;

		tlp_completer_start(&c, &req, COMPLETER_ID);
		while (tlp_completer_next(&c, mps, rcb, pieces, &cpl, &addr, &bytes)) {
			uint64_t end = addr + bytes;
			assert_int_equal(addr, at);
			assert_int_equal(cpl.byte_count, start + total - addr);
			assert_int_equal(cpl.lower_addr, addr % 128);
			assert_true(cpl.length_dw * 4u <= mps);
			assert_int_equal(cpl.length_dw, (end + 3) / 4 - addr / 4);
			assert_true(end == start + total || end % rcb == 0);
			assert_true(count == 0 || addr % rcb == 0);
			if (pieces)
				assert_int_equal(addr / rcb, (end - 1) / rcb);
			at = end;
			count++;
		}
		assert_int_equal(at, start + total);
		if (start / rcb == (start + total - 1) / rcb)
			assert_int_equal(count, 1);
		assert_true(count <= PIECES_MAX + 1);
	}
}

static const uint8_t DATA[256] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

/* A requester waiting for `bytes` at `addr`, and the completion that brings all of it. */
static struct tlp fitting_completion(struct tlp_requester *r, uint64_t addr, uint32_t bytes)
{
	struct tlp req = read_request(addr, bytes), cpl;
	struct tlp_completer c;
	tlp_completer_start(&c, &req, COMPLETER_ID);
	assert_true(tlp_completer_next(&c, 4096, 64, false, &cpl, &addr, &bytes));
	cpl.payload = DATA;
	tlp_requester_start(r, addr, bytes, req.tc, req.attr);
	return cpl;
}

static enum tlp_cpl_result accept(struct tlp_requester *r, const struct tlp *cpl)
{
	const uint8_t *data;
	uint32_t bytes;
	enum tlp_cpl_result result = tlp_requester_accept(r, cpl, &data, &bytes);
	bool has_data = result == TLP_CPL_PART || result == TLP_CPL_DONE;
	assert_int_equal(data != NULL, has_data);
	assert_int_equal(bytes != 0, has_data);
	return result;
}

static void test_requester_drops_padding_bytes(void **state)
{
	(void)state;
	struct tlp_requester r;
	struct tlp cpl = fitting_completion(&r, 0x2003, 5);
	const uint8_t *data;
	uint32_t bytes;
	assert_int_equal(tlp_requester_accept(&r, &cpl, &data, &bytes), TLP_CPL_DONE);
	assert_ptr_equal(data, DATA + 3);
	assert_int_equal(bytes, 5);
	cpl = fitting_completion(&r, 0x2002, 3);
	assert_int_equal(tlp_requester_accept(&r, &cpl, &data, &bytes), TLP_CPL_DONE);
	assert_ptr_equal(data, DATA + 2);
	assert_int_equal(bytes, 3);
}

static void test_requester_of_mismatching_completion_drops_it_and_still_finishes(void **state)
{
	(void)state;
	static const struct {
		uint8_t tc_xor, attr_xor, lower_xor;
		int byte_count_add, length_add;
		enum tlp_type type;
	} faults[] = {
		{.tc_xor = 1, .type = TLP_CPLD},
		{.tc_xor = 4, .type = TLP_CPLD},
		{.attr_xor = TLP_ATTR_NO_SNOOP, .type = TLP_CPLD},
		{.attr_xor = TLP_ATTR_RELAXED, .type = TLP_CPLD},
		{.lower_xor = 0x01, .type = TLP_CPLD},
		{.lower_xor = 0x04, .type = TLP_CPLD},
		{.lower_xor = 0x40, .type = TLP_CPLD},
		{.byte_count_add = 1, .type = TLP_CPLD},
		{.byte_count_add = -1, .type = TLP_CPLD},
		{.byte_count_add = 4, .type = TLP_CPLD},
		{.byte_count_add = 4096 - 21, .type = TLP_CPLD},
		{.length_add = 1, .type = TLP_CPLD},  /* a DW too many */
		{.length_add = -1, .type = TLP_CPLD}, /* ends off the RCB */
		{.type = TLP_CPLDLK},
		{.type = TLP_CPLLK},
		{.type = TLP_MWR},
	};
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		struct tlp_requester r;
		const struct tlp good = fitting_completion(&r, 0x2042, 21);
		struct tlp bad = good;
		bad.type = faults[i].type;
		bad.tc ^= faults[i].tc_xor;
		bad.attr ^= faults[i].attr_xor;
		bad.lower_addr ^= faults[i].lower_xor;
		bad.byte_count = (uint16_t)(bad.byte_count + faults[i].byte_count_add);
		bad.length_dw = (uint16_t)(bad.length_dw + faults[i].length_add);
		assert_int_equal(accept(&r, &bad), TLP_CPL_UNEXPECTED);
		assert_int_equal(accept(&r, &good), TLP_CPL_DONE);
	}
}

static void test_requester_accepts_ido_chosen_by_the_completer(void **state)
{
	(void)state;
	struct tlp_requester r;
	struct tlp cpl = fitting_completion(&r, 0x2000, 16);
	cpl.attr ^= TLP_ATTR_IDO;
	assert_int_equal(accept(&r, &cpl), TLP_CPL_DONE);
}

static void test_requester_after_the_last_completion_drops_more(void **state)
{
	(void)state;
	struct tlp_requester r;
	const struct tlp good = fitting_completion(&r, 0x2000, 16);
	struct tlp failed;
	assert_int_equal(accept(&r, &good), TLP_CPL_DONE);
	assert_int_equal(accept(&r, &good), TLP_CPL_UNEXPECTED);
	const struct tlp req = read_request(0x2000, 16);
	tlp_completion_without_data(&failed, &req, COMPLETER_ID, TLP_UR);
	assert_int_equal(accept(&r, &failed), TLP_CPL_UNEXPECTED);
}

static void test_requester_of_pieces_out_of_order_drops_them(void **state)
{
	(void)state;
	const struct tlp req = read_request(0x1000, 192);
	struct tlp_completer c;
	struct tlp_requester r;
	struct tlp piece[3];
	uint64_t addr;
	uint32_t bytes;
	tlp_completer_start(&c, &req, COMPLETER_ID);
	for (int i = 0; i < 3; i++) {
		assert_true(tlp_completer_next(&c, 128, 64, true, &piece[i], &addr, &bytes));
		piece[i].payload = DATA;
	}
	tlp_requester_start(&r, 0x1000, 192, req.tc, req.attr);
	assert_int_equal(accept(&r, &piece[1]), TLP_CPL_UNEXPECTED);
	assert_int_equal(accept(&r, &piece[0]), TLP_CPL_PART);
	assert_int_equal(accept(&r, &piece[0]), TLP_CPL_UNEXPECTED);
	assert_int_equal(accept(&r, &piece[2]), TLP_CPL_UNEXPECTED);
	assert_int_equal(accept(&r, &piece[1]), TLP_CPL_PART);
	assert_int_equal(accept(&r, &piece[2]), TLP_CPL_DONE);
}

/* Every status but SC ends the request, with or without data before it, whatever Byte Count and Lower Address
 * say; so does SC without data. */
static void test_requester_of_failed_completion_fails_the_request(void **state)
{
	(void)state;
	for (unsigned status = 0; status < 8; status++) {
		for (unsigned lower = 0; lower < 128; lower += 4) {
			const struct tlp req = read_request(0x1000, 192);
			struct tlp_requester r;
			struct tlp failed;
			if (lower % 8 == 0) {
				struct tlp first = fitting_completion(&r, 0x1000, 192);
				first.length_dw = 16;
				assert_int_equal(accept(&r, &first), TLP_CPL_PART);
			} else {
				tlp_requester_start(&r, 0x1000, 192, req.tc, req.attr);
			}
			tlp_completion_without_data(&failed, &req, COMPLETER_ID, TLP_UR);
			failed.status = (uint8_t)status;
			failed.lower_addr = (uint8_t)lower;
			failed.byte_count = (uint16_t)(1 + lower * 31);
			assert_int_equal(accept(&r, &failed), TLP_CPL_ERROR);
			assert_int_equal(r.bytes, 0);
			assert_int_equal(accept(&r, &failed), TLP_CPL_UNEXPECTED);
		}
	}
}

static void test_requester_of_poisoned_completion_fails_the_request(void **state)
{
	(void)state;
	struct tlp_requester r;
	struct tlp cpl = fitting_completion(&r, 0x1000, 192);
	cpl.ep = true;
	assert_int_equal(accept(&r, &cpl), TLP_CPL_POISONED);
	assert_int_equal(r.bytes, 0);
	cpl.ep = false;
	assert_int_equal(accept(&r, &cpl), TLP_CPL_UNEXPECTED);
}

/* Completions of random content never bring data from outside their payload or more than is missing. */
static void test_requester_of_random_completions_stays_inside(void **state)
{
	(void)state;
	static uint8_t payload[4096];
	struct rng rng;
	rng_seed(&rng, test_seed(22), 0);
	unsigned taken = 0;
	for (int round = 0; round < 200000; round++) {
		uint64_t start = rng_below(&rng, 256);
		uint32_t total = 1 + (uint32_t)rng_below(&rng, 300);
		struct tlp_requester r;
		tlp_requester_start(&r, start, total, 0, 0);
		for (int i = 0; i < 3; i++) {
			uint32_t missing = r.bytes, got;
			const uint8_t *data;
			const struct tlp cpl = {
				.type = TLP_CPLD,
				.length_dw = (uint16_t)(1 + rng_below(&rng, 80)),
				.byte_count =
					(uint16_t)(rng_below(&rng, 2) ? r.bytes : 1 + rng_below(&rng, 300)),
				.lower_addr =
					(uint8_t)(rng_below(&rng, 2) ? r.addr % 128 : rng_below(&rng, 128)),
				.payload = payload,
			};
			tlp_requester_accept(&r, &cpl, &data, &got);
			assert_true(got <= missing && r.bytes == missing - got);
			assert_true(got == 0 ||
				    (data >= payload && data + got <= payload + cpl.length_dw * 4u));
			taken += got != 0;
		}
	}
	assert_true(taken > 1000);
}

#define MEMORY_BYTES (5 * 4096u)
#define GUARD_BYTES  64u
#define REQUESTS_MAX (MEMORY_BYTES / 64)

/* One read on its way: its completer's end and its requester's end. */
struct flight {
	struct tlp_completer completer;
	struct tlp_requester requester;
	uint8_t *into;
};

/* Takes the next completion of a flight through the wire; returns false when the read is finished. */
static bool deliver_one(struct flight *f, const uint8_t *memory, uint32_t mps, uint32_t rcb, bool pieces)
{
	static uint8_t wire[TLP_WIRE_BYTES_MAX], payload[4096];
	struct tlp cpl, seen;
	uint64_t addr;
	uint32_t bytes;
	const uint8_t *data;

	assert_true(tlp_completer_next(&f->completer, mps, rcb, pieces, &cpl, &addr, &bytes));
	memset(payload, 0xee, sizeof(payload)); /* padding is not memory's content */
	memcpy(payload + addr % 4, memory + addr, bytes);
	cpl.payload = payload;
	size_t size = tlp_encode(&cpl, wire, sizeof(wire));
	assert_true(size <= 12 + mps);
	uint8_t *exact = exact_copy(wire, size);
	assert_int_equal(tlp_decode(&seen, exact, size), TLP_OK);
	enum tlp_cpl_result result = tlp_requester_accept(&f->requester, &seen, &data, &bytes);
	assert_true(result == TLP_CPL_PART || result == TLP_CPL_DONE);
	memcpy(f->into, data, bytes);
	f->into += bytes;
	free(exact);
	return result != TLP_CPL_DONE;
}

/* Reads a span as requests of at most mrrs bytes and gives their completions back in an order that is random
 * across requests. */
static void read_span(struct rng *rng, const uint8_t *memory, uint64_t start, uint32_t total, uint32_t mrrs,
		      uint32_t mps, uint32_t rcb, bool pieces, uint8_t *into)
{
	static struct flight flights[REQUESTS_MAX];
	unsigned count = 0;

	for (uint32_t done = 0; done < total;) {
		uint8_t wire[16];
		uint32_t n = tlp_split_bytes(start + done, total - done, mrrs, rng_below(rng, 2) ? 64 : 0);
		struct tlp req = read_request(start + done, n), seen;
		struct flight *f = &flights[count++];
		assert_true(req.length_dw * 4u <= mrrs);
		assert_int_equal(tlp_decode(&seen, wire, tlp_encode(&req, wire, sizeof(wire))), TLP_OK);
		tlp_completer_start(&f->completer, &seen, COMPLETER_ID);
		tlp_requester_start(&f->requester, start + done, n, req.tc, req.attr);
		f->into = into + done;
		done += n;
	}
	while (count != 0) {
		unsigned i = (unsigned)rng_below(rng, count);
		if (!deliver_one(&flights[i], memory, mps, rcb, pieces))
			flights[i] = flights[--count];
	}
}

static void test_reads_of_random_spans_give_exactly_the_bytes_at_all_sizes(void **state)
{
	(void)state;
	static uint8_t memory[MEMORY_BYTES], got[MEMORY_BYTES + 2 * GUARD_BYTES],
		want[MEMORY_BYTES + 2 * GUARD_BYTES];
	struct rng rng;
	rng_seed(&rng, test_seed(23), 0);
	for (size_t i = 0; i < sizeof(memory); i++)
		memory[i] = (uint8_t)rng_u64(&rng);
	/* MPS, MRRS, RCB, in RCB pieces or not */
	for (unsigned i = 0; i < 6 * 6 * 2 * 2 * 12; i++) {
		uint32_t mps = 128u << i % 6, mrrs = 128u << i / 6 % 6, rcb = 64u << i / 36 % 2;
		bool pieces = i / 72 % 2;
		uint64_t start = rng_below(&rng, 4096);
		uint32_t total =
			1 + (uint32_t)rng_below(&rng, rng_below(&rng, 2) ? MEMORY_BYTES - start : 200);
		memset(got, 0xa5, sizeof(got));
		memset(want, 0xa5, sizeof(want));
		memcpy(want + GUARD_BYTES, memory + start, total);
		read_span(&rng, memory, start, total, mrrs, mps, rcb, pieces, got + GUARD_BYTES);
		assert_memory_equal(got, want, sizeof(got));
	}
}

/* Starts and ends one byte either side of the DW, RCB and page edges. */
static void test_reads_around_boundaries_give_exactly_the_bytes(void **state)
{
	(void)state;
	static const uint32_t edges[] = {0, 4, 64, 128, 4096, 4160, 8192};
	static uint8_t memory[MEMORY_BYTES], got[MEMORY_BYTES + 2 * GUARD_BYTES],
		want[MEMORY_BYTES + 2 * GUARD_BYTES];
	struct rng rng;
	rng_seed(&rng, test_seed(24), 0);
	for (size_t i = 0; i < sizeof(memory); i++)
		memory[i] = (uint8_t)(i * 11 + i / 256);
	for (unsigned i = 0; i < 7 * 7 * 3 * 3 * 4; i++) {
		uint32_t start = 256 + edges[i % 7] + i / 49 % 3 - 1,
			 end = 256 + edges[i / 7 % 7] + i / 147 % 3 - 1;
		bool pieces = i / 441 % 2;
		uint32_t rcb = i / 882 ? 128 : 64;
		if (end <= start)
			continue;
		memset(got, 0xa5, sizeof(got));
		memset(want, 0xa5, sizeof(want));
		memcpy(want + GUARD_BYTES, memory + start, end - start);
		read_span(&rng, memory, start, end - start, 512, 128, rcb, pieces, got + GUARD_BYTES);
		assert_memory_equal(got, want, sizeof(got));
	}
}

/* Applies a write as a memory does: enabled byte lanes only. */
static void apply_write(uint8_t *memory, const struct tlp *w)
{
	for (unsigned b = 0; b < w->length_dw * 4u; b++) {
		unsigned be = b < 4 ? w->first_be : b / 4 == w->length_dw - 1u ? w->last_be : 0xf;
		if (be >> b % 4 & 1)
			memory[w->addr + b] = w->payload[b];
	}
}

static void test_writes_of_random_spans_change_exactly_their_bytes(void **state)
{
	(void)state;
	static uint8_t memory[MEMORY_BYTES], want[MEMORY_BYTES], data[MEMORY_BYTES], wire[TLP_WIRE_BYTES_MAX];
	struct rng rng;
	rng_seed(&rng, test_seed(25), 0);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)rng_u64(&rng);
	for (unsigned i = 0; i < 600; i++) {
		uint32_t mps = 128u << i % 6;
		uint64_t start = rng_below(&rng, 4096);
		uint32_t total = 1 + (uint32_t)rng_below(&rng, MEMORY_BYTES - start);
		memset(memory, 0x5a, sizeof(memory));
		memset(want, 0x5a, sizeof(want));
		memcpy(want + start, data + start, total);
		for (uint32_t done = 0; done < total;) {
			uint8_t payload[4096];
			uint64_t addr = start + done;
			uint32_t n = tlp_split_bytes(addr, total - done, mps, i % 2 ? 128 : 0);
			struct tlp in = {.type = TLP_MWR, .payload = payload}, out;
			memset(payload, 0xee, sizeof(payload));
			memcpy(payload + addr % 4, data + addr, n);
			tlp_set_span(&in, addr, n);
			size_t size = tlp_encode(&in, wire, sizeof(wire));
			assert_true(size <= 12 + mps);
			assert_int_equal(tlp_decode(&out, wire, size), TLP_OK);
			apply_write(memory, &out);
			done += n;
		}
		assert_memory_equal(memory, want, sizeof(memory));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_completer_worked_examples_give_listed_pieces,
			 "CPL-005 CPL-006 CPL-008 CPL-009 CPL-010 TLP-002"),
		REQ_TEST(test_split_worked_example_cuts_at_the_page, "TLP-004"),
		REQ_TEST(test_completer_one_dw_reads_have_byte_count_and_lower_address_of_first_be,
			 "CPL-006 CPL-007 TLP-009"),
		REQ_TEST(test_completions_copy_ids_tag_class_and_attributes, "CPL-003 TAG-003 TAG-005"),
		REQ_TEST(test_completions_without_data_have_type_and_byte_count_of_their_request,
			 "CPL-004 CPL-005 CPL-006 CPL-013 CPL-014"),
		REQ_TEST(test_completion_with_dw_has_byte_count_4_and_lower_address_0,
			 "CPL-004 CPL-005 CPL-006"),
		REQ_TEST(test_locked_read_is_completed_with_locked_completions, "CPL-004"),
		REQ_TEST(test_completer_pieces_of_random_reads_keep_all_rules,
			 "CPL-005 CPL-006 CPL-008 CPL-009 CPL-010 CPL-011"),
		REQ_TEST(test_requester_drops_padding_bytes, "CPL-012 CPL-015"),
		REQ_TEST(test_requester_of_mismatching_completion_drops_it_and_still_finishes,
			 "CPL-016 ERR-009 ERR-010"),
		REQ_TEST(test_requester_accepts_ido_chosen_by_the_completer, "CPL-016"),
		REQ_TEST(test_requester_after_the_last_completion_drops_more, "ERR-010"),
		REQ_TEST(test_requester_of_pieces_out_of_order_drops_them, "CPL-011 CPL-016 ERR-009"),
		REQ_TEST(test_requester_of_failed_completion_fails_the_request,
			 "CPL-002 CPL-013 CPL-014 CPL-018 ERR-004 ERR-005 ERR-006 ERR-011"),
		REQ_TEST(test_requester_of_poisoned_completion_fails_the_request, "CPL-017 ERR-012"),
		REQ_TEST(test_requester_of_random_completions_stays_inside, "CPL-015 CPL-016"),
		REQ_TEST(test_reads_of_random_spans_give_exactly_the_bytes_at_all_sizes,
			 "CPL-009 CPL-010 CPL-011 CPL-012 CPL-015 TLP-004 TLP-005"),
		REQ_TEST(test_reads_around_boundaries_give_exactly_the_bytes,
			 "CPL-008 CPL-009 CPL-012 CPL-015"),
		REQ_TEST(test_writes_of_random_spans_change_exactly_their_bytes, "TLP-004 TLP-005 TLP-008"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
