/* Arbitrary bytes as vfio-user messages, through everything that looks at them before the card is involved. The first byte
 * says how many descriptors come along; then message after message. */
#include "host-sim/serve/vfio_user_msg.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The payload in a block of its own size, so that a read past its end is found. */
static void look(const struct vfio_user_header *header, const uint8_t *payload, unsigned fds)
{
	size_t bytes = vfio_user_payload_bytes(header);
	struct vfio_user_version version, answer;
	struct vfio_user_dma_map map;
	struct vfio_user_dma_unmap unmap;
	struct vfio_user_set_irqs set;
	struct vfio_user_access access;
	uint8_t text[4 + VFIO_USER_JSON_MAX];
	const uint8_t *reply = vfio_user_dma_data(header, payload, (enum vfio_user_layout)(fds % 2), 0,
						  bytes < 16 ? 0 : (uint32_t)bytes - 16);
	ASSERT(!reply || reply + (bytes - 16) <= payload + bytes);
	if (vfio_user_check_command(header, fds) != 0)
		return;
	switch (header->command) {
	case VFIO_USER_VERSION:
		if (vfio_user_get_version(payload, bytes, &version) != 0)
			break;
		answer = vfio_user_answer_version(&version);
		ASSERT(vfio_user_put_version(&answer, text, sizeof(text)) <= sizeof(text));
		break;
	case VFIO_USER_DMA_MAP:
		memcpy(&map, payload, sizeof(map));
		ASSERT(vfio_user_check_map(&map) != 0 || map.addr + (map.bytes - 1) >= map.addr);
		break;
	case VFIO_USER_DMA_UNMAP:
		memcpy(&unmap, payload, sizeof(unmap));
		ASSERT(vfio_user_check_unmap(&unmap) != 0 ||
		       unmap.addr + (unmap.bytes - 1) + 1 >= unmap.addr ||
		       unmap.addr + (unmap.bytes - 1) == UINT64_MAX);
		break;
	case VFIO_USER_SET_IRQS:
		memcpy(&set, payload, sizeof(set));
		if (vfio_user_check_set_irqs(&set, bytes, fds, 17) == 0 && (set.flags & VFIO_USER_SET_BOOL))
			ASSERT(sizeof(set) + set.count <= bytes && set.start + set.count <= 17);
		break;
	case VFIO_USER_REGION_READ:
	case VFIO_USER_REGION_WRITE:
		memcpy(&access, payload, sizeof(access));
		if (vfio_user_check_access(access.offset, access.count, 0x4000) == 0)
			ASSERT(access.offset + access.count <= 0x4000);
		break;
	case VFIO_USER_REGION_WRITE_MULTI:
		for (int i = 0; i < vfio_user_multi_writes(payload, bytes); i++)
			(void)vfio_user_multi_at(payload, (unsigned)i);
		break;
	default: break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned fds = size ? data[0] % 20 : 0;
	for (size_t at = 1; at < size && size - at >= VFIO_USER_HEADER_BYTES;) {
		struct vfio_user_header header;
		if (vfio_user_get_header(data + at, &header) || header.bytes > size - at)
			break;
		uint8_t *payload =
			malloc(vfio_user_payload_bytes(&header) + !vfio_user_payload_bytes(&header));
		ASSERT(payload);
		memcpy(payload, data + at + VFIO_USER_HEADER_BYTES, vfio_user_payload_bytes(&header));
		look(&header, payload, fds);
		free(payload);
		at += header.bytes;
	}
	return 0;
}
