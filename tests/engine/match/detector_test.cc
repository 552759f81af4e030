// When and how often rules fire: packets, streams, transactions, flow state,
// order, limits.
#include <gtest/gtest.h>

#include "tests/engine/match/support.h"

namespace sluice::testing {
namespace {

FlowTest ToServer() {
  FlowTest t;
  t.to_server = true;
  return t;
}
FlowTest Established() {
  FlowTest t;
  t.established = true;
  return t;
}
FlowbitTest Bit(FlowbitTest::Op op, std::vector<uint32_t> bits) {
  FlowbitTest t;
  t.op = op;
  t.bits = std::move(bits);
  return t;
}
UintTest Uint(CompareOp op, uint64_t a, uint64_t b = 0) {
  UintTest t;
  t.op = op;
  t.a = a;
  t.b = b;
  return t;
}

// ------------------------------------------------------------------- cost

TEST(Costs, EachCheckCountsAndEach64thIsTimed) {
  Bench bench(CompileRules({PayloadRule(1, {Content("evil"), Content("z")})}));
  for (uint32_t i = 0; i < 10 * kCostSample; ++i) bench.Send(i % 2 == 0 ? "evil z" : "evil");
  const RuleCost& cost = bench.detector.costs()[0];
  EXPECT_EQ(cost.checks, 10u * kCostSample);
  EXPECT_EQ(cost.matches, 5u * kCostSample);
  EXPECT_EQ(cost.sampled, 10u);
  EXPECT_GT(cost.EstimatedCycles(), 0u);
}

TEST(Costs, PredictionRanksWhatIsTriedMore) {
  PcreTest expression;
  expression.pattern = "a.*b";
  ContentTest at_start = Content("GET ");
  at_start.depth = Num(4);
  const auto program = CompileRules({PayloadRule(1, {Content("user-agent-of-one-malware")}), PayloadRule(2, {at_start}),
                                     PayloadRule(3, {Content("ab")}), PayloadRule(4, {expression})});
  double before = 0;
  for (const Rule& rule : program->rules().rules) {
    EXPECT_GT(program->PredictedCost(rule), before) << rule.sid;
    before = program->PredictedCost(rule);
  }
}

// ------------------------------------------------------------------- tags

Rule Tagged(uint32_t sid, Tag tag) {
  Rule rule = PayloadRule(sid, {Content("evil")});
  rule.tags = {tag};
  return rule;
}

// Sends `payload`; whether it was logged because of a tag.
bool IsTagged(Bench& bench, const std::string& payload) {
  bench.Send(payload);
  return bench.last.tagged;
}

TEST(Tags, AlertsOwnPacketCountsButIsNotLoggedAgain) {
  Bench bench(CompileRules({Tagged(1, {.of = Tag::Of::kFlow, .unit = Tag::Unit::kPackets, .count = 3})}));
  bench.flow.id = 7;
  EXPECT_FALSE(IsTagged(bench, "before"));
  EXPECT_FALSE(IsTagged(bench, "evil"));
  EXPECT_TRUE(IsTagged(bench, "second"));
  EXPECT_TRUE(IsTagged(bench, "third"));
  EXPECT_FALSE(IsTagged(bench, "fourth"));
  EXPECT_EQ(bench.detector.stats().tagged, 2u);
}

TEST(Tags, AnotherAlertCountsAnew) {
  Bench bench(CompileRules({Tagged(1, {.of = Tag::Of::kFlow, .unit = Tag::Unit::kPackets, .count = 2})}));
  bench.flow.id = 7;
  IsTagged(bench, "evil");
  EXPECT_TRUE(IsTagged(bench, "evil"));
  EXPECT_TRUE(IsTagged(bench, "x"));
  EXPECT_FALSE(IsTagged(bench, "y"));
}

TEST(Tags, OfAFlowLeaveOtherFlowsAlone) {
  Bench bench(CompileRules({Tagged(1, {})}));
  bench.flow.id = 7;
  IsTagged(bench, "evil");
  bench.flow.id = 8;
  EXPECT_FALSE(IsTagged(bench, "x"));
  bench.flow.id = 7;
  EXPECT_TRUE(IsTagged(bench, "x"));
}

TEST(Tags, OfAHostFollowItIntoOtherFlowsAndBothWays) {
  Bench bench(CompileRules({Tagged(1, {.of = Tag::Of::kSource})}));
  bench.flow.id = 7;
  IsTagged(bench, "evil");
  bench.flow.id = 8;
  EXPECT_TRUE(IsTagged(bench, "x"));
  bench.server = Ip(9, 9, 9, 9);
  bench.Send("answer", Direction::kToClient);
  EXPECT_TRUE(bench.last.tagged);
  bench.client = Ip(8, 8, 8, 8);
  EXPECT_FALSE(IsTagged(bench, "x"));
}

TEST(Tags, EndAfterTheirSecondsOrBytes) {
  Bench bench(CompileRules({Tagged(1, {.of = Tag::Of::kFlow, .unit = Tag::Unit::kSeconds, .count = 10}),
                            Tagged(2, {.of = Tag::Of::kSource, .unit = Tag::Unit::kBytes, .count = 250})}));
  bench.flow.id = 7;
  bench.packet.wire_len = 100;
  IsTagged(bench, "evil");
  bench.now += std::chrono::seconds(10);
  EXPECT_TRUE(IsTagged(bench, "x"));
  bench.now += std::chrono::seconds(1);
  EXPECT_FALSE(IsTagged(bench, "x")) << "300 bytes, 11 seconds";
}

TEST(Tags, AFullTableForgetsAndCounts) {
  DetectorOptions options;
  options.tags = 8;
  Bench bench(CompileRules({Tagged(1, {})}), options);
  for (uint64_t flow = 1; flow <= 9; ++flow) {
    bench.flow.id = flow;
    IsTagged(bench, "evil");
  }
  EXPECT_EQ(bench.detector.stats().tags_evicted, 1u);
}

TEST(ConfigRules, SilenceWhatTheyNameAndRaiseNoAlert) {
  Rule flow = PayloadRule(1, {Content("a")}), transactions = PayloadRule(2, {Content("b")});
  flow.action = transactions.action = Action::kConfig;
  flow.log_change = LogChange{LogChange::Type::kFlow, LogChange::Scope::kFlow};
  transactions.log_change = LogChange{LogChange::Type::kTransaction, LogChange::Scope::kFlow};
  Bench bench(CompileRules({flow, transactions}));
  EXPECT_EQ(bench.Send("a"), Sids{});
  EXPECT_TRUE(bench.last.quiet_flow);
  EXPECT_FALSE(bench.last.quiet_transactions);
  EXPECT_EQ(bench.Send("b"), Sids{});
  EXPECT_FALSE(bench.last.quiet_flow);
  EXPECT_TRUE(bench.last.quiet_transactions);
}

// ---------------------------------------------------------------- header

TEST(Header, OnlyTheRightTransportMatches) {
  Bench bench(CompileRules({PayloadRule(1, {Content("evil")}, "udp"),
                            PayloadRule(2, {Content("evil")}, "tcp"),
                            PayloadRule(3, {Content("evil")}, "ip")}));
  EXPECT_EQ(bench.Send("so evil"), (Sids{1, 3}));
  bench.Tcp();
  EXPECT_EQ(bench.Send("so evil"), (Sids{2, 3}));
}

TEST(Header, AddressesAndPortsAreOfTheSender) {
  Rule rule = PayloadRule(1, {Content("evil")});
  rule.header.source.any = false;
  rule.header.source.ranges = {{Ip(10, 0, 0, 0), Ip(10, 255, 255, 255)}};
  rule.header.destination_ports.any = false;
  rule.header.destination_ports.ranges = {{80, 80}, {8080, 8090}};
  Bench bench(CompileRules({rule}));
  EXPECT_EQ(bench.Send("evil"), Sids{1});
  EXPECT_EQ(bench.Send("evil", Direction::kToClient), Sids{});
  bench.client = Ip(11, 0, 0, 1);
  EXPECT_EQ(bench.Send("evil"), Sids{});
}

TEST(Header, BidirectionalMatchesEitherWay) {
  Rule rule = PayloadRule(1, {Content("evil")});
  rule.header.destination_ports.any = false;
  rule.header.destination_ports.ranges = {{80, 80}};
  rule.header.bidirectional = true;
  Bench bench(CompileRules({rule}));
  EXPECT_EQ(bench.Send("evil"), Sids{1});
  EXPECT_EQ(bench.Send("evil", Direction::kToClient), Sids{1});
}

TEST(Header, AddressOnlyRuleFiresOncePerFlowAndDirection) {
  Bench bench(CompileRules({MakeRule(1, "ip")}));
  EXPECT_EQ(bench.Send("x"), Sids{1});
  EXPECT_EQ(bench.Send("x"), Sids{});
  EXPECT_EQ(bench.Send("x", Direction::kToClient), Sids{1});
  bench.vars.Clear();
  EXPECT_EQ(bench.Send("x"), Sids{1});
}

TEST(Header, AddressOnlyRuleFiresOnEachPacketWithoutFlow) {
  Bench bench(CompileRules({MakeRule(1, "ip")}));
  bench.with_flow = false;
  EXPECT_EQ(bench.Send("x"), Sids{1});
  EXPECT_EQ(bench.Send("x"), Sids{1});
}

TEST(Header, RuleOnOnePortFiresOncePerFlowAndDirection) {
  Rule rule = MakeRule(1, "udp");
  rule.header.destination_ports.any = false;
  rule.header.destination_ports.ranges = {{80, 80}};
  Bench bench(CompileRules({rule}));
  EXPECT_EQ(bench.Send("x"), Sids{1});
  EXPECT_EQ(bench.Send("x"), Sids{});
  EXPECT_EQ(bench.Send("x", Direction::kToClient), Sids{}) << "the port is the server's";
}

TEST(Header, RuleOnBothPortsFiresOnEachPacket) {
  Rule rule = MakeRule(1, "udp");
  rule.header.source_ports.any = rule.header.destination_ports.any = false;
  rule.header.source_ports.ranges = {{1, 65535}};
  rule.header.destination_ports.ranges = {{80, 80}};
  Bench bench(CompileRules({rule}));
  EXPECT_EQ(bench.Send("x"), Sids{1});
  EXPECT_EQ(bench.Send("x"), Sids{1});
}

TEST(Header, ProtocolInTheHeaderFiresOnEachPacketOnceKnown) {
  TestProtocol p;
  Bench bench(CompileRules({MakeRule(1, "test"), MakeRule(2, "other"), MakeRule(3, "absent")},
                           p.options()));
  EXPECT_EQ(bench.Send("x"), Sids{});
  bench.flow.app = &p.schema;
  EXPECT_EQ(bench.Send("x"), Sids{1});
  EXPECT_EQ(bench.Send("x"), Sids{1});
  EXPECT_TRUE(bench.last.alerts[0].apply_to_flow);
}

TEST(Header, AppLayerProtocolAloneFiresOncePerDirectionWhenKnown) {
  TestProtocol p;
  Rule rule = MakeRule(1, "udp");
  rule.flow_conditions = {AppProtocolTest{"test", false, {}}};
  Bench bench(CompileRules({rule}, p.options()));
  EXPECT_EQ(bench.Send("x"), Sids{});
  bench.flow.app = &p.schema;
  EXPECT_EQ(bench.Send("x"), Sids{1});
  EXPECT_EQ(bench.Send("x"), Sids{});
  EXPECT_EQ(bench.Send("x", Direction::kToClient), Sids{1});
}

TEST(Header, NonIpPacketsAreForPkthdrRulesAlone) {
  Rule ip = MakeRule(1, "ip"), pkthdr = MakeRule(2, "ip");
  pkthdr.header.protocol_text = "pkthdr";
  pkthdr.header.link = RuleHeader::Link::kAny;
  Bench bench(CompileRules({ip, pkthdr}));
  bench.with_flow = false;
  bench.packet.ip_version = 0;
  bench.packet.l4 = L4::kNone;
  EXPECT_EQ(bench.Send("x"), Sids{2});
}

// ---------------------------------------------------------- packet tests

struct PacketCase {
  const char* name;
  PacketTest test;
  void (*shape)(Packet&);
  bool matches;
};
class PacketTests : public ::testing::TestWithParam<PacketCase> {};
TEST_P(PacketTests, AreHonoured) {
  Rule rule = MakeRule(1, "ip");
  rule.packet_tests = {GetParam().test};
  Bench bench(CompileRules({rule}));
  GetParam().shape(bench.packet);
  bench.Begin("12345");
  if (std::holds_alternative<SameIpTest>(GetParam().test) && GetParam().matches)
    bench.packet.destination = bench.packet.source;
  bench.detector.InspectPayload(false);
  EXPECT_EQ(bench.End(), GetParam().matches ? Sids{1} : Sids{});
}
PacketTest Field(PacketField f, CompareOp op, uint64_t a, uint64_t b = 0) {
  return PacketNumberTest{f, Uint(op, a, b)};
}
TcpFlagsTest Flags(uint8_t flags, TcpFlagsTest::Mode mode, uint8_t ignore = 0) {
  return {flags, ignore, mode};
}
void Nothing(Packet&) {}
void TcpSynEce(Packet& p) {
  p.l4 = L4::kTcp;
  p.ip_protocol = 6;
  p.tcp.flags = kTcpSyn | kTcpEce;
  p.tcp.has_mss = true;
  p.tcp.mss = 1400;
  p.tcp.window = 512;
  p.tcp.seq = 7;
  p.tcp.ack = 9;
}
void IcmpEcho(Packet& p) {
  p.l4 = L4::kIcmp;
  p.ip_protocol = 1;
  p.icmp_type = 8;
  p.icmp_code = 0;
  p.icmp_id = 77;
  p.icmp_seq = 3;
}
void Fragment(Packet& p) {
  p.is_fragment = p.more_fragments = true;
  p.fragment_offset = 16;
}
uint8_t kOptions[] = {1, 7, 3, 0, 148, 4, 0, 0};
void Options(Packet& p) { p.ip_options = kOptions; }
const PacketCase kPacketCases[] = {
    {"TtlEqual", Field(PacketField::kTtl, CompareOp::kEqual, 64), Nothing, true},
    {"TtlBelow", Field(PacketField::kTtl, CompareOp::kLess, 64), Nothing, false},
    {"DsizeRangeExcludesEnds", Field(PacketField::kDsize, CompareOp::kRange, 4, 6), Nothing, true},
    {"DsizeRangeMisses", Field(PacketField::kDsize, CompareOp::kRange, 5, 6), Nothing, false},
    {"DsizeNotEqual", Field(PacketField::kDsize, CompareOp::kNotEqual, 5), Nothing, false},
    {"IpProtocol", Field(PacketField::kIpProto, CompareOp::kEqual, 17), Nothing, true},
    {"SeqNeedsTcp", Field(PacketField::kTcpSeq, CompareOp::kEqual, 0), Nothing, false},
    {"Seq", Field(PacketField::kTcpSeq, CompareOp::kEqual, 7), TcpSynEce, true},
    {"Ack", Field(PacketField::kTcpAck, CompareOp::kEqual, 9), TcpSynEce, true},
    {"Window", Field(PacketField::kTcpWindow, CompareOp::kEqual, 512), TcpSynEce, true},
    {"Mss", Field(PacketField::kTcpMss, CompareOp::kGreater, 1399), TcpSynEce, true},
    {"FlagsExactSeesAll", Flags(kTcpSyn, TcpFlagsTest::Mode::kExact), TcpSynEce, false},
    {"FlagsExactIgnoresMasked", Flags(kTcpSyn, TcpFlagsTest::Mode::kExact, kTcpEce | kTcpCwr),
     TcpSynEce, true},
    {"FlagsAll", Flags(kTcpSyn, TcpFlagsTest::Mode::kAll), TcpSynEce, true},
    {"FlagsAny", Flags(kTcpSyn | kTcpFin, TcpFlagsTest::Mode::kAny), TcpSynEce, true},
    {"FlagsNot", Flags(kTcpFin, TcpFlagsTest::Mode::kNot), TcpSynEce, true},
    {"FlagsNotMisses", Flags(kTcpSyn, TcpFlagsTest::Mode::kNot), TcpSynEce, false},
    {"IcmpType", Field(PacketField::kIcmpType, CompareOp::kEqual, 8), IcmpEcho, true},
    {"IcmpTypeNeedsIcmp", Field(PacketField::kIcmpType, CompareOp::kEqual, 0), Nothing, false},
    {"IcmpId", Field(PacketField::kIcmpId, CompareOp::kEqual, 77), IcmpEcho, true},
    {"IcmpSeq", Field(PacketField::kIcmpSeq, CompareOp::kEqual, 3), IcmpEcho, true},
    {"FragBits", FragBitsTest{1, TcpFlagsTest::Mode::kExact}, Fragment, true},
    {"FragBitsMisses", FragBitsTest{2, TcpFlagsTest::Mode::kExact}, Fragment, false},
    {"FragOffsetCountsEights", FragOffsetTest{Uint(CompareOp::kEqual, 2)}, Fragment, true},
    {"IpOptionFound", IpOptsTest{148, false}, Options, true},
    {"IpOptionMissing", IpOptsTest{131, false}, Options, false},
    {"IpOptionAny", IpOptsTest{0, true}, Options, true},
    {"SameIp", SameIpTest{}, Nothing, true},
    {"SameIpMisses", SameIpTest{}, TcpSynEce, false},
};
INSTANTIATE_TEST_SUITE_P(Packet, PacketTests, ::testing::ValuesIn(kPacketCases),
                         [](const auto& c) { return c.param.name; });

TEST(PacketEvents, FireOnTheirPacketAlone) {
  Rule decode = MakeRule(1, "ip"), stream = MakeRule(2, "ip");
  decode.packet_tests = {DecodeEventTest{"ipv4.pkt_too_small"}};
  stream.packet_tests = {StreamEventTest{"est_bad"}};
  auto program = CompileRules({decode, stream});
  Bench bench(program);
  EXPECT_EQ(program->EventId("nothing"), -1);
  EXPECT_EQ(bench.Send("x"), Sids{});
  bench.events = {static_cast<uint16_t>(program->EventId("est_bad"))};
  EXPECT_EQ(bench.Send("x"), Sids{2});
}

TEST(HeaderBuffers, AreInspected) {
  Rule rule = MakeRule(1, "ip");
  Inspection i;
  i.kind = BufferKind::kHeader;
  i.header = HeaderBuffer::kIpv4;
  i.tests = {Content("E")};
  rule.inspections = {i};
  Bench bench(CompileRules({rule}));
  EXPECT_EQ(bench.Send("x"), Sids{});
  const std::string header = "E\0\0\0";
  bench.packet.ip_header = AsSlice(header);
  EXPECT_EQ(bench.Send("x"), Sids{1});
}

// ------------------------------------------------------------- flow state

TEST(Flow, DirectionAndEstablished) {
  Rule up = PayloadRule(1, {Content("evil")}), est = PayloadRule(2, {Content("evil")}),
       fresh = PayloadRule(3, {Content("evil")});
  up.flow_conditions = {ToServer()};
  est.flow_conditions = {Established()};
  FlowTest not_established;
  not_established.not_established = true;
  fresh.flow_conditions = {not_established};
  Bench bench(CompileRules({up, est, fresh}));
  EXPECT_EQ(bench.Send("evil"), (Sids{1, 3}));
  EXPECT_EQ(bench.Send("evil", Direction::kToClient), Sids{3});
  bench.flow.established = true;
  EXPECT_EQ(bench.Send("evil", Direction::kToClient), Sids{2});
}

TEST(Flow, FlowbitsLastAndSettersRunFirst) {
  Rule reader = PayloadRule(1, {Content("read")}), setter = PayloadRule(2, {Content("set")});
  Rule either = PayloadRule(3, {Content("either")}), unset = PayloadRule(4, {Content("unset")}),
       none = PayloadRule(5, {Content("none")});
  reader.flow_conditions = {Bit(FlowbitTest::Op::kIsSet, {0})};
  setter.flow_conditions = {Bit(FlowbitTest::Op::kSet, {0})};
  setter.no_alert = true;
  either.flow_conditions = {Bit(FlowbitTest::Op::kIsSet, {1, 0})};
  unset.flow_conditions = {Bit(FlowbitTest::Op::kUnset, {0})};
  unset.no_alert = true;
  none.flow_conditions = {Bit(FlowbitTest::Op::kIsNotSet, {0})};
  Bench bench(CompileRules({reader, setter, either, unset, none}));
  EXPECT_EQ(bench.Send("read none"), Sids{5});
  EXPECT_EQ(bench.Send("read set"), Sids{1}) << "set on the same packet, before the reader";
  EXPECT_EQ(bench.Send("read either none"), (Sids{1, 3}));
  EXPECT_EQ(bench.Send("unset"), Sids{});
  EXPECT_EQ(bench.Send("read"), Sids{});
}

TEST(Flow, UnsetRunsBehindThoseWhoAsk) {
  Rule set = PayloadRule(1, {Content("x")}), unset = PayloadRule(2, {Content("x")}),
       is_set = PayloadRule(3, {Content("x")});
  set.flow_conditions = {Bit(FlowbitTest::Op::kSet, {0})};
  unset.flow_conditions = {Bit(FlowbitTest::Op::kUnset, {0})};
  is_set.flow_conditions = {Bit(FlowbitTest::Op::kIsSet, {0})};
  Bench bench(CompileRules({set, unset, is_set}));
  EXPECT_EQ(bench.Send("x"), (Sids{1, 3, 2}));
  EXPECT_FALSE(bench.vars.GetBit(0));
}

TEST(Flow, ManyFlowbitsAreBoundedAndCounted) {
  std::vector<uint32_t> all;
  for (uint32_t i = 0; i < FlowVars::kMax + 5; ++i) all.push_back(i);
  Rule setter = PayloadRule(1, {Content("set")});
  setter.flow_conditions = {Bit(FlowbitTest::Op::kSet, all)};
  Bench bench(CompileRules({setter}));
  bench.Send("set");
  EXPECT_TRUE(bench.vars.GetBit(FlowVars::kMax - 1));
  EXPECT_FALSE(bench.vars.GetBit(FlowVars::kMax));
  EXPECT_EQ(bench.detector.stats().flow_vars_full, 5u);
}

TEST(Flow, FlowintCounts) {
  Rule add = PayloadRule(1, {Content("x")}), third = PayloadRule(2, {Content("x")});
  add.flow_conditions = {FlowintTest{FlowintTest::Op::kAdd, 0, 1, -1}};
  add.no_alert = true;
  third.flow_conditions = {FlowintTest{FlowintTest::Op::kGreaterEqual, 0, 3, -1}};
  Bench bench(CompileRules({add, third}));
  EXPECT_EQ(bench.Send("x"), Sids{});
  EXPECT_EQ(bench.Send("x"), Sids{});
  EXPECT_EQ(bench.Send("x"), Sids{2});
}

TEST(Flow, XbitsBelongToHostsAndExpire) {
  Rule set = PayloadRule(1, {Content("set")}), read = PayloadRule(2, {Content("read")});
  set.flow_conditions = {XbitTest{FlowbitTest::Op::kSet, 0, XbitTest::Track::kSource, 10}};
  read.flow_conditions = {XbitTest{FlowbitTest::Op::kIsSet, 0, XbitTest::Track::kSource, 10}};
  Bench bench(CompileRules({set, read}));
  EXPECT_EQ(bench.Send("set"), Sids{1});
  bench.vars.Clear();  // another flow of the same host
  EXPECT_EQ(bench.Send("read"), Sids{2});
  bench.client = Ip(10, 0, 0, 2);
  EXPECT_EQ(bench.Send("read"), Sids{});
  bench.client = Ip(10, 0, 0, 1);
  bench.now += std::chrono::seconds(11);
  EXPECT_EQ(bench.Send("read"), Sids{});
}

TEST(Flow, NumbersAndStreamSize) {
  Rule age = PayloadRule(1, {Content("x")}), packets = PayloadRule(2, {Content("x")}),
       size = PayloadRule(3, {Content("x")}, "tcp");
  age.flow_conditions = {FlowNumberTest{FlowField::kAge, Uint(CompareOp::kGreater, 5)}};
  packets.flow_conditions = {FlowNumberTest{FlowField::kPktsToServer, Uint(CompareOp::kEqual, 2)}};
  size.flow_conditions = {StreamSizeTest{StreamSizeTest::Side::kServer, Uint(CompareOp::kLess, 6)}};
  Bench bench(CompileRules({age, packets, size}));
  bench.flow.started = bench.now - std::chrono::seconds(5);
  EXPECT_EQ(bench.Send("x"), Sids{});
  bench.now += std::chrono::seconds(1);
  EXPECT_EQ(bench.Send("x"), (Sids{1, 2}));
  bench.Tcp();
  EXPECT_EQ(bench.Send("x"), Sids{3});
  bench.flow.stream_bytes[Index(Direction::kToClient)] = 6;
  EXPECT_EQ(bench.Send("x"), Sids{});
}

TEST(Flow, AppLayerProtocol) {
  TestProtocol p;
  Rule is = PayloadRule(1, {Content("x")}), is_not = PayloadRule(2, {Content("x")}),
       failed = PayloadRule(3, {Content("x")});
  is.flow_conditions = {AppProtocolTest{"test", false, {}}};
  is_not.flow_conditions = {AppProtocolTest{"test", true, {}}};
  failed.flow_conditions = {AppProtocolTest{"failed", false, {}}};
  Bench bench(CompileRules({is, is_not, failed}, p.options()));
  EXPECT_EQ(bench.Send("x"), Sids{}) << "not known yet: neither";
  bench.flow.app = &p.schema;
  EXPECT_EQ(bench.Send("x"), Sids{1});
  bench.flow.app = &p.other;
  EXPECT_EQ(bench.Send("x"), Sids{2});
  bench.flow.app = nullptr;
  bench.flow.app_failed = true;
  EXPECT_EQ(bench.Send("x"), (Sids{2, 3}));
}

// ------------------------------------------------------------------ stream

TEST(Stream, ContentAcrossSegmentsFiresOnceOnTheSegmentThatCompletesIt) {
  Bench bench(CompileRules({PayloadRule(1, {Content("evil")}, "tcp")}));
  bench.Tcp();
  EXPECT_EQ(bench.Segment("so ev"), Sids{});
  EXPECT_EQ(bench.Segment("il it is"), Sids{1});
  EXPECT_TRUE(bench.last.alerts[0].in_stream);
  EXPECT_EQ(bench.Segment("more"), Sids{});
  EXPECT_EQ(bench.Segment("evil"), Sids{1});
}

TEST(Stream, IsWantedByARuleThatLooksAtItBesideAField) {
  Rule rule = FieldRule(1, 0, {Content("longest fast pattern")});
  EXPECT_FALSE(CompileRules({rule})->wants_stream());
  Inspection payload;
  payload.tests = {Content("evil")};
  rule.inspections.push_back(payload);
  EXPECT_TRUE(CompileRules({rule})->wants_stream());
}

TEST(Stream, FastPatternFirstRestLater) {
  Rule rule = PayloadRule(1, {Content("longest fast pattern"), Content("tail")}, "tcp");
  Bench bench(CompileRules({rule}));
  bench.Tcp();
  EXPECT_EQ(bench.Segment("the longest fast pattern"), Sids{});
  EXPECT_EQ(bench.Segment(" ... "), Sids{});
  EXPECT_EQ(bench.Segment("tail"), Sids{1});
}

TEST(Stream, PacketRuleSeesTheSegmentOnly) {
  Rule rule = PayloadRule(1, {Content("evil")}, "tcp");
  rule.header.packet_only = true;
  Bench bench(CompileRules({rule}));
  bench.Tcp();
  EXPECT_EQ(bench.Segment("ev"), Sids{});
  EXPECT_EQ(bench.Segment("il"), Sids{});
  EXPECT_EQ(bench.Segment("evil"), Sids{1});
}

TEST(Stream, DepthCountsFromThePacketAndFromTheStreamStart) {
  ContentTest start = Content("evil");
  start.depth = Num(4);
  Bench bench(CompileRules({PayloadRule(1, {start}, "tcp")}));
  bench.Tcp();
  EXPECT_EQ(bench.Segment("ev"), Sids{});
  EXPECT_EQ(bench.Segment("il"), Sids{1}) << "the stream starts with it";
  EXPECT_EQ(bench.Segment("evil"), Sids{1}) << "the packet starts with it";
  EXPECT_EQ(bench.Segment("no evil"), Sids{});
}

TEST(Stream, UnreassembledSegmentIsInspectedAsPayload) {
  Bench bench(CompileRules({PayloadRule(1, {Content("evil")}, "tcp")}));
  bench.Tcp();
  EXPECT_EQ(bench.Send("evil"), Sids{1});
}

TEST(Stream, OnlyStreamLooksAtNoSegmentForItself) {
  Rule rule = PayloadRule(1, {Content("evil")}, "tcp");
  FlowTest flow;
  flow.only_stream = true;
  rule.flow_conditions.push_back(flow);
  Bench bench(CompileRules({rule}));
  bench.Tcp();
  EXPECT_EQ(bench.Send("evil"), Sids{}) << "data of a reset, say";
  EXPECT_EQ(bench.Segment("evil"), Sids{1});
}

// The law of cuts: however the segments fall, a content rule fires once.
TEST(Stream, EveryCutFiresOnce) {
  const std::string text = "..evil then tail..";
  ContentTest tail = Content("tail");
  tail.distance = Num(0);
  auto program = CompileRules(
      {PayloadRule(1, {Content("evil"), tail}, "tcp"), PayloadRule(2, {Content("then")}, "tcp")});
  for (size_t a = 1; a < text.size(); ++a) {
    for (size_t b = a + 1; b < text.size(); ++b) {
      Bench bench(program, {.threshold_entries = 8, .host_bits = 8});
      bench.Tcp();
      Sids all;
      for (const std::string& part : {text.substr(0, a), text.substr(a, b - a), text.substr(b)}) {
        for (uint32_t sid : bench.Segment(part)) all.push_back(sid);
      }
      std::sort(all.begin(), all.end());
      EXPECT_EQ(all, (Sids{1, 2})) << a << " " << b;
    }
  }
}

// ------------------------------------------------------------ transactions

TEST(Fields, FireOncePerTransaction) {
  TestProtocol p;
  Bench bench(CompileRules({FieldRule(1, 0, {Content("evil")})}, p.options()));
  TestTransaction t(p);
  EXPECT_EQ(bench.Look(t.tx), Sids{});
  t.Add(0, "an evil name");
  EXPECT_EQ(bench.Look(t.tx), Sids{1});
  EXPECT_EQ(bench.last.alerts[0].tx, &t.tx);
  EXPECT_EQ(bench.Look(t.tx), Sids{});
  TestTransaction next(p);
  next.tx.number = 1;
  next.Add(0, "evil again");
  EXPECT_EQ(bench.Look(next.tx), Sids{1});
  EXPECT_EQ(bench.last.alerts[0].tx_id, 1u);
}

TEST(Fields, AllContentsMustLieInOneValue) {
  TestProtocol p;
  Bench bench(CompileRules({FieldRule(1, 1, {Content("alpha"), Content("beta")})}, p.options()));
  TestTransaction apart(p), together(p);
  apart.Add(1, "alpha");
  apart.Add(1, "beta");
  EXPECT_EQ(bench.Look(apart.tx), Sids{});
  together.Add(1, "nothing");
  together.Add(1, "beta alpha");
  EXPECT_EQ(bench.Look(together.tx), Sids{1});
}

TEST(Fields, TwoFieldsMayComeInDifferentPackets) {
  TestProtocol p;
  Rule rule = FieldRule(1, 0, {Content("first")});
  Inspection second = FieldRule(0, 1, {Content("second")}).inspections[0];
  rule.inspections.push_back(second);
  Bench bench(CompileRules({rule}, p.options()));
  for (bool first_first : {true, false}) {
    TestTransaction t(p);
    t.Add(first_first ? 0 : 1, first_first ? "first" : "second");
    EXPECT_EQ(bench.Look(t.tx), Sids{});
    t.Add(first_first ? 1 : 0, first_first ? "second" : "first");
    EXPECT_EQ(bench.Look(t.tx), Sids{1}) << first_first;
  }
}

TEST(Fields, DirectionOfTheValueCounts) {
  TestProtocol p;
  Rule up = FieldRule(1, 1, {Content("evil")}), both = FieldRule(2, 1, {Content("evil")});
  up.flow_conditions = {ToServer()};
  Bench bench(CompileRules({up, both}, p.options()));
  TestTransaction t(p);
  t.Add(1, "evil", Direction::kToClient);
  EXPECT_EQ(bench.Look(t.tx, Direction::kToServer), Sids{});
  EXPECT_EQ(bench.Look(t.tx, Direction::kToClient), Sids{2});
}

TEST(Fields, NegatedContentNeedsTheFieldPresent) {
  TestProtocol p;
  ContentTest none = Content("good");
  none.negated = true;
  Bench bench(CompileRules({FieldRule(1, 0, {none})}, p.options()));
  TestTransaction absent(p), good(p), bad(p);
  absent.tx.stage[0] = 3;
  absent.tx.complete[0] = absent.tx.complete[1] = true;
  EXPECT_EQ(bench.Look(absent.tx), Sids{}) << "an absent buffer does not match";
  good.Add(0, "good");
  EXPECT_EQ(bench.Look(good.tx), Sids{});
  bad.Add(0, "bad");
  EXPECT_EQ(bench.Look(bad.tx), Sids{1});
}

TEST(Fields, CandidatesAreDroppedOnceTheStageIsPast) {
  TestProtocol p;
  Rule rule = FieldRule(1, 1, {Content("a longer note")});
  rule.inspections.push_back(FieldRule(0, 0, {Content("x")}).inspections[0]);
  Bench bench(CompileRules({rule}, p.options()));
  TestTransaction t(p);
  t.Add(1, "a longer note");
  bench.Look(t.tx);
  EXPECT_EQ(t.tx.inspection.candidates.size(), 1u);
  t.tx.stage[0] = 1;  // the name can no longer come
  bench.Look(t.tx);
  EXPECT_TRUE(t.tx.inspection.candidates.empty());
}

TEST(Fields, NumbersMatch) {
  TestProtocol p;
  Rule rule = MakeRule(1, "test");
  rule.numbers = {NumberInspection{3, "test.code", Uint(CompareOp::kGreaterEqual, 500), false, {}}};
  Bench bench(CompileRules({rule}, p.options()));
  for (uint64_t code : {404, 500}) {
    TestTransaction t(p);
    FieldValue& v = t.Add(3, "", Direction::kToClient);
    v.type = FieldType::kUint;
    v.number = code;
    EXPECT_EQ(bench.Look(t.tx, Direction::kToClient), code == 500 ? Sids{1} : Sids{});
  }
}

TEST(Fields, BodyWaitsForItsWindowOrItsEnd) {
  TestProtocol p;
  Bench bench(CompileRules({FieldRule(1, 2, {Content("evil")})}, p.options()),
              {.min_chunk = {10, 10}});
  TestTransaction t(p);
  std::string body = "evil";
  FieldValue& v = t.Add(2, "");
  v.type = FieldType::kChunks;
  v.complete = false;
  v.bytes = AsSlice(body);
  EXPECT_EQ(bench.Look(t.tx), Sids{}) << "4 of 10 bytes";
  t.tx.values[0].complete = true;
  EXPECT_EQ(bench.Look(t.tx), Sids{1});

  TestTransaction growing(p);
  FieldValue& g = growing.Add(2, "");
  g.type = FieldType::kChunks;
  g.complete = false;
  std::string longer = "0123456789";
  g.bytes = AsSlice(longer);
  EXPECT_EQ(bench.Look(growing.tx), Sids{});
  longer += "evil 012345";
  growing.tx.values[0].bytes = AsSlice(longer);
  EXPECT_EQ(bench.Look(growing.tx), Sids{1}) << "looked at again when doubled";
}

TEST(Fields, GrowingBodyIsNotScannedAtEachPacket) {
  TestProtocol p;
  Bench bench(CompileRules({FieldRule(1, 2, {Content("evil")})}, p.options()),
              {.min_chunk = {64, 64}});
  TestTransaction t(p);
  std::string body;
  FieldValue& v = t.Add(2, "");
  v.type = FieldType::kChunks;
  v.complete = false;
  for (int i = 0; i < 1000; ++i) {
    body += std::string(100, 'a');
    t.tx.values[0].bytes = AsSlice(body);
    bench.Look(t.tx);
  }
  EXPECT_LE(bench.detector.stats().scanned_bytes, 3 * body.size());
}

TEST(Fields, FileData) {
  TestProtocol p;
  Rule rule = MakeRule(1, "ip");
  Inspection i;
  i.kind = BufferKind::kFileData;
  i.tests = {Content("MZ")};
  rule.inspections = {i};
  Bench bench(CompileRules({rule}, p.options()));
  TestTransaction t(p);
  FileInfo& file = t.tx.files.emplace_back();
  file.direction = Direction::kToClient;
  const std::string data = "MZ....";
  file.data = AsSlice(data);
  EXPECT_EQ(bench.Look(t.tx, Direction::kToClient), Sids{});
  t.tx.files[0].closed = true;
  EXPECT_EQ(bench.Look(t.tx, Direction::kToServer), Sids{});
  EXPECT_EQ(bench.Look(t.tx, Direction::kToClient), Sids{1});
}

TEST(Fields, PayloadAndFieldBothNeeded) {
  TestProtocol p;
  Rule rule = FieldRule(1, 0, {Content("name")});
  rule.inspections.push_back(PayloadRule(0, {Content("raw")}).inspections[0]);
  Bench bench(CompileRules({rule}, p.options()));
  for (bool raw : {false, true}) {
    TestTransaction t(p);
    t.Add(0, "name");
    bench.Begin(raw ? "with raw" : "without");
    bench.detector.InspectPayload(false);
    bench.detector.InspectTransaction(t.tx, Direction::kToServer);
    EXPECT_EQ(bench.End(), raw ? Sids{1} : Sids{});
  }
}

TEST(Fields, Events) {
  TestProtocol p;
  Rule tx_rule = MakeRule(1, "test");
  tx_rule.flow_conditions = {AppEventTest{"test", "odd"}};
  Bench bench(CompileRules({tx_rule}, p.options()));
  bench.flow.app = &p.schema;
  TestTransaction t(p);
  t.tx.events.push_back({1, Direction::kToServer});
  EXPECT_EQ(bench.Look(t.tx), Sids{});
  t.tx.events.push_back({0, Direction::kToServer});
  EXPECT_EQ(bench.Look(t.tx), Sids{1});
  EXPECT_EQ(bench.Look(t.tx), Sids{});

  const FlowEvent event{&p.schema, 0, Direction::kToServer};
  bench.Begin("");
  bench.detector.InspectFlowEvents({&event, 1});
  EXPECT_EQ(bench.End(), Sids{1});
}

TEST(Fields, TransformsApplyToPrefilterAndConfirm) {
  TestProtocol p;
  Rule rule = FieldRule(1, 0, {Content(".evil.com")});
  rule.inspections[0].transforms = {{"dotprefix", ""}, {"to_lowercase", ""}};
  std::get<ContentTest>(rule.inspections[0].tests[0]).ends_with = true;
  Bench bench(CompileRules({rule}, p.options()));
  for (const auto& [name, hit] :
       {std::pair("EVIL.com", true), {"sub.evil.com", true}, {"notevil.com", false}}) {
    TestTransaction t(p);
    t.Add(0, name);
    EXPECT_EQ(bench.Look(t.tx), hit ? Sids{1} : Sids{}) << name;
  }
}

// ------------------------------------------------------------ order, limits

Rule Acting(uint32_t sid, Action action, uint8_t priority = 3) {
  Rule rule = PayloadRule(sid, {Content("evil")});
  rule.action = action;
  rule.priority = priority;
  return rule;
}

TEST(Order, ActionThenPriorityThenSid) {
  Bench bench(CompileRules({Acting(9, Action::kAlert), Acting(8, Action::kAlert),
                            Acting(7, Action::kAlert, 1), Acting(6, Action::kReject),
                            Acting(10, Action::kDrop)}));
  EXPECT_EQ(bench.Send("evil"), (Sids{10, 6, 7, 8, 9}));
  EXPECT_TRUE(bench.last.drop);
  EXPECT_EQ(bench.last.cause->sid, 10u);
}

TEST(Order, PassSilencesTheRest) {
  Bench bench(CompileRules(
      {Acting(1, Action::kAlert), Acting(2, Action::kDrop), Acting(3, Action::kPass)}));
  EXPECT_EQ(bench.Send("evil"), Sids{});
  EXPECT_TRUE(bench.last.pass);
  EXPECT_FALSE(bench.last.drop);
}

TEST(Order, ActionOrderIsAnOption) {
  CompileOptions options;
  options.action_order = {Action::kAlert, Action::kDrop, Action::kReject, Action::kPass};
  Bench bench(CompileRules({Acting(1, Action::kAlert), Acting(2, Action::kPass)}, options));
  EXPECT_EQ(bench.Send("evil"), Sids{1});
  EXPECT_TRUE(bench.last.pass);
}

TEST(Order, PassBehindADropDoesNotLiftIt) {
  CompileOptions options;
  options.action_order = {Action::kDrop, Action::kReject, Action::kPass, Action::kAlert};
  Bench bench(CompileRules({Acting(1, Action::kDrop), Acting(2, Action::kPass),
                            Acting(3, Action::kAlert)}, options));
  EXPECT_EQ(bench.Send("evil"), Sids{1}) << "the pass still ends the look at further rules";
  EXPECT_TRUE(bench.last.drop);
  EXPECT_FALSE(bench.last.pass);
  EXPECT_FALSE(bench.last.pass_flow) << "nor the looks at the packets that follow";
}

TEST(Order, RejectBehindADropIsCarriedOutToo) {
  Bench bench(CompileRules({Acting(1, Action::kDrop), Acting(2, Action::kRejectBoth)}));
  EXPECT_EQ(bench.Send("evil"), (Sids{1, 2}));
  EXPECT_EQ(bench.last.cause->sid, 1u);
  EXPECT_EQ(bench.last.reject, Action::kRejectBoth);
}

TEST(Limits, AlertsPerPacketAreCappedAndCounted) {
  std::vector<Rule> rules;
  for (uint32_t sid = 1; sid <= 20; ++sid) rules.push_back(Acting(sid, Action::kAlert));
  Bench bench(CompileRules(rules));
  EXPECT_EQ(bench.Send("evil").size(), 15u);
  EXPECT_EQ(bench.detector.stats().alerts_overflow, 5u);
}

TEST(Limits, NoalertStillDrops) {
  Rule rule = Acting(1, Action::kDrop);
  rule.no_alert = true;
  Bench bench(CompileRules({rule}));
  EXPECT_EQ(bench.Send("evil"), Sids{});
  EXPECT_TRUE(bench.last.drop);
}

TEST(Limits, RecursionIsBoundedAndCounted) {
  std::vector<BufferTest> tests;
  for (int i = 0; i < 8; ++i) {
    ContentTest t = Content("a");
    if (i) t.distance = Num(0);
    tests.emplace_back(t);
  }
  ContentTest never = Content("b");
  never.distance = Num(0);
  tests.emplace_back(never);
  ContentTest anchor = Content("bb");
  anchor.depth = Num(2);
  tests.insert(tests.begin(), anchor);
  Bench bench(CompileRules({PayloadRule(1, tests)}));
  EXPECT_EQ(bench.Send("bb" + std::string(200, 'a')), Sids{});
  EXPECT_EQ(bench.detector.stats().recursion_limit, 1u);
}

TEST(Limits, ExplodingExpressionIsCountedNotHung) {
  PcreTest t;
  t.pattern = "^(a+)+\\1$";  // a back reference: PCRE2
  CompileOptions options;
  options.pcre_match_limit = 1000;
  auto program = CompileRules({PayloadRule(1, {Content("aaaa"), t})}, options);
  EXPECT_EQ(program->EngineOf(program->rules().rules[0]).engine, RegexEngine::kPcre2);
  Bench bench(program);
  EXPECT_EQ(bench.Send(std::string(5000, 'a') + "!"), Sids{});
  EXPECT_GE(bench.detector.stats().regex_limit, 1u);
}

TEST(Reload, FlowsKeepWhatRulesHaveSet) {
  Rule setter = PayloadRule(1, {Content("set")}), reader = PayloadRule(2, {Content("read")});
  setter.flow_conditions = {Bit(FlowbitTest::Op::kSet, {0})};
  reader.flow_conditions = {Bit(FlowbitTest::Op::kIsSet, {0})};
  Bench bench(CompileRules({setter, reader}));
  bench.Send("set");
  bench.detector.SetProgram(CompileRules({reader}));
  EXPECT_EQ(bench.Send("read"), Sids{2});
}

TEST(Reload, AddressRulesHaveAnotherLookAtEachFlow) {
  Bench bench(CompileRules({MakeRule(1, "ip")}));
  EXPECT_EQ(bench.Send("x"), Sids{1});
  bench.detector.SetProgram(CompileRules({MakeRule(1, "ip"), MakeRule(2, "ip")}));
  EXPECT_EQ(bench.Send("x"), (Sids{1, 2}));
  EXPECT_EQ(bench.Send("x"), Sids{});
}

TEST(Reload, HashTellsSetsApartAndNotGenerations) {
  Rule a = PayloadRule(1, {Content("a")}), b = PayloadRule(2, {Content("b")});
  a.text = "a", b.text = "b";
  const auto first = CompileRules({a, b}), second = CompileRules({a, b}), other = CompileRules({a});
  EXPECT_EQ(first->hash(), second->hash());
  EXPECT_NE(first->hash(), other->hash());
  EXPECT_LT(first->generation(), second->generation());
}

TEST(Reload, NamesOfAnotherEpochAreForgotten) {
  Rule setter = PayloadRule(1, {Content("set")}), reader = PayloadRule(2, {Content("read")});
  setter.flow_conditions = {Bit(FlowbitTest::Op::kSet, {0})};
  reader.flow_conditions = {Bit(FlowbitTest::Op::kIsSet, {0})};
  Bench bench(CompileRules({setter, reader}));
  bench.Send("set");
  EXPECT_EQ(bench.Send("read"), Sids{2});
  bench.detector.SetProgram(CompileRules({setter, reader}, {}, 2));
  EXPECT_EQ(bench.Send("read"), Sids{});
}

TEST(Compile, NamesWhatItCannotRun) {
  PcreTest broken;
  broken.pattern = "(";
  Rule transform = PayloadRule(2, {Content("a")});
  transform.inspections[0].transforms = {{"to_klingon", ""}};
  transform.place = {"my.rules", 7};
  auto program =
      CompileRules({PayloadRule(1, {broken}), transform, PayloadRule(3, {Content("evil")})});
  ASSERT_EQ(program->problems().size(), 2u);
  EXPECT_EQ(program->problems()[1].sid, 2u);
  EXPECT_EQ(program->problems()[1].place.line, 7u);
  Bench bench(program);
  EXPECT_EQ(bench.Send("evil"), Sids{3});
}

TEST(Compile, PicksTheCheapestExactEngine) {
  const auto engine = [](const char* pattern, bool relative_next) {
    PcreTest t;
    t.pattern = pattern;
    std::vector<BufferTest> tests = {t};
    ContentTest after = Content("z");
    after.distance = Num(0);
    if (relative_next) tests.emplace_back(after);
    auto program = CompileRules({PayloadRule(1, tests)});
    return program->EngineOf(program->rules().rules[0]).engine;
  };
  EXPECT_EQ(engine("a[0-9]+b", false), RegexEngine::kHyperscan);
  EXPECT_EQ(engine("a[0-9]+b", true), RegexEngine::kRe2);
  EXPECT_EQ(engine("a(?!b)", false), RegexEngine::kPcre2);
  EXPECT_EQ(engine("(a)\\1", true), RegexEngine::kPcre2);
  EXPECT_EQ(engine("a$", true), RegexEngine::kPcre2) << "$ also matches before a final newline";
}

}  // namespace
}  // namespace sluice::testing
