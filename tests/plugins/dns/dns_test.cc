#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/plugins/conversation.h"
#include "tests/plugins/dns/wire.h"
#include "tests/support/allocations.h"

namespace sluice::testing::dns {
namespace {

constexpr Direction kC = Direction::kToServer, kS = Direction::kToClient;
using Names = std::vector<std::string>;

const std::string kQuery = Header(kAsks, 1) + Question("www.example.com");
const std::string kAnswer = Header(kAnswers, 1, 1) + Question("www.example.com") + Record(kFirstName, 1, "1234");

bool Has(const Conversation& c, std::string_view event) {
  const auto events = c.Events();
  return std::ranges::find(events, event) != events.end();
}
bool IsDns(uint16_t port, std::string_view message, uint32_t transport = SLUICE_UDP) {
  Conversation c(transport, port);
  c.Client(message);
  return c.flow().schema() != nullptr;
}

TEST(Dns, QueryAndAnswerAreTransactionsOfTheirOwn) {
  Conversation c(SLUICE_UDP, 53);
  c.Client(kQuery);
  c.Server(Header(kAnswers, 1, 2) + Question("www.example.com") + Record(kFirstName, 5, Name("a.example.com")) +
           Record(Name("a.example.com"), 1, "1234"));
  ASSERT_EQ(c.num_transactions(), 2u);
  EXPECT_TRUE(c.tx(0).done() && c.tx(1).done());
  EXPECT_EQ(c.Value(0, "dns.query"), "www.example.com");
  EXPECT_EQ(c.Values(1, "dns.answers.rrname", kS), (Names{"www.example.com", "a.example.com"}));
  EXPECT_EQ(c.Number(0, "id"), 0x1234u);
}

TEST(Dns, NamesOfAQueryAreSeenFromBothSidesByTheNewKeywordAlone) {
  Conversation c(SLUICE_UDP, 53);
  c.Client(kQuery).Server(kAnswer);
  EXPECT_EQ(c.Value(0, "dns.queries.rrname"), "www.example.com");
  EXPECT_EQ(c.Value(1, "dns.query.name", kS), "www.example.com");
  EXPECT_EQ(c.Values(1, "dns.query", kS), Names{});
}

TEST(Dns, AMessageAsItWasSentIsTheSameOverBothTransports) {
  Conversation udp(SLUICE_UDP, 53), tcp(SLUICE_TCP, 53);
  udp.Client(kQuery);
  tcp.Client(Framed(kQuery));
  EXPECT_EQ(udp.Value(0, "frame:dns.pdu"), kQuery);
  EXPECT_EQ(tcp.Value(0, "frame:dns.pdu"), kQuery);
}

TEST(Dns, EveryNameOfAnAnswer) {
  Conversation c(SLUICE_UDP, 53);
  c.Client(kQuery);
  c.Server(Header(kAnswers, 1, 2, 2, 2) + Question("q") + Record(Name("an1"), 5, Name("cname")) +
           Record(Name("an2"), 15, U16(1) + Name("mx")) + Record(Name("ns1"), 2, Name("ns")) +
           Record(Name("ns2"), 6, Name("mname") + Name("rname") + std::string(20, '\1')) +
           Record(Name("ad1"), 12, Name("ptr")) + Record(std::string(1, '\0'), 41, ""));
  EXPECT_EQ(c.Values(1, "dns.response.rrname", kS),
            (Names{"q", "an1", "cname", "an2", "mx", "ns1", "ns", "ns2", "mname", "ad1", "ptr"}));
  EXPECT_EQ(c.Values(1, "dns.authorities.rrname", kS), (Names{"ns1", "ns2"}));
  EXPECT_EQ(c.Values(1, "dns.additionals.rrname", kS), (Names{"ad1"}));
}

struct ProbeCase {
  const char* name;
  uint16_t port;
  std::string message;
  bool is;
};
class Datagram : public ::testing::TestWithParam<ProbeCase> {};
TEST_P(Datagram, IsRecognised) {
  EXPECT_EQ(IsDns(GetParam().port, GetParam().message), GetParam().is);
}
const ProbeCase kProbes[] = {
    {"QueryOnItsPort", 53, kQuery, true},
    {"AnswerOnItsPort", 53, kAnswer, true},
    {"QueryOnAnotherPort", 443, kQuery, false},
    {"MulticastUnlessAsked", 5353, kQuery, false},
    {"NetbiosNames", 137, kQuery, false},
    {"CountsWithoutRoom", 53, Header(kAsks, 1, 99, 99, 99) + Question("a"), false},
    {"NameThatDoesNotHold", 53, Header(kAsks, 1) + "\x3f" "abc", false},
    {"UnknownOperation", 53, Header(0x4800, 1) + Question("a"), true},
    {"ReservedBit", 53, Header(0x0040, 1) + Question("a"), true},
    {"BrokenAdditionals", 53, Header(kAnswers, 1, 0, 0, 1) + Question("a") + "\xff", true},
    {"BytesBehindTheMessage", 53, kQuery + "trailer", true},
    {"HalfAHeader", 53, kQuery.substr(0, 11), false},
};
INSTANTIATE_TEST_SUITE_P(Dns, Datagram, ::testing::ValuesIn(kProbes),
                         [](const auto& info) { return info.param.name; });

TEST(Dns, StreamsAreRecognisedByTheirFirstMessagesHeader) {
  EXPECT_TRUE(IsDns(53, Framed(kQuery), SLUICE_TCP));
  EXPECT_TRUE(IsDns(53, Framed(kQuery).substr(0, 14), SLUICE_TCP));
  EXPECT_FALSE(IsDns(53, Framed(kQuery).substr(0, 13), SLUICE_TCP));
  EXPECT_FALSE(IsDns(80, Framed(kQuery), SLUICE_TCP));
  EXPECT_FALSE(IsDns(53, U16(9) + kQuery, SLUICE_TCP));
  EXPECT_FALSE(IsDns(53, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", SLUICE_TCP));
}

TEST(Dns, RandomDatagramsAreHardlyEverDns) {
  std::mt19937 random(1);
  int found = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::string bytes(20 + random() % 200, '\0');
    for (char& b : bytes) b = static_cast<char>(random());
    found += IsDns(53, bytes);
  }
  EXPECT_LE(found, 10);
}

struct OddCase {
  const char* name;
  Direction direction;
  std::string message;
  const char* event;
  size_t transactions;  // that it makes
};
class Odd : public ::testing::TestWithParam<OddCase> {};
TEST_P(Odd, IsAnEvent) {
  Conversation c(SLUICE_UDP, 53);
  c.Client(kQuery);
  c.Send(GetParam().direction, GetParam().message);
  EXPECT_EQ(c.Events(), std::vector<std::string>{GetParam().event}) << c.Snapshot();
  EXPECT_EQ(c.num_transactions(), 1 + GetParam().transactions);
  c.Server(kAnswer);  // the flow goes on
  EXPECT_EQ(c.num_transactions(), 2 + GetParam().transactions);
}
std::string LongName() {
  std::string out;
  for (int i = 0; i < 20; ++i) out += Label(std::string(63, 'x'));
  return out + '\0';
}
const OddCase kOdd[] = {
    {"PointerToItself", kS, Header(kAnswers, 1) + Pointer(12) + U16(1) + U16(1), "malformed_data", 0},
    {"NameBeyondTheEnd", kS, Header(kAnswers, 1) + "\x3f" "abc", "malformed_data", 0},
    {"DataBeyondTheEnd", kS, Header(kAnswers, 1, 1) + Question("a") + kFirstName + U16(1) + U16(1) + std::string(4, '\0') + U16(99) + "x", "malformed_data", 0},
    {"FewerRecordsThanSaid", kS, Header(kAnswers, 1, 3) + Question("a") + Record(kFirstName, 1, "1234"), "malformed_data", 0},
    {"QueryFromTheServer", kS, Header(kAsks, 1) + Question("a"), "not_response", 1},
    {"AnswerFromTheClient", kC, kAnswer, "not_request", 0},
    {"ReservedBit", kC, Header(0x0140, 1) + Question("a"), "z_flag_set", 1},
    {"UnknownOperation", kC, Header(0x7900, 1) + Question("a"), "invalid_opcode", 1},
    {"NameTooLong", kC, Header(kAsks, 1) + LongName() + U16(1) + U16(1), "name_too_long", 1},
    {"DataThatPointsToItself", kS, Header(kAnswers, 1, 1) + Question("a") + Record(kFirstName, 5, Pointer(12 + 7 + 12)) + "more", "infinite_loop", 1},
    {"BrokenAuthorities", kS, Header(kAnswers, 1, 0, 1, 1) + Question("a") + "\xff", "invalid_authorities", 1},
    {"BrokenAdditionals", kS, Header(kAnswers, 1, 0, 0, 1) + Question("a") + "\xff", "invalid_additionals", 1},
};
INSTANTIATE_TEST_SUITE_P(Dns, Odd, ::testing::ValuesIn(kOdd),
                         [](const auto& info) { return info.param.name; });

TEST(Dns, ImplausibleDatagramsPassInSilence) {
  Conversation c(SLUICE_UDP, 53);
  c.Client(kQuery).Client("not a message at all").Server(kAnswer);
  EXPECT_EQ(c.num_transactions(), 2u);
  EXPECT_TRUE(c.Events().empty());
}

TEST(Dns, AnAnswerWithoutAQuestionIsForRulesAlone) {
  Conversation c(SLUICE_UDP, 53);
  c.Client(kQuery).Server(Header(kAnswers, 0, 1) + Record(Name("a"), 1, "1234"));
  ASSERT_EQ(c.num_transactions(), 2u);
  EXPECT_TRUE(c.tx(1).no_log);
  EXPECT_EQ(c.Value(1, "dns.answers.rrname", kS), "a");
}

bool Unsolicited(const Conversation& c, size_t i) {
  const KeywordId id = Conversation::catalog().FindKeyword("dns.unsolicited").id;
  return std::ranges::any_of(c.tx(i).values, [&](const FieldValue& v) { return v.keyword == id && v.number == 1; });
}
TEST(Dns, AnswersToNoQueryAreToldApart) {
  Conversation c(SLUICE_UDP, 53);
  c.Client(kQuery);
  c.Server(Header(kAnswers, 1, 0, 0, 0, 99) + Question("a"));
  c.Server(kAnswer).Server(kAnswer);
  EXPECT_TRUE(Unsolicited(c, 1));   // another id
  EXPECT_FALSE(Unsolicited(c, 2));
  EXPECT_TRUE(Unsolicited(c, 3));   // once more
}

TEST(Dns, AFloodOfQueriesIsReportedOnce) {
  Conversation c(SLUICE_UDP, 53);
  for (int i = 0; i < 400; ++i) c.Client(kQuery);
  EXPECT_FALSE(Has(c, "flooded"));
  for (int i = 0; i < 200; ++i) c.Client(kQuery);
  EXPECT_EQ(std::ranges::count(c.Events(), "flooded"), 1);
}

const Turns kTurns = {
    {kC, Framed(kQuery) + Framed("") + Framed(Header(kAsks, 1) + Question("two.test"))},
    {kS, Framed(kAnswer) + Framed(Header(kAnswers, 1, 1) + Question("two.test") + Record(kFirstName, 16, "\3abc"))}};

TEST(Dns, TcpMessagesAtEveryCut) {
  const std::string whole = RunTurns(kTurns, SIZE_MAX, 0, 53);
  EXPECT_EQ(std::ranges::count(whole, '\n'), 4);
  for (size_t t = 0; t < kTurns.size(); ++t) {
    for (size_t cut = 1; cut < kTurns[t].second.size(); ++cut) {
      EXPECT_EQ(RunTurns(kTurns, t, cut, 53), whole) << "turn " << t << " cut " << cut;
    }
  }
}

// With any bytes lost, what is still told is some of what would have been.
TEST(Dns, AGapInventsNothing) {
  const std::string whole = RunTurns(kTurns, SIZE_MAX, 0, 53);
  const auto texts = [](const Conversation& c, std::string_view keyword, Direction d) {
    Names out;
    for (size_t i = 0; i < c.num_transactions(); ++i) {
      for (std::string& name : c.Values(i, keyword, d)) out.push_back(std::move(name));
    }
    return out;
  };
  const std::string& bytes = kTurns[0].second;
  for (size_t from = 0; from < bytes.size(); ++from) {
    for (size_t lost = 1; lost <= bytes.size() - from; ++lost) {
      Conversation c(SLUICE_TCP, 53);
      c.Client(std::string_view(bytes).substr(0, from));
      c.Gap(kC, lost);
      c.Client(std::string_view(bytes).substr(from + lost));
      c.Server(kTurns[1].second).Finish();
      for (const std::string& name : texts(c, "dns.query", kC)) {
        EXPECT_TRUE(name == "www.example.com" || name == "two.test") << name << " from " << from << " lost " << lost;
      }
    }
  }
}

TEST(Dns, BehindAGapMessagesAreFoundAgain) {
  Conversation c(SLUICE_TCP, 53);
  c.Client(Framed(kQuery)).Gap(kC, 100);
  c.Client("somewhere in a message").Client(Framed(Header(kAsks, 1) + Question("two.test")));
  ASSERT_EQ(c.num_transactions(), 2u);
  EXPECT_EQ(c.Value(1, "dns.query"), "two.test");
}

TEST(Dns, RecordTypesAreLogged) {
  Conversation c(SLUICE_UDP, 53);
  c.Client(kQuery);
  c.Server(Header(kAnswers, 1, 7, 0, 1) + Question("x") + Record(kFirstName, 28, std::string(16, '\x11')) +
           Record(kFirstName, 1, std::string("\xc0\x00\x02\x01", 4)) +
           Record(kFirstName, 15, U16(10) + Name("mx.x")) + Record(kFirstName, 16, "\x03" "abc" "\x02" "de") +
           Record(kFirstName, 33, U16(1) + U16(2) + U16(443) + Name("srv.x")) + Record(kFirstName, 44, "\1\2\xab\xcd") +
           Record(kFirstName, 6, Name("ns.x") + Name("admin.x") + std::string(20, '\x01')) +
           Record(std::string(1, '\0'), 41, U16(8) + U16(3) + "ecs"));
  EXPECT_TRUE(c.Events().empty());
  const std::string all = c.Snapshot();
  for (const char* text : {"1111:1111:1111:1111:1111:1111:1111:1111", "192.0.2.1", "mx.x", "=abc/", "=de/", "srv.x",
                           "admin.x", "ab:cd", "=ecs/"}) {
    EXPECT_NE(all.find(text), std::string::npos) << text;
  }
  EXPECT_EQ(c.Number(1, "port"), 443u);
}

TEST(Dns, NothingIsAllocatedInSteadyState) {
  Conversation c(SLUICE_UDP, 53);
  const auto exchange = [&] {
    c.Client(kQuery).Server(kAnswer);
    for (const LiveTransaction* live : c.flow().transactions()) {
      auto& tx = const_cast<Transaction&>(live->tx);
      tx.logged = tx.inspected[0] = tx.inspected[1] = true;
    }
    Conversation::dissector().Retire(const_cast<FlowDissection&>(c.flow()));
  };
  for (int i = 0; i < 100; ++i) exchange();
  const uint64_t before = g_allocations.load();
  for (int i = 0; i < 1000; ++i) exchange();
  EXPECT_EQ(g_allocations.load(), before);
}

}  // namespace
}  // namespace sluice::testing::dns
