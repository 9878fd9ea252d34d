/* Encode, decode and check TLPs; spans and byte enables of requests.
 *
 * Everything that depends on the kind of TLP is a row of `types`: the table of PCIe 6.0 §2.2.1, its header
 * layout, and the rules a receiver checks. */
#include "pcie/tlp.h"

#include <string.h>

enum layout { ADDRESS, CONFIGURATION, MESSAGE, COMPLETION };

typedef enum tlp_error check_fn(const struct tlp *tlp);
static check_fn check_memory, check_register, check_atomic, check_message;

static const struct type_row {
	const char *name;
	uint8_t fmt_type; /* first byte; of the 3DW form where there are two, of route 0 for messages */
	enum layout layout;
	enum tlp_class class_;
	check_fn *check;
} types[TLP_TYPE_COUNT] = {
	[TLP_MRD] = {"MRd", 0x00, ADDRESS, TLP_NON_POSTED, check_memory},
	[TLP_MRDLK] = {"MRdLk", 0x01, ADDRESS, TLP_NON_POSTED, check_memory},
	[TLP_MWR] = {"MWr", 0x40, ADDRESS, TLP_POSTED, check_memory},
	[TLP_IORD] = {"IORd", 0x02, ADDRESS, TLP_NON_POSTED, check_register},
	[TLP_IOWR] = {"IOWr", 0x42, ADDRESS, TLP_NON_POSTED, check_register},
	[TLP_CFGRD0] = {"CfgRd0", 0x04, CONFIGURATION, TLP_NON_POSTED, check_register},
	[TLP_CFGWR0] = {"CfgWr0", 0x44, CONFIGURATION, TLP_NON_POSTED, check_register},
	[TLP_CFGRD1] = {"CfgRd1", 0x05, CONFIGURATION, TLP_NON_POSTED, check_register},
	[TLP_CFGWR1] = {"CfgWr1", 0x45, CONFIGURATION, TLP_NON_POSTED, check_register},
	[TLP_FETCHADD] = {"FetchAdd", 0x4c, ADDRESS, TLP_NON_POSTED, check_atomic},
	[TLP_SWAP] = {"Swap", 0x4d, ADDRESS, TLP_NON_POSTED, check_atomic},
	[TLP_CAS] = {"CAS", 0x4e, ADDRESS, TLP_NON_POSTED, check_atomic},
	[TLP_MSG] = {"Msg", 0x30, MESSAGE, TLP_POSTED, check_message},
	[TLP_MSGD] = {"MsgD", 0x70, MESSAGE, TLP_POSTED, check_message},
	[TLP_CPL] = {"Cpl", 0x0a, COMPLETION, TLP_COMPLETION, NULL},
	[TLP_CPLD] = {"CplD", 0x4a, COMPLETION, TLP_COMPLETION, NULL},
	[TLP_CPLLK] = {"CplLk", 0x0b, COMPLETION, TLP_COMPLETION, NULL},
	[TLP_CPLDLK] = {"CplDLk", 0x4b, COMPLETION, TLP_COMPLETION, NULL},
};

/* Type by first byte, plus 1 so that every byte not listed is 0: undefined, and so malformed. Among those are
 * TLP prefixes, which the device does not announce, and message routings 6 and 7. */
#define IS(type) ((type) + 1)
static const uint8_t type_of_first_byte[256] = {
	[0x00] = IS(TLP_MRD),          [0x20] = IS(TLP_MRD),           [0x01] = IS(TLP_MRDLK),
	[0x21] = IS(TLP_MRDLK),        [0x40] = IS(TLP_MWR),           [0x60] = IS(TLP_MWR),
	[0x02] = IS(TLP_IORD),         [0x42] = IS(TLP_IOWR),          [0x04] = IS(TLP_CFGRD0),
	[0x44] = IS(TLP_CFGWR0),       [0x05] = IS(TLP_CFGRD1),        [0x45] = IS(TLP_CFGWR1),
	[0x4c] = IS(TLP_FETCHADD),     [0x6c] = IS(TLP_FETCHADD),      [0x4d] = IS(TLP_SWAP),
	[0x6d] = IS(TLP_SWAP),         [0x4e] = IS(TLP_CAS),           [0x6e] = IS(TLP_CAS),
	[0x30 ... 0x35] = IS(TLP_MSG), [0x70 ... 0x75] = IS(TLP_MSGD), [0x0a] = IS(TLP_CPL),
	[0x4a] = IS(TLP_CPLD),         [0x0b] = IS(TLP_CPLLK),         [0x4b] = IS(TLP_CPLDLK),
};

/* Bits of the first byte, and of the first DW read as a big-endian number. */
#define FMT_4DW    0x20u
#define FMT_DATA   0x40u
#define ROUTE_MASK 0x07u

#define DW0_T9      (1u << 23)
#define DW0_TC(v)   ((v) >> 20 & 7u)
#define DW0_T8      (1u << 19)
#define DW0_IDO     (1u << 18)
#define DW0_TH      (1u << 16)
#define DW0_TD      (1u << 15)
#define DW0_EP      (1u << 14)
#define DW0_ATTR(v) ((v) >> 12 & 3u)
#define DW0_AT(v)   ((v) >> 10 & 3u)
#define DW0_REST    0x00fffc00u /* everything but Fmt, Type and Length */

/* Length and Byte Count have no code for 0: it stands for the largest value (TLP-002). */
static uint16_t length_of_code(uint32_t code)
{
	return (code &= 0x3ff) ? (uint16_t)code : 1024;
}
static uint16_t byte_count_of_code(uint32_t code)
{
	return (code &= 0xfff) ? (uint16_t)code : 4096;
}

static bool has_data(const struct type_row *row)
{
	return row->fmt_type & FMT_DATA;
}

/* Without data, Length is reserved in messages and completions; in requests it is what is asked for. */
static bool has_length(const struct type_row *row)
{
	return has_data(row) || row->layout == ADDRESS || row->layout == CONFIGURATION;
}

static uint32_t encode_dw0(const struct tlp *t, const struct type_row *row)
{
	uint32_t first = row->fmt_type;
	if (row->layout == MESSAGE)
		first |= t->msg_route & ROUTE_MASK;
	else if (t->addr64)
		first |= FMT_4DW;
	/* 4DW is a form of memory requests and AtomicOps only, and there are six message routings. */
	ASSERT(type_of_first_byte[first] == IS(t->type));
	uint32_t dw0 = first << 24 | (has_length(row) ? t->length_dw & 0x3ffu : 0);
	/* Most TLPs have none of these. */
	if ((t->tag >> 8 | t->tc | t->attr | t->at) == 0 && !t->th && !t->td && !t->ep)
		return dw0;
	return dw0 | (t->tag & 0x200u ? DW0_T9 : 0) | (t->tc & 7u) << 20 | (t->tag & 0x100u ? DW0_T8 : 0) |
	       (t->attr & TLP_ATTR_IDO ? DW0_IDO : 0) | (t->th ? DW0_TH : 0) | (t->td ? DW0_TD : 0) |
	       (t->ep ? DW0_EP : 0) | (t->attr & 3u) << 12 | (t->at & 3u) << 10;
}

static void encode_header(const struct tlp *t, const struct type_row *row, uint8_t *wire)
{
	uint32_t requester = (uint32_t)t->requester_id << 16;
	uint32_t tag = (t->tag & 0xffu) << 8;
	uint32_t enables = (t->last_be & 0xfu) << 4 | (t->first_be & 0xfu);

	store_be32(wire, encode_dw0(t, row));
	switch (row->layout) {
	case ADDRESS:
		store_be32(wire + 4, requester | tag | enables);
		if (t->addr64) {
			store_be32(wire + 8, (uint32_t)(t->addr >> 32));
			store_be32(wire + 12, (uint32_t)t->addr & ~3u);
		} else {
			ASSERT(t->addr >> 32 == 0);
			store_be32(wire + 8, (uint32_t)t->addr & ~3u);
		}
		break;
	case CONFIGURATION:
		store_be32(wire + 4, requester | tag | enables);
		store_be32(wire + 8, (uint32_t)t->dest_id << 16 | (t->reg & 0xffcu));
		break;
	case MESSAGE:
		store_be32(wire + 4, requester | tag | t->msg_code);
		store_be32(wire + 8, t->msg_dw2);
		store_be32(wire + 12, t->msg_dw3);
		break;
	case COMPLETION:
		store_be32(wire + 4, (uint32_t)t->completer_id << 16 | (t->status & 7u) << 13 |
					     (uint32_t)t->bcm << 12 | (t->byte_count & 0xfffu));
		store_be32(wire + 8, requester | tag | (t->lower_addr & 0x7fu));
		break;
	}
}

size_t tlp_encode(const struct tlp *tlp, uint8_t *wire, size_t capacity)
{
	ASSERT(tlp->type < TLP_TYPE_COUNT);
	const struct type_row *row = &types[tlp->type];
	size_t header = row->layout == MESSAGE || tlp->addr64 ? 16 : 12;
	size_t payload = has_data(row) ? tlp->length_dw * 4u : 0;
	size_t size = header + payload + (tlp->td ? 4 : 0);
	if (size > capacity)
		return 0;
	encode_header(tlp, row, wire);
	if (payload != 0)
		memcpy(wire + header, tlp->payload, payload);
	if (tlp->td)
		store_le32(wire + header + payload, tlp_ecrc(wire, header + payload));
	return size;
}

static void decode_dw0(struct tlp *t, const struct type_row *row, uint32_t dw0)
{
	t->addr64 = row->layout == ADDRESS && dw0 >> 24 & FMT_4DW;
	t->length_dw = has_length(row) ? length_of_code(dw0) : 0;
	if (row->layout == MESSAGE)
		t->msg_route = dw0 >> 24 & ROUTE_MASK;
	if ((dw0 & DW0_REST) == 0) /* as in most TLPs; the fields are 0 already */
		return;
	t->td = dw0 & DW0_TD;
	t->ep = dw0 & DW0_EP;
	t->th = dw0 & DW0_TH;
	t->tc = DW0_TC(dw0);
	t->attr = (uint8_t)(DW0_ATTR(dw0) | (dw0 & DW0_IDO ? TLP_ATTR_IDO : 0));
	t->at = DW0_AT(dw0);
	t->tag = (uint16_t)((dw0 & DW0_T9 ? 0x200 : 0) | (dw0 & DW0_T8 ? 0x100 : 0));
}

static void decode_header(struct tlp *t, const struct type_row *row, const uint8_t *wire)
{
	uint32_t dw1 = load_be32(wire + 4);
	uint32_t dw2 = load_be32(wire + 8);
	uint32_t ids = row->layout == COMPLETION ? dw2 : dw1; /* DW with Requester ID and Tag */

	t->requester_id = (uint16_t)(ids >> 16);
	t->tag |= ids >> 8 & 0xff;
	switch (row->layout) {
	case ADDRESS:
		t->first_be = dw1 & 0xf;
		t->last_be = dw1 >> 4 & 0xf;
		t->addr = t->addr64 ? (uint64_t)dw2 << 32 | (load_be32(wire + 12) & ~3u) : dw2 & ~3u;
		break;
	case CONFIGURATION:
		t->first_be = dw1 & 0xf;
		t->last_be = dw1 >> 4 & 0xf;
		t->dest_id = (uint16_t)(dw2 >> 16);
		t->reg = dw2 & 0xffc;
		break;
	case MESSAGE:
		t->msg_code = (uint8_t)dw1;
		t->msg_dw2 = dw2;
		t->msg_dw3 = load_be32(wire + 12);
		break;
	case COMPLETION:
		t->completer_id = (uint16_t)(dw1 >> 16);
		t->status = dw1 >> 13 & 7;
		t->bcm = dw1 >> 12 & 1;
		t->byte_count = byte_count_of_code(dw1);
		t->lower_addr = dw2 & 0x7f;
		break;
	}
}

enum tlp_error tlp_decode(struct tlp *tlp, const uint8_t *wire, size_t size)
{
	*tlp = (struct tlp){.type = TLP_TYPE_COUNT};
	if (size < 4)
		return TLP_BAD_SIZE;
	uint8_t type = type_of_first_byte[wire[0]];
	if (type == 0)
		return TLP_BAD_FMT_TYPE;
	tlp->type = (enum tlp_type)(type - 1);
	const struct type_row *row = &types[tlp->type];
	decode_dw0(tlp, row, load_be32(wire));

	size_t header = wire[0] & FMT_4DW ? 16 : 12;
	if (size < header)
		return TLP_BAD_SIZE;
	decode_header(tlp, row, wire);

	size_t payload = has_data(row) ? tlp->length_dw * 4u : 0;
	if (size != header + payload + (tlp->td ? 4 : 0))
		return TLP_BAD_SIZE;
	if (payload != 0)
		tlp->payload = wire + header;
	return row->check ? row->check(tlp) : TLP_OK;
}

/* With TH set, the byte enables of a read carry a steering tag and every byte counts as enabled. */
static bool byte_enables_implied(const struct tlp *t)
{
	return t->th && (t->type == TLP_MRD || t->type == TLP_MRDLK);
}

static enum tlp_error check_byte_enables(const struct tlp *t)
{
	if (byte_enables_implied(t))
		return TLP_OK;
	if (t->length_dw == 1)
		return t->last_be == 0 ? TLP_OK : TLP_BAD_BYTE_ENABLES;
	if (t->first_be == 0 || t->last_be == 0)
		return TLP_BAD_BYTE_ENABLES;
	if (t->length_dw == 2 && t->addr % 8 == 0)
		return TLP_OK; /* any pattern */
	/* First BE runs up to bit 3, Last BE starts at bit 0: a set bit per allowed value. */
	const unsigned first_allowed = 1u << 0x8 | 1u << 0xc | 1u << 0xe | 1u << 0xf;
	const unsigned last_allowed = 1u << 0x1 | 1u << 0x3 | 1u << 0x7 | 1u << 0xf;
	bool ok = first_allowed >> t->first_be & last_allowed >> t->last_be & 1u;
	return ok ? TLP_OK : TLP_BAD_BYTE_ENABLES;
}

/* Memory requests, PCIe 6.0 §2.2.5 and §2.2.7. */
static enum tlp_error check_memory(const struct tlp *t)
{
	if (t->addr % TLP_PAGE_BYTES + t->length_dw * 4u > TLP_PAGE_BYTES)
		return TLP_BAD_PAGE_CROSS;
	return check_byte_enables(t);
}

/* I/O and configuration requests, PCIe 6.0 §2.2.7. Attr[2] is reserved in them, hence ignored. */
static enum tlp_error check_register(const struct tlp *t)
{
	bool ok = t->length_dw == 1 && t->last_be == 0 && t->tc == 0 && t->at == 0 &&
		  (t->attr & (TLP_ATTR_NO_SNOOP | TLP_ATTR_RELAXED)) == 0;
	return ok ? TLP_OK : TLP_BAD_REQUEST;
}

/* AtomicOps, PCIe 6.0 §2.2.7: one operand, or compare and swap values of the same size. */
static enum tlp_error check_atomic(const struct tlp *t)
{
	unsigned operand_dw = t->type == TLP_CAS ? t->length_dw / 2u : t->length_dw;
	unsigned operand_dw_max = t->type == TLP_CAS ? 4 : 2;
	bool even = t->type != TLP_CAS || t->length_dw % 2 == 0;
	bool ok = even && is_power_of_2(operand_dw) && operand_dw <= operand_dw_max &&
		  t->addr % (operand_dw * 4u) == 0;
	return ok ? TLP_OK : TLP_BAD_ATOMIC;
}

/* Messages a receiver has to check for TC 0: §2.2.8.1 INTx, .2 power management, .3 errors, .4 Unlock,
 * .5 Set_Slot_Power_Limit. */
static bool message_needs_tc0(uint8_t code)
{
	switch (code) {
	case TLP_MSG_UNLOCK:
	case TLP_MSG_PM_ACTIVE_STATE_NAK:
	case TLP_MSG_PM_PME:
	case TLP_MSG_PME_TURN_OFF:
	case TLP_MSG_PME_TO_ACK:
	case TLP_MSG_ASSERT_INTA ... TLP_MSG_DEASSERT_INTA + 3:
	case TLP_MSG_ERR_COR:
	case TLP_MSG_ERR_NONFATAL:
	case TLP_MSG_ERR_FATAL:
	case TLP_MSG_SET_SLOT_POWER_LIMIT: return true;
	default: return false;
	}
}

static enum tlp_error check_message(const struct tlp *t)
{
	return t->tc != 0 && message_needs_tc0(t->msg_code) ? TLP_BAD_TC : TLP_OK;
}

const char *tlp_error_name(enum tlp_error error)
{
	static const char *const names[] = {
		[TLP_OK] = "no error",
		[TLP_BAD_FMT_TYPE] = "undefined Fmt/Type",
		[TLP_BAD_SIZE] = "size differs from Length",
		[TLP_BAD_BYTE_ENABLES] = "byte enables",
		[TLP_BAD_REQUEST] = "I/O or configuration request rules",
		[TLP_BAD_PAGE_CROSS] = "4 KiB boundary crossed",
		[TLP_BAD_ATOMIC] = "AtomicOp operand",
		[TLP_BAD_TC] = "traffic class of message",
	};
	ASSERT((size_t)error < ARRAY_SIZE(names));
	return names[error];
}

const char *tlp_type_name(enum tlp_type type)
{
	return type < TLP_TYPE_COUNT ? types[type].name : "undefined";
}
enum tlp_class tlp_class_of(enum tlp_type type)
{
	return types[type].class_;
}
bool tlp_has_payload(enum tlp_type type)
{
	return has_data(&types[type]);
}

enum tlp_class tlp_wire_class(const uint8_t *wire)
{
	uint8_t type = type_of_first_byte[wire[0]];
	ASSERT(type != 0);
	return types[type - 1].class_;
}

uint32_t tlp_wire_payload_bytes(const uint8_t *wire)
{
	return wire[0] & FMT_DATA ? length_of_code(load_be32(wire)) * 4u : 0;
}

void tlp_set_span(struct tlp *tlp, uint64_t addr, uint32_t bytes)
{
	unsigned first_pad = addr % 4, last_pad = -(unsigned)(addr + bytes) % 4;
	ASSERT(bytes >= 1 && addr % TLP_PAGE_BYTES + bytes <= TLP_PAGE_BYTES);
	tlp->addr = addr - first_pad;
	tlp->addr64 = addr >> 32 != 0;
	tlp->length_dw = (uint16_t)((first_pad + bytes + last_pad) / 4);
	tlp->first_be = (0xfu << first_pad) & 0xf;
	tlp->last_be = 0xfu >> last_pad;
	if (tlp->length_dw == 1) {
		tlp->first_be &= tlp->last_be;
		tlp->last_be = 0;
	}
}

void tlp_get_span(const struct tlp *tlp, uint64_t *addr, uint32_t *bytes)
{
	unsigned dw_bytes = tlp->length_dw * 4u;
	unsigned first_be = tlp->first_be;
	unsigned last_be = tlp->length_dw == 1 ? first_be : tlp->last_be;
	*addr = tlp->addr;
	*bytes = dw_bytes;
	if ((first_be & last_be) == 0xf) /* whole DWs, as most */
		return;
	if (byte_enables_implied(tlp))
		return;
	if (first_be == 0 || last_be == 0) {
		*bytes = 0;
		return;
	}
	unsigned first_pad = (unsigned)__builtin_ctz(first_be);
	unsigned last_pad = (unsigned)__builtin_clz(last_be) - 28u; /* 4 bits of 32 */
	*addr += first_pad;
	*bytes -= first_pad + last_pad;
}

uint32_t tlp_split_bytes(uint64_t addr, uint64_t bytes, uint32_t limit, uint32_t align)
{
	uint64_t take = min_u64(bytes, TLP_PAGE_BYTES - addr % TLP_PAGE_BYTES);
	uint64_t room = limit - addr % 4; /* Length counts the whole first DW */
	if (take <= room)
		return (uint32_t)take;
	return (uint32_t)(align ? room - (addr + room) % align : room);
}
