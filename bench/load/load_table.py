#!/usr/bin/env python3
"""How long rules take to load and how much memory they take, as rows of a table.

    load_table.py RULES [--sluice PATH] [--sizes 1000,10000,all,100000] [--cpu N]

RULES is a file of the dialect, also gzipped; a size takes its first so many rules, `all` all
of them, one beyond that what is generated behind them: rules with other words in the fields
and lengths of the real ones. For each size sluice is run on a capture without packets, once
with an empty cache and once with what that left: CPU seconds of the process, and the most it
had resident. Suricata's numbers come from the same machine by running it beside this.
"""
import argparse
import gzip
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))


def read(path):
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt", errors="surrogateescape") as f:
        return [line for line in f if re.match(r"(alert|drop|pass) ", line)]


def another(rule, sid, rng):
    """The rule with its letters shuffled within contents, so that nothing is shared with it."""
    def content(match):
        parts = re.split(r"(\|[^|]*\|)", match.group(1))
        mixed = ["".join(rng.choice("abcdefghijklmnopqrstuvwxyz") if c.isalpha() else c for c in p) if i % 2 == 0 else p
                 for i, p in enumerate(parts)]
        return f'content:"{"".join(mixed)}"'
    rule = re.sub(r'content:"((?:[^"\\]|\\.)*)"', content, rule)
    return re.sub(r"\bsid:\d+;", f"sid:{sid};", rule)


def rules_of(real, size):
    rng = random.Random(1)  # the same rules each time
    extra = [another(real[i % len(real)], 50_000_000 + i, rng) for i in range(max(0, size - len(real)))]
    return real[:size] + extra


def run(sluice, rules, capture, cache, out, cpu):
    command = [sluice, "replay", "-q", "-r", capture, "-S", rules, "-l", out, "--set", f"rules.cache-directory={cache}"]
    process = subprocess.Popen((["taskset", "-c", str(cpu)] if cpu is not None else []) + command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("rules")
    parser.add_argument("--sluice", default=os.path.join(ROOT, "build/release/sluice"))
    parser.add_argument("--sizes", default="1000,10000,all,100000")
    parser.add_argument("--cpu", type=int)
    args = parser.parse_args()
    real = read(args.rules)
    print("| rules | cold, CPU s | warm, CPU s | cold, MiB | warm, MiB |\n|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as tmp:
        capture = os.path.join(tmp, "empty.pcap")
        with open(capture, "wb") as f:
            f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for word in args.sizes.split(","):
            size = len(real) if word == "all" else int(word)
            path = os.path.join(tmp, "size.rules")
            with open(path, "w", errors="surrogateescape") as f:
                f.writelines(rules_of(real, size))
            cache, out = os.path.join(tmp, f"cache-{size}"), os.path.join(tmp, "out")
            runs = [run(args.sluice, path, capture, cache, out, args.cpu) for _ in range(2)]
            (cold, cold_mib), (warm, warm_mib) = runs
            print(f"| {size:,} | {cold:.2f} | {warm:.2f} | {cold_mib:.0f} | {warm_mib:.0f} |", flush=True)


if __name__ == "__main__":
    main()
