#!/usr/bin/python3
"""What the tests exercise of the RTL twins: `ninja coverage`.

usage: tools/coverage.py [--only TEXT] [--keep] [--folder FOLDER] [--jobs N] [--toggles] [--write docs/coverage.md]

Runs the tests that have twins in them, of a build of their own whose Verilated code counts (--coverage-line
--coverage-toggle; rtl-model/twin.cpp writes the counts), merges what they leave in FOLDER (build/coverage) with verilator_coverage, and
prints lines and toggles covered per module and every line that never ran. docs/coverage_explained.tsv says why some cannot or
need not run: module, a part of the line as it is listed here, reason. Uncovered lines without a reason are listed as such, and
reasons that fit no uncovered line any more too; then the exit status is 1.

--keep takes the counts that are there instead of running tests; --only runs the tests whose path contains TEXT. --toggles lists all
bits that never went up and down.
"""
import argparse
import collections
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import time

EXPLAINED = "docs/coverage_explained.tsv"
# Programs that test twins, by themselves and beside their models. Not two that make a module for each of a thousand cases: Verilator
# registers every point of every module anew, which takes longer than the tests.
TESTS = re.compile(r"build/covered/tests/(twin/|unit/rtl-model/(?!fetch_(bad|random))\w*_rtl_test$)")
TIME_LIMIT_S = 1800

Point = collections.namedtuple("Point", "file line column kind")  # kind: block, if, else, elsif, case


def programs(only):
    found = []
    for rule in ("link_test", "linkxx_test"):
        out = subprocess.run(["ninja", "-t", "targets", "rule", rule], capture_output=True, text=True, check=True).stdout
        found += [path for path in out.split() if TESTS.match(path) and only in path]
    return sorted(found)


def run(program, folder):
    """True if it passed."""
    start = time.monotonic()
    done = subprocess.run([program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                          timeout=TIME_LIMIT_S, env={**os.environ, "KICKSTAND_COVERAGE": os.path.abspath(folder)})
    print(f"{'ok  ' if done.returncode == 0 else 'FAIL'} {time.monotonic() - start:6.1f} s {program}", flush=True)
    return done.returncode == 0


def collect(only, folder, jobs):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return all(list(pool.map(lambda program: run(program, folder), programs(only))))


def merge(folder):
    parts = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".dat") and name != "all.dat"]
    if not parts:
        sys.exit(f"coverage: nothing in {folder}; did the tests run?")
    merged = os.path.join(folder, "all.dat")
    subprocess.run(["verilator_coverage", "--write", merged, *parts], check=True, stdout=subprocess.DEVNULL)
    return merged


def read(path):
    """({Point: count}, {(file, signal): count}) of the blocks' modules; variants of a module by parameters are one."""
    lines, toggles = collections.Counter(), collections.Counter()
    with open(path, encoding="utf-8") as counts:
        for text in counts:
            match = re.fullmatch(r"C '(.*)' (\d+)\n", text)
            if not match:
                continue
            key = dict(field.split("\2", 1) for field in match[1].split("\1")[1:])
            if not key["f"].startswith("rtl-model/"):
                continue
            kind = key["page"].split("/")[0]
            if kind == "v_toggle":
                toggles[key["f"], key["o"]] += int(match[2])
            else:
                lines[Point(key["f"], int(key["l"]), int(key["n"]), key["o"])] += int(match[2])
    return lines, toggles


def module_of(path):
    return os.path.basename(path).removesuffix(".sv")


class Source:
    """Lines of the sources, as they are listed."""

    def __init__(self):
        self.files = {}

    def text(self, point):
        if point.file not in self.files:
            with open(point.file, encoding="utf-8") as source:
                self.files[point.file] = source.read().split("\n")
        line = self.files[point.file][point.line - 1].strip()
        return f"{point.kind}: {line}" if point.kind in ("if", "else", "elsif", "case") else line


def read_explanations():
    """[module, part of a line, reason]"""
    if not os.path.exists(EXPLAINED):
        return []
    with open(EXPLAINED, encoding="utf-8") as table:
        rows = [line.rstrip("\n").split("\t") for line in table if line.strip() and not line.startswith("#")]
    for row in rows:
        if len(row) != 3:
            sys.exit(f"coverage: {EXPLAINED}: not three columns: {row}")
    return rows


def explain(uncovered, source):
    """({point: reason or None}, rows that explain nothing)"""
    rows, used, reasons = read_explanations(), set(), {}
    for point in uncovered:
        fitting = [i for i, (module, part, _) in enumerate(rows) if module == module_of(point.file) and part in source.text(point)]
        used.update(fitting)
        reasons[point] = rows[fitting[0]][2] if fitting else None
    return reasons, [row for i, row in enumerate(rows) if i not in used]


def share(covered, total):
    return f"{100 * covered / total:.1f}" if total else "-"


def table(lines, toggles, reasons):
    """Rows: module, lines, covered, per cent, per cent with the explained ones, toggles, covered, per cent."""
    rows = []
    for path in sorted({point.file for point in lines}):
        points = [point for point in lines if point.file == path]
        ran = sum(lines[point] > 0 for point in points)
        explained = sum(1 for point in points if reasons.get(point))
        bits = [count for (file, _), count in toggles.items() if file == path]
        moved = sum(count >= 2 for count in bits)  # up and down
        rows.append((module_of(path), len(points), ran, ran + explained, len(bits), moved))
    return rows


def total(rows):
    return ("all", *(sum(column) for column in list(zip(*rows))[1:]))


def cells(row):
    name, points, ran, settled, bits, moved = row
    return name, str(points), share(ran, points), share(settled, points), str(bits), share(moved, bits)


HEADING = ("module", "lines and branches", "run %", "run or explained %", "bits", "toggled %")


def still_signals(toggles):
    """{module: signals none of whose bits, or 'name (n of m bits)' some of whose, toggled both ways}"""
    signals = collections.defaultdict(lambda: [0, 0])
    for (path, name), count in toggles.items():
        entry = signals[module_of(path), re.sub(r"(\[\d+\])+$", "", name)]
        entry[0] += count < 2
        entry[1] += 1
    still = collections.defaultdict(list)
    for (module, name), (low, bits) in sorted(signals.items()):
        if low:
            still[module].append(name if low == bits else f"{name} ({low} of {bits} bits)")
    return still


def document(rows, reasons, source, still):
    lines = [
        "# Coverage of the RTL", "",
        "Written by `ninja coverage`; do not edit. Tests of the twins, by themselves and beside their models, with Verilator"
        " counting. A line or branch is covered if it ran; a bit if it went up and down.", "",
        "| " + " | ".join(HEADING) + " |", "| --- |" + " ---: |" * (len(HEADING) - 1),
    ]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in [*rows, total(rows)]]
    lines += ["", "## Lines that never ran", "",
              "Reasons stand in [coverage_explained.tsv](coverage_explained.tsv).", ""]
    if reasons:
        lines += ["| line | | why |", "| --- | --- | --- |"]
        lines += [f"| {module_of(p.file)}.sv:{p.line} | `{source.text(p).replace('|', chr(92) + '|')}` | {why or '**not explained**'} |"
                  for p, why in sorted(reasons.items())]
    else:
        lines.append("None.")
    lines += ["", "## Signals with bits that never went up and down", ""]
    lines += [f"- {module}: " + ", ".join(f"`{name}`" for name in names) for module, names in still.items()] or ["None."]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--folder", default="build/coverage")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--toggles", action="store_true")
    parser.add_argument("--write")
    args = parser.parse_args()
    passed = args.keep or collect(args.only, args.folder, args.jobs)
    lines, toggles = read(merge(args.folder))
    source = Source()
    reasons, stale = explain(sorted(point for point, count in lines.items() if count == 0), source)
    rows, still = table(lines, toggles, reasons), still_signals(toggles)
    widths = (26, 20, 8, 20, 8, 11)
    for row in [HEADING, *map(cells, [*rows, total(rows)])]:
        print(f"{row[0]:{widths[0]}s}" + "".join(f"{cell:>{width}s}" for cell, width in zip(row[1:], widths[1:])))
    unexplained = [point for point, why in sorted(reasons.items()) if not why]
    for point in unexplained:
        print(f"never ran: {point.file}:{point.line}: {source.text(point)}")
    for module, part, _ in stale:
        print(f"explained but not uncovered: {module}: {part}")
    if args.toggles:
        for module, names in still.items():
            print(f"never up and down: {module}: {', '.join(names)}")
    print(f"{len(reasons)} lines and branches never ran, {len(unexplained)} of them unexplained")
    if args.write:
        with open(args.write, "w", encoding="utf-8") as out:
            out.write(document(rows, reasons, source, still))
    return 0 if passed and not unexplained and not stale else 1


if __name__ == "__main__":
    sys.exit(main())
