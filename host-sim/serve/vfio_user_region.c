#include "host-sim/serve/vfio_user.h"

#include "host-sim/root.h"

#include <errno.h>
#include <string.h>

/* Posted writes have no answer that would slow the client down. After so many, a configuration read, which cannot pass them
 * (PCIe 6.0 §2.4.1), waits until the card has taken them all. */
#define POSTED_MAX 128u

uint64_t vfio_user_region_bytes(const struct vfio_user *client, unsigned region)
{
	if (region == VFIO_USER_REGION_CONFIG)
		return VFIO_USER_CONFIG_BYTES;
	if (region < PCI_BARS && !client->card->pci.bar[region].is_io)
		return client->card->pci.bar[region].bytes;
	return 0;
}

/* The largest naturally aligned piece at `offset`, of at most `most` bytes. */
static unsigned piece_bytes(uint64_t offset, uint32_t left, unsigned most)
{
	unsigned bytes = most;
	while (bytes > left || offset % bytes != 0)
		bytes /= 2;
	return bytes;
}

/* The client's copy of the MSI-X table; NULL if the piece is not in it. */
static uint8_t *table_at(struct vfio_user *client, unsigned region, uint64_t offset)
{
	struct vfio_user_irqs *irqs = &client->irqs;
	uint64_t bytes = (uint64_t)client->card->pci.msix_vectors * 16;
	if (region != irqs->table_bar || offset < irqs->table_offset || offset - irqs->table_offset >= bytes)
		return NULL;
	uint64_t at = offset - irqs->table_offset;
	return at < sizeof(irqs->table) ? irqs->table + at : NULL;
}

static uint64_t read_piece(struct vfio_user *client, unsigned region, uint64_t offset, unsigned bytes)
{
	const uint8_t *table = table_at(client, region, offset);
	uint64_t value = 0;
	if (region == VFIO_USER_REGION_CONFIG)
		return vfio_user_config_read(client, (unsigned)offset, bytes);
	if (table) {
		memcpy(&value, table, bytes);
		return value;
	}
	return root_mmio_read(client->card->guest.root, client->card->pci.bar[region].addr + offset, bytes);
}

int vfio_user_region_read(struct vfio_user *client, const struct vfio_user_access *access, uint8_t *data)
{
	int error = vfio_user_check_access(access->offset, access->count,
					   vfio_user_region_bytes(client, access->region));
	unsigned most = access->region == VFIO_USER_REGION_CONFIG ? 4 : 8;
	if (error)
		return error;
	for (uint32_t done = 0, bytes; done < access->count; done += bytes) {
		bytes = piece_bytes(access->offset + done, access->count - done, most);
		uint64_t value = read_piece(client, access->region, access->offset + done, bytes);
		memcpy(data + done, &value, bytes);
	}
	client->unread = 0;
	return 0;
}

/* DRIVER_OK is of interest to those who stand in for a doorbell, and the first doorbell to those who look for memory. */
static void note_write(struct vfio_user *client, uint64_t addr, unsigned bytes, uint64_t value)
{
	const struct vfio_user_notify *notify = &client->notify;
	if (!notify->rung)
		vfio_user_notify_rung(client, addr);
	if (notify->polls && addr == notify->virtio.common.addr + VIRTIO_PCI_COMMON_STATUS && bytes == 1)
		vfio_user_notify_status(client, (uint8_t)value);
}

static void write_piece(struct vfio_user *client, unsigned region, uint64_t offset, unsigned bytes,
			uint64_t value)
{
	struct root *root = client->card->guest.root;
	uint8_t *table = table_at(client, region, offset);
	if (region == VFIO_USER_REGION_CONFIG) {
		vfio_user_config_write(client, (unsigned)offset, bytes, (uint32_t)value);
		return;
	}
	if (table) {
		memcpy(table, &value, bytes);
		return;
	}
	uint64_t addr = client->card->pci.bar[region].addr + offset;
	root_mmio_write(root, addr, bytes, value);
	note_write(client, addr, bytes, value);
	if (++client->unread < POSTED_MAX)
		return;
	root_config_read(root, PCI_VENDOR_ID, 2);
	client->unread = 0;
}

int vfio_user_region_write(struct vfio_user *client, const struct vfio_user_access *access,
			   const uint8_t *data)
{
	int error = vfio_user_check_access(access->offset, access->count,
					   vfio_user_region_bytes(client, access->region));
	unsigned most = access->region == VFIO_USER_REGION_CONFIG ? 4 : 8;
	if (error)
		return error;
	for (uint32_t done = 0, bytes; done < access->count; done += bytes) {
		uint64_t value = 0;
		bytes = piece_bytes(access->offset + done, access->count - done, most);
		memcpy(&value, data + done, bytes);
		write_piece(client, access->region, access->offset + done, bytes, value);
	}
	return 0;
}
