// Runs the classifier on built packets: each exit, each map, each limit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/bpf/bpf_fixture.h"

namespace sluice::testing {
namespace {

constexpr int kPass = -1;  // TC_ACT_UNSPEC
constexpr int kDrop = 2;   // TC_ACT_SHOT

using Kind = TapPolicy::Kind;
using Action = TapPolicy::Action;

TapPolicy Port(uint16_t port, Action action, uint64_t budget = TAP_BUDGET_ALL,
               uint8_t protocol = 6) {
  return {Kind::kPort, protocol, port, action, budget, budget};
}
TapPolicy Guess(tap_guess guess, Action action) {
  return {Kind::kGuess, 0, static_cast<uint16_t>(guess), action, TAP_BUDGET_ALL, TAP_BUDGET_ALL};
}

class Classifier : public BpfTest {};

// ---- exits -------------------------------------------------------------------

TEST_F(Classifier, SendsAPacketWholeAndPassesItOn) {
  Open();
  const Bytes frame = Build({.flags = kAck | kPsh, .payload = "hello"});
  EXPECT_EQ(Run(frame), kPass);
  EXPECT_EQ(Exit(), "EXIT_SENT");
  const auto records = Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].data, frame);
  EXPECT_EQ(records[0].header.wire_len, frame.size());
  EXPECT_EQ(records[0].header.payload_offset, 54);
  EXPECT_EQ(records[0].header.type, unsigned{TAP_RECORD_PACKET});
  EXPECT_EQ(records[0].header.flags, TAP_REC_NEW_FLOW);
  EXPECT_EQ(records[0].header.direction, TAP_INGRESS);
}

TEST_F(Classifier, EgressIsMarkedSo) {
  Open();
  EXPECT_EQ(Run(Build({.payload = "x"}), TAP_EGRESS), kPass);
  const auto records = Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].header.direction, TAP_EGRESS);
}

TEST_F(Classifier, EthernetPaddingIsNotSent) {
  Open();
  Send({.payload = "x", .padding = 20});
  const auto records = Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].header.cap_len, 55u);
  EXPECT_EQ(records[0].header.wire_len, 75u);
}

TEST_F(Classifier, NonIpPasses) {
  Open();
  Bytes arp(60, 0);
  arp[12] = 0x08;
  arp[13] = 0x06;
  EXPECT_EQ(Run(arp), kPass);
  EXPECT_EQ(Exit(), "EXIT_NOT_IP");
}

TEST_F(Classifier, MalformedPasses) {
  Open();
  Bytes frame = Build({.payload = "x"});
  frame[46] = 0x10;  // TCP data offset 4 words
  EXPECT_EQ(Run(frame), kPass);
  EXPECT_EQ(Exit(), "EXIT_MALFORMED");
  EXPECT_EQ(Send({.length_delta = -5}), kPass);  // IP ends inside the TCP header
  EXPECT_EQ(Exit(), "EXIT_MALFORMED");
  EXPECT_TRUE(Records().empty());
}

TEST_F(Classifier, OurOwnMarkPassesEvenWhereADropWouldHit) {
  Open();
  const Frame frame{.payload = "x"};
  ASSERT_TRUE(tap_->drops().AddSource(*ParsePrefix("10.0.0.1"), {}));
  __sk_buff marked{};
  marked.mark = TAP_DEFAULT_MARK;
  EXPECT_EQ(Run(Build(frame), TAP_INGRESS, &marked), kPass);
  EXPECT_EQ(Exit(), "EXIT_MARKED");
  EXPECT_EQ(Run(frame), kDrop);
  EXPECT_EQ(Exit(), "EXIT_DROP_SOURCE");
}

TEST_F(Classifier, AFullRingPassesAndCountsThenTellsTheNextRecord) {
  auto options = Options();
  options.ring_bytes = 64u << 10;
  Open(options);
  const Frame frame{.payload = std::string(3000, 'x')};
  int sent = 0;
  while (Run(frame) == kPass && Delta(TAP_EXIT_LOST_RING_FULL) == 0 && sent < 100) ++sent;
  EXPECT_EQ(Delta(TAP_EXIT_LOST_RING_FULL), 1u);
  EXPECT_EQ(Delta(TAP_LOST_RECORDS), 1u);
  EXPECT_EQ(Delta(TAP_LOST_BYTES), 3000u);
  EXPECT_EQ(Records().size(), static_cast<size_t>(sent));
  Run(frame);
  const auto records = Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].header.lost_slices, 1u);
}

// ---- parsing -----------------------------------------------------------------

struct ShapeCase {
  const char* name;
  Frame frame;
  unsigned payload_offset;
};
class Shapes : public BpfTest, public ::testing::WithParamInterface<ShapeCase> {};
TEST_P(Shapes, AreSentWholeWithTheirPayloadOffset) {
  Open();
  const Bytes frame = Build(GetParam().frame);
  EXPECT_EQ(Run(frame), kPass);
  EXPECT_EQ(Exit(), "EXIT_SENT");
  const auto records = Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].data, frame);
  EXPECT_EQ(records[0].header.payload_offset, GetParam().payload_offset);
  // The kernel's key is the one user space computes.
  EXPECT_TRUE(tap_->Flow(MakeFlowKey(TupleOfFrame(GetParam().frame)).key));
}
const ShapeCase kShapes[] = {
    {"Ipv4Tcp", {.payload = "x"}, 54},
    {"Ipv4Options", {.payload = "x", .ip_option_words = 10}, 94},
    {"TcpOptions", {.payload = "x", .tcp_option_words = 10}, 94},
    {"Ipv4Udp", {.protocol = 17, .payload = "x"}, 42},
    {"EmptyUdp", {.protocol = 17}, 42},
    {"Icmp", {.protocol = 1, .payload = std::string("\x08\0\0\0\0\1\0\1data", 12)}, 42},
    {"OtherProtocol", {.protocol = 47, .payload = "abcdefgh"}, 34},
    {"OneVlan", {.payload = "x", .vlans = {100}}, 58},
    {"QinQ", {.payload = "x", .vlans = {200, 300}}, 62},
    {"Ipv6Tcp", {.source = "fd00::1", .destination = "fd00::2", .payload = "x"}, 74},
    {"Ipv6Udp", {.source = "fd00::1", .destination = "fd00::2", .protocol = 17, .payload = "x"}, 62},
    {"Ipv6Icmp", {.source = "fd00::1", .destination = "fd00::2", .protocol = 58, .payload = "\x80zzzzzzzz"}, 62},
    {"Ipv6HopByHopAndDestination",
     {.source = "fd00::1", .destination = "fd00::2", .payload = "x", .ext = {0, 60}}, 90},
    {"Ipv6RoutingAndAuthentication",
     {.source = "fd00::1", .destination = "fd00::2", .payload = "x", .ext = {43, 51}}, 94},
    {"Ipv6SixteenExtensionHeaders",
     {.source = "fd00::1", .destination = "fd00::2", .payload = "x",
      .ext = std::vector<uint8_t>(16, 60)},
     202},
    {"Ipv6InVlan",
     {.source = "fd00::1", .destination = "fd00::2", .payload = "x", .vlans = {5}, .ext = {60}}, 86},
};
INSTANTIATE_TEST_SUITE_P(Frames, Shapes, ::testing::ValuesIn(kShapes),
                         [](const auto& c) { return c.param.name; });

TEST_F(Classifier, MoreExtensionHeadersThanWalkedAreCountedAndStillSent) {
  Open();
  const Frame frame{.source = "fd00::1", .destination = "fd00::2", .payload = "x",
                    .ext = std::vector<uint8_t>(17, 60)};
  EXPECT_EQ(Run(frame), kPass);
  EXPECT_EQ(Delta(TAP_EXT_HEADERS), 1u);
  EXPECT_EQ(Exit(), "EXIT_SENT");
  decodable_ = false;
  EXPECT_EQ(Records().size(), 1u);
}

// ---- fragments ---------------------------------------------------------------

class Fragments : public BpfTest, public ::testing::WithParamInterface<bool> {
 protected:
  Frame First() const {
    Frame frame{.protocol = 17, .payload = std::string(64, 'a'), .more_fragments = true, .fragment_id = 77};
    if (GetParam()) frame.source = "fd00::1", frame.destination = "fd00::2";
    return frame;
  }
  Frame Later() const {
    Frame frame = First();
    frame.fragment_offset = 72;
    frame.more_fragments = false;
    return frame;
  }
};
TEST_P(Fragments, LaterOnesFollowTheFlowOfTheFirst) {
  Open();
  Run(First());
  Run(Later());
  const auto records = Records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].header.hash, records[1].header.hash);
  EXPECT_TRUE(records[1].header.flags & TAP_REC_FRAGMENT);
  EXPECT_EQ(records[1].data, Build(Later()));
  EXPECT_EQ(Delta(TAP_FRAGMENTS), 2u);
  EXPECT_EQ(Delta(TAP_FRAGMENTS_UNKNOWN), 0u);
  EXPECT_EQ(Delta(TAP_FLOWS_CREATED), 1u);
}
TEST_P(Fragments, LaterOnesAreDroppedWithTheFlow) {
  Open();
  Run(First());
  ASSERT_TRUE(tap_->drops().AddFlow(TupleOfFrame(First()), {}));
  ResetDelta();
  EXPECT_EQ(Run(Later()), kDrop);
  EXPECT_EQ(Exit(), "EXIT_DROP_FLOW");
}
// A first fragment too small for its TCP header must reach the reassembly all the same.
TEST_P(Fragments, ATinyFirstOneIsSent) {
  Open();
  Frame tiny = First();
  tiny.protocol = 47;  // no transport header from the builder: the payload stands for it
  tiny.payload = std::string("\x9c\x40\0\x50\0\0\0\1", 8);
  Bytes bytes = Build(tiny);
  bytes[GetParam() ? 54 : 23] = 6;
  EXPECT_EQ(Run(bytes), kPass);
  EXPECT_EQ(Exit(), "EXIT_SENT");
  const auto records = Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].data, bytes);
  Tuple tuple = TupleOfFrame(tiny);
  tuple.ip_protocol = 6;
  EXPECT_TRUE(tap_->Flow(MakeFlowKey(tuple).key));  // ports 40000 and 80
}
TEST_P(Fragments, WithoutTheFirstTheyAreCountedAndSent) {
  Open();
  EXPECT_EQ(Run(Later()), kPass);
  EXPECT_EQ(Delta(TAP_FRAGMENTS_UNKNOWN), 1u);
  EXPECT_EQ(Exit(), "EXIT_SENT");
}
INSTANTIATE_TEST_SUITE_P(Ip, Fragments, ::testing::Bool(),
                         [](const auto& c) { return c.param ? "V6" : "V4"; });

// ---- drops -------------------------------------------------------------------

struct DropCase {
  const char* name;
  DropScope scope;
  const char* prefix;  // of kSource, kDestination
  const char* exit;    // expected
  bool v6 = false;
};
class Drops : public BpfTest, public ::testing::WithParamInterface<DropCase> {
 protected:
  Frame Packet() const {
    Frame frame{.payload = "x"};
    if (GetParam().v6) frame.source = "fd00::1", frame.destination = "fd00::2";
    return frame;
  }
  void Add(const DropOptions& options) {
    Result<void> added;
    if (GetParam().scope == DropScope::kFlow) {
      added = tap_->drops().AddFlow(TupleOfFrame(Packet()), options);
    } else if (GetParam().scope == DropScope::kSource) {
      added = tap_->drops().AddSource(*ParsePrefix(GetParam().prefix), options);
    } else {
      added = tap_->drops().AddDestination(*ParsePrefix(GetParam().prefix), options);
    }
    ASSERT_TRUE(added) << added.error().message;
  }
};
TEST_P(Drops, NewFlow) {
  Open();
  Add({.ttl = std::chrono::hours{1}, .sid = 4711, .origin = DropOrigin::kRule});
  ResetDelta();
  EXPECT_EQ(Run(Packet()), GetParam().exit == std::string("EXIT_SENT") ? kPass : kDrop);
  EXPECT_EQ(Exit(), GetParam().exit);
}
TEST_P(Drops, RunningFlowAndItsHitsAreCounted) {
  Open();
  Run(Packet());
  Run(Packet());
  Add({.sid = 4711, .origin = DropOrigin::kRule});
  ResetDelta();
  Run(Packet());
  EXPECT_EQ(Exit(), GetParam().exit);
  if (GetParam().exit == std::string("EXIT_SENT")) return;
  Run(Packet());
  EXPECT_EQ(Exit(), GetParam().exit);
  const auto list = tap_->drops().List();
  ASSERT_TRUE(list && list->size() == 1);
  EXPECT_EQ(list->front().packets, 2u);
  EXPECT_EQ(list->front().bytes, 2 * Build(Packet()).size());
  EXPECT_EQ(list->front().sid, 4711u);
  EXPECT_EQ(list->front().origin, DropOrigin::kRule);
  EXPECT_EQ(list->front().scope, GetParam().scope);
  EXPECT_FALSE(list->front().remaining);
}
TEST_P(Drops, ExpiredEntriesDropNothingAndAreSwept) {
  Open();
  Add({.ttl = Nanos{1}});
  ResetDelta();
  EXPECT_EQ(Run(Packet()), kPass);
  EXPECT_EQ(Exit(), "EXIT_SENT");
  EXPECT_EQ(tap_->drops().Sweep()->removed, 1u);
  EXPECT_TRUE(tap_->drops().List()->empty());
}
TEST_P(Drops, DeletingLiftsTheBlock) {
  Open();
  Add({});
  Run(Packet());
  EXPECT_EQ(*tap_->drops().Flush(), 1u);
  ResetDelta();
  EXPECT_EQ(Run(Packet()), kPass);
  EXPECT_EQ(Exit(), "EXIT_SENT");
}
TEST_P(Drops, NeverBlockWins) {
  Open();
  Add({});
  ASSERT_TRUE(tap_->drops().AddNeverBlock(*ParsePrefix(GetParam().v6 ? "fd00::/64" : "10.0.0.1")));
  ResetDelta();
  EXPECT_EQ(Run(Packet()), kPass);
  EXPECT_EQ(Exit(), "EXIT_SENT");
  if (GetParam().exit == std::string("EXIT_SENT")) return;
  EXPECT_EQ(Run(Packet()), kPass);
  ASSERT_TRUE(*tap_->drops().DeleteNeverBlock(*ParsePrefix(GetParam().v6 ? "fd00::/64" : "10.0.0.1")));
  ResetDelta();
  EXPECT_EQ(Run(Packet()), kDrop);
}
const DropCase kDrops[] = {
    {"ByFlow", DropScope::kFlow, "", "EXIT_DROP_FLOW"},
    {"ByFlowV6", DropScope::kFlow, "", "EXIT_DROP_FLOW", true},
    {"BySource", DropScope::kSource, "10.0.0.1", "EXIT_DROP_SOURCE"},
    {"BySourceNetwork", DropScope::kSource, "10.0.0.0/8", "EXIT_DROP_SOURCE"},
    {"BySourceV6", DropScope::kSource, "fd00::/16", "EXIT_DROP_SOURCE", true},
    {"ByDestination", DropScope::kDestination, "10.0.0.2", "EXIT_DROP_DESTINATION"},
    {"ByDestinationV6", DropScope::kDestination, "fd00::2", "EXIT_DROP_DESTINATION", true},
    {"NotByTheOtherEnd", DropScope::kSource, "10.0.0.2", "EXIT_SENT"},
    {"NotOutsideThePrefix", DropScope::kSource, "10.0.0.128/25", "EXIT_SENT"},
};
INSTANTIATE_TEST_SUITE_P(Scope, Drops, ::testing::ValuesIn(kDrops),
                         [](const auto& c) { return c.param.name; });

TEST_F(Classifier, AnExpiredLongPrefixDoesNotHideAShorterOne) {
  Open();
  ASSERT_TRUE(tap_->drops().AddSource(*ParsePrefix("10.0.0.1"), {.ttl = Nanos{1}}));
  ASSERT_TRUE(tap_->drops().AddSource(*ParsePrefix("10.0.0.0/24"), {.ttl = Nanos{1}}));
  ASSERT_TRUE(tap_->drops().AddSource(*ParsePrefix("10.0.0.0/8"), {}));
  EXPECT_EQ(Send({.payload = "x"}), kDrop);
}

TEST_F(Classifier, RateLimitLetsThatManyThroughPerSecond) {
  Open();
  ASSERT_TRUE(tap_->drops().AddSource(*ParsePrefix("10.0.0.1"), {.rate = 3}));
  ResetDelta();
  for (int i = 0; i < 10; ++i) Send({.payload = "x"});
  const uint64_t dropped = Delta(TAP_EXIT_DROP_RATE);
  EXPECT_GE(dropped, 4u);  // a second may have begun in between
  EXPECT_LE(dropped, 7u);
}

TEST_F(Classifier, DropsOutliveTheFlowEntry) {
  Open();
  const Frame frame{.payload = "x"};
  Run(frame);
  tap_->flow_control(0).Drop(TupleOfFrame(frame), {.ttl = std::chrono::hours{1}, .sid = 9});
  EXPECT_EQ(tap_->flow_control(0).Flush(), 1u);
  const auto flow = tap_->Flow(MakeFlowKey(TupleOfFrame(frame)).key);
  ASSERT_TRUE(flow);
  EXPECT_EQ(flow->verdict, TAP_DROP);
  EXPECT_EQ(flow->cause_sid, 9u);
  EXPECT_EQ(Run(frame), kDrop);
  ASSERT_TRUE(tap_->Sweep({.all = true}));
  ASSERT_FALSE(tap_->Flow(MakeFlowKey(TupleOfFrame(frame)).key));
  EXPECT_EQ(Run(frame), kDrop);
  EXPECT_EQ(Run(Reverse(frame)), kDrop);
}

TEST_F(Classifier, AVerdictForAnEvictedFlowStillEntersTheDrop) {
  Open();
  const Frame frame{.payload = "x"};
  tap_->flow_control(0).Drop(TupleOfFrame(frame), {.ttl = std::chrono::hours{1}});
  tap_->flow_control(0).Flush();
  EXPECT_EQ(tap_->flow_control(0).stats().no_flow, 1u);
  EXPECT_EQ(Run(frame), kDrop);
}

TEST_F(Classifier, AFullDropMapRefusesAndSaysSo) {
  auto options = Options();
  options.max_flow_drops = 2;
  Open(options);
  Frame frame;
  Result<void> added;
  for (int i = 0; i < 40 && added; ++i) {
    frame.sport = static_cast<uint16_t>(1000 + i);
    added = tap_->drops().AddFlow(TupleOfFrame(frame), {});
  }
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Errc::kOutOfMemory);
  EXPECT_THAT(added.error().message, ::testing::HasSubstr("max_flow_drops"));
  tap_->flow_control(0).Drop(TupleOfFrame(frame), {});
  tap_->flow_control(0).Flush();
  EXPECT_EQ(tap_->flow_control(0).stats().drops_full, 1u);
}

// ---- budget and policy -------------------------------------------------------

TEST_F(Classifier, BudgetIsExactAndThenOnlyControlFlows) {
  auto options = Options();
  options.policies = {Port(80, Action::kInspect, 100)};
  Open(options);
  Frame frame{.payload = std::string(60, 'a')};
  Run(frame);
  frame.seq += 60;
  Run(frame);
  auto records = Records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].header.cap_len, 54u + 40);
  EXPECT_EQ(records[1].header.wire_len, 54u + 60);
  ResetDelta();
  frame.seq += 60;
  Run(frame);
  EXPECT_EQ(Exit(), "EXIT_PAST_BUDGET");
  frame.flags = kFin | kAck;
  Run(frame);
  records = Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].header.cap_len, 54u);
  EXPECT_TRUE(records[0].header.flags & TAP_REC_HEADERS_ONLY);
  const auto flow = tap_->Flow(MakeFlowKey(TupleOfFrame(frame)).key);
  ASSERT_TRUE(flow);
  EXPECT_EQ(flow->side[0].budget_used, 100u);
  EXPECT_EQ(flow->side[0].packets, 4u);  // exact, shunted or not
}

TEST_F(Classifier, AFinPastTheBudgetKeepsItsPlaceInTheSequence) {
  auto options = Options();
  options.policies = {Port(80, Action::kInspect, 10)};
  Open(options);
  Run(Build({.flags = kFin | kAck, .seq = 1000, .payload = std::string(60, 'a')}));
  Run(Build({.flags = kFin | kAck, .seq = 2000, .payload = std::string(60, 'a')}));
  const auto records = Records();
  ASSERT_EQ(records.size(), 3u);
  const auto decode = [](const Record& record) {
    Packet packet;
    Decode(LinkTypeOf(record.header), record.data, {.verify_checksums = false}, &packet);
    return packet;
  };
  EXPECT_EQ(decode(records[0]).payload.size(), 10u);  // the data, without FIN
  EXPECT_EQ(decode(records[0]).tcp.seq, 1000u);
  EXPECT_EQ(decode(records[0]).tcp.flags, kAck);
  EXPECT_EQ(decode(records[1]).tcp.seq, 1060u);       // the FIN behind all of it
  EXPECT_EQ(decode(records[1]).tcp.flags, kFin | kAck);
  EXPECT_EQ(decode(records[2]).tcp.seq, 2060u);
  EXPECT_EQ(records[0].header.wire_len, 114u);
  EXPECT_EQ(records[1].header.wire_len, 54u);
  EXPECT_EQ(records[2].header.wire_len, 114u);
}

TEST_F(Classifier, ADatagramIsSentWholeOrNotAtAll) {
  auto options = Options();
  options.policies = {Port(53, Action::kInspect, 70, 17)};
  Open(options);
  for (int i = 0; i < 3; ++i) Send({.dport = 53, .protocol = 17, .payload = std::string(60, 'a')});
  const auto records = Records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].header.cap_len, 102u);
}

const Frame kLongHeaders{.source = "fd00::1", .destination = "fd00::2", .ext = {60}};

// TCP behind destination options of 248 bytes.
Bytes WithLongHeaders(size_t payload) {
  Frame frame = kLongHeaders;
  frame.payload = std::string(payload, 'a');
  Bytes bytes = Build(frame);
  constexpr size_t kIp = 14, kExt = kIp + 40, kMore = 240;
  bytes.insert(bytes.begin() + kExt + 8, kMore, 0);  // Pad1
  bytes[kExt + 1] = static_cast<uint8_t>(kMore / 8);
  const size_t length = bytes.size() - kExt;
  bytes[kIp + 4] = static_cast<uint8_t>(length >> 8);
  bytes[kIp + 5] = static_cast<uint8_t>(length);
  return bytes;
}

// Found by the law of cuts: such a packet was cut with its lengths as they were, and user space
// refused it.
TEST_F(Classifier, APacketWithHeadersTooLongToPatchIsSentWholeOrNotAtAll) {
  auto options = Options();
  options.policies = {Port(80, Action::kInspect, 10)};
  Open(options);
  EXPECT_EQ(Run(WithLongHeaders(60)), kPass);
  const auto records = Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].header.cap_len, records[0].header.wire_len);
  EXPECT_EQ(Exit(), "EXIT_SENT");
  Run(WithLongHeaders(60));
  EXPECT_EQ(Exit(), "EXIT_PAST_BUDGET");
  EXPECT_TRUE(Records().empty());
}

TEST_F(Classifier, BudgetIsRaisedAndLoweredPerDirection) {
  auto options = Options();
  options.policies = {Port(80, Action::kInspect, 0)};
  Open(options);
  const Frame frame{.payload = std::string(60, 'a')};
  Run(frame);
  Run(Reverse(frame));
  EXPECT_TRUE(Records().empty());
  tap_->flow_control(0).SetBudget(TupleOfFrame(frame), 70, FlowControl::kKeep);
  tap_->flow_control(0).Flush();
  Run(frame);
  Run(Reverse(frame));
  auto records = Records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].header.cap_len, 114u);
  EXPECT_TRUE(records[1].header.flags & TAP_REC_HEADERS_ONLY);  // the acknowledgement of it
  tap_->flow_control(0).SetBudget(TupleOfFrame(frame), 0, FlowControl::kAll);
  tap_->flow_control(0).Flush();
  Run(frame);
  Run(Reverse(frame));
  records = Records();
  ASSERT_FALSE(records.empty());
  EXPECT_EQ(records.back().header.cap_len, 114u);
  EXPECT_EQ(records.back().header.side, 1);
}

TEST_F(Classifier, BypassSendsOnlyTheEnd) {
  Open();
  Frame frame{.payload = "abc"};
  Run(frame);
  tap_->flow_control(0).Bypass(TupleOfFrame(frame), 0);
  tap_->flow_control(0).Flush();
  Records();
  ResetDelta();
  Run(frame);
  EXPECT_EQ(Exit(), "EXIT_BYPASSED");
  frame.flags = kRst;
  frame.payload = "";
  Run(frame);
  EXPECT_EQ(Records().size(), 1u);
}

TEST_F(Classifier, PureAcknowledgementsAreSentOncePerAdvance) {
  Open();
  Frame ack{.flags = kAck};
  Run(ack);
  Run(ack);
  ack.ack += 1;
  Run(ack);
  EXPECT_EQ(Records().size(), 2u);
  EXPECT_EQ(Delta(TAP_EXIT_NOTHING), 1u);
}

// User space hands bytes on once they are acknowledged: the last ones, too.
TEST_F(Classifier, TheAcknowledgementOfTheLastInspectedByteIsSent) {
  auto options = Options();
  options.policies = {Port(80, Action::kInspect, 60)};
  options.policies[0].budget_to_client = 0;
  Open(options);
  Run(Build({.seq = 1000, .ack = 5000, .payload = std::string(100, 'a')}));  // 60 of 100 bytes
  Frame ack{.source = "10.0.0.2", .destination = "10.0.0.1", .sport = 80, .dport = 40000,
            .seq = 5000, .ack = 999999};
  EXPECT_EQ(Records().size(), 1u);
  Run(ack);  // forged: must not hide the true ones
  ack.ack = 1040;
  Run(ack);
  ack.ack = 1100;
  Run(ack);
  EXPECT_EQ(Records().size(), 3u);
  Run(Build({.seq = 1100, .ack = 5000, .payload = std::string(100, 'b')}));  // past the budget
  ack.ack = 1200;
  Run(ack);
  ack.payload = "and so on";
  Run(ack);
  EXPECT_TRUE(Records().empty());
}

TEST_F(Classifier, PolicyIgnoresDropsAndDefaultsToIgnore) {
  auto options = Options();
  options.policies = {Port(443, Action::kIgnore), Port(23, Action::kDrop),
                      Port(80, Action::kInspect)};
  Open(options);
  EXPECT_EQ(Send({.dport = 443, .payload = "x"}), kPass);
  EXPECT_EQ(Exit(), "EXIT_IGNORED");
  EXPECT_EQ(Send({.dport = 23, .payload = "x"}), kDrop);
  EXPECT_EQ(Exit(), "EXIT_DROP_POLICY");
  EXPECT_EQ(Send({.dport = 9999, .payload = "x"}), kPass);
  EXPECT_EQ(Exit(), "EXIT_IGNORED");
  EXPECT_EQ(Send({.sport = 80, .dport = 9998, .payload = "x"}), kPass);  // by source port
  EXPECT_EQ(Exit(), "EXIT_SENT");
}

TEST_F(Classifier, GuessOverridesThePortPolicy) {
  auto options = Options();
  options.policies = {Port(8080, Action::kIgnore), Guess(TAP_GUESS_SSH, Action::kInspect),
                      Port(0, Action::kInspect), Guess(TAP_GUESS_RDP, Action::kDrop)};
  Open(options);
  EXPECT_EQ(Send({.dport = 8080, .payload = "SSH-2.0-x\r\n"}), kPass);
  EXPECT_EQ(Exit(), "EXIT_SENT");
  EXPECT_EQ(Records()[0].header.guess, TAP_GUESS_SSH);
  EXPECT_EQ(Send({.sport = 2, .dport = 8080, .payload = "GET / HTTP/1.1\r\n"}), kPass);
  EXPECT_EQ(Exit(), "EXIT_IGNORED");
  const std::string rdp("\x03\0\0\x0b\x06\xe0\0\0\0\0\0", 11);
  EXPECT_EQ(Send({.sport = 3, .dport = 1234, .payload = rdp}), kDrop);
  EXPECT_EQ(Exit(), "EXIT_DROP_POLICY");
  EXPECT_EQ(Send({.sport = 3, .dport = 1234, .payload = "more"}), kDrop);
}

TEST_F(Classifier, ANewPolicyAppliesToRunningFlows) {
  Open();
  const Frame frame{.payload = "x"};
  Run(frame);
  ASSERT_TRUE(tap_->SetPolicies({Port(80, Action::kDrop)}));
  ResetDelta();
  EXPECT_EQ(Run(frame), kDrop);
  EXPECT_EQ(Exit(), "EXIT_DROP_POLICY");
  ASSERT_TRUE(tap_->SetPolicies({Port(80, Action::kInspect)}));
  EXPECT_EQ(Run(frame), kPass);
  EXPECT_EQ(Exit(), "EXIT_SENT");
}

struct GuessCase {
  const char* name;
  std::string payload;
  tap_guess guess;
  uint8_t protocol = 6;
};
class Guesses : public BpfTest, public ::testing::WithParamInterface<GuessCase> {};
TEST_P(Guesses, FirstPayloadBytes) {
  Open();
  Send({.dport = 8080, .protocol = GetParam().protocol, .payload = GetParam().payload});
  const auto records = Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].header.guess, GetParam().guess);
}
const std::string kDnsQuery("\x12\x34\x01\0\0\1\0\0\0\0\0\0\3www\0\0\1\0\1", 21);
const GuessCase kGuesses[] = {
    {"Ssh", "SSH-2.0-OpenSSH\r\n", TAP_GUESS_SSH},
    {"HttpGet", "GET / HTTP/1.1\r\n", TAP_GUESS_HTTP},
    {"HttpOptions", "OPTIONS * HTTP/1.1\r\n", TAP_GUESS_HTTP},
    {"HttpResponse", "HTTP/1.0 200 OK\r\n", TAP_GUESS_HTTP},
    {"Http2", "PRI * HTTP/2.0\r\n", TAP_GUESS_HTTP2},
    {"TlsClientHello", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9), TAP_GUESS_TLS},
    {"RdpConnectionRequest", std::string("\x03\0\0\x0b\x06\xe0\0\0\0\0\0", 11), TAP_GUESS_RDP},
    {"Smtp", "220 mail ESMTP\r\n", TAP_GUESS_SMTP},
    {"DnsUdp", kDnsQuery, TAP_GUESS_DNS, 17},
    {"DnsTcp", std::string("\0\x15", 2) + kDnsQuery, TAP_GUESS_DNS},
    {"OneByte", "S", TAP_GUESS_UNKNOWN},
    {"GetWithoutSpace", "GETTING", TAP_GUESS_UNKNOWN},
    {"ZeroesUdp", std::string(40, '\0'), TAP_GUESS_UNKNOWN, 17},
};
INSTANTIATE_TEST_SUITE_P(Payload, Guesses, ::testing::ValuesIn(kGuesses),
                         [](const auto& c) { return c.param.name; });

// ---- the heartbeat -----------------------------------------------------------

TEST_F(Classifier, FailClosedBlocksNewInspectedFlowsOnly) {
  auto options = Options();
  options.fail_mode = FailMode::kClosed;
  options.heartbeat_timeout = Nanos{1};  // dead at once
  options.policies = {Port(80, Action::kInspect), Port(443, Action::kIgnore)};
  Open(options);
  EXPECT_EQ(Send({.payload = "x"}), kDrop);
  EXPECT_EQ(Exit(), "EXIT_DROP_FAIL_CLOSED");
  EXPECT_EQ(Send({.dport = 443, .payload = "x"}), kPass);
  ASSERT_TRUE(tap_->drops().AddNeverBlock(*ParsePrefix("10.0.0.9")));
  EXPECT_EQ(Send({.source = "10.0.0.9", .payload = "x"}), kPass);
}

TEST_F(Classifier, FailClosedLetsPacketsThroughWhileTheHeartBeats) {
  auto options = Options();
  options.fail_mode = FailMode::kClosed;
  Open(options);
  tap_->Heartbeat();
  EXPECT_EQ(Send({.payload = "x"}), kPass);
}

TEST_F(Classifier, FailOpenPassesAndStillRecords) {
  auto options = Options();
  options.heartbeat_timeout = Nanos{1};
  Open(options);
  EXPECT_EQ(Send({.payload = "x"}), kPass);
  EXPECT_EQ(Exit(), "EXIT_SENT");
}

// ---- flow records ------------------------------------------------------------

TEST_F(Classifier, CountsHandshakeRetransmissionAndDisorder) {
  Open();
  Frame to_server{.flags = kSyn, .seq = 100, .ack = 0};
  Run(to_server);
  Frame to_client = Reverse(to_server);
  to_client.flags = kSyn | kAck;
  to_client.seq = 900;
  to_client.ack = 101;
  Run(to_client);
  to_server.flags = kAck;
  to_server.seq = 101;
  to_server.ack = 901;
  Run(to_server);
  to_server.payload = "0123456789";
  Run(to_server);
  Run(to_server);           // retransmission
  to_server.seq = 131;
  Run(to_server);           // 20 bytes are missing
  const auto flow = tap_->Flow(MakeFlowKey(TupleOfFrame(to_server)).key);
  ASSERT_TRUE(flow);
  EXPECT_EQ(flow->initiator, 0);
  EXPECT_GT(flow->rtt_server_ns, 0u);
  EXPECT_GT(flow->rtt_client_ns, 0u);
  EXPECT_EQ(flow->side[0].packets, 5u);
  EXPECT_EQ(flow->side[1].packets, 1u);
  EXPECT_EQ(flow->side[0].retransmissions, 1u);
  EXPECT_EQ(flow->side[0].out_of_order, 1u);
  EXPECT_EQ(flow->side[0].tcp_flags, kSyn | kAck);
  EXPECT_EQ(flow->side[1].tcp_flags, kSyn | kAck);
  EXPECT_GE(flow->side[0].last_ns, flow->side[0].first_ns);
}

TEST_F(Classifier, ASynAckSeenFirstWasSentByTheServer) {
  Open();
  Send({.flags = kSyn | kAck});
  const auto records = Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_NE(records[0].header.side, records[0].header.initiator);
}

TEST_F(Classifier, BothDirectionsShareHashAndRing) {
  auto options = Options();
  options.num_workers = 2;
  Open(options);
  int per_ring[2] = {0, 0};
  for (uint16_t port = 1; port <= 64; ++port) {
    const Frame frame{.sport = port, .payload = "x"};
    Run(frame);
    Run(Reverse(frame));
    for (uint32_t ring = 0; ring < 2; ++ring) {
      const auto records = Records(ring);
      if (records.empty()) continue;
      ASSERT_EQ(records.size(), 2u);
      EXPECT_EQ(records[0].header.hash, records[1].header.hash);
      ++per_ring[ring];
    }
  }
  EXPECT_EQ(per_ring[0] + per_ring[1], 64);
  EXPECT_GT(per_ring[0], 16);
  EXPECT_GT(per_ring[1], 16);
}

TEST_F(Classifier, ASynOnAnOldTupleIsANewInspectedFlow) {
  auto options = Options();
  options.policies = {Port(80, Action::kInspect, 10)};
  Open(options);
  Frame frame{.flags = kSyn, .seq = 7};
  Run(frame);
  Send({.payload = std::string(50, 'x')});
  Run(frame);  // the same SYN again: no new connection
  EXPECT_EQ(Delta(TAP_FLOWS_REUSED), 0u);
  Records();
  frame.seq = 8000;
  Run(frame);
  EXPECT_EQ(Delta(TAP_FLOWS_REUSED), 1u);
  Send({.seq = 8001, .payload = "again"});
  const auto records = Records();
  ASSERT_EQ(records.size(), 3u);
  ASSERT_EQ(records[0].header.type, unsigned{TAP_RECORD_FLOW_END});
  tap_flow_end end;
  ASSERT_EQ(records[0].data.size(), sizeof(end));
  std::memcpy(&end, records[0].data.data(), sizeof(end));
  EXPECT_EQ(end.reason, unsigned{TAP_END_REUSED});
  EXPECT_EQ(end.flow.side[0].packets, 3u);
  EXPECT_EQ(records[2].header.cap_len, 59u);
}

TEST_F(Classifier, SweepReportsEndedFlowsWithTheirCounters) {
  Open();
  Send({.payload = "x"});
  Send({.protocol = 17, .payload = "x"});
  Records();
  auto swept = tap_->Sweep({});
  ASSERT_TRUE(swept) << swept.error().message;
  EXPECT_EQ(swept->seen, 2u);
  EXPECT_EQ(swept->ended, 0u);
  swept = tap_->Sweep({.idle_tcp = std::chrono::hours{1}, .idle_other = Nanos{0}});
  ASSERT_TRUE(swept);
  EXPECT_EQ(swept->ended, 1u);
  Send({.flags = kRst});
  Records();
  swept = tap_->Sweep({.closed = Nanos{0}});
  ASSERT_TRUE(swept);
  EXPECT_EQ(swept->ended, 1u);
  const auto records = Records();
  ASSERT_EQ(records.size(), 1u);
  tap_flow_end end;
  std::memcpy(&end, records[0].data.data(), sizeof(end));
  EXPECT_EQ(end.reason, unsigned{TAP_END_CLOSED});
  EXPECT_EQ(end.flow.side[0].packets, 2u);
  EXPECT_EQ(TupleOf(end.key, end.flow.initiator), TupleOfFrame({}));
}

TEST_F(Classifier, SweepKeepsWhatItCannotReport) {
  auto options = Options();
  options.ring_bytes = 64u << 10;
  Open(options);
  for (int i = 0; i < 100 && Delta(TAP_EXIT_LOST_RING_FULL) == 0; ++i) {
    Send({.payload = std::string(3000, 'x')});
  }
  while (Delta(TAP_LOST_RECORDS) < 3) Send({.payload = "x"});  // the last gaps
  auto swept = tap_->Sweep({.all = true});
  ASSERT_TRUE(swept);
  EXPECT_EQ(swept->ended, 0u);
  EXPECT_EQ(swept->kept, 1u);
  Records();
  swept = tap_->Sweep({.all = true});
  EXPECT_EQ(swept->ended, 1u);
}

// ---- pieces ------------------------------------------------------------------

TEST_F(Classifier, DatagramsOfOneSkbBecomeRecordsOfTheirOwn) {
  Open();
  std::string payload;
  for (int i = 0; i < 2500; ++i) payload.push_back(static_cast<char>(i * 7));
  __sk_buff gso{};
  gso.gso_size = 1000;
  gso.gso_segs = 3;
  Run(Build({.protocol = 17, .payload = payload}), TAP_INGRESS, &gso);
  const auto records = Records();
  ASSERT_EQ(records.size(), 3u);
  std::string joined;
  for (size_t i = 0; i < 3; ++i) {
    const Record& record = records[i];
    const size_t size = i < 2 ? 1000 : 500;
    EXPECT_TRUE(record.header.flags & TAP_REC_PIECE);
    EXPECT_EQ(record.header.piece_offset, i * 1000);
    EXPECT_EQ(record.header.cap_len, 42 + size);
    EXPECT_EQ(record.header.wire_len, 42 + size);
    EXPECT_EQ(record.data[16] << 8 | record.data[17], static_cast<int>(28 + size));  // IP
    EXPECT_EQ(record.data[38] << 8 | record.data[39], static_cast<int>(8 + size));   // UDP
    joined.append(record.data.begin() + 42, record.data.end());
  }
  EXPECT_EQ(joined, payload);
}

// ---- prefixes as text --------------------------------------------------------

TEST(PrefixText, ParsesAndPrints) {
  for (const char* text : {"10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "2001:db8::/32", "::1"}) {
    const auto prefix = ParsePrefix(text);
    ASSERT_TRUE(prefix) << text;
    EXPECT_EQ(FormatPrefix(*prefix), text);
  }
  for (const char* text : {"", "10.0.0.1/8", "10.0.0.0/33", "x", "10.0.0.0/", "fd00::1/64", "1/2"}) {
    EXPECT_FALSE(ParsePrefix(text)) << text;
  }
  EXPECT_THAT(ParsePrefix("10.0.0.1/8").error().message, ::testing::HasSubstr("write 10.0.0.0/8"));
}

}  // namespace
}  // namespace sluice::testing
