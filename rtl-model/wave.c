#include "rtl-model/wave_format.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Room for what the libraries write at once, such as the names of all signals: one of them does not survive it if that fails. */
#define PROBE_BYTES (256 * 1024)

/* One file in a program, as there is one kernel. */
static struct {
	const struct wave_format *format;
	struct wave_source source;
	struct kernel_observer observer;
	uint64_t value[WAVE_SIGNALS_MAX];
	char path[4096];
} wave;

bool wave_sample(uint64_t now_ps)
{
	bool changed = false;
	for (unsigned i = 0; i < wave.source.signals; i++) {
		uint64_t value = wave.source.signal[i].value(wave.source.ctx, now_ps);
		changed |= value != wave.value[i];
		wave.value[i] = value;
	}
	return changed;
}

static bool ends_in(const char *path, const char *suffix)
{
	size_t length = strlen(path), end = strlen(suffix);
	return length > end && strcmp(path + length - end, suffix) == 0;
}

/* Whether a file can be made there and something written into it; what was there before is lost. Else errno says why. */
static bool can_write(const char *path)
{
	static const char block[4096];
	FILE *file = fopen(path, "w");
	if (!file)
		return false;
	bool ok = true;
	for (unsigned done = 0; ok && done < PROBE_BYTES; done += sizeof(block))
		ok = fwrite(block, sizeof(block), 1, file) == 1;
	ok = ok && fflush(file) == 0;
	int reason = errno;
	fclose(file);
	if (!ok || !(file = fopen(path, "w"))) { /* and leave it empty */
		remove(path);
		errno = reason;
		return false;
	}
	fclose(file);
	return true;
}

int wave_open(const char *path, const struct wave_source *source, char *error, size_t error_size)
{
	wave.format = ends_in(path, wave_fst.suffix) ? &wave_fst : &wave_vcd;
	wave.source = *source;
	ASSERT(source->signals <= WAVE_SIGNALS_MAX);
	if (wave.format == &wave_vcd && wave_twins() != 0) {
		snprintf(error, error_size,
			 "--wave %s: VCD has no signals of blocks in RTL; give a name that ends in .fst "
			 "(fst2vcd converts it)",
			 path);
		return -1;
	}
	snprintf(wave.path, sizeof(wave.path), "%s%s", path,
		 ends_in(path, wave.format->suffix) ? "" : wave.format->suffix);
	if (!can_write(wave.path) || !wave.format->open(wave.path, &wave.source, wave.value)) {
		snprintf(error, error_size, "--wave %s: cannot write: %s", wave.path, strerror(errno));
		return -1;
	}
	wave.observer = (struct kernel_observer){NULL, wave.format->begin, wave.format->end};
	kernel_observe(&wave.observer);
	return 0;
}

int wave_close(char *error, size_t error_size)
{
	kernel_observe(NULL);
	wave.format->close();
	if (wave.format->whole(wave.path))
		return 0;
	snprintf(error, error_size, "--wave %s: could not be written; is the disk full?", wave.path);
	return -1;
}
