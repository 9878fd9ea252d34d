/* Shell of a small twin (twin_counter.sv). */
#ifndef KICKSTAND_TESTS_TWIN_COUNTER_H
#define KICKSTAND_TESTS_TWIN_COUNTER_H

#include "pcie/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct counter;
struct counter *counter_create(const char *name, uint64_t period_ps);
void counter_free(struct counter *counter);
/* One clock edge with this input; returns the new sum. */
uint8_t counter_add(struct counter *counter, uint64_t now_ps, uint8_t add);

#ifdef __cplusplus
}
#endif
#endif
