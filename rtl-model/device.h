/* The card: the modelled virtio-blk PCIe endpoint, as its host sees it, which is as TLPs in and TLPs out.
 *
 * The simulated host and the socket front-ends all stand behind this header. There is no other way in: guest memory,
 * interrupts and registers are reached by TLPs only. (What is not the host's business, such as the firmware image, the
 * medium or statistics, is the card's management side and has functions of its own.)
 *
 * The device runs in the simulation kernel (rtl-model/kernel.h). One device per process, made before the kernel first
 * runs. */
#ifndef KICKSTAND_RTL_MODEL_DEVICE_H
#define KICKSTAND_RTL_MODEL_DEVICE_H

#include "pcie/base.h"
#include "pcie/link.h"
#include "rtl-model/blocks/copy/copy.h"
#include "rtl-model/blocks/cpu/cpu.h"
#include "rtl-model/blocks/direct/direct.h"
#include "rtl-model/blocks/dma/dma.h"
#include "rtl-model/blocks/endpoint/endpoint.h"
#include "rtl-model/blocks/fetch/fetch.h"
#include "rtl-model/blocks/media/media.h"
#include "rtl-model/blocks/mover/mover.h"
#include "rtl-model/blocks/msix/msix.h"
#include "rtl-model/blocks/notify/notify.h"
#include "rtl-model/blocks/used/used.h"
#include "rtl-model/config.h"
#include "rtl-model/probe.h"
#include "rtl-model/wave.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The other end of the link. */
struct device_host {
	void *ctx;
	/* A TLP from the card; called in order of arrival. The bytes are valid during the call. */
	void (*tlp)(void *ctx, uint64_t arrive_ps, const uint8_t *wire, size_t size);
	/* True if this TLP has to be delivered as soon as it arrives; others are delivered together with the next one
	 * that has, or by device_deliver. NULL: all. */
	bool (*urgent)(void *ctx, const uint8_t *wire, size_t size);
	/* Told what the card does (probe.h). */
	struct probe_observer observer;
	/* A line of the firmware's console or of the card's log; may be NULL. */
	void (*log)(void *ctx, uint64_t now_ps, const char *line);
};

struct device;

/* Makes the card: link, endpoint, blocks, core with the firmware ELF loaded and held in reset. The store stays the
 * caller's and outlives the device. Returns NULL with a one-line reason. */
struct device *device_create(const struct config *config, struct store *store, const char *firmware_path,
			     const struct device_host *host, char *error, size_t error_size);
void device_free(struct device *device);

/* Power-on: the core starts at the present time. Until the firmware is up, configuration requests are answered CRS. */
void device_power_on(struct device *device);

/* Sends a TLP to the card, ready at `ready_ps` (>= now). */
void device_send(struct device *device, uint64_t ready_ps, const uint8_t *wire, size_t size);

/* Delivers everything that has arrived at the host by now: call before looking at guest memory. */
void device_deliver(struct device *device);

/* Hot reset (Secondary Bus Reset) or loss of the link: everything in flight is lost, the function is reset. */
void device_link_reset(struct device *device);

/* Fault injection: the host returns no credits before `until_ps`. */
void device_hold_credits(struct device *device, uint64_t until_ps);

/* ---- management ---- */

enum device_failure {
	DEVICE_OK,
	DEVICE_TRAP,      /* the firmware took a fatal trap */
	DEVICE_ASSERTION, /* the firmware found itself in a state that cannot be */
	DEVICE_HALTED,    /* the core stopped */
	DEVICE_STUCK, /* it jumps to itself with no interrupt enabled, or its trap handler traps at once */
};
enum device_failure device_failure(const struct device *device);

/* Sends a mailbox message (MAILBOX_*) to the firmware. False if its queue is full. */
bool device_mail(struct device *device, uint16_t code, uint64_t argument);

/* Changes the capacity the medium reports, within the store, and tells the firmware. */
bool device_resize(struct device *device, uint64_t sectors);

/* True if nothing is in flight anywhere in the card; a name of the busy block in *what otherwise. */
bool device_quiescent(struct device *device, const char **what);

/* All requests with smaller numbers (struct probe_work) have been given back or dropped. */
uint64_t device_oldest_request(const struct device *device);

/* State of all blocks, for a person: after a deadlock, trap or watchdog. */
void device_dump(struct device *device, FILE *out);

/* The blocks' signals, for waves. */
struct wave_source device_wave(struct device *device);

/* Figures of all blocks, brought up to the present time. */
struct device_stats {
	const struct endpoint_stats *endpoint;
	const struct notify_stats *notify;
	const struct fetch_stats *fetch;
	const struct dma_stats *dma;
	const struct mover_stats *mover;
	const struct copy_stats *copy;
	const struct direct_stats *direct;
	const struct used_stats *used;
	const struct msix_stats *msix;
	const struct media_stats *media;
	struct cpu_stats cpu;
	const struct link_stats *up, *down;
	struct link_rate rate;
	unsigned code_bytes, data_bytes,
		stack_bytes; /* of the firmware: text and constants, data and bss, worst stack */
};
struct device_stats device_stats(struct device *device);

/* Configuration space as it is now, for dumps. */
const struct cfg_space *device_cfg_space(const struct device *device);

#ifdef __cplusplus
}
#endif
#endif
