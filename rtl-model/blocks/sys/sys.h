/* System registers: identification, the straps that carry the configuration to the firmware, the event word and the
 * core's interrupt line, engine reset, and the firmware's views of medium and endpoint (blocks SYS, MEDIA, PCIE). */
#ifndef KICKSTAND_BLOCKS_SYS_SYS_H
#define KICKSTAND_BLOCKS_SYS_SYS_H

#include "csr.h"
#include "pcie/base.h"
#include "pcie/cfg_space.h"
#include "rtl-model/blocks/media/store.h"
#include "rtl-model/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The string a GET_ID request gives (virtio 1.4 §5.2.6). */
#define SYS_SERIAL_BYTES 20u

struct sys_ports {
	void *ctx;
	const struct cfg_control *control;
	uint32_t (*events)(void *ctx, uint64_t now_ps); /* of all blocks: bits of SYS.EVENTS */
	uint32_t (*busy)(void *ctx);                    /* bits of SYS.ENGINES_BUSY */
	uint64_t (*sectors)(void *ctx);                 /* capacity of the medium now */
	uint64_t (*written_bytes)(void *ctx);           /* to the medium since power-on: wear */
	void (*interrupt)(void *ctx, uint64_t now_ps, bool level);
	void (*ready)(void *ctx, bool ready);
	void (*engines_reset)(void *ctx, uint64_t now_ps);
	void (*function_reset_done)(void *ctx, uint64_t now_ps);
	void (*panic)(void *ctx, uint64_t now_ps, uint32_t code);
};

struct sys {
	struct sys_ports ports;
	const struct config *config;
	struct store_info store;
	uint64_t features;
	char serial[SYS_SERIAL_BYTES + 1];
	uint32_t event_enable;
	bool ready, function_reset, line;
	uint32_t trap_cause, trap_pc, trap_value;
};

/* The configuration stays the caller's and must not change. */
void sys_init(struct sys *sys, const struct config *config, const struct store_info *store,
	      const struct sys_ports *ports);

/* Brings the interrupt line up to date. To be called when an event may have come or gone. */
uint64_t sys_step(struct sys *sys, uint64_t now_ps);

/* The function has been reset: event FUNCTION_RESET. */
void sys_function_reset(struct sys *sys, uint64_t now_ps);

bool sys_csr_read(struct sys *sys, uint64_t now_ps, uint32_t offset, uint32_t *value);
bool sys_csr_write(struct sys *sys, uint64_t now_ps, uint32_t offset, uint32_t value);
bool sys_media_csr_read(struct sys *sys, uint64_t now_ps, uint32_t offset, uint32_t *value);
bool sys_media_csr_write(struct sys *sys, uint64_t now_ps, uint32_t offset, uint32_t value);
bool sys_pcie_csr_read(struct sys *sys, uint64_t now_ps, uint32_t offset, uint32_t *value);
bool sys_pcie_csr_write(struct sys *sys, uint64_t now_ps, uint32_t offset, uint32_t value);

#ifdef __cplusplus
}
#endif
#endif
