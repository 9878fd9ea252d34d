/* Requests that break the rules, written down as tables: what the descriptors of a chain point at, and what the card has to
 * answer. Every row runs at both offload levels, on a machine with two queues: the broken chain goes into queue 0, queue
 * 1 is the neighbour that must not suffer. */
#ifndef KICKSTAND_TESTS_E2E_HOSTILE_H
#define KICKSTAND_TESTS_E2E_HOSTILE_H

#include "tests/e2e/machine.h"

#define HOSTILE_DESCS        8u
#define HOSTILE_SECTOR       100u /* of requests that name none */
#define HOSTILE_DISK         "ram:1M"
#define HOSTILE_DISK_SECTORS 2048u

#define BIT(n) (UINT64_C(1) << (n)) /* of a feature */

#define NEXT     VRING_DESC_F_NEXT
#define WRITE    VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

#define OUT VIRTIO_BLK_T_OUT
#define IN  VIRTIO_BLK_T_IN

enum hostile_at {
	AT_NOTHING,
	AT_HEADER, /* 16 bytes */
	AT_DATA,   /* 4096 bytes */
	AT_STATUS, /* 64 bytes */
	AT_TABLE,  /* the indirect table of the row */
	AT_OTHER,  /* another, good one: header, 512 bytes of data, status */
	AT_HOLE,   /* where there is no memory */
	AT_TOP,    /* the last 256 bytes of the address space */
	AT_RING,   /* queue 0's own descriptor table */
};
#define HOSTILE_DATA_BYTES 4096u

struct hostile_desc {
	enum hostile_at at;
	uint32_t bytes;
	uint16_t flags, next;
	uint32_t offset; /* from where `at` begins */
};

/* clang-format off */
/* What good chains are made of: descriptors 0, 1 and 2. */
#define HEADER {AT_HEADER, 16, NEXT, 1}
#define DATA   {AT_DATA, 512, NEXT, 2}
#define STATUS {AT_STATUS, 1, WRITE}

/* Whole chains: a good write of a sector, one table, `bytes` to write or to read, no data. */
#define GOOD         {HEADER, DATA, STATUS}
#define TABLE(bytes) {{AT_TABLE, bytes, INDIRECT}}
#define PUT(bytes)   {HEADER, {AT_DATA, bytes, NEXT, 2}, STATUS}
#define GET(bytes)   {HEADER, {AT_DATA, bytes, NEXT | WRITE, 2}, STATUS}
#define BARE         {HEADER, {AT_STATUS, 1, WRITE}}
/* clang-format on */

struct hostile;

struct hostile_row {
	const char *name;
	struct hostile_desc ring[HOSTILE_DESCS];
	struct hostile_desc table[HOSTILE_DESCS];
	uint16_t head;
	uint32_t type;
	uint64_t sector; /* 0: HOSTILE_SECTOR; sector 0 itself is no use to a test that looks for damage */
	uint32_t ioprio;
	struct hostile_range {
		uint64_t sector;
		uint32_t sectors, flags;
	} ranges[2]; /* DISCARD and the like: at AT_DATA */
	/* The answer: DEVICE_NEEDS_RESET, or completion with this status and used length. */
	bool completes;
	uint8_t status;
	uint32_t used_bytes;
	uint64_t changed_sector; /* the part of the disk that may have changed */
	uint32_t changed_sectors;
	enum root_fault_kind fault; /* of the read of what is at `fault_at` */
	enum hostile_at fault_at;
	const char *setting;              /* of the machine, one more; NULL = none */
	bool disk_writable;               /* even with device.read_only */
	uint64_t without;                 /* features the driver does not accept */
	void (*check)(struct hostile *h); /* of a completion, besides the usual; NULL = none */
};

/* Answers, for the rows. */
#define OK(bytes)             .completes = true, .status = VIRTIO_BLK_S_OK, .used_bytes = (bytes)
#define IOERR(bytes)          .completes = true, .status = VIRTIO_BLK_S_IOERR, .used_bytes = (bytes)
#define UNSUPP(bytes)         .completes = true, .status = VIRTIO_BLK_S_UNSUPP, .used_bytes = (bytes)
#define CHANGES(first, count) .changed_sector = (first), .changed_sectors = (count)

/* What a row was made into. The data buffer is full of HOSTILE_PATTERN, or holds the ranges. */
#define HOSTILE_PATTERN 0x5cu
struct hostile {
	struct machine *m;
	const struct hostile_row *row;
	uint8_t *header, *data, *status, *table;
	uint64_t header_addr, data_addr, status_addr, table_addr, other_addr;
	uint8_t before[HOSTILE_DATA_BYTES]; /* the data buffer when the request was offered */
	uint8_t *disk;                      /* all of it, likewise */
};

void hostile_run_all(const struct hostile_row *rows, unsigned count);
#define RUN_ALL(rows) hostile_run_all(rows, ARRAY_SIZE(rows))

/* A read of buffers->data_bytes in as many pieces as the chain has room for, 16 bytes each but the last. Returns
 * `count`. */
unsigned hostile_read_pieces(const struct machine_buffers *buffers, struct machine_piece *pieces,
			     unsigned count);

#endif
