// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/plugins/recorder.h"

namespace sluice::testing {
namespace {

std::string KexInit() {
  std::string body = std::string("\x04\x14", 2) + std::string(16, 'c');
  for (const char* list : {"kex", "key", "ec", "es", "mc", "ms", "cc", "cs", "", ""}) {
    body += std::string(3, '\0') + static_cast<char>(std::string(list).size()) + list;
  }
  body += std::string(5 + 4, '\0');
  return std::string(3, '\0') + static_cast<char>(body.size()) + body;
}

const std::string kNewKeys("\0\0\0\x06\x04\x15\0\0\0\0", 10);

TEST(Ssh, LogsBothSidesAndEndsOpaqueAtEveryCut) {
  const std::vector<Segment> flow = {{1, "hello\r\nSSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"},
                                     {0, "SSH-2.0-Go\n"}, {0, KexInit() + kNewKeys},
                                     {1, KexInit() + kNewKeys}};
  const std::string whole = Record(flow);
  EXPECT_NE(whole.find("server.software_version=OpenSSH_9.2p1\n"), std::string::npos) << whole;
  EXPECT_NE(whole.find("client.software_version=Go\n"), std::string::npos);
  EXPECT_NE(whole.find("client.hassh.string=kex;ec;mc;cc\n"), std::string::npos);
  EXPECT_NE(whole.find("server.hassh.string=kex;es;ms;cs\n"), std::string::npos);
  EXPECT_NE(whole.find("handover opaque\n"), std::string::npos);
  for (size_t cut = 1; cut < 400; ++cut) EXPECT_EQ(Record(flow, cut), whole) << cut;
}

TEST(Ssh, ReportsWhatIsMalformed) {
  EXPECT_EQ(Record({{0, "GET / HTTP/1.0\r\n"}}), "event invalid_banner\n");
  EXPECT_NE(Record({{0, "SSH-2.0-" + std::string(300, 'x') + "\n"}}).find("event long_banner"),
            std::string::npos);
  EXPECT_NE(Record({{0, "SSH-2.0-x\n\xff\xff\xff\xff\x01\x14"}}).find("event invalid_record"),
            std::string::npos);
}

}  // namespace
}  // namespace sluice::testing
