// engine/stream/reassembly.h
// One direction's segments -> in-order bytes and gaps.
//
// Positions are 64-bit offsets in the sequence space: 0 is the first byte after the SYN.
// Offsets that the sink is told count what is in the stream: urgent bytes taken out are not.
// Threads: confined to the flow's worker.
// Memory: in-order bytes are handed on without a copy; what must wait is copied
//   into the pool, at most `max_waiting` segments.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/base/types.h"
#include "engine/stream/segment_pool.h"
#include "engine/stream/stream_events.h"

namespace sluice {

// Which copy wins where segments carry different bytes for one position.
enum class OverlapPolicy : uint8_t {
  kFirst,    // the bytes seen first (also Vista)
  kLast,     // the bytes seen last
  kBsd,      // the new ones if their segment begins before (Windows, old Linux, macOS, IRIX)
  kLinux,    // ... or begins there and ends later
  kSolaris,  // the new ones if their segment ends no earlier (HP-UX 11)
};

struct StreamStats {  // totals since start; written by one worker
  uint64_t sessions = 0, midstream_pickups = 0;
  uint64_t syn = 0, synack = 0, rst = 0;
  uint64_t gaps = 0, gap_bytes = 0;  // acknowledged, and not seen
  uint64_t hole_bytes = 0;          // neither, before what was seen, when the flow ended
  uint64_t overlaps = 0, overlaps_different = 0;
  uint64_t out_of_order = 0;
  uint64_t depth_reached = 0;       // directions that reached the depth
  uint64_t segment_memcap = 0;      // segments dropped at the memcap
  uint64_t waiting_limit = 0;       // segments dropped at max_waiting
  uint64_t no_session = 0;          // segments of flows picked up midstream
  uint64_t invalid_checksum = 0;
  uint64_t out_of_window = 0;
  uint64_t invalid_timestamp = 0;   // older than the last one taken
  uint64_t urgent = 0;              // packets with the URG flag
  uint64_t urgent_oob_bytes = 0;    // bytes taken out of a stream
  std::array<uint64_t, kNumStreamEvents> events{};  // packets with the event
};

class Reassembly {
 public:
  static constexpr uint32_t kMaxWaiting = 1024;  // segments per direction

  // Where bytes and gaps go.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void OnBytes(Slice bytes, uint64_t offset) = 0;
    virtual void OnGap(uint64_t offset, uint64_t bytes) = 0;
  };

  // A segment at `offset`.  Bytes up to `limit` (exclusive) may be delivered now.
  // Returns false if its overlap carried different bytes.
  bool Add(uint64_t offset, Slice bytes, uint64_t limit, OverlapPolicy policy, SegmentPool& pool,
           StreamStats& stats, Sink& sink);
  // The byte at `offset` is urgent and no part of the stream.  One that is there stays.
  void Skip(uint64_t offset, uint64_t limit, SegmentPool& pool, StreamStats& stats, Sink& sink);
  // Delivers what may be: everything in order below `limit`; with `gaps`, missing
  // bytes below it are reported lost.
  void Deliver(uint64_t limit, bool gaps, SegmentPool& pool, Sink& sink);
  // All that waits, in order, and what is missing before it.  It goes on waiting.
  void Show(Sink& sink) const;
  // Gives all waiting bytes back.
  void Clear(SegmentPool& pool) noexcept;
  // The same, and begins at offset 0.
  void Reset(SegmentPool& pool) noexcept;

  uint64_t delivered() const { return delivered_; }  // offset of the next byte
  bool waiting() const { return !segments_.empty(); }
  uint64_t highest() const { return highest_; }  // end of the furthest segment

 private:
  struct Segment {
    uint64_t offset = 0;  // of bytes[skip]
    uint32_t skip = 0, len = 0;
    SegmentPool::Buffer buffer;  // none: an urgent byte
    uint64_t end() const { return offset + len; }
    uint8_t* data() const { return buffer.bytes.get() + skip; }
  };
  bool Insert(uint64_t offset, Slice bytes, OverlapPolicy policy, SegmentPool& pool,
              StreamStats& stats);
  void Keep(size_t index, uint64_t offset, Slice bytes, SegmentPool& pool, StreamStats& stats);
  size_t FirstEndingBehind(uint64_t offset) const;

  uint64_t delivered_ = 0;
  uint64_t skipped_ = 0;  // urgent bytes below delivered_
  uint64_t highest_ = 0;
  std::vector<Segment> segments_;  // sorted, disjoint
};

}  // namespace sluice
