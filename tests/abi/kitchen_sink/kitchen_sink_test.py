#!/usr/bin/env python3
"""Each means of the plug-in ABI, used by one dissector (sink.cc), is seen where it should be:
in rules, in EVE, in the counters."""
import base64
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
PLUGINS = os.path.join(BUILD, "tests", "kitchen_sink")
sys.path.insert(0, os.path.join(ROOT, "tests", "replay"))
from packets import Capture, request, response  # noqa: E402

# What a rule says, and whether it matches the exchange "SINK all", "OK 404".
ON_ALL = {
    'sink.what; content:"all"; bsize:3;': True,
    'sink_what; content:"all";': True,
    'old_what; content:"all";': True,
    'content:"all"; sink_what_mod;': True,
    'sink.what; content:"any";': False,
    'sink.private; content:"not logged";': True,
    "sink.number:>6;": True, "sink.number:7;": True, "sink.number:<7;": False,
    "sink.signed:-7;": True, "sink.signed:<0;": True, "sink.signed:>-8;": True, "sink.signed:-8<>-6;": True,
    "sink.signed:>0;": False, "sink.signed:<-7;": False,
    "sink.flag:1;": True, "sink.flag:true;": True, "sink.flag:false;": False,
    "sink.colour:green;": True, "sink.colour:2;": True, "sink.colour:red;": False,
    'sink.address; content:"|c0 00 02 01|"; bsize:4;': True,
    "sink.time:1700000000;": True, "sink.time:>1700000000;": False,
    'sink.body; content:"half, second";': True,
    'sink.answer.name; content:"two"; startswith; endswith;': True,
    'sink.answer.name; content:"onetwo";': False,
    'sink.tag; content:"beta"; bsize:4;': True,
    'sink.lower; content:"mixed";': True,
    'sink.trimmed; content:"ab"; bsize:2;': True,
    "sink.code:404;": True, "sink.code:200;": False,
    'sink.said; content:"OK 404";': True,
    'flow:to_server; sink.said; content:"SINK all";': True,
    'flow:to_server; sink.said; content:"OK 404";': False,
}


class KitchenSink(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.dir = self.tmp.name

    def tearDown(self):
        self.tmp.cleanup()

    def replay(self, turns, rules=(), *settings, lose=None, more=()):
        """`rules`: what stands between the brackets of each; alerts have its index as sid.  `more`:
        later connections, as port and turns."""
        c = Capture()
        c.tcp(4545, turns)
        for port, others in more:
            c.tcp(port, others)
        if lose is not None:
            del c.frames[3 + 2 * lose]
        capture = os.path.join(self.dir, "x.pcap")
        c.write(capture)
        path, out = os.path.join(self.dir, "x.rules"), os.path.join(self.dir, "out")
        with open(path, "w") as f:
            for sid, options in enumerate(rules, 1):
                proto = options.split("|")[0] if "|alert" in options else "sink"
                f.write(f'alert {proto} any any -> any any (msg:"{sid}"; {options.split("|alert ")[-1]} sid:{sid};)\n')
        shutil.rmtree(out, ignore_errors=True)
        args = [SLUICE, "replay", "-q", "-r", capture, "-S", path, "-l", out, "--plugin-dir", PLUGINS,
                "--set", "plugins.sink.greeting=hello"]
        for setting in settings:
            args += ["--set", setting]
        r = subprocess.run(args, capture_output=True, text=True, timeout=60)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn("plugin=sink the kitchen sink is installed", r.stderr)
        self.assertEqual(r.stderr.count("\n"), 1, r.stderr)
        with open(os.path.join(out, "eve.json")) as f:
            self.events = [json.loads(line) for line in f]
        self.stats = [e["stats"] for e in self.events if e["event_type"] == "stats"][-1]
        self.alerts = sorted(e["alert"]["signature_id"] for e in self.events if e["event_type"] == "alert")
        return [e["sink"] for e in self.events if e["event_type"] == "sink"]

    ALL = [("c", b"SINK all\n"), ("s", b"OK 404\n")]
    RECORD = {
        "what": "all", "said": ["SINK all", "OK 404"], "number": 7, "signed": -7, "flag": True, "flag_false": False,
        "colour": "green", "address": "192.0.2.1", "body": "first half, second half",
        "answers": [{"name": ["one"], "data": "data", "meta": {"key": "one"}},
                    {"name": ["two"], "data": "data", "meta": {"key": "two"}}],
        "nest": {"a": 1, "b": 2}, "tags": ["alpha", "beta"], "hex": "01fe", "base64": "Af4=",
        "lower": "MiXeD", "trimmed": "a b", "last": 2, "setting": "hello", "peer": 4545, "code": 404,
    }

    def record(self, *settings):
        (record,) = self.replay(self.ALL, (), *settings)
        self.assertRegex(record.pop("time"), r"^2023-11-14T22:13:20\.00\d+\+0000$")
        return record

    def test_every_type_is_logged_in_its_form(self):
        self.assertEqual(self.record(), self.RECORD | {"eight": "8"})

    def test_version_7_has_its_own_fields(self):
        self.assertEqual(self.record("eve.compat=7"), self.RECORD | {"seven": "7"})

    def test_an_optional_field_is_logged_when_asked_for(self):
        self.assertEqual(self.record("eve.optional-fields=sink.optional"),
                         self.RECORD | {"eight": "8", "optional": "asked for"})

    def test_alerts_carry_the_object_and_what_is_for_alerts_only(self):
        self.replay(self.ALL, ["sink.code:404;"])
        (alert,) = [e for e in self.events if e["event_type"] == "alert"]
        alert["sink"].pop("time")
        self.assertEqual(alert["sink"], self.RECORD | {"eight": "8", "alert_only": "in alerts"})
        self.assertEqual(alert["app_proto"], "sink")

    def test_rules_match_every_type(self):
        self.replay(self.ALL, ON_ALL, "rules.max-alerts=255")
        self.assertEqual(self.stats["detect"]["engines"][0]["rules_failed"], 0)
        self.assertEqual(self.alerts, [n for n, hit in enumerate(ON_ALL.values(), 1) if hit])

    def test_a_dissector_is_known_by_its_alias_too(self):
        self.replay(self.ALL, ["kitchen|alert sink.number:7;", "tcp|alert app-layer-protocol:kitchen;"])
        self.assertEqual(self.alerts, [1, 2, 2])  # of each direction

    def test_events_of_a_transaction_and_of_a_flow(self):
        self.replay([("c", b"SINK odd\n"), ("s", b"OK 200\n"), ("c", b"SINK odd_flow\n"), ("s", b"OK 200\n")],
                    ["app-layer-event:sink.odd_transaction;", "app-layer-event:sink.odd_flow;"])
        self.assertEqual(self.alerts, [1, 2])
        anomalies = [e["anomaly"] for e in self.events if e["event_type"] == "anomaly"]
        self.assertEqual([a["event"] for a in anomalies], ["odd_transaction", "odd_flow"])
        self.assertEqual({a["app_proto"] for a in anomalies}, {"sink"})
        # An event is no error: no direction was given up.
        self.assertEqual(self.stats["app_layer"]["error"]["sink"]["parser"], 0)

    def test_a_rule_on_a_stage_fires_when_it_is_reached(self):
        self.replay([("c", b"SINK all\n"), ("s", b"OK 404\n")], ['sink.late_head; absent;', 'sink.what; content:"all";'])
        numbers = {e["alert"]["signature_id"]: e["pcap_cnt"] for e in self.events if e["event_type"] == "alert"}
        self.assertEqual(set(numbers), {1, 2})
        self.assertEqual(len(set(numbers.values())), 1)  # both on the packet of the request

    def test_directions_and_silence(self):
        records = self.replay([("c", b"SINK quiet\nSINK oneway\n")], ['sink.what; content:"quiet";'])
        self.assertEqual([r["what"] for r in records], ["oneway"])
        self.assertEqual(self.alerts, [1])

    def test_what_was_never_consumed_is_handed_to_end(self):
        records = self.replay([("c", b"SINK oneway\nSINK half")])
        self.assertEqual([r["what"] for r in records], ["oneway", "SINK half"])

    def test_files_have_names_sizes_hashes_and_states(self):
        self.replay([("c", b"SINK file a.txt\nhello \nworld\nend\n"), ("c", b"SINK file b.bin\nabc\ncut\n")], (),
                    "files.hashes=md5")
        files = [e["fileinfo"] for e in self.events if e["event_type"] == "fileinfo"]
        self.assertEqual([(f["filename"], f["size"], f["state"]) for f in files],
                         [("a.txt", 11, "CLOSED"), ("b.bin", 3, "TRUNCATED")])
        self.assertEqual(files[0]["md5"], "5eb63bbbe01eeed093cb22bb8f5acdc3")
        self.assertNotIn("md5", files[1])
        self.assertEqual([f["gaps"] for f in files], [False, False])

    def test_a_file_that_goes_on_behind_a_gap_says_so(self):
        self.replay([("c", b"SINK file a.txt\n"), ("c", b"lost\n"), ("c", b"found\nend\n")], lose=1)
        (info,) = [e["fileinfo"] for e in self.events if e["event_type"] == "fileinfo"]
        self.assertEqual((info["gaps"], info["size"]), (True, 5))

    def test_hand_over_by_name_by_probing_and_to_nobody(self):
        for what, proto in ((b"to http", "http"), (b"to any", "http"), (b"opaque", "sink")):
            with self.subTest(what):
                self.replay([("c", b"SINK " + what + b"\n" + request("/after")), ("s", response())])
                urls = [e["http"]["url"] for e in self.events if e["event_type"] == "http"]
                self.assertEqual(urls, ["/after"] if proto == "http" else [])
                (flow,) = [e for e in self.events if e["event_type"] == "flow"]
                self.assertEqual(flow["app_proto"], proto)
                if proto == "http":
                    self.assertEqual(flow["app_proto_orig"], "sink")

    def test_an_announced_flow_is_taken_with_its_context(self):
        first = [("c", b"SINK expect 7001\n"), ("s", b"OK 200\n")]
        later = [(7001, [("c", b"GET / HTTP/1.1\n")]), (7001, [("c", b"GET / HTTP/1.1\n")]), (7002, [("c", b"what\n")])]
        records = self.replay(first, ['sink.context; content:"7001";'], more=later)
        self.assertEqual([r.get("context") for r in records], [None, "7001"])
        self.assertEqual(self.alerts, [1])
        flows = [e for e in self.events if e["event_type"] == "flow"]
        self.assertEqual([f.get("app_proto") == "sink" for f in flows], [True, True, False, False])
        self.assertEqual(flows[1]["parent_id"], flows[0]["flow_id"])
        self.assertEqual(self.stats["app_layer"]["expectations"], 1)
        self.assertEqual(self.stats["dissect"]["expectations_found"], 1)

    def test_a_group_may_stand_beside_the_record_s_object(self):
        self.replay(self.ALL, ["sink.code:404;"])
        for kind in ("sink", "alert"):
            (event,) = [e for e in self.events if e["event_type"] == kind]
            self.assertEqual(event["aside"], {"note": "beside"})
            self.assertNotIn("aside", event["sink"])

    def test_the_next_dissector_hears_what_is_said_at_a_hand_over(self):
        records = self.replay([("c", b"SINK say hello\nSINK oneway\n")])
        self.assertEqual([r["what"] for r in records], ["say hello", "hello", "oneway"])
        self.assertNotIn("context", records[2], "it is gone once the next one has begun: 64 KiB a flow would add up")

    def test_parts_of_a_file_are_also_the_whole(self):
        self.replay([("c", b"SINK part 5\n56789\nend\nSINK part 0\n01234\nend\n")], (), "files.hashes=md5")
        files = [e["fileinfo"] for e in self.events if e["event_type"] == "fileinfo"]
        self.assertEqual([(f["filename"], f["size"], f["state"]) for f in files], [("parted", 5, "CLOSED")] * 2 + [("parted", 10, "CLOSED")])
        self.assertEqual(files[2]["md5"], "781e5e245d69b566979b86e28d23f2c7")
        self.assertEqual(self.stats["dissect"]["file_parts"], {"parts": 2, "whole": 1, "expired": 0, "evicted": 0, "refused": 0})
        self.replay([("c", b"SINK part 5\n56789\nend\nSINK part 0\n01234\nend\n")], (), "file-parts.memcap=0")
        self.assertEqual(self.stats["dissect"]["file_parts"]["refused"], 2)

    def test_patterns_are_not_looked_for_in_what_is_encrypted(self):
        for first, found in ((b"SINK quiet\n", True), (b"SINK encrypted\n", False)):
            records = self.replay([("c", first), ("s", b"OK 200\n"), ("c", b"SINK oneway\n"), ("c", b"SINK oneway\n")],
                                  ['content:"oneway";', 'sink.what; content:"oneway";'])
            self.assertEqual([r["what"] for r in records][-2:], ["oneway", "oneway"])
            self.assertEqual(1 in self.alerts, found)
            self.assertIn(2, self.alerts)

    def test_every_budget_holds(self):
        tail = [("c", b"0123456789"), ("c", b"SINK oneway\n")]
        for what, seen in (("skip", ["oneway"]), ("none", []), ("bytes", [])):
            with self.subTest(what):
                records = self.replay([("c", f"SINK {what}\n".encode()), ("s", b"OK 200\n"), *tail])
                self.assertEqual([r["what"] for r in records if r["what"] not in (what, "0123456789")], seen)
        records = self.replay([("c", b"SINK none\n"), tail[0], ("s", b"OK 299\n"), tail[1]])
        self.assertEqual([r["what"] for r in records], ["none", "oneway"])
        self.assertEqual(self.stats["dissect"]["bytes_withheld"], 10)

    def test_a_secret_is_matched_never_logged_and_masked_in_dumps(self):
        records = self.replay([("c", b"SINK secret open sesame\n"), ("s", b"OK 200\n")],
                              ['sink.secret; content:"sesame";'],
                              "stream.inline=true", "eve.payload=true", "eve.payload-printable=true",
                              "eve.packet=true")
        self.assertEqual(self.alerts, [1])
        self.assertNotIn("secret", records[0])
        (alert,) = [e for e in self.events if e["event_type"] == "alert"]
        masked = "SINK secret xxxxxxxxxxx\n"
        self.assertEqual(base64.b64decode(alert["payload"]).decode(), masked)
        self.assertEqual(alert["payload_printable"], masked)
        self.assertTrue(base64.b64decode(alert["packet"]).endswith(masked.encode()))

    def test_outcomes_and_latency_are_counted(self):
        turns = []
        for code in (200, 302, 404, 503, 7):
            turns += [("c", b"SINK x\n"), ("s", b"OK %d\n" % code)]
        self.replay(turns)
        answers = self.stats["app_layer"]["answers"]["sink"]
        # A packet each millisecond, and each is acknowledged before the next.
        self.assertEqual(answers, {"success": 2, "client_error": 1, "server_error": 1, "timed": 5,
                                   "latency_us": answers["latency_us"]})
        self.assertGreaterEqual(answers["latency_us"], 5 * 1000)
        self.assertLessEqual(answers["latency_us"], 5 * 3000)

    def test_keywords_are_listed_with_type_direction_and_help(self):
        r = subprocess.run([SLUICE, "--list-keywords", "--plugin-dir", PLUGINS], capture_output=True, text=True)
        self.assertRegex(r.stdout, r"(?m)^sink\.what +buffer +to_server +second word$")
        self.assertRegex(r.stdout, r"(?m)^sink\.signed +number +to_server +a field$")
        self.assertRegex(r.stdout, r"(?m)^sink\.said +buffer +both +the whole line, of both sides$")


if __name__ == "__main__":
    unittest.main()
