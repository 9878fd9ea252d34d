#!/usr/bin/python3
"""Turns csr.toml into the C header, the SystemVerilog package or the documentation table.

usage: gen_regs.py --c|--sv|--md csr.toml OUTPUT

Refuses unknown keys, unknown access kinds, overlapping fields, registers and structure members.
"""
import re
import sys
import tomllib

ACCESS = {"ro", "rw", "wo", "pop", "rw1c"}
TYPE_BYTES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
TOP_KEYS = {"map", "param", "enum", "struct", "offset", "block"}
REG_KEYS = {"name", "offset", "reset", "count", "desc", "fields"}


def fail(message):
    sys.exit(f"gen_regs.py: {message}")


def only(keys, allowed, where):
    extra = set(keys) - allowed
    if extra:
        fail(f"{where}: unknown key {sorted(extra)[0]!r}")


def parse_bits(text, where):
    match = re.fullmatch(r"(\d+)(?::(\d+))?", text)
    if not match:
        fail(f"{where}: bits {text!r} are not 'high:low' or 'bit'")
    high = int(match[1])
    low = int(match[2] or match[1])
    if not 31 >= high >= low:
        fail(f"{where}: bits {text!r} are not inside 31:0")
    return high, low


def check_block(block, window_bytes):
    only(block, {"name", "index", "desc", "reg"}, block["name"])
    used = set()
    for reg in block["reg"]:
        where = f"{block['name']}.{reg['name']}"
        only(reg, REG_KEYS, where)
        for i in range(reg.get("count", 1)):
            offset = reg["offset"] + 4 * i
            if offset % 4 or offset >= window_bytes or offset in used:
                fail(f"{where}: offset {offset:#x} is misaligned, outside the window or taken")
            used.add(offset)
        taken = 0
        for field in reg["fields"]:
            only(field, {"name", "bits", "access", "desc"}, f"{where}.{field['name']}")
            if field["access"] not in ACCESS:
                fail(f"{where}.{field['name']}: unknown access {field['access']!r}")
            high, low = parse_bits(field["bits"], f"{where}.{field['name']}")
            mask = ((1 << (high - low + 1)) - 1) << low
            if taken & mask:
                fail(f"{where}.{field['name']}: overlaps another field")
            taken |= mask
            field["high"], field["low"], field["mask"] = high, low, mask


def check_struct(struct):
    only(struct, {"name", "bytes", "desc", "fields"}, struct["name"])
    end = 0
    for field in struct["fields"]:
        only(field, {"name", "offset", "type", "desc"}, f"{struct['name']}.{field['name']}")
        if field["offset"] != end:
            fail(f"{struct['name']}.{field['name']}: offset {field['offset']:#x}, expected {end:#x}")
        end += TYPE_BYTES[field["type"]]
    if end != struct["bytes"]:
        fail(f"{struct['name']}: fields end at {end:#x}, not at {struct['bytes']:#x}")


def load(path):
    with open(path, "rb") as f:
        regs = tomllib.load(f)
    only(regs, TOP_KEYS, path)
    indices = [b["index"] for b in regs["block"]]
    if len(set(indices)) != len(indices):
        fail("two blocks share an index")
    for block in regs["block"]:
        check_block(block, regs["map"]["csr_window_bytes"])
    for struct in regs["struct"]:
        check_struct(struct)
    return regs


def constants(regs):
    """(name, value) of everything that is not a register."""
    for name, value in regs["map"].items():
        yield name.upper(), value
    for name, value in (regs["param"] | regs["offset"]).items():
        yield name, value
    for enum in regs["enum"]:
        for name, value in enum["values"].items():
            yield f"{enum['name']}_{name}", value


def registers(regs):
    for block in regs["block"]:
        base = regs["map"]["csr_base"] + block["index"] * regs["map"]["csr_window_bytes"]
        for reg in block["reg"]:
            yield block, base, reg, f"CSR_{block['name']}_{reg['name']}"


def emit_c(regs):
    out = [
        "/* Generated from rtl-model/regs/csr.toml by gen_regs.py: do not edit. */",
        "#ifndef KICKSTAND_CSR_H",
        "#define KICKSTAND_CSR_H",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
    ]
    out += [f"#define {name} {value:#x}u" for name, value in constants(regs)]
    for block in regs["block"]:
        out += ["", f"/* {block['name']}: {block['desc']} */", f"#define CSR_{block['name']}_INDEX {block['index']}u"]
        for reg_block, base, reg, name in registers(regs):
            if reg_block is not block:
                continue
            out.append(f"#define {name} {reg['offset']:#x}u /* offset in the window */")
            out.append(f"#define {name}_ADDR {base + reg['offset']:#x}u")
            out.append(f"#define {name}_RESET {reg['reset']:#x}u")
            for field in reg["fields"]:
                out.append(f"#define {name}_{field['name']}_SHIFT {field['low']}u")
                out.append(f"#define {name}_{field['name']}_MASK {field['mask']:#x}u")
    for struct in regs["struct"]:
        out += ["", f"/* {struct['desc']}. */", f"struct {struct['name']} {{"]
        out += [f"\tuint{TYPE_BYTES[f['type']] * 8}_t {f['name']};" for f in struct["fields"]]
        out.append("};")
        check = "_Static_assert"
        out.append("#ifndef __cplusplus")
        out.append(f"{check}(sizeof(struct {struct['name']}) == {struct['bytes']:#x}, \"layout\");")
        for field in struct["fields"]:
            out.append(
                f"{check}(offsetof(struct {struct['name']}, {field['name']}) == {field['offset']:#x}, \"layout\");"
            )
        out.append("#endif")
    out += ["", "#endif", ""]
    return "\n".join(out)


def emit_sv(regs):
    out = ["// Generated from rtl-model/regs/csr.toml by gen_regs.py: do not edit.", "/* verilator lint_off UNUSEDPARAM */ // no block uses them all",
           "package csr_pkg;"]
    out += [f"  localparam int unsigned {name} = 32'h{value:08x};" for name, value in constants(regs)]
    for _, _, reg, name in registers(regs):
        out.append(f"  localparam logic [11:0] {name} = 12'h{reg['offset']:03x};")
        out.append(f"  localparam logic [31:0] {name}_RESET = 32'h{reg['reset']:08x};")
        for field in reg["fields"]:
            out.append(f"  localparam int unsigned {name}_{field['name']}_LSB = {field['low']};")
            out.append(f"  localparam int unsigned {name}_{field['name']}_WIDTH = {field['high'] - field['low'] + 1};")
    for block in regs["block"]:
        out.append(f"  localparam logic [7:0] CSR_{block['name']}_INDEX = 8'd{block['index']};")
    for struct in regs["struct"]:
        for field in struct["fields"]:
            out.append(
                f"  localparam int unsigned {struct['name'].upper()}_{field['name'].upper()}_OFFSET = {field['offset']};"
            )
    out += ["endpackage", "/* verilator lint_on UNUSEDPARAM */", ""]
    return "\n".join(out)


def emit_md(regs):
    out = [
        "# Register map",
        "",
        "Generated from `rtl-model/regs/csr.toml` (`ninja docs/registers.md`); do not edit.",
        "",
        "The core sees the registers at the addresses below; the guest sees none of them. Access: `ro` reads only;",
        "`rw` reads back; `wo` a write acts; `pop` reading takes the head of a queue; `rw1c` writing 1 clears.",
        "",
        "| constant | value |",
        "| --- | --- |",
    ]
    out += [f"| `{name}` | {value:#x} |" for name, value in constants(regs)]
    for block in regs["block"]:
        base = regs["map"]["csr_base"] + block["index"] * regs["map"]["csr_window_bytes"]
        out += ["", f"## {block['name']} at {base:#010x}", "", block["desc"] + ".", ""]
        out += ["| offset | register | bits | field | access | reset | meaning |", "| --- | --- | --- | --- | --- | --- | --- |"]
        for reg in block["reg"]:
            note = f" ({reg['desc']})" if "desc" in reg else ""
            name = reg["name"] + (f"[{reg['count']}]" if "count" in reg else "")
            first = True
            for field in reg["fields"]:
                lead = f"| {reg['offset']:#05x} | `{name}`" if first else "| | "
                reset = f"{reg['reset']:#x}" if first else ""
                desc = field["desc"] + (note if first else "")
                out.append(f"{lead} | {field['bits']} | `{field['name']}` | {field['access']} | {reset} | {desc} |")
                first = False
    for struct in regs["struct"]:
        out += ["", f"## struct {struct['name']}", "", struct["desc"] + ".", "", "| offset | type | field | meaning |", "| --- | --- | --- | --- |"]
        out += [f"| {f['offset']:#04x} | {f['type']} | `{f['name']}` | {f['desc']} |" for f in struct["fields"]]
    out.append("")
    return "\n".join(out)


EMIT = {"--c": emit_c, "--sv": emit_sv, "--md": emit_md}


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in EMIT:
        sys.exit(__doc__)
    text = EMIT[sys.argv[1]](load(sys.argv[2]))
    with open(sys.argv[3], "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
