/* Reads job files: lines, sections, the defaults of [global].
 *
 * inih (as Debian builds it) cannot read them: it takes an option without a value (`stonewall`) for an error,
 * does not call back for a section without options, merges neighbouring sections of the same name, and keeps the
 * line number to itself. */
#include "host-sim/workloads/fio_options.h"
#include "host-sim/workloads/text_place.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (1u << 20)

struct reader {
	struct fio_jobs *jobs;
	struct text_place at;
	struct fio_job defaults; /* what the [global] sections so far have set */

	/* The section being read: its options are applied when all its lines are known. */
	enum { SECTION_NONE, SECTION_GLOBAL, SECTION_JOB } section;
	char name[sizeof(((struct fio_job *)0)->name)];
	unsigned section_line;
	struct fio_option_list options;
};

/* realloc of an array of `count` elements, which is to hold one more. */
static void *grow(void *array, size_t count, size_t size)
{
	return reallocarray(array, count + 1, size);
}

static int out_of_memory(struct reader *r)
{
	return text_place_fail(&r->at, "out of memory; split the job file");
}

static int add_note(struct reader *r, unsigned line, const char *option, const char *reason)
{
	char *text;
	char **note = grow(r->jobs->note, r->jobs->notes, sizeof(*note));
	if (!note)
		return out_of_memory(r);
	r->jobs->note = note;
	int length = option ? asprintf(&text, "%s:%u: option '%s' is ignored: %s", r->at.file, line, option,
				       reason)
			    : asprintf(&text, "%s:%u: %s", r->at.file, line, reason);
	if (length < 0)
		return out_of_memory(r);
	note[r->jobs->notes++] = text;
	return 0;
}

static int add_option(struct reader *r, struct fio_option_list *list, struct fio_option_text text)
{
	struct fio_option_text *option = grow(list->option, list->count, sizeof(*option));
	if (!option) {
		free(text.value);
		return out_of_memory(r);
	}
	list->option = option;
	option[list->count++] = text;
	return 0;
}

static void free_options(struct fio_option_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		free(list->option[i].value);
	free(list->option);
	*list = (struct fio_option_list){0};
}

static int apply_option(struct reader *r, struct fio_job *job, const struct fio_option_text *option)
{
	char reason[400];
	switch (fio_option_apply(job, option->name, option->value, reason, sizeof(reason))) {
	case FIO_TAKEN: return 0;
	case FIO_IGNORED: return add_note(r, option->line, option->name, reason);
	case FIO_REFUSED: break;
	}
	r->at.line = option->line; /* the section's end has been read already */
	return text_place_fail(&r->at, "option '%s'%s", option->name, reason);
}

/* kb_base gives the units of the whole section, so it goes first, as in fio. */
static int apply_options(struct reader *r, struct fio_job *job, const struct fio_option_list *list)
{
	for (int pass = 0; pass < 2; pass++)
		for (unsigned i = 0; i < list->count; i++)
			if ((strcmp(list->option[i].name, "kb_base") == 0) == (pass == 0) &&
			    apply_option(r, job, &list->option[i]) != 0)
				return -1;
	return 0;
}

/* The log to replay; names are relative to the job file. */
static int load_iolog(struct reader *r, struct fio_job *job)
{
	const char *slash = strrchr(r->at.file, '/');
	int folder = slash && job->read_iolog[0] != '/' ? (int)(slash + 1 - r->at.file) : 0;
	char *path;
	job->iolog = calloc(1, sizeof(*job->iolog));
	if (!job->iolog || asprintf(&path, "%.*s%s", folder, r->at.file, job->read_iolog) < 0)
		return out_of_memory(r);
	int failed = iolog_load(job->iolog, path, job->replay_skip, r->at.error, r->at.error_size);
	free(path);
	return failed;
}

static int end_job(struct reader *r)
{
	char remark[400];
	struct fio_jobs *jobs = r->jobs;
	struct fio_job *job = grow(jobs->job, jobs->count, sizeof(*job));
	if (!job)
		return out_of_memory(r);
	jobs->job = job;
	job += jobs->count++;
	*job = r->defaults;
	job->line = r->section_line;
	memcpy(job->name, r->name, sizeof(job->name));
	job->options = r->options;
	r->options = (struct fio_option_list){0};
	if (apply_options(r, job, &job->options) != 0)
		return -1;
	if (job->read_iolog && load_iolog(r, job) != 0)
		return -1;
	switch (fio_job_settle(job, remark, sizeof(remark))) {
	case FIO_TAKEN: return 0;
	case FIO_IGNORED: return add_note(r, job->line, NULL, remark);
	case FIO_REFUSED: break;
	}
	r->at.line = job->line;
	return text_place_fail(&r->at, "job '%s': %s", job->name, remark);
}

/* The options move to the list of all [global] sections, because the jobs' descriptions point into it. */
static int end_global(struct reader *r)
{
	if (apply_options(r, &r->defaults, &r->options) != 0)
		return -1;
	for (unsigned i = 0; i < r->options.count; i++) {
		struct fio_option_text text = r->options.option[i];
		r->options.option[i].value = NULL;
		if (add_option(r, &r->jobs->globals, text) != 0)
			return -1;
	}
	free_options(&r->options);
	return 0;
}

static int end_section(struct reader *r)
{
	switch (r->section) {
	case SECTION_NONE: return 0;
	case SECTION_GLOBAL: return end_global(r);
	case SECTION_JOB: return end_job(r);
	}
	return -1;
}

static int begin_section(struct reader *r, const char *text, size_t length)
{
	if (end_section(r) != 0)
		return -1;
	if (text[length - 1] != ']')
		return text_place_fail(&r->at, "'%.60s' does not end with ']'; write [name]", text);
	if (length <= 2 || length - 2 >= sizeof(r->name))
		return text_place_fail(&r->at, "a section's name has 1 to %zu characters",
				       sizeof(r->name) - 1);
	memset(r->name, 0, sizeof(r->name));
	memcpy(r->name, text + 1, length - 2);
	r->section_line = r->at.line;
	r->section = strcmp(r->name, "global") == 0 ? SECTION_GLOBAL : SECTION_JOB;
	if (r->section == SECTION_JOB && strncmp(r->name, "global", 6) == 0)
		return text_place_fail(
			&r->at, "fio takes [%s] for a [global] section; write [global], or rename the job",
			r->name);
	return 0;
}

/* One line without comment and surrounding blanks. */
static int read_option(struct reader *r, char *text)
{
	char *equals = strchr(text, '=');
	char *value = NULL;
	if (r->section == SECTION_NONE)
		return text_place_fail(
			&r->at, "'%.60s' is outside of any section; write [global] or [name] above", text);
	if (strncmp(text, "include", 7) == 0 && isblank((unsigned char)text[7]))
		return text_place_fail(&r->at, "include is not supported; copy the file's options here");
	if (equals) {
		char *end = equals;
		while (end > text && isblank((unsigned char)end[-1]))
			end--;
		*end = '\0';
		value = equals + 1;
		value += strspn(value, " \t");
		if (strstr(value, "${") || strstr(value, "$pagesize") || strstr(value, "$mb_memory") ||
		    strstr(value, "$ncpus"))
			return text_place_fail(
				&r->at, "option '%s': variables are not expanded; write the value", text);
	}
	const char *name = fio_option_canonical(text);
	if (!name)
		return text_place_fail(
			&r->at,
			"option '%.60s' is not supported; it is no option of fio, see docs/workloads.md "
			"for all",
			text);
	struct fio_option_text option = {.name = name, .line = r->at.line};
	if (value && !(option.value = strdup(value)))
		return out_of_memory(r);
	return add_option(r, &r->options, option);
}

/* Cuts comment and blanks off, as fio does: `;` and `#` start a comment anywhere in a line. */
static int read_line(struct reader *r, char *text)
{
	text[strcspn(text, ";#")] = '\0';
	text += strspn(text, " \t\r\v\f");
	size_t length = strlen(text);
	while (length && isspace((unsigned char)text[length - 1]))
		text[--length] = '\0';
	if (length == 0)
		return 0;
	return text[0] == '[' ? begin_section(r, text, length) : read_option(r, text);
}

static int read_lines(struct reader *r, char *text)
{
	char *line;
	while ((line = strsep(&text, "\n"))) {
		r->at.line++;
		if (read_line(r, line) != 0)
			return -1;
	}
	if (end_section(r) != 0)
		return -1;
	if (r->jobs->count == 0)
		return text_place_fail(&r->at, "no job; add a [name] section");
	return 0;
}

/* A stonewall before the first job has nothing to wait for. */
static void number_phases(struct fio_jobs *jobs)
{
	unsigned phase = 0, group = 0;
	for (unsigned i = 0; i < jobs->count; i++) {
		struct fio_job *job = &jobs->job[i];
		phase += i && job->stonewall;
		group += i && (job->stonewall || job->new_group);
		job->phase = phase;
		job->group = group;
	}
}

int fio_jobs_parse(struct fio_jobs *jobs, const char *text, const char *file, char *error, size_t error_size)
{
	struct reader r = {.jobs = jobs, .at = {.file = file, .error = error, .error_size = error_size}};
	char *copy = strdup(text);
	*jobs = (struct fio_jobs){0};
	fio_job_defaults(&r.defaults);
	int failed = copy ? read_lines(&r, copy) : out_of_memory(&r);
	free(copy);
	free_options(&r.options);
	if (failed) {
		fio_jobs_free(jobs);
		return -1;
	}
	number_phases(jobs);
	return 0;
}

/* The whole file, or NULL with *reason. */
static char *load_text(const char *path, const char **reason)
{
	FILE *file = fopen(path, "r");
	char *text = file ? malloc(FILE_BYTES_MAX + 1) : NULL;
	*reason = strerror(errno);
	size_t length = text ? fread(text, 1, FILE_BYTES_MAX + 1, file) : 0;
	bool failed = !text || ferror(file);
	if (text && ferror(file))
		*reason = strerror(errno);
	if (file)
		fclose(file);
	if (!failed && length <= FILE_BYTES_MAX && !memchr(text, '\0', length)) {
		text[length] = '\0';
		return text;
	}
	if (!failed)
		*reason = length > FILE_BYTES_MAX ? "larger than 1 MiB"
						  : "contains a NUL byte; give a text file";
	free(text);
	return NULL;
}

int fio_jobs_load(struct fio_jobs *jobs, const char *path, char *error, size_t error_size)
{
	const char *reason;
	char *text = load_text(path, &reason);
	*jobs = (struct fio_jobs){0};
	if (!text) {
		snprintf(error, error_size, "%s: cannot read the job file: %s", path, reason);
		return -1;
	}
	int failed = fio_jobs_parse(jobs, text, path, error, error_size);
	free(text);
	return failed;
}

void fio_jobs_free(struct fio_jobs *jobs)
{
	for (unsigned i = 0; i < jobs->count; i++) {
		free_options(&jobs->job[i].options);
		if (jobs->job[i].iolog)
			iolog_free(jobs->job[i].iolog);
		free(jobs->job[i].iolog);
	}
	for (unsigned i = 0; i < jobs->notes; i++)
		free(jobs->note[i]);
	free_options(&jobs->globals);
	free(jobs->job);
	free(jobs->note);
	*jobs = (struct fio_jobs){0};
}
