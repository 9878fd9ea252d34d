/* A root complex by itself, between a kernel and a card made by hand: time passes only while it waits, TLPs arrive when the
 * test says, and all it sends is kept. */
#ifndef KICKSTAND_TESTS_ROOT_WORLD_H
#define KICKSTAND_TESTS_ROOT_WORLD_H

#include "tests/check.h"

#include "host-sim/root.h"
#include "rtl-model/kernel.h"

#define MEMORY_BASE  UINT64_C(0x100000000)
#define MEMORY_BYTES UINT64_C(0x100000)
#define BAR          UINT64_C(0x200000000000)
#define CARD         0x0100u /* bus 1, device 0, function 0 */
#define TIMEOUT_PS   (10 * PS_PER_MS)

/* ---- the card ---- */

struct message {
	uint64_t at_ps;
	struct tlp tlp; /* its payload lies in the wire bytes */
	uint8_t wire[TLP_WIRE_BYTES_MAX];
	size_t size;
	bool given;
};

struct device {
	struct cfg_space cfg;
	struct message *sent; /* by the root complex */
	unsigned sent_count;
	/* What the card does about a request; may be NULL. */
	void (*request)(struct device *device, uint64_t at_ps, const struct tlp *tlp);
	unsigned answers; /* the hook's own */
	enum tlp_status status;
	uint32_t value;
	unsigned resets;
};

struct interrupt {
	uint64_t at_ps;
	unsigned cpu;
	uint32_t vector;
	uint32_t seen; /* what stood in the first word of memory then */
};

struct world {
	uint64_t now_ps;
	struct config config;
	struct memory memory;
	struct root *root;
	struct device device;
	struct message *due; /* TLPs of the card on their way, by time */
	unsigned due_count;
	struct interrupt interrupt[16];
	unsigned interrupts;
	bool intx;
	unsigned log_lines;
	char log[200];
};

/* The one there is. */
struct world *world_of_now(void);

/* Memory at `base`, or at MEMORY_BASE, interrupts at `msi_base`, or at ROOT_MSI_BASE; default configuration, but reads take
 * the same time each. */
struct world *world_make_with(uint64_t base, uint64_t msi_base);
struct world *world_make_at(uint64_t base);
struct world *world_make(void);
void world_destroy(struct world *world);

/* Lets time pass to `until_ps`. */
void world_pass(struct world *world, uint64_t until_ps);

/* ---- what the card sends ---- */

struct tlp request_of(enum tlp_type type, uint64_t addr, uint32_t bytes, const uint8_t *payload);

/* Arrives now, or when time gets there; later ones have to be given in order. */
void send_now(struct world *world, const struct tlp *tlp);
void send_later(struct world *world, uint64_t at_ps, const struct tlp *tlp);
void write_word(struct world *world, uint64_t addr, uint32_t value);

/* A hook for device.request: answers after a microsecond with the device's status and value; nothing else is on its way
 * then. */
void answer(struct device *device, uint64_t at_ps, const struct tlp *tlp);

#endif
