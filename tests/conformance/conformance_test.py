#!/usr/bin/env python3
"""The public conformance cases.  Fails on a case that fails and is not listed in
known-failures.tsv, and on a listed case that passes; a listed case has a reason."""
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.realpath(os.path.join(HERE, "..", ".."))
SLUICE = os.environ.get("SLUICE", os.path.join(ROOT, "build/release/sluice"))
SHARED = os.environ.get("SLUICE_SHARED_DIR", os.path.join(ROOT, "..", "shared"))
RUN = os.path.join(SHARED, "conformance", "run")


def known_failures():
    known = {}
    with open(os.path.join(HERE, "known-failures.tsv"), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if line.startswith("#") or not line.strip():
                continue
            name, _, reason = line.rstrip("\n").partition("\t")
            if not reason or name in known:
                sys.exit(f"known-failures.tsv:{number}: write each name once, a tab, and the reason")
            known[name] = reason
    return known


def results(folder):
    """The cases' results by name; a case that may differ from run to run would fail here."""
    out = os.path.join(folder, "results.json")
    subprocess.run([RUN, "--engine", os.path.realpath(SLUICE), "-j", "2", "--json", out, "--work", folder],
                   stdout=subprocess.DEVNULL, timeout=1200, check=False)
    with open(out, encoding="utf-8") as f:
        return json.load(f)


def main():
    if not os.access(RUN, os.X_OK):
        print(f"SLUICE-SKIPPED: no conformance cases at {SHARED}; set SLUICE_SHARED_DIR")
        return 0
    known = known_failures()
    with tempfile.TemporaryDirectory() as folder:
        cases = {case["name"]: case for case in results(folder)}
    failed = {name for name, case in cases.items() if case["status"] == "fail"}
    passed = {name for name, case in cases.items() if case["status"] == "pass"}
    problems = []
    for name in sorted(failed - known.keys()):
        problems.append(f"{name} fails: {cases[name]['why']}"[:300])
    for name in sorted(passed & known.keys()):
        problems.append(f"{name} passes: take it off known-failures.tsv")
    for name in sorted(known.keys() - cases.keys()):
        problems.append(f"{name} is not a case: take it off known-failures.tsv")
    print(f"{len(passed)} cases pass, {len(failed)} fail, {len(known)} are known to")
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
