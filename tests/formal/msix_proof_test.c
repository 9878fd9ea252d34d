/* The rules of masks and pending bits (PCIe 6.0 §6.1.4.4, §6.1.4.5), as ks_msix.sv asserts them, proved by yosys' SAT solver on
 * that very source: what is masked or disabled never sends, an event of a masked vector is pending and stands in the PBA,
 * unmasking sends it once, nothing is sent twice for one event or without one, and nobody is passed over for ever. Each mutant
 * breaks a rule, and has to be found. */
#include "tests/check.h"
#include "tests/formal/yosys.h"

static const char *const sources[] = {
	"build/gen/csr_pkg.sv",
	"rtl-model/blocks/notify/ks_first_set.sv",
	"rtl-model/blocks/notify/ks_order_list.sv",
	"rtl-model/blocks/notify/ks_holdoffs.sv",
	"rtl-model/blocks/notify/ks_pace.sv",
	"rtl-model/blocks/msix/ks_msix.sv",
	NULL,
};

static const struct design design = {"ks_msix", "msix.ys", sources};

#define SMALL "-set VECTORS 2"

static void test_msix_proof_every_option(void **state)
{
	(void)state;
	static const struct {
		const char *name, *parameters;
	} cases[] = {
		{"msix_three", "-set VECTORS 3"},
		{"msix_four", "-set VECTORS 4"},
		{"msix_no_moderation", "-set VECTORS 4 -set MODERATION 0"},
		{"msix_no_adaptive", "-set VECTORS 3 -set ADAPTIVE 0"},
		{"msix_no_threshold", "-set VECTORS 3 -set THRESHOLD 0"},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(prove_by_induction(&design, cases[i].name, cases[i].parameters),
				 PROOF_HOLDS);
}

static void test_msix_proof_bounded(void **state)
{
	(void)state;
	assert_int_equal(prove_bounded(&design, "msix_bounded", SMALL), PROOF_HOLDS);
}

static const struct mutant mutants[] = {
	{"function_mask_ignored", "ks_msix.sv", "run && enable_i && !function_mask_i && may_send_i &&",
	 "run && enable_i && may_send_i &&", NULL, false},
	{"enable_ignored", "ks_msix.sv", "run && enable_i && !function_mask_i && may_send_i &&",
	 "run && !function_mask_i && may_send_i &&", NULL, false},
	{"bus_master_ignored", "ks_msix.sv", "run && enable_i && !function_mask_i && may_send_i &&",
	 "run && enable_i && !function_mask_i &&", NULL, false},
	{"vector_mask_ignored", "ks_msix.sv", "assign ready_pick   = wait_m[pick_word] & ~mask_m[pick_word];",
	 "assign ready_pick   = wait_m[pick_word];", NULL, false},
	{"sent_twice", "ks_msix.sv", "        wait_d    = wait_word & ~one;\n", "", NULL, false},
	{"masked_event_lost", "ks_msix.sv", "if (enable_i && !is_waiting) begin",
	 "if (enable_i && !is_waiting && !is_masked) begin", NULL, false},
	{"event_beside_message_lost", "ks_msix.sv",
	 "assign idle          = run && !send && !(expire && expire_first_q);",
	 "assign idle          = run && !(expire && expire_first_q);", NULL, false},
	{"unmask_does_not_send", "ks_msix.sv", "    ready_d[word] = (wait_d & ~mask_d) != '0;\n",
	 "    if (operation != WRITE_TABLE) ready_d[word] = (wait_d & ~mask_d) != '0;\n", NULL, false},
	{"pending_bit_hidden_by_function_mask", "ks_msix.sv",
	 "(enable_i && !function_mask_i ? mask_m[pba_word] : '1)", "mask_m[pba_word]", NULL, false},
	{"unmasked_vector_shown_pending", "ks_msix.sv",
	 "(enable_i && !function_mask_i ? mask_m[pba_word] : '1)", "'1", NULL, false},
	{"end_of_holdoff_forgets_events", "ks_msix.sv",
	 "        list_remove = 1'b1;\n        fire        = is_held;\n", "        list_remove = 1'b1;\n",
	 NULL, false},
	{"held_without_holdoff", "ks_msix.sv", "event_moderated_i && is_running && !is_over",
	 "event_moderated_i", NULL, false},
	{"fired_vector_stays_in_list", "ks_msix.sv", "        list_remove = fire && is_running;\n", "", NULL,
	 false},
	{"shorter_holdoff_stays_in_list", "ks_holdoffs.sv", "(add_i ? add_class_i : index_class)",
	 "(add_i ? add_class_i : '0)", NULL, false},
	{"one_vector_waits_for_ever", "ks_msix.sv", "~((WIDTH'(2) << PLACE_BITS'(last_q))",
	 "~((WIDTH'(4) << PLACE_BITS'(last_q))", "-set VECTORS 4", true},
};

static void test_msix_proof_finds_every_mutant(void **state)
{
	(void)state;
	assert_int_equal(count_survivors(&design, SMALL, mutants, ARRAY_SIZE(mutants)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_msix_proof_every_option, "INT-005 INT-006 INT-008 INT-010"),
		cmocka_unit_test(test_msix_proof_bounded),
		cmocka_unit_test(test_msix_proof_finds_every_mutant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
