#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/plugins/conversation.h"

namespace sluice::testing {
namespace {

constexpr Direction kC = Direction::kToServer, kS = Direction::kToClient;

std::string U16(unsigned v) { return {static_cast<char>(v >> 8), static_cast<char>(v)}; }
std::string Name(std::string_view dotted) {
  std::string out;
  while (!dotted.empty()) {
    const std::string_view label = dotted.substr(0, dotted.find('.'));
    out += static_cast<char>(label.size());
    out += label;
    dotted.remove_prefix(std::min(dotted.size(), label.size() + 1));
  }
  return out + '\0';
}
std::string Header(unsigned flags, unsigned qd, unsigned an = 0, unsigned ns = 0, unsigned ar = 0) {
  return U16(0x1234) + U16(flags) + U16(qd) + U16(an) + U16(ns) + U16(ar);
}
std::string Question(std::string_view name, unsigned type = 1) { return Name(name) + U16(type) + U16(1); }
std::string Record(const std::string& name, unsigned type, const std::string& data) {
  return name + U16(type) + U16(1) + U16(0) + U16(300) + U16(static_cast<unsigned>(data.size())) + data;
}
const std::string kPointer = "\xc0\x0c";

bool Has(const Conversation& c, std::string_view event) {
  const auto events = c.Events();
  return std::ranges::find(events, event) != events.end();
}

TEST(Dns, QueryAndAnswerAreTransactionsOfTheirOwn) {
  Conversation c(SLUICE_UDP, 53);
  c.Client(Header(0x0100, 1) + Question("www.example.com"));
  c.Server(Header(0x8180, 1, 2) + Question("www.example.com") + Record(kPointer, 5, Name("a.example.com")) +
           Record(Name("a.example.com"), 1, "\x01\x02\x03\x04"));
  ASSERT_EQ(c.num_transactions(), 2u);
  EXPECT_TRUE(c.tx(0).done() && c.tx(1).done());
  EXPECT_EQ(c.Value(0, "dns.query"), "www.example.com");
  EXPECT_EQ(c.Values(1, "dns.answers.rrname", kS), (std::vector<std::string>{"www.example.com", "a.example.com"}));
  EXPECT_EQ(c.Number(0, "id"), 0x1234u);
}

TEST(Dns, FoundOnAnyPortByShape) {
  Conversation c(SLUICE_UDP, 5300);
  c.Client(Header(0x0100, 1) + Question("a.b"));
  EXPECT_NE(c.flow().schema(), nullptr);
}

TEST(Dns, MulticastNamesOnlyWhenAsked) {
  Conversation c(SLUICE_UDP, 5353);
  c.Client(Header(0x0000, 1) + Question("a.local"));
  EXPECT_EQ(c.flow().schema(), nullptr);
}

TEST(Dns, RandomDatagramsAreNotDns) {
  std::mt19937 random(1);
  int found = 0;
  for (int i = 0; i < 100'000; ++i) {
    Conversation c(SLUICE_UDP, 9999);
    std::string bytes(20 + random() % 200, '\0');
    for (char& b : bytes) b = static_cast<char>(random());
    c.Client(bytes);
    found += c.flow().schema() != nullptr;
  }
  EXPECT_EQ(found, 0);
}

struct BrokenCase {
  const char* name;
  std::string message;
  const char* event;
};
class Broken : public ::testing::TestWithParam<BrokenCase> {};
TEST_P(Broken, IsAnEvent) {
  Conversation c(SLUICE_UDP, 53);
  c.Server(GetParam().message);
  EXPECT_TRUE(Has(c, GetParam().event)) << c.Snapshot();
}
const BrokenCase kBroken[] = {
    {"PointerToItself", Header(0x8180, 1) + "\xc0\x0c" + U16(1) + U16(1), "malformed_data"},
    {"PointerLoopOfTwo", Header(0x8180, 1) + "\xc0\x0e" + "\xc0\x0c" + U16(1) + U16(1), "malformed_data"},
    {"NameBeyondTheEnd", Header(0x8180, 1) + "\x3f" "abc", "malformed_data"},
    {"ReservedLabelType", Header(0x8180, 1) + "\x80" "abc" + std::string(10, '\0'), "malformed_data"},
    {"DataBeyondTheEnd", Header(0x8180, 1, 1) + Question("a") + kPointer + U16(1) + U16(1) + std::string(4, '\0') + U16(99) + "x", "malformed_data"},
    {"FewerRecordsThanSaid", Header(0x8180, 1, 3) + Question("a") + Record(kPointer, 1, "1234"), "malformed_data"},
    {"TooManyQuestions", Header(0x8180, 300) + Question("a"), "too_many_records"},
    {"QueryFromTheServer", Header(0x0100, 1) + Question("a"), "not_response"},
};
INSTANTIATE_TEST_SUITE_P(Rfc1035, Broken, ::testing::ValuesIn(kBroken),
                         [](const auto& info) { return info.param.name; });

TEST(Dns, TcpMessagesAtEveryCut) {
  const auto framed = [](const std::string& m) { return U16(static_cast<unsigned>(m.size())) + m; };
  const Turns turns = {{kC, framed(Header(0x0100, 1) + Question("one.test")) + framed(Header(0x0100, 1) + Question("two.test"))},
                       {kS, framed(Header(0x8180, 1, 1) + Question("one.test") + Record(kPointer, 1, "1234"))}};
  const std::string whole = RunTurns(turns);
  EXPECT_EQ(std::ranges::count(whole, '\n'), 3);
  for (size_t t = 0; t < turns.size(); ++t) {
    for (size_t cut = 1; cut < turns[t].second.size(); ++cut) {
      EXPECT_EQ(RunTurns(turns, t, cut), whole) << "turn " << t << " cut " << cut;
    }
  }
}

TEST(Dns, RecordTypesAreLogged) {
  Conversation c(SLUICE_UDP, 53);
  c.Server(Header(0x8180, 1, 5) + Question("x") + Record(kPointer, 28, std::string(16, '\x11')) +
           Record(kPointer, 15, U16(10) + Name("mx.x")) + Record(kPointer, 16, "\x03" "abc") +
           Record(kPointer, 33, U16(1) + U16(2) + U16(443) + Name("srv.x")) +
           Record(kPointer, 6, Name("ns.x") + Name("admin.x") + std::string(20, '\x01')));
  EXPECT_TRUE(c.Events().empty());
  const std::string all = c.Snapshot();
  for (const char* text : {"1111:1111:1111:1111:1111:1111:1111:1111", "mx.x", "abc", "srv.x", "admin.x"}) {
    EXPECT_NE(all.find(text), std::string::npos) << text;
  }
  EXPECT_EQ(c.Number(0, "port"), 443u);
}

}  // namespace
}  // namespace sluice::testing
