#!/usr/bin/env python3
"""Dissectors that break the contract, as real .so files loaded by `sluice replay`: each is
refused with its reason, or loses the flow and is named in the counter of what it did.  The
engine survives, and the HTTP flows before and after the hostile one are logged as ever."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
SLUICE = os.environ.get("SLUICE", os.path.join(ROOT, "build/release/sluice"))
BUILD = os.environ.get("SLUICE_BUILD", os.path.join(ROOT, "build/release"))
HOSTILE = os.path.join(BUILD, "tests", "hostile")
sys.path.insert(0, os.path.join(ROOT, "tests", "replay"))
from packets import Capture, request, response  # noqa: E402

TALK = [("c", b"HOSTILE one"), ("s", b"HOSTILE two"), ("c", b"HOSTILE three"), ("s", b"HOSTILE four")]
LONG = [("c", b"HOSTILE" + b"." * 6000), ("s", b"HOSTILE" + b"." * 6000)]
HUGE = [("c", b"HOSTILE" + b"." * 1100000)]
RECORDS = 4  # of TALK, when nothing goes wrong

# What a loaded plug-in leads to: counters below plugins.hostile and below dissect, records of it;
# calls: two of them are probes of the HTTP flows.
RUNS = {
    "well_behaved": dict(records=RECORDS),
    "newer_struct": dict(records=RECORDS),
    "older_struct": dict(records=RECORDS),
    "null_init": None,  # its parse would call a host that it was never given: loading is tested below
    "consumed_too_much": dict(plugin={"consumed_too_much": 1}, dissect={"breaches": 1}, records=1),
    "needed_zero": dict(plugin={"bad_needed": 1}, dissect={"breaches": 1}, records=1),
    "needed_huge": dict(plugin={"bad_needed": 1}, dissect={"breaches": 1}, records=1),
    "bad_status": dict(plugin={"bad_status": 1}, dissect={"breaches": 1}, records=1),
    "too_slow": dict(plugin={"too_slow": 2}, dissect={"slow_calls": 2, "breaches": 1}, records=2),
    "never_consumes": dict(turns=HUGE, dissect={"pending_overflow": 1}),
    "one_byte_a_call": dict(turns=LONG, plugin={"too_many_calls": 1}, dissect={"breaches": 1}),
    "probe_never_decides": dict(turns=LONG, calls=2 + 6, dissect={"probe_undecided": 2, "undissected": 1}, records=0),
    "probe_odd_answer": dict(turns=LONG, calls=2 + 2, dissect={"undissected": 1}, records=0),
    "probe_slow": dict(turns=[("c", b"H"), ("c", b"O"), ("c", b"S"), ("s", b"H")], plugin={"too_slow": 4},
                       dissect={"slow_calls": 4}, records=0),
    "no_state": dict(records=0),
    "handover_to_itself": dict(dissect={"breaches": 0}),
    "handover_to_nobody": dict(records=1),
    "bad_calls": dict(plugin={"bad_host_call": 84}, dissect={"bad_calls": 84}, records=RECORDS, count=21),
    "floods": None,  # see test_floods_end_at_their_limits
    "throws_in_parse": dict(dissect={"parse_errors": 2}, records=2),
    "throws_in_flow_new": dict(records=0),
    "throws_in_probe": dict(turns=LONG, calls=2 + 2, dissect={"undissected": 1}, records=0),
    "throws_in_gap": dict(lose=2, dissect={"gaps": 1, "gap_stops": 1}, records=3),
    "throws_in_end": dict(records=RECORDS),
}

# What is not loaded, and what is said of it.
REFUSED = {
    "struct_too_small": "struct_size 8 is below ABI 1.0",
    "newer_minor": "needs plug-in ABI 1.2; this is 1.1: upgrade sluice",
    "field_rows_too_small": "field row size 8 is not of ABI 1.x; rebuild the plug-in",
    "event_rows_too_big": "event row size 1000000 is not of ABI 1.x; rebuild the plug-in",
    "unknown_type": "field 0 (hostile.note): unknown type",
    "null_probe": "callback probe is null; it is required",
    "null_flow_new": "callback flow_new is null; it is required",
    "null_flow_free": "callback flow_free is null; it is required",
    "null_parse": "callback parse is null; it is required",
    "no_name": "name must be in [a-z0-9_-] and not empty",
    "init_fails": "init of hostile failed: Permission denied",
    "throws_in_init": "init of hostile failed: Bad address",
    "no_symbol": "exports no sluice_plugin_v1; it is not a plug-in of ABI 1",
}
# These take what is another's: whoever is loaded first has it, the other is refused.
TAKEN = {
    "taken_name": "a dissector named http is already loaded; rename or remove one",
    "taken_keyword": "keyword http.uri is already taken by dissector",
}


class Hostile(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.dir = self.tmp.name

    def tearDown(self):
        self.tmp.cleanup()

    def capture(self, turns, lose=None):
        """An HTTP flow, the hostile one, an HTTP flow; `lose`: the turn whose packet is not there."""
        c = Capture()
        c.tcp(80, [("c", request("/before")), ("s", response())])
        first = len(c.frames) + 3
        c.tcp(4444, turns)
        if lose is not None:
            del c.frames[first + 2 * lose]
        c.tcp(80, [("c", request("/after")), ("s", response())])
        path = os.path.join(self.dir, "x.pcap")
        c.write(path)
        return path

    def replay(self, plugin_dir, capture):
        out = os.path.join(self.dir, "out")
        shutil.rmtree(out, ignore_errors=True)
        r = subprocess.run([SLUICE, "replay", "-q", "-r", capture, "-l", out, "--plugin-dir", plugin_dir,
                            "--set", "stream.depth=0"], capture_output=True, text=True, timeout=60)
        self.assertEqual(r.returncode, 0, r.stderr)
        with open(os.path.join(out, "eve.json")) as f:
            events = [json.loads(line) for line in f]
        urls = [e["http"]["url"] for e in events if e["event_type"] == "http"]
        self.assertEqual(urls, ["/before", "/after"])
        return r.stderr, events

    def test_every_case_has_an_expectation(self):
        self.assertEqual(sorted(os.listdir(HOSTILE)), sorted([*RUNS, *REFUSED, *TAKEN]))

    def test_loaded_and_survived(self):
        for case, want in RUNS.items():
            if want is None:
                continue
            with self.subTest(case):
                capture = self.capture(want.get("turns", TALK), want.get("lose"))
                said, events = self.replay(os.path.join(HOSTILE, case), capture)
                self.assertNotIn("not loaded", said)
                stats = [e["stats"] for e in events if e["event_type"] == "stats"][-1]
                breaches = dict.fromkeys(("consumed_too_much", "bad_needed", "bad_status", "too_slow",
                                          "too_many_calls", "bad_host_call"), 0)
                counted = {k: v for k, v in stats["plugins"]["hostile"].items() if k not in ("calls", "time_us")}
                self.assertEqual(counted, breaches | want.get("plugin", {}))
                if "calls" in want:
                    self.assertEqual(stats["plugins"]["hostile"]["calls"], want["calls"])
                for name, value in want.get("dissect", {}).items():
                    # On a busy machine the clock counts other people's work too.
                    check = self.assertGreaterEqual if name == "slow_calls" else self.assertEqual
                    check(stats["dissect"][name], value, name)
                records = [e["hostile"] for e in events if e["event_type"] == "hostile"]
                if "records" in want:
                    self.assertEqual(len(records), want["records"])
                if "count" in want:
                    self.assertEqual({r["count"] for r in records}, {want["count"]})

    def test_floods_end_at_their_limits(self):
        _, events = self.replay(os.path.join(HOSTILE, "floods"), self.capture(TALK))
        dissect = [e["stats"]["dissect"] for e in events if e["event_type"] == "stats"][-1]
        for counter in ("memcap", "transactions_forced", "transactions_lost", "events_lost"):
            self.assertGreater(dissect[counter], 0, counter)

    def test_refused_with_the_reason(self):
        capture = self.capture(TALK)
        for case, message in REFUSED.items():
            with self.subTest(case):
                directory = os.path.join(HOSTILE, case)
                said, events = self.replay(directory, capture)
                self.assertIn(f"plug-in not loaded: {directory}/hostile.so: {message}", said)
                self.assertEqual(said.count("not loaded"), 1, said)
                self.assertNotIn("hostile", {e["event_type"] for e in events})

    def test_a_name_or_keyword_belongs_to_who_came_first(self):
        for case, message in TAKEN.items():
            with self.subTest(case):
                r = subprocess.run([SLUICE, "plugin", "list", "--json", "--plugin-dir", os.path.join(HOSTILE, case)],
                                   capture_output=True, text=True, timeout=60)
                self.assertEqual(r.returncode, 1, r.stderr)
                problems = json.loads(r.stdout)["problems"]
                # Dissectors that share the keyword with its owner cannot be had without it.
                self.assertEqual([p for p in problems if message.split(" is ")[0] not in p], [], problems)
                self.assertIn(message, problems[0])

    def copy(self, case="well_behaved"):
        directory = os.path.join(self.dir, "plugins")
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, "hostile.so")
        shutil.copy(os.path.join(HOSTILE, case, "hostile.so"), path)
        os.chmod(directory, 0o755)
        os.chmod(path, 0o755)
        return directory, path

    def refused(self, directory, message):
        said, events = self.replay(directory, self.capture(TALK))
        self.assertIn(f"plug-in not loaded: {message}", said)
        self.assertNotIn("hostile", {e["event_type"] for e in events})

    def test_a_file_that_others_can_write_is_refused(self):
        for mode in (0o775, 0o757):
            directory, path = self.copy()
            os.chmod(path, mode)
            self.refused(directory, f"{path}: others can write it; run: chmod go-w {path}")

    def test_a_directory_that_others_can_write_is_refused(self):
        for mode in (0o775, 0o1777):
            directory, _ = self.copy()
            os.chmod(directory, mode)
            self.refused(directory, f"{directory}: others can write it; run: chmod go-w {directory}")

    @unittest.skipUnless(os.geteuid() == 0, "SLUICE-SKIPPED: only root gives files away")
    def test_a_file_of_another_user_is_refused(self):
        directory, path = self.copy()
        os.chown(path, 65534, 65534)
        self.refused(directory, f"{path}: owned by uid 65534; a plug-in must belong to root or to us")

    def test_what_is_no_library_is_refused(self):
        directory, path = self.copy()
        with open(path, "rb") as f:
            whole = f.read()
        for content in (b"", b"#!/bin/sh\n", whole[:64], whole[:len(whole) // 2]):
            with open(path, "wb") as f:
                f.write(content)
            self.refused(directory, path)

    def test_a_null_init_is_allowed(self):
        r = subprocess.run([SLUICE, "plugin", "check", os.path.join(HOSTILE, "null_init", "hostile.so")],
                           capture_output=True, text=True, timeout=60)
        self.assertEqual((r.returncode, r.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
