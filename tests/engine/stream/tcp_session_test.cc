#include "engine/stream/tcp_session.h"

#include <algorithm>
#include <random>
#include <string>

#include "tests/engine/stream/session.h"

namespace sluice::testing {
namespace {

TEST_F(Session, PassiveHandsOnWhatIsAcknowledged) {
  Handshake();
  EXPECT_TRUE(session.established());
  Send(kC, kTcpAck | kTcpPsh, 1001, 5001, "GET");
  EXPECT_EQ(to.data[0], "");
  Send(kS, kTcpAck, 5001, 1004);
  EXPECT_EQ(to.data[0], "GET");
}

TEST_F(Session, InlineHandsOnAtOnce) {
  options.inline_mode = true;
  Handshake();
  Send(kC, kTcpAck | kTcpPsh, 1001, 5001, "GET");
  EXPECT_EQ(to.data[0], "GET");
}

TEST_F(Session, GapIsToldOnceThePeerHasAckedPastIt) {
  Handshake();
  Send(kC, kTcpAck, 1001, 5001, "aa");
  Send(kC, kTcpAck, 1006, 5001, "bb");  // three bytes never seen
  Send(kS, kTcpAck, 5001, 1003);
  EXPECT_EQ(to.data[0], "aa");
  Send(kS, kTcpAck, 5001, 1008);
  EXPECT_EQ(to.data[0], "aa<3>bb");
  EXPECT_EQ(stats.gaps, 1u);
  EXPECT_TRUE(session.had_gap(kC));
}

TEST_F(Session, SequenceNumbersMayWrap) {
  Handshake(0xfffffffd, 0xffffffff);
  Send(kC, kTcpAck, 0xfffffffe, 0, "abcd");
  Send(kC, kTcpAck, 2, 0, "ef");
  Send(kS, kTcpAck, 0, 4);
  EXPECT_EQ(to.data[0], "abcdef");
}

TEST_F(Session, WithoutHandshakeNothingIsTakenUp) {
  const auto outcome = Send(kC, kTcpAck, 1, 1, "x");
  EXPECT_FALSE(outcome.accepted);
  EXPECT_EQ(stats.no_session, 1u);
}

TEST_F(Session, MidstreamIsTakenUpWhenAsked) {
  options.midstream = true;
  Send(kC, kTcpAck, 100, 900, "x");
  Send(kS, kTcpAck, 900, 101, "y");
  EXPECT_EQ(to.data[0], "x");
  EXPECT_EQ(stats.midstream_pickups, 1u);
}

// It may be forged: what it ends is known when the flow ends.
TEST_F(Session, ResetClosesAndTheFlowsEndHandsOnTheRest) {
  Handshake();
  Send(kC, kTcpAck, 1001, 5001, "last");
  Send(kS, kTcpRst | kTcpAck, 5001, 1001);
  EXPECT_EQ(session.state(), TcpState::kClosed);
  EXPECT_FALSE(to.ended[0] || to.ended[1]);
  Flush();
  EXPECT_EQ(to.data[0], "last");
  EXPECT_TRUE(to.ended[0] && to.ended[1]);
}

TEST_F(Session, AForgedResetEndsNothing) {
  Handshake();
  Send(kC, kTcpRst | kTcpAck, 1001, 5001);
  Send(kC, kTcpAck, 1001, 5001, "GET");
  Send(kS, kTcpAck, 5001, 1004);
  EXPECT_EQ(to.data[0], "GET");
  EXPECT_EQ(session.state(), TcpState::kEstablished);
  EXPECT_EQ(to.events, std::vector{StreamEvent::kSuspectedRstInject});
}

TEST_F(Session, WhatTheOtherSideHadSentBeforeAResetIsTaken) {
  Handshake();
  Send(kC, kTcpRst | kTcpAck, 1001, 5001);
  Send(kS, kTcpAck, 5001, 1001, "late");
  Flush();
  EXPECT_EQ(to.data[1], "late");
  EXPECT_TRUE(to.events.empty());
}

TEST_F(Session, AnAnswerToAnyOfTheLatestSynsIsOne) {
  for (const uint32_t seq : {1000u, 7000u, 9000u}) Send(kC, kTcpSyn, seq, 0);
  Send(kS, kTcpSyn | kTcpAck, 5000, 7001);
  Send(kC, kTcpAck, 7001, 5001, "GET");
  Send(kS, kTcpAck, 5001, 7004);
  EXPECT_EQ(to.data[0], "GET");
}

TEST_F(Session, TheClientChoosesAmongAnswers) {
  Send(kC, kTcpSyn, 1000, 0);
  Send(kS, kTcpSyn | kTcpAck, 5000, 1001);
  Send(kS, kTcpSyn | kTcpAck, 777, 1001);  // forged
  Send(kC, kTcpAck, 1001, 5001);
  Send(kS, kTcpAck, 5001, 1001, "hello");
  Send(kC, kTcpAck, 1001, 5006);
  EXPECT_EQ(to.data[1], "hello");
}

// The server has not seen it, and may get other bytes.
TEST_F(Session, EarlyDataThatWasIgnoredIsLookedAtAgain) {
  for (const bool inline_mode : {false, true}) {
    session.Reset(pool);
    to = SessionRecorder{};
    options.inline_mode = inline_mode;
    Packet early;
    early.l4 = L4::kTcp;
    early.tcp.flags = kTcpSyn;
    early.tcp.seq = 1000;
    early.tcp.has_fast_open = true;
    early.payload = AsSlice("good");
    SendPacket(early, kC);
    Send(kS, kTcpSyn | kTcpAck, 5000, 1001);
    Send(kC, kTcpAck, 1001, 5001, "evil");
    Send(kS, kTcpAck, 5001, 1005);
    EXPECT_EQ(to.data[0], inline_mode ? "good|evil" : "evil");
  }
}

// Passive, nobody can tell what a server took that is never seen.
TEST_F(Session, WithoutTheServersSideNothingIsHandedOnUnlessAsked) {
  for (const bool oneside : {false, true}) {
    session.Reset(pool);
    to = SessionRecorder{};
    options.async_oneside = oneside;
    Send(kC, kTcpSyn, 1000, 0);
    Send(kC, kTcpAck, 1001, 5001, "GET");
    Flush();
    EXPECT_EQ(to.data[0], oneside ? "GET" : "");
  }
}

// The states are the server's.
TEST_F(Session, TheServerWaitsWhenTheClientClosesFirst) {
  Handshake();
  Send(kC, kTcpFin | kTcpAck, 1001, 5001);
  EXPECT_EQ(session.state(), TcpState::kCloseWait);
  Send(kS, kTcpAck, 5001, 1002);
  EXPECT_EQ(session.state(), TcpState::kCloseWait);
  Send(kS, kTcpFin | kTcpAck, 5001, 1002);
  EXPECT_EQ(session.state(), TcpState::kLastAck);
}

TEST_F(Session, TheServerThatClosesFirstWaitsForTheClient) {
  Handshake();
  Send(kS, kTcpFin | kTcpAck, 5001, 1001);
  EXPECT_EQ(session.state(), TcpState::kFinWait1);
  Send(kC, kTcpAck, 1001, 5002);
  EXPECT_EQ(session.state(), TcpState::kFinWait2);
  Send(kC, kTcpFin | kTcpAck, 1001, 5002);
  EXPECT_EQ(session.state(), TcpState::kTimeWait);
  Send(kS, kTcpAck, 5002, 1002);
  EXPECT_EQ(session.state(), TcpState::kClosed);
}

TEST_F(Session, FinsOfBothSidesClose) {
  Handshake();
  Send(kC, kTcpFin | kTcpAck, 1001, 5001);
  EXPECT_EQ(session.state(), TcpState::kCloseWait);
  Send(kS, kTcpFin | kTcpAck, 5001, 1002);
  Send(kC, kTcpAck, 1002, 5002);
  EXPECT_EQ(session.state(), TcpState::kClosed);
  EXPECT_TRUE(to.ended[0] && to.ended[1]);
}

TEST_F(Session, ASynAfterTheEndIsReuse) {
  Handshake();
  Send(kS, kTcpRst | kTcpAck, 5001, 1001);
  EXPECT_TRUE(Send(kC, kTcpSyn, 77, 0).reuse);
}

TEST_F(Session, ARefusedSynSentAgainIsOfTheSameConnection) {
  Send(kC, kTcpSyn, 1000, 0);
  Send(kS, kTcpRst | kTcpAck, 0, 1001);
  EXPECT_EQ(session.state(), TcpState::kClosed);
  EXPECT_FALSE(Send(kC, kTcpSyn, 1000, 0).reuse);
  Send(kS, kTcpSyn | kTcpAck, 5000, 1001);
  Send(kC, kTcpAck, 1001, 5001);
  EXPECT_EQ(session.state(), TcpState::kEstablished);
  Send(kC, kTcpAck, 1001, 5001, "hello");
  Send(kS, kTcpAck, 5001, 1006);
  EXPECT_EQ(to.data[0], "hello");
}

TEST_F(Session, ANumberUsedAgainAfterTheEndIsReuse) {
  Handshake();
  Send(kS, kTcpRst | kTcpAck, 5001, 1001);
  EXPECT_TRUE(Send(kC, kTcpSyn, 1000, 0).reuse);
}

// One forged packet must not blind us: the hosts ignore it and carry on.
TEST_F(Session, ForgedSegmentsDoNotEndTheStream) {
  struct Forgery {
    uint8_t flags;
    uint32_t seq;
  };
  for (const Forgery& f : {Forgery{kTcpRst, 1001 + 0x20000000}, Forgery{kTcpRst, 900},
                           Forgery{kTcpSyn, 77}, Forgery{kTcpFin | kTcpAck, 1003},
                           Forgery{kTcpFin | kTcpAck, 1001 + 0x20000000}}) {
    session.Reset(pool);
    session = TcpSession{};
    to = SessionRecorder{};
    Handshake();
    Send(kC, kTcpAck, 1001, 5001, "ATTACK");
    Send(kS, kTcpAck, 5001, 1007);
    EXPECT_FALSE(Send(kC, f.flags, f.seq, 5001).reuse);
    Send(kC, kTcpAck, 1007, 5001, "MORE");
    Send(kS, kTcpAck, 5001, 1011);
    EXPECT_EQ(to.data[0], "ATTACKMORE") << int{f.flags} << " " << f.seq;
  }
}

TEST_F(Session, DepthEndsReassemblyAndCountsOnce) {
  options.depth = 4;
  Handshake();
  Send(kC, kTcpAck, 1001, 5001, "abcdef");
  Send(kC, kTcpAck, 1007, 5001, "gh");
  Send(kS, kTcpAck, 5001, 1009);
  EXPECT_EQ(to.data[0], "abcd");
  EXPECT_EQ(stats.depth_reached, 1u);
}

TEST_F(Session, FarOutOfWindowIsIgnoredWithAnEvent) {
  Handshake();
  Send(kC, kTcpAck, 1001 + (1u << 25), 5001, "x");
  EXPECT_EQ(stats.out_of_window, 1u);
  ASSERT_FALSE(to.events.empty());
  EXPECT_EQ(to.events[0], StreamEvent::kEstPacketOutOfWindow);
}

TEST_F(Session, LiveALongJumpIsAGapNotAnError) {
  options.inline_mode = true;
  options.depth = 0;
  Handshake();
  Send(kC, kTcpAck, 1001 + (1u << 25), 5001, "x");
  Send(kS, kTcpAck, 5001, 1002 + (1u << 25));
  EXPECT_EQ(to.data[0], "<33554432>x");
}

TEST_F(Session, BadChecksumIsNotOfTheStream) {
  Handshake();
  Packet packet;
  packet.tcp.flags = kTcpAck;
  packet.bad_l4_checksum = true;
  EXPECT_FALSE(session.OnPacket(packet, kC, options, pool, stats, to).accepted);
  EXPECT_EQ(stats.invalid_checksum, 1u);
}

TEST_F(Session, GarbageJustPastTheWindowDoesNotWinOverTheRealBytes) {
  options.overlap = OverlapPolicy::kFirst;
  Handshake();
  Send(kC, kTcpAck, 1001 + 65535, 5001, "XX");
  EXPECT_EQ(stats.out_of_window, 1u);
  const std::string first(65535, 'a');
  Send(kC, kTcpAck, 1001, 5001, first);
  Send(kS, kTcpAck, 5001, 1001 + 65535);
  Send(kC, kTcpAck, 1001 + 65535, 5001, "ok");
  Send(kS, kTcpAck, 5001, 1001 + 65537);
  EXPECT_EQ(to.data[0], first + "ok");
}

TEST_F(Session, OfASegmentAcrossTheWindowsEndTheFrontIsKept) {
  options.overlap = OverlapPolicy::kFirst;
  Handshake();
  Send(kC, kTcpAck, 1001, 5001, std::string(65534, 'a') + "bXX");
  Send(kS, kTcpAck, 5001, 1001 + 65535);
  Send(kC, kTcpAck, 1001 + 65535, 5001, "ok");
  Send(kS, kTcpAck, 5001, 1001 + 65537);
  EXPECT_EQ(to.data[0].substr(65534), "bok");
}

TEST_F(Session, AnAckOfWhatWasNotSentYetDoesNotMakeItAGap) {
  Handshake();
  Send(kS, kTcpAck, 5001, 1001 + 1000);
  Send(kC, kTcpAck, 1001, 5001, "GET");
  Send(kS, kTcpAck, 5001, 1004);
  EXPECT_EQ(to.data[0], "GET");
  EXPECT_EQ(stats.gaps, 0u);
}

TEST_F(Session, AnAckPastTheWindowIsAnEventAndNothingElse) {
  Handshake();
  Send(kS, kTcpAck, 5001, 1001 + 65536);
  EXPECT_EQ(to.events, (std::vector{StreamEvent::kPktInvalidAck, StreamEvent::kEstInvalidAck}));
  session.Flush(options, pool, stats, to);
  EXPECT_EQ(stats.gaps, 0u);
}

TEST_F(Session, AtTheEndWhatLiesBehindAHoleThatNobodyAcknowledgedIsToldApart) {
  Handshake();
  Send(kC, kTcpAck, 1001, 5001, "aa");
  Send(kC, kTcpAck, 1006, 5001, "bb");
  session.Flush(options, pool, stats, to);
  EXPECT_EQ(to.data[0], "aa{3}bb");
  EXPECT_EQ(stats.gaps, 0u);
  EXPECT_EQ(stats.hole_bytes, 3u);
  EXPECT_TRUE(to.events.empty());
}

TEST_F(Session, AtTheEndWhatWasAcknowledgedUnseenIsACountedGap) {
  Handshake();
  Send(kC, kTcpAck, 1001, 5001, "aa");
  Send(kS, kTcpAck, 5001, 1001 + 12);
  EXPECT_EQ(to.data[0], "aa");
  session.Flush(options, pool, stats, to);
  EXPECT_EQ(to.data[0], "aa<10>");
  EXPECT_EQ(stats.gap_bytes, 10u);
}

TEST_F(Session, AtTheEndTheSideThatSentAResetComesFirst) {
  for (const Direction reset_by : {kC, kS}) {
    session.Reset(pool);
    to = {};
    Handshake();
    Send(kC, kTcpAck, 1001, 5001, "GET");
    Send(kS, kTcpAck, 5001, 1001, "200");
    Send(reset_by, kTcpRst, reset_by == kC ? 1004 : 5004, 0);
    Flush();
    EXPECT_EQ(to.first_end, reset_by);
    EXPECT_EQ(to.read_by_then, reset_by == kC ? "GET" : "200");
    EXPECT_EQ(to.data[0] + to.data[1], "GET200");
  }
}

TEST_F(Session, ADirectionThatIsNotWantedHasNoGaps) {
  Handshake();
  session.StopReassembly(kC);
  Send(kC, kTcpAck, 1001, 5001, "aa");
  Send(kS, kTcpAck, 5001, 1003);
  session.Flush(options, pool, stats, to);
  EXPECT_EQ(stats.gaps, 0u);
  EXPECT_FALSE(session.had_gap(kC));
}

// RFC 7323 §5: PAWS.
class Timestamps : public Session {
 protected:
  void Send(Direction d, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t value,
            std::string_view payload = "", Nanos time = Nanos{}) {
    Packet packet;
    packet.l4 = L4::kTcp;
    packet.time = time;
    packet.tcp = {.seq = seq, .ack = ack, .window = 65535, .flags = flags, .has_timestamp = true,
                  .ts_value = value};
    packet.payload = AsSlice(payload);
    session.OnPacket(packet, d, options, pool, stats, to);
  }
  void Open(uint32_t client) {
    Send(kC, kTcpSyn, 1000, 0, client);
    Send(kS, kTcpSyn | kTcpAck, 5000, 1001, 900);
    Send(kC, kTcpAck, 1001, 5001, client);
  }
};

TEST_F(Timestamps, AnOlderOneIsNotTaken) {
  Open(100);
  Send(kC, kTcpAck, 1001, 5001, 99, "EVIL");
  EXPECT_EQ(to.events, std::vector{StreamEvent::kPktInvalidTimestamp});
  EXPECT_EQ(stats.invalid_timestamp, 1u);
  Send(kC, kTcpAck, 1001, 5001, 101, "GOOD");
  Send(kS, kTcpAck, 5001, 1005, 901);
  EXPECT_EQ(to.data[0], "GOOD");
}

// A host that has lost its state knows no clock either: its reset must end the connection.
TEST_F(Timestamps, AResetCountsWithAnOlderOneToo) {
  Open(100);
  Send(kC, kTcpRst, 1001, 0, 0);
  EXPECT_EQ(to.events, std::vector{StreamEvent::kPktInvalidTimestamp});
  EXPECT_EQ(session.state(), TcpState::kClosed);
}

TEST_F(Timestamps, TheyMayWrap) {
  Open(0xffffffff);
  Send(kC, kTcpAck, 1001, 5001, 3, "GOOD");
  Send(kS, kTcpAck, 5001, 1005, 901);
  EXPECT_EQ(to.data[0], "GOOD");
  EXPECT_TRUE(to.events.empty());
}

TEST_F(Timestamps, OneOutOfOrderDoesNotMoveTheClock) {
  Open(100);
  Send(kC, kTcpAck, 1005, 5001, 300, "DATA");
  Send(kC, kTcpAck, 1001, 5001, 200, "GOOD");
  Send(kS, kTcpAck, 5001, 1009, 901);
  EXPECT_EQ(to.data[0], "GOODDATA");
}

TEST_F(Timestamps, After24IdleDaysAnyIsTaken) {
  Open(100);
  Send(kC, kTcpAck, 1001, 5001, 50, "GOOD", std::chrono::hours{24 * 24 + 1});
  Send(kS, kTcpAck, 5001, 1005, 901, "", std::chrono::hours{24 * 24 + 1});
  EXPECT_EQ(to.data[0], "GOOD");
}

TEST_F(Timestamps, WithoutNegotiationTheyMeanNothing) {
  Session::Send(kC, kTcpSyn, 1000, 0);
  Timestamps::Send(kS, kTcpSyn | kTcpAck, 5000, 1001, 900);
  Timestamps::Send(kC, kTcpAck, 1001, 5001, 100, "GO");
  Timestamps::Send(kC, kTcpAck, 1003, 5001, 99, "OD");
  Timestamps::Send(kS, kTcpAck, 5001, 1005, 901);
  EXPECT_EQ(to.data[0], "GOOD");
}

struct SynDataCase {
  const char* name;
  bool fast_open, inline_mode;
  uint32_t taken;  // bytes that the answer acknowledges
  std::string at_answer, at_end;
};
class SynData : public Session, public ::testing::WithParamInterface<SynDataCase> {};

TEST_P(SynData, IsOfTheStreamIfTheServerTakesIt) {
  const SynDataCase& c = GetParam();
  options.inline_mode = c.inline_mode;
  Packet packet;
  packet.l4 = L4::kTcp;
  packet.tcp.flags = kTcpSyn;
  packet.tcp.seq = 1000;
  packet.tcp.window = 65535;
  packet.tcp.has_fast_open = c.fast_open;
  packet.payload = AsSlice("early");
  for (int again = 0; again < 2; ++again) EXPECT_EQ(SendPacket(packet, kC).in_stream, c.fast_open);
  EXPECT_EQ(to.data[0], c.fast_open && c.inline_mode ? "early" : "");
  Send(kS, kTcpSyn | kTcpAck, 5000, 1001 + c.taken);
  EXPECT_EQ(to.data[0], c.at_answer);
  Send(kC, kTcpAck, 1001 + c.taken, 5001, "later");
  Send(kS, kTcpAck, 5001, 1006 + c.taken);
  EXPECT_EQ(to.data[0], c.at_end);
}
const SynDataCase kSynData[] = {
    {"FastOpenTaken", true, true, 5, "early", "earlylater"},
    {"FastOpenIgnored", true, true, 0, "early|", "early|later"},
    {"FastOpenTakenPassive", true, false, 5, "", "earlylater"},
    {"PlainTaken", false, true, 5, "early", "earlylater"},
    {"PlainTakenPassive", false, false, 5, "early", "earlylater"},
    {"PlainIgnored", false, true, 0, "", "later"},
    {"PlainIgnoredPassive", false, false, 0, "", "later"},
};
INSTANTIATE_TEST_SUITE_P(Rfc7413, SynData, ::testing::ValuesIn(kSynData),
                         [](const auto& c) { return c.param.name; });

TEST_F(Session, OfOneSideAloneDataOfASynIsOfTheStreamOnceItGoesOn) {
  options.async_oneside = true;
  Send(kC, kTcpSyn, 1000, 0, "early");
  Send(kC, kTcpAck, 1006, 5001, "later");
  EXPECT_EQ(to.data[0], "earlylater");
}

TEST_F(Session, DataOfASynThatNobodyAnswersIsNoStream) {
  Send(kC, kTcpSyn, 1000, 0, "early");
  Flush();
  EXPECT_EQ(to.data[0], "");
  EXPECT_TRUE(to.ended[0]);
  EXPECT_EQ(pool.in_use(), 0u);
}

struct UrgentCase {
  const char* name;
  UrgentPolicy policy;
  std::string payload;
  uint16_t pointer;
  std::string expected;  // between "<" and ">", which are sent around it
};
class Urgent : public Session, public ::testing::WithParamInterface<UrgentCase> {};

TEST_P(Urgent, IsWhatThePolicySaysInAnyOrder) {
  const UrgentCase& c = GetParam();
  const auto end = static_cast<uint32_t>(1002 + c.payload.size());
  for (const bool inline_mode : {false, true}) {
    for (const bool last_first : {false, true}) {
      session.Reset(pool);
      to = SessionRecorder{};
      options.inline_mode = inline_mode;
      options.urgent = c.policy;
      Handshake();
      if (last_first) Send(kC, kTcpAck, end, 5001, "]");
      Send(kC, kTcpAck, 1001, 5001, "[");
      SendUrgent(kC, 1002, 5001, c.payload, c.pointer);
      SendUrgent(kC, 1002, 5001, c.payload, c.pointer);
      if (!last_first) Send(kC, kTcpAck, end, 5001, "]");
      Send(kS, kTcpAck, 5001, end + 1);
      EXPECT_EQ(to.data[0], "[" + c.expected + "]") << inline_mode << last_first;
      EXPECT_EQ(pool.in_use(), 0u);
    }
  }
}
const UrgentCase kUrgentCases[] = {
    {"OneByteAlone", UrgentPolicy::kOutOfBand, "X", 1, ""},
    {"TheLastByte", UrgentPolicy::kOutOfBand, "abX", 3, "ab"},
    {"ByteInTheMiddle", UrgentPolicy::kOutOfBand, "aXb", 2, "ab"},
    {"PointerPastTheSegmentMeansNothing", UrgentPolicy::kOutOfBand, "ab", 3, "ab"},
    {"PointerZeroMeansNothing", UrgentPolicy::kOutOfBand, "ab", 0, "ab"},
    {"InlineIsKept", UrgentPolicy::kInline, "aXb", 2, "aXb"},
    {"GapIsLost", UrgentPolicy::kGap, "aXb", 2, "a<1>b"},
};
INSTANTIATE_TEST_SUITE_P(Rfc6093, Urgent, ::testing::ValuesIn(kUrgentCases),
                         [](const auto& c) { return c.param.name; });

TEST_F(Session, UrgentPacketsAreDroppedWhereTheyCanBe) {
  options.urgent = UrgentPolicy::kDrop;
  options.inline_mode = options.drops_packets = true;
  Handshake();
  EXPECT_TRUE(SendUrgent(kC, 1001, 5001, "Xa", 1).drop);
  EXPECT_EQ(to.data[0], "");
  // Live the host has it already: it is looked at as the host reads it.
  options.drops_packets = false;
  EXPECT_FALSE(SendUrgent(kC, 1001, 5001, "Xa", 1).drop);
  EXPECT_EQ(to.data[0], "a");
}

TEST_F(Session, PastTheLimitUrgentPacketsThatCannotBeDroppedAreStillRead) {
  options.inline_mode = true;
  options.depth = 0;
  Handshake();
  uint32_t at = 1001;
  for (; at < 1001 + 2 * 65540u; at += 2) SendUrgent(kC, at, 5001, "!a", 1);
  EXPECT_EQ(to.data[0], std::string(65540, 'a'));
  EXPECT_EQ(stats.events[static_cast<size_t>(StreamEvent::kReassemblyUrgentOobLimitReached)], 5u);
}

// Any cut and any order of the segments gives the same bytes, both ways to hand on.
TEST_F(Session, EveryCutAndOrderGivesTheSameBytes) {
  std::mt19937 random(11);
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>('a' + i % 26);
  for (int round = 0; round < 400; ++round) {
    session.Reset(pool);
    session = TcpSession{};
    to = SessionRecorder{};
    options.inline_mode = round % 2 == 0;
    Handshake();
    std::vector<std::pair<size_t, size_t>> parts;  // offset, length
    for (size_t at = 0; at < text.size();) {
      const size_t len = std::min<size_t>(1 + random() % 40, text.size() - at);
      parts.emplace_back(at, len);
      at += len;
    }
    std::shuffle(parts.begin(), parts.end(), random);
    for (const auto& [at, len] : parts) {
      Send(kC, kTcpAck, static_cast<uint32_t>(1001 + at), 5001, std::string_view(text).substr(at, len));
    }
    Send(kS, kTcpAck, 5001, static_cast<uint32_t>(1001 + text.size()));
    ASSERT_EQ(to.data[0], text) << round;
  }
}

}  // namespace
}  // namespace sluice::testing
