#include "tests/programs/mix.h"

/* CRC-32 (IEEE 802.3, reflected), a bit at a time: the checksum over all results, and itself a part of the load. */
static uint32_t crc32_byte(uint32_t crc, uint8_t byte)
{
	crc ^= byte;
	for (int bit = 0; bit < 8; bit++)
		crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	return crc;
}

static uint32_t crc32_word(uint32_t crc, uint32_t word)
{
	for (int i = 0; i < 4; i++, word >>= 8)
		crc = crc32_byte(crc, (uint8_t)word);
	return crc;
}

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* ---- list: build, merge sort by key, reverse, look up ---- */

struct node {
	struct node *next;
	int16_t key;
	uint16_t value;
};

enum { NODES = 96 };

static struct node *merge(struct node *a, struct node *b)
{
	struct node head, *tail = &head;
	while (a && b) {
		struct node **smaller = b->key < a->key ? &b : &a;
		tail->next = *smaller;
		tail = *smaller;
		*smaller = tail->next;
	}
	tail->next = a ? a : b;
	return head.next;
}

static struct node *sort(struct node *list)
{
	if (!list || !list->next)
		return list;
	struct node *middle = list;
	for (struct node *end = list->next; end && end->next; end = end->next->next)
		middle = middle->next;
	struct node *second = middle->next;
	middle->next = 0;
	return merge(sort(list), sort(second));
}

static struct node *reverse(struct node *list)
{
	struct node *done = 0;
	while (list) {
		struct node *next = list->next;
		list->next = done;
		done = list;
		list = next;
	}
	return done;
}

static uint32_t list_part(uint32_t crc, uint32_t *random)
{
	struct node nodes[NODES], *list = 0;
	for (int i = 0; i < NODES; i++) {
		uint32_t r = next_random(random);
		nodes[i] = (struct node){list, (int16_t)r, (uint16_t)(r >> 16)};
		list = &nodes[i];
	}
	list = reverse(sort(list));
	for (int i = 0; i < 8; i++) {
		int16_t wanted = nodes[next_random(random) % NODES].key;
		unsigned steps = 0;
		for (struct node *n = list; n && n->key != wanted; n = n->next)
			steps++;
		crc = crc32_byte(crc, (uint8_t)steps);
	}
	return crc32_word(crc, (uint32_t)list->key << 16 | list->value);
}

/* ---- matrix: product of 16-bit matrices, then a fixed-point scale ---- */

enum { SIDE = 10 };

static uint32_t matrix_part(uint32_t crc, uint32_t *random)
{
	int16_t a[SIDE][SIDE], b[SIDE][SIDE];
	int32_t product[SIDE][SIDE];
	for (int i = 0; i < SIDE; i++) {
		for (int j = 0; j < SIDE; j++) {
			a[i][j] = (int16_t)(next_random(random) & 0x3ff);
			b[i][j] = (int16_t)(j - i);
		}
	}
	for (int i = 0; i < SIDE; i++) {
		for (int j = 0; j < SIDE; j++) {
			int32_t sum = 0;
			for (int k = 0; k < SIDE; k++)
				sum += a[i][k] * b[k][j];
			product[i][j] = sum;
		}
	}
	uint32_t trace = 0;
	for (int i = 0; i < SIDE; i++)
		trace += (uint32_t)(product[i][i] >> 3) + (uint32_t)(product[i][SIDE - 1 - i] % 7);
	return crc32_word(crc, trace);
}

/* ---- state machine: numbers in a line of text ---- */

enum scan { SCAN_START, SCAN_SIGN, SCAN_INTEGER, SCAN_FRACTION, SCAN_EXPONENT, SCAN_BAD, SCAN_STATES };

static enum scan scan_step(enum scan state, char c)
{
	int digit = c >= '0' && c <= '9';
	switch (state) {
	case SCAN_START:
		if (c == '+' || c == '-')
			return SCAN_SIGN;
		return digit ? SCAN_INTEGER : c == '.' ? SCAN_FRACTION : SCAN_BAD;
	case SCAN_SIGN: return digit ? SCAN_INTEGER : c == '.' ? SCAN_FRACTION : SCAN_BAD;
	case SCAN_INTEGER:
		if (c == 'e')
			return SCAN_EXPONENT;
		return digit ? SCAN_INTEGER : c == '.' ? SCAN_FRACTION : SCAN_BAD;
	case SCAN_FRACTION: return digit ? SCAN_FRACTION : c == 'e' ? SCAN_EXPONENT : SCAN_BAD;
	case SCAN_EXPONENT: return digit || c == '-' ? SCAN_EXPONENT : SCAN_BAD;
	default: return SCAN_BAD;
	}
}

static uint32_t scan_part(uint32_t crc, uint32_t *random)
{
	static const char pieces[][9] = {"512,",      "-1.75,", "+64e3,", "7x9,",
					 "0.125e-2,", ".5,",    "4096,",  "--3,"};
	char line[128];
	unsigned length = 0, counts[SCAN_STATES] = {0};
	while (length < sizeof(line) - 9) {
		const char *piece = pieces[next_random(random) % 8];
		for (unsigned i = 0; i < 9 && piece[i]; i++)
			line[length++] = piece[i];
	}
	enum scan state = SCAN_START;
	for (unsigned i = 0; i < length; i++) {
		if (line[i] == ',') {
			counts[state]++;
			state = SCAN_START;
		} else {
			state = scan_step(state, line[i]);
		}
	}
	for (int i = 0; i < SCAN_STATES; i++)
		crc = crc32_byte(crc, (uint8_t)counts[i]);
	return crc;
}

/* ---- bytes: copy, and a checksum as the Internet protocol has it ---- */

static uint32_t bytes_part(uint32_t crc, uint32_t *random)
{
	uint8_t from[256], to[256];
	for (int i = 0; i < 256; i++)
		from[i] = (uint8_t)(next_random(random) >> 9);
	for (int i = 0; i < 256; i++)
		to[255 - i] = from[i];
	uint32_t sum = 0;
	for (int i = 0; i < 256; i += 2)
		sum += (uint32_t)to[i] << 8 | to[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return crc32_word(crc, sum);
}

uint32_t mix_run(unsigned rounds)
{
	uint32_t crc = 0xffffffff, random = 0x1234567;
	for (unsigned i = 0; i < rounds; i++) {
		crc = list_part(crc, &random);
		crc = matrix_part(crc, &random);
		crc = scan_part(crc, &random);
		crc = bytes_part(crc, &random);
	}
	return ~crc;
}
