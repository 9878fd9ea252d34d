/* ELF32 executables into memory. The file comes from outside: it is read whole, then every offset and count in it is
 * checked against its size before use. Nothing is copied before everything has been checked. */
#include "rtl-model/blocks/cpu/cpu.h"

#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Larger files are refused: a program for these memories, debug information included, is far below it. */
#define FILE_BYTES_MAX (UINT32_C(256) << 20)

/* A linker makes a handful; the search for overlaps is quadratic. */
#define SEGMENTS_MAX 256

struct elf {
	const char *path;
	uint8_t *data;
	size_t bytes;
	Elf32_Ehdr header;
	const struct cpu_memory *memory;
	char *error;
	size_t error_size;
};

PRINTF_LIKE(2, 3) static int fail(struct elf *elf, const char *format, ...)
{
	int n = snprintf(elf->error, elf->error_size, "%s: ", elf->path);
	if (n >= 0 && (size_t)n < elf->error_size) {
		va_list args;
		va_start(args, format);
		vsnprintf(elf->error + n, elf->error_size - (size_t)n, format, args);
		va_end(args);
	}
	return -1;
}

static int read_file(struct elf *elf)
{
	FILE *file = fopen(elf->path, "rb");
	if (!file)
		return fail(elf, "cannot open: %s", strerror(errno));
	int result = 0;
	size_t room = 0, got = 0;
	do {
		elf->bytes += got;
		if (elf->bytes == room) {
			room = room ? 2 * room : 1 << 16;
			uint8_t *larger = room <= FILE_BYTES_MAX ? realloc(elf->data, room) : NULL;
			if (!larger) {
				result =
					fail(elf, "larger than a program can be; is it a RISC-V executable?");
				break;
			}
			elf->data = larger;
		}
		got = fread(elf->data + elf->bytes, 1, room - elf->bytes, file);
	} while (got);
	if (ferror(file))
		result = fail(elf, "cannot read: %s", strerror(errno));
	fclose(file);
	return result;
}

/* Copies `bytes` at `offset` of the file to `out`; false if the file ends before. */
static bool get(const struct elf *elf, uint64_t offset, void *out, size_t bytes)
{
	if (offset > elf->bytes || bytes > elf->bytes - offset)
		return false;
	memcpy(out, elf->data + offset, bytes);
	return true;
}

static int check_header(struct elf *elf)
{
	const Elf32_Ehdr *h = &elf->header;
	if (!get(elf, 0, elf->header.e_ident, EI_NIDENT) || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
		return fail(elf, "not an ELF file; give a RISC-V executable");
	if (h->e_ident[EI_CLASS] != ELFCLASS32)
		return fail(elf, "not a 32-bit ELF file; build with -march=rv32imc -mabi=ilp32");
	if (h->e_ident[EI_DATA] != ELFDATA2LSB)
		return fail(elf, "not little-endian; give a RISC-V executable");
	if (!get(elf, 0, &elf->header, sizeof(elf->header)))
		return fail(elf, "truncated within the ELF header; copy or build it again");
	if (h->e_machine != EM_RISCV)
		return fail(elf, "for machine %u, not RISC-V (%u); build with riscv64-unknown-elf-gcc",
			    h->e_machine, EM_RISCV);
	if (h->e_type != ET_EXEC)
		return fail(elf, "type %u is not an executable (%u); link it, without -pie", h->e_type,
			    ET_EXEC);
	if (h->e_flags & EF_RISCV_FLOAT_ABI)
		return fail(elf, "uses floating-point registers, the core has none; build with -mabi=ilp32");
	if (h->e_phentsize != sizeof(Elf32_Phdr))
		return fail(elf, "program headers of %u bytes instead of %zu; the file is damaged",
			    h->e_phentsize, sizeof(Elf32_Phdr));
	return 0;
}

static bool get_segment(const struct elf *elf, unsigned index, Elf32_Phdr *segment)
{
	return get(elf, elf->header.e_phoff + (uint64_t)index * sizeof(*segment), segment, sizeof(*segment));
}

static bool occupies_memory(const Elf32_Phdr *segment)
{
	return segment->p_type == PT_LOAD && segment->p_memsz != 0;
}

/* The memory that holds [address, address + bytes), or NULL. */
static const struct cpu_memory *memory_of(const struct elf *elf, uint32_t address, uint32_t bytes)
{
	for (size_t i = 0; i < CPU_MEMORIES; i++) {
		const struct cpu_memory *m = &elf->memory[i];
		uint32_t offset = address - m->base;
		if (offset < m->bytes && bytes <= m->bytes - offset)
			return m;
	}
	return NULL;
}

static int check_overlap(struct elf *elf, unsigned index, const Elf32_Phdr *segment)
{
	Elf32_Phdr other;
	for (unsigned i = 0; i < index; i++) {
		if (get_segment(elf, i, &other) && occupies_memory(&other) &&
		    (uint64_t)segment->p_paddr < (uint64_t)other.p_paddr + other.p_memsz &&
		    (uint64_t)other.p_paddr < (uint64_t)segment->p_paddr + segment->p_memsz)
			return fail(elf, "segments %u and %u overlap at 0x%08x; check the linker script", i,
				    index, max_u32(segment->p_paddr, other.p_paddr));
	}
	return 0;
}

static int check_segment(struct elf *elf, unsigned index)
{
	const struct cpu_memory *program = &elf->memory[0];
	Elf32_Phdr segment;
	if (!get_segment(elf, index, &segment))
		return fail(elf, "truncated within the program headers; copy or build it again");
	if (!occupies_memory(&segment))
		return 0;
	if (segment.p_filesz > segment.p_memsz)
		return fail(elf, "segment %u has more bytes in the file than in memory; the file is damaged",
			    index);
	if (segment.p_offset > elf->bytes || segment.p_filesz > elf->bytes - segment.p_offset)
		return fail(elf, "truncated within segment %u; copy or build it again", index);
	if (!memory_of(elf, segment.p_paddr, segment.p_memsz))
		return fail(elf,
			    "too large: segment %u has %u bytes at 0x%08x, memory has %u at 0x%08x; "
			    "check the linker script",
			    index, segment.p_memsz, segment.p_paddr, program->bytes, program->base);
	return check_overlap(elf, index, &segment);
}

static int check_segments(struct elf *elf)
{
	if (elf->header.e_phnum == 0)
		return fail(elf, "has no segments to load; link it");
	if (elf->header.e_phnum > SEGMENTS_MAX)
		return fail(elf, "has %u segments, more than %u; the file is damaged", elf->header.e_phnum,
			    SEGMENTS_MAX);
	for (unsigned i = 0; i < elf->header.e_phnum; i++)
		if (check_segment(elf, i) != 0)
			return -1;
	return 0;
}

static void copy_segments(const struct elf *elf)
{
	Elf32_Phdr segment;
	for (unsigned i = 0; i < elf->header.e_phnum; i++) {
		if (!get_segment(elf, i, &segment) || !occupies_memory(&segment))
			continue;
		const struct cpu_memory *m = memory_of(elf, segment.p_paddr, segment.p_memsz);
		uint8_t *to = m->data + (segment.p_paddr - m->base);
		memcpy(to, elf->data + segment.p_offset, segment.p_filesz);
		memset(to + segment.p_filesz, 0, segment.p_memsz - segment.p_filesz);
	}
}

static bool get_section(const struct elf *elf, uint32_t index, Elf32_Shdr *section)
{
	return index < elf->header.e_shnum && elf->header.e_shentsize == sizeof(*section) &&
	       get(elf, elf->header.e_shoff + (uint64_t)index * sizeof(*section), section, sizeof(*section));
}

static bool name_is(const struct elf *elf, const Elf32_Shdr *strings, uint32_t name, const char *wanted)
{
	char text[24];
	size_t bytes = strlen(wanted) + 1;
	ASSERT(bytes <= sizeof(text));
	return name < strings->sh_size && bytes <= strings->sh_size - name &&
	       get(elf, (uint64_t)strings->sh_offset + name, text, bytes) && memcmp(text, wanted, bytes) == 0;
}

/* Value of the defined symbol `wanted` in one symbol table, 0 if it is not there. */
static uint32_t find_in_table(const struct elf *elf, const Elf32_Shdr *table, const char *wanted)
{
	Elf32_Shdr strings;
	Elf32_Sym symbol;
	if (!get_section(elf, table->sh_link, &strings))
		return 0;
	for (uint64_t at = 0; at + sizeof(symbol) <= table->sh_size; at += sizeof(symbol)) {
		if (!get(elf, table->sh_offset + at, &symbol, sizeof(symbol)))
			return 0;
		if (symbol.st_shndx != SHN_UNDEF && name_is(elf, &strings, symbol.st_name, wanted))
			return symbol.st_value;
	}
	return 0;
}

static uint32_t find_symbol(const struct elf *elf, const char *wanted)
{
	Elf32_Shdr section;
	for (uint32_t i = 0; get_section(elf, i, &section); i++)
		if (section.sh_type == SHT_SYMTAB) /* there is at most one */
			return find_in_table(elf, &section, wanted);
	return 0;
}

/* An HTIF word must be an aligned word of memory 0. */
static int check_symbol(struct elf *elf, const char *name, uint32_t value)
{
	uint32_t offset = value - elf->memory[0].base;
	if (value != 0 && (value % 4 != 0 || offset >= elf->memory[0].bytes))
		return fail(elf,
			    "symbol %s = 0x%08x is not an aligned word of memory; check the linker script",
			    name, value);
	return 0;
}

static int check_program(struct elf *elf, const struct cpu_program *program)
{
	const struct cpu_memory *m = &elf->memory[0];
	if (program->entry % 2 != 0 || program->entry - m->base >= m->bytes)
		return fail(elf,
			    "entry point 0x%08x is outside the memory at 0x%08x; check the linker script",
			    program->entry, m->base);
	if (check_symbol(elf, "tohost", program->tohost) != 0)
		return -1;
	return check_symbol(elf, "fromhost", program->fromhost);
}

static int load(struct elf *elf, struct cpu_program *out)
{
	if (read_file(elf) != 0 || check_header(elf) != 0 || check_segments(elf) != 0)
		return -1;
	struct cpu_program program = {
		.entry = elf->header.e_entry,
		.tohost = find_symbol(elf, "tohost"),
		.fromhost = find_symbol(elf, "fromhost"),
		.code_bytes = find_symbol(elf, "firmware_code_bytes"),
		.data_bytes = find_symbol(elf, "firmware_data_bytes"),
		.stack_bytes = find_symbol(elf, "firmware_stack_bytes"),
	};
	if (check_program(elf, &program) != 0)
		return -1;
	copy_segments(elf);
	*out = program;
	return 0;
}

int cpu_load_elf(const char *path, const struct cpu_memory memory[CPU_MEMORIES], struct cpu_program *program,
		 char *error, size_t error_size)
{
	struct elf elf = {.path = path, .memory = memory, .error = error, .error_size = error_size};
	int result = load(&elf, program);
	free(elf.data);
	return result;
}
