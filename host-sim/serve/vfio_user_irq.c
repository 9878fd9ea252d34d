#include "host-sim/serve/event_fd.h"
#include "host-sim/serve/vfio_user.h"

#include <errno.h>
#include <string.h>

#define TABLE_ENTRY_BYTES 16u

unsigned vfio_user_irq_count(const struct vfio_user *client, unsigned index)
{
	switch (index) {
	case VFIO_USER_IRQ_INTX: return 1;
	case VFIO_USER_IRQ_MSIX: return min_u32(client->card->pci.msix_vectors, CARD_VECTORS_MAX);
	default: return 0;
	}
}

/* ---- eventfds ---- */

static void signal_client(struct vfio_user *client, int fd)
{
	if (fd < 0)
		client->irqs.unbound++;
	else if (event_fd_signal(fd))
		client->irqs.signalled++;
}

/* ---- MSI-X ---- */

void vfio_user_irq_vector(struct vfio_user *client, unsigned vector)
{
	signal_client(client, client->irqs.vector[vector]);
}

static void bind_vector(struct vfio_user *client, unsigned vector, int fd)
{
	bool was = client->irqs.vector[vector] >= 0;
	event_fd_replace(&client->irqs.vector[vector], fd);
	if (fd >= 0 && !was)
		card_bind_vector(client->card, vector);
	else if (fd < 0 && was)
		card_unbind_vector(client->card, vector);
}

/* ---- INTx: signalled once, then masked until the client unmasks it ---- */

void vfio_user_irq_intx(struct vfio_user *client)
{
	struct vfio_user_irqs *irqs = &client->irqs;
	if (!irqs->level || irqs->masked || irqs->intx < 0)
		return;
	irqs->masked = true;
	signal_client(client, irqs->intx);
}

static void unmask_intx(struct vfio_user *client)
{
	client->irqs.masked = false;
	vfio_user_irq_intx(client);
}

static void bind_intx(struct vfio_user *client, int fd)
{
	event_fd_replace(&client->irqs.intx, fd);
	unmask_intx(client);
}

/* The client's kernel asks by these descriptors (resampling). */
static void mask_asked(void *ctx)
{
	struct vfio_user *client = ctx;
	if (event_fd_take(client->irqs.mask))
		client->irqs.masked = true;
}

static void unmask_asked(void *ctx)
{
	struct vfio_user *client = ctx;
	if (event_fd_take(client->irqs.unmask))
		unmask_intx(client);
}

static int watch_fd(struct vfio_user *client, int *slot, int fd, loop_ready_fn *ready)
{
	loop_unwatch(client->card->loop, *slot);
	event_fd_replace(slot, fd);
	if (fd < 0 || loop_watch(client->card->loop, fd, ready, client) == 0)
		return 0;
	int error = errno;
	event_fd_replace(slot, -1);
	return error;
}

/* ---- SET_IRQS ---- */

static int set_fd(struct vfio_user *client, const struct vfio_user_set_irqs *set, unsigned vector, int fd)
{
	if (set->flags & VFIO_USER_SET_MASK)
		return watch_fd(client, &client->irqs.mask, fd, mask_asked);
	if (set->flags & VFIO_USER_SET_UNMASK)
		return watch_fd(client, &client->irqs.unmask, fd, unmask_asked);
	if (set->index == VFIO_USER_IRQ_INTX)
		bind_intx(client, fd);
	else
		bind_vector(client, vector, fd);
	return 0;
}

static int set_fds(struct vfio_user *client, const struct vfio_user_set_irqs *set, struct channel_fds *fds)
{
	for (unsigned i = 0; i < fds->count; i++)
		if (!event_fd_accept(fds->fd[i]))
			return EINVAL;
	/* Without descriptors the same range is unbound. */
	int error = 0;
	for (uint32_t i = 0; i < set->count && !error; i++)
		error = set_fd(client, set, set->start + i, channel_take_fd(fds, i));
	return error;
}

static void unbind_all(struct vfio_user *client, unsigned index)
{
	if (index == VFIO_USER_IRQ_INTX)
		bind_intx(client, -1);
	for (unsigned i = 0; index == VFIO_USER_IRQ_MSIX && i < vfio_user_irq_count(client, index); i++)
		bind_vector(client, i, -1);
}

/* One interrupt by hand: as a test, or the mask of INTx. */
static void act(struct vfio_user *client, const struct vfio_user_set_irqs *set, unsigned vector)
{
	if (set->flags & VFIO_USER_SET_MASK)
		client->irqs.masked = true;
	else if (set->flags & VFIO_USER_SET_UNMASK)
		unmask_intx(client);
	else
		signal_client(client, set->index == VFIO_USER_IRQ_INTX ? client->irqs.intx
								       : client->irqs.vector[vector]);
}

int vfio_user_irq_set(struct vfio_user *client, const uint8_t *payload, size_t bytes, struct channel_fds *fds)
{
	struct vfio_user_set_irqs set;
	memcpy(&set, payload, sizeof(set));
	int error = vfio_user_check_set_irqs(&set, bytes, fds->count, vfio_user_irq_count(client, set.index));
	if (error)
		return error;
	if (set.count == 0)
		unbind_all(client, set.index);
	else if (set.flags & VFIO_USER_SET_EVENTFD)
		return set_fds(client, &set, fds);
	for (uint32_t i = 0; i < set.count; i++)
		if (!(set.flags & VFIO_USER_SET_BOOL) || payload[sizeof(set) + i])
			act(client, &set, set.start + i);
	return 0;
}

/* ---- from the card ---- */

static void message(void *ctx, unsigned vector)
{
	struct vfio_user *client = ctx;
	if (vector < CARD_VECTORS_MAX)
		vfio_user_remote_interrupt(client, (int)vector);
}

static void intx(void *ctx, bool level)
{
	struct vfio_user *client = ctx;
	client->irqs.level = level;
	if (level)
		vfio_user_remote_interrupt(client, -1);
}

/* ---- life ---- */

/* Out of reset all entries are masked (PCIe 6.0 §7.7.2.8). */
static void reset_table(struct vfio_user_irqs *irqs)
{
	memset(irqs->table, 0, sizeof(irqs->table));
	for (unsigned i = 0; i < CARD_VECTORS_MAX; i++)
		irqs->table[i * TABLE_ENTRY_BYTES + PCI_MSIX_ENTRY_VECTOR_CTRL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

void vfio_user_irq_init(struct vfio_user *client)
{
	struct vfio_user_irqs *irqs = &client->irqs;
	const struct pci_device *pci = &client->card->pci;
	*irqs = (struct vfio_user_irqs){.intx = -1, .mask = -1, .unmask = -1, .table_bar = PCI_BARS};
	for (unsigned i = 0; i < CARD_VECTORS_MAX; i++)
		irqs->vector[i] = -1;
	reset_table(irqs);
	for (unsigned i = 0; i < PCI_BARS && pci->msix_vectors != 0; i++) {
		const struct pci_bar *bar = &pci->bar[i];
		if (pci->msix_table < bar->addr || pci->msix_table - bar->addr >= bar->bytes)
			continue;
		irqs->table_bar = i;
		irqs->table_offset = pci->msix_table - bar->addr;
	}
	client->card->sink = (struct card_sink){.ctx = client, .message = message, .intx = intx};
}

void vfio_user_irq_reset(struct vfio_user *client)
{
	struct vfio_user_irqs *irqs = &client->irqs;
	irqs->masked = false;
	reset_table(irqs);
	for (unsigned i = 0; i < vfio_user_irq_count(client, VFIO_USER_IRQ_MSIX); i++)
		if (irqs->vector[i] >= 0)
			card_bind_vector(client->card, i);
}

void vfio_user_irq_close(struct vfio_user *client)
{
	struct vfio_user_irqs *irqs = &client->irqs;
	client->card->sink = (struct card_sink){0};
	loop_unwatch(client->card->loop, irqs->mask);
	loop_unwatch(client->card->loop, irqs->unmask);
	event_fd_replace(&irqs->intx, -1);
	event_fd_replace(&irqs->mask, -1);
	event_fd_replace(&irqs->unmask, -1);
	for (unsigned i = 0; i < CARD_VECTORS_MAX; i++)
		event_fd_replace(&irqs->vector[i], -1);
}
