/* The card as a front-end drives it: root complex, the client's memory, BARs at addresses of our own, interrupts handed on.
 *
 * A front-end turns a client's messages into what a host does: configuration and register accesses, doorbells, memory that
 * the card may reach. All of it goes over the link as TLPs (host-sim/root.h); nothing here touches the card otherwise. */
#ifndef KICKSTAND_HOST_SIM_SERVE_CARD_H
#define KICKSTAND_HOST_SIM_SERVE_CARD_H

#include "host-sim/driver/pci.h"
#include "host-sim/guest.h"
#include "host-sim/serve/loop.h"
#include "rtl-model/blocks/media/store.h"

/* MSI-X table entries a front-end can use. */
#define CARD_VECTORS_MAX (GUEST_VECTORS - GUEST_VECTOR_BASE)

/* Where the card's interrupts go: to the client of the moment. Called as the message arrives at the root complex, after all
 * writes before it have landed in the client's memory. */
struct card_sink {
	void *ctx;
	void (*message)(void *ctx, unsigned vector);
	void (*intx)(void *ctx, bool level);
	/* Whether the card waits for the client (loop_ports.held). May be NULL. */
	bool (*held)(void *ctx);
};

struct card {
	const struct config *config;
	struct guest
		guest; /* guest.memory: add the client's regions there; guest.root: requests of the host */
	struct pci_device pci;
	struct loop *loop;
	struct card_sink sink; /* functions NULL: nobody is there */
	void (*log)(const char *line);
};

struct card_options {
	const struct config *config;
	const char *firmware_path;
	struct store *store;
	struct loop *loop;
	void (*log)(const char *line); /* worth a person's attention; may be NULL */
	struct probe_observer observer;
};

/* Builds the card and powers it on. Returns 0, or -1 with a one-line reason. */
MUST_USE int card_create(struct card *card, const struct card_options *options, char *error,
			 size_t error_size);
void card_destroy(struct card *card);

/* The rest only from kernel threads. */

/* Finds the function, places its BARs, sets Device Control; bus mastering is on afterwards, MSI-X off, all entries masked.
 * Once, after card_create. Returns 0, or -1 with a one-line reason. */
MUST_USE int card_start(struct card *card, char *error, size_t error_size);

/* Hot reset, and then everything that card_start sets up: the state of a card that was just found. Nothing is in flight
 * afterwards. */
void card_reset(struct card *card);

/* The second half of that, after a function-level reset of the guest's. */
void card_restore(struct card *card);

/* Waits until the card has nothing in flight: no request, no DMA, no interrupt to send. False if that takes longer than
 * `limit_ns` of simulated time. What the client does meanwhile is not looked at. */
MUST_USE bool card_drain(struct card *card, uint64_t limit_ns);

/* Points MSI-X table entry `vector` at the sink and unmasks it; or masks it. MSI-X Enable is a matter of its own
 * (pci_msix_enable). */
void card_bind_vector(struct card *card, unsigned vector);
void card_unbind_vector(struct card *card, unsigned vector);

/* A line for a person, with simulated time. */
void card_say(const struct card *card, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
