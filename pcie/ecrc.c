/* ECRC, PCIe 6.0 §2.7.1: CRC-32 with polynomial 0x04C11DB7, seed all ones, complemented, each byte from
 * its bit 0 on. Bits that a switch may change on the way (Type[0], EP) are taken as 1. The result is that
 * of zlib's crc32() over the same bytes; it is done here so that libpcie.a needs no other library. */
#include "pcie/tlp.h"

#define TYPE_0_BIT 0x01u /* in byte 0 */
#define TD_BIT     0x80u /* in byte 2 */
#define EP_BIT     0x40u

/* Remainders of the 4-bit values, polynomial bit-reversed. */
static const uint32_t remainder_of_nibble[16] = {
	0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
	0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

static uint32_t crc_byte(uint32_t crc, uint8_t byte)
{
	crc = crc >> 4 ^ remainder_of_nibble[(crc ^ byte) & 0xf];
	return crc >> 4 ^ remainder_of_nibble[(crc ^ byte >> 4) & 0xf];
}

uint32_t tlp_ecrc(const uint8_t *wire, size_t size_without_digest)
{
	uint32_t crc = ~0u;
	ASSERT(size_without_digest >= 12);
	crc = crc_byte(crc, wire[0] | TYPE_0_BIT);
	crc = crc_byte(crc, wire[1]);
	crc = crc_byte(crc, wire[2] | EP_BIT);
	for (size_t i = 3; i < size_without_digest; i++)
		crc = crc_byte(crc, wire[i]);
	return ~crc;
}

bool tlp_ecrc_ok(const uint8_t *wire, size_t size)
{
	if (!(wire[2] & TD_BIT))
		return true;
	return load_le32(wire + size - 4) == tlp_ecrc(wire, size - 4);
}
