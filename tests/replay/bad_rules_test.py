#!/usr/bin/env python3
"""Rules, lists and traffic made to cost much: each ends with an error that names its place,
or at a limit that is counted."""
import base64
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from packets import Capture  # noqa: E402

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
SLUICE = os.environ.get("SLUICE", os.path.join(ROOT, "build/release/sluice"))
TIMEOUT = 90  # seconds; a guard against a hang: what is asserted are counters and messages


def rule(sid, options, head="alert tcp any any -> any any"):
    return f"{head} ({options} sid:{sid};)\n"


class BadRules(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.dir = self.tmp.name

    def tearDown(self):
        self.tmp.cleanup()

    def path(self, name, content):
        p = os.path.join(self.dir, name)
        with open(p, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        return p

    def check(self, content, code, *say, name="t.rules", options=()):
        r = subprocess.run([SLUICE, "check", "-S", self.path(name, content), "--set", 'rules.cache-directory=', *options],
                           capture_output=True, timeout=TIMEOUT)
        text = (r.stdout + r.stderr).decode(errors="replace")
        if code is not None:
            self.assertEqual(r.returncode, code, text[-2000:])
        for part in say:
            self.assertIn(part, text[-20000:])
        return text

    def replay(self, rules, payloads, *options):
        """The alerts and the last stats record of a TCP flow of these payloads to the server."""
        capture = os.path.join(self.dir, "t.pcap")
        c = Capture()
        c.tcp(4444, [("c", p) for p in payloads])
        c.write(capture)
        out = os.path.join(self.dir, "out")
        r = subprocess.run([SLUICE, "replay", "-q", "-r", capture, "-l", out, "-S", self.path("t.rules", rules),
                            "--set", 'rules.cache-directory=', *options], capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual(r.returncode, 0, r.stderr)
        with open(os.path.join(out, "eve.json")) as f:
            events = self.events = [json.loads(line) for line in f]
        alerts = [e["alert"]["signature_id"] for e in events if e["event_type"] == "alert"]
        return alerts, [e for e in events if e["event_type"] == "stats"][-1]["stats"]

    # ------------------------------------------------------------- engine's log

    def test_the_engines_log_has_each_problem_with_its_place(self):
        text = (rule(1, 'content:"abc";') + rule(2, 'kontent:"abc";') +
                rule(3, "dns.query; dataset:isset,s,type string,state ../s.lst;", "alert dns any any -> any any"))
        self.replay(text, [b"x"], "--set", "engine-log.enabled=true", "--set", "engine-log.file=engine.json", "--set", "engine-log.type=json")
        with open(os.path.join(self.dir, "out", "engine.json")) as f:
            said = [json.loads(line) for line in f]
        self.assertEqual({(s["event_type"], s["log_level"]) for s in said}, {("engine", "Error")})
        by_sid = {s["engine"]["sid"]: s["engine"] for s in said}
        self.assertEqual(sorted(by_sid), [2, 3])
        self.assertEqual((by_sid[2]["line"], os.path.basename(by_sid[2]["file"])), (2, "t.rules"))
        self.assertEqual(by_sid[3]["message"], "Directory traversals not allowed: ../s.lst")
        self.assertIn("data-dir", by_sid[3]["remedy"])

    def test_the_engines_log_as_text_and_where_it_cannot_be(self):
        self.replay(rule(2, 'kontent:"abc";'), [b"x"], "--set", "engine-log.enabled=true")
        with open(os.path.join(self.dir, "out", "sluice.log")) as f:
            self.assertIn("t.rules:1:", f.read())
        r = subprocess.run([SLUICE, "replay", "-q", "-r", os.path.join(self.dir, "t.pcap"), "-l", self.dir, "--set", "engine-log.enabled=true",
                            "--set", "engine-log.file=/nowhere/x.log"], capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual(r.returncode, 1)
        self.assertIn("/nowhere/x.log: the engine's log cannot be opened", r.stderr)

    def test_an_engines_log_that_cannot_be_written_says_so_once(self):
        r = subprocess.run([SLUICE, "replay", "-r", self.path("none.pcap", ""), "-S", self.path("t.rules", rule(1, "kontent:1;") + rule(2, "kontent:1;")),
                            "-l", self.dir, "--set", "engine-log.enabled=true", "--set", "engine-log.file=/dev/full",
                            "--set", "rules.cache-directory="], capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual(r.stderr.count("/dev/full: the engine's log cannot be written"), 1, r.stderr)

    # ------------------------------------------------------------------ files

    def test_a_million_lines_of_garbage(self):
        text = self.check("no rule at all\n" * 1_000_000, 1, "0 rules loaded, 1000000 failed")
        self.assertLess(text.count("\n"), 10_100, "problems are kept up to a limit")

    def test_a_million_comments_around_a_rule(self):
        self.check("# nothing\n" * 500_000 + rule(1, 'content:"abc";') + "#\n" * 500_000, 0, "1 rules loaded, 0 failed")

    def test_a_line_of_a_mebibyte(self):
        long = rule(1, f'content:"{"a" * (1 << 20)}";')
        self.check(long + rule(2, 'content:"abc";'), 1, "t.rules:1:", "at most 65536", "1 rules loaded, 1 failed")

    def test_a_file_that_is_one_line_of_zeros(self):
        self.check(b"\0" * (4 << 20), 1, "t.rules:1:", "0 rules loaded")

    def test_rules_that_each_name_another_bit(self):
        text = "".join(rule(i, f'content:"abcd"; flowbits:set,bit{i}; flowint:n{i},+,1; xbits:set,x{i},track ip_src;')
                       for i in range(1, 60_001))
        self.check(text, 0, "60000 rules loaded, 0 failed")

    def test_a_word_repeated_until_the_rule_is_full(self):
        for option in ("flowbits:isset,a;", "ttl:1;", 'content:"a";', "http.uri; ", "byte_jump:1,0;"):
            self.check(rule(1, option * (60_000 // len(option)), "alert http any any -> any any") + rule(2, 'content:"abc";'),
                       None or (1 if "uri" in option else 0), "loaded")

    def test_brackets_that_nest(self):
        for n in (10, 10_000):
            head = f"alert tcp {'[' * n}10.0.0.1{']' * n} any -> any any"
            self.check(rule(1, 'content:"abc";', head) + rule(2, 'content:"abc";'), 0 if n == 10 else 1,
                       "2 rules loaded" if n == 10 else "t.rules:1:")

    def test_a_variable_that_means_itself(self):
        self.check(rule(1, 'content:"abc";', "alert tcp $LOOP any -> any any"), 1, "t.rules:1:",
                   options=("--set", "vars.addresses.LOOP=$LOOP"))

    # -------------------------------------------------------------- variables

    def test_more_byte_variables_than_there_is_room_for(self):
        extracts = "".join(f"byte_extract:1,{i},v{i}; " for i in range(33))
        self.check(rule(1, extracts) + rule(2, 'content:"abc";'), 1, "sid 1", "33 byte variables; at most 32")

    def test_byte_extracts_that_feed_each_other_end_at_the_limit(self):
        loop = 'content:"a"; ' + "".join(
            f'byte_extract:1,0,v{i},relative; content:"a"; distance:0; within:v{i}; ' for i in range(30)) + 'content:"Z"; distance:0; '
        alerts, stats = self.replay(rule(1, loop) + rule(2, 'content:"aaaa"; isdataat:100;'), [b"a" * 1400] * 8)
        self.assertIn(2, alerts)
        self.assertNotIn(1, alerts)
        self.assertGreater(stats["detect"]["recursion_limit"], 0)

    # ------------------------------------------------------------ expressions

    def test_an_expression_that_explodes_ends_at_the_limit(self):
        explosive = r'content:"aaaa"; pcre:"/^(a|aa|a?)+(?=b)\1$/"; '
        alerts, stats = self.replay(rule(1, explosive) + rule(2, 'content:"aaaa"; isdataat:100;'), [b"a" * 1400] * 4)
        self.assertIn(2, alerts)
        self.assertNotIn(1, alerts)
        self.assertGreater(stats["detect"]["regex_limit"], 0)
        told = [e["sensor"] for e in self.events if e["event_type"] == "sensor"]
        self.assertEqual([(t["what"], t["sid"]) for t in told], [("rule_limit", 1)])

    def test_an_expression_that_explodes_elsewhere_does_not_here(self):
        alerts, stats = self.replay(rule(1, 'content:"aaaa"; pcre:"/^(a+)+$/"; ') + rule(2, 'content:"aaaa"; isdataat:100;'),
                                    [b"a" * 1400 + b"!"] * 4)
        self.assertNotIn(1, alerts)
        self.assertIn(2, alerts)
        self.assertEqual(stats["detect"].get("regex_limit", 0), 0)

    def test_expressions_too_large_to_build_are_named(self):
        for expression in ("((((a{1,200}){1,200}){1,200}){1,200})", "(?:" * 20000):
            self.check(rule(1, f'content:"abc"; pcre:"/{expression}/";') + rule(2, 'content:"abc";'), 1,
                       "sid 1: pcre:", "1 rules loaded, 1 failed")

    def test_large_expressions_load_or_are_named(self):
        for expression in ("(" * 5000 + "a" + ")" * 5000, r"(\w{1,1000}){1,1000}\1", "|".join(["a{1,60}b"] * 2000)):
            text = self.check(rule(1, f'content:"abc"; pcre:"/{expression}/";') + rule(2, 'content:"abc";'), None)
            self.assertTrue("2 rules loaded, 0 failed" in text or "1 rules loaded, 1 failed" in text, text[-300:])

    # --------------------------------------------------------------- datasets

    def test_datasets_with_broken_lines_are_named(self):
        good = base64.b64encode(b"example.test").decode()
        cases = (("string", f"{good}\n!!!\n"), ("md5", "0" * 32 + "\nxyz\n"), ("sha256", "0" * 64 + "\n00\n"),
                 ("ipv4", "10.0.0.1\n10.0.0.300\n"), ("ip", "::1\n:::\n"), ("string", f"{good}\n{good},70000\n"))
        for kind, content in cases:
            self.path("set.lst", content)
            buffer = "dns.query; " + {"md5": "to_md5; ", "sha256": "to_sha256; "}.get(kind, "")
            buffer = "ip.src; " if kind.startswith("ip") else buffer
            head = "alert ip any any -> any any" if kind.startswith("ip") else "alert dns any any -> any any"
            with self.subTest(kind):
                self.check(rule(1, f"{buffer}dataset:isset,s,type {kind},load set.lst;", head), 1, "set.lst:2", "sid 1")

    def test_a_dataset_past_its_memcap(self):
        lines = "".join(base64.b64encode(str(i).encode()).decode() + "\n" for i in range(50_000))
        self.path("big.lst", lines)
        text = self.check(rule(1, "dns.query; dataset:isset,s,type string,load big.lst,memcap 64kb;",
                               "alert dns any any -> any any"), None, name="m.rules")
        self.assertIn("big.lst", text)

    def test_a_reputation_file_of_garbage(self):
        self.path("cat.txt", "1,Bad,bad hosts\nnonsense\n99,Far,too far\n")
        self.path("rep.list", os.urandom(100_000) + b"\n10.0.0.1,1,50\n")
        self.check(rule(1, "iprep:src,Bad,>,10;", "alert ip any any -> any any"), 0, "1 rules loaded", options=(
            "--set", "rules.reputation-categories=" + os.path.join(self.dir, "cat.txt"),
            "--set", "rules.reputation-files=" + os.path.join(self.dir, "rep.list")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
