/* An independent reader: lspci decodes the configuration space after a driver has set the device up. */
#include "tests/unit/pcie/cfg_fixture.h"

#include <unistd.h>

#define OUTPUT_BYTES_MAX 16384

static struct cfg_space cfg;

/* What a kernel does to a device it takes into use. */
static void drive(void)
{
	cfg_write(&cfg, BAR1, 0xfebf1000);
	cfg_write(&cfg, BAR4, 0xfe004000);
	cfg_space_write32(&cfg, 0x3c, 11, 0x1);
	cfg_write16(&cfg, DEVCTL, 0x5930);  /* MRRS 4096, extended tag, no snoop, RO, MPS 256 */
	cfg_write16(&cfg, LNKCTL, 0x0048);  /* common clock, RCB 128 */
	cfg_write16(&cfg, DEVCTL2, 0x1006); /* 10-bit tags, timeout 65 to 210 ms */
	cfg_write(&cfg, MSIX, 0x80000000);
	cfg_write16(&cfg, COMMAND, COMMAND_MEMORY | COMMAND_MASTER | COMMAND_SERR | COMMAND_INTX_DISABLE);
}

/* In the format of `lspci -xxxx`. */
static void write_dump(const char *path)
{
	FILE *file = fopen(path, "w");
	if (!file)
		fail_msg("cannot write %s: run this from the top of the tree, after building", path);
	fprintf(file, "01:00.0 SCSI storage controller\n");
	for (unsigned at = 0; at < 4096; at += 16) {
		fprintf(file, "%02x:", at);
		for (unsigned i = 0; i < 16; i++)
			fprintf(file, " %02x", cfg_read(&cfg, (at + i) & ~3u) >> 8 * (i % 4) & 0xff);
		fprintf(file, "\n");
	}
	fprintf(file, "\n");
	fclose(file);
}

/* Runs lspci on the present configuration space; numbers instead of names, so that no database is needed. */
static void lspci(char *output)
{
	char path[64], command[128];
	snprintf(path, sizeof(path), "build/cfg_layout_test.%d.lspci", (int)getpid());
	write_dump(path);
	snprintf(command, sizeof(command), "LC_ALL=C lspci -F %s -n -vvv 2>&1", path);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	size_t size = fread(output, 1, OUTPUT_BYTES_MAX - 1, pipe);
	output[size] = '\0';
	int status = pclose(pipe);
	unlink(path);
	if (status != 0)
		fail_msg("lspci failed (is pciutils installed?): %s", output);
}

static void assert_has(const char *output, const char *text)
{
	if (!strstr(output, text))
		fail_msg("lspci does not say \"%s\":\n%s", text, output);
}

static void assert_has_not(const char *output, const char *text)
{
	if (strstr(output, text))
		fail_msg("lspci says \"%s\":\n%s", text, output);
}

/* lspci 3.9 does not know the name of virtio capability type 5; everything else it has to. */
static void blank_pci_cfg_name(char *output)
{
	char *name = strstr(output, "VirtIO: <unknown>\n\t\tBAR=0 offset=00000000 size=00000000");
	if (name)
		memset(name, '.', strlen("VirtIO: <unknown>"));
}

static void test_cfg_layout_of_driven_device_is_decoded_by_lspci(void **state)
{
	(void)state;
	static const char *const lines[] = {
		"01:00.0 0100: 1af4:1042 (rev 01)\n",
		"\tSubsystem: 1af4:1100\n",
		"Control: I/O- Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR+ "
		"FastB2B- DisINTx+\n",
		"Status: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- "
		"<PERR- INTx-\n",
		"Interrupt: pin A routed to IRQ 11\n",
		"Region 1: Memory at febf1000 (32-bit, non-prefetchable)\n",
		"Region 4: Memory at fe004000 (64-bit, prefetchable)\n",
		"Capabilities: [40] Power Management version 3\n",
		"Status: D0 NoSoftRst+ PME-Enable-",
		"Capabilities: [48] MSI-X: Enable+ Count=5 Masked-\n"
		"\t\tVector table: BAR=1 offset=00000000\n"
		"\t\tPBA: BAR=1 offset=00000800\n",
		"Capabilities: [54] Express (v2) Endpoint, MSI 00\n",
		"DevCap:\tMaxPayload 512 bytes, PhantFunc 0, ",
		"ExtTag+ AttnBtn- AttnInd- PwrInd- RBE+ FLReset+ SlotPowerLimit 25",
		"DevCtl:\tCorrErr- NonFatalErr- FatalErr- UnsupReq-\n",
		"RlxdOrd+ ExtTag+ PhantFunc- AuxPwr- NoSnoop+ FLReset-\n"
		"\t\t\tMaxPayload 256 bytes, MaxReadReq 4096 bytes\n",
		"LnkCap:\tPort #0, Speed 8GT/s, Width x8, ASPM not supported\n",
		"LnkCtl:\tASPM Disabled; RCB 128 bytes, Disabled- CommClk+\n",
		"LnkSta:\tSpeed 8GT/s, Width x8",
		"DevCap2: Completion Timeout: Range ABCD, TimeoutDis+",
		"10BitTagComp+ 10BitTagReq+",
		"DevCtl2: Completion Timeout: 65ms to 210ms, TimeoutDis-",
		"LnkCap2: Supported Link Speeds: 2.5-8GT/s",
		"LnkCtl2: Target Link Speed: 8GT/s, EnterCompliance- SpeedDis-\n",
		"VirtIO: CommonCfg\n\t\tBAR=4 offset=00000000 size=00001000\n",
		"VirtIO: ISR\n\t\tBAR=4 offset=00001000 size=00001000\n",
		"VirtIO: DeviceCfg\n\t\tBAR=4 offset=00002000 size=00001000\n",
		"VirtIO: Notify\n\t\tBAR=4 offset=00003000 size=00001000 multiplier=00000004\n",
		"Capabilities: [d4] Vendor Specific Information: ",
		"Capabilities: [100 v2] Advanced Error Reporting\n",
		"AERCap:\tFirst Error Pointer: 00, ECRCGenCap+ ECRCGenEn- ECRCChkCap+ ECRCChkEn-\n",
		"Capabilities: [148 v1] Device Serial Number 01-23-45-67-89-ab-cd-ef\n",
	};
	static const char *const complaints[] = {"<access denied>", "<chain",   "!!!",          "unknown",
						 "Unknown",         "<broken",  "<?>",          "Region 0",
						 "Region 2",        "Region 5", "Expansion ROM"};
	static char output[OUTPUT_BYTES_MAX];
	cfg_setup(&cfg);
	drive();
	cfg_space_set_slot_power(&cfg, 25);
	lspci(output);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_has(output, lines[i]);
	blank_pci_cfg_name(output);
	for (size_t i = 0; i < ARRAY_SIZE(complaints); i++)
		assert_has_not(output, complaints[i]);
}

/* Given a file, lspci also prints the upper half of a 64-bit BAR as a region, hence no look at the other
 * regions. */
static void test_cfg_layout_with_bar_above_4g_and_errors_is_decoded_by_lspci(void **state)
{
	(void)state;
	static const uint8_t bad_tlp[12] = {0x40, 0, 0, 0x02, 0x00, 0x08, 0, 0x0f, 0xfe, 0xbf, 0x10, 0};
	static const char *const lines[] = {
		"Region 4: Memory at 900004000 (64-bit, prefetchable)\n",
		"Control: I/O- Mem+ BusMaster+ ",
		"<TAbort- <MAbort+ >SERR+ <PERR- INTx+\n",
		"MSI-X: Enable+ Count=5 Masked+\n",
		"Status: D3 NoSoftRst+",
		"DevSta:\tCorrErr+ NonFatalErr- FatalErr+ UnsupReq+ AuxPwr- TransPend+\n",
		"UESta:\tDLP- SDES- TLP- FCP- CmpltTO- CmpltAbrt- UnxCmplt- RxOF- MalfTLP+ ECRC- UnsupReq- "
		"ACSViol-\n",
		"UESvrt:\tDLP+ SDES+ TLP- FCP+ CmpltTO- CmpltAbrt- UnxCmplt- RxOF+ MalfTLP+ ECRC- UnsupReq- "
		"ACSViol-\n",
		"CESta:\tRxErr- BadTLP- BadDLLP- Rollover- Timeout- AdvNonFatalErr+\n",
		"CEMsk:\tRxErr- BadTLP- BadDLLP- Rollover- Timeout- AdvNonFatalErr+\n",
		"AERCap:\tFirst Error Pointer: 12,",
		"HeaderLog: 40000002 0008000f febf1000 00000000\n",
	};
	static char output[OUTPUT_BYTES_MAX];
	cfg_setup(&cfg);
	drive();
	cfg_write(&cfg, BAR4, 0x00004000);
	cfg_write(&cfg, BAR5, 0x9);
	cfg_write(&cfg, MSIX, 0xc0000000);
	cfg_space_set_interrupt_status(&cfg, true);
	cfg_space_set_transactions_pending(&cfg, true);
	cfg_space_set_status(&cfg, CFG_STATUS_REC_MASTER_ABORT);
	assert_int_equal(cfg_space_log_error(&cfg, AER_MALFORMED, false, bad_tlp, sizeof(bad_tlp)),
			 TLP_MSG_ERR_FATAL);
	assert_int_equal(cfg_space_log_error(&cfg, AER_UNSUPPORTED_REQUEST, true, NULL, 0), -1);
	cfg_write(&cfg, PMCSR, 3);
	lspci(output);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_has(output, lines[i]);
	assert_has_not(output, "!!!");
	assert_has_not(output, "<chain");
}

/* The chain stays whole with every number of virtio capabilities, at every generation. */
static void test_cfg_layout_variants_are_decoded_by_lspci(void **state)
{
	(void)state;
	static const char *const speeds[] = {"2.5GT/s", "5GT/s", "8GT/s", "16GT/s", "32GT/s"};
	static char output[OUTPUT_BYTES_MAX];
	for (unsigned i = 0; i < 5; i++) {
		struct cfg_space_config config = default_config();
		char link[64], mps[64], vectors[64];
		config.link_generation = i + 1;
		config.link_lanes = 1u << i;
		config.mps_supported_bytes = 128u << i;
		config.virtio_cap_count = i;
		config.msix_vectors = 1 + 31 * i;
		config.interrupt_pin = 0;
		assert_int_equal(cfg_space_init(&cfg, &config, NULL, 0), 0);
		lspci(output);
		snprintf(link, sizeof(link), "LnkCap:\tPort #0, Speed %s, Width x%u,", speeds[i], 1u << i);
		snprintf(mps, sizeof(mps), "DevCap:\tMaxPayload %u bytes", 128u << i);
		snprintf(vectors, sizeof(vectors), "MSI-X: Enable- Count=%u Masked-", 1 + 31 * i);
		assert_has(output, link);
		assert_has(output, mps);
		assert_has(output, vectors);
		assert_has(output, "Device Serial Number");
		assert_has_not(output, "<chain");
		assert_has_not(output, "!!!");
		assert_has_not(output, "unknown");
		assert_has_not(output, "Interrupt: pin");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_cfg_layout_of_driven_device_is_decoded_by_lspci,
			 "CFG-001 CFG-008 CFG-015 CAP-001 CAP-002 CAP-005 CAP-007 INT-001"),
		REQ_TEST(test_cfg_layout_with_bar_above_4g_and_errors_is_decoded_by_lspci,
			 "CFG-007 CAP-005 CAP-006 CAP-007 CAP-008 INT-014 TAG-011 ERR-014"),
		REQ_TEST(test_cfg_layout_variants_are_decoded_by_lspci, "CFG-015 CAP-001"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
