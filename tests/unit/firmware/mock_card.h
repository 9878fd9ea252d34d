/* The card's hardware as the firmware sees it, for tests on the build machine: the registers of rtl-model/regs/csr.toml
 * with the behaviour written there, and nothing of time. It does nothing of its own accord: the test plays driver,
 * fetch engine, mover and host, and tells it what happens next.
 *
 * What firmware must never do fails the test at once: access to a register that does not exist or not in that direction, a
 * job or completion for a slot that is not the firmware's, a job that does not fit its slot, a push or copy without
 * room, a panic. Under the address sanitizer a touch of a slot in other hands is caught, too. */
#ifndef KICKSTAND_TESTS_FIRMWARE_MOCK_CARD_H
#define KICKSTAND_TESTS_FIRMWARE_MOCK_CARD_H

#include "csr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOCK_COPIES_MAX  256u /* copies outstanding, as the copy engine has it */
#define MOCK_PUSHES_MAX  64u
#define MOCK_GUEST_BASE  UINT64_C(0x440000000) /* guest memory: reads outside fail */
#define MOCK_GUEST_BYTES (4u << 20)

struct mock_straps {
	uint32_t offload, queues, queue_size, poll_cycles, seg_max, size_max;
	uint64_t features;
	uint64_t sectors;
	uint32_t media_flags, block_bytes, physical_exp, optimal_blocks, lifetime;
	uint8_t serial[20];
	unsigned slots; /* slots there are, up to SLOTS */
};

/* Hands a slot is in. Only in MOCK_FIRMWARE may the firmware touch it. */
enum mock_owner { MOCK_FREE, MOCK_FETCH, MOCK_RECORD, MOCK_FIRMWARE, MOCK_JOB, MOCK_DONE, MOCK_USED };

struct mock_queue {
	/* the driver's registers */
	uint16_t size;
	bool enable;
	uint64_t desc, driver, device;
	/* engines */
	uint32_t fetch[8]; /* FETCH.QUEUE_DESC_LO … QUEUE_CONTROL */
	uint32_t used[6];  /* USED.QUEUE_USED_LO … QUEUE_CONTROL */
	bool fetch_busy, used_busy;
	unsigned kicks;  /* NOTIFY.KICK by the firmware */
	unsigned starts; /* FETCH.QUEUE_CONTROL.RUN from 0 to 1 */
	bool service;    /* waits in NOTIFY.SERVICE */
};

/* A completion the used-ring writer has taken. */
struct mock_completion {
	uint16_t slot, queue, head, sequence;
	uint8_t status;
	uint32_t len;
	bool written; /* false: dropped, as the queue did not run */
};

struct mock_copy {
	uint64_t host;
	uint32_t local, bytes;
	bool to_guest;
	uint16_t tag;
};

struct mock_access {
	bool write;
	uint32_t addr, value;
};

struct mock_fifo {
	uint32_t entry[512];
	unsigned head, tail;
};

struct mock_card {
	struct mock_straps straps;
	uint8_t *sram;
	uint8_t *guest;
	enum mock_owner owner[SLOTS];
	uint16_t free_slot[SLOTS];
	unsigned free_slots;
	struct mock_queue queue[QUEUES_MAX];
	/* SYS */
	uint32_t event_enable;
	bool ready, function_reset;
	unsigned busy_reads; /* reads of ENGINES_BUSY that find them busy after the next reset */
	unsigned busy_left;
	/* VIRTIO */
	uint8_t status, wanted;
	bool unseen, unanswered, reset_seen, resetting;
	uint64_t device_features, driver_features;
	bool driver_features_bad;
	uint32_t num_queues, queue_size_max, virtio_select;
	uint64_t queues_resetting, queues_enabled;
	uint8_t staged[DEVICE_CONFIG_BYTES], shown[DEVICE_CONFIG_BYTES];
	bool writeback_writable, writeback_written;
	unsigned commits, config_interrupts;
	/* NOTIFY */
	uint64_t doorbells_enabled;
	bool data_mode;
	struct mock_fifo services;
	/* FETCH */
	struct mock_fifo records;
	uint64_t fetch_faults;
	uint32_t fetch_select;
	/* DIRECT: the mock serves nothing itself, it is told what might be */
	uint64_t direct_enabled, direct_sectors;
	uint32_t direct_control, direct_select;
	uint64_t direct_busy; /* queues with requests in work there */
	/* MOVER */
	struct mock_fifo done;
	struct slot job[SLOTS];                     /* the request as it was when its job was pushed */
	uint8_t job_local[SLOTS][SLOT_LOCAL_BYTES]; /* its small data */
	struct slot_segment job_segments[SLOTS][SLOT_SEGMENTS_MAX]; /* and its pieces of guest memory */
	uint16_t job_order[SLOTS];
	unsigned jobs; /* active */
	uint64_t jobs_started;
	/* COPY */
	uint64_t copy_host;
	uint32_t copy_local;
	struct mock_copy copy[MOCK_COPIES_MAX];
	unsigned copies, copies_taken; /* pending; done but not taken by the firmware */
	struct mock_fifo copies_done;
	/* USED */
	struct mock_fifo pushes; /* slot | status << 16 */
	uint32_t push_len[SLOTS];
	uint16_t push_queue[SLOTS];
	uint32_t push_bytes;
	bool used_stalled; /* pushes stay in the queue until mock_used_run */
	uint64_t used_faults;
	uint32_t used_select;
	struct mock_completion *completed;
	unsigned completions;
	/* TIMER */
	uint64_t now, compare;
	uint32_t latched_hi, compare_lo;
	/* the rest */
	char console[256];
	size_t console_bytes;
	struct mock_fifo mail;
	uint32_t replies[16];
	unsigned reply_count;
	unsigned function_resets_done;
	bool asleep; /* the firmware waits and nothing is there to wake it */
	/* Called before every register access, with what it is going to be: what driver and engines do meanwhile. */
	void (*meanwhile)(void *ctx, bool write, uint32_t addr);
	void *meanwhile_ctx;
	/* every register access since mock_log_clear */
	struct mock_access *log;
	size_t log_count, log_room;
};

struct mock_straps mock_default_straps(void);

/* The mock is what the HAL works on from now on. */
struct mock_card *mock_create(const struct mock_straps *straps);
void mock_free(struct mock_card *mock);

uint32_t mock_events(const struct mock_card *mock);

/* ---- the log ---- */

void mock_log_clear(struct mock_card *mock);
/* Accesses of one kind to one register. */
unsigned mock_count(const struct mock_card *mock, bool write, uint32_t addr);
/* Position of the last such access; -1 if there is none. *value may be NULL. */
long mock_last(const struct mock_card *mock, bool write, uint32_t addr, uint32_t *value);

/* ---- the driver's side ---- */

void mock_status_write(struct mock_card *mock, uint8_t value);
/* False while the read has to wait for the firmware's answer. */
bool mock_status_read(const struct mock_card *mock, uint8_t *value);
void mock_features_write(struct mock_card *mock, uint64_t features);
void mock_queue_write(struct mock_card *mock, unsigned queue, uint16_t size, uint64_t desc, uint64_t driver,
		      uint64_t device);
void mock_queue_enable(struct mock_card *mock, unsigned queue);
void mock_queue_reset(struct mock_card *mock, unsigned queue);
bool mock_queue_in_reset(const struct mock_card *mock, unsigned queue);
void mock_writeback_write(struct mock_card *mock, uint8_t value);
void mock_doorbell(struct mock_card *mock, unsigned queue);
/* FLR or link reset: engines are quiet, the driver's registers back at their defaults. */
void mock_function_reset(struct mock_card *mock);

/* ---- the engines' side ---- */

/* Takes a slot for a request as the fetch engine does; everything in it but queue, head and sequence is garbage.
 * -1 if there is none. */
int mock_slot_take(struct mock_card *mock, unsigned queue, uint16_t head, uint16_t sequence);
struct slot *mock_slot(struct mock_card *mock, unsigned slot);
/* Hands it to the firmware through FETCH.RECORD. */
void mock_record(struct mock_card *mock, unsigned slot);

/* Ends the job of a slot. `data` (or NULL) is what GUEST_TO_LOCAL has read. */
void mock_job_end(struct mock_card *mock, unsigned slot, uint32_t result, const void *data);
/* Does the pending copy number `index`, 0 being the oldest. As on the link, a read may not come before a write that was
 * started before it, nor may a write. */
void mock_copy_run(struct mock_card *mock, unsigned index, bool fail);
bool mock_copy_may_run(const struct mock_card *mock, unsigned index);

/* Lets the used-ring writer take up to `limit` completions that wait. */
void mock_used_run(struct mock_card *mock, unsigned limit);

/* Host pointer to guest memory; fails the test if it is outside. */
void *mock_guest(struct mock_card *mock, uint64_t addr, uint64_t bytes);

#endif
