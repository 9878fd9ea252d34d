/* The endpoint's state, and what its files call of each other. Private to blocks/endpoint. */
#ifndef KICKSTAND_BLOCKS_ENDPOINT_STATE_H
#define KICKSTAND_BLOCKS_ENDPOINT_STATE_H

#include "rtl-model/blocks/endpoint/endpoint.h"

/* As many non-posted requests as one requester can have outstanding with 8-bit tags. */
#define HELD_MAX 256u

/* The largest of them: a compare-and-swap of 128-bit operands, with digest. */
#define HELD_WIRE_BYTES_MAX 52u

/* A TLP as it came, and decoded. */
struct arrival {
	const uint8_t *wire;
	size_t size;
	struct tlp tlp;
};

struct held {
	uint8_t wire[HELD_WIRE_BYTES_MAX];
	size_t size;
};

struct endpoint {
	struct endpoint_ports ports;
	struct cfg_space cfg;
	uint16_t id; /* bus, device, function as captured (CFG-005) */
	bool ready;  /* the firmware has set SYS.READY */
	bool in_reset;
	uint64_t period_ps;
	unsigned register_cycles;
	bool intx_level;    /* the virtio registers' */
	bool intx_asserted; /* what the host was told */
	struct held held[HELD_MAX];
	unsigned held_first, held_count;
	struct endpoint_stats stats;
};

static inline bool is_non_posted(const struct tlp *tlp)
{
	return tlp_class_of(tlp->type) == TLP_NON_POSTED;
}

/* EP speaks of data; without any it says nothing (§2.7.2). */
static inline bool has_poison(const struct tlp *tlp)
{
	return tlp->ep && tlp->payload;
}

/* ---- reply.c ---- */

/* Completion without data: errors, and success of configuration writes. */
void reply_status(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *req, enum tlp_status status);
/* Completion of a configuration read. */
void reply_dw(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *req, uint32_t value);
/* Completions of a memory read; `data` holds all its DWs. */
void reply_data(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *req, const uint8_t *data);

void send_message(struct endpoint *endpoint, uint64_t now_ps, enum tlp_message code, enum tlp_route route);

/* Logs an error and sends the message that software has asked for, if any. `in` may be NULL. */
void report_error(struct endpoint *endpoint, uint64_t now_ps, enum cfg_aer error, bool advisory,
		  const struct arrival *in);

/* Unsupported Request: logged, and answered if it is non-posted (ERR-001, ERR-002). */
void unsupported(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in);

/* ---- request.c ---- */

/* True if a non-posted request has to wait for the firmware. */
bool request_waits(const struct endpoint *endpoint, const struct tlp *tlp);
/* True if there is something here for the request to act on; otherwise it is unsupported. */
bool request_has_target(const struct endpoint *endpoint, const struct tlp *tlp);
/* Carries out a request that has one. */
void request_execute(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *tlp);

/* ---- endpoint.c ---- */

/* Initiate Function Level Reset has been written. */
void function_level_reset(struct endpoint *endpoint, uint64_t now_ps);
/* INTx as it should be now. */
void update_intx(struct endpoint *endpoint, uint64_t now_ps);

#endif
