#include "host-sim/root.h"

#include "rtl-model/kernel.h"

#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TAGS         256u /* 8-bit tags of the root complex's own requests */
#define ROOT_ID      0u   /* bus 0, device 0, function 0 */
#define CARD_ID      (ROOT_BUS << 8)
#define CRS_RETRY_PS (10 * PS_PER_US)
#define CRS_LIMIT_PS PS_PER_S
#define FAULTS_MAX   16u
#define CARD_TAGS    1024u

/* A non-posted request of the host that has not been answered. */
struct pending {
	bool active, done;
	bool lost; /* the link went down before an answer came */
	struct tlp completion;
	uint8_t data[TLP_PAYLOAD_BYTES_MAX];
	uint32_t received;
	struct kernel_event *event;
};

struct allowed {
	uint64_t addr, bytes;
	unsigned access;
};

struct root {
	const struct config *config;
	struct memory *memory;
	struct root_ports ports;
	struct device *device;
	struct rng rng;
	struct pending pending[TAGS];
	unsigned tag_last;
	struct root_fault fault[FAULTS_MAX];
	unsigned faults;
	struct allowed *allowed; /* by address */
	size_t allowed_count, allowed_room, allowed_last;
	uint64_t card_tag_busy_ps[CARD_TAGS]; /* until when a tag of the card is outstanding */
	bool asked[CARD_TAGS];                /* by tag: the data of the card's read comes later */
	struct tlp asked_req[CARD_TAGS];      /* that read */
	bool master_off; /* the host has read that Bus Master Enable is clear, and has not set it since */
	root_tap_fn *tap;
	void *tap_ctx;
	struct root_stats stats;
};

struct root *root_create(const struct config *config, struct memory *memory, const struct root_ports *ports)
{
	struct root *root = calloc(1, sizeof(*root));
	if (!root)
		return NULL;
	root->config = config;
	root->memory = memory;
	root->ports = *ports;
	rng_seed(&root->rng, config->sim.seed, 0x726f6f74); /* "root" */
	for (unsigned i = 0; i < TAGS; i++)
		root->pending[i].event = kernel_event_create();
	return root;
}

void root_connect(struct root *root, struct device *device)
{
	root->device = device;
}

void root_free(struct root *root)
{
	if (!root)
		return;
	for (unsigned i = 0; i < TAGS; i++)
		kernel_event_free(root->pending[i].event);
	free(root->allowed);
	free(root);
}

static void say(struct root *root, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(struct root *root, const char *format, ...)
{
	char line[200];
	va_list args;
	if (!root->ports.log)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	root->ports.log(root->ports.ctx, line);
}

static bool is_msi(const struct root *root, uint64_t addr)
{
	return addr - root->ports.msi_base < ROOT_MSI_BYTES;
}

uint64_t root_msi_addr(const struct root *root, unsigned cpu)
{
	return root->ports.msi_base | (uint64_t)cpu << 12;
}

/* ---- the checker (RC-013) ---- */

static void violation(struct root *root, const struct tlp *tlp, const char *what)
{
	root->stats.violations++;
	say(root, "checker: %s at %#" PRIx64 ", %u DW: %s", tlp_type_name(tlp->type), tlp->addr,
	    tlp->length_dw, what);
}

/* Where in the list the first piece above `addr` is or would be. */
static size_t allowed_above(const struct root *root, uint64_t addr)
{
	size_t low = 0, high = root->allowed_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (root->allowed[middle].addr <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void insert_allowed(struct root *root, size_t at, const struct allowed *piece)
{
	if (root->allowed_count == root->allowed_room) {
		root->allowed_room = root->allowed_room ? 2 * root->allowed_room : 64;
		root->allowed = realloc(root->allowed, root->allowed_room * sizeof(*root->allowed));
		ASSERT(root->allowed);
	}
	memmove(root->allowed + at + 1, root->allowed + at,
		(root->allowed_count - at) * sizeof(*root->allowed));
	root->allowed[at] = *piece;
	root->allowed_count++;
}

void root_allow(struct root *root, uint64_t addr, uint64_t bytes, unsigned access)
{
	const struct allowed piece = {addr, bytes, access};
	size_t at = allowed_above(root, addr);
	if (at != 0 && root->allowed[at - 1].addr == addr && root->allowed[at - 1].bytes == bytes)
		root->allowed[at - 1] = piece;
	else
		insert_allowed(root, at, &piece);
	root->allowed_last = 0;
}

static bool holds(const struct allowed *allowed, uint64_t addr, uint32_t bytes)
{
	return addr >= allowed->addr && bytes <= allowed->bytes &&
	       addr - allowed->addr <= allowed->bytes - bytes;
}

/* What the card may do to this span: nothing if no piece holds all of it. */
static unsigned allowed_access(struct root *root, uint64_t addr, uint32_t bytes)
{
	if (root->allowed_count == 0)
		return ROOT_READ | ROOT_WRITE;
	if (!holds(&root->allowed[root->allowed_last], addr, bytes)) {
		size_t above = allowed_above(root, addr);
		if (above == 0 || !holds(&root->allowed[above - 1], addr, bytes))
			return 0;
		root->allowed_last = above - 1;
	}
	return root->allowed[root->allowed_last].access;
}

static void check_access(struct root *root, const struct tlp *tlp)
{
	bool write = tlp->type == TLP_MWR;
	uint64_t addr;
	uint32_t span;
	tlp_get_span(tlp, &addr, &span);
	if (span == 0)
		return;
	unsigned access = allowed_access(root, addr, span);
	if (!(access & (write ? ROOT_WRITE : ROOT_READ)))
		violation(root, tlp,
			  write ? "write to memory the driver has not offered for it"
				: "read of memory the driver has not offered for it");
	if (write && (access & ROOT_ORDERED) && (tlp->attr & TLP_ATTR_RELAXED))
		violation(root, tlp, "relaxed ordering in a ring");
}

static void check_request(struct root *root, uint64_t arrive_ps, const struct tlp *tlp)
{
	const struct cfg_control *control = &device_cfg_space(root->device)->control;
	bool write = tlp->type == TLP_MWR;
	uint32_t bytes = tlp->length_dw * 4u;
	/* Reads may have waited for credits while completions passed them; writes may not (§2.4.1). */
	if (write && root->master_off)
		violation(root, tlp, "Bus Master Enable is clear");
	if (bytes > (write ? control->mps_bytes : control->mrrs_bytes))
		violation(root, tlp,
			  write ? "payload above Max_Payload_Size" : "above Max_Read_Request_Size");
	if (tlp->addr64 && tlp->addr >> 32 == 0)
		violation(root, tlp, "4DW header for an address below 4 GiB");
	if (tlp->requester_id != CARD_ID)
		violation(root, tlp, "wrong Requester ID");
	if (is_msi(root, tlp->addr)) {
		if ((tlp->attr & (TLP_ATTR_RELAXED | TLP_ATTR_NO_SNOOP)) || tlp->tc != 0 || !write ||
		    tlp->length_dw != 1 || tlp->first_be != 0xf)
			violation(root, tlp, "not a valid interrupt message");
		return;
	}
	check_access(root, tlp);
	if (!write && arrive_ps < root->card_tag_busy_ps[tlp->tag])
		violation(root, tlp, "tag is already in use");
}

/* ---- reads by the card ---- */

static uint64_t memory_latency_ps(struct root *root)
{
	uint64_t mean_ps = root->config->link.root_complex_ps;
	uint64_t random_ps = mean_ps * root->config->link.root_complex_jitter_pct / 100;
	return mean_ps - random_ps + rng_exponential(&root->rng, random_ps);
}

static void send(struct root *root, uint64_t ready_ps, const struct tlp *tlp)
{
	uint8_t wire[TLP_WIRE_BYTES_MAX];
	size_t size = tlp_encode(tlp, wire, sizeof(wire));
	ASSERT(size != 0);
	if (root->tap)
		root->tap(root->tap_ctx, ready_ps, false, wire, size);
	device_send(root->device, ready_ps, wire, size);
}

static enum root_fault_kind take_fault(struct root *root, uint64_t addr, uint32_t bytes, uint64_t *delay_ps)
{
	for (unsigned i = 0; i < root->faults; i++) {
		struct root_fault *fault = &root->fault[i];
		if (fault->count == 0 || addr + bytes <= fault->addr || addr >= fault->addr + fault->bytes)
			continue;
		if (fault->skip != 0) {
			fault->skip--;
			continue;
		}
		fault->count--;
		*delay_ps = fault->delay_ps;
		return fault->kind;
	}
	return ROOT_FAULT_NONE;
}

void root_inject(struct root *root, const struct root_fault *fault)
{
	unsigned at = 0;
	while (at < root->faults && root->fault[at].count != 0)
		at++;
	ASSERT(at < FAULTS_MAX);
	root->fault[at] = *fault;
	if (at == root->faults)
		root->faults++;
}

static void send_status(struct root *root, uint64_t ready_ps, const struct tlp *req, unsigned status)
{
	struct tlp cpl;
	tlp_completion_without_data(&cpl, req, ROOT_ID, (enum tlp_status)status);
	send(root, ready_ps, &cpl);
}

static void send_data(struct root *root, uint64_t ready_ps, const struct tlp *req, const uint8_t *data,
		      enum root_fault_kind fault)
{
	struct tlp_completer completer;
	struct tlp cpl;
	uint64_t addr;
	uint32_t bytes;
	tlp_completer_start(&completer, req, ROOT_ID);
	while (tlp_completer_next(&completer, root->config->link.mps, root->config->link.rcb,
				  root->config->link.rcb_pieces, &cpl, &addr, &bytes)) {
		cpl.payload = data + ((addr & ~UINT64_C(3)) - req->addr);
		switch (fault) {
		case ROOT_FAULT_POISON: cpl.ep = true; break;
		case ROOT_FAULT_WRONG_TAG: cpl.tag ^= 0x80; break;
		case ROOT_FAULT_BYTE_COUNT: cpl.byte_count = (uint16_t)(cpl.byte_count + 4); break;
		case ROOT_FAULT_LOWER_ADDRESS: cpl.lower_addr ^= 4; break;
		case ROOT_FAULT_WRONG_TC: cpl.tc ^= 1; break;
		default: break;
		}
		send(root, ready_ps, &cpl);
	}
	if (fault == ROOT_FAULT_DUPLICATE)
		send(root, ready_ps, &cpl);
}

/* Reads of nowhere are answered UR, writes are dropped: an error of card or driver that somebody should see (RC-007). */
static void no_memory(struct root *root, const struct tlp *tlp)
{
	root->stats.unsupported++;
	say(root, "%s at %#" PRIx64 ", %u DW: no memory there", tlp_type_name(tlp->type), tlp->addr,
	    tlp->length_dw);
}

/* Data of a region, in place or in `copy`, from the request's first DW on; *data stays NULL if there is none. True if it
 * comes later. */
static bool read_region(struct root *root, const struct tlp *req, uint8_t *copy, const uint8_t **data)
{
	uint32_t bytes = req->length_dw * 4u;
	const struct memory_region *region = memory_find(root->memory, req->addr, bytes);
	if (!region || !(region->access & MEMORY_READ))
		return false;
	if (region->data) {
		*data = region->data + (req->addr - region->base);
		return false;
	}
	if (!region->ops->ask) {
		if (region->ops->read(region->ctx, req->addr, bytes, copy))
			*data = copy;
		return false;
	}
	root->asked_req[req->tag] = *req;
	root->asked[req->tag] = region->ops->ask(region->ctx, req->addr, bytes, req->tag);
	return root->asked[req->tag];
}

void root_read_done(struct root *root, unsigned token, const uint8_t *data)
{
	unsigned tag = token % CARD_TAGS;
	const struct tlp *req = &root->asked_req[tag];
	if (!root->asked[tag])
		return; /* the link has been reset, or the tag is another read's by now */
	root->asked[tag] = false;
	if (data) {
		send_data(root, kernel_now_ps(), req, data, ROOT_FAULT_NONE);
	} else {
		no_memory(root, req);
		send_status(root, kernel_now_ps(), req, TLP_UR);
	}
}

static void answer_read(struct root *root, uint64_t arrive_ps, const struct tlp *req)
{
	uint64_t addr, delay_ps = 0;
	uint32_t bytes;
	tlp_get_span(req, &addr, &bytes);
	root->stats.reads++;
	root->stats.read_bytes += bytes;
	uint64_t ready_ps = arrive_ps + memory_latency_ps(root);
	enum root_fault_kind fault =
		root->faults ? take_fault(root, addr, bytes, &delay_ps) : ROOT_FAULT_NONE;
	ready_ps += delay_ps;
	root->card_tag_busy_ps[req->tag] = fault == ROOT_FAULT_DROP ? arrive_ps : ready_ps;
	/* The card has given up a read that had this tag (TAG-006): its data, should it still come, is nobody's. */
	root->asked[req->tag] = false;
	uint8_t copy[TLP_PAYLOAD_BYTES_MAX];
	const uint8_t *data = memory_at(root->memory, req->addr, req->length_dw * 4u);
	if (!data && fault == ROOT_FAULT_NONE && read_region(root, req, copy, &data))
		return;
	if (!data) {
		no_memory(root, req);
		fault = ROOT_FAULT_UR;
	}
	switch (fault) {
	case ROOT_FAULT_DROP: break;
	case ROOT_FAULT_UR: send_status(root, ready_ps, req, TLP_UR); break;
	case ROOT_FAULT_CA: send_status(root, ready_ps, req, TLP_CA); break;
	case ROOT_FAULT_CRS: send_status(root, ready_ps, req, TLP_CRS); break;
	case ROOT_FAULT_RESERVED_STATUS: send_status(root, ready_ps, req, 7); break;
	case ROOT_FAULT_NO_DATA: send_status(root, ready_ps, req, TLP_SC); break;
	default: send_data(root, ready_ps, req, data, fault);
	}
}

/* ---- writes by the card ---- */

static void interrupt(struct root *root, uint64_t arrive_ps, const struct tlp *tlp)
{
	unsigned cpu = (unsigned)(tlp->addr - root->ports.msi_base) >> 12;
	root->stats.interrupts++;
	root->ports.interrupt(root->ports.ctx, arrive_ps, cpu, load_le32(tlp->payload));
}

/* Where a write goes in plain memory; NULL if it does not, or was carried out by the region's owner. */
static uint8_t *writable(struct root *root, const struct tlp *tlp, uint64_t addr, uint32_t bytes)
{
	uint8_t *data = memory_at(root->memory, addr, bytes);
	if (data)
		return data;
	const struct memory_region *region = memory_find(root->memory, addr, bytes);
	if (region && (region->access & MEMORY_WRITE)) {
		if (region->data)
			return region->data + (addr - region->base);
		if (region->ops->write(region->ctx, addr, bytes, tlp->payload + (addr & 3)))
			return NULL;
	}
	no_memory(root, tlp);
	return NULL;
}

static void write_memory(struct root *root, const struct tlp *tlp)
{
	uint64_t addr;
	uint32_t bytes;
	tlp_get_span(tlp, &addr, &bytes);
	root->stats.writes++;
	root->stats.write_bytes += bytes;
	uint8_t *data = writable(root, tlp, addr, bytes);
	if (!data)
		return;
	/* Spans with gaps in their byte enables are at most two DW long (TLP-008). */
	if (bytes == 2 && (addr & 1) == 0) /* ring indices are written in one piece */
		*(volatile uint16_t *)(void *)data = load_le16(tlp->payload + (addr & 3));
	else if (tlp->length_dw > 2)
		memcpy(data, tlp->payload + (addr & 3), bytes);
	else
		for (uint32_t i = 0; i < bytes; i++) {
			uint32_t lane = (uint32_t)(addr & 3) + i;
			unsigned be = lane < 4 ? tlp->first_be : tlp->last_be;
			if (be >> (lane % 4) & 1)
				data[i] = tlp->payload[lane];
		}
}

/* ---- messages by the card ---- */

static void message(struct root *root, uint64_t arrive_ps, const struct tlp *tlp)
{
	switch (tlp->msg_code) {
	case TLP_MSG_ASSERT_INTA:
	case TLP_MSG_DEASSERT_INTA:
		root->stats.intx_messages++;
		root->ports.intx(root->ports.ctx, arrive_ps, tlp->msg_code == TLP_MSG_ASSERT_INTA);
		break;
	case TLP_MSG_ERR_COR: root->stats.err_cor++; break;
	case TLP_MSG_ERR_NONFATAL: root->stats.err_nonfatal++; break;
	case TLP_MSG_ERR_FATAL: root->stats.err_fatal++; break;
	case TLP_MSG_PME_TO_ACK: break;
	default: say(root, "unexpected message %#x from the card", tlp->msg_code);
	}
}

/* ---- completions for the host ---- */

static void completion(struct root *root, const struct tlp *tlp)
{
	struct pending *pending = &root->pending[tlp->tag % TAGS];
	if (tlp->requester_id != ROOT_ID || !pending->active || pending->done)
		return; /* late, or of a raw request */
	pending->completion = *tlp;
	pending->completion.payload = NULL;
	if (tlp->payload && tlp->status == TLP_SC) {
		uint32_t bytes = tlp->length_dw * 4u;
		if (bytes > sizeof(pending->data) - pending->received)
			bytes = sizeof(pending->data) - pending->received;
		memcpy(pending->data + pending->received, tlp->payload, bytes);
		pending->received += bytes;
		if (tlp->byte_count > tlp->length_dw * 4u - (tlp->lower_addr & 3u))
			return; /* more to come */
	}
	pending->done = true;
	kernel_event_notify(pending->event, kernel_now_ps());
}

/* ---- arrivals ---- */

/* Plain memory writes can wait until somebody looks; everything else is delivered at once. Looks at no more of the
 * header than it has to, since most TLPs of a read are such writes. */
bool root_urgent(void *ctx, const uint8_t *wire, size_t size)
{
	enum { MWR_3DW = 0x40, MWR_4DW = 0x60 };
	if ((wire[0] != MWR_3DW && wire[0] != MWR_4DW) || size < TLP_HEADER_BYTES_MAX)
		return true;
	uint64_t addr = load_be32(wire + 8);
	if (wire[0] == MWR_4DW)
		addr = addr << 32 | load_be32(wire + 12);
	return is_msi(ctx, addr);
}

void root_receive(void *ctx, uint64_t arrive_ps, const uint8_t *wire, size_t size)
{
	struct root *root = ctx;
	struct tlp tlp;
	enum tlp_error error = tlp_decode(&tlp, wire, size);
	if (root->tap)
		root->tap(root->tap_ctx, arrive_ps, true, wire, size);
	if (error != TLP_OK) {
		root->stats.violations++;
		say(root, "checker: malformed TLP from the card: %s", tlp_error_name(error));
		return;
	}
	bool request = tlp.type == TLP_MRD || tlp.type == TLP_MWR;
	if (request && root->config->guest.check)
		check_request(root, arrive_ps, &tlp);
	if (tlp.type == TLP_MRD)
		answer_read(root, arrive_ps, &tlp);
	else if (tlp.type == TLP_MWR && is_msi(root, tlp.addr))
		interrupt(root, arrive_ps, &tlp);
	else if (tlp.type == TLP_MWR)
		write_memory(root, &tlp);
	else if (tlp_class_of(tlp.type) == TLP_COMPLETION)
		completion(root, &tlp);
	else if (tlp.type == TLP_MSG || tlp.type == TLP_MSGD)
		message(root, arrive_ps, &tlp);
	else
		send_status(root, arrive_ps, &tlp, TLP_UR);
}

void root_sync(struct root *root)
{
	device_deliver(root->device);
}

/* ---- requests of the host ---- */

static unsigned take_tag(struct root *root)
{
	for (unsigned i = 1; i <= TAGS; i++) {
		unsigned tag = (root->tag_last + i) % TAGS;
		if (!root->pending[tag].active) {
			root->tag_last = tag;
			return tag;
		}
	}
	ASSERT(!"a root complex with all tags in use");
	return 0;
}

bool root_request(struct root *root, struct tlp *request, struct tlp *answer, uint8_t *data)
{
	unsigned tag = take_tag(root);
	struct pending *pending = &root->pending[tag];
	uint64_t deadline_ps = kernel_now_ps() + root->config->link.completion_timeout_ps;
	pending->active = true;
	pending->done = pending->lost = false;
	pending->received = 0;
	request->requester_id = ROOT_ID;
	request->tag = (uint16_t)tag;
	send(root, kernel_now_ps(), request);
	while (!pending->done && kernel_now_ps() < deadline_ps)
		kernel_event_wait_until(pending->event, deadline_ps);
	pending->active = false;
	if (!pending->done) {
		root->stats.timeouts++;
		say(root, "%s timed out", tlp_type_name(request->type));
		return false;
	}
	if (pending->lost)
		return false;
	*answer = pending->completion;
	if (data)
		memcpy(data, pending->data, pending->received);
	return true;
}

void root_send_raw(struct root *root, const uint8_t *wire, size_t size)
{
	if (root->tap)
		root->tap(root->tap_ctx, kernel_now_ps(), false, wire, size);
	device_send(root->device, kernel_now_ps(), wire, size);
}

static bool config_request(struct root *root, struct tlp *request, struct tlp *answer, uint8_t *data)
{
	uint64_t limit_ps = kernel_now_ps() + CRS_LIMIT_PS;
	root->stats.config_requests++;
	while (root_request(root, request, answer, data)) {
		if (answer->status != TLP_CRS)
			return answer->status == TLP_SC;
		if (kernel_now_ps() >= limit_ps)
			return false;
		root->stats.crs_retries++;
		kernel_wait_ps(CRS_RETRY_PS);
	}
	return false;
}

static uint8_t byte_enables(uint64_t addr, unsigned bytes)
{
	ASSERT((addr & 3) + bytes <= 4);
	return (uint8_t)(((1u << bytes) - 1) << (addr & 3));
}

static uint32_t bytes_mask(unsigned bytes)
{
	return bytes == 4 ? UINT32_MAX : (UINT32_C(1) << 8 * bytes) - 1;
}

static struct tlp config_tlp(enum tlp_type type, unsigned reg, unsigned bytes)
{
	return (struct tlp){
		.type = type,
		.length_dw = 1,
		.first_be = byte_enables(reg, bytes),
		.dest_id = CARD_ID,
		.reg = (uint16_t)(reg & ~3u),
	};
}

uint32_t root_config_read(struct root *root, unsigned reg, unsigned bytes)
{
	uint8_t data[TLP_PAYLOAD_BYTES_MAX];
	struct tlp answer, request = config_tlp(TLP_CFGRD0, reg, bytes);
	if (!config_request(root, &request, &answer, data))
		return bytes_mask(bytes);
	if (request.reg == PCI_COMMAND && (request.first_be & 1))
		root->master_off = !(load_le32(data) & PCI_COMMAND_MASTER);
	return load_le32(data) >> 8 * (reg & 3) & bytes_mask(bytes);
}

void root_config_write(struct root *root, unsigned reg, unsigned bytes, uint32_t value)
{
	uint8_t data[4], ignored[TLP_PAYLOAD_BYTES_MAX];
	struct tlp answer, request = config_tlp(TLP_CFGWR0, reg, bytes);
	request.payload = data;
	store_le32(data, value << 8 * (reg & 3));
	if (request.reg == PCI_COMMAND && (request.first_be & 1) && (load_le32(data) & PCI_COMMAND_MASTER))
		root->master_off = false;
	config_request(root, &request, &answer, ignored);
}

/* The largest naturally aligned piece at the start of a CPU's access: all of it, as a rule (RC-005). */
static unsigned aligned_bytes(uint64_t addr, unsigned bytes)
{
	unsigned piece = 8;
	while (piece > bytes || addr % piece != 0)
		piece /= 2;
	return piece;
}

static void write_piece(struct root *root, uint64_t addr, unsigned bytes, uint64_t value)
{
	uint8_t data[12] = {0};
	struct tlp tlp = {.type = TLP_MWR, .requester_id = ROOT_ID, .payload = data};
	root->stats.mmio_writes++;
	tlp_set_span(&tlp, addr, bytes);
	store_le64(data + (addr & 3), value);
	send(root, kernel_now_ps(), &tlp);
}

void root_mmio_write(struct root *root, uint64_t addr, unsigned bytes, uint64_t value)
{
	for (unsigned done = 0, piece; done != bytes; done += piece) {
		piece = aligned_bytes(addr + done, bytes - done);
		write_piece(root, addr + done, piece, value >> 8 * done);
	}
}

static uint64_t read_piece(struct root *root, uint64_t addr, unsigned bytes)
{
	uint8_t data[TLP_PAYLOAD_BYTES_MAX] = {0};
	struct tlp answer;
	struct tlp request = {.type = TLP_MRD};
	uint64_t mask = bytes == 8 ? UINT64_MAX : bytes_mask(bytes);
	root->stats.mmio_reads++;
	tlp_set_span(&request, addr, bytes);
	if (!root_request(root, &request, &answer, data) || answer.status != TLP_SC)
		return mask;
	return load_le64(data + (addr & 3)) & mask;
}

uint64_t root_mmio_read(struct root *root, uint64_t addr, unsigned bytes)
{
	uint64_t value = 0;
	ASSERT(bytes <= sizeof(value));
	for (unsigned done = 0, piece; done < bytes; done += piece) {
		piece = aligned_bytes(addr + done, bytes - done);
		value |= read_piece(root, addr + done, piece) << 8 * done;
	}
	return value;
}

void root_hot_reset(struct root *root)
{
	root_sync(root);
	device_link_reset(root->device);
	root->ports.intx(root->ports.ctx, kernel_now_ps(), false);
	memset(root->card_tag_busy_ps, 0, sizeof(root->card_tag_busy_ps));
	memset(root->asked, 0, sizeof(root->asked));
	for (unsigned i = 0; i < TAGS; i++) {
		struct pending *pending = &root->pending[i];
		if (!pending->active || pending->done)
			continue;
		pending->done = pending->lost = true;
		kernel_event_notify(pending->event, kernel_now_ps());
	}
}

void root_tap(struct root *root, root_tap_fn *tap, void *ctx)
{
	root->tap = tap;
	root->tap_ctx = ctx;
}

const struct root_stats *root_stats(const struct root *root)
{
	return &root->stats;
}
