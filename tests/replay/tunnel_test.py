#!/usr/bin/env python3
"""Tunnels in the whole path: flows, depth, who is named, whose verdict; settings that steer it."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
SLUICE = os.environ.get("SLUICE", os.path.join(ROOT, "build/release/sluice"))
RULE = 'alert udp any any -> any any (msg:"inner"; content:"needle"; sid:1;)\n'


def ip(protocol, payload, source="10.0.0.1", destination="10.0.0.2", ident=1, fragment=0):
    address = lambda text: bytes(int(b) for b in text.split("."))  # noqa: E731
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ident, fragment, 64, protocol, 0) + \
        address(source) + address(destination) + payload


def udp(sport, dport, payload):
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def ethernet(payload):
    return b"\x02" * 12 + b"\x08\x00" + payload


INNER = ip(17, udp(1000, 2000, b"needle"), "192.168.0.1", "192.168.0.2")


def pcap(frames):
    out = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
    for i, frame in enumerate(frames):
        out += struct.pack("<IIII", 1700000000 + i, 0, len(frame), len(frame)) + frame
    return out


class Tunnels(unittest.TestCase):
    def replay(self, frames, *args, rule=RULE):
        with tempfile.TemporaryDirectory() as tmp:
            for name, content in (("in.pcap", pcap(frames)), ("r.rules", rule.encode())):
                with open(os.path.join(tmp, name), "wb") as f:
                    f.write(content)
            r = subprocess.run([SLUICE, "replay", "-q", "-k", "none", "-r", f"{tmp}/in.pcap", "-S", f"{tmp}/r.rules",
                                "-l", tmp, *args], capture_output=True, text=True, timeout=60)
            self.assertEqual(r.returncode, 0, r.stderr)
            with open(f"{tmp}/eve.json") as f:
                return [json.loads(line) for line in f]

    def of(self, events, kind):
        return [e for e in events if e["event_type"] == kind]

    def test_the_alert_names_both_packets_and_flows(self):
        events = self.replay([ethernet(ip(4, INNER))])
        alert, = self.of(events, "alert")
        self.assertEqual((alert["src_ip"], alert["pkt_src"]), ("192.168.0.1", "ipv4 tunnel"))
        self.assertEqual(alert["tunnel"]["src_ip"], "10.0.0.1")
        self.assertEqual(alert["tunnel"]["depth"], 1)
        self.assertEqual(alert["tunnel"]["pcap_cnt"], 1)
        self.assertNotIn("pcap_cnt", alert)  # it is no frame
        flows = {e["proto"]: e for e in self.of(events, "flow")}
        self.assertEqual(set(flows), {"IP-in-IP", "UDP"})
        self.assertEqual(flows["UDP"]["parent_id"], flows["IP-in-IP"]["flow_id"])
        self.assertEqual(flows["UDP"]["flow"]["bytes_toserver"], len(INNER))

    def test_a_drop_inside_is_one_drop_of_the_frame(self):
        events = self.replay([ethernet(ip(4, INNER))], "--simulate-ips", rule=RULE.replace("alert", "drop", 1))
        stats = self.of(events, "stats")[-1]["stats"]["ips"]
        self.assertEqual((stats["blocked"], stats["accepted"]), (1, 0))

    def test_fragments_of_a_tunnel_and_fragments_inside(self):
        # The inner datagram in two fragments, each in a tunnel packet that is itself in two.
        whole = udp(1000, 2000, b"x" * 32 + b"needle" + b"x" * 32)
        frames = []
        for n, (at, part, more) in enumerate(((0, whole[:40], 0x2000), (40, whole[40:], 0))):
            inner = ip(17, part, "192.168.0.1", "192.168.0.2", 9, more | at // 8)
            frames.append(ethernet(ip(4, inner[:24], ident=20 + n, fragment=0x2000)))
            frames.append(ethernet(ip(4, inner[24:], ident=20 + n, fragment=3)))
        events = self.replay(frames)
        self.assertEqual(len(self.of(events, "alert")), 1)
        self.assertEqual(self.of(events, "stats")[-1]["stats"]["defrag"]["ipv4"]["reassembled"], 3)

    def test_levels_are_flows_of_their_own_unless_told_otherwise(self):
        frames = [ethernet(INNER), ethernet(ip(4, INNER))]
        for setting, flows in (("true", 2), ("false", 1)):
            events = self.replay(frames, "--set", f"decoder.recursion-level.use-for-tracking={setting}")
            self.assertEqual(len([e for e in self.of(events, "flow") if e["proto"] == "UDP"]), flows)

    def test_ports_decide_what_is_vxlan(self):
        frame = ethernet(ip(17, udp(5, 8472, b"\x08" + b"\0" * 7 + ethernet(INNER))))
        for ports, alerts in (("4789", 1), ("[4789,8472]", 1)):
            events = self.replay([frame], "--set", f"decoder.vxlan.ports={ports}")
            inner = [e for e in self.of(events, "alert") if e["pkt_src"] == "vxlan encapsulation"]
            self.assertEqual(len(inner), alerts if "8472" in ports else 0)

    def test_an_icmp_error_belongs_to_the_flow_it_quotes(self):
        lost = ip(17, udp(1000, 53, b"hello"))
        error = ip(1, b"\x03\x03" + b"\0" * 6 + lost, "10.0.0.2", "10.0.0.1")
        flows = self.of(self.replay([ethernet(lost), ethernet(error)]), "flow")
        self.assertEqual([(f["proto"], f["flow"]["pkts_toclient"]) for f in flows], [("UDP", 1)])

    def test_settings_that_make_no_sense_are_told(self):
        for setting, say in (("decoder.vxlan.ports=[1,2,3,4,5]", "at most 4 ports"),
                             ("host-os-policy.amiga=10.0.0.0/8", "not a known system"),
                             ("decoder.max-layers=99", "from 1 to 32")):
            r = subprocess.run([SLUICE, "check", "--set", setting], capture_output=True, text=True, timeout=60)
            self.assertIn(say, r.stderr + r.stdout)
            self.assertEqual(r.returncode, 1)


if __name__ == "__main__":
    sys.exit(unittest.main())
