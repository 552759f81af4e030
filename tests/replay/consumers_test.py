#!/usr/bin/env python3
"""What reads EVE elsewhere can read ours: each line of captures with all types of records goes,
in the form of Suricata 7 and of 8, to small parsers written after what those programs do."""
import base64
import collections
import datetime
import glob
import hashlib
import ipaddress
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from packets import (CLIENT, SERVER, Capture, RDP_CONFIRM, checksum, dns_answer, dns_query, frame,  # noqa: E402
                     ip_packet, rdp_connect, request, response, ssh_turns)

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
SLUICE = os.environ.get("SLUICE", os.path.join(ROOT, "build/release/sluice"))
SHARED = os.environ.get("SLUICE_SHARED_DIR", os.path.join(ROOT, "..", "shared"))

RULES = """
alert http any any -> any any (msg:"Login"; flow:established,to_server; http.uri; content:"/login"; classtype:web-application-activity; metadata:tag login, created_at 2024_01_01; reference:url,example.com; target:dest_ip; flowbits:set,seen; sid:1; rev:2;)
alert tcp any any -> any any (msg:"tagged"; flow:established,to_server; content:"tag-me"; tag:session,2,packets; sid:2;)
drop dns any any -> any any (msg:"Evil name"; dns.query; content:"evil"; sid:3;)
reject http any any -> any any (msg:"Bad agent"; http.user_agent; content:"sqlmap"; sid:4;)
drop icmp any any -> any any (msg:"Ping"; itype:8; sid:5;)
alert dns any any -> any any (msg:"A name"; dns.query; content:"good"; sid:6;)
alert ip any any -> any any (msg:"all"; threshold:type limit,track by_src,count 1,seconds 600; sid:7;)
drop tcp any any -> any 9999 (msg:"port"; sid:8;)
"""
# Beside those that a capture is needed for.
TYPES = {"alert", "anomaly", "arp", "dns", "drop", "fileinfo", "flow", "ftp", "ftp_data", "http", "netflow", "packet",
         "rdp", "rule_stats", "smtp", "ssh", "stats", "tls"}
ALL_ON = ["community-id", "ethernet", "payload", "payload-printable", "payload-length", "packet", "rule-raw",
          "rule-references", "drop-verdict", "bodies", "bodies-printable", "anomaly-decode", "anomaly-stream", "stats-threads", "stats-deltas",
          "exception-policy", "pcap-file"]
# Of EVE's counters, those that dashboards show (docs/eve.md).
COUNTERS = """
decoder.pkts decoder.bytes decoder.invalid decoder.ipv4 decoder.ipv6 decoder.ethernet decoder.tcp decoder.udp decoder.icmpv4
decoder.icmpv6 decoder.sctp decoder.gre decoder.vlan decoder.vlan_qinq decoder.vxlan decoder.geneve decoder.mpls decoder.pppoe
decoder.teredo decoder.avg_pkt_size decoder.max_pkt_size decoder.event.ipv4.trunc_pkt
defrag.ipv4.fragments defrag.ipv4.reassembled defrag.ipv6.fragments defrag.ipv6.reassembled defrag.max_frags_reached defrag.memuse
flow.total flow.active flow.tcp flow.udp flow.icmpv4 flow.icmpv6 flow.tcp_reuse flow.memuse flow.memcap flow.spare
flow.emerg_mode_entered flow.emerg_mode_over flow.end.state.new flow.end.state.established flow.end.state.closed
flow.mgr.flows_timeout flow_bypassed.local_pkts flow_bypassed.local_bytes flow_bypassed.pkts flow_bypassed.bytes
flow_bypassed.closed flow_bypassed.local_capture_pkts flow_bypassed.local_capture_bytes
tcp.sessions tcp.active_sessions tcp.syn tcp.synack tcp.rst tcp.midstream_pickups tcp.ssn_memcap_drop tcp.segment_memcap_drop
tcp.stream_depth_reached tcp.reassembly_gap tcp.overlap tcp.overlap_diff_data tcp.insert_data_normal_fail tcp.invalid_checksum
tcp.pkt_on_wrong_thread tcp.memuse tcp.reassembly_memuse
detect.alert detect.alert_queue_overflow detect.alerts_suppressed
app_layer.flow.http app_layer.tx.http app_layer.flow.dns_udp app_layer.flow.dns_tcp app_layer.flow.failed_tcp
app_layer.flow.failed_udp app_layer.error.http.gap app_layer.error.http.alloc app_layer.error.http.parser
app_layer.error.http.internal app_layer.expectations
ips.accepted ips.blocked ips.rejected ips.replaced ips.drop_reason.rules ips.drop_reason.flow_drop
http.memuse ftp.memuse file_store.open_files
""".split()


# ------------------------------------------------------------------ the capture

def tls_hellos():
    def record(body):
        return b"\x16\x03\x01" + struct.pack("!H", len(body)) + body

    def handshake(kind, body):
        return bytes([kind]) + struct.pack("!I", len(body))[1:] + body

    def extension(number, body):
        return struct.pack("!HH", number, len(body)) + body
    name = b"www.example.test"
    sni = extension(0, struct.pack("!HBH", len(name) + 3, 0, len(name)) + name)
    alpn = extension(16, b"\x00\x03\x02h2")
    offered, chosen = extension(43, b"\x02\x03\x04"), extension(43, b"\x03\x04")
    hello = (b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00" +
             struct.pack("!H", len(sni + alpn + offered)) + sni + alpn + offered)
    answer = b"\x03\x03" + bytes(32) + b"\x00" + b"\x13\x01\x00" + struct.pack("!H", len(chosen)) + chosen
    data = b"\x17\x03\x03\x00\x10" + bytes(16)
    return [("c", record(handshake(1, hello))), ("s", record(handshake(2, answer)) + data), ("c", data)]


def ftp_download(capture):
    passive = b"227 ok (10,1,0,1,19,136)\r\n"
    capture.tcp(21, [("s", b"220 ready\r\n"), ("c", b"USER a\r\n"), ("s", b"230 in\r\n"), ("c", b"PASV\r\n"), ("s", passive),
                     ("c", b"RETR a.txt\r\n"), ("s", b"150 coming\r\n")])
    capture.tcp(5000, [("s", b"some text\n" * 20)])


MAIL = [("s", b"220 mx\r\n"), ("c", b"HELO c\r\n"), ("s", b"250 ok\r\n"), ("c", b"MAIL FROM:<a@a>\r\n"), ("s", b"250 ok\r\n"),
        ("c", b"RCPT TO:<b@b>\r\n"), ("s", b"250 ok\r\n"), ("c", b"DATA\r\n"), ("s", b"354 go\r\n"),
        ("c", b"Subject: gr\xfc\xdfe\r\nFrom: a@a\r\n\r\nhello\r\n.\r\n"), ("s", b"250 ok\r\n"), ("c", b"QUIT\r\n"), ("s", b"221 bye\r\n")]


def echo(kind, source, destination, code=0):
    body = struct.pack("!BBHHH", kind, code, 0, 7, 1) + b"abcdefgh"
    return frame(source, destination, 1, body[:2] + struct.pack("!H", checksum(body)) + body[4:], 2)


def odd_frames(capture):
    ether = b"\2\0\0\0\0\2\2\0\0\0\0\1"
    whole = frame(CLIENT, SERVER, 17, struct.pack("!HHHH", 1, 2, 12, 0) + b"abcd", 6)
    capture.frames += [
        ether + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + ether[6:] + b"\x0a\1\0\x0a" + bytes(6) + b"\x0a\1\0\1",
        echo(8, CLIENT, SERVER), echo(0, SERVER, CLIENT), echo(10, CLIENT, "224.0.0.2"), echo(40, CLIENT, SERVER, 3),
        whole[:40],                                                     # shorter than its header says
        ether + b"\x81\x00\x00\x07\x08\x00" + whole[14:],               # VLAN 7
        ether + b"\x08\x00" + ip_packet("192.0.2.1", "192.0.2.2", 4, whole[14:])[0] + whole[14:],  # IP in IP
        ether + b"\x08\x00" + ip_packet(CLIENT, SERVER, 253, b"x" * 20)[0] + b"x" * 20,
    ]


def capture_of_all(path):
    c = Capture()
    c.tcp(80, [("c", request("/login?q=\xff")), ("s", response(b"<html>", headers=["Content-Type: text/html"]))])
    c.tcp(80, [("c", request(headers=["User-Agent: sqlmap/1.7"])), ("s", response())])
    c.tcp(80, [("c", request("/tag-me")), ("s", response(b"x" * 3000))])
    c.tcp(80, [("c", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"), ("s", response())])
    c.tcp(9999, [("c", b"hello"), ("s", b"hello")])
    for name in ("good.example", "evil.example"):
        c.udp(53, [("c", dns_query(name)), ("s", dns_answer(name))])
    c.udp(53, [("c", dns_query(f"n{n}.good.example")) for n in range(100)])  # enough for one to be timed
    c.udp(53, [("c", dns_query("six.good.example", 28))], client="2001:db8::1", server="2001:db8::2")
    c.tcp(22, ssh_turns())
    c.tcp(3389, [("c", rdp_connect(b"user")), ("s", RDP_CONFIRM)])
    c.tcp(443, tls_hellos())
    c.tcp(25, MAIL)
    ftp_download(c)
    odd_frames(c)
    c.write(path)


# ------------------------------------------------------------------ the consumers

def need(condition, what):
    if not condition:
        raise ValueError(what)


def typed(record, path, kind):
    """The value at a path, of a kind; None where the first step is not there."""
    value = record
    for step in path.split("."):
        if step not in value:
            return None
        value = value[step]
    need(isinstance(value, kind) and not (kind is int and isinstance(value, bool)), f"{path} is {value!r}")
    return value


def must(record, path, kind):
    value = typed(record, path, kind)
    need(value is not None, f"no {path}")
    return value


def reader(line):
    """What any reader of JSON lines asks for: UTF-8, a key once, no value that says nothing."""
    def once(pairs):
        twice = [k for k, n in collections.Counter(k for k, _ in pairs).items() if n > 1]
        need(not twice, f"twice: {twice}")
        need(None not in [v for _, v in pairs], f"null: {pairs}")
        return dict(pairs)
    need(line.endswith(b"\n") and line.count(b"\n") == 1, "no line")
    record = json.loads(line.decode("utf-8", "strict"), object_pairs_hook=once)
    keys = list(record)
    need(keys[0] == "timestamp", "timestamp is not first")
    need("flow_id" not in record or keys[1] == "flow_id", "flow_id is not second")
    need("event_type" in keys[:8], "event_type comes late")
    return record


def parsed_time(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")


def filebeat(record, compat):
    parsed_time(must(record, "timestamp", str))
    kind = must(record, "event_type", str)
    need(kind == kind.lower(), "event_type is not in lower case")
    for end in ("src", "dest"):
        if typed(record, f"{end}_ip", str):
            ipaddress.ip_address(record[f"{end}_ip"])
        need(typed(record, f"{end}_port", int) is None or 0 <= record[f"{end}_port"] <= 65535, "port")
    if kind == "alert":
        need(record["alert"]["action"] in ("allowed", "blocked"), "alert.action")
        for key, of in (("category", str), ("signature", str), ("signature_id", int), ("severity", int)):
            must(record, f"alert.{key}", of)
    if kind == "flow":
        for key in ("pkts_toserver", "pkts_toclient", "bytes_toserver", "bytes_toclient"):
            must(record, f"flow.{key}", int)
        need(parsed_time(must(record, "flow.start", str)) <= parsed_time(must(record, "flow.end", str)), "flow.end")
        must(record, "flow.state", str)
    for key, of in (("hostname", str), ("url", str), ("http_method", str), ("status", int), ("length", int), ("http_port", int)):
        typed(record.get("http", {}), key, of)
    version = typed(record.get("tls", {}), "version", str)
    need(version is None or re.fullmatch(r"TLS 1\.\d( draft-\d+)?|TLSv1|SSLv[23]|UNDETERMINED", version), f"tls.version {version}")
    fingerprint = typed(record.get("tls", {}), "fingerprint", str)
    need(fingerprint is None or re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){19}", fingerprint), "tls.fingerprint")
    for key in ("subject", "issuerdn", "sni"):
        need(record.get("tls", {}).get(key) != "", f"tls.{key} is empty")
    if kind == "dns" and compat == 7:
        need(record["dns"]["version"] == 2, "dns.version")
        need(record["dns"]["type"] in ("query", "answer"), "dns.type")
        must(record, "dns.rrname", str)


def elastic(record, compat):
    filebeat(record, compat)
    for key in ("src_mac", "dest_mac"):
        mac = record.get("ether", {}).get(key)
        need(mac is None or re.fullmatch(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}", mac), f"ether.{key}")


def evebox(record, compat):
    must(record, "timestamp", str)
    kind = must(record, "event_type", str)
    need(record.get("host") == "sensor-1", "host")
    need(record.get("packet") != "", "packet is empty")
    if kind == "dns":
        need(record["dns"]["version"] == (2 if compat == 7 else 3), "dns.version")
        need(record["dns"]["rrname"] if compat == 7 else record["dns"]["queries"][0]["rrname"], "no name")
    if kind == "alert" and "dns" in record and compat == 7:
        need(record["dns"]["query"][0]["rrname"], "no name in the alert")
    if kind == "stats":
        for path in ("decoder.bytes", "decoder.pkts", "flow.memuse", "tcp.memuse", "tcp.reassembly_memuse"):
            must(record["stats"], path, int)
    if kind == "flow":
        must(record, "flow.start", str)
        must(record, "flow.end", str)
    if kind == "alert":
        must(record, "alert.action", str)


def arkime(record, _):
    """Reads times by the place of each character, and 100 keys of an object."""
    time = must(record, "timestamp", str)
    need(len(time) == 31, "length of the timestamp")
    for at, char in enumerate(time):
        wanted = {4: "-", 7: "-", 10: "T", 13: ":", 16: ":", 19: ".", 26: "+-"}.get(at, "0123456789")
        need(char in wanted, f"timestamp[{at}] is {char}")

    def levels(value):
        if isinstance(value, dict):
            need(len(value) <= 100, f"{len(value)} keys: {list(value)[:3]}")
        for v in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
            levels(v)
    levels(record)
    need(typed(record, "flow_id", int) is None or 0 < record["flow_id"] < 1 << 51, "flow_id")
    need(all(isinstance(v, int) for v in record.get("vlan", [0])), "vlan")
    if record["event_type"] == "alert":
        for end in ("src_ip", "dest_ip", "proto"):
            must(record, end, str)
        if record["proto"] in ("TCP", "UDP"):
            must(record, "src_port", int)
            must(record, "dest_port", int)
        for key in ("gid", "signature_id", "rev", "severity"):
            must(record, f"alert.{key}", int)
        for key in ("action", "signature", "category"):
            must(record, f"alert.{key}", str)


PAIRS = {"ICMP": {8: 0, 13: 14, 15: 16, 17: 18, 10: 9}, "IPv6-ICMP": {128: 129, 133: 134, 135: 136, 130: 131, 144: 145, 139: 140}}
NUMBERS = {"TCP": 6, "UDP": 17, "ICMP": 1, "IPv6-ICMP": 58, "SCTP": 132}


def zeek(record, _):
    """Joins by the community id, which it computes itself (version 1)."""
    if "community_id" not in record or record["event_type"] != "flow" or record["proto"] not in NUMBERS:
        return
    ends = [(ipaddress.ip_address(record[f"{end}_ip"]).packed, record.get(f"{end}_port", 0)) for end in ("src", "dest")]
    ordered = True
    if record["proto"] in PAIRS:
        kind = record["icmp_type"]
        pairs = {**PAIRS[record["proto"]], **{b: a for a, b in PAIRS[record["proto"]].items()}}
        ordered = kind in pairs
        ends = [(ends[0][0], kind), (ends[1][0], pairs.get(kind, record["icmp_code"]))]
    if ordered:
        ends.sort()
    (a, port_a), (b, port_b) = ends
    text = bytes(2) + a + b + bytes([NUMBERS[record["proto"]], 0]) + struct.pack("!HH", port_a, port_b)
    wanted = "1:" + base64.b64encode(hashlib.sha1(text).digest()).decode()
    need(record["community_id"] == wanted, f"community_id {record['community_id']}, not {wanted}")


def scirius(record, _):
    if record["event_type"] != "alert":
        return
    for side in ("source", "target"):
        if side in record["alert"]:
            ipaddress.ip_address(must(record, f"alert.{side}.ip", str))
    for key, values in record["alert"].get("metadata", {}).items():
        need(isinstance(values, list) and values and all(isinstance(v, str) for v in values), f"alert.metadata.{key}")


def wazuh(record, _):
    must(record, "timestamp", str)
    must(record, "event_type", str)
    if record["event_type"] == "alert":
        must(record, "alert.signature", str)


def splunk(record, _):
    need(re.fullmatch(r"suricata:[a-z0-9_]+", "suricata:" + record["event_type"]), "sourcetype")


def telegraf(record, _):
    """Flattens stats into numbers of 64 bits with a sign."""
    def flat(value, path):
        if isinstance(value, dict):
            for k, v in value.items():
                flat(v, path + "_" + k)
        elif isinstance(value, list):
            for v in value:
                flat(v, path)
        elif not path.endswith("last_reload"):
            need(isinstance(value, (int, float)) and not isinstance(value, bool), f"{path} is {value!r}")
            need(-(1 << 63) <= value < 1 << 63, f"{path} is {value}")
    if record["event_type"] == "stats":
        flat(record["stats"], "")
    if record["event_type"] == "alert":
        must(record, "alert.signature", str)


CONSUMERS = [filebeat, elastic, evebox, arkime, zeek, scirius, wazuh, splunk, telegraf]


def feed(line, compat):
    record = reader(line)
    for consumer in CONSUMERS:
        try:
            consumer(record, compat)
        except (ValueError, KeyError, TypeError) as e:
            raise AssertionError(f"{consumer.__name__}: {e}: {line[:400]!r}") from e
    return record


# ------------------------------------------------------------------ tests

def replay(folder, compat, capture, *more, types=TYPES, rules=RULES):
    path = os.path.join(folder, "test.rules")
    with open(path, "w", encoding="utf-8") as f:
        f.write(rules)
    out = tempfile.mkdtemp(dir=folder)  # logs are appended to
    args = [f"eve.compat={compat}", "eve.sensor-name=sensor-1"] + [f"eve.{key}=yes" for key in ALL_ON]
    args += [f"eve.types={name}" for name in sorted(types)]
    command = [SLUICE, "replay", "-q", "-k", "none", "-r", capture, "-S", path, "-l", out, *more]
    for arg in args:
        command += ["--set", arg]
    subprocess.run(command, check=True, timeout=60, stderr=subprocess.DEVNULL, env={**os.environ, "TZ": "UTC"})
    with open(os.path.join(out, "eve.json"), "rb") as f:
        return f.readlines()


class Consumers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.capture = os.path.join(self.folder, "all.pcap")
        capture_of_all(self.capture)

    def records(self, compat, *more, **options):
        return [feed(line, compat) for line in replay(self.folder, compat, self.capture, *more, **options)]

    def test_every_line_of_every_type_is_read(self):
        for compat in (7, 8):
            seen = collections.Counter()
            for mode in ((), ("--simulate-ips",)):
                for record in self.records(compat, *mode):
                    seen[record["event_type"]] += 1
                    if record["event_type"] == "anomaly":
                        seen[record["anomaly"]["type"]] += 1
            self.assertEqual(sorted((TYPES | {"decode", "applayer"}) - set(seen)), [], f"compat {compat}")

    def test_counters_of_dashboards_are_there(self):
        for compat in (7, 8):
            stats = [r for r in self.records(compat, "--simulate-ips") if r["event_type"] == "stats"][-1]["stats"]
            old = ["memcap_pressure", "memcap_pressure_max"]
            new = ["memcap.pressure", "memcap.pressure_max"]
            for path in COUNTERS + (old if compat == 7 else new) + ["uptime"]:
                with self.subTest(compat=compat, path=path):
                    must(stats, path, int)
            self.assertEqual([typed(stats, path, int) for path in (new if compat == 7 else old)], [None, None])
            for key in ("id", "rules_loaded", "rules_failed", "rules_skipped"):
                must(stats["detect"]["engines"][0], key, int)
            self.assertRegex(stats["detect"]["engines"][0]["last_reload"], r"^\d{4}-.*T.*[+-]\d{4}$")

    def test_forms_of_the_versions_differ_where_they_do(self):
        for compat in (7, 8):
            records = self.records(compat)
            self.assertEqual({"ip_v" in r for r in records if "src_ip" in r}, {compat == 8})
            self.assertEqual({"tx_cnt" in r["flow"] for r in records if r["event_type"] == "flow"}, {compat == 8})
            reject = self.records(compat, "--simulate-ips")
            keys = {k for r in reject if r["event_type"] == "alert" for k in r["verdict"]}
            self.assertEqual(keys, {"action", "reject", "reject-target"})

    def test_anomalies_of_headers_name_their_flow(self):
        for record in self.records(8):
            if record["event_type"] == "anomaly" and record["anomaly"]["event"] == "decoder.icmpv4.unknown_type":
                self.assertIn("flow_id", record)
                self.assertEqual(record["direction"], "to_server")
                return
        self.fail("no such record")

    def test_bodies_are_in_alerts_alone(self):
        records = self.records(8, rules='alert http any any -> any any (http.response_body; content:"<html>"; sid:1;)')
        alert = [r for r in records if r["event_type"] == "alert"][0]["http"]
        self.assertEqual((alert["http_response_body"], alert["http_response_body_printable"]), ("PGh0bWw+", "<html>"))
        self.assertFalse([r for r in records if r["event_type"] != "alert" and "http_response_body" in r.get("http", {})])

    def test_headers_with_secrets_are_digests(self):
        capture = Capture()
        capture.tcp(80, [("c", request(headers=["Authorization: Basic c2VjcmV0", "Accept: text/html"])), ("s", response())])
        capture.write(self.capture)
        one, other = (replay(self.folder, 8, self.capture, "--set", "eve.optional-fields=http.request_headers", "--set", f"eve.sensor-salt={salt}",
                             types={"http"}) for salt in ("a", "b"))
        headers = [{h["name"]: h["value"] for h in json.loads(lines[0])["http"]["request_headers"]} for lines in (one, other)]
        self.assertRegex(headers[0]["Authorization"], "^sha256:[0-9a-f]{16}$")
        self.assertEqual(headers[0]["Accept"], "text/html")
        self.assertNotEqual(headers[0]["Authorization"], headers[1]["Authorization"])
        self.assertNotIn(b"c2VjcmV0", b"".join(one + other))

    def test_an_output_has_the_types_it_was_asked_for(self):
        types = {r["event_type"] for r in self.records(8, types={"stats", "alert"})}
        self.assertEqual(types, {"stats", "alert", "packet"})

    def test_records_of_an_inner_packet_name_the_outer_one(self):
        inner = [r for r in self.records(8) if r["event_type"] == "flow" and "parent_id" in r]
        self.assertEqual(sorted(r["proto"] for r in inner), ["TCP", "UDP"])  # a data connection's is its control's
        alerts = [r for r in self.records(8, rules='alert udp any any -> any 2 (sid:1;)') if "tunnel" in r]
        self.assertEqual([(r["tunnel"]["src_ip"], r["tunnel"]["proto"], r["pkt_src"]) for r in alerts],
                         [("192.0.2.1", "IP-in-IP", "ipv4 tunnel")])

    def test_real_captures_are_read(self):
        captures = sorted(p for p in glob.glob(os.path.join(SHARED, "pcaps", "*", "*")) if os.path.getsize(p) < 100_000)
        if not captures:
            self.skipTest(f"no captures at {SHARED}/pcaps; set SLUICE_SHARED_DIR")
        types = TYPES | {"http2", "websocket"}
        for at, capture in enumerate(captures[::25]):
            compat = 7 + at % 2
            for line in replay(self.folder, compat, capture, types=types):
                feed(line, compat)


class ConsumersCanFail(unittest.TestCase):
    """Each rule of theirs refuses what breaks it."""

    ALERT = {"timestamp": "2023-11-14T22:13:20.000000+0000", "flow_id": 5, "event_type": "alert", "src_ip": "10.0.0.1", "src_port": 1,
             "dest_ip": "10.0.0.2", "dest_port": 2, "proto": "TCP", "host": "sensor-1",
             "alert": {"action": "allowed", "gid": 1, "signature_id": 1, "rev": 0, "signature": "s", "category": "", "severity": 3}}
    BAD = {
        "zulu": {"timestamp": "2023-11-14T22:13:20.000000Z"},
        "colon in the offset": {"timestamp": "2023-11-14T22:13:20.000000+00:00"},
        "nanoseconds": {"timestamp": "2023-11-14T22:13:20.000000000+0000"},
        "flow_id past 2^51": {"flow_id": 1 << 51},
        "flow_id as text": {"flow_id": "5"},
        "null": {"tx_id": None},
        "101 keys": {"metadata": {str(n): n for n in range(101)}},
        "upper case": {"event_type": "ALERT"},
        "vlan is no list of numbers": {"vlan": ["7"]},
        "action": {"alert": {**ALERT["alert"], "action": "denied"}},
        "no signature": {"alert": {k: v for k, v in ALERT["alert"].items() if k != "signature"}},
        "tls.version": {"tls": {"version": "1.3"}},
        "tls.subject": {"tls": {"subject": ""}},
        "fingerprint": {"tls": {"fingerprint": "aabb"}},
        "no host": {"host": "other"},
        "address": {"src_ip": "10.0.0"},
        "metadata": {"alert": {**ALERT["alert"], "metadata": {"tag": "x"}}},
        "dns of 8": {"event_type": "dns", "dns": {"version": 3, "type": "request", "queries": [{"rrname": "a"}]}},
        "community_id": {"event_type": "flow", "community_id": "1:AAAA",
                         "flow": {"pkts_toserver": 1, "pkts_toclient": 0, "bytes_toserver": 1, "bytes_toclient": 0, "state": "new",
                                  "start": "2023-11-14T22:13:20.000000+0000", "end": "2023-11-14T22:13:20.000000+0000"}},
        "stats of text": {"event_type": "stats", "stats": {"a": "1"}},
    }

    def line(self, **change):
        return json.dumps({**self.ALERT, **change}).encode() + b"\n"

    def test_the_good_line_passes(self):
        feed(self.line(), 7)

    def test_bad_ones_do_not(self):
        for name, change in self.BAD.items():
            with self.subTest(name), self.assertRaises((AssertionError, ValueError)):
                feed(self.line(**change), 7)

    def test_bytes_that_are_no_line_do_not(self):
        for line in (self.line()[:-1], self.line() * 2, self.line().replace(b'"s"', b'"\xff"'),
                     self.line().replace(b'"flow_id"', b'"gid": 1, "flow_id"'),
                     self.line().replace(b'"flow_id": 5', b'"flow_id": 5, "flow_id": 5')):
            with self.assertRaises((AssertionError, ValueError)):
                feed(line, 7)


if __name__ == "__main__":
    unittest.main(verbosity=2)
