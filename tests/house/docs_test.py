#!/usr/bin/env python3
"""What the README and the help say is true: the commands run, options exist, pages
named exist, sample rules load."""
import functools
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "replay"))
from packets import Capture, dns_answer, dns_query, response  # noqa: E402

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

    def test_every_log_setting_is_explained(self):
        with open(os.path.join(ROOT, "engine/config/settings.cc")) as f:
            names = re.findall(r'"((?:eve|log)\.[a-z-]+)"', f.read())
        self.assertGreater(len(names), 30)
        page = self.page("docs/eve.md")
        for name in names:
            self.assertIn(f"`{name}`", page)

    def test_sample_settings_of_the_logs_are_taken(self):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "sluice.toml")
            with open(path, "w") as f:
                f.write(re.search(r"```toml\n(.*?)```", self.page("docs/eve.md"), re.S)[1])
            run("check", "-c", path)

    def test_sample_records_are_what_is_written(self):
        page = self.page("docs/eve.md")
        samples = [json.loads(line) for block in re.findall(r"```json\n(.*?)```", page, re.S)
                   for line in block.splitlines()]
        self.assertGreaterEqual(len(samples), 5)
        records, fast = self.replay_sample(re.search(r"```rules\n(.*?)```", page, re.S)[1])
        for sample in samples:
            self.assertIn(sample, records, sample["event_type"])
        self.assertEqual(re.search(r"```text\n(.*?)```", page, re.S)[1], fast)

    def page(self, name):
        with open(os.path.join(ROOT, name)) as f:
            return f.read()

    def replay_sample(self, rules):
        capture = Capture()
        capture.tcp(80, [("c", b"GET /login HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: curl/8.5\r\n\r\n"),
                         ("s", response(b"ok"))])
        capture.udp(53, [("c", dns_query("evil.example", 1)), ("s", dns_answer("evil.example"))])
        with tempfile.TemporaryDirectory() as d:
            at = functools.partial(os.path.join, d)
            capture.write(at("a.pcap"))
            with open(at("a.rules"), "w") as f:
                f.write(rules)
            subprocess.run([SLUICE, "replay", "-q", "-r", at("a.pcap"), "-S", at("a.rules"), "-l", at("out"),
                            "--simulate-ips", "--set", "eve.community-id=yes"],
                           check=True, timeout=60, env={**os.environ, "TZ": "UTC"})
            with open(at("out/eve.json")) as eve, open(at("out/fast.log")) as fast:
                return [json.loads(line) for line in eve], fast.read()

    def test_code_of_the_plugin_page_is_of_examples_that_are_built(self):
        with open(os.path.join(ROOT, "docs/plugin-abi.md")) as f:
            blocks = re.findall(r"```cpp\n(.*?)```", f.read(), re.S)
        self.assertGreaterEqual(len(blocks), 5)
        sources = ""
        for path in ("examples/skeleton/skeleton.cc", "tests/abi/kitchen_sink/sink.cc"):
            with open(os.path.join(ROOT, path)) as f:
                sources += f.read()
        plain = re.sub(r"\s+", " ", sources)
        for block in blocks:
            for part in re.split(r"(?m)^\s*// \.\.\.$", block):
                self.assertIn(re.sub(r"\s+", " ", part).strip(), plain)

    def test_every_command_explains_itself_with_an_example(self):
        for args in ([], ["run"], ["replay"], ["check"], ["drops"], ["drops", "list"], ["drops", "add"],
                     ["drops", "del"], ["drops", "flush"], ["status"], ["reload"], ["doctor"], ["plugin"],
                     ["plugin", "list"], ["plugin", "check"], ["plugin", "new"]):
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
