#!/usr/bin/env python3
"""What the README and the help say is true: the commands run, options exist, pages
named exist, sample rules load."""
import json
import os
import re
import struct
import subprocess
import tempfile
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
SLUICE = os.environ.get("SLUICE", os.path.join(ROOT, "build/release/sluice"))


def run(*args, code=0):
    r = subprocess.run([SLUICE, *args], capture_output=True, text=True, timeout=60)
    assert r.returncode == code, f"{args}: exit {r.returncode}, expected {code}: {r.stderr}"
    return r.stdout


class Docs(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(ROOT, "README.md")) as f:
            self.readme = f.read()

    def test_pages_named_in_the_readme_exist(self):
        for page in re.findall(r"`(docs/[\w.]+)`", self.readme):
            self.assertTrue(os.path.exists(os.path.join(ROOT, page)), page)

    def test_sample_rules_load(self):
        rules = re.findall(r"^    (alert .*)$", self.readme, re.M)
        self.assertTrue(rules)
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "my.rules")
            with open(path, "w") as f:
                f.write("\n".join(rules) + "\n")
            self.assertIn(f"{len(rules)} rules loaded, 0 failed", run("check", "-S", path))

    def test_rule_forms_of_the_docs_mean_the_same(self):
        with open(os.path.join(ROOT, "docs/rules.md")) as f:
            page = f.read()
        pairs = re.findall(r"```rules\n(.*?)```\s*```toml\n(.*?)```", page, re.S)
        self.assertGreaterEqual(len(pairs), 6)
        with tempfile.TemporaryDirectory() as d:
            for rules, toml in pairs:
                shown = []
                for name, text in (("a.rules", rules), ("a.toml", toml)):
                    path = os.path.join(d, name)
                    with open(path, "w") as f:
                        f.write(text)
                    out = run("check", "-v", "-S", path)
                    self.assertIn(" 0 failed", out)
                    shown.append([line for line in out.split("\n") if not line.startswith(d)])
                self.assertEqual(*shown)

    def test_every_command_explains_itself_with_an_example(self):
        for args in ([], ["run"], ["replay"], ["check"], ["drops"], ["drops", "list"], ["drops", "add"],
                     ["drops", "del"], ["drops", "flush"], ["status"], ["reload"], ["doctor"], ["plugin"],
                     ["plugin", "list"], ["plugin", "check"]):
            out = run(*args, "--help")
            self.assertIn("Example: sluice", out, args)

    def test_manual_page_names_every_command(self):
        with open(os.path.join(ROOT, "docs/sluice.1")) as f:
            page = f.read()
        for command in ("run", "replay", "check", "drops", "status", "plugin"):
            self.assertIn("sluice " + command, page)
        r = subprocess.run(["man", "-l", "--warnings", os.path.join(ROOT, "docs/sluice.1")],
                           capture_output=True, text=True) if os.path.exists("/usr/bin/man") else None
        if r is not None:
            self.assertEqual(r.stderr.strip(), "")

    def test_every_setting_is_documented(self):
        r = subprocess.run([os.path.join(ROOT, "tools/settings-page"), "--check"], capture_output=True, text=True,
                           env={**os.environ, "SLUICE": SLUICE})
        self.assertEqual(r.returncode, 0, r.stderr)

    def test_doctor_gives_a_remedy_for_each_problem(self):
        for args in (["-i", "nothere0"], ["--set", "run-as.user=nobody-of-that-name"], ["-S", "/nonexistent.rules"]):
            r = subprocess.run([SLUICE, "doctor", "--json", *args], capture_output=True, text=True)
            self.assertEqual(r.returncode, 1, args)
            findings = json.loads(r.stdout)
            self.assertTrue(any(f["result"] == "failure" for f in findings), args)
            for f in findings:
                self.assertEqual(bool(f["remedy"]), f["result"] != "ok", f)

    def test_misspelt_option_and_command_are_suggested(self):
        r = subprocess.run([SLUICE, "replay", "--simulate-ip"], capture_output=True, text=True)
        self.assertEqual(r.returncode, 2)
        self.assertIn("did you mean --simulate-ips?", r.stderr)

    def test_keywords_are_listed_with_their_help(self):
        out = run("--list-keywords")
        for keyword in ("content", "http.uri", "dns.query"):
            self.assertRegex(out, rf"(?m)^{re.escape(keyword)} .*\w")

    def test_replay_of_an_empty_capture_writes_its_logs(self):
        with tempfile.TemporaryDirectory() as d:
            capture = os.path.join(d, "empty.pcap")
            with open(capture, "wb") as f:
                f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            run("replay", "-q", "-r", capture, "-l", os.path.join(d, "out"))
            self.assertTrue(os.path.exists(os.path.join(d, "out", "eve.json")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
