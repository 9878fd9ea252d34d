/* Stands between the driver and the machine: records what the driver does, and can show it another device than there is. */
#ifndef KICKSTAND_TESTS_E2E_SHIM_H
#define KICKSTAND_TESTS_E2E_SHIM_H

#include "tests/e2e/machine.h"

enum access_kind { CONFIG_READ, CONFIG_WRITE, MMIO_READ, MMIO_WRITE };

/* Where an access to memory goes. */
enum access_place { IN_COMMON, IN_NOTIFY, IN_ISR, IN_DEVICE, IN_MSIX, ELSEWHERE };

struct access {
	enum access_kind kind;
	uint64_t at; /* register, or address */
	unsigned bytes;
	uint32_t value;
};

struct shim {
	struct machine *m;
	const struct host_ops *real;
	struct host_ops ops;
	struct access *log;
	unsigned count, room;
	uint32_t feature_select;
	/* What the driver is shown instead of the truth. */
	uint64_t hidden_features, added_features;
	uint8_t config[PCI_CFG_SPACE_SIZE];
	bool config_shown[PCI_CFG_SPACE_SIZE];
	/* Called after a read of memory, before a write, and at dma_sync; may be NULL. */
	void (*read)(struct shim *shim, const struct access *access, uint32_t *value);
	void (*write)(struct shim *shim, const struct access *access);
	void (*sync)(struct shim *shim);
	unsigned hits; /* the hooks' own */
};

/* Puts the shim between m's driver and m's machine; before machine_probe. The caller frees shim->log. */
void shim_insert(struct shim *shim, struct machine *m);

/* Shows a byte, or a little-endian word, of configuration space that is not there. */
void shim_show(struct shim *shim, unsigned reg, unsigned bytes, uint32_t value);

/* Place and offset in it. By the driver's own idea of the windows, so after virtio_find only. */
enum access_place shim_place(const struct shim *shim, const struct access *access, unsigned *offset);

#endif
