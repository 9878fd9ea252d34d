#!/usr/bin/python3
"""Verilator's lint of the RTL twins, with all warnings: part of `ninja lint`.

Every block is read as it is simulated, with its assertions, and with every choice of options that tools/synth.py knows.
Comments that switch warnings off are refused (the generated package has one: no block uses all of its constants). Prints only
what is wrong.
"""
import concurrent.futures
import os
import re
import subprocess
import sys

import rtl_files
import synth


def lint(top, files, parameters):
    """What Verilator says, '' if nothing."""
    chosen = [f"-G{name}={value}" for name, value in parameters.items()]
    done = subprocess.run(
        ["verilator", "--lint-only", "-Wall", "+define+KS_ASSERT", "--top-module", top, *chosen, *files],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    if done.returncode == 0 and not done.stdout:
        return ""
    return f"{top} {' '.join(chosen)}\n{done.stdout}"


def waivers(files):
    for path in files:
        with open(path, encoding="utf-8") as source:
            for number, line in enumerate(source, 1):
                if re.search(r"lint_off|lint_save|coverage_off", line):
                    yield f"{path}:{number}: warnings are not switched off here: {line.strip()}"


def main():
    twins = rtl_files.twins()
    work = [(top, files, parameters) for top, files in twins.items() for block, _, parameters in synth.ROWS if block == top]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = [said for said in pool.map(lambda each: lint(*each), work) if said]
    complaints += waivers(sorted({path for files in twins.values() for path in files if not path.startswith("build/")}))
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints or not work else 0


if __name__ == "__main__":
    sys.exit(main())
