#!/usr/bin/env python3
"""Bad input of every kind: one clear line with place and remedy, the right exit code,
and what came before is not lost."""
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


class BadInput(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.dir = self.tmp.name
        self.capture = os.path.join(self.dir, "good.pcap")
        c = Capture()
        c.tcp(80, [("c", request()), ("s", response())])
        c.write(self.capture)

    def tearDown(self):
        self.tmp.cleanup()

    def path(self, name, content=b""):
        p = os.path.join(self.dir, name)
        with open(p, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        return p

    def run_it(self, *args, code, say, lines=1):
        r = subprocess.run([SLUICE, *args], capture_output=True, text=True, timeout=60)
        self.assertEqual(r.returncode, code, r.stderr + r.stdout)
        for text in say:
            self.assertIn(text, r.stderr + r.stdout)
        if lines:
            self.assertEqual(len(r.stderr.strip().split("\n")), lines, r.stderr)
        return r

    def replay(self, *args, **kw):
        return self.run_it("replay", "-q", "-l", os.path.join(self.dir, "out"), *args, **kw)

    def test_capture_that_is_not_there(self):
        self.replay("-r", "/nonexistent.pcap", code=1, say=["/nonexistent.pcap", "No such file"])

    def test_capture_that_is_no_capture(self):
        self.replay("-r", self.path("x.pcap", b"hello world, not a capture"), code=1, say=["x.pcap", "give a pcap"])

    def test_truncated_capture_keeps_what_came_before(self):
        with open(self.capture, "rb") as f:
            whole = f.read()
        self.replay("-r", self.path("cut.pcap", whole[:-5]), code=0, say=["cut.pcap", "after packet 9"])
        with open(os.path.join(self.dir, "out", "eve.json")) as f:
            kinds = {json.loads(line)["event_type"] for line in f}
        self.assertIn("http", kinds)
        self.assertIn("stats", kinds)

    def test_bad_filter_expression(self):
        self.replay("-r", self.capture, "tcp", "porrt", "80", code=1, say=["capture filter", "tcp porrt 80"])

    def test_rule_file_with_errors_names_each_and_loads_the_rest(self):
        rules = self.path("bad.rules", 'alert tcp any any -> any any (msg:"good"; sid:1;)\n'
                          'alert tcp any any -> any any (msg:"typo"; contnet:"x"; sid:2;)\n'
                          'alert tcp any any -> any 99999 (msg:"port"; sid:3;)\n')
        r = self.run_it("check", "-S", rules, code=1, lines=0,
                        say=["bad.rules:2:", "sid 2", "did you mean content?", "bad.rules:3:", "99999",
                             "1 rules loaded, 2 failed"])
        self.assertIn(":43:", r.stdout)
        self.replay("-r", self.capture, "-S", rules, "--set", "rules.strict=true", code=1, say=[], lines=0)

    def test_missing_rule_file(self):
        self.replay("-r", self.capture, "-S", "/nonexistent.rules", code=1, say=["/nonexistent.rules", "check its path"])

    def test_random_bytes_as_rules_end_in_time(self):
        self.run_it("check", "-S", self.path("r.rules", os.urandom(200_000)), code=1, say=["0 rules loaded"], lines=0)

    def test_unknown_configuration_key_is_suggested(self):
        config = self.path("c.toml", "workers = 1\n[stream]\ndepht = 5\n")
        self.replay("-r", self.capture, "-c", config, code=1, say=["c.toml:3", "stream.depht", "did you mean stream.depth?"])

    def test_value_out_of_range(self):
        config = self.path("c.toml", "workers = 100000\n")
        self.replay("-r", self.capture, "-c", config, code=1, say=["c.toml:1: workers: 100000", "1 to 256"])

    def test_broken_toml_and_yaml(self):
        self.replay("-r", self.capture, "-c", self.path("c.toml", "a = [\n"), code=1, say=["c.toml:"])
        self.replay("-r", self.capture, "-c", self.path("c.yaml", "a: [\n"), code=1, say=["c.yaml:"])

    def test_unknown_option_is_usage(self):
        self.run_it("replay", "--simulate-ip", code=2, say=["did you mean --simulate-ips?"])
        self.run_it("replay", code=2, say=["-r FILE is missing"])

    def test_plugin_of_another_abi(self):
        source = self.path("old.c", "int sluice_plugin_v0;\n")
        so = os.path.join(self.dir, "plugins", "old.so")
        os.makedirs(os.path.dirname(so))
        subprocess.run(["cc", "-shared", "-fPIC", "-o", so, source], check=True)
        r = self.run_it("plugin", "list", "--plugin-dir", os.path.dirname(so), code=1,
                        say=["old.so", "exports no sluice_plugin_v1"])
        self.assertIn("http", r.stdout)  # the others load
        self.run_it("plugin", "check", so, code=1, say=["old.so", "exports no sluice_plugin_v1"])

    def test_plugin_that_others_can_write(self):
        d = os.path.join(self.dir, "plugins")
        os.makedirs(d)
        so = os.path.join(d, "x.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", so, self.path("x.c", "int x;\n")], check=True)
        os.chmod(so, 0o777)
        self.run_it("plugin", "check", so, code=1, say=["x.so", "others can write it", "chmod go-w"])

    def test_full_disk_for_the_log(self):
        out = os.path.join(self.dir, "out")
        os.makedirs(out)
        os.symlink("/dev/full", os.path.join(out, "eve.json"))
        self.replay("-r", self.capture, code=1, say=["eve.json", "lines could not be written", "free some room"], lines=0)

    def test_log_directory_that_cannot_be_made(self):
        self.run_it("replay", "-q", "-r", self.capture, "-l", "/proc/nowhere", code=1,
                    say=["/proc/nowhere/eve.json", "choose another directory"])

    def test_status_without_an_engine(self):
        self.run_it("status", "--set", f"control-socket={self.dir}/none", "--set", f"tap.pin-dir={self.dir}/pins", code=1,
                    say=["no engine answers", "start sluice run"], lines=0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
