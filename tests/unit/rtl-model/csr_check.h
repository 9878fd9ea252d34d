/* Reset value and access kind of a block's registers, against the register map. */
#ifndef KICKSTAND_TESTS_CSR_CHECK_H
#define KICKSTAND_TESTS_CSR_CHECK_H

#include "pcie/base.h"
#include "tests/check.h"

struct csr_case {
	uint32_t offset;
	uint32_t reset;    /* read before any write */
	uint32_t writable; /* bits that read back as written; the others keep their value */
	bool action;       /* writing does something: not written here */
};

struct csr_block {
	void *self;
	bool (*read)(void *self, uint64_t now_ps, uint32_t offset, uint32_t *value);
	bool (*write)(void *self, uint64_t now_ps, uint32_t offset, uint32_t value);
};

/* Reads and writes everything in the block's 4 KiB window; what is not in `cases` must not exist. */
static inline void csr_check(const struct csr_block *block, uint64_t now_ps, const struct csr_case *cases,
			     size_t count)
{
	for (uint32_t offset = 0; offset < 0x1000; offset++) {
		const struct csr_case *found = NULL;
		uint32_t value = 0x12345678;
		for (size_t i = 0; i < count; i++)
			if (cases[i].offset == offset)
				found = &cases[i];
		assert_int_equal(block->read(block->self, now_ps, offset, &value), found != NULL);
		assert_int_equal(value, found ? found->reset : 0x12345678);
		if (found && found->action)
			continue;
		assert_int_equal(block->write(block->self, now_ps, offset, 0xa5a5a5a5), found != NULL);
		if (!found)
			continue;
		assert_true(block->read(block->self, now_ps, offset, &value));
		assert_int_equal(value, (0xa5a5a5a5 & found->writable) | (found->reset & ~found->writable));
	}
}

#endif
