#include "engine/stream/tcp_session.h"

#include <algorithm>

namespace sluice {

// Adds the direction to what one side's reassembly delivers.
struct SideSink final : Reassembly::Sink {
  SideSink(TcpSession::Side& s, Direction d, TcpSession::Sink& t) : side(s), direction(d), to(t) {}
  void OnBytes(Slice bytes, uint64_t offset) override {
    if (!side.stopped) to.OnData(direction, bytes, offset);
  }
  void OnGap(uint64_t offset, uint64_t bytes) override {
    side.gap = true;
    to.OnStreamEvent(StreamEvent::kReassemblySeqGap);
    if (!side.stopped) to.OnGap(direction, offset, bytes);
  }
  TcpSession::Side& side;
  Direction direction;
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
      "pkt_invalid_ack", "est_packet_out_of_window", "reassembly_seq_gap",
      "reassembly_overlap_different_data", "reassembly_no_segment", "est_synack_resend",
      "shutdown_syn_resend", "rst_invalid_ack", "est_syn_resend", "pkt_invalid_timestamp",
      "suspected_rst_inject"};
  static_assert(std::size(kNames) == static_cast<size_t>(StreamEvent::kMax));
  return kNames[static_cast<size_t>(event)];
}

// The 64-bit offset nearest to what the side has sent so far; offsets before the
// start come out as huge numbers.
uint64_t TcpSession::Unwrap(const Side& side, uint32_t seq) const {
  const uint32_t expected = side.base_seq + static_cast<uint32_t>(side.next);
  return side.next + static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(seq - expected)));
}

void TcpSession::Open(Side& side, uint32_t base_seq) {
  side.open = true;
  side.base_seq = base_seq;
}

bool TcpSession::HandleSyn(const Packet& packet, Direction d, const StreamOptions& options,
                           StreamStats& stats, Sink& sink, Outcome* outcome) {
  const TcpView& tcp = packet.tcp;
  Side& sender = side_[Index(d)];
  Side& receiver = side_[Index(Opposite(d))];
  const bool answer = tcp.flags & kTcpAck;
  ++(answer ? stats.synack : stats.syn);
  if (!answer) {
    if (state_ == TcpState::kNone) {
      Open(sender, tcp.seq + 1);
      state_ = TcpState::kSynSent;
      ++stats.sessions;
    } else if (state_ == TcpState::kSynSent && d == Direction::kToServer) {
      Open(sender, tcp.seq + 1);  // a resend, maybe with a new number
    } else if (state_ == TcpState::kTimeWait || state_ == TcpState::kLastAck ||
               state_ == TcpState::kClosed) {
      outcome->reuse = true;
      return false;
    } else {  // the host answers with a challenge and carries on (RFC 5961 §4)
      sink.OnStreamEvent(StreamEvent::kEstSynResend);
      return true;
    }
  } else if (state_ == TcpState::kSynSent && !sender.open) {
    Open(sender, tcp.seq + 1);
    state_ = TcpState::kSynRecv;
    receiver.acked = 0;
  } else if (state_ == TcpState::kNone) {
    if (!options.midstream && !options.async_oneside) return false;
    Open(sender, tcp.seq + 1);
    Open(receiver, tcp.ack);
    receiver.wscale = kMaxWscale;
    state_ = TcpState::kSynRecv;
    midstream_ = true;
    ++stats.midstream_pickups;
  } else if (sender.open && sender.base_seq != tcp.seq + 1) {
    if (state_ == TcpState::kSynRecv) Open(sender, tcp.seq + 1);
    sink.OnStreamEvent(StreamEvent::kEstSynackResend);
  }
  if (established_) return true;  // what was agreed on stands
  sender.wscale = tcp.has_wscale ? tcp.wscale : 0;
  if (answer && !tcp.has_wscale) receiver.wscale = 0;  // RFC 7323 §2.2: both or none
  sender.timestamps = tcp.has_timestamp;
  if (answer && !tcp.has_timestamp) receiver.timestamps = false;  // §3.2: likewise
  if (tcp.has_timestamp) sender.NoteTimestamp(tcp.ts_value, packet.time);
  receiver.window_end = receiver.next + tcp.window;  // never scaled in a SYN
  return true;
}

bool TcpSession::PickUp(const Packet& packet, Direction d, const StreamOptions& options,
                        StreamStats& stats) {
  if (!options.midstream) return false;
  Open(side_[Index(d)], packet.tcp.seq);
  for (Side& side : side_) side.wscale = kMaxWscale;  // not seen: the largest there is
  if (packet.tcp.flags & kTcpAck) Open(side_[Index(Opposite(d))], packet.tcp.ack);
  state_ = TcpState::kEstablished;
  established_ = midstream_ = true;
  ++stats.midstream_pickups;
  ++stats.sessions;
  return true;
}

TcpSession::Outcome TcpSession::OnPacket(const Packet& packet, Direction d,
                                         const StreamOptions& options, SegmentPool& pool,
                                         StreamStats& stats, Sink& sink) {
  Outcome outcome;
  const TcpView& tcp = packet.tcp;
  if (packet.bad_l4_checksum) {
    ++stats.invalid_checksum;
    return outcome;
  }
  if (tcp.flags & kTcpRst) ++stats.rst;
  const bool syn_only = (tcp.flags & (kTcpSyn | kTcpAck)) == kTcpSyn;
  outcome.midstream = state_ == TcpState::kNone && !syn_only && !(tcp.flags & kTcpRst) &&
                      (tcp.flags & (kTcpAck | kTcpFin));
  Side& sender = side_[Index(d)];
  if ((tcp.flags & kTcpSyn) && !(tcp.flags & kTcpRst)) {
    if (!HandleSyn(packet, d, options, stats, sink, &outcome)) return outcome;
    outcome.accepted = true;
    if (!packet.payload.empty() && (tcp.flags & kTcpAck) == 0) {  // fast open (RFC 7413)
      HandlePayload(packet, d, options, pool, stats, sink, &outcome);
    }
    return outcome;
  }
  if (state_ == TcpState::kNone || state_ == TcpState::kClosed) {
    if (state_ == TcpState::kClosed || (tcp.flags & kTcpRst) ||
        !PickUp(packet, d, options, stats)) {
      ++stats.no_session;
      outcome.accepted = state_ == TcpState::kClosed;
      return outcome;
    }
  }
  if (!sender.open) {
    if (state_ == TcpState::kSynSent && (tcp.flags & kTcpRst)) {
      HandleReset(d, options, pool, stats, sink);
      outcome.accepted = true;
      return outcome;
    }
    if (!options.async_oneside && !midstream_) {
      ++stats.no_session;
      return outcome;
    }
    Open(sender, tcp.seq);
  }
  if (state_ == TcpState::kSynSent && d == Direction::kToServer && options.async_oneside) {
    state_ = TcpState::kEstablished;
    established_ = true;
  }
  outcome.accepted = true;
  if ((tcp.flags & kTcpRst) && !ResetHolds(sender, tcp.seq)) {
    sink.OnStreamEvent(StreamEvent::kRstInvalidAck);
    return outcome;
  }
  if (!(tcp.flags & kTcpRst) && !TimestampHolds(packet, d)) {
    ++stats.invalid_timestamp;
    sink.OnStreamEvent(StreamEvent::kPktInvalidTimestamp);
    return outcome;
  }
  if (tcp.flags & kTcpAck) HandleAck(packet, d, options, pool, stats, sink);
  if (tcp.flags & kTcpRst) {
    HandleReset(d, options, pool, stats, sink);
    return outcome;
  }
  if (!packet.payload.empty()) HandlePayload(packet, d, options, pool, stats, sink, &outcome);
  if (tcp.flags & kTcpFin) HandleFin(packet, d, options);
  if (options.inline_mode || options.async_oneside) CheckEnd(d, sink);
  return outcome;
}

// RFC 7323 §5: a host that negotiated timestamps drops a segment whose own is
// older than the last one it took, unless that one is too old to say anything.
bool TcpSession::TimestampHolds(const Packet& packet, Direction d) {
  constexpr Nanos kOutdated = std::chrono::hours{24 * 24};  // §5.5
  Side& side = side_[Index(d)];
  const TcpView& tcp = packet.tcp;
  if (!tcp.has_timestamp || !side.timestamps || !side_[Index(Opposite(d))].timestamps) return true;
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

void TcpSession::HandleAck(const Packet& packet, Direction d, const StreamOptions& options,
                           SegmentPool& pool, StreamStats& stats, Sink& sink) {
  Side& other = side_[Index(Opposite(d))];
  if (!other.open) return;
  const uint64_t ack = Unwrap(other, packet.tcp.ack);
  // Acknowledges what could not be sent, or lies far before the start: not of this
  // connection.  The FIN may stand past the window.
  if (static_cast<int64_t>(ack) < 0 || ack > std::max(WindowEnd(other, options), other.next)) {
    sink.OnStreamEvent(StreamEvent::kPktInvalidAck);
    return;
  }
  if (state_ == TcpState::kSynRecv && d == Direction::kToServer) {
    state_ = TcpState::kEstablished;
    established_ = true;
  }
  // Of what we have not seen it is a claim: true if the tap lost it, and then a
  // gap once something follows or the flow ends; false, and the bytes still come.
  other.claimed = std::max(other.claimed, ack);
  const uint64_t seen = std::min(ack, other.next);
  other.window_end = std::max(other.window_end, seen + (uint64_t{packet.tcp.window} << side_[Index(d)].wscale));
  if (seen <= other.acked) return;
  Acknowledge(d, seen, options, pool, stats, sink);
}

void TcpSession::Acknowledge(Direction d, uint64_t ack, const StreamOptions& options,
                             SegmentPool& pool, StreamStats& stats, Sink& sink) {
  Side& other = side_[Index(Opposite(d))];
  other.acked = ack;
  // The FIN takes one number that is no byte.
  const uint64_t bytes = other.fin && ack > other.fin_at ? other.fin_at : ack;
  SideSink to(other, Opposite(d), sink);
  const uint64_t limit = options.depth != 0 ? std::min(bytes, options.depth) : bytes;
  if (!other.stopped) other.data.Deliver(limit, true, pool, stats, to);
  CheckEnd(Opposite(d), sink);
  if (other.fin && ack > other.fin_at) {
    const Side& own = side_[Index(d)];
    if (state_ == TcpState::kFinWait1) state_ = TcpState::kFinWait2;
    if (state_ == TcpState::kClosing) state_ = TcpState::kTimeWait;
    if (state_ == TcpState::kLastAck || (own.fin && own.acked > own.fin_at)) {
      state_ = TcpState::kClosed;
    }
  }
}

void TcpSession::HandlePayload(const Packet& packet, Direction d, const StreamOptions& options,
                               SegmentPool& pool, StreamStats& stats, Sink& sink,
                               Outcome* outcome) {
  Side& side = side_[Index(d)];
  Slice bytes = packet.payload;
  const uint32_t syn = packet.tcp.flags & kTcpSyn ? 1 : 0;
  uint64_t offset = Unwrap(side, packet.tcp.seq + syn);
  if (static_cast<int64_t>(offset) < 0) {  // begins before the start: keep-alive or old
    const uint64_t before = 0 - offset;
    if (before >= bytes.size()) return;
    bytes = bytes.subspan(before);
    offset = 0;
  }
  // A host keeps of a segment what its window holds (RFC 9293 §3.10.7.4); at the
  // end of the window it may take the one byte of a probe.
  const uint64_t end = WindowEnd(side, options);
  if (offset > end || (offset == end && bytes.size() > 1)) {
    ++stats.out_of_window;
    sink.OnStreamEvent(StreamEvent::kEstPacketOutOfWindow);
    return;
  }
  if (offset < end) bytes = bytes.first(std::min<uint64_t>(bytes.size(), end - offset));
  side.next = std::max(side.next, offset + bytes.size());
  if (side.stopped) return;
  outcome->in_stream = true;
  if (options.depth != 0 && offset + bytes.size() > options.depth) {
    if (!side.depth_hit) ++stats.depth_reached;
    side.depth_hit = true;
    if (offset >= options.depth) return;
    bytes = bytes.first(options.depth - offset);
  }
  SideSink to(side, d, sink);
  const uint64_t limit =
      options.inline_mode || options.async_oneside ? UINT64_MAX : side.acked;
  if (!side.data.Add(offset, bytes, limit, options.overlap, pool, stats, to)) {
    sink.OnStreamEvent(StreamEvent::kReassemblyOverlapDifferentData);
  }
}

// Between what the receiver has acknowledged and what was sent: only there does a
// host take a reset (RFC 5961 §3.2).  A forged one must not blind us.
bool TcpSession::ResetHolds(const Side& sender, uint32_t seq) const {
  const uint64_t at = Unwrap(sender, seq);
  return static_cast<int64_t>(at) >= 0 && at >= sender.acked && at <= sender.next;
}

void TcpSession::HandleFin(const Packet& packet, Direction d, const StreamOptions& options) {
  Side& side = side_[Index(d)];
  const uint64_t at = Unwrap(side, packet.tcp.seq + static_cast<uint32_t>(packet.payload.size()));
  if (side.fin || static_cast<int64_t>(at) < 0) return;
  // A host refuses what lies outside its window (RFC 9293 §3.10.7.4).
  if (at < side.acked || at < side.data.delivered() || at > WindowEnd(side, options)) return;
  side.fin = true;
  side.fin_at = at;
  side.next = std::max(side.next, at + 1);
  const bool both = side_[Index(Opposite(d))].fin;
  if (!both) {
    state_ = d == Direction::kToServer ? TcpState::kFinWait1 : TcpState::kCloseWait;
  } else {
    state_ = state_ == TcpState::kCloseWait ? TcpState::kLastAck : TcpState::kClosing;
  }
}

void TcpSession::DeliverAll(Direction d, const StreamOptions& options, SegmentPool& pool,
                            StreamStats& stats, Sink& sink) {
  Side& side = side_[Index(d)];
  if (!side.open || side.ended) return;
  // What lies behind a hole is handed on, the hole and what was acknowledged
  // unseen are gaps: nothing goes without being counted.
  const uint64_t claimed = side.fin ? std::min(side.claimed, side.fin_at) : side.claimed;
  const uint64_t end = std::max(side.data.highest(), claimed);
  SideSink to(side, d, sink);
  if (!side.stopped) {
    side.data.Deliver(options.depth != 0 ? std::min(end, options.depth) : end, true, pool, stats, to);
  }
  side.ended = true;
  sink.OnEnd(d);
}

void TcpSession::HandleReset(Direction, const StreamOptions& options, SegmentPool& pool,
                             StreamStats& stats, Sink& sink) {
  state_ = TcpState::kClosed;
  DeliverAll(Direction::kToServer, options, pool, stats, sink);
  DeliverAll(Direction::kToClient, options, pool, stats, sink);
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
  DeliverAll(Direction::kToServer, options, pool, stats, sink);
  DeliverAll(Direction::kToClient, options, pool, stats, sink);
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
