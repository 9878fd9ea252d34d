#include "host-sim/serve/serve.h"

#include "host-sim/root.h"
#include "rtl-model/kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void say(const char *line)
{
	fprintf(stderr, "kickstand serve: %s\n", line);
}

static void fail(struct serve *serve, enum serve_outcome outcome, const char *reason)
{
	if (serve->outcome == SERVE_DONE) {
		serve->outcome = outcome;
		snprintf(serve->error, sizeof(serve->error), "%s", reason);
	}
	loop_stop(serve->loop);
}

/* ---- what the loop asks ---- */

static bool busy(void *ctx)
{
	const char *what;
	return !device_quiescent(((struct serve *)ctx)->card.guest.device, &what);
}

static bool held(void *ctx)
{
	const struct card_sink *sink = &((struct serve *)ctx)->card.sink;
	return sink->held && sink->held(sink->ctx);
}

static bool over(void *ctx)
{
	struct serve *serve = ctx;
	const char *failure = guest_card_failure(&serve->card.guest);
	/* Bulk data lands by the slice: a front-end that sends it on must see in time how much there is. */
	root_sync(serve->card.guest.root);
	if (serve->record)
		record_flush_if_idle(serve->record, device_oldest_request(serve->card.guest.device));
	if (failure)
		fail(serve, SERVE_FAILED, failure);
	return failure != NULL;
}

static void end_signal(void *ctx)
{
	struct serve *serve = ctx;
	struct signalfd_siginfo info;
	if (read(serve->signals, &info, sizeof(info)) == sizeof(info))
		loop_stop(serve->loop);
}

/* ---- clients ---- */

/* Whether the client being served has hung up: what is left of it is being put away. */
static bool client_left(const struct serve *serve)
{
	struct pollfd client = {.fd = serve->client_fd, .events = POLLRDHUP};
	return poll(&client, 1, 0) == 1 && (client.revents & (POLLHUP | POLLRDHUP | POLLERR));
}

/* Somebody else is being served. The one who comes as soon as that one has left waits for a moment. */
static void refuse(void *ctx)
{
	struct serve *serve = ctx;
	if (client_left(serve)) {
		loop_unwatch(serve->loop, serve->listener.fd);
		return;
	}
	int fd = listener_accept(&serve->listener);
	if (fd < 0)
		return;
	serve->refused++;
	close(fd);
	say("another client is being served; the new one was turned away");
}

static void serve_client(struct serve *serve, int fd)
{
	const struct front_end *front_end = serve->options.front_end;
	struct channel channel = {.loop = serve->loop, .fd = fd};
	serve->clients++;
	serve->client_fd = fd;
	if (!serve->options.quiet)
		say("client connected");
	if (loop_watch(serve->loop, serve->listener.fd, refuse, serve) != 0)
		card_say(&serve->card, "%s: cannot watch the socket: %s", serve->listener.path,
			 strerror(errno));
	front_end->serve(serve->front_end, &channel);
	loop_unwatch(serve->loop, serve->listener.fd);
	channel_close(&channel);
	if (!serve->options.quiet)
		say("client gone");
}

static void server(void *arg)
{
	struct serve *serve = arg;
	char error[300];
	if (card_start(&serve->card, error, sizeof(error)) != 0) {
		fail(serve, SERVE_FAILED, error);
		return;
	}
	serve->start = figures_now(&serve->card.guest);
	if (!serve->options.quiet) {
		fprintf(stderr, "kickstand serve: %s on %s\n", serve->options.front_end->name,
			serve->listener.path);
	}
	while (!loop_stopping(serve->loop)) {
		int fd = listener_accept(&serve->listener);
		if (fd >= 0)
			serve_client(serve, fd);
		else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			fail(serve, SERVE_FAILED, strerror(errno));
		else if (loop_wait_readable(serve->loop, serve->listener.fd) != 0)
			fail(serve, SERVE_FAILED, strerror(errno));
	}
}

/* ---- figures ---- */

/* A request has been given back: the card's part of its time. */
static void retired(void *user, unsigned queue, unsigned head, const struct stamps *stamps,
		    const struct probe_work *work)
{
	struct serve *serve = user;
	(void)head;
	serve->requests++;
	stages_record_card(&serve->stages, stamps, work);
	if (serve->record)
		record_retired(serve->record, queue, stamps, work,
			       device_oldest_request(serve->card.guest.device));
}

static void doorbell(void *user, uint64_t at_ps, unsigned queue)
{
	struct serve *serve = user;
	if (serve->record)
		record_doorbell(serve->record, at_ps, queue);
}

static void end_record(struct serve *serve)
{
	if (!serve->record)
		return;
	serve->recorded = *record_stats(serve->record);
	if (record_close(serve->record, serve->record_error, sizeof(serve->record_error)) == 0)
		serve->record_error[0] = '\0';
	serve->record = NULL;
}

/* ---- from start to end ---- */

static int watch_signals(struct serve *serve)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	serve->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return serve->signals < 0 ? -1 : loop_watch(serve->loop, serve->signals, end_signal, serve);
}

static int set_up(struct serve *serve)
{
	const struct serve_options *options = &serve->options;
	const struct loop_ports ports = {.ctx = serve, .busy = busy, .held = held, .over = over};
	serve->loop = loop_create(options->pace, &ports);
	if (!serve->loop || watch_signals(serve) != 0) {
		snprintf(serve->error, sizeof(serve->error), "cannot wait for events: %s", strerror(errno));
		return -1;
	}
	const struct card_options card = {
		.config = options->config,
		.firmware_path = options->firmware_path,
		.store = options->store,
		.loop = serve->loop,
		.log = say,
		.observer = {.ctx = serve, .retired = retired, .doorbell = doorbell},
	};
	if (card_create(&serve->card, &card, serve->error, sizeof(serve->error)) != 0)
		return -1;
	if (listener_open(&serve->listener, options->path, serve->error, sizeof(serve->error)) != 0)
		return -1;
	serve->front_end = options->front_end->create(&serve->card);
	if (!serve->front_end) {
		snprintf(serve->error, sizeof(serve->error), "out of memory");
		return -1;
	}
	/* Last, so that a server that cannot start leaves an earlier recording alone. */
	if (options->record && !(serve->record = record_open(options->record, options->config->device.queues,
							     serve->error, sizeof(serve->error))))
		return -1;
	return 0;
}

void serve_execute(struct serve *serve, const struct serve_options *options)
{
	memset(serve, 0, sizeof(*serve));
	serve->options = *options;
	serve->listener.fd = serve->signals = -1;
	if (set_up(serve) != 0) {
		serve->outcome = SERVE_REFUSED;
		return;
	}
	kernel_thread_spawn("server", server, serve);
	loop_run(serve->loop);
	serve->end = figures_now(&serve->card.guest);
	end_record(serve);
	serve->loop_stats = loop_stats(serve->loop);
}

void serve_destroy(struct serve *serve)
{
	if (serve->front_end)
		serve->options.front_end->destroy(serve->front_end);
	listener_close(&serve->listener);
	card_destroy(&serve->card);
	if (serve->signals >= 0)
		close(serve->signals);
	loop_free(serve->loop);
}
