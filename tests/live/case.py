"""What live tests share: two namespaces per test, and how they end."""
import os
import sys
import time
import unittest

import netns

RULES = [os.path.join(netns.ROOT, "rules", f"{p}.rules") for p in ("http", "dns", "ssh", "rdp")]
ENDS = {"ipv4": (netns.CLIENT, netns.ATTACKER), "ipv6": (netns.CLIENT6, netns.ATTACKER6)}


class LiveCase(unittest.TestCase):
    def setUp(self):
        self.net = netns.Net()
        self.net.__enter__()

    def tearDown(self):
        if sys.exc_info()[0] or (hasattr(self, "_outcome") and not self._outcome.success):
            path = os.path.join(self.net.dir, "sluice.out")
            if os.path.exists(path):
                print(open(path).read()[-2000:], file=sys.stderr)
        self.net.close()

    def eventually(self, test, what, timeout=8):
        end = time.time() + timeout
        while time.time() < end:
            if test():
                return
            time.sleep(0.1)
        self.fail(f"not within {timeout} s: {what}")

    def attacker_dies(self, source):
        """After a verdict on the source: no answer, and the kernel counted why."""
        net = self.net
        before = sum(e["packets"] for e in net.drops() if e["scope"] == "source")
        self.assertEqual(net.curl(source).stdout, "000")
        self.assertGreater(sum(e["packets"] for e in net.drops() if e["scope"] == "source"), before)


def main():
    try:
        netns.need()
    except netns.Missing as missing:
        print(f"SLUICE-SKIPPED: {missing}")
        sys.exit(0)
    unittest.main(module="__main__", verbosity=2)
