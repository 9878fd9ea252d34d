/* The card's state, for the files that make up device.h. Private to rtl-model/device*.c. */
#ifndef KICKSTAND_RTL_MODEL_DEVICE_STATE_H
#define KICKSTAND_RTL_MODEL_DEVICE_STATE_H

#include "rtl-model/blocks/cpu/cpu_rtl.h"
#include "rtl-model/blocks/direct/direct.h"
#include "rtl-model/blocks/fetch/fetch_rtl.h"
#include "rtl-model/blocks/mailbox/mailbox.h"
#include "rtl-model/blocks/msix/msix_rtl.h"
#include "rtl-model/blocks/notify/notify_rtl.h"
#include "rtl-model/blocks/sys/sys.h"
#include "rtl-model/blocks/timer/timer.h"
#include "rtl-model/blocks/uart/uart.h"
#include "rtl-model/csr_bus.h"
#include "rtl-model/device.h"
#include "rtl-model/kernel.h"

/* Processes of the kernel: every block with a sense of time has one. Order matters to nothing. */
enum process {
	PROCESS_ENDPOINT,
	PROCESS_DMA,
	PROCESS_NOTIFY,
	PROCESS_FETCH,
	PROCESS_DIRECT,
	PROCESS_MOVER,
	PROCESS_MEDIA,
	PROCESS_USED,
	PROCESS_MSIX,
	PROCESS_TIMER,
	PROCESS_UART,
	PROCESS_SYS,
	PROCESS_CORE,
	PROCESS_HOST,
	PROCESS_COUNT,
};

struct device {
	const struct config *config;
	struct device_host host;
	struct store *store;
	struct link_dir *up, *down;
	struct endpoint *endpoint;
	struct virtio_regs virtio;
	struct notify *notify;
	struct service_fifo firmware_services; /* offload firmware: queues for NOTIFY.SERVICE */
	struct fetch *fetch;
	struct dma *dma;
	struct mover *mover;
	struct copy copy;
	struct direct direct; /* at work with offload full */
	struct used *used;
	struct msix *msix;
	struct media *media;
	struct timer timer;
	struct uart uart;
	struct mailbox mailbox;
	struct sys sys;
	struct cpu *cpu;
	struct csr_bus bus;
	struct probe probe;
	uint8_t *sram, *tcm;
	struct cpu_program program;
	enum device_failure failure;
	uint32_t panic_code;
	struct kernel_process *process[PROCESS_COUNT];
	struct waker waker[PROCESS_COUNT];
	struct waker record_waker; /* offload full: a record is the direct path's to look at first */
};

#endif
