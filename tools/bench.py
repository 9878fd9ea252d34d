#!/usr/bin/python3
"""The project's speed figures, measured on this machine: `ninja bench`.

Machines are noisy: every figure is the best of several runs, and the median stands beside it. Nothing here passes or
fails; the targets are printed for comparison.
"""
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

RUNS = 5


def run(command):
    """(standard output, wall seconds, peak resident bytes) of a command."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"bench: {' '.join(command)} failed with status {status:#x}")
    return output, time.monotonic() - start, usage.ru_maxrss * 1024


def figure(name, values, unit, target, best=max):
    print(f"{name:44s} {best(values):12,.1f}  median {statistics.median(values):12,.1f} {unit:20s} {target}", flush=True)


def number_in(pattern, text):
    match = re.search(pattern, text)
    if not match:
        sys.exit(f"bench: no figure in {text!r}")
    return float(match[1].replace(",", ""))


def kickstand(arguments):
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        _, wall_s, rss = run(["build/kickstand", "run", *arguments, "--json", result.name])
        return json.load(result), wall_s, rss


def bench_program(name, program, pattern, unit, target):
    figure(name, [number_in(pattern, run([program])[0]) for _ in range(RUNS)], unit, target)


def bench_core():
    output, _, _ = run(["build/tests/bench/core_bench"])
    for name, pattern, unit, target in (
        ("core, simulator: integer code, cycle model on", r"iss: .* ([\d.]+) MIPS", "MIPS", "(target 300)"),
        ("core, RTL: integer code", r"rtl: ([\d.]+) million", "million cycles per s", "(target 6)"),
        ("core, simulator: list, matrix, text, CRC", r"iss: .* ([\d.]+) rounds", "rounds per s and MHz", ""),
        ("core, RTL: list, matrix, text, CRC", r"rtl: .* ([\d.]+) rounds", "rounds per s and MHz", ""),
    ):
        figure(name, [number_in(pattern, output)], unit, target)


def bench_run():
    rates, memory = [], []
    for _ in range(RUNS):
        result, _, rss = kickstand([])
        rates.append(result["sim"]["ios_per_wall_s"])
        memory.append(rss / 2**20)
    figure("default run: 4 KiB random reads, depth 32", rates, "I/Os per second", "(target 100,000)")
    figure("resident memory, 1 GiB of guest memory", memory, "MiB", "(target at most 200)", min)
    for name, arguments in (
        ("  the same, offload firmware", ["--set", "device.offload=firmware"]),
        ("  the same, queue depth 1", ["--job", "docs/examples/latency.fio"]),
    ):
        figure(name, [kickstand(arguments)[0]["sim"]["ios_per_wall_s"] for _ in range(3)], "I/Os per second", "")


def bench_full_rtl():
    """Cycles in which the core works, not those it sleeps through."""
    with tempfile.NamedTemporaryFile("w", suffix=".fio") as job:
        job.write("[rtl]\nrw=randread\nbs=4k\niodepth=32\nnumber_ios=20000\n")
        job.flush()
        results = [kickstand(["--job", job.name, "--set", "device.impl=rtl"])[0] for _ in range(3)]
    rates = [result["device"]["core"]["busy_cycles"] / result["sim"]["wall_s"] / 1e6 for result in results]
    figure("full RTL, firmware at work", rates, "million cycles per s", "(target 2)")
    figure("  the same", [result["sim"]["ios_per_wall_s"] for result in results], "I/Os per second", "")


def bench_sweep():
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/study.ini", "w", encoding="utf-8") as study:
            study.write("[sweep]\njob = reads.fio\n[axis notify.holdoff_ns]\nvalues = 0, 500, 1000, 2000, 4000\n"
                        "[axis job.iodepth]\nvalues = 1, 4, 16, 64\n")
        with open(f"{folder}/reads.fio", "w", encoding="utf-8") as job:
            job.write("[reads]\nrw=randread\nbs=4k\nnumber_ios=20000\n")
        _, wall_s, _ = run(["build/kickstand", "sweep", f"{folder}/study.ini", "--out", f"{folder}/out"])
    figure("sweep, 20,000 I/Os a point", [20 / wall_s], "points per second", "(target 1.67)")


def bench_start():
    with tempfile.NamedTemporaryFile("w", suffix=".fio") as job:
        job.write("[one]\nrw=read\nbs=4k\nnumber_ios=1\n")
        job.flush()
        walls = [kickstand(["--job", job.name])[1] * 1000 for _ in range(RUNS)]
    figure("start to first I/O done and exit", walls, "ms", "(target below 100)", min)


def main():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    bench_program("timed TLPs: link, credits, ordering", "build/tests/bench/link_bench",
                  r"link: ([\d,.]+)", "TLPs per second", "(target 1,000,000)")
    bench_core()
    bench_run()
    bench_full_rtl()
    bench_sweep()
    bench_start()


if __name__ == "__main__":
    main()
