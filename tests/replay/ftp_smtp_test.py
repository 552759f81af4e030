#!/usr/bin/env python3
"""FTP with its data connections and SMTP with its mails, through the whole path."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from packets import CLIENT, SERVER, Capture  # noqa: E402

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
SLUICE = os.environ.get("SLUICE", os.path.join(ROOT, "build/release/sluice"))
RULES = """
alert ftp any any -> any any (msg:"1"; ftp.command; content:"RETR"; ftp.command_data; content:"a.txt"; sid:1;)
alert ftp any any -> any any (msg:"2"; ftp.reply; content:"Transfer complete"; ftp.completion_code; content:"226"; sid:2;)
alert ftp any any -> any any (msg:"3"; ftp.dynamic_port:5000; ftp.mode:passive; sid:3;)
alert ftp any any -> any any (msg:"4"; ftp.mode:active; sid:4;)
alert ftp any any -> any any (msg:"5"; ftp.reply_received:no; sid:5;)
alert ftp any any -> any any (msg:"6"; ftpbounce; sid:6;)
alert ftp-data any any -> any any (msg:"7"; ftpdata_command:retr; file.data; content:"needle"; filename:"a.txt"; filestore; sid:7;)
alert ftp-data any any -> any any (msg:"8"; ftpdata_command:stor; file.data; content:"needle"; sid:8;)
alert smtp any any -> any any (msg:"9"; smtp.helo; content:"client"; smtp.mail_from; content:"<a@a>"; smtp.rcpt_to; content:"<c@c>"; bsize:5; sid:9;)
alert smtp any any -> any any (msg:"10"; file.data; content:"needle"; file.name; content:"n.txt"; sid:10;)
alert smtp any any -> any any (msg:"11"; email.subject; content:"hello"; sid:11;)
alert tls any any -> any any (msg:"12"; app-layer-protocol:tls; sid:12;)
"""
LOGIN = [("s", b"220 (ready)\r\n"), ("c", b"USER a\r\n"), ("s", b"230 in\r\n")]


def transfer(agree, command):
    return LOGIN + agree + [("c", command + b"\r\n"), ("s", b"150 coming\r\n")]


PASSIVE = [("c", b"PASV\r\n"), ("s", b"227 ok (9,9,9,9,19,136)\r\n")]  # the address is no reason
ACTIVE = [("c", b"PORT " + CLIENT.replace(".", ",").encode() + b",19,136\r\n"), ("s", b"200 ok\r\n")]


class FtpAndSmtp(unittest.TestCase):
    def replay(self, *connections, settings=()):
        """connections: port, turns, and who begins them if not the client."""
        with tempfile.TemporaryDirectory() as d:
            c = Capture()
            for port, turns, *ends in connections:
                c.tcp(port, turns, *ends)
            c.write(os.path.join(d, "in.pcap"))
            with open(os.path.join(d, "r.rules"), "w") as f:
                f.write(RULES)
            args = [SLUICE, "replay", "-q", "-r", f"{d}/in.pcap", "-S", f"{d}/r.rules", "-l", d]
            for s in settings:
                args += ["--set", s]
            r = subprocess.run(args, capture_output=True, text=True, timeout=60)
            self.assertEqual(r.returncode, 0, r.stderr)
            with open(f"{d}/eve.json") as f:
                self.events = [json.loads(line) for line in f]
        self.alerts = sorted(e["alert"]["signature_id"] for e in self.events if e["event_type"] == "alert")
        return self.events

    def of(self, kind):
        return [e for e in self.events if e["event_type"] == kind]

    def test_each_exchange_has_a_record(self):
        self.replay((21, transfer(PASSIVE, b"RETR a.txt") + [("s", b"226 Transfer complete.\r\n"), ("c", b"QUIT\r\n")]))
        records = [e["ftp"] for e in self.of("ftp")]
        self.assertEqual(records[0], {"completion_code": ["220"], "reply": ["(ready)"], "reply_received": "yes",
                                      "reply_truncated": False})
        self.assertEqual(records[2], {"command": "PASV", "completion_code": ["227"], "reply": ["ok (9,9,9,9,19,136)"],
                                      "dynamic_port": 5000, "mode": "passive", "reply_received": "yes",
                                      "reply_truncated": False})
        self.assertEqual(records[3], {"command": "RETR", "command_data": "a.txt", "command_truncated": False,
                                      "completion_code": ["150", "226"], "reply": ["coming", "Transfer complete."],
                                      "reply_received": "yes", "reply_truncated": False})
        self.assertEqual(records[4]["reply_received"], "no")
        self.assertEqual(self.alerts, [1, 2, 3, 5])

    def data(self, agree, command, side, begins):
        ends = (SERVER, CLIENT) if begins == "s" else (CLIENT, SERVER)
        self.replay((21, transfer(agree, command)), (5000, [(side, b"a needle")], *ends))
        (info,), (record,) = self.of("fileinfo"), self.of("ftp_data")
        self.assertEqual((info["fileinfo"]["filename"], info["fileinfo"]["size"], info["fileinfo"]["state"],
                          info["app_proto"], info["ftp_data"]), ("a.txt", 8, "CLOSED", "ftp-data", record["ftp_data"]))
        control, data = self.of("flow")
        self.assertEqual((control["app_proto"], data["app_proto"]), ("ftp", "ftp-data"))
        self.assertEqual(data["parent_id"], control["flow_id"])
        sender = {"c": ends[0], "s": ends[1]}[side]
        self.assertEqual(info["src_ip"], sender)
        return record["ftp_data"]

    def test_a_data_connection_is_a_file_in_every_mode(self):
        self.assertEqual(self.data(PASSIVE, b"RETR a.txt", "s", "c"), {"filename": "a.txt", "command": "RETR"})
        self.assertEqual(self.alerts, [1, 3, 5, 7])
        self.assertEqual(self.data(PASSIVE, b"STOR a.txt", "c", "c")["command"], "STOR")
        self.assertEqual(self.alerts, [3, 5, 8])
        self.assertEqual(self.data(ACTIVE, b"RETR a.txt", "c", "s")["command"], "RETR")
        self.assertEqual(self.alerts, [1, 4, 5, 7])
        self.assertEqual(self.data(ACTIVE, b"STOR a.txt", "s", "s")["command"], "STOR")

    def test_who_lists_ftp_has_the_data_connections_too(self):
        both = [(21, transfer(PASSIVE, b"RETR a.txt")), (5000, [("s", b"x")])]
        for types, kinds in (("ftp", {"ftp", "ftp_data"}), ("ftp_data", {"ftp_data"}), ("ftp-data", {"ftp_data"})):
            self.replay(*both, settings=[f"eve.types={types}"])
            self.assertEqual({e["event_type"] for e in self.events}, kinds)

    def test_a_list_is_no_file(self):
        self.replay((21, transfer(PASSIVE, b"LIST")), (5000, [("s", b"total 8\r\n")]))
        self.assertEqual(self.of("fileinfo"), [])
        self.assertNotEqual(self.of("flow")[1].get("app_proto"), "ftp-data")

    def test_another_host_s_address_is_a_bounce(self):
        self.replay((21, LOGIN + [("c", b"PORT 192,0,2,7,0,22\r\n"), ("s", b"200 ok\r\n")]))
        self.assertEqual(self.alerts, [4, 6])

    def test_a_password_may_be_kept_secret(self):
        turns = LOGIN + [("c", b"PASS sesame\r\n"), ("s", b"230 ok\r\n")]
        self.replay((21, turns))
        self.assertIn("sesame", json.dumps(self.of("ftp")))
        self.replay((21, turns), settings=["plugins.ftp.secret-passwords=yes"])
        self.assertNotIn("sesame", json.dumps(self.events))

    HELLO = b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03" + bytes(32) + b"\x00\x00\x02\x00\x2f\x01\x00\x00\x00"

    def test_behind_auth_tls_and_starttls_it_is_tls(self):
        self.replay((21, [("s", b"220 (x)\r\n"), ("c", b"AUTH TLS\r\n"), ("s", b"234 go\r\n"), ("c", self.HELLO)]),
                    (25, [("s", b"220 x\r\n"), ("c", b"EHLO c\r\n"), ("s", b"250 STARTTLS\r\n"), ("c", b"STARTTLS\r\n"),
                          ("s", b"220 go\r\n"), ("c", self.HELLO)]))
        self.assertEqual([(f["app_proto"], f["app_proto_orig"]) for f in self.of("flow")], [("tls", "ftp"), ("tls", "smtp")])
        self.assertEqual([e["smtp"] for e in self.of("smtp")], [{"helo": "c"}])

    MAIL = (b"From: A <a@a>\r\nTo: b@b, \"C, c\" <c@c>\r\nSubject: hello\r\n"
            b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nhi http://a.test/\r\n--x\r\n"
            b"Content-Disposition: attachment; filename=n.txt\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            b"YSBuZWVk\r\nbGU=\r\n--x--\r\n.\r\n")

    def test_a_mail_is_a_record_and_its_attachment_a_file(self):
        self.replay((25, [("s", b"220 x\r\n"), ("c", b"EHLO client\r\n"), ("s", b"250 x\r\n"),
                          ("c", b"MAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nRCPT TO:<c@c>\r\nDATA\r\n"),
                          ("s", b"250 a\r\n250 b\r\n250 c\r\n354 d\r\n"), ("c", self.MAIL), ("s", b"250 q\r\n"),
                          ("c", b"QUIT\r\n"), ("s", b"221 bye\r\n")]))
        (record,) = self.of("smtp")
        self.assertEqual(record["smtp"], {"helo": "client", "mail_from": "<a@a>", "rcpt_to": ["<b@b>", "<c@c>"]})
        self.assertEqual(record["email"], {"status": "PARSE_DONE", "from": "A <a@a>", "to": ["b@b", "\"C, c\" <c@c>"],
                                           "attachment": ["n.txt"], "url": ["a.test/"]})
        (info,) = self.of("fileinfo")
        self.assertEqual((info["fileinfo"]["filename"], info["fileinfo"]["size"], info["fileinfo"]["state"],
                          info["app_proto"]), ("n.txt", 8, "CLOSED", "smtp"))
        self.assertEqual(self.alerts, [9, 10, 11])


if __name__ == "__main__":
    unittest.main(verbosity=2)
