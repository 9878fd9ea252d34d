#!/usr/bin/python3
"""Which requirements of docs/requirements/list.tsv a passing test covers.

usage: tools/requirements.py [--results FILE] [--write docs/requirements.md]

Tests name requirement numbers in brackets at the end of their names (REQ_TEST in tests/check.h); build/test-results.json
has the results of the last full run. not_applicable.tsv gives the reasons why some do not apply (yet). Prints the open
ones and a count, fails if a test names a number that does not exist or one that is said not to apply.
"""
import argparse
import collections
import json
import re
import sys

FOLDER = "docs/requirements/"
NUMBER = re.compile(r"[A-Z]{1,4}-\d{3}")


def read_list():
    with open(FOLDER + "list.tsv", encoding="utf-8") as f:
        return {number: (level, text) for number, level, text in (line.rstrip("\n").split("\t") for line in f)}


def expand(span):
    """'D-038..D-049' or 'D-093'."""
    first, _, last = span.partition("..")
    prefix, low = first.split("-")
    high = (last or first).split("-")[1]
    return [f"{prefix}-{n:03d}" for n in range(int(low), int(high) + 1)]


def read_not_applicable():
    reasons = {}
    with open(FOLDER + "not_applicable.tsv", encoding="utf-8") as f:
        for line in f:
            span, reason = line.rstrip("\n").split("\t")
            reasons.update({number: reason for number in expand(span)})
    return reasons


def read_coverage(path):
    """number -> {program: [test, …]} of passing tests, and the numbers that only failing tests name."""
    with open(path, encoding="utf-8") as f:
        results = json.load(f)
    passing, failing = collections.defaultdict(set), set()
    for program, tests in results.items():
        for name, ok in tests.items():
            title, _, tags = name.partition(" [")
            for number in NUMBER.findall(tags):
                if ok:
                    passing[number].add((program.replace("build/sanitize/", "").replace("build/", ""), title))
                else:
                    failing.add(number)
    return passing, failing


def where(covered):
    """The programs, with the first test of each."""
    programs = collections.OrderedDict()
    for program, title in sorted(covered):
        programs.setdefault(program, []).append(title)
    return "; ".join(f"`{p}` {t[0]}" + (f" and {len(t) - 1} more" if len(t) > 1 else "") for p, t in programs.items())


def write_table(path, requirements, reasons, passing):
    lines = [
        "# Requirements and the tests that cover them",
        "",
        "Written by `ninja requirements` from `docs/requirements/` and the last full test run; do not edit.",
        "D device, G guest driver, V driver violation the device survives, T transitional device, A administration queue",
        "(virtio 1.4); the others are the PCI Express list. NR = DEVICE_NEEDS_RESET, configuration interrupt, nothing",
        "processed until reset. Levels: as the specification's, or F functional, P performance for PCI Express.",
        "",
        "| number | level | requirement | covered by |",
        "| --- | --- | --- | --- |",
    ]
    for number, (level, text) in requirements.items():
        if number in passing:
            status = where(passing[number])
        elif number in reasons:
            status = f"does not apply: {reasons[number]}"
        else:
            status = "**open**"
        cells = (cell.replace("|", "\\|") for cell in (number, level, text, status))
        lines.append(f"| {' | '.join(cells)} |")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", default="build/test-results.json")
    parser.add_argument("--write")
    args = parser.parse_args()
    requirements, reasons = read_list(), read_not_applicable()
    passing, failing = read_coverage(args.results)
    wrong = sorted((set(passing) | failing) - set(requirements))
    wrong += [f"{n} (said not to apply)" for n in sorted(set(passing) & set(reasons))]
    covered = [n for n in requirements if n in passing]
    apart = [n for n in requirements if n in reasons and n not in passing]
    left = [n for n in requirements if n not in passing and n not in reasons]
    for number in left:
        level, text = requirements[number]
        note = " (a test names it and fails)" if number in failing else ""
        print(f"open    {number} {level}: {text[:120]}{note}")
    for problem in wrong:
        print(f"wrong   a test names {problem}")
    print(f"{len(requirements)} requirements: {len(covered)} covered by a passing test, {len(apart)} do not apply, {len(left)} open")
    for reason, count in collections.Counter(reasons[n] for n in apart).items():
        print(f"  {count:3d} {reason}")
    if args.write:
        write_table(args.write, requirements, reasons, passing)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
