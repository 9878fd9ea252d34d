/* Completions: how a completer cuts the data of a read into CplDs, and how the requester puts them together
 * again (PCIe 6.0 §2.2.9, §2.3.1.1, §2.3.2). */
#include "pcie/tlp.h"

/* A completion ends, if it is not the last, on a multiple of the completer's RCB: 64 or 128. */
#define RCB_BYTES_MIN 64u

/* Fields every completion copies from its request (CPL-003). */
static struct tlp completion_of(enum tlp_type type, const struct tlp *req, uint16_t completer_id)
{
	return (struct tlp){
		.type = type,
		.tc = req->tc,
		.attr = req->attr,
		.requester_id = req->requester_id,
		.tag = req->tag,
		.completer_id = completer_id,
	};
}

void tlp_completer_start(struct tlp_completer *c, const struct tlp *req, uint16_t completer_id)
{
	ASSERT(req->type == TLP_MRD || req->type == TLP_MRDLK);
	*c = (struct tlp_completer){
		.completer_id = completer_id,
		.requester_id = req->requester_id,
		.tag = req->tag,
		.tc = req->tc,
		.attr = req->attr,
		.locked = req->type == TLP_MRDLK,
	};
	tlp_get_span(req, &c->addr, &c->bytes);
	if (c->bytes == 0)
		c->bytes = 1; /* zero-length read: Byte Count 1 and one DW of any data */
}

/* Bytes of the next piece: all that is left if it fits, else up to the last RCB multiple that fits. */
static uint32_t piece_bytes(const struct tlp_completer *c, uint32_t mps, uint32_t rcb, bool rcb_pieces)
{
	if (rcb_pieces)
		return min_u32(c->bytes, rcb - c->addr % rcb);
	uint32_t room = mps - c->addr % 4; /* the payload starts with the whole first DW */
	return c->bytes <= room ? c->bytes : room - (uint32_t)((c->addr + room) % rcb);
}

bool tlp_completer_next(struct tlp_completer *c, uint32_t mps, uint32_t rcb, bool rcb_pieces, struct tlp *cpl,
			uint64_t *addr, uint32_t *bytes)
{
	ASSERT(rcb >= RCB_BYTES_MIN && is_power_of_2(rcb) && mps >= rcb);
	if (c->bytes == 0)
		return false;
	uint32_t n = piece_bytes(c, mps, rcb, rcb_pieces);
	*addr = c->addr;
	*bytes = n;
	*cpl = (struct tlp){
		.type = c->locked ? TLP_CPLDLK : TLP_CPLD,
		.tc = c->tc,
		.attr = c->attr,
		.length_dw = (uint16_t)((c->addr % 4 + n + 3) / 4),
		.requester_id = c->requester_id,
		.tag = c->tag,
		.completer_id = c->completer_id,
		.status = TLP_SC,
		.byte_count = (uint16_t)c->bytes,
		.lower_addr = c->addr & 0x7f,
	};
	c->addr += n;
	c->bytes -= n;
	return true;
}

void tlp_completion_with_dw(struct tlp *cpl, const struct tlp *req, uint16_t completer_id,
			    const uint8_t payload[4])
{
	*cpl = completion_of(TLP_CPLD, req, completer_id);
	cpl->status = TLP_SC;
	cpl->length_dw = 1;
	cpl->byte_count = 4;
	cpl->payload = payload;
}

/* Byte Count of a completion that is not for a memory read: 4, or an AtomicOp's operand size. A failed memory
 * read also gets 4 and Lower Address 0, which its requester must not use (CPL-014). */
static uint16_t byte_count_without_data(const struct tlp *req)
{
	switch (req->type) {
	case TLP_FETCHADD:
	case TLP_SWAP: return (uint16_t)(req->length_dw * 4u);
	case TLP_CAS: return (uint16_t)(req->length_dw * 2u);
	default: return 4;
	}
}

void tlp_completion_without_data(struct tlp *cpl, const struct tlp *req, uint16_t completer_id,
				 enum tlp_status status)
{
	*cpl = completion_of(req->type == TLP_MRDLK ? TLP_CPLLK : TLP_CPL, req, completer_id);
	cpl->status = (uint8_t)status;
	cpl->byte_count = byte_count_without_data(req);
}

void tlp_requester_start(struct tlp_requester *r, uint64_t addr, uint32_t bytes, uint8_t tc, uint8_t attr)
{
	ASSERT(bytes >= 1 && bytes <= TLP_PAYLOAD_BYTES_MAX);
	*r = (struct tlp_requester){.addr = addr, .bytes = bytes, .tc = tc, .attr = attr};
}

/* Does the completion continue the request where it stands? Data bytes it would bring go to *data_bytes. */
static bool continues(const struct tlp_requester *r, const struct tlp *cpl, uint32_t *data_bytes)
{
	if (cpl->byte_count != r->bytes || cpl->lower_addr != (r->addr & 0x7f))
		return false;
	uint32_t pad = r->addr % 4;
	uint32_t n = min_u32(cpl->length_dw * 4u - pad, r->bytes); /* CPL-015 */
	*data_bytes = n;
	if (n < r->bytes)
		return (r->addr + n) % RCB_BYTES_MIN == 0;
	return cpl->length_dw == (pad + n + 3) / 4; /* no DW beyond the request's last */
}

enum tlp_cpl_result tlp_requester_accept(struct tlp_requester *r, const struct tlp *cpl, const uint8_t **data,
					 uint32_t *data_bytes)
{
	const uint8_t attr_compared = TLP_ATTR_NO_SNOOP | TLP_ATTR_RELAXED;
	uint32_t n;

	*data = NULL;
	*data_bytes = 0;
	if (r->bytes == 0 || (cpl->type != TLP_CPL && cpl->type != TLP_CPLD) || cpl->tc != r->tc ||
	    ((cpl->attr ^ r->attr) & attr_compared) != 0)
		return TLP_CPL_UNEXPECTED;
	/* Byte Count and Lower Address of a failure say nothing (CPL-014), so they are not looked at. */
	if (cpl->status != TLP_SC || cpl->type == TLP_CPL) {
		r->bytes = 0;
		return TLP_CPL_ERROR;
	}
	if (!continues(r, cpl, &n))
		return TLP_CPL_UNEXPECTED;
	if (cpl->ep) {
		r->bytes = 0;
		return TLP_CPL_POISONED;
	}
	*data = cpl->payload + r->addr % 4;
	*data_bytes = n;
	r->addr += n;
	r->bytes -= n;
	return r->bytes == 0 ? TLP_CPL_DONE : TLP_CPL_PART;
}
