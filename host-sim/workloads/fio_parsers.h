/* Parsers of the fio options whose values have a grammar of their own; the rows of fio_options.c point at them.
 *
 * Each returns FIO_REFUSED with an empty `reason` where the table's general message ("'x' is not accepted; give
 * …") says enough. */
#ifndef KICKSTAND_HOST_SIM_WORKLOADS_FIO_PARSERS_H
#define KICKSTAND_HOST_SIM_WORKLOADS_FIO_PARSERS_H

#include "host-sim/workloads/fio_options.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum fio_outcome fio_parser(struct fio_job *job, const char *value, char *reason, size_t size);

fio_parser fio_parse_name, fio_parse_description, fio_parse_rw, fio_parse_bs, fio_parse_bsrange,
	fio_parse_bssplit, fio_parse_blockalign, fio_parse_rwmixwrite, fio_parse_percentage_random,
	fio_parse_random_distribution, fio_parse_randseed, fio_parse_startdelay, fio_parse_rate,
	fio_parse_rate_iops, fio_parse_ioengine, fio_parse_direct, fio_parse_buffered, fio_parse_verify,
	fio_parse_continue_on_error, fio_parse_percentile_list, fio_parse_kb_base, fio_parse_read_iolog,
	fio_parse_replay_skip;

/* True if `word` is one of the words of "first|second|…"; *index is its place. */
bool fio_word_index(const char *words, const char *word, unsigned *index);

#ifdef __cplusplus
}
#endif
#endif
