#include "host-sim/guest.h"

#include <stdio.h>
#include <string.h>

#define NS_MAX (UINT64_MAX / PS_PER_NS)
/* A write TLP that is no bulk data: header and up to eight used elements. */
#define POLLED_BYTES_MAX (TLP_HEADER_BYTES_MAX + 64u)

unsigned guest_cpu_count(const struct config *config)
{
	unsigned queues = config->guest.queues ? config->guest.queues : config->device.queues;
	return config->host.vcpus ? config->host.vcpus : queues;
}

/* ---- interrupts ---- */

static void interrupt(void *ctx, uint64_t now_ps, unsigned cpu_index, uint32_t vector)
{
	struct guest *guest = ctx;
	unsigned entry = vector - GUEST_VECTOR_BASE;
	if (cpu_index >= guest->cpus || vector < GUEST_VECTOR_BASE || entry >= GUEST_VECTORS)
		return; /* to nobody */
	if (guest->interrupts) {
		guest->interrupts->message(guest->user, entry);
		return;
	}
	struct guest_cpu *cpu = &guest->cpu[cpu_index];
	bool idle = true;
	for (unsigned i = 0; i < ARRAY_SIZE(cpu->pending); i++)
		idle = idle && cpu->pending[i] == 0;
	if (idle)
		cpu->interrupt_ps = now_ps;
	cpu->pending[entry / 64] |= UINT64_C(1) << (entry % 64);
	kernel_event_notify(cpu->wake, now_ps);
}

static void intx_level(void *ctx, uint64_t now_ps, bool level)
{
	struct guest *guest = ctx;
	guest->intx = level;
	if (guest->interrupts) {
		guest->interrupts->intx(guest->user, level);
		return;
	}
	guest->cpu[0].interrupt_ps = now_ps;
	if (level)
		kernel_event_notify(guest->cpu[0].wake, now_ps);
}

bool guest_cpu_interrupts(struct guest_cpu *cpu, uint64_t vectors[GUEST_VECTORS / 64], bool *intx)
{
	bool any = false;
	for (unsigned i = 0; i < ARRAY_SIZE(cpu->pending); i++) {
		vectors[i] = cpu->pending[i];
		any = any || vectors[i] != 0;
		cpu->pending[i] = 0;
	}
	*intx = cpu->index == 0 && cpu->guest->intx;
	if (any || *intx)
		cpu->interrupts++;
	return any || *intx;
}

void guest_cpu_wait(struct guest_cpu *cpu, uint64_t until_ps)
{
	if (until_ps == TIME_NEVER_PS)
		kernel_event_wait(cpu->wake);
	else
		kernel_event_wait_until(cpu->wake, until_ps);
}

void guest_cpu_wake(struct guest_cpu *cpu)
{
	kernel_event_notify(cpu->wake, kernel_now_ps());
}

void guest_cpu_spend(struct guest_cpu *cpu, uint64_t ps)
{
	cpu->busy_ps += ps;
	if (ps != 0)
		kernel_wait_ps(ps);
}

/* ---- what the driver asks of the machine ---- */

static uint32_t config_read(void *ctx, unsigned reg, unsigned bytes)
{
	return root_config_read(((struct guest *)ctx)->root, reg, bytes);
}

static void config_write(void *ctx, unsigned reg, unsigned bytes, uint32_t value)
{
	root_config_write(((struct guest *)ctx)->root, reg, bytes, value);
}

static uint32_t mmio_read(void *ctx, uint64_t addr, unsigned bytes)
{
	return (uint32_t)root_mmio_read(((struct guest *)ctx)->root, addr, bytes);
}

static void mmio_write(void *ctx, uint64_t addr, unsigned bytes, uint32_t value)
{
	struct guest *guest = ctx;
	if (guest->config->host.mmio_write_ps != 0)
		kernel_wait_ps(guest->config->host.mmio_write_ps);
	root_mmio_write(guest->root, addr, bytes, value);
}

static void *dma_alloc(void *ctx, uint64_t bytes, uint64_t align, enum dma_direction direction,
		       uint64_t *addr)
{
	struct guest *guest = ctx;
	void *data = memory_alloc(&guest->memory, bytes, align, addr);
	if (data)
		root_allow(guest->root, *addr, bytes,
			   (direction & DMA_TO_DEVICE ? ROOT_READ : 0) |
				   (direction & DMA_FROM_DEVICE ? ROOT_WRITE : 0) |
				   (direction & DMA_IN_ORDER ? ROOT_ORDERED : 0));
	return data;
}

static void dma_sync(void *ctx)
{
	root_sync(((struct guest *)ctx)->root);
}

static void msi_message(void *ctx, unsigned cpu, unsigned vector, uint64_t *addr, uint32_t *data)
{
	*addr = root_msi_addr(((struct guest *)ctx)->root, cpu);
	*data = GUEST_VECTOR_BASE + vector;
}

static void delay_ns(void *ctx, uint64_t ns)
{
	(void)ctx;
	kernel_wait_ps(min_u64(ns, NS_MAX) * PS_PER_NS);
}

/* ---- creation ---- */

static void log_root(void *ctx, const char *line)
{
	struct guest *guest = ctx;
	if (guest->log)
		guest->log(guest->user, line);
}

static void log_card(void *ctx, uint64_t now_ps, const char *line)
{
	(void)now_ps;
	log_root(ctx, line);
}

static void receive(void *ctx, uint64_t arrive_ps, const uint8_t *wire, size_t size)
{
	root_receive(((struct guest *)ctx)->root, arrive_ps, wire, size);
}

/* Somebody who polls memory sees short writes (ring indices, status) at once, and what came before them. */
static bool urgent(void *ctx, const uint8_t *wire, size_t size)
{
	if (((struct guest *)ctx)->interrupts && size <= POLLED_BYTES_MAX)
		return true;
	return root_urgent(((struct guest *)ctx)->root, wire, size);
}

void guest_init(struct guest *guest, const struct config *config, void *user)
{
	*guest = (struct guest){.config = config, .user = user, .cpus = guest_cpu_count(config)};
	for (unsigned i = 0; i < guest->cpus; i++)
		guest->cpu[i] = (struct guest_cpu){.guest = guest, .index = i, .wake = kernel_event_create()};
}

int guest_create(struct guest *guest, const struct config *config, const struct guest_options *options,
		 char *error, size_t error_size)
{
	const struct root_ports root_ports = {.ctx = guest,
					      .msi_base =
						      options->elsewhere ? ROOT_MSI_BASE_TOP : ROOT_MSI_BASE,
					      .interrupt = interrupt,
					      .intx = intx_level,
					      .log = log_root};
	const struct device_host device_host = {.ctx = guest,
						.tlp = receive,
						.urgent = urgent,
						.observer = options->observer,
						.log = log_card};
	guest_init(guest, config, options->user);
	guest->log = options->log;
	guest->interrupts = options->elsewhere;
	guest->ops = (struct host_ops){
		.ctx = guest,
		.config_read = config_read,
		.config_write = config_write,
		.mmio_read = mmio_read,
		.mmio_write = mmio_write,
		.dma_alloc = dma_alloc,
		.dma_sync = dma_sync,
		.msi_message = msi_message,
		.delay_ns = delay_ns,
	};
	if (memory_create(&guest->memory, config->host.memory_base,
			  options->elsewhere ? 0 : config->host.memory_bytes, error, error_size) != 0)
		goto failed;
	guest->root = root_create(config, &guest->memory, &root_ports);
	if (!guest->root) {
		snprintf(error, error_size, "out of memory");
		goto failed;
	}
	guest->device = device_create(config, options->store, options->firmware_path, &device_host, error,
				      error_size);
	if (!guest->device)
		goto failed;
	root_connect(guest->root, guest->device);
	device_power_on(guest->device);
	return 0;
failed:
	guest_destroy(guest);
	return -1;
}

const char *guest_card_failure(const struct guest *guest)
{
	static const char *const reasons[] = {
		[DEVICE_OK] = NULL,
		[DEVICE_TRAP] = "the firmware took a fatal trap",
		[DEVICE_ASSERTION] = "the firmware stopped on an assertion",
		[DEVICE_HALTED] = "the core halted",
		[DEVICE_STUCK] = "the core is stuck (a jump to itself, or a trap handler that traps)",
	};
	return reasons[device_failure(guest->device)];
}

void guest_destroy(struct guest *guest)
{
	device_free(guest->device);
	root_free(guest->root);
	memory_destroy(&guest->memory);
	for (unsigned i = 0; i < guest->cpus; i++)
		kernel_event_free(guest->cpu[i].wake);
	guest->cpus = 0;
	guest->device = NULL;
	guest->root = NULL;
}
