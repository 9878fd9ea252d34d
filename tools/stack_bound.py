#!/usr/bin/python3
"""Bounds the stack of a program from gcc's -fcallgraph-info=su files.

usage: stack_bound.py --limit BYTES --root FUNCTION [--root FUNCTION …] OBJECT …

Reads the .ci file beside each object, adds up the deepest path of calls from the roots (of which one may interrupt
another: their bounds add up) and prints it. Fails on recursion, calls through pointers, functions that are in none of
the objects (such as libgcc's), stack use that is not static, and if the bound exceeds the limit.
"""
import argparse
import re
import sys

NODE = re.compile(r'node: \{ title: "([^"]+)" label: "([^"]*)"')
EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
USE = re.compile(r"(\d+) bytes \(([\w,]+)\)")


def read(paths):
    use, calls = {}, {}
    for path in paths:
        with open(re.sub(r"\.o$", ".ci", path), encoding="utf-8") as f:
            text = f.read()
        for title, label in NODE.findall(text):
            found = USE.search(label)
            if found:
                if found[2] != "static":
                    sys.exit(f"stack_bound.py: {title}: stack use is {found[2]}")
                use[title] = int(found[1])
        for source, target in EDGE.findall(text):
            calls.setdefault(source, set()).add(target)
    return use, calls


def plain(name):
    """Static functions are called file:name."""
    return name.rsplit(":", 1)[-1]


def deepest(name, use, calls, path, memo):
    if name in path:
        sys.exit(f"stack_bound.py: recursion: {' > '.join(map(plain, path + [name]))}")
    if name == "__indirect_call":
        sys.exit(f"stack_bound.py: call through a pointer in {plain(path[-1])}")
    if name not in use:
        sys.exit(f"stack_bound.py: nothing known of {plain(name)}, called by {plain(path[-1])}")
    if name not in memo:
        below = [deepest(c, use, calls, path + [name], memo) for c in sorted(calls.get(name, ()))]
        bytes_below, path_below = max(below, default=(0, []))
        memo[name] = (use[name] + bytes_below, [name] + path_below)
    return memo[name]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, required=True)
    parser.add_argument("--root", action="append", required=True)
    parser.add_argument("objects", nargs="+")
    args = parser.parse_args()
    use, calls = read(args.objects)
    total, memo = 0, {}
    for root in args.root:
        if root not in use:
            sys.exit(f"stack_bound.py: no function {root}")
        bound, path = deepest(root, use, calls, [], memo)
        total += bound
        print(f"{root}: {bound} bytes: {' > '.join(f'{plain(n)} ({use[n]})' for n in path)}")
    print(f"stack: at most {total} of {args.limit} bytes")
    return 1 if total > args.limit else 0


if __name__ == "__main__":
    sys.exit(main())
