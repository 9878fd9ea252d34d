#include "rtl-model/device_state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- CSR windows: the blocks' functions behind one type ---- */

#define WINDOW(name, type, function)                                                                         \
	static bool name##_window_read(void *ctx, uint64_t now_ps, uint32_t offset, uint32_t *value)         \
	{                                                                                                    \
		return function##_read((type *)ctx, now_ps, offset, value);                                  \
	}                                                                                                    \
	static bool name##_window_write(void *ctx, uint64_t now_ps, uint32_t offset, uint32_t value)         \
	{                                                                                                    \
		return function##_write((type *)ctx, now_ps, offset, value);                                 \
	}

WINDOW(sys, struct sys, sys_csr)
WINDOW(virtio, struct virtio_regs, virtio_csr)
WINDOW(mover, struct mover, mover_csr)
WINDOW(copy, struct copy, copy_csr)
WINDOW(direct, struct direct, direct_csr)
WINDOW(used, struct used, used_csr)
WINDOW(msix, struct msix, msix_csr)
WINDOW(timer, struct timer, timer_csr)
WINDOW(uart, struct uart, uart_csr)
WINDOW(mailbox, struct mailbox, mailbox_csr)
WINDOW(media, struct sys, sys_media_csr)
WINDOW(pcie, struct sys, sys_pcie_csr)

static bool offload_is_full(const struct device *device)
{
	return device->config->device.offload == CONFIG_OFFLOAD_FULL;
}

/* NOTIFY.SERVICE is the consumer's side of the notify unit: here, with offload level firmware. */
static uint32_t pop_service(struct device *device, uint64_t now_ps)
{
	if (!service_fifo_ready(&device->firmware_services, now_ps))
		return 0;
	struct service service = service_fifo_pop(&device->firmware_services, now_ps);
	return service.queue | (uint32_t)service.hint << CSR_NOTIFY_SERVICE_HINT_SHIFT |
	       (service.hint_valid ? CSR_NOTIFY_SERVICE_HINT_VALID_MASK : 0) | CSR_NOTIFY_SERVICE_VALID_MASK;
}

static bool notify_window_read(void *ctx, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	struct device *device = ctx;
	if (offset != CSR_NOTIFY_SERVICE)
		return notify_csr_read(device->notify, now_ps, offset, value);
	*value = pop_service(device, now_ps);
	return true;
}

static bool notify_window_write(void *ctx, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	struct device *device = ctx;
	return offset == CSR_NOTIFY_SERVICE || notify_csr_write(device->notify, now_ps, offset, value);
}

/* FETCH.RECORD gives the core what is for the core. */
static bool fetch_window_read(void *ctx, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	struct device *device = ctx;
	if (offset != CSR_FETCH_RECORD || !offload_is_full(device))
		return fetch_csr_read(device->fetch, now_ps, offset, value);
	*value = direct_pop_record(&device->direct, now_ps);
	return true;
}

static bool fetch_window_write(void *ctx, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return fetch_csr_write(((struct device *)ctx)->fetch, now_ps, offset, value);
}

static bool bus_read(void *ctx, uint64_t now_ps, uint32_t addr, uint32_t *value)
{
	return csr_bus_read(&((struct device *)ctx)->bus, now_ps, addr, value);
}

static bool bus_write(void *ctx, uint64_t now_ps, uint32_t addr, uint32_t value)
{
	struct device *device = ctx;
	bool ok = csr_bus_write(&device->bus, now_ps, addr, value);
	/* Writes take events away (acknowledge, pop, enable): the interrupt line follows at once. Events that come are
	 * announced by the blocks themselves. */
	sys_step(&device->sys, now_ps);
	return ok;
}

static void connect_bus(struct device *device)
{
	const struct {
		unsigned index;
		struct csr_window window;
	} windows[] = {
		{CSR_SYS_INDEX, {&device->sys, sys_window_read, sys_window_write}},
		{CSR_VIRTIO_INDEX, {&device->virtio, virtio_window_read, virtio_window_write}},
		{CSR_NOTIFY_INDEX, {device, notify_window_read, notify_window_write}},
		{CSR_FETCH_INDEX, {device, fetch_window_read, fetch_window_write}},
		{CSR_MOVER_INDEX, {device->mover, mover_window_read, mover_window_write}},
		{CSR_COPY_INDEX, {&device->copy, copy_window_read, copy_window_write}},
		{CSR_DIRECT_INDEX, {&device->direct, direct_window_read, direct_window_write}},
		{CSR_USED_INDEX, {device->used, used_window_read, used_window_write}},
		{CSR_MSIX_INDEX, {device->msix, msix_window_read, msix_window_write}},
		{CSR_TIMER_INDEX, {&device->timer, timer_window_read, timer_window_write}},
		{CSR_UART_INDEX, {&device->uart, uart_window_read, uart_window_write}},
		{CSR_MAILBOX_INDEX, {&device->mailbox, mailbox_window_read, mailbox_window_write}},
		{CSR_MEDIA_INDEX, {&device->sys, media_window_read, media_window_write}},
		{CSR_PCIE_INDEX, {&device->sys, pcie_window_read, pcie_window_write}},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(windows); i++)
		device->bus.window[windows[i].index] = windows[i].window;
}

/* ---- what blocks ask of each other ---- */

static uint32_t all_events(void *ctx, uint64_t now_ps)
{
	struct device *device = ctx;
	uint32_t events = fetch_events(device->fetch, now_ps);
	if (offload_is_full(device))
		events = (events & ~CSR_SYS_EVENTS_RECORD_MASK) | direct_events(&device->direct, now_ps);
	events |= mover_events(device->mover, now_ps) | copy_events(&device->copy, now_ps) |
		  used_events(device->used) | virtio_events(&device->virtio);
	if (service_fifo_ready(&device->firmware_services, now_ps))
		events |= CSR_SYS_EVENTS_SERVICE_MASK;
	if (timer_event(&device->timer, now_ps))
		events |= CSR_SYS_EVENTS_TIMER_MASK;
	if (mailbox_event(&device->mailbox, now_ps))
		events |= CSR_SYS_EVENTS_MAILBOX_MASK;
	return events;
}

/* When the next event gets here that is on its way now: an event that comes earlier must not make us miss it. The other
 * blocks' events are there when they are announced. */
static uint64_t next_event_ps(const struct device *device, uint64_t now_ps)
{
	const uint64_t times_ps[] = {
		fetch_next_event_ps(device->fetch),
		slot_fifo_next_ps(&device->direct.records),
		dma_done_fifo_next_ps(&device->copy.done),
		service_fifo_next_ps(&device->firmware_services),
	};
	uint64_t next_ps = TIME_NEVER_PS;
	for (unsigned i = 0; i < ARRAY_SIZE(times_ps); i++)
		if (times_ps[i] > now_ps)
			next_ps = min_u64(next_ps, times_ps[i]);
	return next_ps;
}

static uint32_t engines_busy(void *ctx)
{
	struct device *device = ctx;
	return (fetch_busy(device->fetch) ? CSR_SYS_ENGINES_BUSY_FETCH_MASK : 0) |
	       (mover_busy(device->mover) ? CSR_SYS_ENGINES_BUSY_MOVER_MASK : 0) |
	       (copy_busy(&device->copy) ? CSR_SYS_ENGINES_BUSY_COPY_MASK : 0) |
	       (used_busy(device->used) ? CSR_SYS_ENGINES_BUSY_USED_MASK : 0) |
	       (dma_busy(device->dma) ? CSR_SYS_ENGINES_BUSY_DMA_MASK : 0) |
	       (msix_waiting(device->msix) ? CSR_SYS_ENGINES_BUSY_MSIX_MASK : 0);
}

static uint64_t medium_sectors(void *ctx)
{
	return media_sectors(((struct device *)ctx)->media);
}

static uint64_t medium_written_bytes(void *ctx)
{
	return media_stats(((struct device *)ctx)->media)->write_bytes;
}

static void core_interrupt(void *ctx, uint64_t now_ps, bool level)
{
	struct device *device = ctx;
	cpu_set_interrupt(device->cpu, now_ps, 11, level); /* machine external */
	kernel_process_wake(device->process[PROCESS_CORE], now_ps);
}

static void function_ready(void *ctx, bool ready)
{
	endpoint_set_ready(((struct device *)ctx)->endpoint, ready);
}

/* Drops all work that has not reached the link. The order is that of the data: first nothing more can be sent, then
 * the engines forget why they wanted to. */
static void engines_reset(void *ctx, uint64_t now_ps)
{
	struct device *device = ctx;
	dma_abort(device->dma, now_ps, DMA_CHANNELS);
	notify_reset(device->notify);
	service_fifo_clear(&device->firmware_services);
	fetch_reset(device->fetch);
	direct_reset(&device->direct);
	mover_reset(device->mover, now_ps);
	copy_reset(&device->copy);
	used_reset(device->used);
	msix_drop_events(device->msix);
}

static void function_reset(void *ctx, uint64_t now_ps)
{
	struct device *device = ctx;
	engines_reset(device, now_ps);
	sys_function_reset(&device->sys, now_ps);
}

static void function_reset_done(void *ctx, uint64_t now_ps)
{
	(void)now_ps;
	endpoint_reset_done(((struct device *)ctx)->endpoint);
}

static void log_line(struct device *device, uint64_t now_ps, const char *line)
{
	if (device->host.log)
		device->host.log(device->host.ctx, now_ps, line);
}

static void fail(struct device *device, enum device_failure failure)
{
	if (device->failure == DEVICE_OK)
		device->failure = failure;
	kernel_stop();
}

static void panic(void *ctx, uint64_t now_ps, uint32_t code)
{
	struct device *device = ctx;
	(void)now_ps;
	device->panic_code = code;
	fail(device, code == 1 ? DEVICE_TRAP : DEVICE_ASSERTION);
	cpu_halt(device->cpu);
}

static void want_msix(void *ctx, uint64_t now_ps, unsigned vector, bool queue)
{
	msix_event(((struct device *)ctx)->msix, now_ps, vector, queue);
}

static void intx_level(void *ctx, uint64_t now_ps, bool level)
{
	endpoint_set_intx(((struct device *)ctx)->endpoint, now_ps, level);
}

static void status_answered(void *ctx, uint64_t now_ps)
{
	endpoint_status_answered(((struct device *)ctx)->endpoint, now_ps);
}

static void queue_interrupt(void *ctx, uint64_t now_ps, unsigned queue)
{
	virtio_queue_interrupt(&((struct device *)ctx)->virtio, now_ps, queue);
}

static void slot_free(void *ctx, uint64_t now_ps, unsigned slot)
{
	fetch_slot_free(((struct device *)ctx)->fetch, now_ps, slot);
}

static bool write_back(void *ctx)
{
	return virtio_write_back(&((struct device *)ctx)->virtio);
}

static bool take_record(void *ctx, uint64_t now_ps, unsigned *slot)
{
	uint32_t record = 0;
	fetch_csr_read(((struct device *)ctx)->fetch, now_ps, CSR_FETCH_RECORD, &record);
	*slot = record & CSR_FETCH_RECORD_SLOT_MASK;
	return record & CSR_FETCH_RECORD_VALID_MASK;
}

static uint64_t next_record_ps(void *ctx)
{
	return fetch_next_event_ps(((struct device *)ctx)->fetch);
}

static void dma_timeout(void *ctx, uint64_t now_ps)
{
	endpoint_dma_timeout(((struct device *)ctx)->endpoint, now_ps);
}

static void dma_pending(void *ctx, bool pending)
{
	endpoint_dma_pending(((struct device *)ctx)->endpoint, pending);
}

static void messages_sent(void *ctx, uint64_t now_ps)
{
	endpoint_messages_sent(((struct device *)ctx)->endpoint, now_ps);
}

static void console_line(void *ctx, uint64_t now_ps, const char *line)
{
	log_line(ctx, now_ps, line);
}

static void mail_answered(void *ctx, uint64_t now_ps, const struct mailbox_message *message, bool ack)
{
	char line[80];
	if (ack)
		return;
	snprintf(line, sizeof(line), "firmware refused mailbox message %u", message->code);
	log_line(ctx, now_ps, line);
}

/* ---- the link ---- */

static void wake_process(void *ctx, uint64_t at_ps)
{
	kernel_process_wake((struct kernel_process *)ctx, at_ps);
}

static void wake_for_record(void *ctx, uint64_t at_ps)
{
	struct device *device = ctx;
	kernel_process_wake(device->process[PROCESS_DIRECT], at_ps);
	kernel_process_wake(device->process[PROCESS_SYS], at_ps); /* other events of the fetch engine */
}

static void wake_host(void *ctx, uint64_t at_ps)
{
	kernel_process_wake(((struct device *)ctx)->process[PROCESS_HOST], at_ps);
}

static void wake_endpoint(void *ctx, uint64_t at_ps)
{
	kernel_process_wake(((struct device *)ctx)->process[PROCESS_ENDPOINT], at_ps);
}

static bool host_urgent(void *ctx, const uint8_t *wire, size_t size)
{
	struct device *device = ctx;
	return !device->host.urgent || device->host.urgent(device->host.ctx, wire, size);
}

static bool create_link(struct device *device)
{
	const struct config *config = device->config;
	const struct link_config link = {
		.generation = config->link.gen,
		.lanes = config->link.lanes,
		.propagation_ps = config->link.propagation_ps,
		.ack_interval = config->link.ack_interval,
		.fc_interval = config->link.fc_interval,
		.drain_ps = 8 * config_period_ps(config->device.clock_mhz),
		.fc_latency_ps = config->link.fc_latency_ps,
		.error_ppm = config->link.error_ppm,
		.seed = config->sim.seed,
	};
	/* Both ends take completions without limit, as endpoints and root ports must (FC-005). */
	const struct link_credits credits = {
		.header = {[TLP_POSTED] = config->link.posted_headers,
			   [TLP_NON_POSTED] = config->link.non_posted_headers},
		.data = {[TLP_POSTED] = config->link.posted_data,
			 [TLP_NON_POSTED] = config->link.non_posted_data},
	};
	const struct link_receiver to_host = {.ctx = device, .wake = wake_host, .urgent = host_urgent};
	const struct link_receiver to_card = {.ctx = device, .wake = wake_endpoint};
	struct link_config down = link;
	down.seed++; /* errors of the two directions have nothing to do with each other */
	device->up = link_dir_create(&link, &credits, &to_host);
	device->down = link_dir_create(&down, &credits, &to_card);
	if (!device->up || !device->down)
		return false;
	link_dir_pair(device->up, device->down);
	return true;
}

/* ---- processes ---- */

static uint64_t step_endpoint(void *ctx, uint64_t now_ps)
{
	return endpoint_step(((struct device *)ctx)->endpoint, now_ps);
}

static uint64_t step_dma(void *ctx, uint64_t now_ps)
{
	return dma_step(((struct device *)ctx)->dma, now_ps);
}

static uint64_t step_notify(void *ctx, uint64_t now_ps)
{
	return notify_step(((struct device *)ctx)->notify, now_ps);
}

static uint64_t step_fetch(void *ctx, uint64_t now_ps)
{
	return fetch_step(((struct device *)ctx)->fetch, now_ps);
}

static uint64_t step_direct(void *ctx, uint64_t now_ps)
{
	return direct_step(&((struct device *)ctx)->direct, now_ps);
}

static uint64_t step_mover(void *ctx, uint64_t now_ps)
{
	return mover_step(((struct device *)ctx)->mover, now_ps);
}

static uint64_t step_media(void *ctx, uint64_t now_ps)
{
	return media_step(((struct device *)ctx)->media, now_ps);
}

static uint64_t step_used(void *ctx, uint64_t now_ps)
{
	return used_step(((struct device *)ctx)->used, now_ps);
}

static uint64_t step_msix(void *ctx, uint64_t now_ps)
{
	return msix_step(((struct device *)ctx)->msix, now_ps);
}

static uint64_t step_timer(void *ctx, uint64_t now_ps)
{
	struct device *device = ctx;
	sys_step(&device->sys, now_ps); /* the event may have been raised just now */
	return timer_step(&device->timer, now_ps);
}

static uint64_t step_uart(void *ctx, uint64_t now_ps)
{
	return uart_step(&((struct device *)ctx)->uart, now_ps);
}

static uint64_t step_sys(void *ctx, uint64_t now_ps)
{
	struct device *device = ctx;
	sys_step(&device->sys, now_ps);
	return next_event_ps(device, now_ps);
}

static uint64_t step_core(void *ctx, uint64_t now_ps)
{
	struct device *device = ctx;
	uint64_t next_ps = cpu_step(device->cpu, now_ps, kernel_next_ps());
	enum cpu_state state = cpu_state(device->cpu);
	if (state == CPU_HALTED || state == CPU_STUCK)
		fail(device, state == CPU_STUCK ? DEVICE_STUCK : DEVICE_HALTED);
	return next_ps;
}

static void deliver(struct device *device, uint64_t now_ps)
{
	struct link_rx rx;
	while (link_pop(device->up, now_ps, &rx))
		device->host.tlp(device->host.ctx, rx.arrive_ps, rx.wire, rx.size);
}

static uint64_t step_host(void *ctx, uint64_t now_ps)
{
	struct device *device = ctx;
	deliver(device, now_ps);
	return link_next_ps(device->up, now_ps);
}

static void create_processes(struct device *device)
{
	static const struct {
		const char *name;
		kernel_step_fn *step;
	} processes[PROCESS_COUNT] = {
		[PROCESS_ENDPOINT] = {"endpoint", step_endpoint},
		[PROCESS_DMA] = {"dma", step_dma},
		[PROCESS_NOTIFY] = {"notify", step_notify},
		[PROCESS_FETCH] = {"fetch", step_fetch},
		[PROCESS_DIRECT] = {"direct", step_direct},
		[PROCESS_MOVER] = {"mover", step_mover},
		[PROCESS_MEDIA] = {"media", step_media},
		[PROCESS_USED] = {"used", step_used},
		[PROCESS_MSIX] = {"msix", step_msix},
		[PROCESS_TIMER] = {"timer", step_timer},
		[PROCESS_UART] = {"uart", step_uart},
		[PROCESS_SYS] = {"sys", step_sys},
		[PROCESS_CORE] = {"core", step_core},
		[PROCESS_HOST] = {"host", step_host},
	};
	for (unsigned i = 0; i < PROCESS_COUNT; i++) {
		device->process[i] = kernel_process_create(processes[i].name, processes[i].step, device);
		device->waker[i] = (struct waker){wake_process, device->process[i]};
	}
}

/* ---- creation ---- */

/* Model or RTL twin, as the configuration says. */
#define CHOICE(block, impl_key)                                                                              \
	static __typeof__(&block##_create) choose_##block(const struct config *config)                       \
	{                                                                                                    \
		return config_is_rtl(config, config->impl_key.impl) ? block##_rtl_create : block##_create;   \
	}

CHOICE(notify, notify)
CHOICE(fetch, fetch)
CHOICE(msix, msix)
CHOICE(cpu, core)

static bool create_engines(struct device *device)
{
	device->record_waker = (struct waker){wake_for_record, device};
	const struct config *config = device->config;
	const struct cfg_control *control = endpoint_control(device->endpoint);
	const struct waker *waker = device->waker;
	const struct waker *events = &waker[PROCESS_SYS];
	const struct dma_ports dma_ports = {
		.self = &waker[PROCESS_DMA],
		.up = device->up,
		.control = control,
		.requester_id = endpoint_id(device->endpoint),
		.timeout = dma_timeout,
		.pending = dma_pending,
		.messages_sent = messages_sent,
		.ctx = device,
	};
	device->dma = dma_create(config, &dma_ports);
	if (!device->dma)
		return false;
	const struct fetch_ports fetch_ports = {
		.self = &waker[PROCESS_FETCH],
		.dma = dma_requests(device->dma, DMA_FETCH),
		.sram = device->sram,
		.probe = &device->probe,
		.events = offload_is_full(device) ? &device->record_waker : events,
	};
	const struct used_ports used_ports = {
		.self = &waker[PROCESS_USED],
		.dma = dma_requests(device->dma, DMA_USED),
		.sram = device->sram,
		.probe = &device->probe,
		.events = events,
		.ctx = device,
		.interrupt = queue_interrupt,
		.slot_free = slot_free,
	};
	const struct msix_ports msix_ports = {
		.self = &waker[PROCESS_MSIX],
		.control = control,
		.dma = dma_requests(device->dma, DMA_MSIX),
	};
	device->fetch = choose_fetch(config)(config, &fetch_ports);
	device->used = used_create(config, &used_ports);
	device->msix = choose_msix(config)(config, &msix_ports);
	if (!device->fetch)
		return false;
	bool by_firmware = config->device.offload == CONFIG_OFFLOAD_FIRMWARE;
	device->notify =
		choose_notify(config)(config, &waker[PROCESS_NOTIFY],
				      by_firmware ? &device->firmware_services : &device->fetch->services);
	copy_init(&device->copy, dma_requests(device->dma, DMA_COPY), device->sram, events);
	return device->used && device->msix && device->notify;
}

static bool create_medium(struct device *device)
{
	const struct mover_ports ports = {
		.self = &device->waker[PROCESS_MOVER],
		.dma = dma_requests(device->dma, DMA_MOVER),
		.sram = device->sram,
		.probe = &device->probe,
		.events = &device->waker[PROCESS_SYS],
	};
	device->mover = mover_create(device->config, &ports);
	if (!device->mover)
		return false;
	device->media = media_create(device->config, device->store, mover_media_done(device->mover));
	if (!device->media)
		return false;
	media_requests(device->media)->consumer = &device->waker[PROCESS_MEDIA];
	mover_connect(device->mover, media_requests(device->media));
	return true;
}

static bool create_core(struct device *device)
{
	const struct cpu_bus bus = {.ctx = device, .read = bus_read, .write = bus_write};
	const struct cpu_memory memory[CPU_MEMORIES] = {
		{TCM_BASE, TCM_BYTES, device->tcm},
		{SRAM_BASE, SRAM_BYTES, device->sram},
	};
	device->cpu = choose_cpu(device->config)(device->config, &bus, memory);
	return device->cpu != NULL;
}

static void connect(struct device *device)
{
	const struct config *config = device->config;
	struct waker *waker = device->waker;
	const struct virtio_ports virtio_ports = {
		.ctx = device,
		.control = endpoint_control(device->endpoint),
		.events = &waker[PROCESS_SYS],
		.msix = want_msix,
		.intx = intx_level,
		.answered = status_answered,
	};
	const struct endpoint_ports endpoint_ports = {
		.self = &waker[PROCESS_ENDPOINT],
		.down = device->down,
		.up = device->up,
		.dma = device->dma,
		.dma_wake = &waker[PROCESS_DMA],
		.msix = device->msix,
		.virtio = &device->virtio,
		.doorbells = &device->notify->doorbells,
		.probe = &device->probe,
		.ctx = device,
		.function_reset = function_reset,
	};
	const struct sys_ports sys_ports = {
		.ctx = device,
		.control = endpoint_control(device->endpoint),
		.events = all_events,
		.busy = engines_busy,
		.sectors = medium_sectors,
		.written_bytes = medium_written_bytes,
		.interrupt = core_interrupt,
		.ready = function_ready,
		.engines_reset = engines_reset,
		.function_reset_done = function_reset_done,
		.panic = panic,
	};
	virtio_regs_init(&device->virtio, config, &virtio_ports);
	device->firmware_services.consumer = &waker[PROCESS_SYS];
	endpoint_connect(device->endpoint, &endpoint_ports);
	const struct direct_ports direct_ports = {
		.self = &waker[PROCESS_DIRECT],
		.sram = device->sram,
		.probe = &device->probe,
		.events = &waker[PROCESS_SYS],
		.mover = device->mover,
		.used = device->used,
		.ctx = device,
		.take_record = take_record,
		.next_record_ps = next_record_ps,
		.slot_free = slot_free,
		.write_back = write_back,
	};
	direct_init(&device->direct, config, &direct_ports);
	sys_init(&device->sys, config, store_info(device->store), &sys_ports);
	dma_connect(device->dma, DMA_FETCH, &device->fetch->done);
	dma_connect(device->dma, DMA_USED, used_dma_done(device->used));
	dma_connect(device->dma, DMA_MOVER, mover_dma_done(device->mover));
	dma_connect(device->dma, DMA_COPY, &device->copy.done);
	timer_init(&device->timer, config_period_ps(config->core.clock_mhz), &waker[PROCESS_TIMER]);
	uart_init(&device->uart, &waker[PROCESS_UART], console_line, device);
	mailbox_init(&device->mailbox, &waker[PROCESS_SYS], mail_answered, device);
	connect_bus(device);
}

struct device *device_create(const struct config *config, struct store *store, const char *firmware_path,
			     const struct device_host *host, char *error, size_t error_size)
{
	struct device *device = calloc(1, sizeof(*device));
	if (!device)
		goto out_of_memory;
	device->config = config;
	device->host = *host;
	device->store = store;
	device->probe.observer = host->observer;
	device->sram = calloc(1, SRAM_BYTES);
	device->tcm = calloc(1, TCM_BYTES);
	create_processes(device);
	device->endpoint = endpoint_create(config, error, error_size);
	if (!device->endpoint)
		goto failed;
	if (!device->sram || !device->tcm || !create_link(device) || !create_engines(device) ||
	    !create_medium(device) || !create_core(device))
		goto out_of_memory;
	connect(device);
	const struct cpu_memory memory[CPU_MEMORIES] = {{TCM_BASE, TCM_BYTES, device->tcm}};
	if (cpu_load_elf(firmware_path, memory, &device->program, error, error_size) != 0)
		goto failed;
	return device;
out_of_memory:
	snprintf(error, error_size, "out of memory");
failed:
	device_free(device);
	return NULL;
}

void device_free(struct device *device)
{
	if (!device)
		return;
	cpu_free(device->cpu);
	media_free(device->media);
	mover_free(device->mover);
	used_free(device->used);
	msix_free(device->msix);
	notify_free(device->notify);
	fetch_free(device->fetch);
	dma_free(device->dma);
	endpoint_free(device->endpoint);
	link_dir_free(device->up);
	link_dir_free(device->down);
	free(device->sram);
	free(device->tcm);
	free(device);
}

void device_power_on(struct device *device)
{
	uint64_t now_ps = kernel_now_ps();
	cpu_reset(device->cpu, now_ps, device->program.entry);
	kernel_process_wake(device->process[PROCESS_CORE], now_ps);
}

/* ---- the host's side ---- */

void device_send(struct device *device, uint64_t ready_ps, const uint8_t *wire, size_t size)
{
	link_push(device->down, ready_ps, wire, size);
}

void device_deliver(struct device *device)
{
	deliver(device, kernel_now_ps());
}

void device_link_reset(struct device *device)
{
	uint64_t now_ps = kernel_now_ps();
	link_down(device->up, now_ps); /* both directions */
	dma_link_down(device->dma, now_ps);
	endpoint_link_reset(device->endpoint, now_ps, false);
}

void device_hold_credits(struct device *device, uint64_t until_ps)
{
	link_hold_credits(device->up, kernel_now_ps(), until_ps);
}

/* ---- management ---- */

enum device_failure device_failure(const struct device *device)
{
	return device->failure;
}

bool device_mail(struct device *device, uint16_t code, uint64_t argument)
{
	return mailbox_send(&device->mailbox, kernel_now_ps(), code, argument);
}

bool device_resize(struct device *device, uint64_t sectors)
{
	media_set_sectors(device->media, sectors);
	return device_mail(device, MAILBOX_RESIZE, sectors);
}

uint64_t device_oldest_request(const struct device *device)
{
	return probe_oldest(&device->probe);
}

bool device_quiescent(struct device *device, const char **what)
{
	const struct {
		bool busy;
		const char *name;
	} checks[] = {
		{fetch_busy(device->fetch), "fetch engine"},
		{fetch_slots_in_use(device->fetch) != 0, "request slots"},
		{mover_busy(device->mover), "data mover"},
		{media_outstanding(device->media) != 0, "medium"},
		{copy_busy(&device->copy), "copy engine"},
		{direct_busy(&device->direct), "direct path"},
		{used_busy(device->used), "used-ring writer"},
		{dma_busy(device->dma), "DMA engine"},
		{notify_busy(device->notify), "notify unit"},
		{msix_waiting(device->msix) != 0, "MSI-X generator"},
		{link_backlog_bytes(device->up, kernel_now_ps()) != 0, "link towards the host"},
		{link_backlog_bytes(device->down, kernel_now_ps()) != 0, "link towards the card"},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(checks); i++) {
		if (checks[i].busy) {
			*what = checks[i].name;
			return false;
		}
	}
	return true;
}

void device_dump(struct device *device, FILE *out)
{
	uint64_t now_ps = kernel_now_ps();
	const char *what = "nothing";
	device_quiescent(device, &what);
	const struct cfg_control *control = endpoint_control(device->endpoint);
	fprintf(out, "card at %" PRIu64 " ps, busy: %s\n", now_ps, what);
	fprintf(out, "  endpoint  bus_master=%d memory_space=%d msix=%d in_reset=%d\n", control->bus_master,
		control->memory_space, control->msix_enable, endpoint_in_reset(device->endpoint));
	fprintf(out, "  virtio    status=%#x wanted=%#x unanswered=%d resetting=%d isr=%#x\n",
		device->virtio.status, device->virtio.wanted, device->virtio.unanswered,
		device->virtio.resetting, device->virtio.isr);
	fprintf(out, "  notify    pending=%#" PRIx64 "\n", notify_waiting(device->notify));
	fprintf(out, "  fetch     walkers=%u slots=%u records=%u\n", fetch_walkers_busy(device->fetch),
		fetch_slots_in_use(device->fetch), (unsigned)device->fetch->stats.requests);
	fprintf(out, "  direct    requests=%u records=%u\n", device->direct.requests,
		slot_fifo_count(&device->direct.records));
	fprintf(out, "  mover     jobs=%u\n", mover_jobs(device->mover));
	fprintf(out, "  media     outstanding=%u\n", media_outstanding(device->media));
	fprintf(out, "  dma       tags=%u\n", dma_stats(device->dma)->tags_in_use);
	fprintf(out, "  msix      waiting=%u\n", msix_waiting(device->msix));
	fprintf(out, "  events    %#x enabled %#x panic %u: mcause %#x mepc %#x mtval %#x\n",
		all_events(device, now_ps), device->sys.event_enable, device->panic_code,
		device->sys.trap_cause, device->sys.trap_pc, device->sys.trap_value);
	cpu_dump(device->cpu, out);
}

struct device_stats device_stats(struct device *device)
{
	uint64_t now_ps = kernel_now_ps();
	const struct link_config link = {.generation = device->config->link.gen,
					 .lanes = device->config->link.lanes};
	return (struct device_stats){
		.endpoint = endpoint_stats(device->endpoint),
		.notify = &device->notify->stats,
		.fetch = &device->fetch->stats,
		.dma = dma_stats(device->dma),
		.mover = mover_stats(device->mover),
		.copy = &device->copy.stats,
		.direct = &device->direct.stats,
		.used = used_stats(device->used),
		.msix = &device->msix->stats,
		.media = media_stats(device->media),
		.cpu = cpu_stats(device->cpu, now_ps),
		.up = link_stats(device->up, now_ps),
		.down = link_stats(device->down, now_ps),
		.rate = link_rate_of(&link),
		.code_bytes = device->program.code_bytes,
		.data_bytes = device->program.data_bytes,
		.stack_bytes = device->program.stack_bytes,
	};
}

const struct cfg_space *device_cfg_space(const struct device *device)
{
	return endpoint_cfg_space(device->endpoint);
}
