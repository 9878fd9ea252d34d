/* The ELF loader on good files, on every kind of bad one, and on random damage. */
#include "tests/unit/rtl-model/cpu_fixture.h"

#include <elf.h>
#include <unistd.h>

enum { PATTERN = 0xa5 };

/* A small executable: text at TCM, data in the request memory, a symbol table. */
struct image {
	Elf32_Ehdr header;
	Elf32_Phdr segment[2];
	uint8_t text[16], data[8];
	Elf32_Sym symbol[4];
	char strings[32];
	Elf32_Shdr section[3];
};

static struct image good_image(void)
{
	struct image i = {
		.header =
			{
				.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
				.e_type = ET_EXEC,
				.e_machine = EM_RISCV,
				.e_version = EV_CURRENT,
				.e_entry = 0x80000004,
				.e_phoff = offsetof(struct image, segment),
				.e_shoff = offsetof(struct image, section),
				.e_flags = EF_RISCV_RVC,
				.e_ehsize = sizeof(Elf32_Ehdr),
				.e_phentsize = sizeof(Elf32_Phdr),
				.e_phnum = 2,
				.e_shentsize = sizeof(Elf32_Shdr),
				.e_shnum = 3,
			},
		.segment =
			{
				{PT_LOAD, offsetof(struct image, text), 0x80000000, 0x80000000, 16, 40,
				 PF_R | PF_X, 4},
				/* linked to run elsewhere: the physical address counts */
				{PT_LOAD, offsetof(struct image, data), 0x60000000, 0x20000100, 8, 8,
				 PF_R | PF_W, 4},
			},
		.text = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		.data = {21, 22, 23, 24, 25, 26, 27, 28},
		.symbol =
			{
				{0},
				{.st_name = 1, .st_value = 0x11111111, .st_shndx = 1},
				{.st_name = 7, .st_value = 0x80000040, .st_shndx = SHN_ABS},
				{.st_name = 14, .st_value = 0x80000080, .st_shndx = 1},
			},
		.strings = "\0other\0tohost\0fromhost",
		.section =
			{
				{0},
				{.sh_type = SHT_SYMTAB,
				 .sh_offset = offsetof(struct image, symbol),
				 .sh_size = sizeof(((struct image *)0)->symbol),
				 .sh_link = 2,
				 .sh_entsize = sizeof(Elf32_Sym)},
				{.sh_type = SHT_STRTAB,
				 .sh_offset = offsetof(struct image, strings),
				 .sh_size = 32},
			},
	};
	return i;
}

struct loader {
	char path[64];
	uint8_t tcm[TCM_BYTES], sram[SRAM_BYTES];
	struct cpu_program program;
	char error[300];
};

static int set_up(void **state)
{
	struct loader *l = calloc(1, sizeof(*l));
	snprintf(l->path, sizeof(l->path), "/tmp/kickstand-elf-XXXXXX");
	int fd = mkstemp(l->path);
	*state = l;
	return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
	struct loader *l = *state;
	unlink(l->path);
	free(l);
	return 0;
}

static int load_path(struct loader *l, const char *path)
{
	const struct cpu_memory memory[CPU_MEMORIES] = {{(uint32_t)TCM, TCM_BYTES, l->tcm},
							{SRAM, SRAM_BYTES, l->sram}};
	memset(l->tcm, PATTERN, sizeof(l->tcm));
	memset(l->sram, PATTERN, sizeof(l->sram));
	memset(&l->program, PATTERN, sizeof(l->program));
	l->error[0] = '\0';
	return cpu_load_elf(path, memory, &l->program, l->error, sizeof(l->error));
}

static int load_bytes(struct loader *l, const void *bytes, size_t size)
{
	FILE *file = fopen(l->path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
	return load_path(l, l->path);
}

static bool all_pattern(const void *memory, size_t size)
{
	const uint8_t *bytes = memory;
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != PATTERN)
			return false;
	return true;
}

/* One line that starts with the file's name; nothing written. */
static void check_refused(struct loader *l, const char *path)
{
	assert_int_equal(strncmp(l->error, path, strlen(path)), 0);
	assert_null(strchr(l->error, '\n'));
	assert_true(all_pattern(l->tcm, sizeof(l->tcm)));
	assert_true(all_pattern(l->sram, sizeof(l->sram)));
	assert_true(all_pattern(&l->program, sizeof(l->program)));
}

/* ---- good files -------------------------------------------------------------------------------------------- */

static void test_elf_good_file_is_loaded(void **state)
{
	struct loader *l = *state;
	struct image image = good_image();
	assert_int_equal(load_bytes(l, &image, sizeof(image)), 0);
	assert_int_equal(l->program.entry, 0x80000004);
	assert_int_equal(l->program.tohost, 0x80000040);
	assert_int_equal(l->program.fromhost, 0x80000080);
	assert_memory_equal(l->tcm, image.text, 16);
	for (size_t i = 16; i < 40; i++) /* in memory only: zero */
		assert_int_equal(l->tcm[i], 0);
	assert_true(all_pattern(l->tcm + 40, TCM_BYTES - 40));
	assert_memory_equal(l->sram + 0x100, image.data, 8);
	assert_true(all_pattern(l->sram, 0x100));
	assert_true(all_pattern(l->sram + 0x108, SRAM_BYTES - 0x108));
}

static void test_elf_segments_may_fill_memory_to_its_ends(void **state)
{
	struct loader *l = *state;
	struct image image = good_image();
	image.segment[0].p_paddr = 0x80000000 + TCM_BYTES - 40;
	image.segment[1].p_paddr = SRAM + SRAM_BYTES - 8;
	assert_int_equal(load_bytes(l, &image, sizeof(image)), 0);
	assert_memory_equal(l->tcm + TCM_BYTES - 40, image.text, 16);
	assert_memory_equal(l->sram + SRAM_BYTES - 8, image.data, 8);
	image = good_image();
	image.segment[0].p_memsz = TCM_BYTES;
	assert_int_equal(load_bytes(l, &image, sizeof(image)), 0);
	assert_int_equal(l->tcm[TCM_BYTES - 1], 0);
}

static void test_elf_segments_that_occupy_nothing_are_ignored(void **state)
{
	struct loader *l = *state;
	struct image image = good_image();
	image.segment[1].p_type = PT_NOTE;
	image.segment[1].p_offset = 0xfffffff0;
	assert_int_equal(load_bytes(l, &image, sizeof(image)), 0);
	assert_true(all_pattern(l->sram, SRAM_BYTES));
	image = good_image();
	image.segment[1].p_memsz = 0;
	image.segment[1].p_filesz = 0;
	image.segment[1].p_paddr = 0xdeadbeef;
	assert_int_equal(load_bytes(l, &image, sizeof(image)), 0);
}

static void test_elf_without_symbols_gives_zero(void **state)
{
	struct loader *l = *state;
	for (unsigned kind = 0; kind < 9; kind++) {
		struct image image = good_image();
		switch (kind) {
		case 0: image.header.e_shnum = 0; break;
		case 1: image.header.e_shoff = 0xfffffff0; break;
		case 2: image.header.e_shentsize = 39; break;
		case 3: image.section[1].sh_type = SHT_PROGBITS; break;
		case 4: image.section[1].sh_link = 77; break;
		case 5: image.section[1].sh_offset = 0xfffffff0; break;
		case 6: image.section[2].sh_offset = 0xfffffff0; break;
		case 7: image.section[2].sh_size = 9; break; /* ends within the name */
		case 8:
			image.symbol[2].st_shndx = SHN_UNDEF;
			image.symbol[3].st_name = 0xffffffff;
			break;
		}
		assert_int_equal(load_bytes(l, &image, sizeof(image)), 0);
		assert_int_equal(l->program.tohost, 0);
		assert_int_equal(l->program.fromhost, 0);
	}
}

/* A symbol table said to be larger than the file is read as far as it goes. */
static void test_elf_symbol_table_beyond_the_file_ends_the_search(void **state)
{
	struct loader *l = *state;
	struct image image = good_image();
	image.section[1].sh_size = 0xffffffff;
	memset(image.symbol, 0, sizeof(image.symbol));
	assert_int_equal(load_bytes(l, &image, sizeof(image)), 0);
	assert_int_equal(l->program.tohost, 0);
}

/* ---- bad files ------------------------------------------------------------------------------------------------ */

/* Puts `value` of `size` bytes at `offset` of the good image. */
static const struct damage {
	const char *want; /* part of the message */
	size_t offset, size;
	uint32_t value;
} damages[] = {
	{"not an ELF file", offsetof(struct image, header.e_ident), 4, 0x464c4580},
	{"not a 32-bit ELF", offsetof(struct image, header.e_ident[EI_CLASS]), 1, ELFCLASS64},
	{"not a 32-bit ELF", offsetof(struct image, header.e_ident[EI_CLASS]), 1, 0},
	{"not little-endian", offsetof(struct image, header.e_ident[EI_DATA]), 1, ELFDATA2MSB},
	{"for machine 62, not RISC-V", offsetof(struct image, header.e_machine), 2, EM_X86_64},
	{"type 1 is not an executable", offsetof(struct image, header.e_type), 2, ET_REL},
	{"type 3 is not an executable", offsetof(struct image, header.e_type), 2, ET_DYN},
	{"floating-point", offsetof(struct image, header.e_flags), 4, EF_RISCV_FLOAT_ABI_DOUBLE},
	{"program headers of 31 bytes", offsetof(struct image, header.e_phentsize), 2, 31},
	{"program headers of 0 bytes", offsetof(struct image, header.e_phentsize), 2, 0},
	{"no segments", offsetof(struct image, header.e_phnum), 2, 0},
	{"65535 segments", offsetof(struct image, header.e_phnum), 2, 0xffff},
	{"truncated within the program headers", offsetof(struct image, header.e_phnum), 2, 250},
	{"truncated within the program headers", offsetof(struct image, header.e_phoff), 4, 0xfffffff0},
	{"truncated within the program headers", offsetof(struct image, header.e_phoff), 4, 0xffffffe0},
	{"truncated within the program headers", offsetof(struct image, header.e_phoff), 4,
	 sizeof(struct image) - 63},
	{"truncated within segment 0", offsetof(struct image, segment[0].p_offset), 4,
	 sizeof(struct image) - 15},
	{"truncated within segment 0", offsetof(struct image, segment[0].p_offset), 4, 0xfffffff8},
	{"truncated within segment 1", offsetof(struct image, segment[1].p_offset), 4, 0xffffffff},
	{"more bytes in the file than in memory", offsetof(struct image, segment[0].p_filesz), 4, 41},
	{"more bytes in the file than in memory", offsetof(struct image, segment[0].p_filesz), 4, 0xffffffff},
	{"65537 bytes at 0x80000000, memory has 65536 at 0x80000000",
	 offsetof(struct image, segment[0].p_memsz), 4, TCM_BYTES + 1},
	{"too large: segment 0", offsetof(struct image, segment[0].p_memsz), 4, 0xffffffff},
	{"memory has 65536 at 0x80000000", offsetof(struct image, segment[0].p_paddr), 4, 0},
	{"too large", offsetof(struct image, segment[0].p_paddr), 4, 0x80000000 + TCM_BYTES - 39},
	{"too large", offsetof(struct image, segment[0].p_paddr), 4, 0x80000000 + TCM_BYTES},
	{"too large", offsetof(struct image, segment[0].p_paddr), 4, 0x7fffffff},
	{"too large", offsetof(struct image, segment[0].p_paddr), 4, 0xfffffff0},
	{"segments 0 and 1 overlap at 0x80000020", offsetof(struct image, segment[1].p_paddr), 4, 0x80000020},
	{"segments 0 and 1 overlap at 0x80000027", offsetof(struct image, segment[1].p_paddr), 4, 0x80000027},
	{"overlap at 0x20000100", offsetof(struct image, segment[0].p_paddr), 4, 0x200000d9},
	{"entry point 0x80000005", offsetof(struct image, header.e_entry), 4, 0x80000005},
	{"entry point 0x00000000", offsetof(struct image, header.e_entry), 4, 0},
	{"entry point 0x80010000", offsetof(struct image, header.e_entry), 4, 0x80010000},
	{"entry point 0x20000100", offsetof(struct image, header.e_entry), 4, 0x20000100},
	{"symbol tohost = 0x80000042", offsetof(struct image, symbol[2].st_value), 4, 0x80000042},
	{"symbol tohost = 0x20000000", offsetof(struct image, symbol[2].st_value), 4, 0x20000000},
	{"symbol fromhost = 0xfffffffc", offsetof(struct image, symbol[3].st_value), 4, 0xfffffffc},
};

static void test_elf_bad_field_is_refused_with_its_reason(void **state)
{
	struct loader *l = *state;
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		struct image image = good_image();
		memcpy((uint8_t *)&image + damages[i].offset, &damages[i].value, damages[i].size);
		int result = load_bytes(l, &image, sizeof(image));
		if (result != -1 || !strstr(l->error, damages[i].want))
			fail_msg("wanted '%s', got %d '%s'", damages[i].want, result, l->error);
		check_refused(l, l->path);
	}
}

/* A segment that just does not touch its neighbour is none of the above. */
static void test_elf_adjacent_segments_are_accepted(void **state)
{
	struct loader *l = *state;
	struct image image = good_image();
	image.segment[1].p_paddr = 0x80000000 + 40;
	assert_int_equal(load_bytes(l, &image, sizeof(image)), 0);
}

static void test_elf_truncated_anywhere_is_refused_or_whole(void **state)
{
	struct loader *l = *state;
	const struct image image = good_image();
	const size_t needed =
		offsetof(struct image, data) + 8; /* what follows is symbols, which may be missing */
	for (size_t size = 0; size < sizeof(image); size++) {
		int result = load_bytes(l, &image, size);
		assert_int_equal(result, size < needed ? -1 : 0);
		if (result != 0)
			check_refused(l, l->path);
	}
}

static void test_elf_file_that_cannot_be_read_says_why(void **state)
{
	struct loader *l = *state;
	assert_int_equal(load_path(l, "/nonexistent/file.elf"), -1);
	assert_string_equal(l->error, "/nonexistent/file.elf: cannot open: No such file or directory");
	assert_int_equal(load_path(l, "/tmp"), -1);
	assert_string_equal(l->error, "/tmp: cannot read: Is a directory");
	assert_int_equal(load_path(l, "/dev/null"), -1);
	assert_non_null(strstr(l->error, "not an ELF file"));
}

/* Reads of a file that never ends must stop. */
static void test_elf_endless_file_is_refused(void **state)
{
	struct loader *l = *state;
	assert_int_equal(load_path(l, "/dev/zero"), -1);
	assert_non_null(strstr(l->error, "larger than a program can be"));
	check_refused(l, "/dev/zero");
}

static void test_elf_reason_fits_the_room_given(void **state)
{
	struct loader *l = *state;
	const struct cpu_memory memory[CPU_MEMORIES] = {{(uint32_t)TCM, TCM_BYTES, l->tcm}, {0, 0, NULL}};
	for (size_t size = 0; size < 100; size++) {
		memset(l->error, PATTERN, sizeof(l->error));
		assert_int_equal(cpu_load_elf("/nonexistent", memory, &l->program, l->error, size), -1);
		assert_true(all_pattern(l->error + size, sizeof(l->error) - size));
	}
}

/* ---- random damage ----------------------------------------------------------------------------------------- */

static void damage(struct rng *rng, uint8_t *bytes, size_t size)
{
	static const uint32_t values[] = {0,          1,          2,          0x7fffffff, 0x80000000,
					  0xffffffff, 0xfffffffc, 0x20000000, 52};
	for (uint64_t n = 1 + rng_below(rng, 4); n; n--) {
		size_t at = (size_t)rng_below(rng, rng_below(rng, 3) ? min_u64(size, 116) : size);
		if (rng_below(rng, 2))
			bytes[at] = (uint8_t)rng_u64(rng);
		else if (at % 4 == 0 && at + 4 <= size)
			store_le32(bytes + at, values[rng_below(rng, ARRAY_SIZE(values))]);
	}
}

static void test_elf_random_damage_is_loaded_or_refused(void **state)
{
	struct loader *l = *state;
	uint64_t seed = test_seed(1);
	unsigned loaded = 0, refused = 0;
	struct rng rng;
	rng_seed(&rng, seed, 0);
	for (unsigned i = 0; i < 3000; i++) {
		struct image image = good_image();
		damage(&rng, (uint8_t *)&image, sizeof(image));
		size_t size = rng_below(&rng, 4) ? sizeof(image) : (size_t)rng_below(&rng, sizeof(image));
		if (load_bytes(l, &image, size) == 0) {
			uint32_t end = (uint32_t)TCM + TCM_BYTES;
			assert_true(l->program.entry >= (uint32_t)TCM && l->program.entry < end);
			assert_true(!l->program.tohost ||
				    (l->program.tohost >= (uint32_t)TCM && l->program.tohost <= end - 4));
			loaded++;
		} else {
			check_refused(l, l->path);
			refused++;
		}
	}
	assert_true(loaded > 300 && refused > 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_elf_good_file_is_loaded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_elf_segments_may_fill_memory_to_its_ends, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_elf_segments_that_occupy_nothing_are_ignored, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_elf_without_symbols_gives_zero, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_elf_symbol_table_beyond_the_file_ends_the_search, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_elf_bad_field_is_refused_with_its_reason, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_elf_adjacent_segments_are_accepted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_elf_truncated_anywhere_is_refused_or_whole, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_elf_file_that_cannot_be_read_says_why, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_elf_endless_file_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_elf_reason_fits_the_room_given, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_elf_random_damage_is_loaded_or_refused, set_up,
						tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
