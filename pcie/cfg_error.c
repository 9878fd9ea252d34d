/* Error logging and signalling: the flow of PCIe 6.0 §6.2.5 (figure 6-2) for a function with AER and
 * role-based error reporting. Status bits are set whether or not the error is reported; masks and enables
 * decide on the message. */
#include "pcie/cfg_space.h"

#include <linux/pci_regs.h>
#include <string.h>

#define NO_MESSAGE (-1)

static void set_device_status(struct cfg_space *cfg, unsigned bits)
{
	cfg->value[cfg->pcie + PCI_EXP_DEVSTA] |= (uint8_t)bits;
}

static uint32_t aer_reg(const struct cfg_space *cfg, unsigned reg)
{
	return load_le32(cfg->value + cfg->aer + reg);
}

static void aer_set(struct cfg_space *cfg, unsigned reg, uint32_t bits)
{
	store_le32(cfg->value + cfg->aer + reg, aer_reg(cfg, reg) | bits);
}

static bool device_control(const struct cfg_space *cfg, unsigned bit)
{
	return load_le16(cfg->value + cfg->pcie + PCI_EXP_DEVCTL) & bit;
}

/* The log's DWs read as the header is drawn, byte 0 in bits 31:24. What the TLP has not got is 0. */
static void log_header(struct cfg_space *cfg, const uint8_t *wire, size_t size)
{
	uint8_t header[TLP_HEADER_BYTES_MAX] = {0};
	if (wire && size > 0) {
		size_t header_bytes = wire[0] & 0x20 ? 16 : 12; /* Fmt[0]: 4DW */
		memcpy(header, wire, size < header_bytes ? size : header_bytes);
	}
	for (unsigned i = 0; i < sizeof(header); i += 4)
		store_le32(cfg->value + cfg->aer + PCI_ERR_HEADER_LOG + i, load_be32(header + i));
}

/* Sets the status bit. Pointer and header log are of the first error that is not masked, until software
 * clears its status bit (CAP-008). Returns false if the error is masked. */
static bool log_uncorrectable(struct cfg_space *cfg, enum cfg_aer error, const uint8_t *wire, size_t size)
{
	uint32_t bit = 1u << error;
	bool masked = aer_reg(cfg, PCI_ERR_UNCOR_MASK) & bit;
	uint32_t first = PCI_ERR_CAP_FEP(aer_reg(cfg, PCI_ERR_CAP));
	bool have_first = aer_reg(cfg, PCI_ERR_UNCOR_STATUS) >> first & 1;

	if (!masked && !have_first) {
		aer_set(cfg, PCI_ERR_CAP, error); /* the pointer is 0 while there is no first error */
		log_header(cfg, wire, size);
	}
	aer_set(cfg, PCI_ERR_UNCOR_STATUS, bit);
	return !masked;
}

/* Sets the status bit; returns false if the error is masked. */
static bool log_correctable(struct cfg_space *cfg, enum cfg_aer_correctable error)
{
	set_device_status(cfg, PCI_EXP_DEVSTA_CED);
	aer_set(cfg, PCI_ERR_COR_STATUS, 1u << error);
	return !(aer_reg(cfg, PCI_ERR_COR_MASK) >> error & 1);
}

int cfg_space_log_correctable(struct cfg_space *cfg, enum cfg_aer_correctable error)
{
	bool report = log_correctable(cfg, error) && device_control(cfg, PCI_EXP_DEVCTL_CERE);
	return report ? TLP_MSG_ERR_COR : NO_MESSAGE;
}

/* §6.2.3.2.4: while the advisory error is masked, which it is after reset for the sake of old software,
 * nothing is logged as uncorrectable either. */
static int log_advisory(struct cfg_space *cfg, enum cfg_aer error, const uint8_t *wire, size_t size)
{
	if (!log_correctable(cfg, AER_ADVISORY_NON_FATAL))
		return NO_MESSAGE;
	log_uncorrectable(cfg, error, wire, size);
	if (error == AER_UNSUPPORTED_REQUEST && !device_control(cfg, PCI_EXP_DEVCTL_URRE))
		return NO_MESSAGE;
	return device_control(cfg, PCI_EXP_DEVCTL_CERE) ? TLP_MSG_ERR_COR : NO_MESSAGE;
}

/* Reporting is enabled by SERR# Enable of the Command register, or by Device Control for this severity, which
 * needs Unsupported Request Reporting Enable as well if it is one. */
static bool report_enabled(struct cfg_space *cfg, enum cfg_aer error, bool fatal)
{
	if (load_le16(cfg->value + PCI_COMMAND) & PCI_COMMAND_SERR) {
		cfg->value[PCI_STATUS + 1] |= PCI_STATUS_SIG_SYSTEM_ERROR >> 8;
		return true;
	}
	if (error == AER_UNSUPPORTED_REQUEST && !device_control(cfg, PCI_EXP_DEVCTL_URRE))
		return false;
	return device_control(cfg, fatal ? PCI_EXP_DEVCTL_FERE : PCI_EXP_DEVCTL_NFERE);
}

int cfg_space_log_error(struct cfg_space *cfg, enum cfg_aer error, bool advisory, const uint8_t *wire,
			size_t size)
{
	bool fatal = aer_reg(cfg, PCI_ERR_UNCOR_SEVER) >> error & 1;
	if (error == AER_UNSUPPORTED_REQUEST)
		set_device_status(cfg, PCI_EXP_DEVSTA_URD);
	if (advisory && !fatal)
		return log_advisory(cfg, error, wire, size);
	set_device_status(cfg, fatal ? PCI_EXP_DEVSTA_FED : PCI_EXP_DEVSTA_NFED);
	if (!log_uncorrectable(cfg, error, wire, size) || !report_enabled(cfg, error, fatal))
		return NO_MESSAGE;
	return fatal ? TLP_MSG_ERR_FATAL : TLP_MSG_ERR_NONFATAL;
}
