/* Bad LCRCs and a link that goes down. */
#include "tests/unit/pcie/link_fixture.h"

/* ---- Errors ---- */

/* A seed whose first transmissions fail and succeed as `bad` says, at one in two. */
static uint64_t seed_with(const bool *bad, unsigned n)
{
	for (uint64_t seed = 0;; seed++) {
		struct rng r;
		rng_seed(&r, seed, 0);
		unsigned i = 0;
		while (i < n && rng_chance_ppm(&r, 500000) == bad[i])
			i++;
		if (i == n)
			return seed;
	}
}

static void test_link_bad_lcrc_replays_it_and_all_sent_after_it(void **state)
{
	(void)state;
	/* Four are sent: good, bad, then two that the receiver drops whether good or bad; three again; the second of
	 * those is bad once more, and its successor dropped; two again. */
	static const bool bad[] = {false, true, false, true, false, true, false, false, false};
	struct link_config config = plain_config(3, 4);
	config.error_ppm = 500000;
	config.seed = seed_with(bad, ARRAY_SIZE(bad));
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	for (unsigned i = 0; i < 4; i++) {
		struct wire write = make_tlp(TLP_MWR, 256, 0, i);
		push(p.a, 0, &write);
	}
	/* The Nak leaves when the bad TLP has arrived; the sender answers it at once, its lanes being idle. */
	uint64_t nak_ps = 70000 + lanes_ps(3, 4, 8) + 70000;
	uint64_t first_nak_ps = lanes_ps(3, 4, 2 * 276) + nak_ps;
	uint64_t second_nak_ps = first_nak_ps + lanes_ps(3, 4, 2 * 276) + nak_ps;
	uint64_t expected_ps[] = {lanes_ps(3, 4, 276), first_nak_ps + lanes_ps(3, 4, 276),
				  second_nak_ps + lanes_ps(3, 4, 276),
				  second_nak_ps + lanes_ps(3, 4, 2 * 276)};
	for (unsigned i = 0; i < 4; i++) {
		struct link_rx rx;
		assert_true(link_pop(p.a, PS_PER_S, &rx));
		assert_int_equal(load_be32(rx.wire + 4) >> 16, i);
		assert_int_equal(rx.arrive_ps, expected_ps[i] + 70000);
	}
	assert_int_equal(count_pops(p.a, PS_PER_S), 0);
	const struct link_stats *stats = link_stats(p.a, PS_PER_S);
	assert_int_equal(stats->replays, 5);
	assert_int_equal(stats->wire_bytes, 9 * 276);
	assert_int_equal(stats->tlps[TLP_MWR], 4);
	assert_int_equal(stats->tlp_bytes, 4 * 268);
	assert_int_equal(link_stats(p.b, PS_PER_S)->dllps, 2); /* one Nak for each recovery */
	free_pair(p);
}

static void test_link_replay_goes_before_new_tlps_and_takes_no_new_credits(void **state)
{
	(void)state;
	static const bool bad[] = {true, false, false, false, false, false};
	struct link_config config = plain_config(3, 4);
	config.error_ppm = 500000;
	config.seed = seed_with(bad, ARRAY_SIZE(bad));
	struct link_credits credits = {{2, 0, 0}, {0, 0, 0}};
	struct pair p = make_pair(&config, &credits, NULL);
	struct wire write = make_tlp(TLP_MWR, 256, 0, 0),
		    completion = make_tlp(TLP_CPLD, 4, TLP_ATTR_RELAXED, 0);
	uint64_t nak_ps = lanes_ps(3, 4, 276) + 70000 + lanes_ps(3, 4, 8) + 70000;
	push(p.a, 0, &write);
	push(p.a, 0, &write);
	push(p.a, nak_ps - 1000, &completion); /* on the lanes when the Nak comes */
	push(p.a, nak_ps - 999, &completion);  /* behind the replay of all three */
	uint64_t again_ps = nak_ps - 1000 + lanes_ps(3, 4, 24);
	for (unsigned i = 1; i <= 2; i++)
		assert_in_range(pop_arrival(p.a, PS_PER_S) - 70000, again_ps + lanes_ps(3, 4, i * 276) - 1,
				again_ps + lanes_ps(3, 4, i * 276));
	for (unsigned i = 1; i <= 2; i++)
		assert_in_range(pop_arrival(p.a, PS_PER_S) - 70000,
				again_ps + lanes_ps(3, 4, 2 * 276 + i * 24) - 1,
				again_ps + lanes_ps(3, 4, 2 * 276 + i * 24));
	free_pair(p);
}

static void test_link_without_errors_never_replays(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 8);
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	struct wire write = make_tlp(TLP_MWR, 64, 0, 0);
	for (unsigned i = 0; i < 10000; i++)
		push(p.a, 0, &write);
	assert_int_equal(count_pops(p.a, PS_PER_S), 10000);
	assert_int_equal(link_stats(p.a, PS_PER_S)->replays, 0);
	free_pair(p);
}

static void test_link_error_rate_is_the_one_asked_for_and_shows_in_the_tail(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 8);
	config.error_ppm = 10000;
	config.seed = 7;
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	struct wire write = make_tlp(TLP_MWR, 64, 0, 0);
	uint64_t alone_ps = lanes_ps(3, 8, 84) + 70000, late = 0;
	for (uint64_t i = 0; i < 100000; i++) {
		push(p.a, i * PS_PER_US, &write);
		uint64_t took_ps = pop_arrival(p.a, i * PS_PER_US + 900000) - i * PS_PER_US;
		late += took_ps > alone_ps;
	}
	/* 1000 expected, standard deviation 31. */
	assert_in_range(late, 850, 1150);
	assert_in_range(link_stats(p.a, PS_PER_S)->replays, late, late + late / 10);
	free_pair(p);
}

/* ---- Link down ---- */

static void test_link_down_loses_what_is_under_way_and_resets_credits(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 4);
	struct link_credits credits = {{2, 0, 0}, {0, 0, 0}};
	struct link_receiver receiver = {.urgent = posted_is_lazy};
	struct wire write = make_tlp(TLP_MWR, 128, 0, 0), read = make_tlp(TLP_MRD, 0, 0, 0);
	struct pair p = make_pair(&config, &credits, &receiver);
	link_hold_credits(p.a, 0, TIME_NEVER_PS);
	for (int i = 0; i < 4; i++)
		push(p.a, 0, &write);
	push(p.b, 0, &read);
	/* The first has arrived, the second is on its way, the others wait for credits. */
	uint64_t down_ps = lanes_ps(3, 4, 148) + 70000;
	push(p.b, down_ps - 10, &read);
	assert_int_equal(link_next_ps(p.a, down_ps), TIME_NEVER_PS);
	link_down(p.a, down_ps);
	assert_int_equal(link_backlog_bytes(p.a, down_ps), 0);
	assert_int_equal(count_pops(p.a, PS_PER_US), 1);
	assert_int_equal(count_pops(p.b, PS_PER_US), 1);
	assert_int_equal(link_next_ps(p.a, PS_PER_US), TIME_NEVER_PS);
	/* Credits are as at first, and the hold is over. */
	for (int i = 0; i < 4; i++)
		push(p.a, PS_PER_US, &write);
	assert_int_equal(pop_arrival(p.a, 2 * PS_PER_US), PS_PER_US + lanes_ps(3, 4, 148) + 70000);
	assert_int_equal(pop_arrival(p.a, 2 * PS_PER_US), PS_PER_US + lanes_ps(3, 4, 2 * 148) + 70000);
	assert_int_equal(count_pops(p.a, PS_PER_S), 2);
	free_pair(p);
}

static void test_link_down_forgets_tlps_not_acknowledged(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 4);
	config.ack_interval = 2;
	struct wire write = make_tlp(TLP_MWR, 128, 0, 0);
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	push(p.a, 0, &write);
	link_down(p.a, PS_PER_US);
	push(p.a, PS_PER_US, &write);
	assert_int_equal(link_stats(p.b, 2 * PS_PER_US)->dllps, 0);
	push(p.a, 2 * PS_PER_US, &write);
	assert_int_equal(link_stats(p.b, 3 * PS_PER_US)->dllps, 1);
	free_pair(p);
}

static void test_link_down_while_a_nak_is_due_starts_afresh(void **state)
{
	(void)state;
	static const bool bad[] = {true, false, false};
	struct link_config config = plain_config(3, 4);
	config.error_ppm = 500000;
	config.seed = seed_with(bad, ARRAY_SIZE(bad));
	struct wire write = make_tlp(TLP_MWR, 128, 0, 0);
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	push(p.a, 0, &write);
	link_down(p.b, 1000);
	push(p.a, PS_PER_US, &write);
	assert_int_equal(pop_arrival(p.a, PS_PER_S), PS_PER_US + lanes_ps(3, 4, 148) + 70000);
	assert_int_equal(count_pops(p.a, PS_PER_S), 0);
	assert_int_equal(link_stats(p.a, PS_PER_S)->replays, 0);
	assert_int_equal(link_stats(p.b, PS_PER_S)->dllps, 0);
	free_pair(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_link_bad_lcrc_replays_it_and_all_sent_after_it, "DLL-002 DLL-008"),
		REQ_TEST(test_link_replay_goes_before_new_tlps_and_takes_no_new_credits, "DLL-008"),
		REQ_TEST(test_link_without_errors_never_replays, "DLL-007"),
		REQ_TEST(test_link_error_rate_is_the_one_asked_for_and_shows_in_the_tail, "DLL-007"),
		REQ_TEST(test_link_down_loses_what_is_under_way_and_resets_credits, "DLL-009"),
		cmocka_unit_test(test_link_down_forgets_tlps_not_acknowledged),
		cmocka_unit_test(test_link_down_while_a_nak_is_due_starts_afresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
