/* Transaction layer packets: wire format, splitting rules, read reassembly.
 *
 * A TLP travels as its wire bytes, from the first header byte to the last payload byte (and the
 * ECRC digest if TD is set), without framing, sequence number and LCRC: those belong to the link
 * (pcie/link.h). Header double words are big-endian, payload is in increasing address order.
 *
 * All functions are pure, allocate nothing and touch only what they are given. */
#ifndef KICKSTAND_PCIE_TLP_H
#define KICKSTAND_PCIE_TLP_H

#include "pcie/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TLP_PAYLOAD_BYTES_MAX 4096u
#define TLP_HEADER_BYTES_MAX  16u
/* Header, payload and digest of the largest TLP. */
#define TLP_WIRE_BYTES_MAX (TLP_HEADER_BYTES_MAX + TLP_PAYLOAD_BYTES_MAX + 4u)
#define TLP_PAGE_BYTES     4096u /* no memory request crosses this boundary, PCIe 6.0 §2.2.7 */

/* Fmt/Type combinations of a non-flit link, PCIe 6.0 table 2-3. 3DW/4DW is `addr64`. */
enum tlp_type {
	TLP_MRD,
	TLP_MRDLK,
	TLP_MWR,
	TLP_IORD,
	TLP_IOWR,
	TLP_CFGRD0,
	TLP_CFGWR0,
	TLP_CFGRD1,
	TLP_CFGWR1,
	TLP_FETCHADD,
	TLP_SWAP,
	TLP_CAS,
	TLP_MSG,
	TLP_MSGD,
	TLP_CPL,
	TLP_CPLD,
	TLP_CPLLK,
	TLP_CPLDLK,
	TLP_TYPE_COUNT,
};

/* Flow-control class, PCIe 6.0 §2.6.1. */
enum tlp_class { TLP_POSTED, TLP_NON_POSTED, TLP_COMPLETION, TLP_CLASS_COUNT };

/* Completion status, PCIe 6.0 table 2-36. Reserved codes count as TLP_UR (CPL-002). */
enum tlp_status { TLP_SC = 0, TLP_UR = 1, TLP_CRS = 2, TLP_CA = 4 };

/* Attr bits, as they stand in tlp.attr. */
#define TLP_ATTR_NO_SNOOP 1u
#define TLP_ATTR_RELAXED  2u
#define TLP_ATTR_IDO      4u

/* Message routing (Type bits 2:0) and message codes, PCIe 6.0 §2.2.8. */
enum tlp_route {
	TLP_ROUTE_TO_RC = 0,
	TLP_ROUTE_ADDRESS = 1,
	TLP_ROUTE_ID = 2,
	TLP_ROUTE_BROADCAST = 3,
	TLP_ROUTE_LOCAL = 4,
	TLP_ROUTE_GATHER = 5,
};

enum tlp_message {
	TLP_MSG_UNLOCK = 0x00,
	TLP_MSG_INVALIDATE_REQ = 0x01,
	TLP_MSG_INVALIDATE_CPL = 0x02,
	TLP_MSG_PAGE_REQ = 0x04,
	TLP_MSG_PRG_RESPONSE = 0x05,
	TLP_MSG_LTR = 0x10,
	TLP_MSG_OBFF = 0x12,
	TLP_MSG_PM_ACTIVE_STATE_NAK = 0x14,
	TLP_MSG_PM_PME = 0x18,
	TLP_MSG_PME_TURN_OFF = 0x19,
	TLP_MSG_PME_TO_ACK = 0x1b,
	TLP_MSG_ASSERT_INTA = 0x20,   /* ..0x23 INTD */
	TLP_MSG_DEASSERT_INTA = 0x24, /* ..0x27 INTD */
	TLP_MSG_ERR_COR = 0x30,
	TLP_MSG_ERR_NONFATAL = 0x31,
	TLP_MSG_ERR_FATAL = 0x33,
	TLP_MSG_SET_SLOT_POWER_LIMIT = 0x50,
	TLP_MSG_PTM_REQUEST = 0x52,
	TLP_MSG_PTM_RESPONSE = 0x53,
	TLP_MSG_VENDOR_TYPE0 = 0x7e,
	TLP_MSG_VENDOR_TYPE1 = 0x7f,
};

/* One TLP, decoded. Fields that a type does not have are 0. */
struct tlp {
	enum tlp_type type;
	bool addr64; /* 4DW header; memory requests and AtomicOps only (messages always have 4DW) */
	bool td;     /* ECRC digest present */
	bool ep;     /* poisoned */
	bool th;     /* processing hints present */
	uint8_t tc;
	uint8_t attr; /* TLP_ATTR_* */
	uint8_t at;
	uint16_t length_dw; /* 1..1024 payload or requested DW; 0 where Length is reserved */
	uint16_t requester_id;
	uint16_t tag;     /* 10 bits */
	uint8_t first_be; /* of a read with th: steering tag, all bytes count as enabled (TLP-010) */
	uint8_t last_be;
	uint64_t addr; /* memory, I/O, AtomicOp: DW aligned address */
	/* configuration */
	uint16_t dest_id; /* bus 15:8, device 7:3, function 2:0 */
	uint16_t reg;     /* byte offset of the DW, 0..4092 */
	/* completion */
	uint16_t completer_id;
	uint8_t status; /* the 3 bits as received */
	bool bcm;
	uint16_t byte_count; /* 1..4096 */
	uint8_t lower_addr;  /* 7 bits */
	/* message */
	uint8_t msg_code;
	uint8_t msg_route;
	uint32_t msg_dw2, msg_dw3;
	/* Payload of length_dw * 4 bytes, or NULL. Borrowed: decode points into the wire bytes, encode
	 * copies from here. */
	const uint8_t *payload;
};

/* Why bytes are not a well-formed TLP; everything but TLP_OK is "Malformed" (PCIe 6.0 §2.3). */
enum tlp_error {
	TLP_OK = 0,
	TLP_BAD_FMT_TYPE,     /* undefined Fmt/Type or reserved routing (ERR-019) */
	TLP_BAD_SIZE,         /* header, Length and digest do not add up to the bytes (ERR-015) */
	TLP_BAD_BYTE_ENABLES, /* TLP-007, TLP-008 (ERR-017) */
	TLP_BAD_REQUEST,      /* I/O or configuration rules, TLP-011 (ERR-018) */
	TLP_BAD_PAGE_CROSS,   /* TLP-004 (ERR-016) */
	TLP_BAD_ATOMIC,       /* operand size or alignment, TLP-014 (ERR-023) */
	TLP_BAD_TC,           /* INTx, PM, error, unlock or power message with TC != 0 (ERR-020) */
};

/* Writes the TLP's wire bytes to `wire`, of `capacity` bytes; returns their count, 0 if they do not
 * fit. The caller is trusted to have filled the fields consistently (TLPs that break the rules can be made,
 * for fault injection). If td is set the ECRC is computed and appended. */
size_t tlp_encode(const struct tlp *tlp, uint8_t *wire, size_t capacity);

/* Decodes and checks `size` wire bytes. On error *tlp holds the fields that could be read (its type
 * is TLP_TYPE_COUNT if even that is undefined). Never reads outside the bytes. A payload larger than
 * Max_Payload_Size is the receiver's to check, and so is the ECRC (tlp_ecrc_ok). */
MUST_USE enum tlp_error tlp_decode(struct tlp *tlp, const uint8_t *wire, size_t size);

/* Name of the error, e.g. "byte enables", for log lines. */
const char *tlp_error_name(enum tlp_error error);

/* Mnemonic as in the specification: "MRd", "MWr", "CplD", … */
const char *tlp_type_name(enum tlp_type type);

/* The digest of header and payload (PCIe 6.0 §2.7.1): CRC-32 with the variant bits, Type[0] and EP, taken
 * as 1. It is sent least significant byte first. */
uint32_t tlp_ecrc(const uint8_t *wire, size_t size_without_digest);

/* True if td is clear or the digest is right. The wire bytes are well-formed. */
bool tlp_ecrc_ok(const uint8_t *wire, size_t size);

enum tlp_class tlp_class_of(enum tlp_type type);
bool tlp_has_payload(enum tlp_type type);

/* Class and payload size straight from the first header DW of well-formed wire bytes: what the link
 * needs for credits, without a full decode. */
enum tlp_class tlp_wire_class(const uint8_t *wire);
uint32_t tlp_wire_payload_bytes(const uint8_t *wire);

/* First DW address, length and byte enables of `bytes` (1..4096) at `addr` (any alignment), the
 * request not crossing a 4 KiB boundary: fills addr, addr64, length_dw, first_be, last_be. */
void tlp_set_span(struct tlp *tlp, uint64_t addr, uint32_t bytes);

/* The span a memory or I/O request enables: byte address of its first enabled byte and the count from there
 * to its last enabled byte. A zero-length request (First BE 0) gives its DW address and 0. */
void tlp_get_span(const struct tlp *tlp, uint64_t *addr, uint32_t *bytes);

/* How many of `bytes` left at `addr` the next request may take: it ends at the latest at the next 4 KiB
 * boundary, and its Length, padding of the first DW included, is at most `limit` bytes (MPS or MRRS).
 * With `align` (0 or a power of 2 <= limit, such as the RCB) a request cut short by the limit ends on a
 * multiple of align, so that the following ones are aligned. */
uint32_t tlp_split_bytes(uint64_t addr, uint64_t bytes, uint32_t limit, uint32_t align);

/* Completions of one memory read (PCIe 6.0 §2.3.1.1), made one after another by the completer. */
struct tlp_completer {
	uint64_t addr;  /* of the next byte */
	uint32_t bytes; /* still owed: the next Byte Count */
	uint16_t completer_id;
	uint16_t requester_id, tag;
	uint8_t tc, attr;
	bool locked;
};

/* Starts answering read request `req` (MRd, MRdLk) with data. A zero-length read owes one byte
 * (CPL-007). */
void tlp_completer_start(struct tlp_completer *c, const struct tlp *req, uint16_t completer_id);

/* Fills the next CplD: as large as `mps` allows, cut at a multiple of `rcb` (64 or 128) if it is not the
 * last; with `rcb_pieces` it ends at every multiple of rcb. mps >= rcb. Sets all but payload, which the
 * caller points at the DW-padded data that starts at *addr & ~3; *addr, *bytes are the data bytes this TLP
 * carries. Returns false when everything has been sent. */
bool tlp_completer_next(struct tlp_completer *c, uint32_t mps, uint32_t rcb, bool rcb_pieces, struct tlp *cpl,
			uint64_t *addr, uint32_t *bytes);

/* Fills the CplD of an I/O or configuration read: SC and the one DW at `payload` (borrowed). */
void tlp_completion_with_dw(struct tlp *cpl, const struct tlp *req, uint16_t completer_id,
			    const uint8_t payload[4]);

/* Fills a Cpl without data for `req`: error status, or SC for I/O and configuration writes. */
void tlp_completion_without_data(struct tlp *cpl, const struct tlp *req, uint16_t completer_id,
				 enum tlp_status status);

/* Reassembly at the requester (CPL-011, CPL-015, CPL-016): one per outstanding memory read, found by the
 * completion's Requester ID and Tag. */
struct tlp_requester {
	uint64_t addr;  /* of the next byte expected */
	uint32_t bytes; /* still missing; 0 = finished */
	uint8_t tc, attr;
};

enum tlp_cpl_result {
	TLP_CPL_PART,     /* data accepted, more to come */
	TLP_CPL_DONE,     /* data accepted, request finished */
	TLP_CPL_ERROR,    /* non-SC status or SC without data: request finished, failed (ERR-004, 006, 011) */
	TLP_CPL_POISONED, /* EP set: request finished, failed (CPL-017) */
	TLP_CPL_UNEXPECTED, /* does not belong to this request as it stands: drop (ERR-009, ERR-010) */
};

/* The span is that of the request; a zero-length read is started with its DW address and 1 byte. */
void tlp_requester_start(struct tlp_requester *r, uint64_t addr, uint32_t bytes, uint8_t tc, uint8_t attr);

/* Accepts one completion for this request. TC and Attr[1:0] have to be the request's; IDO is the completer's
 * choice (PCIe 6.0 §2.2.9). For PART and DONE, *data and *data_bytes are the bytes to store, inside the
 * TLP's payload, padding removed; they go at offset (start address + bytes received so far). */
enum tlp_cpl_result tlp_requester_accept(struct tlp_requester *r, const struct tlp *cpl, const uint8_t **data,
					 uint32_t *data_bytes);

#ifdef __cplusplus
}
#endif
#endif
