/* The simulated guest machine: CPUs, memory and root complex around the card.
 *
 * A CPU is a kernel thread that runs driver code; what the code costs is charged with guest_cpu_spend. Interrupts are
 * noted per CPU and vector and taken when the CPU's program asks for them (guest_cpu_interrupts), as a kernel does with
 * interrupts that come while it is busy. */
#ifndef KICKSTAND_HOST_SIM_GUEST_H
#define KICKSTAND_HOST_SIM_GUEST_H

#include "host-sim/driver/host_ops.h"
#include "host-sim/memory.h"
#include "host-sim/root.h"
#include "rtl-model/device.h"
#include "rtl-model/kernel.h"

#define GUEST_CPUS_MAX    64u
#define GUEST_VECTORS     256u /* interrupt vectors of a CPU */
#define GUEST_VECTOR_BASE 32u  /* the first one devices may use */

struct guest;

struct guest_cpu {
	struct guest *guest;
	unsigned index;
	struct kernel_event *wake;
	uint64_t pending[GUEST_VECTORS / 64]; /* MSI-X vectors raised and not yet taken */
	uint64_t busy_ps;                     /* time spent in driver and interrupt code */
	uint64_t interrupts;
	uint64_t interrupt_ps; /* when the oldest pending interrupt came */
};

struct guest {
	const struct config *config;
	struct memory memory;
	struct root *root;
	struct device *device;
	struct guest_cpu cpu[GUEST_CPUS_MAX];
	unsigned cpus;
	bool intx; /* level of the card's INTA wire; goes to CPU 0 */
	struct host_ops ops;
	void *user;
	void (*log)(void *user, const char *line);
	const struct guest_interrupts *interrupts;
};

/* Where interrupts go if not to the simulated CPUs. */
struct guest_interrupts {
	void (*message)(void *user, unsigned vector); /* MSI-X table entry, as host_ops.msi_message has it */
	void (*intx)(void *user, bool level);
};

struct guest_options {
	const char *firmware_path;
	struct store *store;
	void *user;
	void (*log)(void *user, const char *line); /* console, checker; may be NULL */
	struct probe_observer observer;            /* of the card */
	/* The guest is somebody else's, behind a socket: no RAM here, its interrupts go there, and what the card writes
	 * is seen there at once. NULL: simulated. */
	const struct guest_interrupts *elsewhere;
};

/* Number of CPUs the configuration asks for. */
unsigned guest_cpu_count(const struct config *config);

/* An empty machine of the configuration's, with its CPUs: for guest_create, and for those whose card is elsewhere. The
 * configuration stays the caller's. */
void guest_init(struct guest *guest, const struct config *config, void *user);

/* Builds machine and card. Returns 0, or -1 with a one-line reason. The configuration stays the caller's. */
MUST_USE int guest_create(struct guest *guest, const struct config *config,
			  const struct guest_options *options, char *error, size_t error_size);
void guest_destroy(struct guest *guest);

/* Why the card has stopped, for a person; NULL: it has not. */
const char *guest_card_failure(const struct guest *guest);

/* Charges time to a CPU. Only from a thread. */
void guest_cpu_spend(struct guest_cpu *cpu, uint64_t ps);

/* Takes the pending vectors of a CPU; returns false if there are none. `vectors` has one bit per MSI-X table entry. With
 * INTx, *intx tells that the wire is asserted. */
bool guest_cpu_interrupts(struct guest_cpu *cpu, uint64_t vectors[GUEST_VECTORS / 64], bool *intx);

/* Waits until an interrupt, a wake-up or the given time (TIME_NEVER_PS = no limit). */
void guest_cpu_wait(struct guest_cpu *cpu, uint64_t until_ps);
void guest_cpu_wake(struct guest_cpu *cpu);

#endif
