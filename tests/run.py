#!/usr/bin/python3
"""Runs every test program in parallel and ends with the line "N passed, N failed".

usage: tests/run.py [--jobs N] [--only TEXT] [--results FILE]
       tests/run.py --write-list

The programs are the outputs of the ninja rules link_test and linkxx_test. Each is a cmocka program; its
"[       OK ]" and "[  FAILED  ]" lines are counted. A program that crashes or runs out of time counts as
one more failure. --only runs the programs whose path contains TEXT.

`ninja tests` builds what tests/all.ninja names, `ninja covered` the tests of the RTL twins for `ninja coverage`; --write-list
writes that file anew after a test program was added.
"""
import argparse
import concurrent.futures
import glob
import json
import os
import re
import subprocess
import sys
import time

LIST = "tests/all.ninja"
TIME_LIMIT_S = 900
COVERED = "build/covered/"
TWINS = re.compile(COVERED + r"tests/(twin/|unit/rtl-model/(?!fetch_(bad|random))\w*_rtl_test$)")  # TESTS of tools/coverage.py
RESULT = re.compile(r"^\[\s*(OK|FAILED)\s*\] (.+)$", re.M)


def targets():
    found = []
    for rule in ("link_test", "linkxx_test"):
        out = subprocess.run(["ninja", "-t", "targets", "rule", rule], capture_output=True, text=True, check=True)
        found += out.stdout.split()
    return sorted(found)


def programs():
    return [path for path in targets() if not path.startswith(COVERED)]


def phony(name, paths):
    return [f"build {name}: phony $", *(f"  {p} $" for p in paths[:-1]), f"  {paths[-1]}"]


def list_text():
    found = targets()
    lines = ["# Every test program. Written by `tests/run.py --write-list`."]
    lines += phony("tests", [path for path in found if not path.startswith(COVERED)])
    lines += phony("covered", [path for path in found if TWINS.match(path)])
    return "\n".join(lines) + "\n"


def list_is_current():
    with open(LIST, encoding="utf-8") as f:
        return f.read() == list_text()


def forgotten(found):
    """Sources of tests that no program is made of: a .ninja file that nobody includes."""
    built = {os.path.basename(path) for path in found}
    sources = glob.glob("tests/**/*_test.c*", recursive=True)
    return [path for path in sorted(sources) if os.path.basename(path).split(".")[0] not in built]


def run(program):
    start = time.monotonic()
    if not os.path.exists(program):
        return program, {"(not built)": False}, "", 0.0
    try:
        done = subprocess.run(
            [program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            timeout=TIME_LIMIT_S, stdin=subprocess.DEVNULL,
        )
        output, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as e:
        output, code = (e.stdout or b"").decode(errors="replace") + "\ntimed out", -1
    summary = output.rfind("tests run")
    results = {name: kind == "OK" for kind, name in RESULT.findall(output if summary < 0 else output[:summary])}
    if code != 0 and all(results.values()):
        results[f"(exit status {code})"] = False
    if code == 0 and not results:
        results["(no test ran)"] = False
    return program, results, output, time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="")
    parser.add_argument("--results", default="build/test-results.json")
    parser.add_argument("--write-list", action="store_true")
    args = parser.parse_args()
    found = programs()
    if args.write_list:
        with open(LIST, "w", encoding="utf-8") as f:
            f.write(list_text())
        return 0
    passed = failed = 0
    record = {}
    if not list_is_current():
        print(f"FAIL {LIST} does not name every test program: run `tests/run.py --write-list`")
        failed += 1
    for source in forgotten(found):
        print(f"FAIL {source}: no test program is built of it")
        failed += 1
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for program, results, output, seconds in pool.map(run, [p for p in found if args.only in p]):
            bad = [name for name, ok in results.items() if not ok]
            passed += len(results) - len(bad)
            failed += len(bad)
            record[program] = results
            print(f"{'FAIL' if bad else 'ok  '} {seconds:6.1f} s {len(results):4d} {program}", flush=True)
            if bad:
                print(f"---- {program}: failed {', '.join(bad)}\n{output}\n---- repeat: {program}", flush=True)
    with open(args.results, "w", encoding="utf-8") as f:
        json.dump(record, f, indent=1, sort_keys=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
