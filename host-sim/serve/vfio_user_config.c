#include "host-sim/serve/vfio_user.h"

#include "host-sim/root.h"

/* The socket stands where a root port would: what is said about the link to it (payload sizes, tags) and where its BARs are
 * does not hold for the link behind us, which has an address map and settings of its own. */

#define DEVCTL_LINK  (PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_READRQ | PCI_EXP_DEVCTL_EXT_TAG)
#define DEVCTL2_LINK (1u << 12) /* 10-Bit Tag Requester Enable */

static uint32_t type_bits(const struct pci_bar *bar)
{
	return (bar->is_io ? PCI_BASE_ADDRESS_SPACE_IO : 0) |
	       (bar->is_64bit ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
	       (bar->prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);
}

static void add(struct vfio_user_config *config, unsigned reg, uint32_t mask, uint32_t writable,
		uint32_t reset, uint32_t card)
{
	ASSERT(config->parts < VFIO_USER_PRIVATES);
	config->part[config->parts++] = (struct vfio_user_private){.reg = (uint16_t)reg,
								   .mask = mask,
								   .writable = writable,
								   .reset = reset,
								   .guest = reset,
								   .card = card};
}

void vfio_user_config_init(struct vfio_user *client)
{
	struct vfio_user_config *config = &client->config;
	const struct pci_device *pci = &client->card->pci;
	struct root *root = client->card->guest.root;
	config->parts = 0;
	add(config, PCI_COMMAND, PCI_COMMAND_MEMORY, PCI_COMMAND_MEMORY, 0, PCI_COMMAND_MEMORY);
	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *bar = &pci->bar[i];
		bool upper = i > 0 && pci->bar[i - 1].bytes != 0 && pci->bar[i - 1].is_64bit;
		uint64_t bytes = upper ? pci->bar[i - 1].bytes : bar->bytes;
		uint64_t writable = bytes == 0 ? 0 : ~(bytes - 1);
		add(config, PCI_BASE_ADDRESS_0 + 4 * i, UINT32_MAX,
		    (uint32_t)(upper ? writable >> 32 : writable), upper ? 0 : type_bits(bar), 0);
	}
	if (!pci->pcie)
		return;
	uint32_t control = root_config_read(root, pci->pcie + PCI_EXP_DEVCTL, 2);
	uint32_t control2 = root_config_read(root, pci->pcie + PCI_EXP_DEVCTL2, 2);
	add(config, pci->pcie + PCI_EXP_DEVCTL, DEVCTL_LINK, DEVCTL_LINK, PCI_EXP_DEVCTL_READRQ_512B,
	    control & DEVCTL_LINK);
	add(config, pci->pcie + PCI_EXP_DEVCTL2, DEVCTL2_LINK, DEVCTL2_LINK, 0, control2 & DEVCTL2_LINK);
}

void vfio_user_config_reset(struct vfio_user *client)
{
	for (unsigned i = 0; i < client->config.parts; i++)
		client->config.part[i].guest = client->config.part[i].reset;
	/* As out of reset but for memory space, which the link behind us needs. */
	root_config_write(client->card->guest.root, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
}

static struct vfio_user_private *part_of(struct vfio_user_config *config, unsigned reg)
{
	for (unsigned i = 0; i < config->parts; i++)
		if (config->part[i].reg == (reg & ~3u))
			return &config->part[i];
	return NULL;
}

/* The bytes of a DW that an access at `reg` covers. */
static uint32_t lanes(unsigned reg, unsigned bytes)
{
	uint32_t ones = bytes == 4 ? UINT32_MAX : (UINT32_C(1) << 8 * bytes) - 1;
	return ones << 8 * (reg & 3);
}

uint32_t vfio_user_config_read(struct vfio_user *client, unsigned reg, unsigned bytes)
{
	const struct vfio_user_private *part = part_of(&client->config, reg);
	uint32_t value = 0;
	if (!part || part->mask != UINT32_MAX)
		value = root_config_read(client->card->guest.root, reg, bytes) << 8 * (reg & 3);
	if (part)
		value = (value & ~part->mask) | (part->guest & part->mask);
	return (value & lanes(reg, bytes)) >> 8 * (reg & 3);
}

/* Initiate Function Level Reset; the card answers and then resets itself (PCIe 6.0 §6.6.2). */
static bool is_flr(const struct vfio_user *client, unsigned reg, uint32_t written)
{
	unsigned pcie = client->card->pci.pcie;
	return pcie != 0 && (reg & ~3u) == pcie + PCI_EXP_DEVCTL && (written & PCI_EXP_DEVCTL_BCR_FLR);
}

void vfio_user_config_write(struct vfio_user *client, unsigned reg, unsigned bytes, uint32_t value)
{
	struct vfio_user_private *part = part_of(&client->config, reg);
	uint32_t covered = lanes(reg, bytes);
	uint32_t written = value << 8 * (reg & 3) & covered, to_card = written;
	if (part) {
		uint32_t changed = covered & part->writable & part->mask;
		part->guest = (part->guest & ~changed) | (written & changed);
		if (part->mask == UINT32_MAX)
			return;
		to_card = (written & ~part->mask) | (part->card & part->mask & covered);
	}
	root_config_write(client->card->guest.root, reg, bytes, to_card >> 8 * (reg & 3));
	if (!is_flr(client, reg, written))
		return;
	/* Nobody on the other side knows that addresses behind the socket are gone. */
	card_restore(client->card);
	vfio_user_was_reset(client);
}
