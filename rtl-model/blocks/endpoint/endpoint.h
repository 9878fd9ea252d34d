/* The PCIe endpoint function: what arrives from the host is decoded, checked and answered here.
 *
 * Configuration requests go to the configuration space, memory requests by BAR to the virtio registers, the doorbells
 * or the MSI-X table, completions to the DMA engine, messages to where they belong; everything else is answered as
 * unsupported or malformed and logged (PCIe 6.0 §2.3, §6.2). Requests are handled in order of arrival, except that
 * reads of device_status may be held back until the firmware has answered the driver's last write; posted writes and
 * completions pass them, later non-posted requests wait behind them. All non-posted requests wait for the interrupt
 * messages that were queued before them: the answer to a read, or to a write that masks, comes after the last of them
 * (PCIe 6.0 §2.4.1, §6.1.4.5).
 *
 * The card never answers Completer Abort: no BAR ends inside a 4 KiB page, so no request can run past the end of one,
 * and registers take any width (ACC-005, ACC-006).
 *
 * endpoint.c takes what arrives apart and knows the resets, request.c carries out requests, reply.c sends answers, messages
 * and error reports. */
#ifndef KICKSTAND_BLOCKS_ENDPOINT_ENDPOINT_H
#define KICKSTAND_BLOCKS_ENDPOINT_ENDPOINT_H

#include "csr.h"
#include "pcie/cfg_space.h"
#include "pcie/link.h"
#include "rtl-model/blocks/dma/dma.h"
#include "rtl-model/blocks/msix/msix.h"
#include "rtl-model/blocks/notify/notify.h"
#include "rtl-model/blocks/virtio/virtio_regs.h"
#include "rtl-model/config.h"
#include "rtl-model/fifo.h"
#include "rtl-model/probe.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MSIX_BAR 1u

struct endpoint_stats {
	uint64_t config_reads, config_writes, memory_reads, memory_writes, doorbells, completions, messages;
	uint64_t unsupported, malformed, poisoned, bad_ecrc, unexpected;
	uint64_t retried; /* answered CRS */
	uint64_t held;    /* non-posted requests that had to wait */
	uint64_t error_messages, intx_messages;
	uint64_t resets; /* FLR and link resets */
};

struct endpoint;

struct endpoint_ports {
	const struct waker *self;
	struct link_dir *down, *up; /* from and to the host */
	struct dma *dma;
	const struct waker *dma_wake;
	struct msix *msix;
	struct virtio_regs *virtio;
	struct doorbell_fifo *doorbells;
	const struct probe *probe;
	void *ctx;
	/* The function is being reset: all engines have to stop at once and the firmware to start over. */
	void (*function_reset)(void *ctx, uint64_t now_ps);
};

/* NULL with a reason if the configuration space cannot be laid out. The ports may be filled in later with
 * endpoint_connect, since other blocks need endpoint_control first. */
struct endpoint *endpoint_create(const struct config *config, char *error, size_t error_size);
void endpoint_connect(struct endpoint *endpoint, const struct endpoint_ports *ports);
void endpoint_free(struct endpoint *endpoint);

/* What other blocks look at: control bits as they are now, and the captured Requester ID. */
const struct cfg_control *endpoint_control(const struct endpoint *endpoint);
const uint16_t *endpoint_id(const struct endpoint *endpoint);
const struct cfg_space *endpoint_cfg_space(const struct endpoint *endpoint);

uint64_t endpoint_step(struct endpoint *endpoint, uint64_t now_ps);

/* From the firmware: the function may answer (SYS.READY); the reset is over (PCIE.FUNCTION_RESET). */
void endpoint_set_ready(struct endpoint *endpoint, bool ready);
void endpoint_reset_done(struct endpoint *endpoint);
bool endpoint_in_reset(const struct endpoint *endpoint);

/* From the virtio registers: level of the INTx source; status writes have been answered. */
void endpoint_set_intx(struct endpoint *endpoint, uint64_t now_ps, bool level);
void endpoint_status_answered(struct endpoint *endpoint, uint64_t now_ps);

/* From the DMA engine: a read timed out; whether reads are outstanding has changed. */
void endpoint_dma_timeout(struct endpoint *endpoint, uint64_t now_ps);
void endpoint_dma_pending(struct endpoint *endpoint, bool pending);
/* From the DMA engine: no interrupt message waits any more. */
void endpoint_messages_sent(struct endpoint *endpoint, uint64_t now_ps);

/* The link has been reset (hot reset, link down) or power has come: PCIe 6.0 §6.6.1. */
void endpoint_link_reset(struct endpoint *endpoint, uint64_t now_ps, bool fundamental);

const struct endpoint_stats *endpoint_stats(const struct endpoint *endpoint);

#ifdef __cplusplus
}
#endif
#endif
