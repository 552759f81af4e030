// How a session begins: three segments, four, or in the middle.
#include <utility>

#include "engine/stream/tcp_pass.h"

namespace sluice {

void TcpSession::Open(Side& side, uint32_t base_seq) {
  side.open = true;
  side.base_seq = base_seq;
}

// False: the packet begins another connection, or none.
bool TcpSession::HandleSyn(Pass& pass) {
  const bool answer = pass.Has(kTcpAck);
  ++(answer ? pass.stats.synack : pass.stats.syn);
  if (!(answer ? HandleSynack(pass) : HandleSynOnly(pass))) return false;
  if (!established_ && state_ != TcpState::kClosed) Agree(pass);
  pass.outcome.accepted = true;
  return true;
}

bool TcpSession::HandleSynOnly(Pass& pass) {
  const TcpView& tcp = pass.packet.tcp;
  Side& sender = side_[Index(pass.d)];
  const bool to_server = pass.d == Direction::kToServer;
  const bool same = sender.open && sender.base_seq == tcp.seq + 1;
  switch (state_) {
    case TcpState::kNone:
      Open(sender, tcp.seq + 1);
      syns_.Add(tcp.seq);
      state_ = TcpState::kSynSent;
      ++pass.stats.sessions;
      return true;
    case TcpState::kSynSent:
      if (!to_server) {
        simultaneous_ = true;
      } else if (!syns_.Add(tcp.seq)) {
        pass.Raise(StreamEvent::k3whsSynFlood);
      }
      if (!same) Restart(pass, pass.d);
      Open(sender, tcp.seq + 1);  // a resend, maybe with a new number
      return true;
    case TcpState::kSynRecv:
      if (!to_server) pass.Raise(StreamEvent::k3whsSynToClient);
      if (to_server && !same) pass.Raise(StreamEvent::k3whsSynResendDifferentSeq);
      return false;
    case TcpState::kClosed:
      // Refused, and tried again by a host that does not take no for an answer.
      if (to_server && same && !established_) {
        reset_by_[0] = reset_by_[1] = false;
        state_ = TcpState::kSynSent;
        return true;
      }
      [[fallthrough]];
    case TcpState::kTimeWait:
    case TcpState::kLastAck:
      pass.outcome.reuse = true;
      return false;
    case TcpState::kEstablished:  // the host answers with a challenge and carries on (RFC 5961 §4)
      pass.Raise(!to_server ? StreamEvent::kEstSynToClient
                 : same     ? StreamEvent::kEstSynResend
                            : StreamEvent::kEstSynResendDifferentSeq);
      break;
    default: pass.Raise(StreamEvent::kShutdownSynResend);
  }
  pass.outcome.accepted = true;
  return false;
}

// Whether the SYN/ACK answers a SYN of the other side: the latest, or one before.
bool TcpSession::AnswersSyn(Pass& pass) {
  const uint32_t ack = pass.packet.tcp.ack;
  Side& receiver = side_[Index(Opposite(pass.d))];
  // RFC 7413: what came with the SYN may be acknowledged, in part.
  if (receiver.open && ack - receiver.base_seq <= receiver.next) return true;
  if (!syns_.Has(ack - 1)) return false;
  Restart(pass, Opposite(pass.d));
  Open(receiver, ack);
  return true;
}

bool TcpSession::HandleSynack(Pass& pass) {
  const TcpView& tcp = pass.packet.tcp;
  Side& sender = side_[Index(pass.d)];
  Side& receiver = side_[Index(Opposite(pass.d))];
  const bool to_server = pass.d == Direction::kToServer;
  const bool same = sender.open && sender.base_seq == tcp.seq + 1;
  const bool same_ack = tcp.ack - receiver.base_seq <= receiver.next;
  switch (state_) {
    case TcpState::kNone:
      if (!pass.options.midstream && !pass.options.async_oneside) return false;
      Open(sender, tcp.seq + 1);
      Open(receiver, tcp.ack);
      receiver.wscale = kMaxWscale;
      state_ = TcpState::kSynRecv;
      midstream_ = true;
      ++pass.stats.midstream_pickups;
      return true;
    case TcpState::kSynSent:
      if (to_server && !simultaneous_) {
        pass.Raise(StreamEvent::k3whsSynackInWrongDirection);
        return false;
      }
      if (!AnswersSyn(pass)) {
        pass.Raise(simultaneous_ ? StreamEvent::k4whsSynackWrongAck : StreamEvent::k3whsSynackWrongAck);
        return false;
      }
      if (simultaneous_ && sender.open && !same) {
        pass.Raise(StreamEvent::k4whsSynackWrongSyn);
        return false;
      }
      Open(sender, tcp.seq + 1);
      synacks_.Add(tcp.seq);
      SettleFastOpen(pass);
      state_ = TcpState::kSynRecv;
      return true;
    case TcpState::kSynRecv:
      if (to_server && !simultaneous_) {
        pass.Raise(StreamEvent::k3whsSynackToServer);
        return false;
      }
      if (!same_ack) {
        pass.Raise(StreamEvent::k3whsSynackResendDifferentAck);
        return false;
      }
      if (!same) {
        pass.Raise(synacks_.Add(tcp.seq) ? StreamEvent::k3whsSynackResendDifferentSeq
                                         : StreamEvent::k3whsSynackFlood);
        Open(sender, tcp.seq + 1);
      }
      return true;
    case TcpState::kEstablished:
      pass.Raise(to_server   ? StreamEvent::kEstSynackToServer
                 : !same_ack ? StreamEvent::kEstSynackResendDifferentAck
                 : !same     ? StreamEvent::kEstSynackResendDifferentSeq
                             : StreamEvent::kEstSynackResend);
      return true;
    case TcpState::kClosed: return true;
    default: pass.Raise(StreamEvent::kShutdownSynResend); return true;
  }
}

// What the SYN says about the connection, unless that is already agreed on.
void TcpSession::Agree(Pass& pass) {
  const TcpView& tcp = pass.packet.tcp;
  Side& sender = side_[Index(pass.d)];
  Side& receiver = side_[Index(Opposite(pass.d))];
  const bool answer = pass.Has(kTcpAck);
  sender.wscale = tcp.has_wscale ? tcp.wscale : 0;
  if (answer && !tcp.has_wscale) receiver.wscale = 0;  // RFC 7323 §2.2: both or none
  sender.timestamps = tcp.has_timestamp;
  if (answer && !tcp.has_timestamp) receiver.timestamps = false;  // §3.2: likewise
  if (tcp.has_timestamp) sender.NoteTimestamp(tcp.ts_value, pass.packet.time);
  sender.window = tcp.window;  // never scaled in a SYN
  receiver.window_end = receiver.next + tcp.window;
}

// What came with the SYN is of the stream if the answer acknowledges it; if not, the client
// sends it again, and what inline mode handed on at once comes a second time: a host that
// ignored it may get other bytes (RFC 7413 §4.2.2).
void TcpSession::SettleFastOpen(Pass& pass) {
  Side& client = side_[Index(Opposite(pass.d))];
  if (client.next == 0) return;
  const bool fast_open = !std::exchange(client.tentative, false);
  const uint64_t taken = Unwrap(client, pass.packet.tcp.ack);
  if (taken != 0) {
    if (!fast_open) Acknowledge(pass, taken);
    return;
  }
  if (fast_open) pass.Raise(StreamEvent::k3whsSynackTfoDataIgnored);
  Restart(pass, Opposite(pass.d));
}

// A direction begins again at its first byte.
void TcpSession::Restart(Pass& pass, Direction d) {
  Side& side = side_[Index(d)];
  if (side.data.delivered() > 0) pass.sink.OnRestart(d);
  side.data.Reset(pass.pool);
  side.next = 0;
}

// The segment that ends the handshake.  False: a host would not take it as that.
bool TcpSession::HandleHandshakeAck(Pass& pass) {
  const TcpView& tcp = pass.packet.tcp;
  Side& server = side_[Index(Opposite(pass.d))];
  if (pass.d == Direction::kToClient) {
    if (pass.packet.payload.empty() && !pass.Has(kTcpFin | kTcpRst)) {
      pass.Raise(simultaneous_ ? StreamEvent::k4whsInvalidAck : StreamEvent::k3whsAckInWrongDir);
    } else if (!pass.packet.payload.empty()) {
      pass.Raise(StreamEvent::k3whsAckDataInject);  // or the client's ACK was lost
    }
    return true;
  }
  if (!pass.Has(kTcpAck) || !server.open) return true;
  // Of several answers the client chose one.
  if (server.next == 0 && synacks_.Has(tcp.ack - 1)) Open(server, tcp.ack);
  const Side& client = side_[Index(pass.d)];
  const auto seq = static_cast<int64_t>(Unwrap(client, tcp.seq));
  const bool seq_holds = seq >= -1 && static_cast<uint64_t>(std::max<int64_t>(seq, 0)) <= WindowEnd(client, pass.options);
  const auto ack = static_cast<int64_t>(Unwrap(server, tcp.ack));
  const bool ack_holds = ack >= 0 && static_cast<uint64_t>(ack) <= WindowEnd(server, pass.options);
  if (!ack_holds) {
    pass.Raise(simultaneous_ ? StreamEvent::k4whsInvalidAck
               : seq_holds   ? StreamEvent::k3whsRightSeqWrongAck
                             : StreamEvent::k3whsWrongSeqWrongAck);
  } else if (!seq_holds && simultaneous_) {
    pass.Raise(StreamEvent::k4whsWrongSeq);
  }
  return ack_holds;
}

bool TcpSession::PickUp(Pass& pass) {
  if (!pass.options.midstream) return false;
  Open(side_[Index(pass.d)], pass.packet.tcp.seq);
  for (Side& side : side_) side.wscale = kMaxWscale;  // not seen: the largest there is
  if (pass.Has(kTcpAck)) Open(side_[Index(Opposite(pass.d))], pass.packet.tcp.ack);
  state_ = TcpState::kEstablished;
  established_ = midstream_ = true;
  ++pass.stats.midstream_pickups;
  ++pass.stats.sessions;
  return true;
}

// Whether the packet, no SYN, has a session to go into.
bool TcpSession::Begun(Pass& pass) {
  const auto none = [&pass](bool accepted) {
    ++pass.stats.no_session;
    pass.outcome.accepted = accepted;
    return false;
  };
  if (state_ == TcpState::kClosed) Revive(pass);
  if (state_ == TcpState::kClosed) return none(true);
  if (state_ == TcpState::kNone) {
    if (pass.Has(kTcpRst)) pass.Raise(StreamEvent::kRstButNoSession);
    if (pass.Has(kTcpRst) || !PickUp(pass)) {
      if (pass.Has(kTcpFin) && !pass.Has(kTcpRst)) pass.Raise(StreamEvent::kFinButNoSession);
      return none(false);
    }
  }
  Side& sender = side_[Index(pass.d)];
  const Side& receiver = side_[Index(Opposite(pass.d))];
  if (!sender.open) {
    // A host that sent no timestamps gets none: a forgery (before the answer to its SYN).
    if (pass.packet.tcp.has_timestamp && !receiver.timestamps && !midstream_) {
      ++pass.stats.invalid_timestamp;
      pass.Raise(StreamEvent::kPktInvalidTimestamp);
      return false;
    }
    if (state_ == TcpState::kSynSent && pass.Has(kTcpRst)) {
      // RFC 9293 §3.10.7.3: only one that acknowledges the SYN.
      const bool holds = pass.Has(kTcpAck) && pass.packet.tcp.ack - receiver.base_seq <= receiver.next;
      if (holds) HandleReset(pass);
      if (!holds) pass.Raise(StreamEvent::kRstInvalidAck);
      pass.outcome.accepted = true;
      return false;
    }
    if (!pass.options.async_oneside && !midstream_) return none(false);
    Open(sender, pass.packet.tcp.seq);
  }
  const bool unanswered = state_ == TcpState::kSynSent && pass.d == Direction::kToServer;
  if (unanswered && !pass.options.async_oneside && !pass.options.inline_mode) {
    // Passive, without the server's side there is no telling what it took: rules look at
    // the packets alone, unless streams of one side are asked for.
    pass.outcome.accepted = true;
    return false;
  }
  if (unanswered && pass.options.async_oneside) {
    if (Unwrap(sender, pass.packet.tcp.seq) != sender.next) pass.Raise(StreamEvent::k3whsAsyncWrongSeq);
    state_ = TcpState::kEstablished;
    established_ = true;
  }
  return true;
}

}  // namespace sluice
