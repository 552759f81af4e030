#!/usr/bin/env python3
"""Verdicts in the kernel and their guard rails: what is entered, refused, expires, and is recorded."""
import ipaddress
import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
import case  # noqa: E402
import netns  # noqa: E402
from case import ENDS, RULES, LiveCase  # noqa: E402

UDP_CLIENT = r"""
import socket, sys
source, server = sys.argv[1:3]
s = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((source, 0))
s.connect((server, 9999))
s.settimeout(3)
s.send(b"evil payload")
try:
    s.recv(100)
    print("an answer")
except OSError as e:
    print(type(e).__name__, e.errno)
"""


class Guard(LiveCase):
    def enforcement(self, **want):
        return [e for e in self.net.events("enforcement") if all(e["enforcement"].get(k) == v for k, v in want.items())]

    def recorded(self, **want):
        self.eventually(lambda: self.enforcement(**want), f"an enforcement record with {want}")
        return self.enforcement(**want)[0]

    def counter(self, name):
        return self.net.status()["counters"].get(name, 0)

    def attack(self, source):
        self.net.curl(source, "-A", "sqlmap/1.0")

    def test_each_block_is_recorded_with_its_cause(self):
        net = self.net
        net.nginx()
        net.sluice(RULES)
        for _, attacker in ENDS.values():
            self.attack(attacker)
            event = self.recorded(op="add", scope="src_ip", value=attacker)
            e = event["enforcement"]
            self.assertEqual((e["sid"], e["origin"], e["action"], e["map"], e["ttl_s"]),
                             (9100010, "rule", "drop", "drop_sources", 600))
            self.assertIn("sqlmap", e["reason"])
            self.assertEqual(ipaddress.ip_address(event["src_ip"]), ipaddress.ip_address(attacker))
            self.assertIn("flow_id", event)
        self.assertEqual(len(self.enforcement(op="add", scope="flow")), 2)
        self.eventually(lambda: self.counter("verdict.hosts_blocked") == 2, "the counter")

    def test_past_the_ceiling_only_flows_are_dropped(self):
        net = self.net
        net.nginx()
        net.sluice(RULES, "--set", "verdict.always-blockable=1", "--set", "verdict.max-blocked-percent=0")
        self.attack(netns.ATTACKER)
        self.recorded(op="add", value=netns.ATTACKER)
        self.attack(netns.ATTACKER6)
        self.recorded(op="reject", value=netns.ATTACKER6, conflict="max-blocked-percent")
        self.assertEqual([e["value"] for e in net.drops() if e["scope"] == "source"], [netns.ATTACKER])
        self.assertEqual(net.curl(netns.ATTACKER6).stdout, "200")
        self.eventually(lambda: self.counter("verdict.refused_max_blocked_percent") == 1, "the counter")

    def test_an_absolute_ceiling_holds_too(self):
        net = self.net
        net.nginx()
        net.sluice(RULES, "--set", "verdict.max-blocked=0")
        self.attack(netns.ATTACKER)
        self.recorded(op="reject", conflict="max-blocked")
        self.assertEqual(net.curl(netns.ATTACKER).stdout, "200")
        self.eventually(lambda: self.counter("verdict.refused_max_blocked") == 1, "the counter")

    def test_never_block_is_stronger_than_any_rule(self):
        net = self.net
        net.nginx()
        never = [x for a in (netns.ATTACKER, netns.ATTACKER6) for x in ("--set", f"verdict.never-block={a}")]
        net.sluice(RULES, *never)
        for _, attacker in ENDS.values():
            self.attack(attacker)
            self.recorded(op="reject", value=attacker, conflict="never-block")
            self.assertEqual(net.curl(attacker).stdout, "200")
        self.eventually(lambda: self.counter("verdict.refused_never_block") == 2, "the counter")

    def test_a_block_ends_by_itself_and_says_what_it_dropped(self):
        net = self.net
        net.nginx()
        net.sluice(RULES, "--set", "verdict.max-ttl=7s")
        self.attack(netns.ATTACKER)
        self.assertEqual(self.recorded(op="add", scope="src_ip")["enforcement"]["ttl_s"], 7)
        self.attacker_dies(netns.ATTACKER)
        self.eventually(lambda: self.enforcement(op="expire", scope="src_ip"), "the expiry", timeout=20)
        e = self.enforcement(op="expire", scope="src_ip")[0]["enforcement"]
        self.assertEqual(e["value"], netns.ATTACKER)
        self.assertGreater(e["pkts"], 0)
        self.assertEqual(net.curl(netns.ATTACKER).stdout, "200")
        self.assertGreater(self.counter("verdict.ttl_cut"), 0)

    def test_an_operators_block_is_not_shortened_by_a_rule(self):
        net = self.net
        net.nginx()
        net.sluice(RULES)
        net.command("drops", "add", "source", netns.ATTACKER, "--ttl", "2h")
        net.command("drops", "del", "source", netns.ATTACKER)
        self.attack(netns.ATTACKER)
        self.recorded(op="add", scope="src_ip")
        net.command("drops", "add", "source", netns.ATTACKER, "--ttl", "2h")
        self.attacker_dies(netns.ATTACKER)
        entry = [e for e in net.drops() if e["scope"] == "source"][0]
        self.assertEqual(entry["cause"], "operator")
        self.assertGreater(entry["remaining_s"], 7000)

    def test_reject_of_a_datagram_is_an_icmp_error_at_the_sender(self):
        net = self.net
        rule = net.write("reject.rules", 'reject udp any any -> any 9999 (msg:"r"; content:"evil"; sid:1;)\n')
        net.sluice([rule])
        net.spawn(net.inside, "python3", "-c",
                  "import socket,time\ns=socket.socket(socket.AF_INET6,socket.SOCK_DGRAM)\ns.bind(('::',9999))\ntime.sleep(60)")
        net.wait_port(9999, "the sink", udp=True)
        for source, server, errors in ((netns.CLIENT, netns.SERVER, ("113",)), (netns.CLIENT6, netns.SERVER6, ("13",))):
            out = net.at(net.outside, "python3", "-c", UDP_CLIENT, source, server).stdout.strip()
            self.assertIn(out.split()[-1], errors, out)  # EHOSTUNREACH, EACCES: administratively prohibited
        self.assertEqual(net.wait_alert(1)["alert"]["action"], "blocked")
        self.eventually(lambda: self.counter("verdict.resets_sent") == 2, "the counter")

    def test_reject_resets_both_ends_over_ipv6(self):
        net = self.net
        net.nginx()
        rule = net.write("reject.rules", 'reject tcp any any -> any 80 (msg:"r"; content:"evil"; sid:1;)\n')
        net.sluice([rule])
        self.assertEqual(net.raw(netns.ATTACKER6, 80, b"GET /evil HTTP/1.1\r\nHost: x\r\n", wait=5), "ConnectionResetError")


if __name__ == "__main__":
    case.main()
