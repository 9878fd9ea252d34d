/* Runs yosys on copies of the RTL's sources, as they are or with a mistake put in. */
#ifndef KICKSTAND_TESTS_FORMAL_YOSYS_H
#define KICKSTAND_TESTS_FORMAL_YOSYS_H

#include <stdbool.h>

struct design {
	const char *top;
	const char *script;         /* reads it: tests/formal/<script> */
	const char *const *sources; /* paths; NULL ends the list */
};

/* A mistake: in the source of this name `from`, which stands there once, becomes `to`. */
struct mutant {
	const char *name, *source, *from, *to;
	const char *parameters;
	bool deep; /* out of reach of the bounded search: has to break the induction */
};

enum proof {
	PROOF_BROKEN, /* yosys could not do it */
	PROOF_FAILED, /* an assertion can be violated, or induction does not get through */
	PROOF_HOLDS,
};

/* Proves the design's assertions; `parameters` as chparam takes them. The log stays in build/formal/<name>/log. */
enum proof prove_by_induction(const struct design *design, const char *name, const char *parameters);

/* The same for some cycles after reset only. */
enum proof prove_bounded(const struct design *design, const char *name, const char *parameters);

/* How many mutants live, which is to say that the proof does not fail for them; names them. `parameters` is for those that
 * have none of their own. */
unsigned count_survivors(const struct design *design, const char *parameters, const struct mutant *mutants,
			 unsigned count);

#endif
