#!/usr/bin/env python3
"""The engine's life: start, background, privileges, death, restart; what the kernel does meanwhile."""
import os
import re
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
import case  # noqa: E402
import netns  # noqa: E402
from case import ENDS, RULES, LiveCase  # noqa: E402

KEEP = ("--set", "tap.keep-on-exit=true")
MIDSTREAM = ("--set", "stream.midstream=true")

# One connection that sends a part for each line on its standard input, and says how many answers came.
CLIENT = r"""
import re, socket, sys
source, server = sys.argv[1:3]
s = socket.create_connection((server, 80), timeout=3, source_address=(source, 0))
for line in sys.stdin:
    part, answers = line.rstrip("\n").rsplit("\t", 1)
    s.sendall(part.encode().decode("unicode_escape").encode())
    seen = b""
    try:
        while seen.count(b"HTTP/1.1 ") < int(answers):
            more = s.recv(65536)
            if not more:
                break
            seen += more
    except OSError as e:
        seen = type(e).__name__.encode()
    print(" ".join(re.findall("HTTP/1.1 ([0-9]+)", seen.decode())) or (seen.decode() if int(answers) else "sent"), flush=True)
"""


class Connection:
    """A client whose one connection outlives what happens to the engine."""

    def __init__(self, net, source):
        server = netns.SERVER6 if ":" in source else netns.SERVER
        self.process = subprocess.Popen([*net.prefix(net.outside), "python3", "-u", "-c", CLIENT, source, server],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        net.processes.append(self.process)

    def send(self, part, answers):
        self.process.stdin.write(f"{part}\t{answers}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


def request(path):
    return f"GET {path} HTTP/1.1\\r\\nHost: sluice.test\\r\\n\\r\\n"


class Life(LiveCase):
    def kill(self, engine):
        os.killpg(engine.pid, signal.SIGKILL)
        engine.wait()

    def urls(self):
        return [e["http"].get("url") for e in self.net.events("http")]

    # ---- death and restart
    def flow_goes_on(self, source, end):
        """A request begun before and finished after: the client notices nothing, and no record says
        what nobody saw."""
        net = self.net
        for path in ("one", "two", "three"):
            net.write(f"www/{path}", "x\n")
        net.nginx()
        engine = net.sluice(RULES, *KEEP, *MIDSTREAM)
        connection = Connection(net, source)
        self.assertEqual(connection.send(request("/one"), 1), "200")
        self.eventually(lambda: "/one" in self.urls(), "a record of /one")
        self.assertEqual(connection.send("GET /two HT", 0), "sent")
        time.sleep(0.3)
        end(engine)
        net.sluice(RULES, *KEEP, *MIDSTREAM)
        self.assertTrue(all(i["adopted"] for i in net.status()["interfaces"]))
        self.assertEqual(connection.send("TP/1.1\\r\\nHost: sluice.test\\r\\n\\r\\n", 1), "200")
        self.assertEqual(connection.send(request("/three"), 1), "200")
        self.assertEqual(net.curl(source, "/one").stdout, "200")
        self.eventually(lambda: self.urls().count("/one") == 2, "a record of the new flow")
        for event in net.events("http"):
            http = event["http"]
            # The marker stands where an answer was seen without its request.
            self.assertIn(http.get("url"), ("/one", "/two", "/three", "/libhtp::request_uri_not_seen", None), event)
            self.assertEqual(http.get("http_method"), "GET" if http.get("url") in ("/one", "/two", "/three") else None, event)
            self.assertIn(http.get("hostname"), ("sluice.test", netns.SERVER, netns.SERVER6, f"[{netns.SERVER6}]", None), event)

    def test_a_flow_goes_on_after_a_restart_ipv4(self):
        self.flow_goes_on(netns.CLIENT, lambda engine: self.net.end(engine))

    def test_a_flow_goes_on_after_a_restart_ipv6(self):
        self.flow_goes_on(netns.CLIENT6, lambda engine: self.net.end(engine))

    def test_a_flow_goes_on_after_kill_ipv4(self):
        self.flow_goes_on(netns.CLIENT, self.kill)

    def test_a_flow_goes_on_after_kill_ipv6(self):
        self.flow_goes_on(netns.CLIENT6, self.kill)

    def test_records_buffered_while_dead_are_read(self):
        net = self.net
        net.nginx()
        engine = net.sluice(RULES, *KEEP)
        self.kill(engine)
        wanted = []
        for client, _ in ENDS.values():
            for i in range(5):
                path = f"/dead{len(wanted)}"
                wanted.append(path)
                self.assertEqual(net.curl(client, path).stdout, "404")
        net.sluice(RULES, *KEEP)
        self.eventually(lambda: set(wanted) <= set(self.urls()), "the records of what happened meanwhile")
        self.assertEqual(sorted(u for u in self.urls() if u.startswith("/dead")), sorted(wanted))

    def test_drops_stay_while_dead_and_after_for_both_families(self):
        net = self.net
        net.nginx()
        engine = net.sluice(RULES, *KEEP)
        for _, attacker in ENDS.values():
            net.curl(attacker, "-A", "sqlmap/1.0")
        self.eventually(lambda: sum(e["scope"] == "source" for e in net.drops()) == 2, "two sources blocked")
        self.kill(engine)
        for client, attacker in ENDS.values():
            self.attacker_dies(attacker)
            self.assertEqual(net.curl(client).stdout, "200")
        net.sluice(RULES, *KEEP)
        for client, attacker in ENDS.values():
            self.attacker_dies(attacker)
            self.assertEqual(net.curl(client).stdout, "200")

    def test_fail_closed_blocks_new_flows_once_the_heart_is_still(self):
        net = self.net
        net.nginx()
        closed = (*KEEP, "--set", "tap.fail-closed=true", "--set", "tap.heartbeat-timeout=500ms")
        engine = net.sluice(RULES, *closed)
        old = {name: Connection(net, client) for name, (client, _) in ENDS.items()}
        for connection in old.values():
            self.assertEqual(connection.send(request("/"), 1), "200")
        self.kill(engine)
        time.sleep(0.8)
        for name, (client, _) in ENDS.items():
            self.assertEqual(net.curl(client).stdout, "000")
            self.assertEqual(old[name].send(request("/"), 1), "200", "a flow that was there goes on")
        net.sluice(RULES, *closed)
        for client, _ in ENDS.values():
            self.assertEqual(net.curl(client).stdout, "200")

    def test_without_tcx_clsact_serves(self):
        net = self.net
        net.nginx()
        engine = net.sluice(RULES, "--set", "tap.attach=clsact")
        self.assertEqual([i["attach"] for i in net.status()["interfaces"]], ["clsact"])
        for client, attacker in ENDS.values():
            self.assertEqual(net.curl(client).stdout, "200")
            net.curl(attacker, "-A", "sqlmap/1.0")
        self.eventually(lambda: sum(e["scope"] == "source" for e in net.drops()) == 2, "two sources blocked")
        for client, attacker in ENDS.values():
            self.attacker_dies(attacker)
            self.assertEqual(net.curl(client).stdout, "200")
        engine.send_signal(signal.SIGTERM)
        self.assertEqual(engine.wait(10), 0)
        for _, attacker in ENDS.values():
            self.assertEqual(net.curl(attacker).stdout, "200")

    # ---- start
    def test_background_returns_once_traffic_is_inspected(self):
        net = self.net
        net.nginx()
        pid_file = os.path.join(net.dir, "sluice.pid")
        os.makedirs(net.pin, exist_ok=True)
        args = [netns.SLUICE, "run", "-D", "--pidfile", pid_file, "-i", "srv0", "-l", os.path.join(net.dir, "log"), "-q",
                "-S", RULES[0], *net.settings()]
        started = net.at(net.inside, *args, timeout=60)
        self.assertEqual(started.returncode, 0, started.stderr)
        with open(pid_file) as f:
            pid = int(f.read())
        try:
            net.curl(netns.ATTACKER, "-A", "sqlmap/1.0")  # at once: no wait for readiness
            self.assertIsNotNone(net.wait_alert(9100010))
            second = net.at(net.inside, *args, timeout=60)
            self.assertEqual(second.returncode, 1)
            self.assertIn("a running engine holds it", second.stderr)
        finally:
            os.kill(pid, signal.SIGTERM)
        self.eventually(lambda: not os.path.exists(pid_file), "the end")

    def test_a_start_in_the_background_that_fails_says_so(self):
        net = self.net
        r = net.at(net.inside, netns.SLUICE, "run", "-D", "-i", "nothere0", "-l", net.dir, *net.settings())
        self.assertEqual(r.returncode, 1)
        self.assertIn("nothere0", r.stderr)

    def capabilities(self, pid):
        """Of each thread: user id and effective capabilities."""
        out = set()
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/status") as f:
                text = f.read()
            out.add((int(re.search(r"^Uid:\t(\d+)", text, re.M)[1]), int(re.search(r"^CapEff:\t(\w+)", text, re.M)[1], 16)))
        return out

    def test_root_keeps_no_capability_but_for_files(self):
        engine = self.net.sluice(RULES)
        self.assertEqual(self.capabilities(engine.pid), {(0, 1 << 1)})  # CAP_DAC_OVERRIDE

    def test_as_another_user_everything_goes_on_without_any_capability(self):
        net = self.net
        net.nginx()
        log = os.path.join(net.dir, "log")
        os.makedirs(log)
        import pwd
        nobody = pwd.getpwnam("nobody").pw_uid
        os.chown(log, nobody, -1)
        engine = net.sluice(RULES, "--set", "run-as.user=nobody")
        self.assertEqual(self.capabilities(engine.pid), {(nobody, 0)})
        for client, attacker in ENDS.values():
            self.assertEqual(net.curl(client).stdout, "200")
            net.curl(attacker, "-A", "sqlmap/1.0")
        self.eventually(lambda: sum(e["scope"] == "source" for e in net.drops()) == 2, "two sources blocked")
        self.assertIn("rules loaded", net.command("reload").stdout)
        os.rename(os.path.join(log, "eve.json"), os.path.join(log, "eve.json.1"))
        engine.send_signal(signal.SIGHUP)
        self.eventually(lambda: os.path.exists(os.path.join(log, "eve.json")), "the log is opened again")
        engine.send_signal(signal.SIGTERM)
        self.assertEqual(engine.wait(10), 0)
        self.assertEqual(net.curl(netns.ATTACKER).stdout, "200")
        self.assertEqual([n for n in os.listdir(net.pin) if n.startswith("tap-")], [])

    def test_a_silent_client_of_the_control_socket_delays_nothing(self):
        net = self.net
        net.sluice(RULES)
        with socket.socket(socket.AF_UNIX) as silent:
            silent.connect(os.path.join(net.dir, "control.sock"))
            silent.send(b"sta")
            begin = time.time()
            self.assertIn("rules", net.status())
            self.assertLess(time.time() - begin, 1.5)
            self.eventually(lambda: net.status()["counters"].get("control.timed_out") == 1, "the silent one is closed")

    def test_a_namespace_of_mounts_does_not_hide_the_pins(self):
        """ip netns exec gives its command mounts of its own."""
        net = self.net
        net.nginx()
        net.prefix_run = ["ip", "netns", "exec", net.inside]
        engine = net.sluice(RULES, *KEEP)
        net.curl(netns.ATTACKER, "-A", "sqlmap/1.0")
        self.assertIsNotNone(net.wait_alert(9100010))
        self.attacker_dies(netns.ATTACKER)  # `drops list` from outside sees them
        self.kill(engine)
        self.attacker_dies(netns.ATTACKER)  # and they outlive the namespace
        net.sluice(RULES, *KEEP)
        self.assertTrue(all(i["adopted"] for i in net.status()["interfaces"]))


if __name__ == "__main__":
    case.main()
