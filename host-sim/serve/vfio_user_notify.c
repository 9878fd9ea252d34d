#include "host-sim/root.h"
#include "host-sim/serve/event_fd.h"
#include "host-sim/serve/vfio_user.h"
#include "rtl-model/kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Looks at the rings of a driver that does not ring: often while there is something to do, seldom otherwise. */
#define POLL_MIN_PS (20 * PS_PER_US)
#define POLL_MAX_PS (2 * PS_PER_MS)

#define AVAIL_INDEX_OFFSET 2u /* virtio 1.4 §2.7.6 */

/* ---- what the driver of the other side would know of the card ---- */

static uint32_t select_and_read(struct vfio_user *client, unsigned queue, unsigned offset, unsigned bytes)
{
	const struct virtio_device *virtio = &client->notify.virtio;
	virtio_common_write(virtio, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
	return virtio_common_read(virtio, offset, bytes);
}

/* Finds the doorbells, leaving the queue selected that was. False if the card has none or memory is short. */
static bool learn(struct vfio_user *client)
{
	struct vfio_user_notify *notify = &client->notify;
	const struct virtio_device *virtio = &notify->virtio;
	char error[200];
	if (notify->known)
		return true;
	if (virtio_find(&notify->virtio, &client->card->pci, error, sizeof(error)) != 0)
		return false;
	uint32_t selected = virtio_common_read(virtio, VIRTIO_PCI_COMMON_Q_SELECT, 2);
	unsigned queues = virtio_common_read(virtio, VIRTIO_PCI_COMMON_NUMQ, 2);
	if (queues == UINT16_MAX)
		return false; /* it does not answer: asleep (D3hot) */
	notify->doorbell = calloc(queues, sizeof(*notify->doorbell));
	if (!notify->doorbell)
		return false;
	for (unsigned i = 0; i < queues; i++) {
		uint32_t offset = select_and_read(client, i, VIRTIO_PCI_COMMON_Q_NOFF, 2);
		notify->doorbell[i] = (struct vfio_user_doorbell){
			.client = client,
			.queue = i,
			.addr = virtio->notify.addr + (uint64_t)offset * virtio->notify_multiplier,
			.eventfd = -1,
		};
	}
	virtio_common_write(virtio, VIRTIO_PCI_COMMON_Q_SELECT, 2, selected);
	notify->doorbells = queues;
	notify->known = true;
	return true;
}

static void ring(const struct vfio_user_doorbell *doorbell)
{
	root_mmio_write(doorbell->client->card->guest.root, doorbell->addr, 2, doorbell->queue);
}

/* ---- ioeventfds ---- */

static void rung(void *ctx)
{
	struct vfio_user_doorbell *doorbell = ctx;
	if (event_fd_take(doorbell->eventfd))
		ring(doorbell);
}

static int open_eventfd(struct vfio_user_doorbell *doorbell)
{
	if (doorbell->eventfd < 0)
		doorbell->eventfd = event_fd_open(doorbell->client->card->loop, rung, doorbell);
	return doorbell->eventfd < 0 ? errno : 0;
}

/* How many doorbells there can be descriptors for. None if the value written matters (virtio 1.4 §4.1.5.2), since a
 * descriptor does not carry it. */
static unsigned offered(struct vfio_user *client, unsigned region)
{
	struct vfio_user_notify *notify = &client->notify;
	if (region >= PCI_BARS || client->card->config->virtio.notification_data || !learn(client))
		return 0;
	const struct pci_bar *bar = &client->card->pci.bar[region];
	uint64_t addr = notify->virtio.notify.addr;
	if (addr < bar->addr || addr - bar->addr >= bar->bytes)
		return 0;
	return min_u32(notify->doorbells, min_u32(client->version.max_msg_fds, VFIO_USER_FDS_MAX));
}

int vfio_user_notify_fds(struct vfio_user *client, const struct vfio_user_io_fds *request)
{
	struct {
		struct vfio_user_io_fds head;
		struct vfio_user_io_fd entry[VFIO_USER_FDS_MAX];
	} reply = {.head = {.index = request->index}};
	int fds[VFIO_USER_FDS_MAX];
	if (request->flags != 0 || request->count != 0 || request->argsz < sizeof(*request) ||
	    vfio_user_region_bytes(client, request->index) == 0)
		return EINVAL;
	unsigned count = offered(client, request->index);
	reply.head.count = count;
	reply.head.argsz = (uint32_t)(sizeof(reply.head) + count * sizeof(reply.entry[0]));
	/* The client asks again with more room. */
	if (request->argsz < reply.head.argsz || count == 0) {
		vfio_user_reply(client, &reply.head, sizeof(reply.head), NULL, 0);
		return 0;
	}
	for (unsigned i = 0; i < count; i++) {
		struct vfio_user_doorbell *doorbell = &client->notify.doorbell[i];
		int error = open_eventfd(doorbell);
		if (error)
			return error;
		fds[i] = doorbell->eventfd;
		reply.entry[i] = (struct vfio_user_io_fd){
			.offset = doorbell->addr - client->card->pci.bar[request->index].addr,
			.bytes = 2,
			.fd_index = i,
		};
	}
	vfio_user_reply(client, &reply, reply.head.argsz, fds, count);
	return 0;
}

static uint64_t read_avail_addr(struct vfio_user *client, unsigned queue)
{
	uint32_t low = select_and_read(client, queue, VIRTIO_PCI_COMMON_Q_AVAILLO, 4);
	return low | (uint64_t)virtio_common_read(&client->notify.virtio, VIRTIO_PCI_COMMON_Q_AVAILHI, 4)
			     << 32;
}

/* ---- memory that is not shared ---- */

/* A client may send a descriptor of memory and let the guest write to private copies of its pages (QEMU: share=off). What
 * shows here is a doorbell for a ring in which there never was anything. */
void vfio_user_notify_rung(struct vfio_user *client, uint64_t addr)
{
	struct vfio_user_notify *notify = &client->notify;
	if (!learn(client) || addr < notify->virtio.notify.addr ||
	    addr - notify->virtio.notify.addr >= notify->virtio.notify.bytes)
		return;
	notify->rung = true;
	for (unsigned i = 0; i < notify->doorbells; i++) {
		if (notify->doorbell[i].addr != addr)
			continue;
		uint32_t selected = virtio_common_read(&notify->virtio, VIRTIO_PCI_COMMON_Q_SELECT, 2);
		uint64_t avail = read_avail_addr(client, i);
		virtio_common_write(&notify->virtio, VIRTIO_PCI_COMMON_Q_SELECT, 2, selected);
		const struct memory_region *region = memory_find(&client->card->guest.memory, avail, 4);
		if (region && region->data && load_le32(region->data + (avail - region->base)) == 0)
			card_say(client->card,
				 "vfio-user: queue %u is rung and its ring is empty: is the guest's memory "
				 "shared (QEMU: share=on)?",
				 i);
	}
}

/* ---- drivers that do not ring ---- */

/* Rings for the driver where it has added something. */
static bool look(struct vfio_user_doorbell *doorbell)
{
	uint64_t addr = doorbell->avail_addr + AVAIL_INDEX_OFFSET;
	if (doorbell->avail_addr == 0)
		return false;
	const struct memory_region *region = memory_find(&doorbell->client->card->guest.memory, addr, 2);
	if (!region || !region->data)
		return false;
	uint16_t index;
	memcpy(&index, region->data + (addr - region->base), sizeof(index));
	if (index == doorbell->avail_index)
		return false;
	doorbell->avail_index = index;
	ring(doorbell);
	return true;
}

static bool any_enabled(const struct vfio_user_notify *notify)
{
	for (unsigned i = 0; i < notify->doorbells; i++)
		if (notify->doorbell[i].avail_addr != 0)
			return true;
	return false;
}

static void poller(void *arg)
{
	struct vfio_user_notify *notify = arg;
	uint64_t pause_ps = POLL_MIN_PS;
	for (;;) {
		while (!any_enabled(notify))
			kernel_event_wait(notify->wake);
		bool any = false;
		for (unsigned i = 0; i < notify->doorbells; i++)
			any = look(&notify->doorbell[i]) || any;
		pause_ps = any ? POLL_MIN_PS : min_u64(pause_ps + pause_ps / 8, POLL_MAX_PS);
		kernel_wait_ps(pause_ps);
	}
}

void vfio_user_notify_status(struct vfio_user *client, uint8_t status)
{
	struct vfio_user_notify *notify = &client->notify;
	const struct virtio_device *virtio = &notify->virtio;
	vfio_user_notify_reset(client);
	if (!(status & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	uint32_t selected = virtio_common_read(virtio, VIRTIO_PCI_COMMON_Q_SELECT, 2);
	for (unsigned i = 0; i < notify->doorbells; i++) {
		struct vfio_user_doorbell *doorbell = &notify->doorbell[i];
		if (select_and_read(client, i, VIRTIO_PCI_COMMON_Q_ENABLE, 2) != 1)
			continue;
		doorbell->avail_addr = read_avail_addr(client, i);
	}
	virtio_common_write(virtio, VIRTIO_PCI_COMMON_Q_SELECT, 2, selected);
	kernel_event_notify(notify->wake, kernel_now_ps());
}

/* ---- life ---- */

void vfio_user_notify_init(struct vfio_user *client)
{
	client->notify.wake = kernel_event_create();
	kernel_thread_spawn("vfio_user_poller", poller, &client->notify);
}

void vfio_user_notify_poll(struct vfio_user *client)
{
	client->notify.polls = learn(client);
}

void vfio_user_notify_reset(struct vfio_user *client)
{
	client->notify.rung = false;
	for (unsigned i = 0; i < client->notify.doorbells; i++) {
		client->notify.doorbell[i].avail_addr = 0;
		client->notify.doorbell[i].avail_index = 0;
	}
}

void vfio_user_notify_close(struct vfio_user *client)
{
	struct vfio_user_notify *notify = &client->notify;
	for (unsigned i = 0; i < notify->doorbells; i++) {
		if (notify->doorbell[i].eventfd < 0)
			continue;
		loop_unwatch(client->card->loop, notify->doorbell[i].eventfd);
		close(notify->doorbell[i].eventfd);
	}
	free(notify->doorbell);
	notify->doorbell = NULL;
	notify->doorbells = 0;
	notify->known = notify->polls = notify->rung = false;
}
