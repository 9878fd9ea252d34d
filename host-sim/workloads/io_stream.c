#include "host-sim/workloads/io_stream.h"

#include <stdlib.h>
#include <string.h>

enum rng_stream { RNG_DRAWS = 1, RNG_MAP, RNG_SCATTER };

static uint64_t stream_key(uint64_t seed, enum rng_stream stream, uint64_t number)
{
	struct rng rng;
	rng_seed(&rng, seed, (uint64_t)stream << 56 ^ number);
	return rng_u64(&rng);
}

static bool variable_size(const struct fio_sizes *sizes)
{
	return sizes->min_bytes != sizes->max_bytes;
}

/* A map counts blocks of the smallest size; two directions can only share one if theirs is the same. */
static int init_map(struct io_stream *s, unsigned direction)
{
	struct io_source *source = &s->source[direction];
	bool several = variable_size(source->sizes);
	for (unsigned other = 0; other < direction; other++) {
		struct io_source *with = &s->source[other];
		if (with->map && with->sizes->min_bytes == source->sizes->min_bytes &&
		    variable_size(with->sizes) == several) {
			source->map = with->map;
			return 0;
		}
	}
	source->map = &s->map[direction];
	return random_map_init(source->map, source->places, 0, several);
}

static int init_source(struct io_stream *s, unsigned direction)
{
	struct io_source *source = &s->source[direction];
	source->sizes = &s->job->sizes[direction];
	ASSERT(s->region.bytes >= source->sizes->min_bytes);
	source->places = (s->region.bytes - source->sizes->min_bytes) / source->sizes->align_bytes + 1;
	if (!s->job->random)
		return 0;
	if (!s->job->no_random_map)
		return init_map(s, direction);
	if (s->job->distribution == FIO_UNIFORM)
		return 0;
	source->skew = malloc(sizeof(*source->skew));
	return source->skew ? 0 : -1;
}

int io_stream_init(struct io_stream *s, const struct fio_job *job, unsigned clone, struct fio_region region,
		   bool wrap)
{
	*s = (struct io_stream){.job = job, .region = region, .wrap = wrap, .clone = clone};
	if (job->iolog)
		return 0;
	for (unsigned d = 0; d < IO_DIRECTIONS; d++) {
		if (job->direction[d] && init_source(s, d) != 0) {
			io_stream_free(s);
			return -1;
		}
	}
	return 0;
}

void io_stream_free(struct io_stream *s)
{
	for (unsigned d = 0; d < IO_DIRECTIONS; d++) {
		random_map_free(&s->map[d]);
		free(s->source[d].skew);
		s->source[d].skew = NULL;
	}
}

void io_stream_start(struct io_stream *s, uint64_t seed)
{
	rng_seed(&s->rng, seed, RNG_DRAWS);
	s->write_next = false;
	s->entry = 0;
	s->pass_us = 0;
	for (unsigned d = 0; d < IO_DIRECTIONS; d++) {
		struct io_source *source = &s->source[d];
		source->position = source->last = 0;
		source->sequence_left = 0;
		if (source->map == &s->map[d])
			random_map_restart(source->map, stream_key(seed, RNG_MAP, d));
		if (source->skew)
			skew_init(source->skew, s->job->distribution, s->job->distribution_micro,
				  source->places, stream_key(seed, RNG_SCATTER, 0));
	}
}

static enum io_ddir choose_direction(struct io_stream *s)
{
	const bool *direction = s->job->direction;
	if (s->job->trimwrite)
		return IO_TRIM;
	if (direction[IO_READ] && direction[IO_WRITE])
		return rng_below(&s->rng, 100) < s->job->read_percent ? IO_READ : IO_WRITE;
	return direction[IO_READ] ? IO_READ : direction[IO_WRITE] ? IO_WRITE : IO_TRIM;
}

static bool fits(const struct io_stream *s, const struct io_source *source, uint64_t offset)
{
	return offset <= s->region.bytes && source->sizes->min_bytes <= s->region.bytes - offset;
}

/* Goes on behind the I/O before, after the gap. A gap that reaches over the region's end leads back to its front, as in
 * fio; the end itself does so only if the region is to be done again. */
static bool sequential_offset(const struct io_stream *s, const struct io_source *source, uint64_t *offset)
{
	uint64_t at = source->position;
	if (!fits(s, source, at)) {
		if (!s->wrap)
			return false;
		at = 0;
	} else if (at != 0) {
		at += s->job->gap_bytes;
	}
	*offset = fits(s, source, at) ? at : 0;
	return true;
}

static bool random_offset(struct io_stream *s, struct io_source *source, uint64_t *offset)
{
	uint64_t place;
	if (source->skew) {
		place = skew_draw(source->skew, &s->rng);
	} else if (!source->map) {
		place = rng_below(&s->rng, source->places);
	} else if (!random_map_draw(source->map, &place)) {
		if (!s->wrap)
			return false;
		random_map_restart(source->map, stream_key(source->map->key, RNG_MAP, 0));
		bool any = random_map_draw(source->map, &place);
		ASSERT(any);
	}
	*offset = place * source->sizes->align_bytes;
	return true;
}

/* Chooses the offset; *mapped tells whether it came from the random map. I/O that goes on from the one before
 * (percentage_random, rw=randread:N) does not touch the map, as in fio. */
static bool choose_offset(struct io_stream *s, enum io_ddir ddir, uint64_t *offset, bool *mapped)
{
	const struct fio_job *job = s->job;
	struct io_source *source = &s->source[ddir];
	*mapped = false;
	if (!job->random)
		return sequential_offset(s, source, offset);
	bool on = source->sequence_left > 0;
	if (on)
		source->sequence_left--;
	if (on && job->sequence_identical) {
		*offset = source->last;
		return true;
	}
	bool random = !on && rng_below(&s->rng, 100) < job->random_percent[ddir];
	if (!random && fits(s, source, source->position)) {
		*offset = source->position;
		return true;
	}
	if (!on)
		source->sequence_left = job->sequence - 1;
	*mapped = source->map != NULL;
	return random_offset(s, source, offset);
}

static uint32_t draw_size(struct io_stream *s, const struct fio_sizes *sizes)
{
	if (!sizes->splits)
		return sizes->min_bytes *
		       (1 + (uint32_t)rng_below(&s->rng, sizes->max_bytes / sizes->min_bytes));
	unsigned percent = (unsigned)rng_below(&s->rng, 100);
	unsigned i = 0;
	while (percent >= sizes->split[i].percent)
		percent -= sizes->split[i++].percent;
	return sizes->split[i].bytes;
}

/* The largest size the options allow that is at most `room`, which the smallest is. */
static uint32_t largest_size(const struct fio_sizes *sizes, uint64_t room)
{
	uint32_t best = sizes->min_bytes;
	if (!sizes->splits)
		return (uint32_t)(room - room % sizes->min_bytes);
	for (unsigned i = 0; i < sizes->splits; i++)
		if (sizes->split[i].bytes <= room)
			best = max_u32(best, sizes->split[i].bytes);
	return best;
}

/* A size that fits before the region's end and, if mapped, before the next block already done. */
static uint32_t choose_size(struct io_stream *s, const struct io_source *source, uint64_t offset, bool mapped)
{
	const struct fio_sizes *sizes = source->sizes;
	if (!variable_size(sizes))
		return sizes->min_bytes;
	uint32_t size = draw_size(s, sizes);
	uint64_t room = min_u64(size, s->region.bytes - offset);
	if (mapped) {
		uint64_t blocks = (room + sizes->min_bytes - 1) / sizes->min_bytes;
		room = min_u64(room, random_map_room(source->map, offset / sizes->min_bytes, blocks) *
					     sizes->min_bytes);
	}
	if (size > room)
		size = largest_size(sizes, room);
	if (mapped)
		random_map_cover(source->map, offset / sizes->min_bytes,
				 (size + sizes->min_bytes - 1) / sizes->min_bytes);
	return size;
}

/* ---- replay ---- */

/* Time in the log to time in the replay. */
static uint64_t replay_ps(const struct fio_job *job, uint64_t at_us)
{
	unsigned __int128 ps = (unsigned __int128)at_us * PS_PER_US * 100 / job->replay_time_scale;
	if (job->replay_no_stall)
		return 0;
	return ps > TIME_NEVER_PS / 4 ? TIME_NEVER_PS / 4 : (uint64_t)ps;
}

/* The next entry of a file that is this clone's; one pass at most, since there may be none. */
static const struct iolog_entry *next_entry(struct io_stream *s)
{
	const struct iolog *log = s->job->iolog;
	for (size_t seen = 0; seen <= log->entries; seen++) {
		if (s->entry == log->entries) {
			if (!s->wrap)
				return NULL;
			s->entry = 0;
			s->pass_us += log->end_us;
		}
		const struct iolog_entry *entry = &log->entry[s->entry++];
		if (entry->file % s->job->numjobs == s->clone)
			return entry;
	}
	return NULL;
}

static bool replay_next(struct io_stream *s, struct io *io)
{
	const struct iolog_entry *entry = next_entry(s);
	if (!entry)
		return false;
	*io = (struct io){.ddir = (enum io_ddir)entry->ddir,
			  .offset = entry->offset,
			  .bytes = entry->bytes,
			  .due_ps = replay_ps(s->job, s->pass_us + entry->at_us)};
	return true;
}

bool io_stream_next(struct io_stream *s, struct io *io)
{
	if (s->job->iolog)
		return replay_next(s, io);
	uint64_t offset;
	bool mapped;
	if (s->write_next) {
		*io = s->trimmed;
		io->ddir = IO_WRITE;
		s->write_next = false;
		return true;
	}
	enum io_ddir ddir = choose_direction(s);
	struct io_source *source = &s->source[ddir];
	if (!choose_offset(s, ddir, &offset, &mapped))
		return false;
	uint32_t bytes = choose_size(s, source, offset, mapped);
	source->last = offset;
	source->position = offset + bytes;
	*io = (struct io){.ddir = ddir, .offset = s->region.offset + offset, .bytes = bytes};
	if (s->job->trimwrite) {
		s->trimmed = *io;
		s->write_next = true;
	}
	return true;
}
