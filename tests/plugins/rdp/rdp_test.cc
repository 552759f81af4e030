// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/plugins/recorder.h"

namespace sluice::testing {
namespace {

std::string Tpkt(const std::string& body) {
  return std::string("\x03\0\0", 3) + static_cast<char>(body.size() + 4) + body;
}

TEST(Rdp, LogsTheNegotiationAndHandsOverToTlsAtEveryCut) {
  const std::string request = std::string("\x25\xe0\0\0\0\0\0", 7) +
                              "Cookie: mstshash=nmap\r\n" + std::string("\1\1\x08\0\1\0\0\0", 8);
  const std::string response = std::string("\x0e\xd0\0\0\0\0\0\2\1\x08\0\2\0\0\0", 15);
  const std::vector<Segment> flow = {{0, Tpkt(request)}, {1, Tpkt(response)}};
  const std::string whole = Record(flow);
  EXPECT_EQ(whole,
            "0 tx_id=1\n0 event_type=initial_request\n0 cookie=nmap\n"
            "0 flags=restricted_admin_mode_required\n1 tx_id=2\n1 event_type=initial_response\n"
            "1 server_supports=extended_client_data\n1 protocol=hybrid\nhandover tls\n");
  for (size_t cut = 1; cut < 70; ++cut) EXPECT_EQ(Record(flow, cut), whole) << cut;
}

TEST(Rdp, ReportsAnImpossibleLength) {
  EXPECT_EQ(Record({{0, std::string("\3\0\0\1\0\0\0\0", 8)}}), "event malformed_pdu\n");
}

}  // namespace
}  // namespace sluice::testing
