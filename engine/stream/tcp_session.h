// engine/stream/tcp_session.h
// The two directions of one TCP connection: state, sequence checks, reassembly.
//
// Two policies for handing bytes on:
//   inline   with the packet that carries them;
//   passive  once the other side has acknowledged them, on the packet that does,
//            before that packet's own payload: what the receiver really got.
// Threads: confined to the flow's worker.  Memory: SegmentPool.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "engine/base/types.h"
#include "engine/decode/packet.h"
#include "engine/stream/reassembly.h"
#include "engine/stream/segment_pool.h"

namespace sluice {

struct StreamOptions {
  bool inline_mode = false;
  bool midstream = false;          // take up connections whose handshake was not seen
  bool async_oneside = false;      // one direction only is seen
  uint64_t depth = 1u << 20;       // bytes per direction, 0: no limit
  size_t memcap = 256u << 20;      // bytes of waiting segments per worker
  OverlapPolicy overlap = OverlapPolicy::kBsd;
};

enum class TcpState : uint8_t {
  kNone, kSynSent, kSynRecv, kEstablished, kFinWait1, kFinWait2, kTimeWait, kLastAck, kCloseWait,
  kClosing, kClosed,
};
std::string_view TcpStateName(TcpState state);  // as EVE has it

// What is odd about a segment; names as in rules (stream-event).
enum class StreamEvent : uint8_t {
  kPktInvalidAck, kEstPacketOutOfWindow, kReassemblySeqGap, kReassemblyOverlapDifferentData,
  kReassemblyNoSegment, kEstSynackResend, kShutdownSynResend, kRstInvalidAck, kEstSynResend,
  kPktInvalidTimestamp, kSuspectedRstInject, kMax,
};
const char* StreamEventName(StreamEvent event) noexcept;

class TcpSession {
 public:
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void OnData(Direction direction, Slice bytes, uint64_t offset) = 0;
    virtual void OnGap(Direction direction, uint64_t offset, uint64_t bytes) = 0;
    virtual void OnEnd(Direction direction) = 0;  // FIN or RST: no more bytes
    virtual void OnStreamEvent(StreamEvent event) = 0;
  };

  struct Outcome {
    bool accepted = false;  // belongs to the connection
    bool midstream = false; // of a connection whose handshake was not seen
    bool reuse = false;     // a SYN of another connection: end this flow, begin anew
    bool in_stream = false; // its payload went into the stream
  };
  Outcome OnPacket(const Packet& packet, Direction direction, const StreamOptions& options,
                   SegmentPool& pool, StreamStats& stats, Sink& sink);
  // The flow ends: all that is in order is handed on.
  void Flush(const StreamOptions& options, SegmentPool& pool, StreamStats& stats, Sink& sink);
  // A new session; the room that was needed once is kept.
  void Reset(SegmentPool& pool) noexcept;

  TcpState state() const { return state_; }
  bool established() const { return established_; }
  bool midstream() const { return midstream_; }
  // Sequence space used by a direction: stream_size.
  uint64_t stream_bytes(Direction d) const { return side_[Index(d)].next; }
  bool had_gap(Direction d) const { return side_[Index(d)].gap; }
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
    uint8_t wscale = 0;
    uint32_t base_seq = 0;   // sequence number of offset 0
    bool timestamps = false; // it sent one in its SYN
    uint32_t ts_recent = 0;  // the last one that the other side took
    Nanos ts_time{};         // when
    uint64_t window_end = 0; // how far the other side let it send
    uint64_t next = 0;       // end of the furthest byte or FIN sent
    uint64_t acked = 0;      // by the other side
    uint64_t claimed = 0;    // by the other side, whether we saw it or not
    uint64_t fin_at = 0;
    Reassembly data;
    void NoteTimestamp(uint32_t value, Nanos at) { ts_recent = value, ts_time = at; }
  };
  friend struct SideSink;
  static constexpr uint8_t kMaxWscale = 14;  // RFC 7323 §2.3

  static uint64_t WindowEnd(const Side& sender, const StreamOptions& options);
  bool TimestampHolds(const Packet& packet, Direction d);
  uint64_t Unwrap(const Side& side, uint32_t seq) const;
  bool HandleSyn(const Packet& packet, Direction d, const StreamOptions& options,
                 StreamStats& stats, Sink& sink, Outcome* outcome);
  void Open(Side& side, uint32_t base_seq);
  bool PickUp(const Packet& packet, Direction d, const StreamOptions& options, StreamStats& stats);
  void HandleAck(const Packet& packet, Direction d, const StreamOptions& options,
                 SegmentPool& pool, StreamStats& stats, Sink& sink);
  void Acknowledge(Direction d, uint64_t ack, const StreamOptions& options, SegmentPool& pool,
                   StreamStats& stats, Sink& sink);
  void HandlePayload(const Packet& packet, Direction d, const StreamOptions& options,
                     SegmentPool& pool, StreamStats& stats, Sink& sink, Outcome* outcome);
  bool ResetHolds(const Side& sender, uint32_t seq) const;
  void HandleFin(const Packet& packet, Direction d, const StreamOptions& options);
  void HandleReset(Direction d, const StreamOptions& options, SegmentPool& pool,
                   StreamStats& stats, Sink& sink);
  void DeliverAll(Direction d, const StreamOptions& options, SegmentPool& pool, StreamStats& stats,
                  Sink& sink);
  void CheckEnd(Direction d, Sink& sink);

  Side side_[2];
  TcpState state_ = TcpState::kNone;
  bool established_ = false;
  bool midstream_ = false;
};

}  // namespace sluice
