#!/usr/bin/env python3
"""Each shipped rule: an exchange that hits it, and one that narrowly misses; nothing
else fires.  A rule without a pair here fails the test."""
import collections
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from packets import (Capture, RDP_CONFIRM, dns_answer, dns_query, rdp_connect, request, response, ssh_turns)  # noqa: E402

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
SLUICE = os.environ.get("SLUICE", os.path.join(ROOT, "build/release/sluice"))


def http(target="/", headers=(), body=b"ok", method="GET"):
    return lambda c: c.tcp(80, [("c", request(target, method, headers)), ("s", response(body))])


def websocket(frames):
    upgrade = request("/ws", "GET", ["Upgrade: websocket", "Connection: Upgrade"])
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    return lambda c: c.tcp(80, [("c", upgrade), ("s", answer), ("c", frames)])


def dns(name, rrtype=1):
    return lambda c: c.udp(53, [("c", dns_query(name, rrtype)), ("s", dns_answer(name))])


def ssh(client=b"SSH-2.0-OpenSSH_9.2\r\n", server=b"SSH-2.0-OpenSSH_9.2p1\r\n"):
    return lambda c: c.tcp(22, ssh_turns(client, server))


def rdp(cookie):
    return lambda c: c.tcp(3389, [("c", rdp_connect(cookie)), ("s", RDP_CONFIRM)])


SSH_BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"


def ssh_packet(kind, body, padding):
    """A packet whose padding length may be a lie: four bytes follow in any case."""
    return (6 + len(body)).to_bytes(4, "big") + bytes([padding, kind]) + body + bytes(4)


def rdp_turns(*turns):
    return lambda c: c.tcp(3389, [("c", rdp_connect(b"alice")), *turns])


def rdp_confirm(protocol):
    return RDP_CONFIRM[:-4] + protocol.to_bytes(4, "little")


def rdp_channels(*names):
    """An MCS connect initial with only the network block."""
    data = len(names).to_bytes(4, "little") + b"".join(n.ljust(8, b"\0") + bytes(4) for n in names)
    block = b"\x03\xc0" + (4 + len(data)).to_bytes(2, "little") + data
    body = b"\x02\xf0\x80\x7f\x65\x82\x01\x01Duca" + (0x8000 | len(block)).to_bytes(2, "big") + block
    return b"\x03\x00" + (4 + len(body)).to_bytes(2, "big") + body


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def http2(*frames):
    return lambda c: c.tcp(80, [("c", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"".join(frames))])


def http2_resets(count):
    """GETs that are given up at once."""
    return http2(*(frame(1, 5, 2 * i + 1, b"\x82") + frame(3, 0, 2 * i + 1, bytes(4)) for i in range(count)))


def http2_block(continuations):
    return http2(frame(1, 1, 1), *[frame(9, 0, 1)] * continuations)
def tls_record(kind, body, version=b"\x03\x03"):
    return bytes([kind]) + version + len(body).to_bytes(2, "big") + body


def tls_hello(kind, extensions=b"", version=b"\x03\x03", ciphers=b"\x00\x02\x00\x2f", lie=0):
    """ClientHello (1) or ServerHello (2); `lie` is added to the length of the extensions."""
    ends = (ciphers + b"\x01\x00") if kind == 1 else (ciphers[-2:] + b"\x00")
    body = version + bytes(32) + b"\x00" + ends
    body += (len(extensions) + lie).to_bytes(2, "big") + extensions
    return tls_record(22, bytes([kind]) + len(body).to_bytes(3, "big") + body, version)


def tls_sni(name):
    entry = b"\x00" + len(name).to_bytes(2, "big") + name
    body = len(entry).to_bytes(2, "big") + entry
    return b"\x00\x00" + len(body).to_bytes(2, "big") + body


def tls(*turns):
    return lambda c: c.tcp(443, list(turns))


def ftp(*lines):
    return lambda c: c.tcp(21, [("s", b"220 (x)\r\n"), ("c", b"USER a\r\n"), ("s", b"230 ok\r\n")] +
                           [turn for line in lines for turn in (("c", line + b"\r\n"), ("s", b"200 ok\r\n"))])


def ftp_upload(content, command=b"STOR a.txt"):
    def build(c):
        c.tcp(21, [("s", b"220 (x)\r\n"), ("c", b"PASV\r\n"), ("s", b"227 ok (1,2,3,4,19,136)\r\n"),
                   ("c", command + b"\r\n"), ("s", b"150 ok\r\n")])
        c.tcp(5000, [("c", content)])
    return build


PROGRAM = b"MZ\x90\0" + bytes(60) + b"!This program cannot be run in DOS mode."


def smtp(sender=b"<a@a>", name=b"a.txt", content=b"text"):
    mail = b"Content-Type: x/y; name=" + name + b"\r\n\r\n" + content + b"\r\n.\r\n"
    return lambda c: c.tcp(25, [("s", b"220 x\r\n"), ("c", b"EHLO c\r\n"), ("s", b"250 x\r\n"),
                                ("c", b"MAIL FROM:" + sender + b"\r\nRCPT TO:<b>\r\nDATA\r\n"),
                                ("s", b"250 a\r\n250 b\r\n354 c\r\n"), ("c", mail), ("s", b"250 d\r\n")])


def starttls(command):
    return lambda c: c.tcp(25, [("s", b"220 x\r\n"), ("c", b"EHLO c\r\n"), ("s", b"250 x\r\n"), ("c", command)])


# sid: (hits, narrowly misses)
CASES = {
    9100000: (http("/?x=${jndi:ldap://a/b}"), http("/?x=${jnd:ldap://a/b}")),
    9100001: (http(headers=["X-Api-Version: ${jndi:ldap://a/b}"]), http(headers=["X-Api-Version: {jndi:ldap://a/b}"])),
    9100002: (http("/static/../../etc/passwd"), http("/static/etc/passwd")),
    9100010: (http(headers=["User-Agent: sqlmap/1.7.2#stable"]), http(headers=["User-Agent: sqlmapper 1.7"])),
    9100011: (http(headers=["User-Agent: Mozilla/5.00 (Nikto/2.1.6)"]), http(headers=["User-Agent: Nikon camera"])),
    9100012: (http(headers=["User-Agent: Nuclei - Open-source"]), http(headers=["User-Agent: nuclear"])),
    9100020: (http("/cgi?c=;/bin/sh"), http("/docs/bin/sh")),
    9100030: (http(body=b"uid=0(root) gid=0(root) groups=0(root)\n"), http(body=b"uid=1(daemon) gid=1(daemon)\n")),
    9100050: (http2_resets(100), http2_resets(99)),
    9100051: (http2_block(129), http2_block(128)),
    9100100: (dns("www.blocked.sluice.test"), dns("blocked.sluice.test.example")),
    9100110: (dns("whoami.akamai.net"), dns("whoami.akamai.network")),
    9100120: (dns(".".join(["a" * 50] * 4)), dns(".".join(["a" * 30] * 4))),
    9100130: (dns("example.test", 252), dns("example.test", 255)),
    9100140: (lambda c: c.udp(53, [("c", dns_query("example.test")), ("s", dns_answer("example.test")[:-6])]),
              dns("example.test")),
    9100200: (ssh(b"SSH-2.0-libssh-scanner\r\n"), ssh(b"SSH-2.0-libssh_0.9.6\r\n")),
    9100201: (ssh(b"SSH-2.0-ZGrab ZGrab SSH Survey\r\n"), ssh(b"SSH-2.0-Z-Grabber\r\n")),
    9100202: (ssh(b"SSH-2.0-Go\r\n"), ssh(b"SSH-2.0-GoAnywhere\r\n")),
    9100203: (ssh(server=b"SSH-1.5-Cisco-1.25\r\n", client=b"SSH-1.5-x\r\n"), ssh(server=b"SSH-1.99-OpenSSH_4\r\n")),
    9100204: (ssh(b"SSH-2.0\r\n"), ssh(b"SSH-2.0-\r\n")),
    9100205: (ssh(SSH_BANNER + ssh_packet(2, b"", padding=200)), ssh(SSH_BANNER + ssh_packet(2, b"", padding=4))),
    9100300: (rdp(b"hello"), rdp(b"hello2")),
    9100301: (rdp(b"nmap"), rdp(b"nnap")),
    9100302: (rdp(b"Administr"), rdp(b"Admin")),
    9100303: (rdp_turns(("c", rdp_channels(b"rdpdr", b"MS_T120"))), rdp_turns(("c", rdp_channels(b"rdpdr", b"MS_T12")))),
    9100304: (rdp_turns(("s", rdp_confirm(protocol=0))), rdp_turns(("s", rdp_confirm(protocol=1)))),
    9100400: (tls(("c", tls_hello(1) + tls_record(24, b"\x01\x40\x00"))),
              tls(("c", tls_hello(1) + tls_record(24, b"\x01\x00\x04beat" + bytes(16))))),
    9100401: (tls(("c", tls_hello(1, version=b"\x03\x00")), ("s", tls_hello(2, version=b"\x03\x00"))),
              tls(("c", tls_hello(1, version=b"\x03\x01")), ("s", tls_hello(2, version=b"\x03\x01")))),
    9100402: (tls(("c", tls_hello(1, tls_sni(b"www.blocked.sluice.test")))),
              tls(("c", tls_hello(1, tls_sni(b"unblocked.sluice.test"))))),
    9100403: (tls(("c", tls_hello(1, tls_sni(b"a.test"), lie=1))), tls(("c", tls_hello(1, tls_sni(b"a.test"))))),
    9100600: (websocket(b"\x81\x82" + bytes(4) + b"hi"), websocket(b"\x81\x82\0\0\0\1" + b"hi")),
    9100601: (websocket(b"\x83\x80key1"), websocket(b"\x82\x80key1")),
    9100602: (websocket(b"\x09\x80key1"), websocket(b"\x89\x80key1")),
    9100700: (ftp(b"PORT 192,0,2,9,4,1"), ftp(b"PORT 10,1,0,10,4,1")),
    9100701: (ftp(b"CWD " + b"a" * 5000), ftp(b"CWD " + b"a" * 4000)),
    9100702: (ftp_upload(PROGRAM), ftp_upload(b"PZ" + PROGRAM[2:])),
    9100800: (smtp(name=b"invoice.pdf.exe"), smtp(name=b"invoice.exe.pdf")),
    9100801: (starttls(b"STARTTLS\r\nMAIL FROM:<a>\r\n"), starttls(b"STARTTLS\r\n")),
    9100802: (smtp(sender=b"<>", content=b"MZ\x90"), smtp(sender=b"<>", content=b"ZM\x90")),
    9100305: (rdp_turns(("c", b"\x03\x00\x00\x05\x02\xf0\x80")), rdp_turns(("c", b"\x03\x00\x00\x07\x02\xf0\x80"))),
}


class ShippedRules(unittest.TestCase):
    def replay(self, build, rules):
        with tempfile.TemporaryDirectory() as d:
            capture = Capture()
            build(capture)
            path = os.path.join(d, "input.pcap")
            capture.write(path)
            args = [SLUICE, "replay", "-q", "-r", path, "-l", d]
            for r in rules:
                args += ["-S", r]
            r = subprocess.run(args, capture_output=True, text=True)
            self.assertEqual(r.returncode, 0, r.stderr)
            alerts = collections.Counter()
            with open(os.path.join(d, "eve.json")) as f:
                for line in f:
                    e = json.loads(line)
                    if e["event_type"] == "alert":
                        alerts[e["alert"]["signature_id"]] += 1
            return alerts

    def test_each_rule_is_hit_once_and_narrowly_missed(self):
        rules = sorted(glob.glob(os.path.join(ROOT, "rules", "*.rules")))
        sids = [int(s) for r in rules for s in re.findall(r"^\w+ .*\bsid:(\d+);", open(r).read(), re.M)]
        self.assertEqual(sorted(set(sids)), sorted(sids), "a sid is used twice")
        for sid in sids:
            with self.subTest(sid=sid):
                self.assertIn(sid, CASES, "a shipped rule without a case")
                hit, miss = CASES[sid]
                self.assertEqual(dict(self.replay(hit, rules)), {sid: 1})
                self.assertEqual(dict(self.replay(miss, rules)), {})


if __name__ == "__main__":
    unittest.main(verbosity=2)
