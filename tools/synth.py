#!/usr/bin/python3
"""What the RTL twins cost in an FPGA, by yosys: `ninja synth`.

usage: tools/synth.py [--check] [--only TEXT] [--jobs N] [--write docs/synthesis.md]

Synthesizes every row of the table below, which is a block with one choice of its options, for Xilinx 7 series, and prints what
it takes. --check only reads, elaborates and checks each (no latches, no combinational loops, no conflicting drivers): seconds
instead of minutes. --only takes the rows whose name contains TEXT. --write keeps the table in a file.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import rtl_files

# Block, what is chosen, module parameters. The first row of a block is the twin as it is simulated: all options at their
# largest, chosen by registers and straps. The others leave something out.
ROWS = [
    ("ks_notify", "as simulated: FIFO 1024, hold-off, threshold, all arbitrations, 64 queues", {}),
    ("ks_notify", "FIFO of 64", {"FIFO_DEPTH": 64}),
    ("ks_notify", "no FIFO: pending bits only", {"FIFO_DEPTH": 0}),
    ("ks_notify", "no adaptive hold-off", {"ADAPTIVE": 0}),
    ("ks_notify", "no threshold", {"THRESHOLD": 0}),
    ("ks_notify", "no hold-off, no threshold", {"HOLDOFF": 0, "ADAPTIVE": 0, "THRESHOLD": 0}),
    ("ks_notify", "round robin only", {"ARBITRATION": 0}),
    ("ks_notify", "strict only", {"ARBITRATION": 1}),
    ("ks_notify", "oldest first only", {"ARBITRATION": 2}),
    ("ks_notify", "weighted only", {"ARBITRATION": 3}),
    ("ks_notify", "pending bits, round robin, no coalescing",
     {"FIFO_DEPTH": 0, "HOLDOFF": 0, "ADAPTIVE": 0, "THRESHOLD": 0, "ARBITRATION": 0}),
    ("ks_notify", "the same for 16 queues",
     {"FIFO_DEPTH": 0, "HOLDOFF": 0, "ADAPTIVE": 0, "THRESHOLD": 0, "ARBITRATION": 0, "QUEUES": 16}),
    ("ks_msix", "as simulated: moderation, threshold, 2048 vectors", {}),
    ("ks_msix", "65 vectors: one a queue and one for changes of configuration", {"VECTORS": 65}),
    ("ks_msix", "65 vectors, no adaptive hold-off", {"VECTORS": 65, "ADAPTIVE": 0}),
    ("ks_msix", "65 vectors, no threshold", {"VECTORS": 65, "THRESHOLD": 0}),
    ("ks_msix", "65 vectors, no moderation, no threshold", {"VECTORS": 65, "MODERATION": 0, "ADAPTIVE": 0, "THRESHOLD": 0}),
    ("ks_msix", "17 vectors, no moderation, no threshold", {"VECTORS": 17, "MODERATION": 0, "ADAPTIVE": 0, "THRESHOLD": 0}),
    ("ks_fetch", "as simulated: 64 queues, 64 walkers", {}),
    ("ks_core", "RV32IMC, without its memory", {}),
    ("ks_core_tile", "the same with its memory", {}),
]

# LUTs that primitives of distributed memory and shift registers take.
MEMORY_LUTS = {
    "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4,
    "RAM32M": 4, "RAM64M": 4, "SRL16E": 1, "SRLC32E": 1,
}
# Block memories, in halves of 18 Kbit.
BLOCK_MEMORIES = {"RAMB18E1": 1, "RAMB36E1": 2}
FLIP_FLOPS = {"FDRE", "FDSE", "FDCE", "FDPE"}
NOT_COUNTED = {"MUXF7", "MUXF8", "CARRY4", "INV", "BUFG", "IBUF", "OBUF", "GND", "VCC"}

COLUMNS = ("LUTs", "of these memory", "flip-flops", "block memories of 18 Kbit", "multipliers (DSP)")


def script(files, top, parameters, check, statistics):
    # hierarchy has an option for that too, with which yosys 0.23 names some modules twice.
    steps = [f"read_verilog -sv {' '.join(files)}"]
    steps += [f"chparam -set {name} {value} {top}" for name, value in parameters.items()]
    # A module that is elaborated again for one of its parts gets a name with its parameters in it.
    steps += [f"hierarchy -check -top {top}", f"rename -top {top}"]
    if check:
        steps += ["proc", "check -assert", "select -assert-none t:$dlatch t:$adlatch t:$dlatchsr"]
    else:
        steps += [f"synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top {top}", f"tee -q -o {statistics} stat -json"]
    return "; ".join(steps)


def yosys(files, row, check):
    """Cells by type of a row, or {} with check. Yosys' complaint as an exception."""
    top, _, parameters = row
    with tempfile.NamedTemporaryFile(suffix=".json") as statistics:
        done = subprocess.run(
            ["yosys", "-q", "-p", script(files[top], top, parameters, check, statistics.name)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stdout.strip())
        return {} if check else json.load(statistics)["design"]["num_cells_by_type"]


def figures(cells):
    """In order of COLUMNS."""
    unknown = [c for c in cells if not re.fullmatch("LUT[1-6]", c) and c not in MEMORY_LUTS and c not in BLOCK_MEMORIES
               and c not in FLIP_FLOPS and c not in NOT_COUNTED and not c.startswith("DSP48")]
    if unknown:
        raise RuntimeError(f"cells not known to tools/synth.py: {', '.join(unknown)}")
    logic = sum(n for c, n in cells.items() if re.fullmatch("LUT[1-6]", c))
    memory = sum(n * MEMORY_LUTS[c] for c, n in cells.items() if c in MEMORY_LUTS)
    return (logic + memory, memory, sum(n for c, n in cells.items() if c in FLIP_FLOPS),
            sum(n * BLOCK_MEMORIES[c] for c, n in cells.items() if c in BLOCK_MEMORIES),
            sum(n for c, n in cells.items() if c.startswith("DSP48")))


def document(results):
    version = subprocess.run(["yosys", "-V"], capture_output=True, text=True, check=True).stdout.split("(")[0].strip()
    lines = [
        "# What the RTL costs", "",
        f"Written by `ninja synth` ({version}, `synth_xilinx -family xc7`, flattened); do not edit. LUTs are those of the 7 series, with"
        " six inputs; memory that fits no block memory is made of LUTs. Inverters are not counted, they go into the LUTs around"
        " them. No placement, no timing.", "",
        "The first row of a block is the twin as it is simulated, where registers and straps choose; the rows below are the same"
        " module with options left out by its parameters, and say what an option costs.", "",
    ]
    top = None
    for (block, choice, _), row in results:
        if block != top:
            lines += ([""] if top else []) + [f"## {block}", "", "| | " + " | ".join(COLUMNS) + " |", "| --- |" + " ---: |" * len(COLUMNS)]
            top = block
        lines.append(f"| {choice} | " + " | ".join(f"{n:,}" for n in row) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--write")
    args = parser.parse_args()
    files = rtl_files.twins()
    rows = [row for row in ROWS if args.only in f"{row[0]}: {row[1]}"]
    missing = {top for top in files if not any(row[0] == top for row in ROWS)}
    if missing:
        sys.exit(f"synth: no row for {', '.join(missing)}; add one to tools/synth.py")
    start, results, failed = time.monotonic(), [], 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        work = [(row, pool.submit(yosys, files, row, args.check)) for row in rows]
        for row, future in work:
            try:
                result = None if args.check else figures(future.result())
                future.result()
            except RuntimeError as error:
                print(f"FAIL {row[0]}: {row[1]}\n{error}", flush=True)
                failed += 1
                continue
            results.append((row, result))
            counts = "synthesizable" if args.check else "  ".join(f"{n:,} {c}" for n, c in zip(result, COLUMNS))
            print(f"{row[0]:10s} {row[1]}: {counts}", flush=True)
    print(f"{len(results)} of {len(rows)} in {time.monotonic() - start:.0f} s")
    if args.write and not failed:
        with open(args.write, "w", encoding="utf-8") as out:
            out.write(document(results))
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
