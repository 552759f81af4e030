#!/usr/bin/env python3
"""Real peers of TLS, SSH, DNS and RDP: what the records say is what the peers say."""
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.dirname(__file__))
import case  # noqa: E402
import netns  # noqa: E402
from case import LiveCase  # noqa: E402
from netns import CLIENT, SERVER, sh  # noqa: E402

NAME = "peer.sluice.test"


class Tls(LiveCase):
    def certificate(self, name, subject):
        key, pem = (os.path.join(self.net.dir, f"{name}.{end}") for end in ("key", "pem"))
        sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
           "-subj", subject, "-addext", f"subjectAltName=DNS:{NAME},IP:{SERVER}", "-keyout", key, "-out", pem)
        return key, pem

    def said_of(self, pem):
        """Of a certificate, as openssl puts it and as EVE has it."""
        def ask(*args):
            return sh("openssl", "x509", "-in", pem, "-noout", *args).stdout.strip().split("=", 1)[1]
        serial = ask("-serial")
        return {"fingerprint": ask("-fingerprint", "-sha1").lower(),
                "serial": ":".join(re.findall("..", serial)) if serial[0] in "01234567" else
                          ":".join(["00", *re.findall("..", serial)])}

    def server(self, *args):
        key, pem = self.certificate("server", "/C=DE/O=Sluice, Ltd/CN=server")
        self.net.spawn(self.net.inside, "openssl", "s_server", "-accept", "443", "-key", key, "-cert", pem, "-www",
                       "-alpn", "http/1.1", *args, log="s_server.out")
        self.net.wait_port(443, "s_server")
        return self.said_of(pem)

    def client(self, *args):
        """One session; returns what s_client says of it."""
        out = self.net.at(self.net.outside, "sh", "-c", 'printf "GET / HTTP/1.0\\r\\n\\r\\n" | exec "$@"', "sh", "openssl",
                          "s_client", "-connect", f"{SERVER}:443", "-bind", CLIENT, "-servername", NAME, "-alpn", "h2,http/1.1",
                          "-ign_eof", *args)
        said = dict(re.findall(r"^ *([A-Z][\w -]+?) *: (.+)$", out.stdout, re.M))
        said["reused"] = "\nReused, " in out.stdout
        return said

    def session(self, number=0):
        net = self.net
        self.eventually(lambda: len(net.events("tls")) > number, "a record of TLS")
        return net.events("tls")[number]["tls"]

    def test_tls12_shows_the_certificate_that_openssl_shows(self):
        said_of = self.server()
        self.net.sluice([], "--set", "eve.optional-fields=tls.server_handshake")
        self.assertEqual(self.client("-tls1_2")["Protocol"], "TLSv1.2")
        tls = self.session()
        self.assertEqual(tls["version"], "TLS 1.2")
        self.assertEqual(tls["sni"], NAME)
        self.assertEqual(tls["subject"], "C=DE, O=Sluice, Ltd, CN=server")
        self.assertEqual(tls["issuerdn"], tls["subject"])
        self.assertEqual(tls["fingerprint"], said_of["fingerprint"])
        self.assertEqual(tls["serial"], said_of["serial"])
        self.assertEqual(sorted(tls["subjectaltname"]), sorted([NAME, SERVER]))
        self.assertEqual(tls["client_alpns"], ["h2", "http/1.1"])
        self.assertEqual(tls["server_alpns"], ["http/1.1"])

    def test_tls13_has_a_version_and_no_certificate(self):
        self.server()
        self.net.sluice([])
        self.client("-tls1_3")
        tls = self.session()
        self.assertEqual(tls["version"], "TLS 1.3")
        self.assertEqual(tls["sni"], NAME)
        self.assertNotIn("subject", tls)
        self.assertNotIn("session_resumed", tls)

    def test_a_client_certificate_is_the_clients(self):
        self.server("-Verify", "1")
        key, pem = self.certificate("client", "/O=Client/CN=alice")
        self.net.sluice([])
        self.client("-tls1_2", "-key", key, "-cert", pem)
        tls = self.session()
        self.assertEqual(tls["client"]["subject"], "O=Client, CN=alice")
        self.assertEqual(tls["client"]["fingerprint"], self.said_of(pem)["fingerprint"])
        self.assertTrue(tls["subject"].endswith("CN=server"))

    def test_a_resumed_session_says_so(self):
        self.server()
        self.net.sluice([])
        ticket = os.path.join(self.net.dir, "ticket")
        self.assertFalse(self.client("-tls1_2", "-sess_out", ticket)["reused"])
        self.assertTrue(self.client("-tls1_2", "-sess_in", ticket)["reused"])
        self.assertNotIn("session_resumed", self.session(0))
        resumed = self.session(1)
        self.assertTrue(resumed["session_resumed"])
        self.assertNotIn("subject", resumed)


class Ssh(LiveCase):
    def test_each_attempt_is_a_record_of_its_flow_and_many_are_an_alert(self):
        """What a password guesser does: connection after connection, each refused by sshd."""
        net, attempts = self.net, 6
        net.sshd()
        rule = net.write("guess.rules", "alert ssh any any -> any 22 (msg:\"many attempts\"; flow:established,to_server; ssh.proto; "
                         "content:\"2.0\"; threshold:type both, track by_src, count 5, seconds 60; sid:1; rev:1;)\n")
        net.sluice([rule])
        for _ in range(attempts):
            net.at(net.outside, "ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                   f"nobody@{SERVER}", "true")
        self.eventually(lambda: len(net.events("ssh")) >= attempts, "a record of each attempt")
        records = net.events("ssh")
        self.assertEqual(len({e["flow_id"] for e in records}), attempts)
        self.assertEqual(len(records), attempts)
        self.assertIsNotNone(net.wait_alert(1))
        self.assertEqual(len(net.events("alert")), 1)
        with open(os.path.join(net.dir, "sshd.out")) as f:
            self.assertEqual(sum("Connection closed by" in line for line in f), attempts)

    def test_dropbear_and_its_client_are_named(self):
        net = self.net
        if shutil.which("dropbear") is None or shutil.which("dbclient") is None:
            self.skipTest("dropbear or dbclient is not here")
        key = os.path.join(net.dir, "dropbear.key")
        sh("dropbearkey", "-t", "ed25519", "-f", key)
        net.spawn(net.inside, "dropbear", "-F", "-E", "-r", key, "-p", f"{SERVER}:2222", "-P", os.path.join(net.dir, "dropbear.pid"),
                  log="dropbear.out")
        net.wait_port(2222, "dropbear")
        net.sluice([], "--set", "plugins.ssh.hassh=yes")
        net.at(net.outside, "dbclient", "-y", "-y", "-T", "-o", "BatchMode=yes", "-p", "2222", f"nobody@{SERVER}", "true", timeout=20)
        event = net.wait_event("ssh", lambda e: e["dest_port"] == 2222)
        self.assertIsNotNone(event)
        version = sh("dropbear", "-V").stderr.split()[1].lstrip("v")
        for side in ("client", "server"):
            self.assertEqual(event["ssh"][side]["software_version"], f"dropbear_{version}")
            self.assertEqual(event["ssh"][side]["proto_version"], "2.0")
            self.assertEqual(event["ssh"][side]["hassh"]["string"].count(";"), 3)


class Dns(LiveCase):
    ZONE = """$TTL 300
@ IN SOA ns.peer.test. root.peer.test. 7 3600 600 86400 60
  IN NS ns
ns IN A 192.0.2.1
www IN A 192.0.2.7
www IN AAAA 2001:db8::7
alias IN CNAME www
@ IN MX 10 mail
@ IN TXT "a text" "in two"
_x._tcp IN SRV 1 2 8080 www
"""

    def setUp(self):
        super().setUp()
        if shutil.which("named") is None:
            self.skipTest("named is not here")
        net = self.net
        net.write("peer.zone", self.ZONE)
        conf = net.write("named.conf", f'''options {{ directory "{net.dir}"; listen-on {{ {SERVER}; }}; listen-on-v6 {{ none; }};
pid-file "{net.dir}/named.pid"; session-keyfile "{net.dir}/session.key"; recursion no; dnssec-validation no; }};
controls {{ }};
zone "peer.test" {{ type primary; file "peer.zone"; }};
''')
        net.spawn(net.inside, "named", "-f", "-c", conf, log="named.out")
        net.wait_port(53, "named", udp=True)

    def ask(self, name, kind, *args):
        """Asks; returns dig's answers as (name, type, data)."""
        out = self.net.at(self.net.outside, "dig", "+noall", "+answer", "+nocookie", "-b", CLIENT, f"@{SERVER}", name, kind, *args)
        rows = [line.split(None, 4) for line in out.stdout.splitlines()]
        return sorted((row[0].rstrip("."), row[3], row[4].rstrip(".")) for row in rows)

    def logged(self, name, kind):
        def is_it(e):
            d = e["dns"]
            return d["type"] == "response" and d["queries"][0] == {"rrname": name, "rrtype": kind}
        event = self.net.wait_event("dns", is_it)
        self.assertIsNotNone(event, (name, kind))
        return event["dns"]

    def test_answers_are_those_that_dig_shows(self):
        self.net.sluice([])
        for name, kind, args in (("www.peer.test", "A", ()), ("www.peer.test", "AAAA", ()), ("alias.peer.test", "A", ()),
                                 ("peer.test", "NS", ("+tcp",))):
            with self.subTest(name=name, kind=kind):
                shown = self.ask(name, kind, *args)
                answers = self.logged(name, kind)["answers"]
                self.assertTrue(shown)
                short = sorted((a["rrname"], a["rrtype"], short_address(a["rdata"])) for a in answers)
                self.assertEqual(short, shown)

    def test_structured_answers_have_their_parts(self):
        self.net.sluice([])
        self.ask("_x._tcp.peer.test", "SRV")
        self.ask("peer.test", "SOA")
        self.ask("nowhere.peer.test", "A")
        srv = self.logged("_x._tcp.peer.test", "SRV")["answers"][0]["srv"]
        self.assertEqual(srv, {"priority": 1, "weight": 2, "port": 8080, "name": "www.peer.test"})
        soa = self.logged("peer.test", "SOA")["answers"][0]["soa"]
        self.assertEqual((soa["mname"], soa["serial"], soa["minimum"]), ("ns.peer.test", 7, 60))
        self.assertEqual(self.logged("nowhere.peer.test", "A")["rcode"], "NXDOMAIN")


def short_address(text):
    """EVE writes IPv6 in full, dig does not."""
    if ":" not in text:
        return text
    import ipaddress
    return str(ipaddress.ip_address(text))


class Rdp(LiveCase):
    def setUp(self):
        super().setUp()
        if shutil.which("xfreerdp") is None or shutil.which("xvfb-run") is None:
            self.skipTest("xfreerdp or xvfb-run is not here")

    def connect(self, security, *args):
        self.net.xrdp(security)
        self.net.sluice([])
        self.net.at(self.net.outside, "timeout", "10", "xvfb-run", "-a", "xfreerdp", f"/v:{SERVER}", "/u:alice", "/p:x",
                    "/cert:ignore", "/client-hostname:SLUICEPC", "/size:1024x768", "/kbd:0x407", *args, timeout=30)

    def rdp(self, kind):
        event = self.net.wait_event("rdp", lambda e: e["rdp"]["event_type"] == kind)
        self.assertIsNotNone(event, kind)
        return event["rdp"]

    def test_over_tls_the_certificate_is_the_servers(self):
        self.connect("tls", "/sec:tls")
        serial = sh("openssl", "x509", "-in", os.path.join(self.net.dir, "cert.pem"), "-noout", "-serial").stdout.strip()
        self.assertEqual(self.rdp("initial_request")["cookie"], "alice")
        self.assertEqual(self.rdp("initial_response")["protocol"], "ssl")
        self.assertEqual(self.rdp("tls_handshake")["x509_serials"], [serial.split("=")[1].lower().lstrip("0")])
        tls = self.net.wait_event("tls", lambda e: True)
        self.assertEqual(tls["tls"]["subject"], "CN=sluice.test")

    def test_in_the_clear_the_client_is_what_it_was_told_to_be(self):
        self.connect("rdp", "/sec:rdp", "+clipboard")
        request = self.rdp("connect_request")
        client = request["client"]
        self.assertEqual((client["desktop_width"], client["desktop_height"]), (1024, 768))
        self.assertEqual(client["client_name"], "SLUICEPC")
        self.assertEqual(client["keyboard_layout"], "de-DE")
        self.assertIn("cliprdr", request["channels"])
        self.rdp("connect_response")


if __name__ == "__main__":
    case.main()
