/* What the guest knows of the disk's contents, to check every byte the device returns.
 *
 * The guest's driver reports each write and read when it is submitted and when it is done, in that order; the order
 * of calls is all the time there is. A read of a sector may return what a write in flight writes, or what the last
 * completed ones wrote if they overlapped in time; never what was superseded before the read was submitted. Once
 * a read has shown which of several it was, the others are out. A failed write may or may not have taken effect. A
 * sector is written whole or not at all. Discarded sectors may read as anything, zeroed ones only as zeroes, and
 * sectors never written only as the original contents.
 *
 * Memory grows with what was written: 8 bytes a sector, in chunks of 64. A sector with writes in flight, overlapped or
 * failed costs about 150 more, and 512 for its original contents where those are overwritten. Sector numbers must be inside the disk. Out of memory ends the program with a
 * message. */
#ifndef KICKSTAND_HOST_SIM_VERIFY_H
#define KICKSTAND_HOST_SIM_VERIFY_H

#include "pcie/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct verify;

/* Reads `count` sectors of the medium itself, not through the device. 0 or a negative errno. */
typedef int verify_medium_read(void *ctx, uint64_t sector, uint32_t count, uint8_t *data);

/* What the disk held at the start. Sectors that cannot be read are not checked. */
struct verify_original {
	verify_medium_read *read;
	void *ctx;
	bool overwritten; /* it is the medium of this run: a copy is kept where a write may change it */
};

struct verify_config {
	uint64_t sectors;
	uint64_t seed;                   /* of the data written */
	struct verify_original original; /* read = NULL: unknown, sectors never written are not checked */
	bool power_cuts; /* keep what is needed for verify_power_cut: everything since the last flush */
};

/* Owner: caller, verify_free. */
struct verify *verify_create(const struct verify_config *config);
void verify_free(struct verify *v);

enum verify_write_kind { VERIFY_DATA, VERIFY_ZEROES, VERIFY_DISCARD };

/* A write of `count` sectors is about to be visible to the device. Returns its handle, good until
 * verify_write_done. */
uint32_t verify_write_submitted(struct verify *v, enum verify_write_kind kind, uint64_t sector,
				uint64_t count);

/* Number of that write, unique and ascending from 1: the generation its sectors carry. */
uint64_t verify_generation(const struct verify *v, uint32_t write);

/* Fills in the data of that write for a part of its sectors. */
void verify_fill(const struct verify *v, uint32_t write, uint64_t sector, uint32_t count, uint8_t *data);

void verify_write_done(struct verify *v, uint32_t write, bool ok);

/* A read is about to be visible to the device. Returns its handle, good until verify_read_done. */
uint32_t verify_read_submitted(struct verify *v);

struct verify_fault {
	uint64_t sector;
	char reason[280]; /* "expected generation 7 of sector 1234, found generation 5" */
};

/* Checks what a read returned for some of its sectors; call after its completion and before verify_read_done. False
 * with the first bad sector in *fault. */
MUST_USE bool verify_read_check(struct verify *v, uint32_t read, uint64_t sector, uint32_t count,
				const uint8_t *data, struct verify_fault *fault);

/* The read is over (failed reads come here without a check). */
void verify_read_done(struct verify *v, uint32_t read);

/* A flush is about to be visible to the device; the result goes to verify_flush_done. */
uint64_t verify_flush_submitted(struct verify *v);
void verify_flush_done(struct verify *v, uint64_t flush, bool ok);

/* Power cuts (verify_config.power_cuts). Writes acknowledged before a completed flush was submitted are on the
 * medium for good (virtio 1.4 §5.2.6.2): the sector must hold this generation, a later one, or one that was in
 * flight together with it; 0 means the original contents will do. */
uint64_t verify_durable_generation(const struct verify *v, uint64_t sector);

/* The power went. Report everything in flight as done (writes as failed) first. From now on every sector may hold
 * whatever a power cut may leave, until a read or the audit shows what it is. With `write_through` each
 * acknowledged write counts as flushed (no volatile cache, or one that is switched off). */
void verify_power_cut(struct verify *v, bool write_through);

enum verify_audit_scope {
	VERIFY_AUDIT_WRITTEN, /* the 64-sector chunks that were written to */
	VERIFY_AUDIT_ALL,     /* the whole disk: finds writes that went astray, too */
};

/* Checks the medium as a read submitted now would be. Returns the number of bad sectors, the first one in *fault. */
MUST_USE uint64_t verify_audit(struct verify *v, enum verify_audit_scope scope, verify_medium_read *read,
			       void *ctx, struct verify_fault *fault);

/* Bytes the shadow takes. */
size_t verify_memory_bytes(const struct verify *v);

#ifdef __cplusplus
}
#endif
#endif
