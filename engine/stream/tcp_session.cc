#include <algorithm>

#include "engine/stream/tcp_pass.h"

namespace sluice {

// Adds the direction to what one side's reassembly delivers.
struct SideSink final : Reassembly::Sink {
  SideSink(TcpSession::Side& s, Direction d, StreamStats& n, TcpSession::Sink& t, TcpSession::Pass* p)
      : side(s), direction(d), stats(n), to(t), pass(p) {}
  void OnBytes(Slice bytes, uint64_t offset) override {
    if (!side.stopped) to.OnData(direction, bytes, offset);
  }
  void OnGap(uint64_t offset, uint64_t bytes) override {
    Loss(bytes);
    if (!side.stopped) to.OnGap(direction, offset, bytes);
  }
  // The receiver has it and we have not.
  void Loss(uint64_t bytes) {
    side.gap = true;
    ++stats.gaps;
    stats.gap_bytes += bytes;
    if (pass != nullptr) return pass->Raise(StreamEvent::kReassemblySeqGap);
    ++stats.events[static_cast<size_t>(StreamEvent::kReassemblySeqGap)];
    to.OnStreamEvent(StreamEvent::kReassemblySeqGap);
  }
  TcpSession::Side& side;
  Direction direction;
  StreamStats& stats;
  TcpSession::Sink& to;
  TcpSession::Pass* pass;  // null: the flow ends
};

// What lies behind a hole that nobody acknowledged.
struct UnreadSink final : Reassembly::Sink {
  UnreadSink(Direction d, StreamStats& n, TcpSession::Sink& t) : direction(d), stats(n), to(t) {}
  void OnBytes(Slice bytes, uint64_t offset) override { to.OnUnread(direction, bytes, offset); }
  void OnGap(uint64_t offset, uint64_t bytes) override {
    stats.hole_bytes += bytes;
    to.OnHole(direction, offset, bytes);
  }
  Direction direction;
  StreamStats& stats;
  TcpSession::Sink& to;
};

std::string_view TcpStateName(TcpState state) {
  constexpr std::string_view kNames[] = {"none",      "syn_sent",   "syn_recv",   "established",
                                         "fin_wait1", "fin_wait2",  "time_wait",  "last_ack",
                                         "close_wait", "closing",   "closed"};
  return kNames[static_cast<size_t>(state)];
}

const char* StreamEventName(StreamEvent event) noexcept {
  static constexpr const char* kNames[] = {
#define SLUICE_STREAM_EVENT(enumerator, name) name,
      SLUICE_STREAM_EVENTS(SLUICE_STREAM_EVENT)
#undef SLUICE_STREAM_EVENT
  };
  return kNames[static_cast<size_t>(event)];
}

// The 64-bit offset nearest to what the side has sent so far; offsets before the
// start come out as huge numbers.
uint64_t TcpSession::Unwrap(const Side& side, uint32_t seq) const {
  const uint32_t expected = side.base_seq + static_cast<uint32_t>(side.next);
  return side.next + static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(seq - expected)));
}

TcpSession::Outcome TcpSession::OnPacket(const Packet& packet, Direction d,
                                         const StreamOptions& options, SegmentPool& pool,
                                         StreamStats& stats, Sink& sink) {
  Pass pass{packet, d, options, pool, stats, sink};
  if (packet.bad_l4_checksum) {
    ++stats.invalid_checksum;
    return pass.outcome;
  }
  if (pass.Has(kTcpRst)) ++stats.rst;
  if (pass.Has(kTcpUrg)) ++stats.urgent;
  CheckFlags(pass);
  const bool syn = pass.Has(kTcpSyn) && !pass.Has(kTcpRst);
  if (!syn) {
    if (Begun(pass)) HandleSegment(pass);
  } else if (HandleSyn(pass) && !packet.payload.empty() && !pass.Has(kTcpAck)) {
    // A host may take the bytes of a SYN without fast open (RFC 9293 §3.4) and most do not: they
    // are of the stream once the answer says so, and looked at for themselves until then.
    if (state_ == TcpState::kSynSent) side_[Index(d)].tentative = !packet.tcp.has_fast_open;
    HandlePayload(pass);
    if (!packet.tcp.has_fast_open) pass.outcome.in_stream = false;
  }
  return pass.outcome;
}

// What can be said of a packet alone.
void TcpSession::CheckFlags(Pass& pass) const {
  const bool syn_only = pass.Has(kTcpSyn) && !pass.Has(kTcpAck);
  pass.outcome.midstream = state_ == TcpState::kNone && !syn_only && !pass.Has(kTcpRst) &&
                           pass.Has(kTcpAck | kTcpFin);
  if (!pass.Has(kTcpAck) && pass.packet.tcp.ack != 0) pass.Raise(StreamEvent::kPktBrokenAck);
  if (pass.Has(kTcpSyn) && pass.Has(kTcpFin)) pass.Raise(StreamEvent::kFinSyn);
}

void TcpSession::HandleSegment(Pass& pass) {
  const Side& sender = side_[Index(pass.d)];
  pass.outcome.accepted = true;
  // Where one side alone is seen, its going on is the answer to its SYN.
  if (pass.options.async_oneside) side_[Index(pass.d)].tentative = false;
  if (pass.Has(kTcpRst) && !ResetHolds(sender, pass.packet.tcp.seq)) return pass.Raise(StreamEvent::kRstInvalidAck);
  if (!TimestampHolds(pass)) {
    ++pass.stats.invalid_timestamp;
    pass.Raise(StreamEvent::kPktInvalidTimestamp);
    if (!pass.Has(kTcpRst)) return;  // RFC 7323 §5: a reset is never dropped for its timestamp
  }
  if (state_ == TcpState::kSynRecv && !HandleHandshakeAck(pass)) return;
  // What acknowledges the impossible is dropped as a whole (RFC 9293 §3.10.7.4).
  if (pass.Has(kTcpAck) && !HandleAck(pass)) return;
  if (pass.Has(kTcpRst)) return HandleReset(pass);
  CheckRepeats(pass);
  if (!pass.packet.payload.empty()) HandlePayload(pass);
  if (pass.Has(kTcpFin)) HandleFin(pass);
  if (pass.options.inline_mode || pass.options.async_oneside) CheckEnd(pass.d, pass.sink);
}

// Whether all of a segment is acknowledged already.  Past the handshake's states a probe of
// a living connection looks the same: one byte, or none, just before what comes next.
void TcpSession::CheckRepeats(Pass& pass) const {
  const Side& side = side_[Index(pass.d)];
  const Slice payload = pass.packet.payload;
  const auto at = static_cast<int64_t>(Unwrap(side, pass.packet.tcp.seq));
  const auto end = at + static_cast<int64_t>(payload.size());
  const auto acked = static_cast<int64_t>(side.acked);
  const bool probe = at == static_cast<int64_t>(side.next) - 1 && payload.size() <= 1;
  if (!established_ || probe || pass.Has(kTcpFin)) return;
  if (end < acked && state_ == TcpState::kEstablished) pass.Raise(StreamEvent::kEstPktBeforeLastAck);
  if (end < acked && state_ == TcpState::kCloseWait) pass.Raise(StreamEvent::kCloseWaitPktBeforeLastAck);
  if (payload.empty() || end > acked) return;
  pass.Raise(StreamEvent::kPktSpuriousRetransmission);
  if (state_ > TcpState::kEstablished) pass.Raise(StreamEvent::kPktRetransmission);
}

// RFC 7323 §5: a host that negotiated timestamps drops a segment whose own is
// older than the last one it took, unless that one is too old to say anything.
bool TcpSession::TimestampHolds(Pass& pass) {
  constexpr Nanos kOutdated = std::chrono::hours{24 * 24};  // §5.5
  const Packet& packet = pass.packet;
  Side& side = side_[Index(pass.d)];
  const TcpView& tcp = packet.tcp;
  if (!tcp.has_timestamp || !side.timestamps || !side_[Index(Opposite(pass.d))].timestamps) return true;
  const bool older = static_cast<int32_t>(tcp.ts_value - side.ts_recent) < 0;
  if (older && packet.time - side.ts_time <= kOutdated) return false;
  // §4.3: only what reaches the receiver's left edge counts, so that neither what
  // arrives out of order nor a forgery far ahead moves the clock.
  const auto offset = static_cast<int64_t>(Unwrap(side, tcp.seq));
  const auto acked = static_cast<int64_t>(side.acked);
  if (offset <= acked && offset + static_cast<int64_t>(packet.payload.size()) >= acked) {
    side.NoteTimestamp(tcp.ts_value, packet.time);
  }
  return true;
}

// Where what `sender` may send ends: at the furthest edge that the receiver gave
// it.  Live, the kernel leaves bytes out past a slice budget, and with them
// acknowledgements, so that a long jump is no surprise there; neither is one when
// nothing is known of the receiver.
uint64_t TcpSession::WindowEnd(const Side& sender, const StreamOptions& options) {
  if (options.inline_mode) return std::max(sender.acked, sender.next) + (uint64_t{1} << 30);
  if (sender.window_end == 0 || options.async_oneside) return sender.next + (1u << 20);
  return sender.window_end;
}

namespace {

using Event = StreamEvent;

// The event of a state, from the handshake's end to the connection's.
struct ByState {
  TcpState state;
  Event invalid_ack, out_of_window, fin_out_of_window;
};
constexpr ByState kByState[] = {
    {TcpState::kEstablished, Event::kEstInvalidAck, Event::kEstPacketOutOfWindow, Event::kFinOutOfWindow},
    {TcpState::kFinWait1, Event::kFin1InvalidAck, Event::kFin1AckWrongSeq, Event::kFin1FinWrongSeq},
    {TcpState::kFinWait2, Event::kFin2InvalidAck, Event::kFin2AckWrongSeq, Event::kFin2FinWrongSeq},
    {TcpState::kCloseWait, Event::kCloseWaitInvalidAck, Event::kCloseWaitAckOutOfWindow, Event::kCloseWaitFinOutOfWindow},
    {TcpState::kClosing, Event::kClosingInvalidAck, Event::kClosingAckWrongSeq, Event::kClosingAckWrongSeq},
    {TcpState::kLastAck, Event::kLastAckInvalidAck, Event::kLastAckAckWrongSeq, Event::kLastAckAckWrongSeq},
    {TcpState::kTimeWait, Event::kTimeWaitInvalidAck, Event::kTimeWaitAckWrongSeq, Event::kTimeWaitAckWrongSeq}};
const ByState* EventsOf(TcpState state) {
  const auto it = std::ranges::find(kByState, state, &ByState::state);
  return it == std::end(kByState) ? nullptr : it;
}

}  // namespace

void TcpSession::RaiseInvalidAck(Pass& pass) const {
  pass.Raise(Event::kPktInvalidAck);
  if (pass.Has(kTcpRst)) return pass.Raise(Event::kRstInvalidAck);
  if (pass.Has(kTcpFin) && state_ == TcpState::kEstablished) return pass.Raise(Event::kFinInvalidAck);
  if (const ByState* events = EventsOf(state_)) pass.Raise(events->invalid_ack);
}

void TcpSession::RaiseOutOfWindow(Pass& pass) const {
  const ByState* events = EventsOf(state_);
  if (events == nullptr) return;
  pass.Raise(pass.Has(kTcpFin) ? events->fin_out_of_window : events->out_of_window);
}

// False: it acknowledges what could not be sent, or lies far before the start.  The FIN may
// stand past the window.
bool TcpSession::HandleAck(Pass& pass) {
  Side& own = side_[Index(pass.d)];
  Side& other = side_[Index(Opposite(pass.d))];
  if (!other.open) return true;
  const uint64_t ack = Unwrap(other, pass.packet.tcp.ack);
  if (static_cast<int64_t>(ack) < 0 || ack > std::max(WindowEnd(other, pass.options), other.next)) {
    RaiseInvalidAck(pass);
    return false;
  }
  if (state_ == TcpState::kSynRecv && pass.d == Direction::kToServer) {
    state_ = TcpState::kEstablished;
    established_ = true;
  }
  // Of what we have not seen it is a claim: true if the tap lost it, and then a
  // gap once something follows or the flow ends; false, and the bytes still come.
  other.claimed = std::max(other.claimed, ack);
  const uint64_t seen = std::min(ack, other.next);
  if (WindowHolds(pass, seen)) {
    own.window = uint32_t{pass.packet.tcp.window} << own.wscale;
    other.window_end = std::max(other.window_end, seen + own.window);
  }
  if (seen > other.acked) Acknowledge(pass, seen);
  return true;
}

// A window may shrink by what came since it was announced, no further (RFC 9293 §3.8.6).
bool TcpSession::WindowHolds(Pass& pass, uint64_t ack) {
  const Side& own = side_[Index(pass.d)];
  const Side& other = side_[Index(Opposite(pass.d))];
  const uint64_t window = uint64_t{pass.packet.tcp.window} << own.wscale;
  const bool bare = pass.packet.payload.empty() && !pass.Has(kTcpSyn | kTcpFin | kTcpRst);
  const bool shrinks = established_ && bare && window != 0 && ack == other.acked && window < own.window &&
                       own.window - window > other.next - other.acked;
  if (shrinks) pass.Raise(Event::kPktBadWindowUpdate);
  return !shrinks;
}

void TcpSession::Acknowledge(Pass& pass, uint64_t ack) {
  const Direction sender = Opposite(pass.d);
  Side& other = side_[Index(sender)];
  other.acked = ack;
  // The FIN takes one number that is no byte.
  const uint64_t bytes = other.fin && ack > other.fin_at ? other.fin_at : ack;
  SideSink to(other, sender, pass.stats, pass.sink, &pass);
  const uint64_t depth = pass.options.depth;
  const uint64_t limit = depth != 0 ? std::min(bytes, depth) : bytes;
  if (!other.stopped) other.data.Deliver(limit, true, pass.pool, to);
  CheckEnd(sender, pass.sink);
  if (!other.fin || ack <= other.fin_at) return;
  const Side& own = side_[Index(pass.d)];
  if (state_ == TcpState::kFinWait1) state_ = TcpState::kFinWait2;
  if (state_ == TcpState::kClosing) state_ = TcpState::kTimeWait;
  if (state_ == TcpState::kLastAck || (own.fin && own.acked > own.fin_at)) state_ = TcpState::kClosed;
}

void TcpSession::HandlePayload(Pass& pass) {
  Side& side = side_[Index(pass.d)];
  Slice bytes = pass.packet.payload;
  uint64_t offset = Unwrap(side, pass.packet.tcp.seq + (pass.Has(kTcpSyn) ? 1 : 0));
  const uint64_t payload_at = offset;
  if (static_cast<int64_t>(offset) < 0) {  // begins before the start: keep-alive or old
    const uint64_t before = 0 - offset;
    if (bytes.size() > 1) pass.Raise(Event::kReassemblySegmentBeforeBaseSeq);
    if (before >= bytes.size()) return;
    bytes = bytes.subspan(before);
    offset = 0;
  }
  // A host keeps of a segment what its window holds (RFC 9293 §3.10.7.4); at the
  // end of the window it may take the one byte of a probe.
  const uint64_t end = WindowEnd(side, pass.options);
  if (offset > end || (offset == end && bytes.size() > 1)) {
    ++pass.stats.out_of_window;
    return RaiseOutOfWindow(pass);
  }
  if (offset < end) bytes = bytes.first(std::min<uint64_t>(bytes.size(), end - offset));
  side.next = std::max(side.next, offset + bytes.size());
  if (side.stopped) return;
  pass.outcome.in_stream = true;
  const uint64_t depth = pass.options.depth;
  if (depth != 0 && offset + bytes.size() > depth) {
    if (!side.depth_hit) {
      ++pass.stats.depth_reached;
      pass.Raise(Event::kReassemblyDepthReached);
    }
    side.depth_hit = true;
    if (offset >= depth) return;
    bytes = bytes.first(depth - offset);
  }
  AddPayload(pass, offset, bytes, payload_at);
}

UrgentPolicy TcpSession::PolicyOfUrgent(Pass& pass) const {
  const TcpView& tcp = pass.packet.tcp;
  if (!pass.Has(kTcpUrg) || tcp.urgent == 0 || tcp.urgent > pass.packet.payload.size()) return UrgentPolicy::kInline;
  UrgentPolicy policy = pass.options.urgent;
  if (policy == UrgentPolicy::kOutOfBand && side_[Index(pass.d)].num_urgent >= kMaxUrgent) {
    pass.Raise(Event::kReassemblyUrgentOobLimitReached);
    policy = pass.options.urgent_past_limit;
  }
  return policy == UrgentPolicy::kDrop && !pass.options.drops_packets ? UrgentPolicy::kOutOfBand : policy;
}

// `bytes` at `offset` are what is left of a payload that began at `payload_at`.
void TcpSession::AddPayload(Pass& pass, uint64_t offset, Slice bytes, uint64_t payload_at) {
  Side& side = side_[Index(pass.d)];
  const UrgentPolicy policy = PolicyOfUrgent(pass);
  if (policy == UrgentPolicy::kDrop) {
    pass.outcome.drop = true;
    return;
  }
  const uint64_t urgent = payload_at + pass.packet.tcp.urgent - 1;
  const bool apart = policy == UrgentPolicy::kOutOfBand || policy == UrgentPolicy::kGap;
  if (!apart || urgent < offset || urgent >= offset + bytes.size()) return AddBytes(pass, offset, bytes);
  const size_t before = urgent - offset;
  if (before > 0) AddBytes(pass, offset, bytes.first(before));
  if (policy == UrgentPolicy::kOutOfBand) {
    SideSink to(side, pass.d, pass.stats, pass.sink, &pass);
    ++side.num_urgent;
    side.data.Skip(urgent, Limit(pass, side), pass.pool, pass.stats, to);
  }
  if (before + 1 < bytes.size()) AddBytes(pass, urgent + 1, bytes.subspan(before + 1));
}

// How far bytes may be handed on with this packet.
uint64_t TcpSession::Limit(const Pass& pass, const Side& side) {
  const bool at_once = (pass.options.inline_mode || pass.options.async_oneside) && !side.tentative;
  return at_once ? UINT64_MAX : side.acked;
}

void TcpSession::AddBytes(Pass& pass, uint64_t offset, Slice bytes) {
  Side& side = side_[Index(pass.d)];
  SideSink to(side, pass.d, pass.stats, pass.sink, &pass);
  const uint64_t memcap = pass.stats.segment_memcap, waiting = pass.stats.waiting_limit;
  if (!side.data.Add(offset, bytes, Limit(pass, side), pass.options.overlap, pass.pool, pass.stats, to)) {
    pass.Raise(Event::kReassemblyOverlapDifferentData);
  }
  if (pass.stats.segment_memcap != memcap) pass.Raise(Event::kReassemblyInsertMemcap);
  if (pass.stats.waiting_limit != waiting) pass.Raise(Event::kReassemblyInsertLimit);
}

// Between what the receiver has acknowledged and what was sent: only there does a
// host take a reset (RFC 5961 §3.2).  A forged one must not blind us.
bool TcpSession::ResetHolds(const Side& sender, uint32_t seq) const {
  const uint64_t at = Unwrap(sender, seq);
  return static_cast<int64_t>(at) >= 0 && at >= sender.acked && at <= sender.next;
}

void TcpSession::HandleFin(Pass& pass) {
  Side& side = side_[Index(pass.d)];
  const uint64_t at = Unwrap(side, pass.packet.tcp.seq + static_cast<uint32_t>(pass.packet.payload.size()));
  if (side.fin) return;
  // A host refuses what lies outside its window (RFC 9293 §3.10.7.4).
  if (static_cast<int64_t>(at) < 0 || at < side.acked || at < side.data.delivered() || at > WindowEnd(side, pass.options)) {
    return RaiseOutOfWindow(pass);
  }
  side.fin = true;
  side.fin_at = at;
  side.next = std::max(side.next, at + 1);
  // The server's states, as Suricata has them: who closes first waits for the other's FIN.
  if (!side_[Index(Opposite(pass.d))].fin) {
    state_ = pass.d == Direction::kToServer ? TcpState::kCloseWait : TcpState::kFinWait1;
  } else if (state_ == TcpState::kCloseWait) {
    state_ = TcpState::kLastAck;
  } else {
    state_ = state_ == TcpState::kFinWait2 ? TcpState::kTimeWait : TcpState::kClosing;
  }
}

// What was acknowledged, and what is in order behind it: the receiver may have read that.
// Behind a hole that nobody acknowledged it has read nothing.
void TcpSession::DeliverAll(Direction d, const StreamOptions& options, SegmentPool& pool,
                            StreamStats& stats, Sink& sink) {
  Side& side = side_[Index(d)];
  if (!side.open || side.ended) return;
  if (side.tentative) side.data.Clear(pool);
  if (!side.stopped && !side.tentative) {
    const uint64_t claimed = side.fin ? std::min(side.claimed, side.fin_at) : side.claimed;
    const uint64_t depth = options.depth != 0 ? options.depth : UINT64_MAX;
    SideSink to(side, d, stats, sink, nullptr);
    side.data.Deliver(std::min(claimed, depth), true, pool, to);
    const uint64_t seen = std::min(side.data.highest(), depth);
    side.data.Deliver(seen, false, pool, to);
    UnreadSink unread(d, stats, sink);
    side.data.Deliver(seen, true, pool, unread);
  }
  side.ended = true;
  sink.OnEnd(d);
}

// It may be forged, so that the ends of the streams are believed only when the flow ends.
void TcpSession::HandleReset(Pass& pass) {
  before_reset_ = state_;
  state_ = TcpState::kClosed;
  reset_by_[Index(pass.d)] = true;
}

// A host that has sent a reset sends nothing more of the connection: if it does, the reset
// was not its own.  The other one may not have got it yet.
void TcpSession::Revive(Pass& pass) {
  if (pass.Has(kTcpRst) || !(reset_by_[0] || reset_by_[1])) return;
  if (reset_by_[Index(pass.d)]) {
    pass.Raise(StreamEvent::kSuspectedRstInject);
    reset_by_[0] = reset_by_[1] = false;
  }
  state_ = before_reset_;
}

void TcpSession::CheckEnd(Direction d, Sink& sink) {
  Side& side = side_[Index(d)];
  if (side.fin && !side.ended && (side.stopped || side.data.delivered() >= side.fin_at)) {
    side.ended = true;
    sink.OnEnd(d);
  }
}

void TcpSession::Flush(const StreamOptions& options, SegmentPool& pool, StreamStats& stats,
                       Sink& sink) {
  const bool server_reset = reset_by_[1] && !reset_by_[0];
  const Direction first = server_reset ? Direction::kToClient : Direction::kToServer;
  DeliverAll(first, options, pool, stats, sink);
  sink.OnFirstEnd(first);
  DeliverAll(Opposite(first), options, pool, stats, sink);
}

void TcpSession::Reset(SegmentPool& pool) noexcept {
  Reassembly kept[2] = {std::move(side_[0].data), std::move(side_[1].data)};
  *this = TcpSession{};
  for (size_t d = 0; d < 2; ++d) {
    kept[d].Reset(pool);
    side_[d].data = std::move(kept[d]);
  }
}

}  // namespace sluice
