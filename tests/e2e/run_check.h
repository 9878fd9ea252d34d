/* What must be true of any run that ends well, checked on its report and its JSON. */
#ifndef KICKSTAND_TESTS_E2E_RUN_CHECK_H
#define KICKSTAND_TESTS_E2E_RUN_CHECK_H

#include "tests/e2e/program.h"

#define ANY (-1.0)

struct job_run {
	const char *name;
	const char *job;     /* text of the job file */
	const char *options; /* "--set …", "--disk …" */
	unsigned depth;      /* I/Os in flight at most, all clones together; 0: not checked */
	/* Known beforehand, of all jobs together; what the verify phase reads back included. */
	double reads, writes, trims, syncs;
	double read_bytes, write_bytes;
	bool ramps;                       /* the JSON leaves out what came before ramp_time was over */
	void (*more)(const json_t *root); /* may be NULL */
};

/* The six numbers in a row of a table. */
#define IO(reads_, writes_, trims_, syncs_, read_bytes_, write_bytes_)                                       \
	.reads = reads_, .writes = writes_, .trims = trims_, .syncs = syncs_, .read_bytes = read_bytes_,     \
	.write_bytes = write_bytes_

/* Runs it, checks all there is to check, frees everything. */
void check_job_runs(const struct job_run *runs, size_t count);

/* The checks alone, of a report and its document. */
void check_document(const json_t *root);
/* No figure in it that is none: for reports of runs with errors. */
void check_report_text(const char *report);
void check_numbers(const json_t *value, const char *path);
void check_report_agrees(const char *report, const json_t *root);

#endif
