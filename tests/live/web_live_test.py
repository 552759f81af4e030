#!/usr/bin/env python3
"""HTTP as its servers saw it: records equal the access logs of nginx, Apache and of Node's HTTP/2,
and a stored file is, byte for byte, the file that was served."""
import collections
import hashlib
import json
import os
import random
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(__file__))
import case  # noqa: E402
import netns  # noqa: E402
from case import LiveCase  # noqa: E402

STORE = ["--set", "file-store.enabled=true", "--set", "file-store.all=true", "--set", "files.hashes=sha256"]
SIZES = (1, 1459, 1460, 1461, 65536, 300000)

NODE_SERVER = r"""
const fs = require('fs');
const [root, log] = process.argv.slice(1);
require('http2').createServer().on('stream', (stream, headers) => {
  let status = 200, body = '';
  try { body = fs.readFileSync(root + headers[':path']); } catch { status = 404; }
  stream.respond({':status': status, 'content-type': 'application/octet-stream'});
  stream.end(body);
  fs.appendFileSync(log, JSON.stringify([headers[':method'], headers[':path'], status, headers['user-agent']]) + '\n');
}).listen(8082);
"""
NODE_CLIENT = r"""
const [server, ...paths] = process.argv.slice(1);
const session = require('http2').connect('http://' + server + ':8082');
let left = paths.length;
for (const path of paths) {
  const request = session.request({':path': path, 'user-agent': 'node'});
  request.on('data', () => {}).on('end', () => { if (--left === 0) session.close(); }).end();
}
"""


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Web(LiveCase):
    def files(self):
        """Files that the servers have, by their path."""
        rng = random.Random(7)
        out = {}
        for size in SIZES:
            path = os.path.join(self.net.dir, "www", f"{size}.bin")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(rng.randbytes(size))
            out[f"/{size}.bin"] = digest(path)
        return out

    def same_requests(self, log, want):
        """`log` reads the server's lines; `want`: how many requests there are."""
        def ours():
            return collections.Counter((e["http"]["http_method"], e["http"]["url"], e["http"]["status"],
                                        e["http"].get("http_user_agent")) for e in self.net.events("http")
                                       if e["http"].get("status", 101) != 101)
        self.eventually(lambda: sum(ours().values()) >= want and sum(log().values()) >= want, f"{want} requests")
        self.assertEqual(ours(), log())
        self.assertEqual(sum(log().values()), want)

    def same_files(self, files):
        def stored(sha):
            return os.path.join(self.net.dir, "log", "filestore", sha[:2], sha)
        for path, sha in files.items():
            record = self.net.wait_event("fileinfo", lambda e: e["fileinfo"].get("sha256") == sha)
            self.assertIsNotNone(record, path)
            self.assertEqual((record["fileinfo"]["state"], record["fileinfo"]["stored"]), ("CLOSED", True))
            self.eventually(lambda: os.path.exists(stored(sha)), f"{path} in the store")
            self.assertEqual(digest(stored(sha)), sha, path)

    def test_nginx(self):
        net = self.net
        files = self.files()
        access = os.path.join(net.dir, "access.log")
        net.nginx(http=f"""log_format lines escape=json '["$request_method","$request_uri",$status,"$http_user_agent"]';
access_log {access} lines; gzip on; gzip_types text/html; gzip_min_length 1;""")
        net.sluice([], *STORE)
        paths = [*files, "/missing", "/index.html", "/a%20b?x=1&y=%41"]
        for extra in ([], ["-I"], ["--compressed"], ["-X", "DELETE"], ["-0"]):
            net.curl(netns.CLIENT, "/", *extra)
        url = f"http://{netns.SERVER}"
        net.at(net.outside, "curl", "-s", "-A", "keep-alive", *[a for p in paths for a in ("-o", "/dev/null", url + p)])

        def log():
            with open(access) as f:
                return collections.Counter(tuple(json.loads(line)) for line in f)
        self.same_requests(log, len(paths) + 5)
        self.same_files(files)

    @unittest.skipUnless(shutil.which("apache2"), "Apache is not installed")
    def test_apache(self):
        net = self.net
        files = self.files()
        access = os.path.join(net.dir, "access.log")
        net.apache(access)
        net.sluice([], *STORE)
        paths = [*files, "/missing", "/index.html", "/a%20b?x=1&y=%41"]
        for extra in ([], ["-I"], ["--compressed"], ["-X", "DELETE"], ["-0"]):
            net.curl(netns.CLIENT, "/", *extra)
        url = f"http://{netns.SERVER}"
        net.at(net.outside, "curl", "-s", "-A", "keep-alive", *[a for p in paths for a in ("-o", "/dev/null", url + p)])
        # Requests of HTTP/1 that become stream 1 of HTTP/2; each has a line of its own for the 101.
        # Small ones: what comes right behind the 101 has to fit curl's buffer (curl 7.88: error 16).
        upgraded = ["/1460.bin", "/index.html", "/missing"]
        for path in upgraded:
            net.at(net.outside, "curl", "-s", "--http2", "-A", "upgraded", "-o", "/dev/null", url + path, check=True)

        def log():
            out = collections.Counter()
            with open(access) as f:
                for line in f:
                    request, status, agent = line.rstrip("\n").split("\t")
                    method, target, _ = request.split(" ")
                    out[method, target, int(status), None if agent == "-" else agent] += 1
            return collections.Counter({key: n for key, n in out.items() if key[2] != 101})
        self.same_requests(log, len(paths) + 5 + len(upgraded))
        self.same_files(files)
        switched = [e["http"] for e in net.events("http") if e["http"].get("http_user_agent") == "upgraded"]
        self.assertEqual(sorted((h["url"], h["status"], h.get("version")) for h in switched if h["status"] != 101),
                         [("/1460.bin", 200, "2"), ("/index.html", 200, "2"), ("/missing", 404, "2")])
        self.assertEqual(sum(h["status"] == 101 for h in switched), len(upgraded))

    @unittest.skipUnless(shutil.which("apache2"), "Apache is not installed")
    def test_parts_of_a_file(self):
        """Whole once its last part came, in whatever order; each part is a file as well."""
        net = self.net
        files = self.files()
        net.apache(os.path.join(net.dir, "access.log"))
        net.sluice([], *STORE)
        url = f"http://{netns.SERVER}/65536.bin"
        parts = [a for part in ("40000-", "0-9999", "10000-39999") for a in ("--next", "-s", "-r", part, "-o", "/dev/null", url)]
        net.at(net.outside, "curl", *parts[1:], check=True)
        self.same_files({"/65536.bin": files["/65536.bin"]})
        sizes = sorted(e["fileinfo"]["size"] for e in net.events("fileinfo") if e["fileinfo"]["filename"] == "/65536.bin")
        self.assertEqual(sizes, [10000, 25536, 30000, 65536])

    @unittest.skipUnless(shutil.which("node"), "Node is not installed")
    def test_http2_of_node(self):
        net = self.net
        files = self.files()
        access = os.path.join(net.dir, "access.log")
        net.spawn(net.inside, "node", "-e", NODE_SERVER, os.path.join(net.dir, "www"), access, log="node.out")
        net.wait_port(8082, "node")
        net.sluice([], *STORE)
        paths = [*files, "/missing"]
        net.at(net.outside, "node", "-e", NODE_CLIENT, netns.SERVER, *paths, check=True)

        def log():
            with open(access) as f:
                return collections.Counter(tuple(json.loads(line)) for line in f)
        self.same_requests(log, len(paths))
        self.same_files(files)


if __name__ == "__main__":
    case.main()
