/* Byte enables of one DW, as PCIe requests carry them (PCIe 6.0 §2.2.5). */
#ifndef KICKSTAND_RTL_MODEL_BYTE_ENABLE_H
#define KICKSTAND_RTL_MODEL_BYTE_ENABLE_H

#include "pcie/base.h"

/* The bits of the enabled bytes. */
static inline uint32_t be_bits(uint8_t be)
{
	uint32_t bits = 0;
	for (unsigned i = 0; i < 4; i++)
		bits |= be >> i & 1 ? UINT32_C(0xff) << 8 * i : 0;
	return bits;
}

/* `old` with the enabled bytes of `data`. */
static inline uint32_t be_merge(uint32_t old, uint32_t data, uint8_t be)
{
	return (old & ~be_bits(be)) | (data & be_bits(be));
}

#endif
