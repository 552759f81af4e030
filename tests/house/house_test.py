#!/usr/bin/env python3
"""The house rules that a machine can see: include directions, no protocol in the
engine, a README in every folder, named sources, nothing of anybody's machine."""
import os
import re
import subprocess
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))

# What a folder of engine/ may include of the others (docs/architecture.md).
ALLOWED = {
    "base": set(),
    "config": {"base"},
    "decode": {"base"},
    "flow": {"base", "decode"},
    "stream": {"base", "decode", "flow"},
    "plugin": {"base"},
    "dissect": {"base", "plugin", "decode", "flow", "stream"},
    "rules": {"base", "decode"},
    "match": {"base", "decode", "flow", "stream", "plugin", "dissect", "rules"},
    "verdict": {"base", "decode", "flow"},
    "output": {"base", "decode", "flow", "dissect", "rules"},
    "tap": {"base", "decode", "flow"},
}
PROTOCOLS = ("http", "dns", "ssh", "tls", "rdp", "smtp", "ftp", "smb", "quic", "mqtt", "memcached")
# Words that hold such letters and mean something else.
INNOCENT = re.compile(r'https?://|nohttp|"RDP", "IRTP"')  # the last: IP protocols 27 and 28


def tracked(*suffixes):
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True,
                         text=True, check=True).stdout.split("\n")
    return [f for f in out if f.endswith(suffixes) and os.path.isfile(os.path.join(ROOT, f))]


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as f:
        return f.read()


def code_only(text):
    """Without comments: they may name protocols as examples."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return re.sub(r"//[^\n]*", "", text)


class House(unittest.TestCase):
    def test_engine_includes_point_one_way(self):
        for name in tracked(".h", ".cc"):
            parts = name.split("/")
            if parts[0] != "engine" or parts[1] == "app":
                continue
            for other in re.findall(r'#include "engine/(\w+)/', read(name)):
                if other != parts[1]:
                    self.assertIn(other, ALLOWED[parts[1]], f"{name} includes engine/{other}")

    def test_plugins_see_only_the_abi(self):
        for name in tracked(".h", ".cc"):
            if name.startswith("plugins/"):
                self.assertNotRegex(read(name), r'#include ["<](engine|bpf|tests)/', name)

    def test_bpf_and_include_see_nothing_of_ours(self):
        for name in tracked(".h", ".c", ".hpp"):
            if name.startswith(("bpf/", "include/")):
                self.assertNotRegex(read(name), r'#include ["<](engine|plugins|tests)/', name)

    def test_no_protocol_in_the_engine(self):
        word = re.compile(r"(?<![A-Za-z0-9])(%s)(?![A-Za-z0-9])" % "|".join(PROTOCOLS), re.I)
        for name in tracked(".h", ".cc"):
            if not name.startswith("engine/"):
                continue
            for number, line in enumerate(code_only(read(name)).split("\n"), 1):
                line = INNOCENT.sub("", line)
                if name == "engine/config/settings.cc" and ("_PORTS" in line or "_SERVERS" in line):
                    continue  # Suricata's names of variables: the user's, not ours
                self.assertIsNone(word.search(line), f"{name}:{number}: {line.strip()}")

    def test_every_engine_folder_has_a_readme(self):
        for folder in sorted({f.split("/")[1] for f in tracked(".cc") if f.startswith("engine/")}):
            path = os.path.join(ROOT, "engine", folder, "README.md")
            self.assertTrue(os.path.exists(path), path)
            for word in ("Threads", "Memory"):
                self.assertIn(word, read(f"engine/{folder}/README.md"), path)

    def test_every_plugin_has_a_readme(self):
        for folder in sorted({f.split("/")[1] for f in tracked(".cc") if f.startswith("plugins/")}):
            self.assertTrue(os.path.exists(os.path.join(ROOT, "plugins", folder, "README.md")), folder)

    def test_sources_are_named(self):
        for name in tracked("CMakeLists.txt", ".cmake"):
            for call in re.findall(r"file\(GLOB[^)]*\)", read(name)):
                self.assertIn("CMakeLists.txt", call, f"{name}: sources are named, not globbed")

    def test_nothing_of_a_machine_in_the_repository(self):
        pattern = re.compile(r"/(work|root|home/\w+)/(main|wt|shared)|https?://(deb|registry)\.[\w.]+")
        for name in tracked(".h", ".hpp", ".c", ".cc", ".py", ".md", ".txt", ".cmake", ".toml", ".rules", "Makefile"):
            if name == "tests/house/house_test.py":
                continue
            self.assertIsNone(pattern.search(read(name)), name)

    def test_packages_are_named_in_one_place(self):
        for name in tracked(".md", "Makefile", ".sh") + ["tools/check", "tools/fuzz", ".ci/run"]:
            self.assertNotRegex(read(name), r"apt-get (-q )?install -y .*(lib\w+-dev)", name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
