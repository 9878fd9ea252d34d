#include "host-sim/run.h"

#include "host-sim/driver/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Simulated time between two looks at watchdog and wall clock. */
#define SLICE_PS         (200 * PS_PER_US)
#define PROGRESS_AFTER_S 1.0
#define PROGRESS_EVERY_S 0.2
#define REMOTE_LOOK_PS   (100 * PS_PER_MS)

static void fail(struct run *run, enum run_outcome outcome, const char *format, ...) PRINTF_LIKE(3, 4);

/* The first failure counts. */
static void fail(struct run *run, enum run_outcome outcome, const char *format, ...)
{
	va_list args;
	if (run->outcome != RUN_DONE)
		return;
	run->outcome = outcome;
	va_start(args, format);
	vsnprintf(run->error, sizeof(run->error), format, args);
	va_end(args);
}

/* ---- phases: jobs of one phase run together, phases one after the other ---- */

static bool phase_over(const struct run *run)
{
	for (unsigned i = 0; i < run->clients; i++)
		if (run->client[i].job->phase == run->phase && !client_over(&run->client[i]))
			return false;
	return true;
}

static void wake_cpus(struct run *run)
{
	for (unsigned i = 0; i < run->guest.cpus; i++)
		guest_cpu_wake(&run->guest.cpu[i]);
}

static void begin_phase(struct run *run)
{
	uint64_t seed = run->options.config->sim.seed;
	for (unsigned i = 0; i < run->clients; i++) {
		struct client *client = &run->client[i];
		if (client->job->phase == run->phase)
			client_begin(client, kernel_now_ps() + fio_job_start_delay_ps(client->job,
										      client->clone, seed));
	}
	wake_cpus(run);
}

/* Of a card behind a socket only the guest's own are known. */
static struct figures take_figures(struct run *run)
{
	struct figures figures = {.time_ps = kernel_now_ps(), .events = kernel_events()};
	if (!run->options.remote)
		return figures_now(&run->guest);
	for (unsigned i = 0; i < run->guest.cpus; i++)
		figures.host.interrupts += run->guest.cpu[i].interrupts;
	return figures;
}

static void end_run(struct run *run)
{
	run->over = true;
	run->end = take_figures(run);
	kernel_stop();
}

static void next_phase_if_over(struct run *run)
{
	while (!run->over && phase_over(run)) {
		if (++run->phase == run->phases)
			end_run(run);
		else
			begin_phase(run);
	}
}

/* The I/Os in flight are still waited for. */
static void interrupt_jobs(struct run *run)
{
	run->interrupted = true;
	run->phases = run->phase + 1;
	for (unsigned i = 0; i < run->clients; i++)
		if (run->client[i].job->phase == run->phase && !client_over(&run->client[i]))
			client_stop(&run->client[i]);
	wake_cpus(run);
}

/* exitall: the end of such a job ends all others of its phase. */
static void stop_others(struct run *run, const struct client *ended)
{
	for (unsigned i = 0; i < run->clients; i++)
		if (run->client[i].job->phase == ended->job->phase && !client_over(&run->client[i]))
			client_stop(&run->client[i]);
}

/* ---- a CPU's program ---- */

static void take_used(struct run *run, struct guest_cpu *cpu, struct blk_queue *queue, uint64_t handler_ps)
{
	unsigned taken = 0;
	struct client *last = NULL;
	do {
		struct blk_request *request;
		virtqueue_disable_interrupts(&queue->vq);
		while ((request = blk_take(queue)) != NULL) {
			struct client_io *io = request->cookie;
			client_complete(io, cpu, handler_ps);
			if (last && last != io->client) {
				job_stats_completed(last->stats, taken);
				taken = 0;
			}
			last = io->client;
			taken++;
			if (client_over(last) && last->job->exit_all)
				stop_others(run, last);
		}
	} while (virtqueue_enable_interrupts(&queue->vq));
	if (taken != 0)
		job_stats_completed(last->stats, taken);
}

static void config_change(struct run *run)
{
	if (blk_config_changed(&run->blk))
		return;
	run->shared.dead = true;
	fail(run, RUN_FAILED, "the card has set DEVICE_NEEDS_RESET with %u I/Os outstanding",
	     (unsigned)run->blk.queue[0].vq.in_flight);
	kernel_stop();
}

static void handle_interrupts(struct run *run, struct guest_cpu *cpu, const uint64_t *vectors, bool intx)
{
	guest_cpu_spend(cpu, run->options.config->host.interrupt_ps);
	uint64_t handler_ps = kernel_now_ps();
	uint8_t isr = intx ? virtio_isr(&run->blk.virtio) : 0; /* reading takes the wire back */
	bool config = (vectors[0] & 1) || (isr & VIRTIO_PCI_ISR_CONFIG);
	if (config)
		config_change(run);
	for (unsigned i = 0; i < run->blk.queues; i++) {
		struct blk_queue *queue = &run->blk.queue[i];
		bool wanted = isr & 1;
		if (queue->vector < GUEST_VECTORS)
			wanted = vectors[queue->vector / 64] >> (queue->vector % 64) & 1;
		if (wanted)
			take_used(run, cpu, queue, handler_ps);
	}
	/* Rings and buffers that were full may have room: other CPUs' clones may wait for that. */
	wake_cpus(run);
	next_phase_if_over(run);
}

/* One round over the CPU's clones. True if any did something; else *wake_ps is when one may. */
static bool run_clients(struct run *run, struct guest_cpu *cpu, uint64_t *wake_ps)
{
	bool busy = false;
	*wake_ps = TIME_NEVER_PS;
	for (unsigned i = 0; i < run->clients; i++) {
		struct client *client = &run->client[i];
		uint64_t client_wake_ps;
		if (client->cpu != cpu || client->job->phase != run->phase || client_over(client))
			continue;
		busy = client_run(client, &client_wake_ps) || busy;
		*wake_ps = min_u64(*wake_ps, client_wake_ps);
		if (client_over(client))
			next_phase_if_over(run);
	}
	return busy;
}

static void cpu_loop(struct run *run, struct guest_cpu *cpu)
{
	uint64_t vectors[GUEST_VECTORS / 64], wake_ps;
	bool intx;
	while (!run->over) {
		if (guest_cpu_interrupts(cpu, vectors, &intx))
			handle_interrupts(run, cpu, vectors, intx);
		else if (!run_clients(run, cpu, &wake_ps) && !run->over)
			guest_cpu_wait(cpu, wake_ps);
	}
}

/* ---- boot: CPU 0 probes the card, then all CPUs run their loops ---- */

struct cpu_start {
	struct run *run;
	struct guest_cpu *cpu;
};

static void secondary_cpu(void *arg)
{
	struct cpu_start start = *(struct cpu_start *)arg;
	free(arg);
	cpu_loop(start.run, start.cpu);
}

static uint32_t largest_request(const struct fio_jobs *jobs)
{
	uint32_t bytes = 0;
	for (unsigned i = 0; i < jobs->count; i++)
		bytes = max_u32(bytes, client_max_bytes(&jobs->job[i]));
	return bytes;
}

/* Jobs against disk and card. */
static bool check_jobs(struct run *run)
{
	const struct fio_jobs *jobs = run->options.jobs;
	char error[400];
	for (unsigned i = 0; i < jobs->count; i++) {
		if (fio_job_check(&jobs->job[i], run->blk.capacity_sectors * 512, error, sizeof(error)) !=
			    0 ||
		    client_check_job(&run->blk, &jobs->job[i], error, sizeof(error)) != 0) {
			fail(run, RUN_REFUSED, "%s", error);
			return false;
		}
	}
	return true;
}

static bool create_clients(struct run *run)
{
	const struct fio_jobs *jobs = run->options.jobs;
	char error[400];
	unsigned total = 0;
	for (unsigned i = 0; i < jobs->count; i++) {
		total += jobs->job[i].numjobs;
		run->phases = max_u32(run->phases, jobs->job[i].phase + 1);
	}
	ASSERT(total != 0); /* the parser insists on a job */
	run->client = calloc(total, sizeof(*run->client));
	if (!run->client) {
		fail(run, RUN_FAILED, "out of memory");
		return false;
	}
	for (unsigned i = 0; i < jobs->count; i++) {
		for (unsigned clone = 0; clone < jobs->job[i].numjobs; clone++) {
			unsigned number = run->clients++;
			struct guest_cpu *cpu = &run->guest.cpu[number % run->guest.cpus];
			struct blk_queue *queue = &run->blk.queue[cpu->index % run->blk.queues];
			if (client_init(&run->client[number], &run->shared, &jobs->job[i], clone, cpu, queue,
					error, sizeof(error)) != 0) {
				fail(run, RUN_REFUSED, "%s", error);
				return false;
			}
		}
	}
	return true;
}

static bool create_shared(struct run *run, const struct store_info *info, uint64_t sectors)
{
	struct verify_config verify = {.sectors = sectors, .seed = run->options.config->sim.seed};
	run->shared = (struct client_shared){
		.guest = &run->guest,
		.blk = &run->blk,
		.stages = &run->stages,
		.trace = run->options.trace,
		.seed = run->options.config->sim.seed,
	};
	/* null: does not keep what is written, so there is nothing to compare with. */
	if (!info) {
		run->shared.verify = verify_create(&verify);
	} else if (strcmp(info->kind, "null") != 0) {
		if (original_open(&run->original, info, run->options.config->sim.seed))
			verify.original = (struct verify_original){original_read, &run->original,
								   strcmp(info->kind, "ram") != 0};
		run->shared.verify = verify_create(&verify);
	}
	return true;
}

static bool probe(struct run *run)
{
	struct blk_settings settings =
		blk_settings_of(run->options.config, largest_request(run->options.jobs), run->guest.cpus);
	char error[400];
	if (blk_probe(&run->blk, &run->guest.ops, &settings, error, sizeof(error)) != 0) {
		fail(run, RUN_FAILED, "%s", error);
		return false;
	}
	if (run->options.remote && !create_shared(run, run->options.remote_disk, run->blk.capacity_sectors))
		return false;
	run->shared.retired =
		calloc((size_t)run->blk.queues * run->blk.queue[0].vq.size, sizeof(struct stamps));
	if (!run->shared.retired)
		fail(run, RUN_FAILED, "out of memory");
	return run->shared.retired != NULL;
}

static void boot_cpu(void *arg)
{
	struct run *run = arg;
	if (!probe(run) || !check_jobs(run) || !create_clients(run)) {
		kernel_stop();
		return;
	}
	run->booted = true;
	run->shared.last_completion_ps = kernel_now_ps();
	run->start = take_figures(run);
	begin_phase(run);
	for (unsigned i = 1; i < run->guest.cpus; i++) {
		struct cpu_start *start = malloc(sizeof(*start));
		ASSERT(start);
		*start = (struct cpu_start){run, &run->guest.cpu[i]};
		char name[16];
		snprintf(name, sizeof(name), "cpu%u", i);
		kernel_thread_spawn(name, secondary_cpu, start);
	}
	next_phase_if_over(run);
	cpu_loop(run, &run->guest.cpu[0]);
}

static void retired(void *user, unsigned queue, unsigned head, const struct stamps *stamps,
		    const struct probe_work *work)
{
	struct run *run = user;
	(void)work;
	if (run->shared.retired && queue < run->blk.queues && head < run->blk.queue[0].vq.size)
		run->shared.retired[queue * run->blk.queue[0].vq.size + head] = *stamps;
}

static void log_line(void *user, const char *line)
{
	struct run *run = user;
	if (run->options.log)
		run->options.log(run->options.log_ctx, line);
}

/* ---- watching ---- */

static double wall_now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static unsigned outstanding(const struct run *run)
{
	unsigned count = 0;
	for (unsigned i = 0; i < run->clients; i++)
		count += run->client[i].in_flight;
	return count;
}

static void check_progress(struct run *run)
{
	uint64_t watchdog_ps = run->options.config->host.watchdog_ps;
	if (run->booted && outstanding(run) != 0 &&
	    kernel_now_ps() - run->shared.last_completion_ps > watchdog_ps &&
	    kernel_now_ps() > run->shared.last_completion_ps)
		fail(run, RUN_FAILED, "watchdog: no completion for %" PRIu64 " ns with %u %s outstanding",
		     watchdog_ps / PS_PER_NS, outstanding(run), outstanding(run) == 1 ? "I/O" : "I/Os");
	else if (!run->booted && kernel_now_ps() > watchdog_ps)
		fail(run, RUN_FAILED, "watchdog: the card has not come up within %" PRIu64 " ns",
		     watchdog_ps / PS_PER_NS);
}

static void check_failures(struct run *run)
{
	const char *reason = guest_card_failure(&run->guest);
	if (reason)
		fail(run, RUN_FAILED, "%s at %" PRIu64 " ns", reason, kernel_now_ps() / PS_PER_NS);
	else if (kernel_next_ps() == TIME_NEVER_PS)
		fail(run, RUN_FAILED,
		     "deadlock at %" PRIu64 " ns: %u %s outstanding and nothing left to happen",
		     kernel_now_ps() / PS_PER_NS, outstanding(run), outstanding(run) == 1 ? "I/O" : "I/Os");
	else
		check_progress(run);
}

static void show_progress(const struct run *run, double elapsed_s)
{
	fprintf(stderr, "\r%10.3f ms%s, %" PRIu64 " I/Os, %.0f a second ",
		(double)kernel_now_ps() / (double)PS_PER_MS, run->options.remote ? "" : " simulated",
		run->shared.completed, (double)run->shared.completed / elapsed_s);
	fflush(stderr);
}

static void look_at_user(struct run *run)
{
	if (run->options.stop && *run->options.stop && run->booted && !run->over && !run->interrupted)
		interrupt_jobs(run);
	double now_s = wall_now_s();
	if (run->options.progress && now_s - run->shown_s >= PROGRESS_EVERY_S) {
		show_progress(run, now_s - run->begin_s);
		run->shown_s = now_s;
		run->shown = true;
	}
}

static void begin_watch(struct run *run)
{
	run->begin_s = wall_now_s();
	run->shown_s = run->begin_s + PROGRESS_AFTER_S - PROGRESS_EVERY_S;
}

static void end_watch(struct run *run)
{
	if (run->shown)
		fputs("\r\033[K", stderr);
	run->wall_s = wall_now_s() - run->begin_s;
}

/* Time stands at the last event: a pause longer than a slice (a slow medium, thinktime, a low rate) is passed at once. */
static void run_slice(void)
{
	uint64_t next_ps = kernel_next_ps();
	kernel_run(max_u64(kernel_now_ps() + SLICE_PS, next_ps == TIME_NEVER_PS ? 0 : next_ps));
}

static void watch(struct run *run)
{
	begin_watch(run);
	while (!run->over && run->outcome == RUN_DONE) {
		run_slice();
		if (!run->over)
			check_failures(run);
		look_at_user(run);
	}
	end_watch(run);
}

/* ---- a card behind a socket: the guest's time is the wall clock's ---- */

/* Sees to it that somebody looks, though nothing may happen. */
static void metronome(void *arg)
{
	const struct run *run = arg;
	while (!run->over)
		kernel_wait_ps(REMOTE_LOOK_PS);
}

static bool remote_over(void *ctx)
{
	struct run *run = ctx;
	const char *failure = vfio_client_failure(run->options.remote);
	if (failure && !run->over)
		fail(run, RUN_LOST, "%s: %s", vfio_client_address(run->options.remote), failure);
	if (!run->over)
		check_progress(run);
	look_at_user(run);
	return run->over || run->outcome != RUN_DONE;
}

static void execute_remote(struct run *run)
{
	const struct loop_ports ports = {.ctx = run, .over = remote_over};
	char error[400];
	run->loop = loop_create(LOOP_WALL, &ports);
	if (!run->loop) {
		fail(run, RUN_REFUSED, "cannot wait for events: %s", strerror(errno));
		return;
	}
	if (vfio_client_guest(run->options.remote, &run->guest, run->options.config, run->loop, error,
			      sizeof(error)) != 0) {
		fail(run, RUN_REFUSED, "%s", error);
		return;
	}
	kernel_thread_spawn("cpu0", boot_cpu, run);
	kernel_thread_spawn("metronome", metronome, run);
	begin_watch(run);
	loop_run(run->loop);
	end_watch(run);
}

/* ---- after the last I/O ---- */

/* Lets posted writes, interrupts and credits settle, then everything must be idle (style guide: quiescent). */
static void check_quiescent(struct run *run)
{
	const char *what = "";
	kernel_run(kernel_now_ps() + 10 * PS_PER_MS);
	if (!device_quiescent(run->guest.device, &what))
		fail(run, RUN_FAILED, "all I/O is done but the card is not idle: %s", what);
	const struct root_stats *root = root_stats(run->guest.root);
	if (root->violations != 0)
		fail(run, RUN_FAILED, "the card broke PCIe or virtio rules %" PRIu64 " times (guest.check)",
		     root->violations);
}

/* Image files are read through a descriptor of our own; what others hold only their store can tell. */
static int audit_read(void *ctx, uint64_t sector, uint32_t count, uint8_t *data)
{
	struct run *run = ctx;
	if (run->original.fd >= 0)
		return original_read(&run->original, sector, count, data);
	return store_read(run->options.store, sector * 512, data, (size_t)count * 512);
}

/* Everything written must be on the disk now; a disk that has failed is reported already. */
static void audit(struct run *run)
{
	bool readable = run->options.remote ? run->original.fd >= 0 : !store_error(run->options.store);
	if (run->shared.verify && readable)
		run->audit_bad_sectors = verify_audit(run->shared.verify, VERIFY_AUDIT_WRITTEN, audit_read,
						      run, &run->audit_fault);
	for (unsigned i = 0; i < run->clients; i++)
		run->io_errors += run->client[i].stats->errors;
	run->io_errors += run->audit_bad_sectors;
}

static int open_wave(struct run *run)
{
	char error[300];
	const struct wave_source source = device_wave(run->guest.device);
	if (wave_open(run->options.wave, &source, error, sizeof(error)) == 0)
		return 0;
	fail(run, RUN_REFUSED, "%s", error);
	return -1;
}

void run_execute(struct run *run, const struct run_options *options)
{
	*run = (struct run){.options = *options, .original.fd = -1};
	const struct guest_options guest = {
		.firmware_path = options->firmware_path,
		.store = options->store,
		.user = run,
		.log = log_line,
		.observer = {.ctx = run, .retired = retired},
	};
	char error[400];
	if (options->remote) {
		execute_remote(run);
		if (run->outcome == RUN_DONE)
			audit(run);
		return;
	}
	const struct store_info *info = store_info(options->store);
	if (!create_shared(run, info, info->bytes / 512))
		return;
	if (guest_create(&run->guest, options->config, &guest, error, sizeof(error)) != 0) {
		fail(run, RUN_REFUSED, "%s", error);
		return;
	}
	if (options->wave && open_wave(run) != 0)
		return;
	kernel_thread_spawn("cpu0", boot_cpu, run);
	watch(run);
	if (options->wave && wave_close(error, sizeof(error)) != 0)
		fail(run, RUN_REFUSED, "%s", error);
	if (run->outcome == RUN_DONE) {
		check_quiescent(run);
		audit(run);
	}
}

void run_dump(struct run *run, FILE *out)
{
	for (unsigned i = 0; i < run->clients; i++) {
		const struct client *client = &run->client[i];
		fprintf(out, "job '%s' clone %u: state %d, %u in flight, CPU %u, queue %u\n",
			client->job->name, client->clone, client->state, client->in_flight,
			client->cpu->index, client->queue->index);
	}
	for (unsigned i = 0; run->booted && i < run->blk.queues; i++) {
		const struct virtqueue *vq = &run->blk.queue[i].vq;
		fprintf(out, "queue %u: published %u, used %u, in flight %u, avail.idx %u, used.idx %u\n", i,
			vq->published, vq->used_index, vq->in_flight, load_le16(vq->avail + 2),
			load_le16(vq->used + 2));
	}
	if (run->guest.device)
		device_dump(run->guest.device, out);
}

void run_destroy(struct run *run)
{
	for (unsigned i = 0; i < run->clients; i++)
		client_free(&run->client[i]);
	free(run->client);
	verify_free(run->shared.verify);
	free(run->shared.retired);
	original_close(&run->original);
	blk_free(&run->blk);
	guest_destroy(&run->guest);
	loop_free(run->loop);
}
