/* The MSI-X generator: table, pending bits, masks, and moderation of queue interrupts (PCIe 6.0 §6.1.4, §7.7.2).
 *
 * An event for an unmasked vector becomes one 4-byte memory write to the address in its table entry, through the DMA
 * engine and so behind everything the card has written before (INT-011). Masked events set the pending bit and
 * are sent once on unmask (INT-005). Moderation holds events of queue vectors back for `holdoff` after the last
 * message of that vector, or until `threshold` of them have come together. The hold-off is fixed, or follows the vector's
 * events (adaptive, rtl-model/pace.h).
 *
 * Choices the specification leaves open: with Bus Master Enable clear or in D3hot, events wait and are sent when that
 * ends (INT-010). What waits when MSI-X is switched off becomes pending, and is sent when it is on again and unmasked;
 * events that come while it is off are the caller's to signal by INTx. Address and data are those of the moment the
 * message is handed to the DMA engine; from then on it can no longer be masked (INT-009). */
#ifndef KICKSTAND_BLOCKS_MSIX_MSIX_H
#define KICKSTAND_BLOCKS_MSIX_MSIX_H

#include "csr.h"
#include "pcie/cfg_space.h"
#include "rtl-model/blocks/dma/dma.h"
#include "rtl-model/config.h"
#include "rtl-model/fifo.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MSIX_VECTORS_MAX 2048u
#define MSIX_ENTRY_BYTES 16u

/* events = sent + coalesced + disabled + dropped by resets + vectors that wait */
struct msix_stats {
	uint64_t events;    /* asked for by the card */
	uint64_t sent;      /* messages */
	uint64_t coalesced; /* events merged into one that had not been sent yet */
	uint64_t masked;    /* events that found their vector or the function masked */
	uint64_t disabled;  /* events while MSI-X was off */
};

struct msix_ports {
	const struct waker *self;
	const struct cfg_control *control; /* enable and function mask as they are now */
	struct dma_request_fifo *dma;      /* channel DMA_MSIX */
};

/* Vector count of this configuration: msix.vectors, or one per queue and one for configuration changes. */
unsigned msix_vector_count(const struct config *config);

/* Where table and pending bits stand in BAR 1, and how large that BAR is. The table is at 0. */
uint32_t msix_pba_offset(unsigned vectors);
uint32_t msix_bar_bytes(unsigned vectors);

struct msix;

/* What an implementation does; see the functions below. */
struct msix_ops {
	void (*free)(struct msix *msix);
	void (*reset)(struct msix *msix);
	void (*drop_events)(struct msix *msix);
	void (*event)(struct msix *msix, uint64_t now_ps, unsigned index, bool moderated);
	uint64_t (*step)(struct msix *msix, uint64_t now_ps);
	void (*control_changed)(struct msix *msix, uint64_t now_ps);
	uint32_t (*bar_read32)(struct msix *msix, uint32_t offset);
	void (*bar_write32)(struct msix *msix, uint64_t now_ps, uint32_t offset, uint32_t data, uint8_t be);
	bool (*csr_read)(struct msix *msix, uint64_t now_ps, uint32_t offset, uint32_t *value);
	bool (*csr_write)(struct msix *msix, uint64_t now_ps, uint32_t offset, uint32_t value);
	unsigned (*waiting)(const struct msix *msix);
};

/* What the model and the RTL twin (msix_rtl.h) have in common. */
struct msix {
	const struct msix_ops *ops;
	struct msix_stats stats;
};

/* The C model. NULL when out of memory. */
struct msix *msix_create(const struct config *config, const struct msix_ports *ports);

static inline void msix_free(struct msix *msix)
{
	if (msix)
		msix->ops->free(msix);
}

/* Function-level or link reset: every entry masked and 0, nothing pending (INT-003). */
static inline void msix_reset(struct msix *msix)
{
	msix->ops->reset(msix);
}

/* Virtio reset: held back and pending events are dropped, the table stays (virtio 1.4 §2.4.2, RST-013). */
static inline void msix_drop_events(struct msix *msix)
{
	msix->ops->drop_events(msix);
}

/* An interrupt is wanted on vector `index` (< vector count). `moderated`: queue interrupts. */
static inline void msix_event(struct msix *msix, uint64_t now_ps, unsigned index, bool moderated)
{
	msix->ops->event(msix, now_ps, index, moderated);
}

static inline uint64_t msix_step(struct msix *msix, uint64_t now_ps)
{
	return msix->ops->step(msix, now_ps);
}

/* Enable, function mask, Bus Master Enable or the power state has changed: vectors may be free to go, or no longer. */
static inline void msix_control_changed(struct msix *msix, uint64_t now_ps)
{
	msix->ops->control_changed(msix, now_ps);
}

/* One DW of BAR 1 at `offset` (DW aligned), any byte enables (INT-002, ACC-004, ACC-007). */
static inline uint32_t msix_bar_read32(struct msix *msix, uint32_t offset)
{
	return msix->ops->bar_read32(msix, offset);
}

static inline void msix_bar_write32(struct msix *msix, uint64_t now_ps, uint32_t offset, uint32_t data,
				    uint8_t be)
{
	msix->ops->bar_write32(msix, now_ps, offset, data, be);
}

/* Block MSIX of the CSR bus. */
static inline bool msix_csr_read(struct msix *msix, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return msix->ops->csr_read(msix, now_ps, offset, value);
}

static inline bool msix_csr_write(struct msix *msix, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return msix->ops->csr_write(msix, now_ps, offset, value);
}

/* Vectors with an event held back, masked or not yet handed over. */
static inline unsigned msix_waiting(const struct msix *msix)
{
	return msix->ops->waiting(msix);
}

#ifdef __cplusplus
}
#endif
#endif
