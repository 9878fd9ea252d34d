#include "host-sim/workloads/fio_parsers.h"

#include <inttypes.h>
#include <string.h>

#define PIECE_MAX 512
#define BLOCK_MAX (UINT64_C(1) << 30) /* of one I/O; keeps sums of a few sizes inside 32 bits */

bool fio_word_index(const char *words, const char *word, unsigned *index)
{
	size_t length = strlen(word);
	*index = 0;
	while (words) {
		const char *end = strchr(words, '|');
		size_t span = end ? (size_t)(end - words) : strlen(words);
		if (span == length && memcmp(words, word, span) == 0)
			return true;
		words = end ? end + 1 : NULL;
		++*index;
	}
	return false;
}

/* Reads one direction's part of a "read,write,trim" value. */
typedef int part_parser(struct fio_job *job, unsigned direction, const char *part);

/* fio's rule for such values: an empty part leaves that direction as it was, and the last part, if not ended by
 * a comma, also serves the directions behind it. */
static enum fio_outcome parse_directions(struct fio_job *job, const char *value, part_parser *parse)
{
	char part[PIECE_MAX] = "";
	unsigned direction = 0;
	const char *rest = value;
	while (rest) {
		if (direction == IO_DIRECTIONS || fio_next_piece(&rest, ',', part, sizeof(part)) != 0)
			return FIO_REFUSED;
		if (part[0] && parse(job, direction, part) != 0)
			return FIO_REFUSED;
		direction++;
	}
	for (; part[0] && direction < IO_DIRECTIONS; direction++)
		if (parse(job, direction, part) != 0)
			return FIO_REFUSED;
	return FIO_TAKEN;
}

static int parse_block(const struct fio_job *job, const char *text, uint32_t *bytes)
{
	uint64_t value;
	if (fio_parse_bytes(text, job->kb_base, &value) != 0 || value == 0 || value > BLOCK_MAX)
		return -1;
	*bytes = (uint32_t)value;
	return 0;
}

static int bs_part(struct fio_job *job, unsigned direction, const char *part)
{
	return parse_block(job, part, &job->sizes[direction].bs);
}

static int blockalign_part(struct fio_job *job, unsigned direction, const char *part)
{
	return parse_block(job, part, &job->sizes[direction].ba);
}

static int bsrange_part(struct fio_job *job, unsigned direction, const char *part)
{
	char low[32];
	uint32_t from, to;
	const char *rest = part;
	char separator = strchr(part, '-') ? '-' : ':';
	if (fio_next_piece(&rest, separator, low, sizeof(low)) != 0 || !rest ||
	    parse_block(job, low, &from) != 0 || parse_block(job, rest, &to) != 0)
		return -1;
	job->sizes[direction].range_min = min_u32(from, to);
	job->sizes[direction].range_max = max_u32(from, to);
	return 0;
}

/* What is left of 100 % goes in equal parts to the sizes without a percentage, the remainder to the last. */
static int fill_split(struct fio_sizes *sizes)
{
	unsigned sum = 0, blank = 0;
	for (unsigned i = 0; i < sizes->splits; i++) {
		sum += sizes->split[i].percent;
		blank += sizes->split[i].percent == 0;
	}
	if (sum > 100 || (!blank && sum != 100) || (blank && 100 - sum < blank))
		return -1;
	for (unsigned i = 0; i < sizes->splits; i++) {
		if (sizes->split[i].percent)
			continue;
		unsigned share = (100 - sum) / blank--;
		sizes->split[i].percent = share;
		sum += share;
	}
	return 0;
}

/* "4k/60:64k/40"; a size without percentage is marked with 0 and settled by fill_split. */
static int bssplit_part(struct fio_job *job, unsigned direction, const char *part)
{
	struct fio_sizes sizes = job->sizes[direction];
	const char *rest = part;
	sizes.splits = 0;
	while (rest) {
		char entry[48], size[32];
		const char *tail = entry;
		uint64_t percent = 0;
		if (sizes.splits == FIO_SPLITS_MAX || fio_next_piece(&rest, ':', entry, sizeof(entry)) != 0 ||
		    fio_next_piece(&tail, '/', size, sizeof(size)) != 0 ||
		    parse_block(job, size, &sizes.split[sizes.splits].bytes) != 0)
			return -1;
		if (tail && tail[0] &&
		    (fio_parse_bytes(tail, job->kb_base, &percent) != 0 || percent < 1 || percent > 100))
			return -1;
		sizes.split[sizes.splits++].percent = (unsigned)percent;
	}
	if (fill_split(&sizes) != 0)
		return -1;
	job->sizes[direction] = sizes;
	return 0;
}

static int percentage_random_part(struct fio_job *job, unsigned direction, const char *part)
{
	uint64_t percent;
	if (fio_parse_bytes(part, job->kb_base, &percent) != 0 || percent > 100)
		return -1;
	job->random_percent[direction] = (unsigned)percent;
	return 0;
}

static int rate_part(struct fio_job *job, unsigned direction, const char *part)
{
	return fio_parse_bytes(part, job->kb_base, &job->rate_bytes[direction]);
}

static int rate_iops_part(struct fio_job *job, unsigned direction, const char *part)
{
	return fio_parse_bytes(part, job->kb_base, &job->rate_iops[direction]);
}

#define DIRECTIONS_PARSER(name)                                                                              \
	enum fio_outcome fio_parse_##name(struct fio_job *job, const char *value, char *reason, size_t size) \
	{                                                                                                    \
		(void)reason;                                                                                \
		(void)size;                                                                                  \
		return parse_directions(job, value, name##_part);                                            \
	}

DIRECTIONS_PARSER(bs)
DIRECTIONS_PARSER(blockalign)
DIRECTIONS_PARSER(bsrange)
DIRECTIONS_PARSER(bssplit)
DIRECTIONS_PARSER(percentage_random)
DIRECTIONS_PARSER(rate)
DIRECTIONS_PARSER(rate_iops)

enum fio_outcome fio_parse_name(struct fio_job *job, const char *value, char *reason, size_t size)
{
	(void)reason;
	(void)size;
	if (!value[0] || strlen(value) >= sizeof(job->name))
		return FIO_REFUSED;
	memcpy(job->name, value, strlen(value) + 1);
	return FIO_TAKEN;
}

enum fio_outcome fio_parse_description(struct fio_job *job, const char *value, char *reason, size_t size)
{
	(void)reason;
	(void)size;
	job->description = value;
	return FIO_TAKEN;
}

enum fio_outcome fio_parse_rw(struct fio_job *job, const char *value, char *reason, size_t size)
{
	static const struct {
		const char *name;
		bool random, direction[IO_DIRECTIONS], trimwrite;
	} kinds[] = {
		{"read", false, {true, false, false}, false},
		{"write", false, {false, true, false}, false},
		{"trim", false, {false, false, true}, false},
		{"rw", false, {true, true, false}, false},
		{"readwrite", false, {true, true, false}, false},
		{"trimwrite", false, {false, true, true}, true},
		{"randread", true, {true, false, false}, false},
		{"randwrite", true, {false, true, false}, false},
		{"randtrim", true, {false, false, true}, false},
		{"randrw", true, {true, true, false}, false},
		{"randtrimwrite", true, {false, true, true}, true},
	};
	char name[16];
	const char *rest = value;
	uint64_t number = 0;
	if (fio_next_piece(&rest, ':', name, sizeof(name)) != 0)
		return FIO_REFUSED;
	if (rest &&
	    (fio_parse_bytes(rest, job->kb_base, &number) != 0 || number == 0 || number > BLOCK_MAX)) {
		snprintf(reason, size, ": '%s' behind ':' is not accepted; give a positive number", rest);
		return FIO_REFUSED;
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].name, name) != 0)
			continue;
		job->random = kinds[i].random;
		memcpy(job->direction, kinds[i].direction, sizeof(job->direction));
		job->trimwrite = kinds[i].trimwrite;
		job->sequence = job->random && rest ? (unsigned)number : 1;
		job->gap_bytes = job->random ? 0 : number;
		return FIO_TAKEN;
	}
	return FIO_REFUSED;
}

enum fio_outcome fio_parse_rwmixwrite(struct fio_job *job, const char *value, char *reason, size_t size)
{
	uint64_t percent;
	(void)reason;
	(void)size;
	if (fio_parse_bytes(value, job->kb_base, &percent) != 0 || percent > 100)
		return FIO_REFUSED;
	job->read_percent = 100 - (unsigned)percent;
	return FIO_TAKEN;
}

enum fio_outcome fio_parse_random_distribution(struct fio_job *job, const char *value, char *reason,
					       size_t size)
{
	/* Defaults, and the bounds fio has; theta is bounded because beyond 100 all I/O goes to one block. */
	static const struct {
		const char *name;
		enum fio_distribution kind;
		uint64_t fallback_micro, min_micro, max_micro;
	} kinds[] = {
		{"random", FIO_UNIFORM, 1, 1, 0},
		{"zipf", FIO_ZIPF, 1100000, 1, 100000000},
		{"pareto", FIO_PARETO, 200000, 1, 999999},
		{"normal", FIO_NORMAL, 0, 1, 99999999},
	};
	char name[16];
	const char *rest = value;
	if (fio_next_piece(&rest, ':', name, sizeof(name)) != 0)
		return FIO_REFUSED;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		uint64_t micro = kinds[i].fallback_micro;
		if (strcmp(kinds[i].name, name) != 0)
			continue;
		if (rest && strchr(rest, ':')) {
			snprintf(reason, size,
				 ": the centre of a distribution is not supported; leave it out");
			return FIO_REFUSED;
		}
		if (rest && fio_parse_micro(rest, &micro) != 0)
			return FIO_REFUSED;
		if (kinds[i].kind != FIO_UNIFORM &&
		    (micro < kinds[i].min_micro || micro > kinds[i].max_micro))
			return FIO_REFUSED;
		if (kinds[i].kind == FIO_ZIPF && micro == 1000000) {
			snprintf(reason, size,
				 ": fio refuses a zipf theta of exactly 1; take 0.999 or 1.001");
			return FIO_REFUSED;
		}
		job->distribution = kinds[i].kind;
		job->distribution_micro = micro;
		return FIO_TAKEN;
	}
	return FIO_REFUSED;
}

enum fio_outcome fio_parse_randseed(struct fio_job *job, const char *value, char *reason, size_t size)
{
	(void)reason;
	(void)size;
	if (fio_parse_bytes(value, job->kb_base, &job->seed) != 0)
		return FIO_REFUSED;
	job->seed_given = true;
	return FIO_TAKEN;
}

enum fio_outcome fio_parse_startdelay(struct fio_job *job, const char *value, char *reason, size_t size)
{
	char first[32];
	const char *rest = value;
	uint64_t from, to;
	(void)reason;
	(void)size;
	char separator = strchr(value, '-') ? '-' : ':';
	if (fio_next_piece(&rest, separator, first, sizeof(first)) != 0 ||
	    fio_parse_time(first, PS_PER_S, &from) != 0 ||
	    fio_parse_time(rest ? rest : first, PS_PER_S, &to) != 0)
		return FIO_REFUSED;
	job->start_delay_min_ps = min_u64(from, to);
	job->start_delay_max_ps = max_u64(from, to);
	return FIO_TAKEN;
}

enum fio_outcome fio_parse_ioengine(struct fio_job *job, const char *value, char *reason, size_t size)
{
	unsigned index;
	job->engine_given = true;
	if (fio_word_index("libaio|io_uring|posixaio", value, &index)) {
		job->sync_engine = false;
		return FIO_TAKEN;
	}
	if (fio_word_index("sync|psync|vsync|pvsync|pvsync2", value, &index)) {
		job->sync_engine = true;
		return FIO_TAKEN;
	}
	snprintf(reason, size,
		 ": '%s' does not make sense for the simulated disk; give libaio, io_uring or posixaio "
		 "(asynchronous), or sync, psync, vsync, pvsync or pvsync2 (one I/O at a time)",
		 value);
	return FIO_REFUSED;
}

static enum fio_outcome set_direct(bool direct, char *reason, size_t size)
{
	if (direct)
		return FIO_TAKEN;
	snprintf(reason, size, "the guest has no page cache: every I/O goes to the device, as with direct=1");
	return FIO_IGNORED;
}

enum fio_outcome fio_parse_direct(struct fio_job *job, const char *value, char *reason, size_t size)
{
	bool direct;
	(void)job;
	return fio_parse_bool(value, &direct) != 0 ? FIO_REFUSED : set_direct(direct, reason, size);
}

enum fio_outcome fio_parse_buffered(struct fio_job *job, const char *value, char *reason, size_t size)
{
	bool buffered;
	(void)job;
	return fio_parse_bool(value, &buffered) != 0 ? FIO_REFUSED : set_direct(!buffered, reason, size);
}

enum fio_outcome fio_parse_verify(struct fio_job *job, const char *value, char *reason, size_t size)
{
	/* All the same here: the check compares every byte with what the driver wrote. */
	static const char methods[] = "0|md5|crc64|crc32|crc32c|crc32c-intel|crc16|crc7|sha1|sha256|sha512|"
				      "sha3-224|sha3-256|sha3-384|sha3-512|xxhash|meta|pattern|null";
	unsigned index;
	(void)reason;
	(void)size;
	if (!fio_word_index(methods, value, &index))
		return FIO_REFUSED;
	job->verify = index != 0;
	return FIO_TAKEN;
}

enum fio_outcome fio_parse_continue_on_error(struct fio_job *job, const char *value, char *reason,
					     size_t size)
{
	static const unsigned masks[] = {
		0,
		FIO_CONTINUE_READ,
		FIO_CONTINUE_WRITE,
		FIO_CONTINUE_READ | FIO_CONTINUE_WRITE,
		FIO_CONTINUE_VERIFY,
		FIO_CONTINUE_READ | FIO_CONTINUE_WRITE | FIO_CONTINUE_VERIFY,
		0,
		FIO_CONTINUE_READ | FIO_CONTINUE_WRITE | FIO_CONTINUE_VERIFY,
	};
	unsigned index;
	(void)reason;
	(void)size;
	if (!fio_word_index("none|read|write|io|verify|all|0|1", value, &index))
		return FIO_REFUSED;
	job->continue_on = masks[index];
	return FIO_TAKEN;
}

enum fio_outcome fio_parse_read_iolog(struct fio_job *job, const char *value, char *reason, size_t size)
{
	if (strcmp(value, "-") == 0 || strchr(value, ':')) {
		snprintf(reason, size,
			 ": '%.60s' is not supported: one log serves all clones, each with files of its own; "
			 "give one name, without ':'",
			 value);
		return FIO_REFUSED;
	}
	job->read_iolog = value;
	return FIO_TAKEN;
}

enum fio_outcome fio_parse_replay_skip(struct fio_job *job, const char *value, char *reason, size_t size)
{
	static const unsigned kinds[] = {1u << IO_READ, 1u << IO_WRITE, 1u << IO_TRIM,
					 1u << IO_SYNC | 1u << IO_DATASYNC};
	const char *rest = value;
	unsigned skip = 0;
	(void)reason;
	(void)size;
	do {
		char piece[16];
		unsigned index;
		if (fio_next_piece(&rest, ',', piece, sizeof(piece)) != 0 ||
		    !fio_word_index("read|write|trim|sync", piece, &index))
			return FIO_REFUSED;
		skip |= kinds[index];
	} while (rest);
	job->replay_skip = skip;
	return FIO_TAKEN;
}

enum fio_outcome fio_parse_percentile_list(struct fio_job *job, const char *value, char *reason, size_t size)
{
	const char *rest = value;
	unsigned count = 0;
	uint32_t list[FIO_PERCENTILES_MAX] = {0};
	(void)reason;
	(void)size;
	do {
		char piece[32];
		uint64_t micro;
		if (count == FIO_PERCENTILES_MAX || fio_next_piece(&rest, ':', piece, sizeof(piece)) != 0 ||
		    fio_parse_micro(piece, &micro) != 0 || micro == 0 || micro > 100000000)
			return FIO_REFUSED;
		unsigned at = count++;
		for (; at > 0 && list[at - 1] > micro; at--)
			list[at] = list[at - 1];
		list[at] = (uint32_t)micro;
	} while (rest);
	memcpy(job->percentile_micro, list, count * sizeof(list[0]));
	job->percentiles = count;
	return FIO_TAKEN;
}

enum fio_outcome fio_parse_kb_base(struct fio_job *job, const char *value, char *reason, size_t size)
{
	unsigned index;
	(void)reason;
	(void)size;
	if (!fio_word_index("1024|1000", value, &index))
		return FIO_REFUSED;
	job->kb_base = index ? 1000 : 1024;
	return FIO_TAKEN;
}
