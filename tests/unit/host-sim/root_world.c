#include "tests/unit/host-sim/root_world.h"

#define SENT_MAX 512u
#define DUE_MAX  64u

struct kernel_event {
	uint64_t at_ps; /* notified for then, TIME_NEVER_PS = not */
};

/* The kernel is the process's (rtl-model/kernel.h): its functions have no handle, so the stand-in needs this. */
static struct world *the_world;

static void deliver(struct world *world, struct message *message)
{
	message->given = true;
	root_receive(world->root, message->at_ps, message->wire, message->size);
}

/* Lets time pass to `until_ps`, or to the first arrival at which the event is notified. */
static void pass(struct world *world, uint64_t until_ps, struct kernel_event *event)
{
	for (unsigned i = 0; i < world->due_count; i++) {
		struct message *message = &world->due[i];
		if (message->given || message->at_ps > until_ps)
			continue;
		world->now_ps = max_u64(world->now_ps, message->at_ps);
		deliver(world, message);
		if (event && event->at_ps <= world->now_ps)
			break;
	}
	if (!event || event->at_ps == TIME_NEVER_PS)
		world->now_ps = until_ps;
	if (event)
		event->at_ps = TIME_NEVER_PS;
}

struct world *world_of_now(void)
{
	return the_world;
}

void world_pass(struct world *world, uint64_t until_ps)
{
	pass(world, until_ps, NULL);
}

uint64_t kernel_now_ps(void)
{
	return the_world->now_ps;
}

struct kernel_event *kernel_event_create(void)
{
	struct kernel_event *event = calloc(1, sizeof(*event));
	event->at_ps = TIME_NEVER_PS;
	return event;
}

void kernel_event_free(struct kernel_event *event)
{
	free(event);
}

void kernel_event_notify(struct kernel_event *event, uint64_t at_ps)
{
	event->at_ps = min_u64(event->at_ps, at_ps);
}

void kernel_event_wait_until(struct kernel_event *event, uint64_t until_ps)
{
	pass(the_world, until_ps, event);
}

void kernel_wait_ps(uint64_t delay_ps)
{
	pass(the_world, the_world->now_ps + delay_ps, NULL);
}

void device_send(struct device *device, uint64_t ready_ps, const uint8_t *wire, size_t size)
{
	struct message scratch, *message = &scratch;
	if (device->sent_count < SENT_MAX)
		message = &device->sent[device->sent_count++];
	*message = (struct message){.at_ps = ready_ps, .size = size};
	memcpy(message->wire, wire, size);
	assert_int_equal(tlp_decode(&message->tlp, message->wire, size), TLP_OK);
	if (device->request && tlp_class_of(message->tlp.type) == TLP_NON_POSTED)
		device->request(device, ready_ps, &message->tlp);
}

void device_deliver(struct device *device)
{
	(void)device;
	pass(the_world, the_world->now_ps, NULL);
}

void device_link_reset(struct device *device)
{
	device->resets++;
	for (unsigned i = 0; i < the_world->due_count; i++)
		the_world->due[i].given = true;
}

const struct cfg_space *device_cfg_space(const struct device *device)
{
	return &device->cfg;
}

static void take_interrupt(void *ctx, uint64_t now_ps, unsigned cpu, uint32_t vector)
{
	struct world *world = ctx;
	assert_true(world->interrupts < ARRAY_SIZE(world->interrupt));
	world->interrupt[world->interrupts++] =
		(struct interrupt){now_ps, cpu, vector, load_le32(world->memory.data)};
}

static void take_intx(void *ctx, uint64_t now_ps, bool level)
{
	(void)now_ps;
	((struct world *)ctx)->intx = level;
}

static void take_log(void *ctx, const char *line)
{
	struct world *world = ctx;
	world->log_lines++;
	snprintf(world->log, sizeof(world->log), "%s", line);
}

struct world *world_make_with(uint64_t base, uint64_t msi_base)
{
	struct world *world = calloc(1, sizeof(*world));
	const struct root_ports ports = {.ctx = world,
					 .msi_base = msi_base,
					 .interrupt = take_interrupt,
					 .intx = take_intx,
					 .log = take_log};
	char error[200];
	the_world = world;
	config_defaults(&world->config);
	world->config.link.completion_timeout_ps = TIMEOUT_PS;
	world->config.link.root_complex_jitter_pct = 0;
	world->device.sent = calloc(SENT_MAX, sizeof(*world->device.sent));
	world->due = calloc(DUE_MAX, sizeof(*world->due));
	world->device.cfg.control.mps_bytes = 256;
	world->device.cfg.control.mrrs_bytes = 512;
	assert_int_equal(memory_create(&world->memory, base, MEMORY_BYTES, error, sizeof(error)), 0);
	world->root = root_create(&world->config, &world->memory, &ports);
	assert_non_null(world->root);
	root_connect(world->root, &world->device);
	return world;
}

struct world *world_make_at(uint64_t base)
{
	return world_make_with(base, ROOT_MSI_BASE);
}

struct world *world_make(void)
{
	return world_make_at(MEMORY_BASE);
}

void world_destroy(struct world *world)
{
	root_free(world->root);
	memory_destroy(&world->memory);
	free(world->device.sent);
	free(world->due);
	free(world);
	the_world = NULL;
}

/* ---- what the card sends ---- */

/* Arrives when time gets there. */
void send_later(struct world *world, uint64_t at_ps, const struct tlp *tlp)
{
	assert_true(world->due_count < DUE_MAX);
	struct message *message = &world->due[world->due_count++];
	*message = (struct message){.at_ps = at_ps};
	message->size = tlp_encode(tlp, message->wire, sizeof(message->wire));
	assert_true(message->size != 0);
}

void send_now(struct world *world, const struct tlp *tlp)
{
	uint8_t wire[TLP_WIRE_BYTES_MAX];
	size_t size = tlp_encode(tlp, wire, sizeof(wire));
	assert_true(size != 0);
	root_receive(world->root, world->now_ps, wire, size);
}

struct tlp request_of(enum tlp_type type, uint64_t addr, uint32_t bytes, const uint8_t *payload)
{
	struct tlp tlp = {.type = type, .requester_id = CARD, .payload = payload};
	tlp_set_span(&tlp, addr, bytes);
	return tlp;
}

void write_word(struct world *world, uint64_t addr, uint32_t value)
{
	uint8_t data[4];
	store_le32(data, value);
	struct tlp tlp = request_of(TLP_MWR, addr, 4, data);
	send_now(world, &tlp);
}

/* Answers a request after a microsecond as the device says: status and value. */
void answer(struct device *device, uint64_t at_ps, const struct tlp *tlp)
{
	uint8_t data[8];
	struct tlp cpl;
	device->answers++;
	store_le32(data, device->value);
	store_le32(data + 4, ~device->value);
	if (device->status != TLP_SC || tlp->type == TLP_CFGWR0) {
		tlp_completion_without_data(&cpl, tlp, CARD, device->status);
	} else if (tlp->type == TLP_MRD) {
		struct tlp_completer completer;
		uint64_t addr;
		uint32_t bytes;
		tlp_completer_start(&completer, tlp, CARD);
		assert_true(tlp_completer_next(&completer, 128, 128, false, &cpl, &addr, &bytes));
		cpl.payload = data;
	} else {
		tlp_completion_with_dw(&cpl, tlp, CARD, data);
	}
	the_world->due_count = 0;
	send_later(the_world, at_ps + PS_PER_US, &cpl);
}
