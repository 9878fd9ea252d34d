#include "tests/formal/yosys.h"

#include "tests/check.h"

#include <errno.h>
#include <sys/stat.h>

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	if (!file)
		fail_msg("cannot read %s: %s", path, strerror(errno));
	fseek(file, 0, SEEK_END);
	size_t size = (size_t)ftell(file);
	rewind(file);
	char *text = malloc(size + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, size, file), size);
	text[size] = 0;
	fclose(file);
	return text;
}

/* The text with the mistake in it, which has to fit in one place. */
static char *mutate(char *text, const struct mutant *mutant)
{
	char *at = strstr(text, mutant->from);
	if (!at || strstr(at + 1, mutant->from))
		fail_msg("mutant %s: not once in %s: %s", mutant->name, mutant->source, mutant->from);
	size_t size = strlen(text) + strlen(mutant->to) + 1;
	char *mutated = malloc(size);
	assert_non_null(mutated);
	snprintf(mutated, size, "%.*s%s%s", (int)(at - text), text, mutant->to, at + strlen(mutant->from));
	free(text);
	return mutated;
}

static void copy_source(const char *path, const char *folder, const struct mutant *mutant)
{
	const char *name = strrchr(path, '/') + 1;
	char *text = read_file(path), target[256];
	if (mutant && strcmp(mutant->source, name) == 0)
		text = mutate(text, mutant);
	snprintf(target, sizeof(target), "%s/%s", folder, name);
	FILE *file = fopen(target, "w");
	if (!file)
		fail_msg("cannot write %s: %s", target, strerror(errno));
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	free(text);
}

/* The log of yosys, which runs in the folder of the sources. */
static char *run(const struct design *design, const char *name, const char *parameters, const char *script,
		 const struct mutant *mutant)
{
	char folder[128], command[1024];
	snprintf(folder, sizeof(folder), "build/formal/%s", name);
	mkdir("build/formal", 0777);
	mkdir(folder, 0777);
	for (const char *const *source = design->sources; *source; source++)
		copy_source(*source, folder, mutant);
	snprintf(command, sizeof(command),
		 "cd %s && yosys -q -Q -T -l log -s ../../../tests/formal/%s"
		 " -p 'chparam %s %s; hierarchy -top %s; script ../../../tests/formal/%s' >/dev/null 2>&1",
		 folder, design->script, parameters, design->top, design->top, script);
	/* A proof that fails ends in an error, too: the log tells. */
	if (system(command) == -1)
		fail_msg("cannot run yosys: %s", strerror(errno));
	snprintf(command, sizeof(command), "%s/log", folder);
	return read_file(command);
}

static bool says(const char *log, const char *line)
{
	return strstr(log, line) != NULL;
}

static enum proof verdict(char *log, bool induction)
{
	enum proof proof = PROOF_BROKEN;
	if (says(log, "base case: FAIL!") || says(log, "-> proof failed."))
		proof = PROOF_FAILED;
	else if (says(log, "SUCCESS!") && (!induction || says(log, "Induction step proven: SUCCESS!")))
		proof = PROOF_HOLDS;
	free(log);
	return proof;
}

enum proof prove_by_induction(const struct design *design, const char *name, const char *parameters)
{
	return verdict(run(design, name, parameters, "prove.ys", NULL), true);
}

enum proof prove_bounded(const struct design *design, const char *name, const char *parameters)
{
	return verdict(run(design, name, parameters, "bounded.ys", NULL), false);
}

unsigned count_survivors(const struct design *design, const char *parameters, const struct mutant *mutants,
			 unsigned count)
{
	unsigned survivors = 0;
	for (unsigned i = 0; i < count; i++) {
		const struct mutant *mutant = &mutants[i];
		const char *script = mutant->deep ? "prove.ys" : "bounded.ys";
		char name[128];
		snprintf(name, sizeof(name), "%s_mutant_%s", design->top, mutant->name);
		char *log = run(design, name, mutant->parameters ? mutant->parameters : parameters, script,
				mutant);
		if (verdict(log, mutant->deep) == PROOF_FAILED)
			continue;
		print_error("mutant %s lives: see build/formal/%s/log\n", mutant->name, name);
		survivors++;
	}
	return survivors;
}
