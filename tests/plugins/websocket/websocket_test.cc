// WebSocket frames, laws first: any cut gives the same values, any payload comes out as it
// went in, a gap never adds a byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/plugins/conversation.h"

namespace sluice::testing {
namespace {

constexpr Direction kC = Direction::kToServer, kS = Direction::kToClient;

std::string Frame(uint8_t first, const std::string& payload, const std::string& key = "") {
  std::string out(1, static_cast<char>(first));
  const uint8_t mask = key.empty() ? 0 : 0x80;
  const size_t n = payload.size();
  const int extended = n < 126 ? 0 : n < 65536 ? 2 : 8;
  out += static_cast<char>(mask | (extended == 0 ? n : extended == 2 ? 126u : 127u));
  for (int i = extended - 1; i >= 0; --i) out += static_cast<char>(n >> (8 * i));
  out += key;
  for (size_t i = 0; i < n; ++i) out += static_cast<char>(payload[i] ^ (key.empty() ? 0 : key[i % 4]));
  return out;
}

// Nothing probes for it: the flow begins as one, as behind a hand-over.
class Talk : public Conversation {
 public:
  bool Has(std::string_view event) const {
    const auto events = Events();
    return std::ranges::find(events, event) != events.end();
  }
};

TEST(WebSocket, PayloadsComeOutAsTheyWentIn) {
  std::mt19937 random(3);
  for (const size_t size : {0u, 1u, 125u, 126u, 127u, 5000u, 65535u}) {
    std::string payload(size, '\0');
    for (char& c : payload) c = static_cast<char>(random());
    Talk c;
    c.Client(Frame(0x82, payload, "\x12\x34\x56\x78"));
    ASSERT_EQ(c.num_transactions(), 1u);
    EXPECT_TRUE(c.tx(0).done());
    EXPECT_EQ(c.Value(0, "websocket.payload"), size == 0 ? "(absent)" : payload);
    EXPECT_EQ(c.Number(0, "mask"), 0x12345678u);
    EXPECT_EQ(c.Number(0, "opcode"), 2u);
  }
}

TEST(WebSocket, EveryCutGivesTheSame) {
  const Turns turns = {{kC, Frame(0x01, "one, ", "abcd") + Frame(0x89, "ping", "efgh") + Frame(0x80, "two", "ijkl")},
                       {kS, Frame(0x81, std::string(300, 'x')) + Frame(0x88, "\x03\xe8")}};
  const std::string whole = RunTurns(turns);
  for (size_t t = 0; t < turns.size(); ++t) {
    for (size_t cut = 1; cut < turns[t].second.size(); ++cut) EXPECT_EQ(RunTurns(turns, t, cut), whole) << t << " " << cut;
  }
}

TEST(WebSocket, TheLastPartHasAllOfAMessageAndControlFramesMayStandBetween) {
  Talk c;
  c.Server(Frame(0x01, "one, ") + Frame(0x89, "ping") + Frame(0x00, "two, ") + Frame(0x80, "three"));
  ASSERT_EQ(c.num_transactions(), 4u);
  EXPECT_EQ(c.Value(0, "websocket.payload", kS), "one, ");
  EXPECT_EQ(c.Value(1, "websocket.payload", kS), "ping");
  EXPECT_EQ(c.Value(2, "websocket.payload", kS), "two, ");
  EXPECT_EQ(c.Value(3, "websocket.payload", kS), "one, two, three");
}

TEST(WebSocket, AGapAnywhereAddsNothing) {
  const std::string sent = Frame(0x82, "0123456789") + Frame(0x82, "abcdefghij");
  for (size_t at = 0; at < sent.size(); ++at) {
    for (size_t n = 1; at + n <= sent.size(); ++n) {
      Talk c;
      c.Server(sent.substr(0, at)).Gap(kS, n).Server(sent.substr(at + n)).Finish();
      ASSERT_LE(c.num_transactions(), 2u);
      for (size_t i = 0; i < c.num_transactions(); ++i) {
        const std::string payload = c.Value(i, "websocket.payload", kS);
        EXPECT_TRUE(payload == "(absent)" || std::string("0123456789").starts_with(payload) ||
                    std::string("abcdefghij").starts_with(payload)) << at << "+" << n << " " << payload;
      }
    }
  }
}

TEST(WebSocket, WhatIsTooLongIsSkippedReportedAndPassedBy) {
  Talk c;
  c.Server(Frame(0x82, std::string(70000, 'x')) + Frame(0x81, "next"));
  EXPECT_TRUE(c.Has("skip_end_of_payload"));
  EXPECT_EQ(c.Value(0, "websocket.payload", kS).size(), 65535u);
  EXPECT_EQ(c.Value(1, "websocket.payload", kS), "next");
  Talk m;
  m.Server(Frame(0x02, std::string(65535, 'x')) + Frame(0x00, "y") + Frame(0x80, "z"));
  EXPECT_TRUE(m.Has("reassembly_limit_reached"));
  EXPECT_EQ(m.Value(2, "websocket.payload", kS).size(), 65535u);
}

TEST(WebSocket, WhatNoFrameMayBeIsReported) {
  Talk c;
  c.Server(Frame(0x83, ""));
  EXPECT_TRUE(c.Has("reserved_opcode"));
  Talk part;
  part.Server(Frame(0x09, "x"));
  EXPECT_TRUE(part.Has("long_control_frame"));
}

}  // namespace
}  // namespace sluice::testing
