"""Hosts on one machine for the demo and the live tests: an outside namespace with a
client and an attacker, a protected server with real daemons, a veth pair in between.

Everything is named after this process, and goes away with the context, also on
interrupts.  Only processes started here are ended, by id.
"""
import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
SLUICE = os.environ.get("SLUICE", os.path.join(ROOT, "build/release/sluice"))

CLIENT, ATTACKER, SERVER = "10.203.0.10", "10.203.0.66", "10.203.0.1"
CLIENT6, ATTACKER6, SERVER6 = "fd99::10", "fd99::66", "fd99::1"


class Missing(Exception):
    """What the live path needs is not there; str() says what."""


def sh(*args, check=True, **kw):
    r = subprocess.run(args, capture_output=True, text=True, **kw)
    if check and r.returncode:
        raise RuntimeError(f"{' '.join(args)}: {r.stderr.strip() or r.stdout.strip()}")
    return r


def need():
    if os.geteuid() != 0:
        raise Missing("not root")
    if not os.path.exists("/sys/fs/bpf") and not os.path.exists("/sys/kernel/btf/vmlinux"):
        raise Missing("the kernel has no BPF")
    probe = f"slp{os.getpid()}"
    if sh("ip", "netns", "add", probe, check=False).returncode:
        raise Missing("network namespaces cannot be made")
    sh("ip", "netns", "del", probe, check=False)


class Net:
    """The two namespaces.  `inside` is the protected host, its interface is srv0."""

    def __init__(self):
        tag = f"{os.getpid()}-{int(time.time()) % 10000}"
        self.outside, self.inside = f"sl-out-{tag}", f"sl-in-{tag}"
        self.dir = tempfile.mkdtemp(prefix="sluice-live-")
        os.chmod(self.dir, 0o755)
        self.pin = f"/run/sluice/live-{tag}"
        self.processes = []
        self.prefix_run = None  # how the engine enters `inside`, if not as all others
        self.closed = False

    def __enter__(self):
        need()
        atexit.register(self.close)
        for s in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(s, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        try:
            self.build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def build(self):
        for ns in (self.outside, self.inside):
            sh("ip", "netns", "add", ns)
            sh("ip", "-n", ns, "link", "set", "lo", "up")
            self.at(ns, "sysctl", "-q", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
        sh("ip", "-n", self.outside, "link", "add", "out0", "type", "veth", "peer", "name", "srv0", "netns", self.inside)
        for ns, dev, addresses in ((self.outside, "out0", (CLIENT, ATTACKER, CLIENT6, ATTACKER6)),
                                   (self.inside, "srv0", (SERVER, SERVER6))):
            for a in addresses:
                v6 = ":" in a
                sh("ip", "-n", ns, "addr", "add", a + ("/64" if v6 else "/24"), "dev", dev, *(["nodad"] if v6 else []))
            sh("ip", "-n", ns, "link", "set", dev, "up")

    def close(self):
        if self.closed:
            return
        self.closed = True
        for p in reversed(self.processes):
            self.end(p)
        for ns in (self.outside, self.inside):
            sh("ip", "netns", "del", ns, check=False)
        sh("umount", self.pin, check=False)
        shutil.rmtree(self.pin, ignore_errors=True)
        shutil.rmtree(self.dir, ignore_errors=True)

    @staticmethod
    def end(p, sig=signal.SIGTERM):
        if p.poll() is not None:
            return
        try:
            os.killpg(p.pid, sig)
            p.wait(5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            try:
                os.killpg(p.pid, signal.SIGKILL)
                p.wait(5)
            except ProcessLookupError:
                pass

    # The network namespace alone: mounts stay the caller's, so pins are seen by all.
    @staticmethod
    def prefix(ns):
        return ["nsenter", f"--net=/run/netns/{ns}"]

    def at(self, ns, *args, check=False, timeout=20, **kw):
        return sh(*self.prefix(ns), *args, check=check, timeout=timeout, **kw)

    def spawn(self, ns, *args, log=None, prefix=None):
        out = open(os.path.join(self.dir, log), "ab") if log else subprocess.DEVNULL
        p = subprocess.Popen([*(prefix or self.prefix(ns)), *args], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                             start_new_session=True, cwd=self.dir)
        if log:
            out.close()
        self.processes.append(p)
        return p

    def wait_port(self, port, what, udp=False, timeout=10):
        end = time.time() + timeout
        while time.time() < end:
            out = self.at(self.inside, "ss", "-Hln" + ("u" if udp else "t"), f"sport = :{port}").stdout
            if out.strip():
                return
            time.sleep(0.05)
        raise RuntimeError(f"{what} does not listen on port {port}")

    # ---- daemons
    def write(self, name, text):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        return path

    def nginx(self, http="access_log off;"):
        """`http`: settings of its http block."""
        self.write("www/index.html", "hello\n")
        conf = self.write("nginx.conf", f"""daemon off; user root; pid {self.dir}/nginx.pid; error_log {self.dir}/nginx.log;
events {{}}
http {{ {http} client_body_temp_path {self.dir}/t1; proxy_temp_path {self.dir}/t2; fastcgi_temp_path {self.dir}/t3;
uwsgi_temp_path {self.dir}/t4; scgi_temp_path {self.dir}/t5;
server {{ listen 80; listen [::]:80; root {self.dir}/www; }} }}
""")
        self.spawn(self.inside, "nginx", "-c", conf, log="nginx.out")
        self.wait_port(80, "nginx")

    def apache(self, log):
        """HTTP/1 and h2c on port 80; `log`: the access log, "request TAB status TAB user agent"."""
        self.write("www/index.html", "hello\n")
        modules = "/usr/lib/apache2/modules"
        load = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so"
                         for name in ("mpm_event", "authz_core", "dir", "http2", "deflate", "filter"))
        conf = self.write("apache.conf", f"""{load}
ServerRoot {self.dir}
ServerName {SERVER}
PidFile {self.dir}/apache.pid
DefaultRuntimeDir {self.dir}
ErrorLog {self.dir}/apache.log
Listen 80
Protocols h2c http/1.1
DocumentRoot {self.dir}/www
<Directory {self.dir}/www>
Require all granted
SetOutputFilter DEFLATE
</Directory>
LogFormat "%r\\t%>s\\t%{{User-Agent}}i" lines
CustomLog {log} lines
""")
        self.spawn(self.inside, "apache2", "-D", "FOREGROUND", "-f", conf, log="apache.out")
        self.wait_port(80, "apache2")

    def sshd(self, port=22):
        key = os.path.join(self.dir, "hostkey")
        if not os.path.exists(key):
            sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        os.makedirs("/run/sshd", exist_ok=True)
        conf = self.write(f"sshd{port}.conf", f"Port {port}\nHostKey {key}\nPidFile {self.dir}/sshd{port}.pid\nUsePAM no\n")
        self.spawn(self.inside, "/usr/sbin/sshd", "-D", "-e", "-f", conf, log="sshd.out")
        self.wait_port(port, "sshd")

    def dnsmasq(self):
        self.spawn(self.inside, "dnsmasq", "-k", "-C", "/dev/null", "-h", "-R", "--no-daemon", "--interface=srv0",
                   "--bind-interfaces", "--address=/good.sluice.test/192.0.2.7", "--address=/blocked.sluice.test/192.0.2.8",
                   log="dnsmasq.out")
        self.wait_port(53, "dnsmasq", udp=True)

    def xrdp(self, security="negotiate"):
        conf = self.write("xrdp.ini", f"""[Globals]
ini_version=1
fork=true
port=3389
security_layer={security}
ssl_protocols=TLSv1.2
crypt_level=low
certificate={self.dir}/cert.pem
key_file={self.dir}/key.pem
[Logging]
LogFile={self.dir}/xrdp.log
LogLevel=INFO
EnableSyslog=false
[Xorg]
name=Xorg
lib=libxup.so
username=ask
password=ask
ip=127.0.0.1
port=-1
""")
        sh("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=sluice.test", "-days", "2",
           "-keyout", os.path.join(self.dir, "key.pem"), "-out", os.path.join(self.dir, "cert.pem"))
        self.spawn(self.inside, "xrdp", "--nodaemon", "--config", conf, log="xrdp.out")
        self.wait_port(3389, "xrdp")

    # ---- sluice
    def settings(self):
        return ["--set", f"tap.pin-dir={self.pin}", "--set", f"control-socket={self.dir}/control.sock"]

    def sluice(self, rules, *extra, timeout=20):
        """Starts the engine; returns its process once it inspects."""
        os.makedirs(self.pin, exist_ok=True)
        args = [SLUICE, "run", "-i", "srv0", "-l", os.path.join(self.dir, "log"), "-q", *self.settings(), *extra]
        for r in rules:
            args += ["-S", r]
        path = os.path.join(self.dir, "sluice.out")
        size = os.path.getsize(path) if os.path.exists(path) else 0
        p = self.spawn(self.inside, *args, log="sluice.out", prefix=self.prefix_run)
        end = time.time() + timeout
        while time.time() < end:
            with open(path) as f:
                f.seek(size)
                text = f.read()
            if "ready\n" in text:
                return p
            if p.poll() is not None:
                raise RuntimeError(f"sluice ended: {text.strip()}")
            time.sleep(0.05)
        raise RuntimeError("sluice is not ready: " + text)

    def command(self, *args, check=True):
        return self.at(self.inside, SLUICE, *args, *self.settings(), check=check)

    def drops(self):
        return json.loads(self.command("drops", "list", "--json").stdout or "[]")

    def status(self):
        return json.loads(self.command("status", "--json").stdout)

    def events(self, kind=None):
        path = os.path.join(self.dir, "log", "eve.json")
        out = []
        if os.path.exists(path):
            with open(path, errors="replace") as f:
                for line in f:
                    if line.endswith("\n"):
                        out.append(json.loads(line))
        return [e for e in out if kind is None or e["event_type"] == kind]

    def wait_event(self, kind, test, timeout=6):
        end = time.time() + timeout
        while time.time() < end:
            for e in self.events(kind):
                if test(e):
                    return e
            time.sleep(0.1)
        return None

    def wait_alert(self, sid, timeout=6):
        return self.wait_event("alert", lambda e: e["alert"]["signature_id"] == sid, timeout)

    # ---- traffic of the outside
    def curl(self, source, *args, host=None):
        v6 = ":" in source
        url = f"http://[{SERVER6}]" if v6 else f"http://{SERVER}"
        path = args[0] if args and args[0].startswith("/") else "/"
        rest = args[1:] if args and args[0].startswith("/") else args
        return self.at(self.outside, "curl", "-s", "-g", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", "--path-as-is",
                       "--interface", source, *rest, url + path)

    def raw(self, source, port, payload, wait=1.0):
        """Sends bytes over TCP; returns what came back ("" on a timeout)."""
        code = ("import socket,sys\n"
                "s=socket.create_connection((sys.argv[2],int(sys.argv[3])),timeout=float(sys.argv[5]),source_address=(sys.argv[1],0))\n"
                "s.sendall(bytes.fromhex(sys.argv[4]))\n"
                "s.settimeout(float(sys.argv[5]))\n"
                "try: print(s.recv(4096).hex())\n"
                "except OSError as e: print(type(e).__name__)\n")
        server = SERVER6 if ":" in source else SERVER
        return self.at(self.outside, "python3", "-c", code, source, server, str(port), payload.hex(), str(wait)).stdout.strip()

    def dig(self, source, name):
        server = SERVER6 if ":" in source else SERVER
        return self.at(self.outside, "dig", "+short", "+time=1", "+tries=1", "-b", source, f"@{server}", name).stdout.strip()


def rdp_request(cookie):
    """An X.224 connection request with a cookie (MS-RDPBCGR 2.2.1.1)."""
    body = b"Cookie: mstshash=" + cookie + b"\r\n" + bytes([1, 0, 8, 0, 3, 0, 0, 0])
    x224 = bytes([6 + len(body), 0xE0, 0, 0, 0, 0, 0]) + body
    return b"\x03\x00" + (4 + len(x224)).to_bytes(2, "big") + x224
