#include "host-sim/sweep/job_template.h"

#include "host-sim/workloads/fio_job.h"
#include "host-sim/workloads/fio_options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- lines, as fio_job.c reads them ---- */

enum line_kind { LINE_OTHER, LINE_GLOBAL, LINE_JOB, LINE_LOG };

struct line {
	enum line_kind kind;
	const char *value; /* LINE_LOG: of read_iolog */
	int value_length;
};

static void trim(const char **start, const char **end)
{
	while (*start < *end && isspace((unsigned char)**start))
		++*start;
	while (*end > *start && isspace((unsigned char)(*end)[-1]))
		--*end;
}

static bool same(const char *start, const char *end, const char *word)
{
	return (size_t)(end - start) == strlen(word) && memcmp(start, word, strlen(word)) == 0;
}

static struct line look_at(const char *start, const char *end)
{
	const char *at = start;
	while (at < end && *at != ';' && *at != '#')
		at++;
	end = at;
	trim(&start, &end);
	if (start < end && *start == '[')
		return (struct line){.kind = same(start, end, "[global]") ? LINE_GLOBAL : LINE_JOB};
	const char *equals = memchr(start, '=', (size_t)(end - start));
	const char *name_end = equals ? equals : end;
	trim(&start, &name_end);
	if (!equals || !same(start, name_end, "read_iolog"))
		return (struct line){.kind = LINE_OTHER};
	const char *value = equals + 1;
	trim(&value, &end);
	return (struct line){.kind = LINE_LOG, .value = value, .value_length = (int)(end - value)};
}

static const char *line_end(const char *at)
{
	return at + strcspn(at, "\n");
}

/* ---- logs ---- */

static int hash_file(const char *path, uint64_t *hash)
{
	char buffer[65536];
	FILE *in = fopen(path, "r");
	if (!in)
		return -1;
	*hash = HASH_EMPTY;
	size_t bytes;
	while ((bytes = fread(buffer, 1, sizeof(buffer), in)) != 0)
		*hash = hash_add(*hash, buffer, bytes);
	int bad = ferror(in) ? -1 : 0;
	fclose(in);
	return bad;
}

/* The copy's name, or NULL. */
static const char *add_log(struct job_template *job, const struct line *line)
{
	const char *slash = strrchr(job->path, '/');
	int folder = slash && line->value[0] != '/' ? (int)(slash + 1 - job->path) : 0;
	struct job_log log = {0};
	uint64_t hash;
	if (job->logs == JOB_LOGS_MAX)
		return NULL;
	if (asprintf(&log.path, "%.*s%.*s", folder, job->path, line->value_length, line->value) < 0)
		return NULL;
	if (hash_file(log.path, &hash) != 0 || asprintf(&log.name, "%016" PRIx64 ".log", hash) < 0) {
		free(log.path);
		return NULL;
	}
	job->log[job->logs++] = log;
	return log.name;
}

/* The text with logs renamed; NULL if that fails. */
static char *rename_logs(struct job_template *job, const char *text)
{
	char *result = NULL;
	size_t size;
	bool failed = false;
	FILE *out = open_memstream(&result, &size);
	if (!out)
		return NULL;
	for (const char *at = text; *at && !failed;) {
		const char *end = line_end(at);
		struct line line = look_at(at, end);
		const char *name = line.kind == LINE_LOG ? add_log(job, &line) : NULL;
		failed = line.kind == LINE_LOG && !name;
		if (name)
			fprintf(out, "read_iolog=%s\n", name);
		else
			fprintf(out, "%.*s\n", (int)(end - at), at);
		at = *end ? end + 1 : end;
	}
	failed = fclose(out) != 0 || failed;
	if (!failed)
		return result;
	free(result);
	return NULL;
}

static int copy_file(const char *from, const char *to)
{
	char buffer[65536], part[4200];
	size_t bytes;
	snprintf(part, sizeof(part), "%s.part", to);
	FILE *in = fopen(from, "r"), *out = in ? fopen(part, "w") : NULL;
	bool bad = !out;
	while (!bad && (bytes = fread(buffer, 1, sizeof(buffer), in)) != 0)
		bad = fwrite(buffer, 1, bytes, out) != bytes;
	if (in) {
		bad = ferror(in) || bad;
		fclose(in);
	}
	if (out)
		bad = fclose(out) != 0 || bad;
	return bad ? -1 : rename(part, to);
}

int job_template_copy_logs(const struct job_template *job, const char *folder, char *error, size_t error_size)
{
	for (unsigned i = 0; i < job->logs; i++) {
		char path[4096];
		struct stat status;
		snprintf(path, sizeof(path), "%s/%s", folder, job->log[i].name);
		if (stat(path, &status) == 0 || copy_file(job->log[i].path, path) == 0)
			continue;
		snprintf(error, error_size, "%s: cannot be copied to %s: %s", job->log[i].path, path,
			 strerror(errno));
		return -1;
	}
	return 0;
}

/* ---- the file ---- */

static char *load_text(const char *path)
{
	FILE *in = fopen(path, "r");
	struct stat status;
	char *text = NULL;
	if (in && fstat(fileno(in), &status) == 0 && (text = malloc((size_t)status.st_size + 1)) != NULL)
		text[fread(text, 1, (size_t)status.st_size, in)] = '\0';
	if (in)
		fclose(in);
	return text;
}

int job_template_load(struct job_template *job, const char *path, char *error, size_t error_size)
{
	struct fio_jobs jobs;
	*job = (struct job_template){0};
	if (fio_jobs_load(&jobs, path, error, error_size) != 0)
		return -1;
	fio_jobs_free(&jobs);
	char *text = load_text(path);
	job->path = strdup(path);
	job->text = text && job->path ? rename_logs(job, text) : NULL;
	free(text);
	if (job->text)
		return 0;
	snprintf(error, error_size, "%s: cannot read it, or the logs that it replays (%d at most): %s", path,
		 JOB_LOGS_MAX, strerror(errno));
	job_template_free(job);
	return -1;
}

void job_template_free(struct job_template *job)
{
	for (unsigned i = 0; i < job->logs; i++) {
		free(job->log[i].path);
		free(job->log[i].name);
	}
	free(job->text);
	free(job->path);
	*job = (struct job_template){0};
}

static void put_options(const struct job_option *option, unsigned options, FILE *out)
{
	for (unsigned i = 0; i < options; i++)
		fprintf(out, "%s=%s\n", option[i].name, option[i].value);
}

/* The last one given counts, so the options go to the end of every job's section. */
char *job_template_text(const struct job_template *job, const struct job_option *option, unsigned options)
{
	char *result = NULL;
	size_t size;
	bool in_job = false;
	FILE *out = open_memstream(&result, &size);
	if (!out)
		return NULL;
	for (const char *at = job->text; *at;) {
		const char *end = line_end(at);
		enum line_kind kind = look_at(at, end).kind;
		if (in_job && (kind == LINE_GLOBAL || kind == LINE_JOB))
			put_options(option, options, out);
		if (kind == LINE_GLOBAL || kind == LINE_JOB)
			in_job = kind == LINE_JOB;
		fprintf(out, "%.*s\n", (int)(end - at), at);
		at = *end ? end + 1 : end;
	}
	if (in_job)
		put_options(option, options, out);
	if (fclose(out) == 0)
		return result;
	free(result);
	return NULL;
}

static const char *find_option(const struct fio_option_list *list, const char *name)
{
	for (unsigned i = list->count; i-- > 0;)
		if (strcmp(list->option[i].name, name) == 0 && list->option[i].value)
			return list->option[i].value;
	return NULL;
}

bool job_template_option(const struct job_template *job, const char *name, char *value, size_t value_size)
{
	struct fio_jobs jobs;
	char error[400];
	if (fio_jobs_load(&jobs, job->path, error, sizeof(error)) != 0)
		return false;
	const char *found = find_option(&jobs.job[0].options, name);
	if (!found)
		found = find_option(&jobs.globals, name);
	if (found)
		snprintf(value, value_size, "%s", found);
	fio_jobs_free(&jobs);
	return found != NULL;
}
