/* What the endpoint sends by itself: completions, messages, error reports. (Memory requests are the DMA engine's.) */
#include "rtl-model/blocks/endpoint/state.h"

/* An endpoint's Read Completion Boundary (CPL-009). */
#define RCB_BYTES 128u

static void send(struct endpoint *endpoint, uint64_t ready_ps, struct tlp *tlp)
{
	uint8_t *wire = link_reserve(endpoint->ports.up, TLP_WIRE_BYTES_MAX);
	tlp->td = endpoint->cfg.control.ecrc_generate;
	size_t size = tlp_encode(tlp, wire, TLP_WIRE_BYTES_MAX);
	ASSERT(size != 0);
	link_push_reserved(endpoint->ports.up, ready_ps, size);
}

/* ---- completions ---- */

static uint64_t answer_ps(const struct endpoint *endpoint, uint64_t now_ps, unsigned dwords)
{
	return now_ps + (endpoint->register_cycles + dwords - 1) * endpoint->period_ps;
}

void reply_status(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *req, enum tlp_status status)
{
	struct tlp cpl;
	tlp_completion_without_data(&cpl, req, endpoint->id, status);
	send(endpoint, answer_ps(endpoint, now_ps, 1), &cpl);
}

void reply_dw(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *req, uint32_t value)
{
	uint8_t data[4];
	struct tlp cpl;
	store_le32(data, value);
	tlp_completion_with_dw(&cpl, req, endpoint->id, data);
	send(endpoint, answer_ps(endpoint, now_ps, 1), &cpl);
}

void reply_data(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *req, const uint8_t *data)
{
	struct tlp_completer completer;
	struct tlp cpl;
	uint64_t addr;
	uint32_t bytes;
	tlp_completer_start(&completer, req, endpoint->id);
	while (tlp_completer_next(&completer, endpoint->cfg.control.mps_bytes, RCB_BYTES, false, &cpl, &addr,
				  &bytes)) {
		cpl.payload = data + ((addr & ~UINT64_C(3)) - req->addr);
		send(endpoint, answer_ps(endpoint, now_ps, req->length_dw), &cpl);
	}
}

/* ---- messages and errors ---- */

void send_message(struct endpoint *endpoint, uint64_t now_ps, enum tlp_message code, enum tlp_route route)
{
	struct tlp message = {
		.type = TLP_MSG,
		.requester_id = endpoint->id,
		.msg_code = (uint8_t)code,
		.msg_route = (uint8_t)route,
	};
	send(endpoint, now_ps, &message);
}

void report_error(struct endpoint *endpoint, uint64_t now_ps, enum cfg_aer error, bool advisory,
		  const struct arrival *in)
{
	int message =
		cfg_space_log_error(&endpoint->cfg, error, advisory, in ? in->wire : NULL, in ? in->size : 0);
	if (message < 0)
		return;
	endpoint->stats.error_messages++;
	send_message(endpoint, now_ps, (enum tlp_message)message, TLP_ROUTE_TO_RC);
}

void unsupported(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in)
{
	endpoint->stats.unsupported++;
	/* The completion of a non-posted request tells the requester: for us an advisory error (§6.2.3.2.4.1). */
	report_error(endpoint, now_ps, AER_UNSUPPORTED_REQUEST, is_non_posted(&in->tlp), in);
	if (is_non_posted(&in->tlp))
		reply_status(endpoint, now_ps, &in->tlp, TLP_UR);
}
