#include "host-sim/connect/vfio_client.h"

#include "host-sim/connect/vfio_link.h"
#include "host-sim/serve/event_fd.h"
#include "rtl-model/kernel.h"

#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BARS              6u
#define TABLE_ENTRY_BYTES 16u
#define NS_MAX            (UINT64_MAX / PS_PER_NS)

/* An MSI-X table entry, and the eventfd the server signals for it. */
struct vector {
	struct vfio_client *client;
	unsigned index;
	uint32_t entry[4];
	int eventfd;
};

struct vfio_client {
	struct vfio_link link;
	char address[160];
	bool share;
	struct guest *guest;
	struct loop *loop;
	struct {
		uint64_t bytes;
		uint32_t reg; /* as the driver has written it, by what could be read back */
	} bar[BARS];
	bool memory_space;
	unsigned table_bar;
	uint32_t table_offset;
	struct vector *vector;
	unsigned vectors;
	int intx;
};

/* ---- configuration space ---- */

static uint32_t ones(unsigned bytes)
{
	return bytes >= 4 ? UINT32_MAX : (UINT32_C(1) << 8 * bytes) - 1;
}

static uint32_t region_read(struct vfio_client *client, unsigned region, uint64_t offset, unsigned bytes)
{
	uint32_t value = 0;
	if (vfio_link_read(&client->link, region, offset, bytes, &value) != 0)
		return ones(bytes);
	return value;
}

static uint32_t config_read(void *ctx, unsigned reg, unsigned bytes)
{
	return region_read(((struct guest *)ctx)->user, VFIO_USER_REGION_CONFIG, reg, bytes);
}

static void config_write(void *ctx, unsigned reg, unsigned bytes, uint32_t value)
{
	struct vfio_client *client = ((struct guest *)ctx)->user;
	vfio_link_write(&client->link, VFIO_USER_REGION_CONFIG, reg, bytes, &value, true);
	/* Where the driver has put the BARs: the server knows them by number only. */
	unsigned bar = (reg - PCI_BASE_ADDRESS_0) / 4;
	if (reg >= PCI_BASE_ADDRESS_0 && bar < BARS)
		client->bar[bar].reg = region_read(client, VFIO_USER_REGION_CONFIG, reg & ~3u, 4);
	if (reg == PCI_COMMAND)
		client->memory_space = value & PCI_COMMAND_MEMORY;
}

/* ---- BARs ---- */

static uint64_t bar_addr(const struct vfio_client *client, unsigned bar)
{
	uint32_t low = client->bar[bar].reg;
	uint64_t addr = low & PCI_BASE_ADDRESS_MEM_MASK & UINT32_MAX;
	if ((low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64 && bar + 1 < BARS)
		addr |= (uint64_t)client->bar[bar + 1].reg << 32;
	return addr;
}

/* The BAR an access hits; false if it hits none, as with memory space off. */
static bool decode(const struct vfio_client *client, uint64_t addr, unsigned bytes, unsigned *bar,
		   uint64_t *offset)
{
	for (*bar = 0; client->memory_space && *bar < BARS; (*bar)++) {
		*offset = addr - bar_addr(client, *bar);
		if (*offset < client->bar[*bar].bytes && bytes <= client->bar[*bar].bytes - *offset)
			return true;
	}
	return false;
}

/* The DW of the MSI-X table an access is to; NULL if it is to something else. */
static uint32_t *table_at(struct vfio_client *client, unsigned bar, uint64_t offset)
{
	if (bar != client->table_bar || offset < client->table_offset)
		return NULL;
	uint64_t at = offset - client->table_offset;
	if (at / TABLE_ENTRY_BYTES >= client->vectors)
		return NULL;
	return &client->vector[at / TABLE_ENTRY_BYTES].entry[at % TABLE_ENTRY_BYTES / 4];
}

static void bind_fd(struct vfio_client *client, unsigned index, unsigned start, int fd)
{
	const struct vfio_user_set_irqs set = {.argsz = sizeof(set),
					       .flags = VFIO_USER_SET_EVENTFD | VFIO_USER_SET_TRIGGER,
					       .index = index,
					       .start = start,
					       .count = 1};
	vfio_link_set_irqs(&client->link, &set, fd);
}

/* A vector gets its descriptor when the driver first unmasks it. While it is masked, it is not signalled. */
static void table_written(struct vfio_client *client, const struct vector *vector, bool was_masked)
{
	bool masked = vector->entry[PCI_MSIX_ENTRY_VECTOR_CTRL / 4] & PCI_MSIX_ENTRY_CTRL_MASKBIT;
	if (masked != was_masked)
		bind_fd(client, VFIO_USER_IRQ_MSIX, vector->index, masked ? -1 : vector->eventfd);
}

static uint32_t mmio_read(void *ctx, uint64_t addr, unsigned bytes)
{
	struct vfio_client *client = ((struct guest *)ctx)->user;
	unsigned bar;
	uint64_t offset;
	if (!decode(client, addr, bytes, &bar, &offset))
		return ones(bytes);
	const uint32_t *table = table_at(client, bar, offset);
	if (table)
		return *table >> 8 * (offset & 3) & ones(bytes);
	uint32_t value = region_read(client, bar, offset, bytes);
	/* INTx is masked when it has been signalled; any access is taken for the handler's, which ends with the wire
	 * released. If it is not, the server signals again. */
	if (client->guest->intx) {
		const struct vfio_user_set_irqs unmask = {.argsz = sizeof(unmask),
							  .flags = VFIO_USER_SET_NONE | VFIO_USER_SET_UNMASK,
							  .index = VFIO_USER_IRQ_INTX,
							  .count = 1};
		client->guest->intx = false;
		vfio_link_set_irqs(&client->link, &unmask, -1);
	}
	return value;
}

static void mmio_write(void *ctx, uint64_t addr, unsigned bytes, uint32_t value)
{
	struct vfio_client *client = ((struct guest *)ctx)->user;
	unsigned bar;
	uint64_t offset;
	if (!decode(client, addr, bytes, &bar, &offset))
		return;
	uint32_t *table = table_at(client, bar, offset);
	if (table && bytes == 4) {
		struct vector *vector = &client->vector[(offset - client->table_offset) / TABLE_ENTRY_BYTES];
		bool was_masked = vector->entry[PCI_MSIX_ENTRY_VECTOR_CTRL / 4] & PCI_MSIX_ENTRY_CTRL_MASKBIT;
		*table = value;
		table_written(client, vector, was_masked);
		return;
	}
	vfio_link_write(&client->link, bar, offset, bytes, &value, false);
}

/* ---- the rest of what a driver needs ---- */

static void *dma_alloc(void *ctx, uint64_t bytes, uint64_t align, enum dma_direction direction,
		       uint64_t *addr)
{
	(void)direction;
	return memory_alloc(&((struct guest *)ctx)->memory, bytes, align, addr);
}

static void dma_sync(void *ctx)
{
	struct vfio_client *client = ((struct guest *)ctx)->user;
	if (!client->share)
		vfio_link_serve(&client->link);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void msi_message(void *ctx, unsigned cpu, unsigned vector, uint64_t *addr, uint32_t *data)
{
	(void)ctx;
	*addr = ROOT_MSI_BASE | (uint64_t)cpu << 12;
	*data = GUEST_VECTOR_BASE + vector;
}

static void delay_ns(void *ctx, uint64_t ns)
{
	(void)ctx;
	kernel_wait_ps(min_u64(ns, NS_MAX) * PS_PER_NS);
}

/* ---- interrupts ---- */

static void vector_signalled(void *ctx)
{
	struct vector *vector = ctx;
	struct guest *guest = vector->client->guest;
	if (!event_fd_take(vector->eventfd))
		return;
	unsigned index = (vector->entry[0] & 0xfffff) >> 12;
	uint32_t entry = vector->entry[PCI_MSIX_ENTRY_DATA / 4] - GUEST_VECTOR_BASE;
	if (index >= guest->cpus || entry >= GUEST_VECTORS)
		return; /* to nobody */
	struct guest_cpu *cpu = &guest->cpu[index];
	cpu->pending[entry / 64] |= UINT64_C(1) << (entry % 64);
	cpu->interrupt_ps = kernel_now_ps();
	guest_cpu_wake(cpu);
}

static void intx_signalled(void *ctx)
{
	struct vfio_client *client = ctx;
	if (!event_fd_take(client->intx))
		return;
	client->guest->intx = true;
	client->guest->cpu[0].interrupt_ps = kernel_now_ps();
	guest_cpu_wake(&client->guest->cpu[0]);
}

static void socket_ready(void *ctx)
{
	struct vfio_client *client = ctx;
	vfio_link_serve(&client->link);
	if (client->link.failure[0] != '\0')
		loop_unwatch(client->loop, client->link.fd);
}

/* ---- start ---- */

static int fail(char *error, size_t error_size, const struct vfio_client *client, const char *what)
{
	const char *failure = vfio_client_failure(client);
	snprintf(error, error_size, "%s: %s", client->address, failure ? failure : what);
	return -1;
}

/* Where the MSI-X table is (PCIe 6.0 §7.7.2). */
static void find_table(struct vfio_client *client)
{
	unsigned at = region_read(client, VFIO_USER_REGION_CONFIG, PCI_CAPABILITY_LIST, 1) & ~3u;
	client->table_bar = BARS;
	for (unsigned i = 0; i < 48 && at >= PCI_STD_HEADER_SIZEOF; i++) {
		uint32_t head = region_read(client, VFIO_USER_REGION_CONFIG, at, 2);
		if ((head & 0xff) == PCI_CAP_ID_MSIX) {
			uint32_t table = region_read(client, VFIO_USER_REGION_CONFIG, at + PCI_MSIX_TABLE, 4);
			client->table_bar = table & PCI_MSIX_TABLE_BIR;
			client->table_offset = table & PCI_MSIX_TABLE_OFFSET;
			return;
		}
		at = head >> 8 & ~3u;
	}
}

static int create_vectors(struct vfio_client *client)
{
	client->vectors = client->table_bar < BARS ? min_u32(client->link.msix_vectors, GUEST_VECTORS) : 0;
	client->vector = calloc(client->vectors + 1, sizeof(*client->vector));
	if (!client->vector)
		return -1;
	for (unsigned i = 0; i < client->vectors; i++) {
		struct vector *vector = &client->vector[i];
		*vector = (struct vector){.client = client, .index = i, .eventfd = -1};
		vector->entry[PCI_MSIX_ENTRY_VECTOR_CTRL / 4] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
		vector->eventfd = event_fd_open(client->loop, vector_signalled, vector);
		if (vector->eventfd < 0)
			return -1;
	}
	client->intx = event_fd_open(client->loop, intx_signalled, client);
	return client->intx < 0 ? -1 : 0;
}

static int create_memory(struct vfio_client *client, struct memory *memory, const struct config *config)
{
	uint64_t bytes = config->host.memory_bytes & ~(uint64_t)(VFIO_USER_PAGE_BYTES - 1);
	int fd = memfd_create("guest memory", MFD_CLOEXEC);
	if (fd < 0)
		return -1;
	void *data = MAP_FAILED;
	if (ftruncate(fd, (off_t)bytes) == 0)
		data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (data == MAP_FAILED) {
		close(fd);
		return -1;
	}
	*memory = (struct memory){.base = config->host.memory_base,
				  .bytes = bytes,
				  .data = data,
				  .next = config->host.memory_base};
	const struct vfio_user_dma_map map = {.argsz = sizeof(map),
					      .flags = VFIO_USER_DMA_MAY_READ | VFIO_USER_DMA_MAY_WRITE,
					      .addr = memory->base,
					      .bytes = bytes};
	int result = vfio_link_dma_map(&client->link, &map, client->share ? fd : -1);
	close(fd);
	return result;
}

int vfio_client_guest(struct vfio_client *client, struct guest *guest, const struct config *config,
		      struct loop *loop, char *error, size_t error_size)
{
	guest_init(guest, config, client);
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
	client->guest = guest;
	client->loop = loop;
	client->link.memory = &guest->memory;
	if (create_memory(client, &guest->memory, config) != 0)
		return fail(error, error_size, client, "cannot share guest memory; lower host.memory");
	for (unsigned i = 0; i < BARS; i++)
		client->bar[i].bytes = client->link.bar_bytes[i];
	find_table(client);
	if (create_vectors(client) != 0 || loop_watch(loop, client->link.fd, socket_ready, client) != 0)
		return fail(error, error_size, client, "cannot wait for its interrupts");
	bind_fd(client, VFIO_USER_IRQ_INTX, 0, client->intx);
	return vfio_client_failure(client) ? fail(error, error_size, client, "") : 0;
}

struct vfio_client *vfio_client_open(const char *address, char *error, size_t error_size)
{
	static const char scheme[] = "vfio-user:", messages[] = ",dma=messages";
	size_t length = strlen(address);
	struct vfio_client *client = calloc(1, sizeof(*client));
	if (!client || length >= sizeof(client->address) ||
	    strncmp(address, scheme, sizeof(scheme) - 1) != 0) {
		snprintf(error, error_size, "'%.100s': give vfio-user:PATH, the socket of `kickstand serve`",
			 address);
		free(client);
		return NULL;
	}
	char path[sizeof(client->address)];
	snprintf(client->address, sizeof(client->address), "%s", address);
	snprintf(path, sizeof(path), "%s", address + sizeof(scheme) - 1);
	char *tail = strstr(path, messages);
	client->share = !tail || tail[sizeof(messages) - 1] != '\0';
	if (!client->share)
		*tail = '\0';
	client->intx = -1;
	if (vfio_link_open(&client->link, path, error, error_size) == 0)
		return client;
	free(client);
	return NULL;
}

void vfio_client_close(struct vfio_client *client)
{
	if (!client)
		return;
	for (unsigned i = 0; client->vector && i < client->vectors; i++)
		if (client->vector[i].eventfd >= 0)
			close(client->vector[i].eventfd);
	if (client->intx >= 0)
		close(client->intx);
	free(client->vector);
	vfio_link_close(&client->link);
	free(client);
}

const char *vfio_client_failure(const struct vfio_client *client)
{
	return client->link.failure[0] != '\0' ? client->link.failure : NULL;
}

const char *vfio_client_address(const struct vfio_client *client)
{
	return client->address;
}
