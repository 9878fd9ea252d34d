/* An endpoint with real registers, MSI-X generator, notify unit, DMA engine and link, a root complex that checks every
 * TLP it gets, and a firmware that does the least a firmware has to.
 *
 * What the root complex checks always: TLPs are well-formed; every completion belongs to a request, continues it as
 * PCIe 6.0 §2.3.1.1 wants, and copies what it has to copy; no request gets more than it asked for; nothing is sent that
 * Bus Master Enable forbids. */
#ifndef KICKSTAND_TESTS_UNIT_RTL_MODEL_ENDPOINT_FIXTURE_H
#define KICKSTAND_TESTS_UNIT_RTL_MODEL_ENDPOINT_FIXTURE_H

#include "rtl-model/blocks/endpoint/endpoint.h"
#include "tests/unit/rtl-model/sim.h"

#define TAGS        1024u
#define NO_ANSWER   0xffu
#define BAR1_ADDR   UINT64_C(0xfebf0000)
#define BAR4_ADDR   UINT64_C(0x900004000)
#define NOWHERE     UINT64_C(0x70000000)
#define ROOT_ID     0x0000u
#define CARD_ID     0x0300u /* bus 3, device 0 */
#define VIRTIO_BITS (UINT64_C(1) << 32 | UINT64_C(1) << 40 | 0x30000200)

/* A TLP from the card. */
struct seen {
	uint64_t at_ps;
	struct tlp tlp;
	uint8_t *wire;
	size_t size;
};

/* A request of the host that is not answered, or was. */
struct asked {
	bool used, done;
	struct tlp req;
	struct tlp_requester expect;
	uint8_t status;
	unsigned completions;
	uint64_t done_ps;
	uint32_t bytes; /* of data */
	uint8_t data[4096];
};

struct card {
	struct config config;
	struct sim sim;
	struct link_dir *down, *up;
	struct endpoint *endpoint;
	struct dma *dma;
	struct msix *msix;
	struct virtio_regs virtio;
	struct probe probe;
	struct notify *notify;
	struct service_fifo services;
	struct dma_done_fifo dma_done; /* of channel DMA_COPY, the test's */
	struct sim_process *endpoint_process, *dma_process, *notify_process, *msix_process, *host_process,
		*firmware_process;
	/* the firmware */
	bool firmware_hangs;
	uint64_t firmware_ps; /* event to answer */
	uint64_t firmware_due_ps;
	bool function_was_reset;
	unsigned function_resets;
	/* the root complex */
	struct asked asked[TAGS];
	unsigned next_tag;
	struct seen *seen;
	unsigned seen_count, seen_room;
	bool answers_reads; /* the card's, with zeroes */
	bool masters;       /* memory requests of the card are allowed now */
	bool mps_varies;    /* the size of completions cannot be checked */
	bool notify_sleeps;
	uint8_t doorbells[4096]; /* queue numbers in order of service */
	unsigned doorbell_count;
};

/* Powered on, with the configuration's settings ("section.key=value", ends with NULL); the firmware is not up. */
struct card *card_create(const char *const settings[]);
void card_free(struct card *card);

/* The firmware is up. */
void card_firmware_up(struct card *card);

/* Up, BARs placed, memory space and bus mastering on, ID captured, all doorbells enabled. */
struct card *card_enumerated(const char *const settings[]);

void card_run(struct card *card, uint64_t ps);

/* The notify unit takes no doorbells until it is woken again. */
void notify_sleep(struct card *card, bool sleeps);

/* Sends a TLP; requests that are answered get the next free tag. Returns the tag. */
unsigned card_send(struct card *card, struct tlp *tlp);
void card_send_wire(struct card *card, const uint8_t *wire, size_t size);

/* The answer's status when it is complete, NO_ANSWER if it does not come within 100 us. */
unsigned card_wait(struct card *card, unsigned tag);

/* True if all requests have been answered. */
bool card_all_answered(const struct card *card);

/* ---- requests by name; those that wait return the status ---- */

struct tlp memory_request(enum tlp_type type, uint64_t addr, uint32_t bytes, const void *payload);
struct tlp config_request(enum tlp_type type, unsigned reg, uint8_t be, const void *payload);
unsigned mem_read(struct card *card, uint64_t addr, uint32_t bytes, void *data);
uint64_t mem_read_value(struct card *card, uint64_t addr, unsigned bytes);
void mem_write(struct card *card, uint64_t addr, uint32_t bytes, const void *data);
void mem_write_value(struct card *card, uint64_t addr, unsigned bytes, uint64_t value);
unsigned cfg_read_status(struct card *card, unsigned reg);
uint32_t cfg_rd(struct card *card, unsigned reg);
void cfg_wr_be(struct card *card, unsigned reg, uint32_t value, uint8_t be);
void cfg_wr(struct card *card, unsigned reg, uint32_t value);
void cfg_wr16(struct card *card, unsigned reg, uint32_t value); /* the lower half */
struct tlp message_tlp(enum tlp_message code, enum tlp_route route, const uint8_t *payload);

/* Programs MSI-X entry `vector` and leaves it unmasked. */
void program_vector(struct card *card, unsigned vector, uint32_t addr, uint32_t data);
void msix_enable(struct card *card, bool on);

/* Messages of this code, and memory writes to this address, seen since `from`. */
unsigned messages_since(const struct card *card, unsigned from, enum tlp_message code);
unsigned writes_since(const struct card *card, unsigned from, uint64_t addr);
/* Requests of any kind by the card, messages aside. */
unsigned requests_since(const struct card *card, unsigned from);

/* The firmware's driver-visible life: status goes to DRIVER_OK by register writes. */
void bring_up_virtio(struct card *card);

#endif
