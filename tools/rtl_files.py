"""Which SystemVerilog files the RTL twins are made of: as the build says, which lists them."""
import json
import subprocess


def twins():
    """{top module: its files, in order of their use} of the card's twins."""
    out = subprocess.run(["ninja", "-t", "compdb", "verilate"], capture_output=True, text=True, check=True).stdout
    found = {}
    for entry in json.loads(out):
        words = entry["command"].split()
        files = [word for word in words if word.endswith(".sv")]
        if entry["output"].startswith("build/rtl/") and files[-1].startswith("rtl-model/"):
            found[words[words.index("--top-module") + 1]] = files
    return dict(sorted(found.items()))
