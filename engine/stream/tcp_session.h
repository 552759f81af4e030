// engine/stream/tcp_session.h
// The two directions of one TCP connection: state, sequence checks, reassembly.
//
// Two policies for handing bytes on:
//   inline   with the packet that carries them;
//   passive  once the other side has acknowledged them, on the packet that does,
//            before that packet's own payload: what the receiver really got.
// Threads: confined to the flow's worker.  Memory: SegmentPool.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "engine/base/types.h"
#include "engine/decode/packet.h"
#include "engine/stream/reassembly.h"
#include "engine/stream/segment_pool.h"

namespace sluice {

// What becomes of the byte that a segment calls urgent (the one before the pointer, as hosts
// have it: RFC 6093 §3.1).
enum class UrgentPolicy : uint8_t {
  kOutOfBand,  // no part of the stream: what a host's read() gives by default
  kInline,     // part of it: SO_OOBINLINE
  kGap,        // lost
  kDrop,       // the whole packet is dropped; as kOutOfBand where packets cannot be
};

struct StreamOptions {
  bool inline_mode = false;
  bool midstream = false;          // take up connections whose handshake was not seen
  bool async_oneside = false;      // one direction only is seen
  uint64_t depth = 1u << 20;       // bytes per direction, 0: no limit
  size_t memcap = 256u << 20;      // bytes of waiting segments per worker
  OverlapPolicy overlap = OverlapPolicy::kBsd;
  UrgentPolicy urgent = UrgentPolicy::kOutOfBand;
  UrgentPolicy urgent_past_limit = UrgentPolicy::kDrop;
  bool drops_packets = false;      // what is to be dropped goes no further: not so live, where it has gone
};

enum class TcpState : uint8_t {
  kNone, kSynSent, kSynRecv, kEstablished, kFinWait1, kFinWait2, kTimeWait, kLastAck, kCloseWait,
  kClosing, kClosed,
};
std::string_view TcpStateName(TcpState state);  // as EVE has it

class TcpSession {
 public:
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void OnData(Direction direction, Slice bytes, uint64_t offset) = 0;
    virtual void OnGap(Direction direction, uint64_t offset, uint64_t bytes) = 0;
    virtual void OnEnd(Direction direction) = 0;  // FIN, or the flow's end: no more bytes
    // At the flow's end: bytes that nobody saw nor acknowledged, and what was sent behind
    // them.  No receiver has read it.
    virtual void OnHole(Direction, uint64_t /*offset*/, uint64_t /*bytes*/) {}
    virtual void OnUnread(Direction, Slice, uint64_t /*offset*/) {}
    // The flow is over and one side has ended; the other's unacknowledged bytes follow.
    virtual void OnFirstEnd(Direction) {}
    // What came of a direction never was: offsets begin at 0 again.
    virtual void OnRestart(Direction) {}
    virtual void OnStreamEvent(StreamEvent event) = 0;
  };

  struct Outcome {
    bool accepted = false;  // belongs to the connection
    bool midstream = false; // of a connection whose handshake was not seen
    bool reuse = false;     // a SYN of another connection: end this flow, begin anew
    bool in_stream = false; // its payload went into the stream
    bool drop = false;      // an urgent packet that is not to go on
  };
  Outcome OnPacket(const Packet& packet, Direction direction, const StreamOptions& options,
                   SegmentPool& pool, StreamStats& stats, Sink& sink);
  // The flow ends: all that is in order is handed on, first of the side that sent a reset.
  void Flush(const StreamOptions& options, SegmentPool& pool, StreamStats& stats, Sink& sink);
  // Who began was taken for the other side.  Before anything was handed on.
  void SwapSides() noexcept {
    std::swap(side_[0], side_[1]);
    std::swap(reset_by_[0], reset_by_[1]);
  }
  // A new session; the room that was needed once is kept.
  void Reset(SegmentPool& pool) noexcept;

  TcpState state() const { return state_; }
  bool established() const { return established_; }
  bool midstream() const { return midstream_; }
  // Sequence space used by a direction: stream_size.
  uint64_t stream_bytes(Direction d) const { return side_[Index(d)].next; }
  bool depth_reached(Direction d) const { return side_[Index(d)].depth_hit; }
  // What waits of a direction: for its acknowledgement, or for what is missing before it.
  void ShowWaiting(Direction d, Reassembly::Sink& sink) const {
    if (!side_[Index(d)].tentative) side_[Index(d)].data.Show(sink);
  }
  bool had_gap(Direction d) const { return side_[Index(d)].gap; }
  bool had_data(Direction d) const { return side_[Index(d)].data.highest() > 0; }
  uint32_t urgent_bytes(Direction d) const { return side_[Index(d)].num_urgent; }  // taken out
  // The next sequence number expected from a direction: for resets.
  uint32_t next_seq(Direction d) const {
    const Side& side = side_[Index(d)];
    return side.base_seq + static_cast<uint32_t>(side.next);
  }
  bool depth_reached() const { return side_[0].depth_hit || side_[1].depth_hit; }
  // Nothing more of this direction is wanted.
  void StopReassembly(Direction d) { side_[Index(d)].stopped = true; }

 private:
  struct Side {
    bool open = false;       // base_seq is known
    bool stopped = false;    // depth reached or not wanted
    bool depth_hit = false;
    bool gap = false;
    bool fin = false;        // seen; fin_at is its offset
    bool ended = false;      // OnEnd was called
    bool tentative = false;  // its bytes came with a SYN that was not answered yet
    uint8_t wscale = 0;
    uint32_t base_seq = 0;   // sequence number of offset 0
    bool timestamps = false; // it sent one in its SYN
    uint32_t ts_recent = 0;  // the last one that the other side took
    Nanos ts_time{};         // when
    uint32_t window = 0;     // the last one it announced, in bytes
    uint64_t window_end = 0; // how far the other side let it send
    uint64_t next = 0;       // end of the furthest byte or FIN sent
    uint64_t acked = 0;      // by the other side
    uint64_t claimed = 0;    // by the other side, whether we saw it or not
    uint64_t fin_at = 0;
    uint32_t num_urgent = 0; // bytes taken out
    Reassembly data;
    void NoteTimestamp(uint32_t value, Nanos at) { ts_recent = value, ts_time = at; }
  };
  friend struct SideSink;
  static constexpr uint8_t kMaxWscale = 14;  // RFC 7323 §2.3
  // Numbers that a handshake may still settle on, the latest last.
  template <size_t N>
  struct Numbers {
    std::array<uint32_t, N> list;
    uint8_t count = 0;
    bool Has(uint32_t number) const { return std::find(list.begin(), list.begin() + count, number) != list.begin() + count; }
    bool Add(uint32_t number) {  // false: full
      if (Has(number)) return true;
      if (count == N) return false;
      list[count++] = number;
      return true;
    }
  };
  static constexpr size_t kMaxSyns = 10, kMaxSynacks = 5;  // kept of one handshake
  struct Pass;  // a packet on its way through
  static constexpr uint32_t kMaxUrgent = 65535;  // bytes of a direction that are taken out of its stream

  uint64_t Unwrap(const Side& side, uint32_t seq) const;
  void Open(Side& side, uint32_t base_seq);
  // tcp_handshake.cc
  bool HandleSyn(Pass& pass);
  bool HandleSynOnly(Pass& pass);
  bool HandleSynack(Pass& pass);
  bool AnswersSyn(Pass& pass);
  void Agree(Pass& pass);
  void SettleFastOpen(Pass& pass);
  void Restart(Pass& pass, Direction d);
  bool HandleHandshakeAck(Pass& pass);
  bool PickUp(Pass& pass);
  bool Begun(Pass& pass);
  // tcp_session.cc
  void CheckFlags(Pass& pass) const;
  void HandleSegment(Pass& pass);
  static uint64_t WindowEnd(const Side& sender, const StreamOptions& options);
  bool TimestampHolds(Pass& pass);
  bool HandleAck(Pass& pass);
  bool WindowHolds(Pass& pass, uint64_t ack);
  void RaiseInvalidAck(Pass& pass) const;
  void RaiseOutOfWindow(Pass& pass) const;
  void CheckRepeats(Pass& pass) const;
  void Acknowledge(Pass& pass, uint64_t ack);
  void HandlePayload(Pass& pass);
  UrgentPolicy PolicyOfUrgent(Pass& pass) const;
  void AddPayload(Pass& pass, uint64_t offset, Slice bytes, uint64_t payload_at);
  void AddBytes(Pass& pass, uint64_t offset, Slice bytes);
  static uint64_t Limit(const Pass& pass, const Side& side);
  bool ResetHolds(const Side& sender, uint32_t seq) const;
  void HandleFin(Pass& pass);
  void HandleReset(Pass& pass);
  void Revive(Pass& pass);
  void DeliverAll(Direction d, const StreamOptions& options, SegmentPool& pool, StreamStats& stats,
                  Sink& sink);
  void CheckEnd(Direction d, Sink& sink);

  Side side_[2];
  TcpState state_ = TcpState::kNone;
  TcpState before_reset_ = TcpState::kNone;  // its state if the reset was forged
  bool reset_by_[2] = {false, false};        // by Direction of its sender
  bool established_ = false;
  bool midstream_ = false;
  bool simultaneous_ = false;                // both sent a SYN (RFC 9293 §3.5)
  Numbers<kMaxSyns> syns_;                   // of SYNs without an answer yet
  Numbers<kMaxSynacks> synacks_;             // of their answers
};

}  // namespace sluice
