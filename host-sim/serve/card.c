#include "host-sim/serve/card.h"

#include "host-sim/driver/settings.h"
#include "host-sim/root.h"
#include "rtl-model/kernel.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define READY_LIMIT_PS PS_PER_S
#define LOOK_PS        (5 * PS_PER_US)

void card_say(const struct card *card, const char *format, ...)
{
	char line[300];
	va_list args;
	if (!card->log)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	card->log(line);
}

static void guest_log(void *user, const char *line)
{
	card_say(user, "%s", line);
}

static void message(void *user, unsigned vector)
{
	struct card *card = user;
	if (card->sink.message)
		card->sink.message(card->sink.ctx, vector);
}

static void intx(void *user, bool level)
{
	struct card *card = user;
	if (card->sink.intx)
		card->sink.intx(card->sink.ctx, level);
}

int card_create(struct card *card, const struct card_options *options, char *error, size_t error_size)
{
	static const struct guest_interrupts interrupts = {.message = message, .intx = intx};
	memset(card, 0, sizeof(*card));
	card->config = options->config;
	card->loop = options->loop;
	card->log = options->log;
	const struct guest_options guest = {.firmware_path = options->firmware_path,
					    .store = options->store,
					    .user = card,
					    .log = guest_log,
					    .observer = options->observer,
					    .elsewhere = &interrupts};
	return guest_create(&card->guest, options->config, &guest, error, error_size);
}

void card_destroy(struct card *card)
{
	guest_destroy(&card->guest);
}

/* ---- start and reset ---- */

int card_start(struct card *card, char *error, size_t error_size)
{
	const struct pci_settings settings = pci_settings_of(card->config);
	return pci_probe(&card->pci, &card->guest.ops, &settings, error, error_size);
}

void card_reset(struct card *card)
{
	root_hot_reset(card->guest.root);
	card_restore(card);
}

void card_restore(struct card *card)
{
	const struct pci_settings settings = pci_settings_of(card->config);
	uint64_t limit_ps = kernel_now_ps() + READY_LIMIT_PS;
	/* Reads are answered CRS until the function is ready, and repeated (RC-003). */
	while (root_config_read(card->guest.root, PCI_VENDOR_ID, 2) != card->pci.vendor_id) {
		if (kernel_now_ps() >= limit_ps) {
			card_say(card, "the card does not answer after a reset");
			return;
		}
		kernel_wait_ps(LOOK_PS);
	}
	pci_restore(&card->pci, &settings);
}

bool card_drain(struct card *card, uint64_t limit_ns)
{
	uint64_t limit_ps = kernel_now_ps() + limit_ns * PS_PER_NS;
	const char *what;
	while (!device_quiescent(card->guest.device, &what)) {
		if (kernel_now_ps() >= limit_ps)
			return false;
		kernel_wait_ps(LOOK_PS);
	}
	root_sync(card->guest.root);
	return true;
}

/* ---- interrupts ---- */

void card_bind_vector(struct card *card, unsigned vector)
{
	uint64_t addr;
	uint32_t data;
	ASSERT(vector < card->pci.msix_vectors && vector < CARD_VECTORS_MAX);
	card->guest.ops.msi_message(card->guest.ops.ctx, 0, vector, &addr, &data);
	pci_msix_set(&card->pci, vector, addr, data);
}

void card_unbind_vector(struct card *card, unsigned vector)
{
	ASSERT(vector < card->pci.msix_vectors);
	pci_msix_mask(&card->pci, vector, true);
	/* A read behind the write: messages that were on their way have arrived when it is answered. */
	root_mmio_read(card->guest.root, card->pci.msix_table, 4);
}
