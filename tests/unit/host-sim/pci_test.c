/* The driver's PCI side on a configuration space made by hand: what it does to find, size and place things (PCIe 6.0 §7.5,
 * §7.7; checklist RC-002), and what it makes of nonsense. */
#include "tests/check.h"

#include "host-sim/driver/virtio.h"

#define LOG_MAX        4096u
#define PM_AT          0x40u
#define PCIE_AT        0x50u
#define MSIX_AT        0x90u
#define VNDR_AT        0xa0u
#define WINDOW_32_BASE UINT64_C(0xfe000000)
#define WINDOW_32_END  UINT64_C(0xfe800000)

static const struct pci_settings usual = {.mps_bytes = 256, .mrrs_bytes = 512, .extended_tags = true};

/* ---- a card ---- */

struct access {
	bool write;
	unsigned reg, bytes;
	uint32_t value;
};

struct card {
	struct host_ops ops;
	uint8_t config[256], writable[256]; /* bits that keep what is written */
	struct access log[LOG_MAX];
	unsigned count;
	bool decoding_while_sizing;
	uint64_t waited_ns;
	unsigned busy_reads; /* reads of Device Status that still show Transactions Pending */
	bool sized[PCI_BARS];
};

static void put(struct card *card, unsigned reg, unsigned bytes, uint32_t value)
{
	for (unsigned i = 0; i < bytes; i++)
		card->config[reg + i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get(const struct card *card, unsigned reg, unsigned bytes)
{
	uint32_t value = 0;
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint32_t)card->config[reg + i] << 8 * i;
	return value;
}

static void record(struct card *card, bool write, unsigned reg, unsigned bytes, uint32_t value)
{
	assert_true(bytes == 1 || bytes == 2 || bytes == 4);
	assert_int_equal(reg % bytes, 0);
	assert_true(reg + bytes <= sizeof(card->config));
	assert_true(card->count < LOG_MAX); /* the driver comes to an end */
	card->log[card->count++] = (struct access){write, reg, bytes, value};
}

static uint32_t config_read(void *ctx, unsigned reg, unsigned bytes)
{
	struct card *card = ctx;
	uint32_t value = get(card, reg, bytes);
	if (reg == PCIE_AT + PCI_EXP_DEVSTA && card->busy_reads != 0) {
		card->busy_reads--;
		value |= PCI_EXP_DEVSTA_TRPND;
	}
	record(card, false, reg, bytes, value);
	return value;
}

static void config_write(void *ctx, unsigned reg, unsigned bytes, uint32_t value)
{
	struct card *card = ctx;
	record(card, true, reg, bytes, value);
	if (reg >= PCI_BASE_ADDRESS_0 && reg < PCI_CARDBUS_CIS && value == UINT32_MAX)
		card->decoding_while_sizing |=
			get(card, PCI_COMMAND, 2) & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	for (unsigned i = 0; i < bytes; i++) {
		uint8_t mask = card->writable[reg + i];
		card->config[reg + i] = (uint8_t)((card->config[reg + i] & ~mask) | (value >> 8 * i & mask));
	}
}

static uint32_t mmio_read(void *ctx, uint64_t addr, unsigned bytes)
{
	(void)ctx, (void)addr, (void)bytes;
	fail_msg("no memory access while there are no addresses");
	return 0;
}

static void mmio_write(void *ctx, uint64_t addr, unsigned bytes, uint32_t value)
{
	(void)value;
	mmio_read(ctx, addr, bytes);
}

static void delay_ns(void *ctx, uint64_t ns)
{
	((struct card *)ctx)->waited_ns += ns;
}

/* A BAR of `bytes`, with the low bits `kind`; a 64-bit one takes the next register, too. */
static void set_bar(struct card *card, unsigned index, uint64_t bytes, uint32_t kind)
{
	unsigned reg = PCI_BASE_ADDRESS_0 + 4 * index;
	uint64_t mask = bytes ? ~(bytes - 1) : 0;
	for (unsigned i = 0; i < 4; i++)
		card->writable[reg + i] = (uint8_t)(mask >> 8 * i);
	put(card, reg, 4, kind);
	if ((kind & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64 &&
	    !(kind & PCI_BASE_ADDRESS_SPACE_IO) && index + 1 < PCI_BARS)
		for (unsigned i = 4; i < 8; i++)
			card->writable[reg + i] = (uint8_t)(mask >> 8 * i);
}

static void set_capability(struct card *card, unsigned at, unsigned id, unsigned next)
{
	put(card, at, 1, id);
	put(card, at + 1, 1, next);
}

/* A modern block device: MSI-X in BAR 1, 64-bit BAR 4, capabilities PM, PCIe, MSI-X. */
static struct card make(void)
{
	struct card card = {.ops = {.config_read = config_read,
				    .config_write = config_write,
				    .mmio_read = mmio_read,
				    .mmio_write = mmio_write,
				    .delay_ns = delay_ns}};
	put(&card, PCI_VENDOR_ID, 4, 0x10421af4);
	put(&card, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
	put(&card, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	card.writable[PCI_COMMAND] = 0x47;
	card.writable[PCI_COMMAND + 1] = 0x05;
	set_bar(&card, 1, 4096, 0);
	set_bar(&card, 4, 16384, PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
	put(&card, PCI_CAPABILITY_LIST, 1, PM_AT);
	set_capability(&card, PM_AT, PCI_CAP_ID_PM, PCIE_AT);
	set_capability(&card, PCIE_AT, PCI_CAP_ID_EXP, MSIX_AT);
	set_capability(&card, MSIX_AT, PCI_CAP_ID_MSIX, 0);
	put(&card, PCIE_AT + PCI_EXP_DEVCAP, 4, 3 | PCI_EXP_DEVCAP_EXT_TAG); /* MPS 1024 */
	put(&card, PCIE_AT + PCI_EXP_DEVCAP2, 4, 1u << 17);
	put(&card, PCIE_AT + PCI_EXP_DEVCTL, 2, 0x2810);
	memset(card.writable + PCIE_AT + PCI_EXP_DEVCTL, 0xff, 2);
	memset(card.writable + PCIE_AT + PCI_EXP_DEVCTL2, 0xff, 2);
	put(&card, MSIX_AT + PCI_MSIX_FLAGS, 2, 4); /* 5 vectors */
	card.writable[MSIX_AT + PCI_MSIX_FLAGS + 1] = 0xc0;
	put(&card, MSIX_AT + PCI_MSIX_TABLE, 4, 1);
	return card;
}

static int probe(struct card *card, struct pci_device *pci, const struct pci_settings *settings)
{
	char error[200] = "";
	card->ops.ctx = card;
	int result = pci_probe(pci, &card->ops, settings, error, sizeof(error));
	assert_int_equal(error[0] != '\0', result != 0);
	return result;
}

/* Index of the last access of this kind to this register, -1 if there is none. */
static int last_access(const struct card *card, bool write, unsigned reg)
{
	int last = -1;
	for (unsigned i = 0; i < card->count; i++)
		if (card->log[i].write == write && card->log[i].reg == reg)
			last = (int)i;
	return last;
}

/* ---- enumeration ---- */

static void test_pci_absent_or_foreign_devices_are_left_alone(void **state)
{
	static const struct {
		uint32_t ids;
		uint8_t header_type;
		bool ours;
	} cases[] = {
		{0xffffffff, 0xff, false}, /* nobody there */
		{0x00010001, 0, false},    /* asks to be asked again */
		{0x10428086, 0, false},    /* another vendor */
		{0x10411af4, 0, false},    /* a network card */
		{0x10431af4, 0, false},    /* a console */
		{0x10421af4, PCI_HEADER_TYPE_BRIDGE, false},
		{0x10421af4, 2, false},   /* CardBus */
		{0x10421af4, 0, true},    /* modern */
		{0x10421af4, 0x80, true}, /* with several functions */
		{0x10011af4, 0, true},    /* transitional */
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct card card = make();
		struct pci_device pci;
		put(&card, PCI_VENDOR_ID, 4, cases[i].ids);
		put(&card, PCI_HEADER_TYPE, 1, cases[i].header_type);
		assert_int_equal(probe(&card, &pci, &usual) == 0, cases[i].ours);
		for (unsigned j = 0; !cases[i].ours && j < card.count; j++)
			assert_false(card.log[j].write);
	}
}

static void test_pci_steps_come_in_order(void **state)
{
	struct card card = make();
	struct pci_device pci;
	(void)state;
	assert_int_equal(probe(&card, &pci, &usual), 0);
	assert_int_equal(card.log[0].reg, PCI_VENDOR_ID);
	assert_false(card.decoding_while_sizing);
	assert_int_equal(pci.pm, PM_AT);
	assert_int_equal(pci.pcie, PCIE_AT);
	assert_int_equal(pci.msix, MSIX_AT);
	assert_int_equal(pci.msix_vectors, 5);
	assert_int_equal(pci.msix_table, pci.bar[1].addr);
	/* Memory Space and Bus Master come last, after addresses and Device Control; a message-signalling driver's INTx
	 * is not disabled by it. */
	int enabled = last_access(&card, true, PCI_COMMAND);
	assert_true(enabled > last_access(&card, true, PCI_BASE_ADDRESS_0 + 16));
	assert_true(enabled > last_access(&card, true, PCIE_AT + PCI_EXP_DEVCTL));
	assert_int_equal(get(&card, PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	/* MSI-X goes on when its table has been filled in. */
	assert_false(get(&card, MSIX_AT + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE);
	pci_msix_enable(&pci, true);
	assert_int_equal(get(&card, MSIX_AT + PCI_MSIX_FLAGS, 2), PCI_MSIX_FLAGS_ENABLE | 4);
	put(&card, MSIX_AT + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL | 4);
	pci_msix_enable(&pci, false);
	assert_int_equal(get(&card, MSIX_AT + PCI_MSIX_FLAGS, 2), 4);
}

/* ---- BARs ---- */

static void test_pci_bar_sizes_are_found(void **state)
{
	enum { MEM64 = PCI_BASE_ADDRESS_MEM_TYPE_64, PREFETCH = PCI_BASE_ADDRESS_MEM_PREFETCH };
	(void)state;
	for (unsigned kind = 0; kind < 5; kind++) {
		static const uint32_t kinds[] = {0, PREFETCH, MEM64, MEM64 | PREFETCH,
						 PCI_BASE_ADDRESS_SPACE_IO};
		bool is_io = kind == 4, is_64bit = kind == 2 || kind == 3;
		unsigned last = is_64bit ? 43 : is_io ? 8 : 22;
		for (unsigned log2 = is_io ? 2 : 4; log2 <= last; log2++)
			for (unsigned index = 0; index < (is_64bit ? 5u : 6u); index++) {
				struct card card = make();
				struct pci_device pci;
				for (unsigned i = 0; i < PCI_BARS; i++)
					set_bar(&card, i, 0, 0);
				set_bar(&card, index, UINT64_C(1) << log2, kinds[kind]);
				assert_int_equal(probe(&card, &pci, &usual), 0);
				for (unsigned i = 0; i < PCI_BARS; i++)
					assert_int_equal(pci.bar[i].bytes,
							 i == index ? UINT64_C(1) << log2 : 0);
				assert_int_equal(pci.bar[index].is_io, is_io);
				assert_int_equal(pci.bar[index].is_64bit, is_64bit);
				assert_int_equal(pci.bar[index].prefetchable, kind == 1 || kind == 3);
			}
	}
}

static void check_places(const struct card *card, const struct pci_device *pci)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *bar = &pci->bar[i];
		unsigned reg = PCI_BASE_ADDRESS_0 + 4 * i;
		if (bar->bytes == 0 || bar->is_io)
			continue;
		assert_int_equal(bar->addr % bar->bytes, 0);
		assert_true(bar->addr != 0);
		if (!bar->is_64bit)
			assert_true(bar->addr >= WINDOW_32_BASE && bar->addr + bar->bytes <= WINDOW_32_END);
		uint64_t written = get(card, reg, 4) & ~0xfu;
		if (bar->is_64bit)
			written |= (uint64_t)get(card, reg + 4, 4) << 32;
		assert_int_equal(written, bar->addr);
		for (unsigned j = 0; j < i; j++)
			if (pci->bar[j].bytes != 0 && !pci->bar[j].is_io)
				assert_true(bar->addr >= pci->bar[j].addr + pci->bar[j].bytes ||
					    pci->bar[j].addr >= bar->addr + bar->bytes);
	}
}

static void test_pci_bars_are_placed_aligned_and_apart(void **state)
{
	struct rng rng;
	(void)state;
	rng_seed(&rng, test_seed(1), 0);
	for (unsigned round = 0; round < 2000; round++) {
		struct card card = make();
		struct pci_device pci;
		for (unsigned i = 0; i < PCI_BARS; i++)
			set_bar(&card, i, 0, 0);
		for (unsigned i = 0; i < PCI_BARS; i++) {
			bool is_64bit = i + 1 < PCI_BARS && rng_below(&rng, 2);
			uint64_t bytes = UINT64_C(16) << rng_below(&rng, is_64bit ? 34 : 17);
			if (rng_below(&rng, 4) == 0)
				continue;
			set_bar(&card, i, bytes, is_64bit ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0);
			i += is_64bit;
		}
		assert_int_equal(probe(&card, &pci, &usual), 0);
		check_places(&card, &pci);
		/* After a reset they come back to the same places, and so does Device Control. */
		struct card before = card;
		for (unsigned i = 0; i < PCI_BARS; i++)
			put(&card, PCI_BASE_ADDRESS_0 + 4 * i, 4,
			    get(&card, PCI_BASE_ADDRESS_0 + 4 * i, 4) & 0xf);
		put(&card, PCI_COMMAND, 2, 0);
		put(&card, PCIE_AT + PCI_EXP_DEVCTL, 2, 0x2810);
		pci_restore(&pci, &usual);
		check_places(&card, &pci);
		assert_int_equal(get(&card, PCI_COMMAND, 2), get(&before, PCI_COMMAND, 2));
		assert_int_equal(get(&card, PCIE_AT + PCI_EXP_DEVCTL, 2) & 0x70ef,
				 get(&before, PCIE_AT + PCI_EXP_DEVCTL, 2) & 0x70ef);
	}
}

static void test_pci_bars_too_large_for_the_window_are_refused(void **state)
{
	struct card card = make();
	struct pci_device pci;
	(void)state;
	set_bar(&card, 0, UINT64_C(8) << 20, 0); /* all of it, and BAR 1 wants some, too */
	assert_int_equal(probe(&card, &pci, &usual), -1);
	card = make();
	set_bar(&card, 0, UINT64_C(1) << 31, 0);
	assert_int_equal(probe(&card, &pci, &usual), -1);
}

/* The last BAR says that it is the lower half of a 64-bit one. */
static void test_pci_half_a_bar_is_no_bar(void **state)
{
	struct card card = make();
	struct pci_device pci;
	(void)state;
	set_bar(&card, 5, 4096, PCI_BASE_ADDRESS_MEM_TYPE_64);
	set_bar(&card, 4, 0, 0);
	assert_int_equal(probe(&card, &pci, &usual), 0);
	assert_int_equal(pci.bar[5].bytes, 0);
	for (unsigned i = 0; i < card.count; i++)
		assert_false(card.log[i].write && card.log[i].reg == PCI_CARDBUS_CIS);
}

/* ---- capabilities ---- */

static void test_pci_capabilities_are_found_one_after_the_other(void **state)
{
	struct card card = make();
	struct pci_device pci;
	(void)state;
	assert_int_equal(probe(&card, &pci, &usual), 0);
	set_capability(&card, MSIX_AT, PCI_CAP_ID_MSIX, VNDR_AT);
	set_capability(&card, VNDR_AT, PCI_CAP_ID_VNDR, 0xb3); /* the low bits of a pointer are reserved */
	set_capability(&card, 0xb0, PCI_CAP_ID_VNDR, 0xfc);
	set_capability(&card, 0xfc, PCI_CAP_ID_VNDR, 0);
	assert_int_equal(pci_find_capability(&pci, PCI_CAP_ID_VNDR, 0), VNDR_AT);
	assert_int_equal(pci_find_capability(&pci, PCI_CAP_ID_VNDR, VNDR_AT), 0xb0);
	assert_int_equal(pci_find_capability(&pci, PCI_CAP_ID_VNDR, 0xb0), 0xfc);
	assert_int_equal(pci_find_capability(&pci, PCI_CAP_ID_VNDR, 0xfc), 0);
	assert_int_equal(pci_find_capability(&pci, PCI_CAP_ID_PM, 0), PM_AT);
	assert_int_equal(pci_find_capability(&pci, PCI_CAP_ID_PM, PM_AT), 0);
	assert_int_equal(pci_find_capability(&pci, PCI_CAP_ID_MSI, 0), 0);
	/* No list, whatever the pointer says. */
	put(&card, PCI_STATUS, 2, 0);
	assert_int_equal(pci_find_capability(&pci, PCI_CAP_ID_PM, 0), 0);
}

static void test_pci_malformed_capability_list_ends(void **state)
{
	static const struct {
		unsigned at, next; /* links to be changed */
	} cases[] = {
		{MSIX_AT, MSIX_AT}, /* to itself */
		{MSIX_AT, PM_AT},   /* to the start */
		{MSIX_AT, PCIE_AT},
		{PM_AT, 4}, /* into the header */
		{PM_AT, PCI_CAPABILITY_LIST},
		{PM_AT, 0x3c},
		{PM_AT, 0xff}, /* to the end: 0xfc */
		{PM_AT, 0},
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct card card = make();
		struct pci_device pci;
		put(&card, cases[i].at + 1, 1, cases[i].next);
		assert_int_equal(probe(&card, &pci, &usual), 0);
		assert_int_equal(pci_find_capability(&pci, PCI_CAP_ID_SLOTID, 0), 0);
		assert_int_equal(pci.pm, PM_AT);
		assert_int_equal(pci.pcie, cases[i].at == PM_AT ? 0 : PCIE_AT);
		/* What lies in the header is no capability, whatever its bytes are: Command is 6. */
		assert_int_equal(pci_find_capability(&pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0), 0);
	}
}

static void set_virtio(struct card *card, unsigned at, unsigned next, unsigned type, unsigned bar,
		       uint32_t offset, uint32_t bytes)
{
	set_capability(card, at, PCI_CAP_ID_VNDR, next);
	put(card, at + VIRTIO_PCI_CAP_LEN, 1, 16);
	put(card, at + VIRTIO_PCI_CAP_CFG_TYPE, 1, type);
	put(card, at + VIRTIO_PCI_CAP_BAR, 1, bar);
	put(card, at + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	put(card, at + VIRTIO_PCI_CAP_LENGTH, 4, bytes);
}

static int find(struct card *card, struct virtio_device *virtio, struct pci_device *pci)
{
	char error[200] = "";
	assert_int_equal(probe(card, pci, &usual), 0);
	int result = virtio_find(virtio, pci, error, sizeof(error));
	assert_int_equal(error[0] != '\0', result != 0);
	return result;
}

/* All virtio capabilities, the last one pointing back: with all there the device works, with one missing the driver gives
 * up, but the search ends. */
static void test_pci_virtio_capabilities_in_a_loop_end(void **state)
{
	(void)state;
	for (unsigned present = 1; present <= 4; present++)
		for (unsigned back = 0; back < present; back++) {
			struct card card = make();
			struct pci_device pci;
			struct virtio_device virtio;
			set_capability(&card, MSIX_AT, PCI_CAP_ID_MSIX, VNDR_AT);
			for (unsigned i = 0; i < present; i++)
				set_virtio(&card, VNDR_AT + 20 * i,
					   VNDR_AT + 20 * (i + 1 < present ? i + 1 : back), 1 + i, 4,
					   0x1000 * i, 0x1000);
			assert_int_equal(find(&card, &virtio, &pci) == 0, present == 4);
			assert_int_equal(virtio.common.addr, pci.bar[4].addr);
		}
}

static void test_pci_virtio_structure_outside_its_bar_is_not_there(void **state)
{
	static const struct {
		unsigned bar;
		uint32_t offset, bytes;
		bool usable;
	} cases[] = {
		{4, 0, 0x1000, true},
		{4, 0x3000, 0x1000, true},
		{4, 0x3000, 0x1001, false},
		{4, 0x4000, 0x1000, false},
		{4, 0xfffff000, 0x1000, false}, /* wraps in 32 bits */
		{4, 0x1000, 0xfffff000, false},
		{4, 0, 0, false},
		{0, 0, 0x1000, false}, /* not implemented */
		{2, 0, 0x40, false},   /* I/O space */
		{5, 0, 0x1000, false}, /* the upper half of BAR 4 */
		{6, 0, 0x1000, false}, /* reserved */
		{255, 0, 0x1000, false},
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct card card = make();
		struct pci_device pci;
		struct virtio_device virtio;
		set_bar(&card, 2, 256, PCI_BASE_ADDRESS_SPACE_IO);
		set_capability(&card, MSIX_AT, PCI_CAP_ID_MSIX, VNDR_AT);
		for (unsigned j = 0; j < 4; j++)
			set_virtio(&card, VNDR_AT + 20 * j, j < 3 ? VNDR_AT + 20 * (j + 1) : 0, 1 + j, 4,
				   0x1000 * j, 0x1000);
		set_virtio(&card, VNDR_AT, VNDR_AT + 20, VIRTIO_PCI_CAP_COMMON_CFG, cases[i].bar,
			   cases[i].offset, cases[i].bytes);
		assert_int_equal(find(&card, &virtio, &pci) == 0, cases[i].usable);
		if (cases[i].usable)
			assert_int_equal(virtio.common.addr, pci.bar[4].addr + cases[i].offset);
	}
}

/* ---- Device Control ---- */

static void test_pci_device_control_is_what_both_ends_can(void **state)
{
	static const struct {
		struct pci_settings settings;
		unsigned mps_supported; /* code */
		bool extended, ten_bit;
		unsigned mps, mrrs; /* codes */
	} cases[] = {
		{{128, 128, false, false}, 3, true, true, 0, 0},
		{{256, 512, true, false}, 3, true, true, 1, 2},
		{{4096, 4096, true, true}, 3, true, true, 3, 5}, /* MRRS is the host's business alone */
		{{1024, 1024, true, true}, 0, false, false, 0, 3},
		{{512, 2048, true, true}, 2, true, false, 2, 4},
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct card card = make();
		struct pci_device pci;
		put(&card, PCIE_AT + PCI_EXP_DEVCAP, 4,
		    cases[i].mps_supported | (cases[i].extended ? PCI_EXP_DEVCAP_EXT_TAG : 0));
		put(&card, PCIE_AT + PCI_EXP_DEVCAP2, 4, cases[i].ten_bit ? 1u << 17 : 0);
		assert_int_equal(probe(&card, &pci, &cases[i].settings), 0);
		uint32_t control = get(&card, PCIE_AT + PCI_EXP_DEVCTL, 2);
		assert_int_equal((control & PCI_EXP_DEVCTL_PAYLOAD) >> 5, cases[i].mps);
		assert_int_equal((control & PCI_EXP_DEVCTL_READRQ) >> 12, cases[i].mrrs);
		assert_int_equal(!!(control & PCI_EXP_DEVCTL_EXT_TAG),
				 cases[i].settings.extended_tags && cases[i].extended);
		assert_int_equal(control & 0xf, 0xf); /* all errors are reported */
		assert_int_equal(get(&card, PCIE_AT + PCI_EXP_DEVCTL2, 2) >> 12 & 1,
				 cases[i].settings.tags_10bit && cases[i].ten_bit);
	}
}

/* ---- MSI-X ---- */

static void test_pci_msix_table_outside_its_bar_is_not_used(void **state)
{
	static const struct {
		uint32_t table; /* offset and BAR */
		unsigned size;  /* as encoded */
		unsigned vectors;
	} cases[] = {
		{0 | 1, 0, 1},     {0 | 1, 255, 256},  {0x800 | 1, 127, 128},   {0x800 | 1, 128, 0},
		{0xff0 | 1, 0, 1}, {0x1000 | 1, 0, 0}, {0xfffffff8u | 1, 0, 0}, {0 | 1, 0x7ff, 0},
		{0 | 0, 0, 0},     {0 | 6, 0, 0},      {0 | 7, 0, 0},           {0 | 2 /* I/O */, 0, 0},
		{0 | 5, 0, 0},
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct card card = make();
		struct pci_device pci;
		set_bar(&card, 2, 256, PCI_BASE_ADDRESS_SPACE_IO);
		put(&card, MSIX_AT + PCI_MSIX_TABLE, 4, cases[i].table);
		put(&card, MSIX_AT + PCI_MSIX_FLAGS, 2, cases[i].size);
		assert_int_equal(probe(&card, &pci, &usual), 0);
		assert_int_equal(pci.msix_vectors, cases[i].vectors);
		if (cases[i].vectors != 0)
			assert_int_equal(pci.msix_table, pci.bar[1].addr + (cases[i].table & ~7u));
	}
}

/* ---- reset ---- */

static void test_pci_function_reset_waits_for_reads_and_then_100_ms(void **state)
{
	static const unsigned busy[] = {0, 1, 30, UINT32_MAX};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(busy); i++) {
		struct card card = make();
		struct pci_device pci;
		assert_int_equal(probe(&card, &pci, &usual), 0);
		card.count = 0;
		card.busy_reads = busy[i];
		pci_function_reset(&pci);
		assert_true(busy[i] == UINT32_MAX ||
			    card.busy_reads == 0); /* a device that never ends is reset, too */
		assert_false(get(&card, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
		assert_true(last_access(&card, true, PCI_COMMAND) <
			    last_access(&card, false, PCIE_AT + PCI_EXP_DEVSTA));
		int reset = last_access(&card, true, PCIE_AT + PCI_EXP_DEVCTL);
		assert_true(reset > last_access(&card, false, PCIE_AT + PCI_EXP_DEVSTA));
		assert_true(card.log[reset].value & PCI_EXP_DEVCTL_BCR_FLR);
		assert_int_equal(reset, card.count - 1); /* and then it is left alone */
		assert_true(card.waited_ns >= 100000000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_pci_absent_or_foreign_devices_are_left_alone, "RC-002 G-066"),
		REQ_TEST(test_pci_steps_come_in_order, "RC-002"),
		REQ_TEST(test_pci_bar_sizes_are_found, "RC-002"),
		REQ_TEST(test_pci_bars_are_placed_aligned_and_apart, "RC-002"),
		cmocka_unit_test(test_pci_bars_too_large_for_the_window_are_refused),
		cmocka_unit_test(test_pci_half_a_bar_is_no_bar),
		REQ_TEST(test_pci_capabilities_are_found_one_after_the_other, "RC-002"),
		cmocka_unit_test(test_pci_malformed_capability_list_ends),
		REQ_TEST(test_pci_virtio_capabilities_in_a_loop_end, "G-090"),
		REQ_TEST(test_pci_virtio_structure_outside_its_bar_is_not_there, "G-069"),
		REQ_TEST(test_pci_device_control_is_what_both_ends_can, "RC-002"),
		cmocka_unit_test(test_pci_msix_table_outside_its_bar_is_not_used),
		REQ_TEST(test_pci_function_reset_waits_for_reads_and_then_100_ms, "RST-007"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
