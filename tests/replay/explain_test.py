#!/usr/bin/env python3
"""rules explain: which part of a rule did not hold, in each flow that came near."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from packets import Capture, request, response  # noqa: E402

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
SLUICE = os.environ.get("SLUICE", os.path.join(ROOT, "build/release/sluice"))
RULE = ('alert http any any -> any 80 (msg:"m"; flow:established,to_server; http.method; content:"POST"; '
        'http.uri; content:"/a"; startswith; content:"b"; distance:1; within:3; sid:5;)')


class Explain(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def explain(self, *exchanges, rule=RULE, sid=5, port=80, extra=()):
        pcap, rules = (os.path.join(self.folder.name, n) for n in ("c.pcap", "r.rules"))
        with open(rules, "w") as f:
            f.write(rule + "\n")
        capture = Capture()
        for method, target in exchanges:
            capture.tcp(port, [("c", request(target, method)), ("s", response())])
        capture.write(pcap)
        return subprocess.run([SLUICE, "rules", "explain", "--sid", str(sid), "-r", pcap, "-S", rules, *extra],
                              capture_output=True, text=True, timeout=60)

    def first(self, *exchanges, **options):
        out = self.explain(*exchanges, extra=("--json",), **options)
        self.assertEqual(out.returncode, 0, out.stderr)
        return json.loads(out.stdout)["explanations"][0]

    def failing(self, explanation):
        return [s["what"] for s in explanation["steps"] if s["outcome"] == "fails"]

    def test_a_match_says_where_each_content_lies(self):
        e = self.first(("POST", "/a12b"))
        self.assertTrue(e["matched"] and e["reported"])
        uri = next(s for s in e["steps"] if s["what"] == "http.uri")
        self.assertEqual([t["found"] for t in uri["tests"]], ["at 0..2", "at 4..5"])
        self.assertEqual(uri["tests"][1]["excerpt"][slice(*uri["tests"][1]["mark"])], "b")

    def test_a_miss_names_the_part_and_the_bytes(self):
        e = self.first(("POST", "/a12345b"))
        self.assertFalse(e["matched"])
        self.assertEqual(self.failing(e), ["http.uri"])
        uri = next(s for s in e["steps"] if s["what"] == "http.uri")
        self.assertEqual([t["outcome"] for t in uri["tests"]], ["holds", "fails"])
        self.assertEqual(uri["tests"][1]["found"], "not as asked in bytes 3..6")

    def test_every_failing_part_is_named_not_only_the_first(self):
        self.assertEqual(self.failing(self.first(("GET", "/c")))[-2:], ["http.method", "http.uri"])

    def test_the_port_is_named(self):
        self.assertEqual(self.failing(self.first(("POST", "/a12b"), port=8080)), ["ports"])

    def test_the_nearest_comes_first(self):
        self.assertEqual(self.failing(self.first(("GET", "/c"), ("POST", "/axb"))), [])

    def test_a_held_back_alert_is_told_apart(self):
        e = self.first(("POST", "/a12b"), rule=RULE.replace("sid:5", "noalert; sid:5"))
        self.assertTrue(e["matched"])
        self.assertFalse(e["reported"])

    def test_plain_text_is_for_people(self):
        out = self.explain(("POST", "/a12b")).stdout
        self.assertIn("matches, alert written", out)
        self.assertIn("^^", out)
        self.assertNotIn("\033", out)  # no terminal, no colours

    def test_a_rule_that_is_not_loaded_is_an_error(self):
        out = self.explain(("GET", "/"), sid=6)
        self.assertEqual(out.returncode, 1)
        self.assertIn("sid 6: no rule", out.stderr)

    def test_a_rule_that_does_not_load_says_why(self):
        out = self.explain(("GET", "/"), rule=RULE.replace("content:\"POST\"", "contnt:\"POST\""))
        self.assertEqual(out.returncode, 1)
        self.assertIn("did you mean content?", out.stderr)


if __name__ == "__main__":
    unittest.main()
