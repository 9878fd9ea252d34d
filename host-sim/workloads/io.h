/* One I/O of a workload, as the generator hands it to the guest's block driver. */
#ifndef KICKSTAND_HOST_SIM_WORKLOADS_IO_H
#define KICKSTAND_HOST_SIM_WORKLOADS_IO_H

#include "pcie/base.h"

/* The first three carry data or a range and are the "directions" of fio's options and reports (bs=4k,8k,16k
 * is read, write, trim); the others flush. */
enum io_ddir { IO_READ, IO_WRITE, IO_TRIM, IO_SYNC, IO_DATASYNC };
#define IO_DIRECTIONS 3

struct io {
	enum io_ddir ddir;
	uint32_t bytes;  /* a multiple of 512; 0 for flushes */
	uint64_t offset; /* bytes from the start of the disk; 0 for flushes */
	bool readback;   /* a read of the verify phase */
	uint64_t due_ps; /* replay: not before this time after the loop's start */
};

#endif
