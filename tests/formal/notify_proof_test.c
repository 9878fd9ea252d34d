/* "A doorbell written is never lost", and what else the notify unit's sources assert (ks_notify.sv, ks_notify_fifo.sv,
 * ks_notify_arbiter.sv, ks_order_list.sv), proved by yosys' SAT solver on these very sources. Each mutant has one mistake that
 * loses doorbells, or serves queues it must not, or lets one wait for ever: it has to be found, or the proof is worth
 * nothing. */
#include "tests/check.h"
#include "tests/formal/yosys.h"

static const char *const sources[] = {
	"build/gen/csr_pkg.sv",
	"rtl-model/blocks/notify/ks_first_set.sv",
	"rtl-model/blocks/notify/ks_order_list.sv",
	"rtl-model/blocks/notify/ks_holdoffs.sv",
	"rtl-model/blocks/notify/ks_pace.sv",
	"rtl-model/blocks/notify/ks_notify_fifo.sv",
	"rtl-model/blocks/notify/ks_notify_arbiter.sv",
	"rtl-model/blocks/notify/ks_notify.sv",
	NULL,
};

static const struct design design = {"ks_notify", "notify.ys", sources};

static void test_notify_proof_every_arbitration(void **state)
{
	(void)state;
	static const char *const names[] = {"round_robin", "strict", "oldest", "weighted"};
	for (unsigned i = 0; i < 4; i++) {
		char name[64], parameters[128];
		snprintf(name, sizeof(name), "notify_%s", names[i]);
		snprintf(parameters, sizeof(parameters),
			 "-set QUEUES 4 -set FIFO_DEPTH 2 -set ARBITRATION %u", i);
		assert_int_equal(prove_by_induction(&design, name, parameters), PROOF_HOLDS);
	}
}

static void test_notify_proof_every_coalescing_option(void **state)
{
	(void)state;
	static const struct {
		const char *name, *parameters;
	} cases[] = {
		{"notify_longer_fifo", "-set QUEUES 2 -set FIFO_DEPTH 4 -set ARBITRATION 0"},
		{"notify_pending_only", "-set QUEUES 4 -set FIFO_DEPTH 0 -set ARBITRATION 0"},
		{"notify_no_holdoff", "-set QUEUES 2 -set FIFO_DEPTH 4 -set ARBITRATION 2 -set HOLDOFF 0"},
		{"notify_no_adaptive", "-set QUEUES 4 -set FIFO_DEPTH 2 -set ARBITRATION 0 -set ADAPTIVE 0"},
		{"notify_no_threshold",
		 "-set QUEUES 4 -set FIFO_DEPTH 2 -set ARBITRATION 0 -set THRESHOLD 0"},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(prove_by_induction(&design, cases[i].name, cases[i].parameters),
				 PROOF_HOLDS);
}

#define SMALL "-set QUEUES 2 -set FIFO_DEPTH 2 -set ARBITRATION 0"

static void test_notify_proof_bounded(void **state)
{
	(void)state;
	assert_int_equal(prove_bounded(&design, "notify_bounded", SMALL), PROOF_HOLDS);
}

static const struct mutant mutants[] = {
	{"service_clears_new_doorbell", "ks_notify.sv", "    if (turn) eligible_d[queue] = 1'b1;\n",
	 "    if (turn) eligible_d[queue] = 1'b1;\n"
	 "    if (serve_pending) pending_d[pick] = 1'b0;\n",
	 NULL, false},
	{"full_fifo_drops", "ks_notify.sv", "      RING:\n      if (!fifo_push) begin\n",
	 "      RING:\n      if (!fifo_push && !(fifo_mode_i && fifo_full)) begin\n", NULL, false},
	{"doorbell_beside_end_of_holdoff_lost", "ks_notify.sv", "doorbell_valid_i && doorbell_ready_o) begin",
	 "doorbell_valid_i && doorbell_ready_o && !mature) begin", NULL, false},
	{"doorbell_beside_register_write_lost", "ks_notify.sv",
	 "assign doorbell_ready_o = csr_ready_o && !csr_write_i;", "assign doorbell_ready_o = csr_ready_o;",
	 NULL, false},
	{"disabled_queue_served", "ks_notify.sv", "if (disables) state_d = DROP;", "", NULL, false},
	{"revisit_takes_from_list_too_much", "ks_notify.sv", "        list_remove = turn;\n",
	 "        list_remove = !list_empty;\n", NULL, false},
	{"kick_leaves_queue_in_list", "ks_notify.sv",
	 "        turn             = !is_eligible;\n        list_remove      = is_holding;\n",
	 "        turn             = !is_eligible;\n", NULL, false},
	{"sweep_drops_all", "ks_notify_fifo.sv",
	 "assign put             = push_i || (sweep_i && !sweep_dropped_o);",
	 "assign put             = push_i;", NULL, false},
	{"queue_bit_goes_with_first_entry", "ks_notify_fifo.sv",
	 "if (take && newest_m[head_queue_o] == head_q)", "if (take)", NULL, false},
	{"entry_overwritten_when_full", "ks_notify_fifo.sv", "count_q == limit_i && !pop_i;",
	 "count_q > limit_i && !pop_i;", NULL, false},
	{"list_forgets_tail", "ks_order_list.sv", "      if (is_tail) tail_d = prev;\n", "", NULL, false},
	{"list_forgets_way_back", "ks_order_list.sv", "      prev_write = !is_head && !is_tail;\n", "",
	 "-set QUEUES 4 -set FIFO_DEPTH 0 -set ARBITRATION 0", false},
	{"shorter_holdoff_stays_in_list", "ks_holdoffs.sv", "(add_i ? add_class_i : index_class)",
	 "(add_i ? add_class_i : '0)", NULL, false},
	{"end_of_shorter_holdoff_taken_for_that_of_longest", "ks_holdoffs.sv",
	 "if (over[i]) over_index_o = heads[i*INDEX_BITS+:INDEX_BITS];",
	 "if (over[i]) over_index_o = heads[INDEX_BITS-1:0];", NULL, false},
	{"round_robin_passes_one_over", "ks_notify_arbiter.sv", "~((QUEUES'(2) << last_q)",
	 "~((QUEUES'(4) << last_q)", "-set QUEUES 4 -set FIFO_DEPTH 0 -set ARBITRATION 0", false},
	{"order_forgets_one_that_comes_with_a_service", "ks_notify_arbiter.sv",
	 "assign put        = oldest && (turn_i ||",
	 "assign put        = oldest && ((turn_i && !served_i) ||",
	 "-set QUEUES 2 -set FIFO_DEPTH 0 -set ARBITRATION 2", false},
	{"order_keeps_disabled_queue", "ks_notify.sv", "state_d = order_needed ? SWEEP_ORDER :", "state_d =",
	 "-set QUEUES 2 -set FIFO_DEPTH 0 -set ARBITRATION 2", false},
};

static void test_notify_proof_finds_every_mutant(void **state)
{
	(void)state;
	assert_int_equal(count_survivors(&design, SMALL, mutants, ARRAY_SIZE(mutants)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notify_proof_every_arbitration),
		cmocka_unit_test(test_notify_proof_every_coalescing_option),
		cmocka_unit_test(test_notify_proof_bounded),
		cmocka_unit_test(test_notify_proof_finds_every_mutant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
