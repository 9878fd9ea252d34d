#include "host-sim/serve/report_serve.h"

#include "host-sim/report.h"

#include <inttypes.h>

#define NS_PER_S 1e9

static const char *pace_name(const struct serve *serve)
{
	return serve->options.pace == LOOP_WALL ? "wall" : "free";
}

/* What simulated figures mean when the guest lives in another time. */
static const char *pace_meaning(const struct serve *serve)
{
	return serve->options.pace == LOOP_WALL ? "simulated time follows the clock: rates and latencies are "
						  "those of the card as long as "
						  "it does not lag"
						: "simulated time runs while the card has work: latencies "
						  "are the card's; rates are not, "
						  "since the guest's own time does not count";
}

static void print_record(const struct serve *serve, FILE *out)
{
	const struct record_stats *recorded = &serve->recorded;
	if (!serve->options.record)
		return;
	fprintf(out,
		"recorded   %" PRIu64 " requests in %s, %" PRIu64 " doorbells in %s.doorbells; %" PRIu64
		" requests left out (GET_ID, secure erase, refused)",
		recorded->requests, serve->options.record, recorded->doorbells, serve->options.record,
		recorded->left_out);
	if (recorded->late != 0)
		fprintf(out, ", %" PRIu64 " out of order", recorded->late);
	fputc('\n', out);
}

void report_serve(const struct serve *serve, FILE *out)
{
	const struct figures figures = figures_since(&serve->end, &serve->start);
	const struct loop_stats *loop = &serve->loop_stats;
	fprintf(out, "kickstand %s   %s on %s   disk %s   pace %s\n", KICKSTAND_VERSION,
		serve->options.front_end->name, serve->options.path, store_info(serve->options.store)->spec,
		pace_name(serve));
	fprintf(out, "clients    %" PRIu64 " served, %" PRIu64 " turned away; %" PRIu64 " requests\n",
		serve->clients, serve->refused, serve->requests);
	report_card(serve->options.config, &figures, serve->requests, out);
	fprintf(out,
		"time       %.3f ms simulated in %.2f s, asleep %.2f s; at most %.3f ms behind the clock\n",
		(double)figures.time_ps / (double)PS_PER_MS, (double)loop->wall_ns / NS_PER_S,
		(double)loop->asleep_ns / NS_PER_S, (double)loop->lag_max_ns / 1e6);
	fprintf(out, "           %s\n", pace_meaning(serve));
	print_record(serve, out);
	fputc('\n', out);
	if (serve->requests != 0)
		report_stages(&serve->stages, out);
}

int results_write_serve(const struct serve *serve, const char *path, char *error, size_t error_size)
{
	const struct figures figures = figures_since(&serve->end, &serve->start);
	const struct loop_stats *loop = &serve->loop_stats;
	json_t *root = json_object();
	json_object_set_new(root, "kickstand", results_program(serve->options.config, serve->options.store));
	json_object_set_new(root, "serve",
			    json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:I}", "protocol",
				      serve->options.front_end->name, "pace", pace_name(serve), "meaning",
				      pace_meaning(serve), "clients", (json_int_t)serve->clients, "refused",
				      (json_int_t)serve->refused, "requests", (json_int_t)serve->requests,
				      "wall_s", (double)loop->wall_ns / NS_PER_S, "asleep_s",
				      (double)loop->asleep_ns / NS_PER_S, "lag_max_ns",
				      (json_int_t)loop->lag_max_ns));
	if (serve->options.record)
		json_object_set_new(root, "record",
				    json_pack("{s:s, s:I, s:I, s:I, s:I}", "file", serve->options.record,
					      "requests", (json_int_t)serve->recorded.requests, "left_out",
					      (json_int_t)serve->recorded.left_out, "late",
					      (json_int_t)serve->recorded.late, "doorbells",
					      (json_int_t)serve->recorded.doorbells));
	json_object_set_new(root, "sim",
			    json_pack("{s:I, s:I}", "time_ns", (json_int_t)(figures.time_ps / PS_PER_NS),
				      "events", (json_int_t)figures.events));
	json_object_set_new(root, "device",
			    results_card(serve->options.config, serve->card.guest.device, &figures));
	json_object_set_new(root, "link", results_links(&figures));
	json_object_set_new(root, "stages_ns", results_stages(&serve->stages));
	return results_dump(root, path, error, error_size);
}
