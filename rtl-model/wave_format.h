/* A file format of waves. Private to rtl-model/wave*. */
#ifndef KICKSTAND_RTL_MODEL_WAVE_FORMAT_H
#define KICKSTAND_RTL_MODEL_WAVE_FORMAT_H

#include "rtl-model/kernel.h"
#include "rtl-model/wave.h"

#ifdef __cplusplus
extern "C" {
#endif

struct wave_format {
	const char *suffix;
	/* Begins a file whose path ends in the suffix and which can be written; false if it cannot after all. `value` are the
	 * signals' values, all of them 0 till the first wave_sample. */
	bool (*open)(const char *path, const struct wave_source *source, const uint64_t *value);
	/* Around every instant, as in kernel.h. */
	void (*begin)(void *ctx, uint64_t now_ps);
	void (*end)(void *ctx, uint64_t now_ps);
	void (*close)(void);
	/* Whether a closed file is whole: neither library tells whether its writes succeeded. */
	bool (*whole)(const char *path);
};

extern const struct wave_format wave_vcd, wave_fst;

/* Brings the values up to date; false if none has changed. */
bool wave_sample(uint64_t now_ps);

/* Number of modules of RTL twins there are. */
unsigned wave_twins(void);

#ifdef __cplusplus
}
#endif
#endif
