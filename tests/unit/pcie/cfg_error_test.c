/* Error logging and messages, PCIe 6.0 §6.2: registers seen by software and the message that goes up. */
#include "tests/unit/pcie/cfg_fixture.h"

enum { NONE = -1, COR = 0x30, NONFATAL = 0x31, FATAL = 0x33 }; /* message codes */
/* Device Control, Device Status */
enum { CERE = 1, NFERE = 2, FERE = 4, URRE = 8 };
enum { CED = 1, NFED = 2, FED = 4, URD = 8 };

static struct cfg_space cfg;

/* MRd of 1 DW at 0x1_0000_2000 and MWr of 1 DW at 0x3000, as wire bytes. */
static const uint8_t READ_4DW[16] = {0x20, 0, 0, 1, 0, 0x08, 0x05, 0x0f, 0, 0, 0, 1, 0, 0, 0x20, 0};
static const uint8_t WRITE_3DW[16] = {0x40, 0, 0, 1, 0, 0x08, 0, 0x0f, 0, 0, 0x30, 0, 0xde, 0xad, 0xbe, 0xef};

static unsigned device_status(void)
{
	return cfg_read(&cfg, DEVCTL) >> 16;
}
static unsigned status(void)
{
	return cfg_read(&cfg, COMMAND) >> 16;
}
static unsigned first_error(void)
{
	return cfg_read(&cfg, AER_CONTROL) & 0x1f;
}

static void setup(unsigned device_control, unsigned command)
{
	cfg_setup(&cfg);
	cfg_write16(&cfg, DEVCTL, device_control);
	cfg_write16(&cfg, COMMAND, command);
}

static void assert_header_log(uint32_t dw0, uint32_t dw1, uint32_t dw2, uint32_t dw3)
{
	assert_int_equal(cfg_read(&cfg, HEADER_LOG), dw0);
	assert_int_equal(cfg_read(&cfg, HEADER_LOG + 4), dw1);
	assert_int_equal(cfg_read(&cfg, HEADER_LOG + 8), dw2);
	assert_int_equal(cfg_read(&cfg, HEADER_LOG + 12), dw3);
}

static void test_cfg_error_of_default_severity_sets_its_bits_and_sends_its_message(void **state)
{
	(void)state;
	static const struct {
		enum cfg_aer error;
		unsigned bit;
		bool fatal;
	} rows[] = {
		{AER_POISONED, 12, false},
		{AER_COMPLETION_TIMEOUT, 14, false},
		{AER_COMPLETER_ABORT, 15, false},
		{AER_UNEXPECTED_COMPLETION, 16, false},
		{AER_OVERFLOW, 17, true},
		{AER_MALFORMED, 18, true},
		{AER_ECRC, 19, false},
		{AER_UNSUPPORTED_REQUEST, 20, false},
		{AER_INTERNAL, 22, true},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool ur = rows[i].bit == 20;
		setup(CERE | NFERE | FERE | URRE, 0);
		cfg_write(&cfg, UNCOR_MASK, 0); /* internal errors are masked after reset */
		int message = cfg_space_log_error(&cfg, rows[i].error, false, READ_4DW, sizeof(READ_4DW));
		assert_int_equal(message, rows[i].fatal ? FATAL : NONFATAL);
		assert_int_equal(cfg_read(&cfg, UNCOR_STATUS), 1u << rows[i].bit);
		assert_int_equal(cfg_read(&cfg, COR_STATUS), 0);
		assert_int_equal(device_status(), (rows[i].fatal ? FED : NFED) | (ur ? URD : 0));
		assert_int_equal(first_error(), rows[i].bit);
		assert_header_log(0x20000001, 0x0008050f, 0x00000001, 0x00002000);
		assert_int_equal(status(), 0x10); /* Signaled System Error is for SERR# Enable */
	}
}

static void test_cfg_error_severity_is_as_programmed(void **state)
{
	(void)state;
	setup(NFERE | FERE | URRE, 0);
	cfg_write(&cfg, UNCOR_SEVERITY, 1u << 20);
	assert_int_equal(cfg_space_log_error(&cfg, AER_UNSUPPORTED_REQUEST, false, NULL, 0), FATAL);
	assert_int_equal(device_status(), FED | URD);
	assert_int_equal(cfg_space_log_error(&cfg, AER_MALFORMED, false, NULL, 0), NONFATAL);
	assert_int_equal(device_status(), FED | NFED | URD);
	/* An error that would be advisory is not if its severity is fatal. */
	assert_int_equal(cfg_space_log_error(&cfg, AER_UNSUPPORTED_REQUEST, true, NULL, 0), FATAL);
	assert_int_equal(cfg_read(&cfg, COR_STATUS), 0);
}

/* §6.2.6 and figure 6-2: which enables let which message through. Status bits are set in every case. */
static void test_cfg_error_message_depends_on_enables(void **state)
{
	(void)state;
	for (unsigned enables = 0; enables < 32; enables++) {
		const unsigned control = enables & 0xf, command = enables & 0x10 ? COMMAND_SERR : 0;
		const bool serr = command != 0;
		const struct {
			enum cfg_aer error;
			bool send;
			int message;
			unsigned device_status;
		} rows[] = {
			{AER_COMPLETION_TIMEOUT, serr || control & NFERE, NONFATAL, NFED},
			{AER_MALFORMED, serr || control & FERE, FATAL, FED},
			{AER_UNSUPPORTED_REQUEST, serr || (control & NFERE && control & URRE), NONFATAL,
			 NFED | URD},
		};
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			setup(control, command);
			int message = cfg_space_log_error(&cfg, rows[i].error, false, NULL, 0);
			assert_int_equal(message, rows[i].send ? rows[i].message : NONE);
			assert_int_equal(device_status(), rows[i].device_status);
			assert_int_equal(cfg_read(&cfg, UNCOR_STATUS), 1u << rows[i].error);
			assert_int_equal(status(), 0x10 | (serr ? 0x4000 : 0));
		}
	}
}

static void test_cfg_error_masked_is_logged_in_status_only(void **state)
{
	(void)state;
	setup(NFERE | FERE | URRE, COMMAND_SERR);
	cfg_write(&cfg, UNCOR_MASK, 1u << 18);
	assert_int_equal(cfg_space_log_error(&cfg, AER_MALFORMED, false, READ_4DW, 16), NONE);
	assert_int_equal(cfg_read(&cfg, UNCOR_STATUS), 1u << 18);
	assert_int_equal(device_status(), FED);
	assert_int_equal(status(), 0x10);
	assert_int_equal(first_error(), 0);
	assert_header_log(0, 0, 0, 0);
	/* The first error that is not masked is the first error. */
	assert_int_equal(cfg_space_log_error(&cfg, AER_POISONED, false, WRITE_3DW, 16), NONFATAL);
	assert_int_equal(first_error(), 12);
	assert_header_log(0x40000001, 0x0008000f, 0x00003000, 0);
}

static void test_cfg_error_first_pointer_and_log_stay_until_status_is_cleared(void **state)
{
	(void)state;
	setup(NFERE | FERE | URRE, 0);
	cfg_space_log_error(&cfg, AER_POISONED, false, WRITE_3DW, 16);
	/* More errors, the same one again among them, are reported but do not move the pointer. */
	assert_int_equal(cfg_space_log_error(&cfg, AER_MALFORMED, false, READ_4DW, 16), FATAL);
	assert_int_equal(cfg_space_log_error(&cfg, AER_POISONED, false, READ_4DW, 16), NONFATAL);
	assert_int_equal(cfg_read(&cfg, UNCOR_STATUS), 1u << 12 | 1u << 18);
	assert_int_equal(first_error(), 12);
	assert_header_log(0x40000001, 0x0008000f, 0x00003000, 0);
	/* Clearing another bit, or writing zeros, releases nothing. */
	cfg_write(&cfg, UNCOR_STATUS, 1u << 18);
	cfg_write(&cfg, UNCOR_STATUS, 0);
	cfg_space_log_error(&cfg, AER_COMPLETION_TIMEOUT, false, READ_4DW, 16);
	assert_int_equal(first_error(), 12);
	assert_header_log(0x40000001, 0x0008000f, 0x00003000, 0);
	/* Clearing the first error's does, although another is set. */
	cfg_write(&cfg, UNCOR_STATUS, 1u << 12);
	assert_int_equal(cfg_read(&cfg, UNCOR_STATUS), 1u << 14);
	assert_int_equal(first_error(), 0);
	assert_header_log(0, 0, 0, 0);
	cfg_space_log_error(&cfg, AER_MALFORMED, false, READ_4DW, 16);
	assert_int_equal(first_error(), 18);
	assert_header_log(0x20000001, 0x0008050f, 0x00000001, 0x00002000);
}

static void test_cfg_error_header_log_has_no_more_than_the_header(void **state)
{
	(void)state;
	for (size_t size = 0; size <= 16; size++) {
		uint8_t *exact = malloc(size);
		uint8_t want[16] = {0};
		assert_true(exact != NULL || size == 0);
		if (size != 0)
			memcpy(exact, READ_4DW, size);
		memcpy(want, READ_4DW, size);
		setup(0, 0);
		cfg_space_log_error(&cfg, AER_MALFORMED, false, exact, size);
		assert_header_log(load_be32(want), load_be32(want + 4), load_be32(want + 8),
				  load_be32(want + 12));
		free(exact);
	}
	/* A 3DW header's log does not take payload in. */
	setup(0, 0);
	cfg_space_log_error(&cfg, AER_POISONED, false, WRITE_3DW, 16);
	assert_header_log(0x40000001, 0x0008000f, 0x00003000, 0);
	/* An error without a TLP. */
	setup(0, 0);
	cfg_space_log_error(&cfg, AER_COMPLETION_TIMEOUT, false, NULL, 0);
	assert_int_equal(first_error(), 14);
	assert_header_log(0, 0, 0, 0);
}

/* §6.2.3.2.4: masked after reset, so that only Device Status and the correctable status show it. */
static void test_cfg_error_advisory_masked_shows_in_correctable_status_only(void **state)
{
	(void)state;
	static const enum cfg_aer errors[] = {AER_UNSUPPORTED_REQUEST, AER_COMPLETER_ABORT,
					      AER_UNEXPECTED_COMPLETION, AER_POISONED};
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		setup(CERE | NFERE | FERE | URRE, COMMAND_SERR);
		assert_int_equal(cfg_space_log_error(&cfg, errors[i], true, READ_4DW, 16), NONE);
		assert_int_equal(device_status(), CED | (errors[i] == AER_UNSUPPORTED_REQUEST ? URD : 0));
		assert_int_equal(cfg_read(&cfg, COR_STATUS), 1u << 13);
		assert_int_equal(cfg_read(&cfg, UNCOR_STATUS), 0);
		assert_int_equal(first_error(), 0);
	}
}

static void test_cfg_error_advisory_unmasked_sends_err_cor(void **state)
{
	(void)state;
	for (unsigned enables = 0; enables < 16; enables++) {
		for (unsigned ur = 0; ur < 2; ur++) {
			const enum cfg_aer error = ur ? AER_UNSUPPORTED_REQUEST : AER_COMPLETER_ABORT;
			bool send = enables & CERE && (!ur || enables & URRE);
			setup(enables, COMMAND_SERR); /* SERR# Enable is not for correctable errors */
			cfg_write(&cfg, COR_MASK, 0);
			int message = cfg_space_log_error(&cfg, error, true, READ_4DW, 16);
			assert_int_equal(message, send ? COR : NONE);
			assert_int_equal(device_status(), CED | (ur ? URD : 0));
			assert_int_equal(cfg_read(&cfg, COR_STATUS), 1u << 13);
			assert_int_equal(cfg_read(&cfg, UNCOR_STATUS), 1u << error);
			assert_int_equal(first_error(), error);
			assert_header_log(0x20000001, 0x0008050f, 0x00000001, 0x00002000);
			assert_int_equal(status(), 0x10);
		}
	}
}

static void test_cfg_error_correctable_sets_its_bit_and_sends_err_cor_if_enabled(void **state)
{
	(void)state;
	static const struct {
		enum cfg_aer_correctable error;
		unsigned bit;
		bool masked; /* after reset */
	} rows[] = {{AER_RECEIVER, 0, false},        {AER_BAD_TLP, 6, false},
		    {AER_BAD_DLLP, 7, false},        {AER_REPLAY_ROLLOVER, 8, false},
		    {AER_REPLAY_TIMEOUT, 12, false}, {AER_CORRECTED_INTERNAL, 14, true}};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		setup(CERE, 0);
		assert_int_equal(cfg_space_log_correctable(&cfg, rows[i].error), rows[i].masked ? NONE : COR);
		assert_int_equal(cfg_read(&cfg, COR_STATUS), 1u << rows[i].bit);
		assert_int_equal(device_status(), CED);
		setup(NFERE | FERE | URRE, COMMAND_SERR);
		assert_int_equal(cfg_space_log_correctable(&cfg, rows[i].error), NONE);
		assert_int_equal(cfg_read(&cfg, COR_STATUS), 1u << rows[i].bit);
		setup(CERE, 0);
		cfg_write(&cfg, COR_MASK, ~(1u << rows[i].bit));
		assert_int_equal(cfg_space_log_correctable(&cfg, rows[i].error), COR);
	}
}

static void test_cfg_error_is_reported_with_bus_master_off_and_in_d3hot(void **state)
{
	(void)state;
	setup(NFERE | FERE | URRE, 0);
	cfg_write(&cfg, MSIX, 0xc0000000);
	cfg_write(&cfg, PMCSR, 3);
	assert_int_equal(cfg_space_log_error(&cfg, AER_UNSUPPORTED_REQUEST, false, WRITE_3DW, 12), NONFATAL);
}

static void test_cfg_error_log_survives_hot_reset_and_flr(void **state)
{
	(void)state;
	static const enum cfg_reset kinds[] = {CFG_RESET_HOT, CFG_RESET_FLR};
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		setup(NFERE | FERE | URRE, 0);
		cfg_space_log_error(&cfg, AER_MALFORMED, false, WRITE_3DW, 16);
		cfg_space_reset(&cfg, kinds[i]);
		assert_int_equal(cfg_read(&cfg, UNCOR_STATUS), 1u << 18);
		assert_int_equal(first_error(), 18);
		assert_header_log(0x40000001, 0x0008000f, 0x00003000, 0);
		assert_int_equal(device_status(), 0);
		assert_int_equal(cfg_space_log_error(&cfg, AER_MALFORMED, false, WRITE_3DW, 16),
				 NONE); /* enables gone */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_cfg_error_of_default_severity_sets_its_bits_and_sends_its_message,
			 "CAP-005 CAP-006 ERR-001 ERR-007 ERR-012 ERR-013 ERR-014 ERR-024 ERR-025"),
		REQ_TEST(test_cfg_error_severity_is_as_programmed, "CAP-005 ERR-001"),
		REQ_TEST(test_cfg_error_message_depends_on_enables,
			 "ERR-001 ERR-007 ERR-014 ERR-028 CFG-007"),
		REQ_TEST(test_cfg_error_masked_is_logged_in_status_only, "CAP-008 ERR-028"),
		REQ_TEST(test_cfg_error_first_pointer_and_log_stay_until_status_is_cleared,
			 "CAP-007 CAP-008 ERR-027"),
		REQ_TEST(test_cfg_error_header_log_has_no_more_than_the_header, "CAP-007 CAP-008"),
		REQ_TEST(test_cfg_error_advisory_masked_shows_in_correctable_status_only,
			 "ERR-002 ERR-003 ERR-008 ERR-012"),
		REQ_TEST(test_cfg_error_advisory_unmasked_sends_err_cor, "ERR-002 ERR-003"),
		REQ_TEST(test_cfg_error_correctable_sets_its_bit_and_sends_err_cor_if_enabled,
			 "CAP-006 ERR-026"),
		REQ_TEST(test_cfg_error_is_reported_with_bus_master_off_and_in_d3hot, "ERR-029"),
		REQ_TEST(test_cfg_error_log_survives_hot_reset_and_flr, "RST-002 RST-004"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
