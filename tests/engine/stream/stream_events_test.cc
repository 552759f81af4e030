// Each event is raised where it happens, once a packet, and counted: a line for each.
#include "engine/stream/stream_events.h"

#include <algorithm>
#include <set>

#include "tests/engine/stream/session.h"

namespace sluice::testing {
namespace {

constexpr uint8_t kA = kTcpAck, kSA = kTcpSyn | kTcpAck, kFA = kTcpFin | kTcpAck;

// Beyond what a window holds; before the start.
constexpr uint32_t kFar = 0x20000000;

class Scenes : public Session {
 public:
  void TestBody() override {}
  using Session::Handshake;
  using Session::Send;
  using Session::SendUrgent;
  using Session::SendPacket;
  using Session::Flush;
  using Session::options;
  using Session::pool;
  using Session::stats;
  using Session::to;

  void Fin(Direction d) {  // of the first byte, with what the other side has sent so far
    d == kC ? Send(kC, kFA, 1001, 5001) : Send(kS, kFA, 5001, 1001);
  }
  void Ack(Direction d) {  // of the other's FIN
    d == kC ? Send(kC, kA, 1001, 5002) : Send(kS, kA, 5001, 1002);
  }
  void Syn() { Send(kC, kTcpSyn, 1000, 0); }
  void SynAck() { Send(kS, kSA, 5000, 1001); }
  void Exchange() {  // ten bytes each way, acknowledged
    Handshake();
    Send(kC, kA, 1001, 5001, "0123456789");
    Send(kS, kA, 5001, 1011, "0123456789");
    Send(kC, kA, 1011, 5011);
  }
  // FIN states: who has sent one, and who has acknowledged the other's.
  void To(TcpState state) {
    Handshake();
    switch (state) {
      case TcpState::kFinWait1: return Fin(kS);
      case TcpState::kFinWait2: return Fin(kS), Ack(kC);
      case TcpState::kCloseWait: return Fin(kC);
      case TcpState::kClosing: return Fin(kS), void(Send(kC, kFA, 1001, 5001));
      case TcpState::kTimeWait: return Fin(kS), void(Send(kC, kFA, 1001, 5001)), void(Send(kS, kA, 5002, 1002));
      case TcpState::kLastAck: return Fin(kC), void(Send(kS, kFA, 5001, 1001));
      default: return;
    }
  }
};

using Play = void (*)(Scenes&);
struct EventCase {
  StreamEvent event;
  Play play;
};
using E = StreamEvent;

void InvalidAck(Scenes& s, TcpState state) { s.To(state), s.Send(kC, kA, 1001, 5001 + kFar); }
void FarAhead(Scenes& s, TcpState state, uint8_t flags = kA) {
  s.To(state), s.Send(kC, flags, 1001 + kFar, 5001, "far ahead");
}

const EventCase kCases[] = {
    {E::k3whsAckInWrongDir, [](Scenes& s) { s.Syn(), s.SynAck(), s.Send(kS, kA, 5001, 1001); }},
    {E::k3whsAsyncWrongSeq,
     [](Scenes& s) { s.options.async_oneside = true, s.Syn(), s.Send(kC, kA, 1050, 5001, "x"); }},
    {E::k3whsRightSeqWrongAck, [](Scenes& s) { s.Syn(), s.SynAck(), s.Send(kC, kA, 1001, 5001 + kFar); }},
    {E::k3whsWrongSeqWrongAck, [](Scenes& s) { s.Syn(), s.SynAck(), s.Send(kC, kA, 1001 + kFar, 5001 + kFar); }},
    {E::k3whsSynackInWrongDirection, [](Scenes& s) { s.Syn(), s.Send(kC, kSA, 1000, 1); }},
    {E::k3whsSynackResendDifferentAck, [](Scenes& s) { s.Syn(), s.SynAck(), s.Send(kS, kSA, 5000, 1009); }},
    {E::k3whsSynackResendDifferentSeq, [](Scenes& s) { s.Syn(), s.SynAck(), s.Send(kS, kSA, 5009, 1001); }},
    {E::k3whsSynackToServer, [](Scenes& s) { s.Syn(), s.SynAck(), s.Send(kC, kSA, 1000, 5001); }},
    {E::k3whsSynackWrongAck, [](Scenes& s) { s.Syn(), s.Send(kS, kSA, 5000, 1234); }},
    {E::k3whsSynackFlood,
     [](Scenes& s) {
       s.Syn();
       for (uint32_t i = 0; i < 7; ++i) s.Send(kS, kSA, 5000 + i, 1001);
     }},
    {E::k3whsSynResendDifferentSeq, [](Scenes& s) { s.Syn(), s.SynAck(), s.Send(kC, kTcpSyn, 1009, 0); }},
    {E::k3whsSynToClient, [](Scenes& s) { s.Syn(), s.SynAck(), s.Send(kS, kTcpSyn, 5000, 0); }},
    {E::k3whsSynFlood,
     [](Scenes& s) {
       for (uint32_t i = 0; i < 12; ++i) s.Send(kC, kTcpSyn, 1000 + i, 0);
     }},
    {E::k3whsSynackTfoDataIgnored,
     [](Scenes& s) {
       Packet packet;
       packet.l4 = L4::kTcp;
       packet.tcp.flags = kTcpSyn;
       packet.tcp.seq = 1000;
       packet.tcp.has_fast_open = true;
       packet.payload = AsSlice("early");
       s.SendPacket(packet, kC), s.SynAck();
     }},
    {E::k3whsAckDataInject, [](Scenes& s) { s.Syn(), s.SynAck(), s.Send(kS, kA, 5001, 1001, "x"); }},
    {E::k4whsSynackWrongAck, [](Scenes& s) { s.Syn(), s.Send(kS, kTcpSyn, 5000, 0), s.Send(kC, kSA, 1000, 9); }},
    {E::k4whsSynackWrongSyn, [](Scenes& s) { s.Syn(), s.Send(kS, kTcpSyn, 5000, 0), s.Send(kC, kSA, 1009, 5001); }},
    {E::k4whsWrongSeq,
     [](Scenes& s) {
       s.Syn(), s.Send(kS, kTcpSyn, 5000, 0), s.Send(kC, kSA, 1000, 5001);
       s.Send(kC, kA, 1001 + kFar, 5001);
     }},
    {E::k4whsInvalidAck,
     [](Scenes& s) {
       s.Syn(), s.Send(kS, kTcpSyn, 5000, 0), s.Send(kC, kSA, 1000, 5001);
       s.Send(kC, kA, 1001, 5001 + kFar);
     }},
    {E::kEstPacketOutOfWindow, [](Scenes& s) { FarAhead(s, TcpState::kEstablished); }},
    {E::kEstPktBeforeLastAck, [](Scenes& s) { s.Exchange(), s.Send(kC, kA, 1001, 5011, "01"); }},
    {E::kEstSynackResend, [](Scenes& s) { s.Handshake(), s.SynAck(); }},
    {E::kEstSynackResendDifferentAck, [](Scenes& s) { s.Handshake(), s.Send(kS, kSA, 5000, 1009); }},
    {E::kEstSynackResendDifferentSeq, [](Scenes& s) { s.Handshake(), s.Send(kS, kSA, 5009, 1001); }},
    {E::kEstSynackToServer, [](Scenes& s) { s.Handshake(), s.Send(kC, kSA, 1000, 5001); }},
    {E::kEstSynResend, [](Scenes& s) { s.Handshake(), s.Syn(); }},
    {E::kEstSynResendDifferentSeq, [](Scenes& s) { s.Handshake(), s.Send(kC, kTcpSyn, 1009, 0); }},
    {E::kEstSynToClient, [](Scenes& s) { s.Handshake(), s.Send(kS, kTcpSyn, 5000, 0); }},
    {E::kEstInvalidAck, [](Scenes& s) { InvalidAck(s, TcpState::kEstablished); }},
    {E::kFinInvalidAck, [](Scenes& s) { s.Handshake(), s.Send(kC, kFA, 1001, 5001 + kFar); }},
    {E::kFinOutOfWindow, [](Scenes& s) { s.Handshake(), s.Send(kC, kFA, 1001 + kFar, 5001); }},
    {E::kFinSyn, [](Scenes& s) { s.Send(kC, kTcpSyn | kTcpFin, 1000, 0); }},
    {E::kFin1AckWrongSeq, [](Scenes& s) { FarAhead(s, TcpState::kFinWait1); }},
    {E::kFin1FinWrongSeq, [](Scenes& s) { FarAhead(s, TcpState::kFinWait1, kFA); }},
    {E::kFin1InvalidAck, [](Scenes& s) { InvalidAck(s, TcpState::kFinWait1); }},
    {E::kFin2AckWrongSeq, [](Scenes& s) { FarAhead(s, TcpState::kFinWait2); }},
    {E::kFin2FinWrongSeq, [](Scenes& s) { FarAhead(s, TcpState::kFinWait2, kFA); }},
    {E::kFin2InvalidAck, [](Scenes& s) { InvalidAck(s, TcpState::kFinWait2); }},
    {E::kCloseWaitAckOutOfWindow, [](Scenes& s) { FarAhead(s, TcpState::kCloseWait); }},
    {E::kCloseWaitFinOutOfWindow,
     [](Scenes& s) { s.To(TcpState::kCloseWait), s.Send(kS, kFA, 5001 + kFar, 1002, "x"); }},
    {E::kCloseWaitPktBeforeLastAck,
     [](Scenes& s) {
       s.Exchange(), s.Send(kC, kFA, 1011, 5011);
       s.Send(kC, kA, 1001, 5011, "01");
     }},
    {E::kCloseWaitInvalidAck, [](Scenes& s) { InvalidAck(s, TcpState::kCloseWait); }},
    {E::kClosingAckWrongSeq, [](Scenes& s) { FarAhead(s, TcpState::kClosing); }},
    {E::kClosingInvalidAck, [](Scenes& s) { InvalidAck(s, TcpState::kClosing); }},
    {E::kLastAckAckWrongSeq, [](Scenes& s) { FarAhead(s, TcpState::kLastAck); }},
    {E::kLastAckInvalidAck, [](Scenes& s) { InvalidAck(s, TcpState::kLastAck); }},
    {E::kTimeWaitAckWrongSeq, [](Scenes& s) { FarAhead(s, TcpState::kTimeWait); }},
    {E::kTimeWaitInvalidAck, [](Scenes& s) { InvalidAck(s, TcpState::kTimeWait); }},
    {E::kShutdownSynResend, [](Scenes& s) { s.To(TcpState::kFinWait1), s.Syn(); }},
    {E::kFinButNoSession, [](Scenes& s) { s.Fin(kC); }},
    {E::kRstButNoSession, [](Scenes& s) { s.Send(kC, kTcpRst, 1001, 0); }},
    {E::kRstInvalidAck, [](Scenes& s) { s.Handshake(), s.Send(kC, kTcpRst | kA, 1001 + kFar, 5001); }},
    {E::kSuspectedRstInject,
     [](Scenes& s) { s.Handshake(), s.Send(kC, kTcpRst | kA, 1001, 5001), s.Send(kC, kA, 1001, 5001, "x"); }},
    {E::kPktInvalidTimestamp,
     [](Scenes& s) {
       s.Syn();
       Packet packet;
       packet.l4 = L4::kTcp;
       packet.tcp.flags = kTcpRst | kA;
       packet.tcp.ack = 1001;
       packet.tcp.has_timestamp = true;  // that the client did not ask for
       s.SendPacket(packet, kS);
     }},
    {E::kPktInvalidAck, [](Scenes& s) { InvalidAck(s, TcpState::kEstablished); }},
    {E::kPktBrokenAck, [](Scenes& s) { s.Handshake(), s.Send(kC, 0, 1001, 77, "x"); }},
    {E::kPktBadWindowUpdate, [](Scenes& s) { s.Exchange(), s.Send(kC, kA, 1011, 5011, "", 10); }},
    {E::kPktRetransmission,
     [](Scenes& s) {
       s.Exchange(), s.Send(kC, kFA, 1011, 5011);
       s.Send(kC, kA, 1001, 5011, "0123456789");
     }},
    {E::kPktSpuriousRetransmission, [](Scenes& s) { s.Exchange(), s.Send(kC, kA, 1001, 5011, "0123456789"); }},
    {E::kReassemblySegmentBeforeBaseSeq, [](Scenes& s) { s.Handshake(), s.Send(kC, kA, 990, 5001, "0123456789abcdef"); }},
    {E::kReassemblySeqGap,
     [](Scenes& s) { s.Handshake(), s.Send(kC, kA, 1006, 5001, "x"), s.Send(kS, kA, 5001, 1007); }},
    {E::kReassemblyOverlapDifferentData,
     [](Scenes& s) { s.Handshake(), s.Send(kC, kA, 1001, 5001, "good"), s.Send(kC, kA, 1001, 5001, "evil"); }},
    {E::kReassemblyDepthReached,
     [](Scenes& s) { s.options.depth = 4, s.Handshake(), s.Send(kC, kA, 1001, 5001, "too deep"); }},
    {E::kReassemblyInsertMemcap,
     [](Scenes& s) { s.pool = SegmentPool(0), s.Handshake(), s.Send(kC, kA, 1009, 5001, "waits"); }},
    {E::kReassemblyInsertLimit,
     [](Scenes& s) {
       s.Handshake();
       for (uint32_t i = 0; i <= Reassembly::kMaxWaiting; ++i) s.Send(kC, kA, 1003 + 2 * i, 5001, "x");
     }},
    {E::kReassemblyUrgentOobLimitReached,
     [](Scenes& s) {
       s.options.inline_mode = true;
       s.Handshake();
       for (uint32_t i = 0; i <= 65535; ++i) s.SendUrgent(kC, 1001 + i, 5001, "!", 1);
     }},
};

class Events : public ::testing::TestWithParam<EventCase> {};

TEST_P(Events, AreRaisedOnceAndCounted) {
  Scenes scene;
  GetParam().play(scene);
  const auto index = static_cast<size_t>(GetParam().event);
  EXPECT_EQ(std::ranges::count(scene.to.events, GetParam().event), static_cast<ptrdiff_t>(scene.stats.events[index]));
  EXPECT_GE(scene.stats.events[index], 1u);
}
INSTANTIATE_TEST_SUITE_P(Each, Events, ::testing::ValuesIn(kCases), [](const auto& c) {
  return std::string("_") + StreamEventName(c.param.event);
});

TEST(StreamEvents, NoneIsDeclaredAndNeverRaised) {
  std::set<StreamEvent> shown;
  for (const EventCase& c : kCases) shown.insert(c.event);
  for (size_t i = 0; i < kNumStreamEvents; ++i) {
    EXPECT_TRUE(shown.contains(static_cast<StreamEvent>(i))) << StreamEventName(static_cast<StreamEvent>(i));
  }
}

TEST(StreamEvents, AnOrderlyConnectionHasNone) {
  for (const bool inline_mode : {false, true}) {
    Scenes s;
    s.options.inline_mode = inline_mode;
    s.Exchange();
    s.Send(kC, kFA, 1011, 5011);
    s.Send(kS, kA, 5011, 1012);
    s.Send(kS, kFA, 5011, 1012);
    s.Send(kC, kA, 1012, 5012);
    s.Flush();
    EXPECT_TRUE(s.to.events.empty());
  }
}

}  // namespace
}  // namespace sluice::testing
