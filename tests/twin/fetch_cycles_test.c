/* The fetch engine's times: the C model, calibrated by its keys (fetch.*_cycles), beside the RTL twin. Every transfer and every
 * record of a scenario has to come at the same cycle, give or take TOLERANCE. Prints the stages as measured. */
#include "rtl-model/blocks/fetch/fetch_rtl.h"
#include "tests/unit/rtl-model/fetch_fixture.h"

#define GUEST_BYTES     UINT64_C(0x400000)
#define TOLERANCE       2u  /* cycles, of a stage that nothing else disturbs */
#define CROWD_TOLERANCE 12u /* of any of many chains at once, which wait for each other */
#define READ_PS         (500 * PS_PER_NS)
#define TIMES_MAX       1024u

enum { MODEL, TWIN_RTL, SIDES };

struct times {
	uint64_t start_ps, period_ps;
	struct rig *rig;
	struct {
		uint64_t addr, at_ps;
	} transfer[TIMES_MAX];
	unsigned transfers;
	uint64_t record_ps[SLOTS]; /* by sequence number */
	unsigned records;
};

static void trace(void *ctx, const struct dma_request *request)
{
	struct times *t = ctx;
	assert_true(t->transfers < TIMES_MAX);
	t->transfer[t->transfers].addr = request->addr;
	t->transfer[t->transfers++].at_ps = t->rig->sim.now_ps;
}

static uint64_t cycles(const struct times *t, uint64_t ps)
{
	return (ps - t->start_ps) / t->period_ps;
}

/* ---- scenarios: what stands in the ring ---- */

struct scenario {
	const char *name;
	void (*prepare)(struct rig *rig, struct vq *vq);
	unsigned tolerance;
	bool hinted;
};

static void add_plain(struct rig *rig, struct vq *vq, unsigned count)
{
	struct chain chain = plain_chain(rig, 4096, true, 1);
	for (unsigned i = 0; i < count; i++) {
		put_chain(rig, vq, 3 * i, &chain);
		add_head(rig, vq, (uint16_t)(3 * i));
	}
}

static void plain(struct rig *rig, struct vq *vq)
{
	add_plain(rig, vq, 1);
}

static void nothing(struct rig *rig, struct vq *vq)
{
	(void)rig;
	(void)vq;
}

static void indirect(struct rig *rig, struct vq *vq)
{
	struct chain chain = plain_chain(rig, 4096, true, 1);
	for (unsigned i = 0; i < 40; i++) /* more than one read of the table */
		add_piece(rig, &chain, 512, true, 0);
	put_desc(rig, vq, 0, put_table(rig, &chain, 0), 16 * chain.count, INDIRECT, 0);
	add_head(rig, vq, 0);
}

static void scattered(struct rig *rig, struct vq *vq)
{
	struct chain chain = plain_chain(rig, 4096, true, 1);
	for (unsigned i = 0; i < 3; i++)
		put_desc(rig, vq, 50 * i, chain.piece[i].addr, chain.piece[i].bytes,
			 (uint16_t)((chain.piece[i].write ? WRITE : 0) | (i < 2 ? NEXT : 0)),
			 (uint16_t)(50 * i + 50));
	add_head(rig, vq, 0);
}

static void cut_header(struct rig *rig, struct vq *vq)
{
	struct chain chain = {0};
	for (unsigned i = 0; i < 8; i++)
		add_header_piece(rig, &chain, 2 * i, 2);
	add_piece(rig, &chain, 1, true, 0);
	put_chain(rig, vq, 0, &chain);
	add_head(rig, vq, 0);
}

static void bad_chain(struct rig *rig, struct vq *vq)
{
	struct chain chain = plain_chain(rig, 4096, true, 1);
	put_chain(rig, vq, 0, &chain);
	put_desc(rig, vq, 1, chain.piece[1].addr, 0, WRITE | NEXT, 2);
	add_head(rig, vq, 0);
}

static void few(struct rig *rig, struct vq *vq)
{
	add_plain(rig, vq, 8);
}

static void batch(struct rig *rig, struct vq *vq)
{
	add_plain(rig, vq, 16);
}

static void many(struct rig *rig, struct vq *vq)
{
	add_plain(rig, vq, 64);
}

static const struct scenario scenarios[] = {
	{"empty ring", nothing, TOLERANCE, false},
	{"one chain", plain, TOLERANCE, false},
	{"one chain, with a hint", plain, TOLERANCE, true},
	{"indirect table of 43", indirect, TOLERANCE, false},
	{"chain across the table", scattered, TOLERANCE, false},
	{"header in eight pieces", cut_header, TOLERANCE, false},
	{"bad chain", bad_chain, TOLERANCE, false},
	{"8 chains", few, TOLERANCE, false},
	{"16 chains", batch, CROWD_TOLERANCE, false},
	{"64 chains", many, CROWD_TOLERANCE, false},
};

/* ---- runs ---- */

static struct rig *create(unsigned side, struct times *times)
{
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig->create = side == MODEL ? fetch_create : fetch_rtl_create;
	rig->config.fetch.batch = 64;
	rig->config.fetch.inflight = 64;
	rig->host->read_ps_min = rig->host->read_ps_max = READ_PS;
	rig_start(rig);
	memset(times, 0, sizeof(*times));
	times->rig = rig;
	times->period_ps = config_period_ps(rig->config.device.clock_mhz);
	rig->host->ctx = times;
	return rig;
}

static void run(unsigned side, const struct scenario *scenario, struct times *times)
{
	struct rig *rig = create(side, times);
	struct vq vq = vq_create(rig, 0, 256, true, true);
	int slot;
	program(rig, &vq);
	sim_run_for(&rig->sim, 10 * PS_PER_US);
	scenario->prepare(rig, &vq);
	publish(rig, &vq);
	rig->host->taken = trace;
	times->start_ps = rig->sim.now_ps;
	serve_hinted(rig, &vq, scenario->hinted, vq.index);
	sim_run_for(&rig->sim, 100 * PS_PER_US);
	while ((slot = take_record(rig)) >= 0) {
		uint16_t sequence = slot_of(rig, (unsigned)slot)->sequence;
		times->record_ps[sequence] = rig->probe.slot[slot].at_ps[STAGE_RECORD];
		times->records++;
	}
	rig_free(rig);
}

static void assert_close(uint64_t model, uint64_t rtl, unsigned tolerance, const char *what, unsigned number)
{
	uint64_t apart = model > rtl ? model - rtl : rtl - model;
	if (apart > tolerance)
		fail_msg("%s %u: model at cycle %llu, RTL at %llu", what, number, (unsigned long long)model,
			 (unsigned long long)rtl);
}

/* The n-th transfer to an address: of many chains at once the transfers need not come in the same order. */
static unsigned find(const struct times *times, uint64_t addr, unsigned nth)
{
	for (unsigned i = 0; i < times->transfers; i++)
		if (times->transfer[i].addr == addr && nth-- == 0)
			return i;
	fail_msg("no transfer to %#llx", (unsigned long long)addr);
	return 0;
}

static unsigned count_before(const struct times *times, unsigned index)
{
	unsigned count = 0;
	for (unsigned i = 0; i < index; i++)
		count += times->transfer[i].addr == times->transfer[index].addr;
	return count;
}

static void test_fetch_model_takes_the_cycles_of_the_twin(void **state)
{
	(void)state;
	static struct times model, rtl;
	for (unsigned n = 0; n < ARRAY_SIZE(scenarios); n++) {
		const struct scenario *scenario = &scenarios[n];
		run(MODEL, scenario, &model);
		run(TWIN_RTL, scenario, &rtl);
		assert_int_equal(rtl.transfers, model.transfers);
		assert_int_equal(rtl.records, model.records);
		for (unsigned i = 0; i < model.transfers; i++) {
			unsigned k = find(&rtl, model.transfer[i].addr, count_before(&model, i));
			assert_close(cycles(&model, model.transfer[i].at_ps),
				     cycles(&rtl, rtl.transfer[k].at_ps), scenario->tolerance, scenario->name,
				     i);
		}
		for (unsigned i = 0; i < model.records; i++)
			assert_close(cycles(&model, model.record_ps[i]), cycles(&rtl, rtl.record_ps[i]),
				     scenario->tolerance, scenario->name, i);
		uint64_t model_end = model.records ? model.record_ps[model.records - 1] : model.start_ps;
		uint64_t rtl_end = rtl.records ? rtl.record_ps[rtl.records - 1] : rtl.start_ps;
		printf("%-24s last record after %5llu cycles in the model, %5llu in RTL\n", scenario->name,
		       (unsigned long long)cycles(&model, model_end),
		       (unsigned long long)cycles(&rtl, rtl_end));
	}
}

/* ---- the stages by name, of one chain ---- */

static uint64_t step_cycles(const struct times *t, unsigned from, unsigned to)
{
	return (t->transfer[to].at_ps - t->transfer[from].at_ps - READ_PS) / t->period_ps;
}

static void test_fetch_stages_have_the_cycles_of_the_table(void **state)
{
	(void)state;
	enum { INDEX, ENTRIES, ARM, AGAIN, DESCRIPTORS, HEADER }; /* in the order of one chain's transfers */
	static struct times times[SIDES];
	for (unsigned s = 0; s < SIDES; s++)
		run(s, &scenarios[1], &times[s]);
	for (unsigned s = 0; s < SIDES; s++)
		assert_int_equal(times[s].transfers, HEADER + 1);
	const struct {
		const char *name;
		unsigned from, to;
		uint64_t expected;
	} stages[] = {
		{"index to entries read", INDEX, ENTRIES, 4},
		{"entries to avail_event", ENTRIES, ARM, 4},
		{"entries to descriptor read", ENTRIES, DESCRIPTORS, 6},
		{"3 descriptors to header read", DESCRIPTORS, HEADER, 3 + 3 + 1},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(stages); i++) {
		uint64_t model = step_cycles(&times[MODEL], stages[i].from, stages[i].to);
		uint64_t rtl = step_cycles(&times[TWIN_RTL], stages[i].from, stages[i].to);
		printf("%-30s model %llu, RTL %llu cycles\n", stages[i].name, (unsigned long long)model,
		       (unsigned long long)rtl);
		assert_int_equal(rtl, stages[i].expected);
		assert_close(model, rtl, TOLERANCE, stages[i].name, i);
	}
	for (unsigned s = 0; s < SIDES; s++) {
		const struct times *t = &times[s];
		uint64_t header_ps = t->transfer[HEADER].at_ps + READ_PS;
		assert_int_equal(cycles(t, t->transfer[INDEX].at_ps), 4);
		assert_int_equal(t->transfer[AGAIN].at_ps - t->transfer[ARM].at_ps, t->period_ps);
		assert_int_equal((t->record_ps[0] - header_ps) / t->period_ps, 3);
	}
}

/* Chains that wait for each other: what the shared machines take for one, from the times of many. */
static void test_fetch_machines_take_the_same_for_each_of_many(void **state)
{
	(void)state;
	static struct times times[SIDES];
	uint64_t each[SIDES];
	for (unsigned s = 0; s < SIDES; s++) {
		run(s, &scenarios[ARRAY_SIZE(scenarios) - 1], &times[s]);
		uint64_t span_ps = times[s].record_ps[63] - times[s].record_ps[0];
		each[s] = span_ps * 100 / times[s].period_ps / 63;
		printf("64 chains: a record every %llu.%02llu cycles %s\n", (unsigned long long)each[s] / 100,
		       (unsigned long long)each[s] % 100, s == MODEL ? "in the model" : "in RTL");
	}
	assert_in_range(each[TWIN_RTL], each[MODEL] - each[MODEL] / 20, each[MODEL] + each[MODEL] / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fetch_model_takes_the_cycles_of_the_twin),
		cmocka_unit_test(test_fetch_stages_have_the_cycles_of_the_table),
		cmocka_unit_test(test_fetch_machines_take_the_same_for_each_of_many),
	};
	return cmocka_run_group_tests_name("fetch cycles", tests, NULL, NULL);
}
