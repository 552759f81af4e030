#!/usr/bin/env python3
"""The example dissector is built out of tree against an install prefix, and sees the
traffic of a real memcached."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("SLUICE_BUILD", os.path.join(ROOT, "build", "release"))
sys.path[:0] = [os.path.join(ROOT, "tests", "live"), os.path.join(ROOT, "tests", "replay")]
import netns  # noqa: E402


def sh(*args, **kw):
    r = subprocess.run(args, capture_output=True, text=True, **kw)
    assert r.returncode == 0, f"{' '.join(args)}\n{r.stdout[-2000:]}\n{r.stderr[-2000:]}"
    return r.stdout


class OutOfTree(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = tempfile.TemporaryDirectory()
        d = cls.tmp.name
        cls.prefix, cls.source, cls.plugins = (os.path.join(d, n) for n in ("prefix", "source", "plugins"))
        sh("cmake", "--install", BUILD, "--prefix", cls.prefix, "--component", "plugin_sdk")
        shutil.copytree(os.path.join(ROOT, "examples", "memcached"), cls.source)
        sh("cmake", "-S", cls.source, "-B", cls.plugins, f"-DCMAKE_PREFIX_PATH={cls.prefix}",
           "-DCMAKE_BUILD_TYPE=Release", "-G", "Ninja")
        sh("cmake", "--build", cls.plugins)
        os.chmod(cls.plugins, 0o755)

    @classmethod
    def tearDownClass(cls):
        cls.tmp.cleanup()

    def test_exports_one_symbol(self):
        out = sh("nm", "-D", "--defined-only", os.path.join(self.plugins, "memcached.so"))
        self.assertEqual([line.split()[-1].split("@")[0] for line in out.split("\n") if line], ["sluice_plugin_v1"])

    def test_its_fields_are_keywords(self):
        out = sh(netns.SLUICE, "plugin", "list", "--plugin-dir", self.plugins, "--json")
        names = [p["name"] for p in json.loads(out)["plugins"]]
        self.assertIn("memcached", names)
        out = sh(netns.SLUICE, "--list-keywords", "--plugin-dir", self.plugins)
        self.assertIn("memcached.key", out)

    def test_a_new_plugin_builds_and_is_used(self):
        from packets import Capture
        d = os.path.join(self.tmp.name, "new")
        os.mkdir(d)
        sh(netns.SLUICE, "plugin", "new", "acme_lines", cwd=d)
        sh("cmake", "-S", f"{d}/acme_lines", "-B", f"{d}/build", f"-DCMAKE_PREFIX_PATH={self.prefix}", "-G", "Ninja",
           "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Wpedantic -Werror")
        sh("cmake", "--build", f"{d}/build")
        os.chmod(f"{d}/build", 0o755)
        out = sh(netns.SLUICE, "plugin", "check", f"{d}/build/acme_lines.so")
        self.assertIn("ok: acme_lines (4 fields, 4 keywords, 2 events)", out)
        c = Capture()
        c.tcp(9300, [("c", b"get a\r\n"), ("s", b"200 here\r\n"), ("c", b"delete a\r\n"), ("s", b"403 no\r\n")])
        c.write(f"{d}/x.pcap")
        sh(netns.SLUICE, "replay", "-q", "--plugin-dir", f"{d}/build", "-r", f"{d}/x.pcap", "-l", f"{d}/out",
           "-S", f"{d}/acme_lines/acme_lines.rules")
        with open(f"{d}/out/eve.json") as f:
            events = [json.loads(line) for line in f]
        self.assertEqual([e["acme_lines"] for e in events if e["event_type"] == "acme_lines"],
                         [{"command": "get", "argument": "a", "code": 200, "text": "here"},
                          {"command": "delete", "argument": "a", "code": 403, "text": "no"}])
        self.assertEqual(sorted(e["alert"]["signature_id"] for e in events if e["event_type"] == "alert"),
                         [9300000, 9300001])

    def test_a_new_plugin_overwrites_nothing_and_has_a_sane_name(self):
        for name, message in (("x", "is there already"), ("../x", "a name is"), ("A", "a name is"), ("", "a name is")):
            os.makedirs(os.path.join(self.tmp.name, "taken", "x"), exist_ok=True)
            r = subprocess.run([netns.SLUICE, "plugin", "new", name], capture_output=True, text=True,
                               cwd=os.path.join(self.tmp.name, "taken"))
            self.assertEqual(r.returncode, 1)
            self.assertIn(message, r.stderr)

    def replay(self, capture):
        out = os.path.join(self.tmp.name, "out")
        shutil.rmtree(out, ignore_errors=True)
        sh(netns.SLUICE, "replay", "-q", "--plugin-dir", self.plugins, "-r", capture, "-k", "none", "-l", out,
           "-S", os.path.join(self.source, "memcached.rules"))
        with open(os.path.join(out, "eve.json")) as f:
            return [json.loads(line) for line in f]

    def check(self, events):
        records = [e["memcached"] for e in events if e["event_type"] == "memcached"]
        self.assertEqual([r["command"] for r in records], ["set", "get", "delete", "flush_all"])
        self.assertEqual(records[0], {"command": "set", "keys": ["session:1"], "flags": 0, "bytes": 12,
                                      "status": "STORED", "items": 0})
        self.assertEqual(records[1]["found"], ["session:1"])
        self.assertEqual(records[1]["items"], 1)
        alerts = sorted(e["alert"]["signature_id"] for e in events if e["event_type"] == "alert")
        self.assertEqual(alerts, [9200000, 9200001, 9200002])
        alert = [e for e in events if e["event_type"] == "alert" and e["alert"]["signature_id"] == 9200000][0]
        self.assertEqual(alert["memcached"]["keys"], ["session:1"])

    COMMANDS = [(b"set session:1 0 60 12\r\n<script>hey!\r\n", b"STORED\r\n"),
                (b"get session:1\r\n", b"VALUE session:1 0 12\r\n<script>hey!\r\nEND\r\n"),
                (b"delete session:1\r\n", b"DELETED\r\n"), (b"flush_all\r\n", b"OK\r\n")]

    def test_built_traffic(self):
        from packets import Capture
        c = Capture()
        c.tcp(11211, [t for q, a in self.COMMANDS for t in (("c", q), ("s", a))])
        path = os.path.join(self.tmp.name, "built.pcap")
        c.write(path)
        self.check(self.replay(path))

    def test_traffic_of_a_real_memcached(self):
        try:
            net = netns.Net().__enter__()
        except netns.Missing as missing:
            self.skipTest(f"SLUICE-SKIPPED: {missing}")
        try:
            net.spawn(net.inside, "memcached", "-u", "nobody", "-l", netns.SERVER, "-p", "11211", "-U", "0")
            net.wait_port(11211, "memcached")
            path = os.path.join(net.dir, "real.pcap")
            dump = net.spawn(net.inside, "tcpdump", "-i", "srv0", "--immediate-mode", "-U", "-Z", "root", "-w", path, "tcp", "port", "11211",
                             log="tcpdump.out")
            time.sleep(1)
            code = ("import socket,sys\ns=socket.create_connection((sys.argv[1],11211),timeout=3)\n"
                    "for q in sys.argv[2:]:\n s.sendall(bytes.fromhex(q)); s.recv(4096)\n")
            sh(*net.prefix(net.outside), "python3", "-c", code, netns.SERVER, *[q.hex() for q, _ in self.COMMANDS])
            time.sleep(0.5)
            net.end(dump)
            self.check(self.replay(path))
        finally:
            net.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
