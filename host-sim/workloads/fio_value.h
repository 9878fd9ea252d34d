/* Values of fio options: numbers with fio's units, lists, percentages ("Parameter types" in fio's HOWTO).
 *
 * Every function returns 0, or -1 if the text is malformed or does not fit; the result is then unchanged. fio
 * itself ignores what follows a number; here it is an error, as are arithmetic in parentheses and negative
 * numbers. */
#ifndef KICKSTAND_HOST_SIM_WORKLOADS_FIO_VALUE_H
#define KICKSTAND_HOST_SIM_WORKLOADS_FIO_VALUE_H

#include "pcie/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A number of bytes, or a part of the disk (or, for io_size, of the job's region). */
struct fio_amount {
	uint64_t value; /* bytes or percent; 0 = not given */
	bool percent;
};

/* "4096", "0x1000", "4k", "4kB", "4KiB", … With kb_base 1024 (fio's default) k means 1024 and Ki 1000; with
 * kb_base 1000 the other way round. Plain numbers (iodepth=1k) take the same suffixes. */
MUST_USE int fio_parse_bytes(const char *text, unsigned kb_base, uint64_t *bytes);

/* As fio_parse_bytes, or "20%" with 1 to 100. */
MUST_USE int fio_parse_amount(const char *text, unsigned kb_base, struct fio_amount *amount);

/* "10", "10s", "10ms", "10us", "10m", "10h", "10d"; a bare number counts in units of `unit_ps`. */
MUST_USE int fio_parse_time(const char *text, uint64_t unit_ps, uint64_t *ps);

/* "0" or "1". */
MUST_USE int fio_parse_bool(const char *text, bool *value);

/* "1.25" to 1250000; up to six decimals. */
MUST_USE int fio_parse_micro(const char *text, uint64_t *micro);

/* Copies the piece of *text up to `separator` or the end into `piece` and moves *text behind the separator, or
 * to NULL after the last piece. -1 if it does not fit. */
MUST_USE int fio_next_piece(const char **text, char separator, char *piece, size_t size);

#ifdef __cplusplus
}
#endif
#endif
