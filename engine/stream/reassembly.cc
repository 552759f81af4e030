#include "engine/stream/reassembly.h"

#include <algorithm>
#include <cstring>

namespace sluice {
namespace {

bool NewWins(OverlapPolicy policy, uint64_t start, uint64_t end, uint64_t old_start,
             uint64_t old_end) {
  switch (policy) {
    case OverlapPolicy::kFirst: return false;
    case OverlapPolicy::kLast: return true;
    case OverlapPolicy::kBsd: return start < old_start;
    case OverlapPolicy::kLinux: return start < old_start || (start == old_start && end > old_end);
    case OverlapPolicy::kSolaris: return end >= old_end;
  }
  return false;
}

}  // namespace

bool Reassembly::Add(uint64_t offset, Slice bytes, uint64_t limit, OverlapPolicy policy,
                     SegmentPool& pool, StreamStats& stats, Sink& sink) {
  highest_ = std::max(highest_, offset + bytes.size());
  if (offset < delivered_) {  // already handed on: nothing can be changed any more
    const uint64_t old = std::min<uint64_t>(delivered_ - offset, bytes.size());
    bytes = bytes.subspan(old);
    offset += old;
  }
  if (bytes.empty()) return true;
  if (segments_.empty() && offset == delivered_ && offset + bytes.size() <= limit) {
    delivered_ += bytes.size();
    sink.OnBytes(bytes, offset - skipped_);
    return true;
  }
  if (offset > delivered_ && (segments_.empty() || offset != segments_.back().end())) {
    ++stats.out_of_order;
  }
  const bool same = Insert(offset, bytes, policy, pool, stats);
  Deliver(limit, false, pool, sink);
  return same;
}

bool Reassembly::Insert(uint64_t offset, Slice bytes, OverlapPolicy policy, SegmentPool& pool,
                        StreamStats& stats) {
  const uint64_t start = offset, end = offset + bytes.size();
  bool same = true;
  size_t i = FirstEndingBehind(offset);
  uint64_t at = start;
  while (at < end) {
    if (i == segments_.size() || segments_[i].offset >= end) {
      Keep(i, at, bytes.subspan(at - start), pool, stats);
      break;
    }
    if (segments_[i].offset > at) {  // a hole before the next segment
      const size_t count = segments_.size();
      const uint64_t hole_end = segments_[i].offset;
      Keep(i, at, bytes.subspan(at - start, hole_end - at), pool, stats);
      i += segments_.size() - count;
      at = hole_end;
      continue;
    }
    Segment& old = segments_[i];
    const uint64_t stop = std::min(end, old.end());
    if (!old.buffer) {
      at = stop;
      ++i;
      continue;
    }
    uint8_t* theirs = old.data() + (at - old.offset);
    const uint8_t* ours = bytes.data() + (at - start);
    ++stats.overlaps;
    if (std::memcmp(theirs, ours, stop - at) != 0) {
      same = false;
      ++stats.overlaps_different;
      if (NewWins(policy, start, end, old.offset, old.end())) std::memcpy(theirs, ours, stop - at);
    }
    at = stop;
    ++i;
  }
  return same;
}

void Reassembly::Skip(uint64_t offset, uint64_t limit, SegmentPool& pool, StreamStats& stats, Sink& sink) {
  highest_ = std::max(highest_, offset + 1);
  if (offset < delivered_) return;
  const size_t i = FirstEndingBehind(offset);
  if (i < segments_.size() && segments_[i].offset <= offset) return;
  if (segments_.size() >= kMaxWaiting) {
    ++stats.waiting_limit;
    return;
  }
  segments_.insert(segments_.begin() + static_cast<ptrdiff_t>(i), Segment{.offset = offset, .skip = 0, .len = 1, .buffer = {}});
  ++stats.urgent_oob_bytes;
  Deliver(limit, false, pool, sink);
}

// Usually past the last one.
size_t Reassembly::FirstEndingBehind(uint64_t offset) const {
  size_t i = segments_.size();
  while (i > 0 && segments_[i - 1].end() > offset) --i;
  return i;
}

void Reassembly::Keep(size_t index, uint64_t offset, Slice bytes, SegmentPool& pool,
                      StreamStats& stats) {
  if (segments_.size() >= kMaxWaiting) {
    ++stats.waiting_limit;
    return;
  }
  const auto len = static_cast<uint32_t>(bytes.size());
  SegmentPool::Buffer buffer = pool.Take(len);
  if (!buffer) {
    ++stats.segment_memcap;
    return;
  }
  std::memcpy(buffer.bytes.get(), bytes.data(), len);
  segments_.insert(segments_.begin() + static_cast<ptrdiff_t>(index),
                   Segment{.offset = offset, .skip = 0, .len = len, .buffer = std::move(buffer)});
}

void Reassembly::Show(Sink& sink) const {
  uint64_t at = delivered_, skipped = skipped_;
  for (const Segment& segment : segments_) {
    if (segment.offset > at) sink.OnGap(at - skipped, segment.offset - at);
    if (segment.buffer) sink.OnBytes(Slice(segment.data(), segment.len), segment.offset - skipped);
    else ++skipped;
    at = segment.end();
  }
}

void Reassembly::Deliver(uint64_t limit, bool gaps, SegmentPool& pool, Sink& sink) {
  size_t done = 0;
  while (delivered_ < limit) {
    const uint64_t next = done < segments_.size() ? segments_[done].offset : UINT64_MAX;
    if (next > delivered_) {
      if (!gaps) break;
      const uint64_t lost = std::min(next, limit) - delivered_;
      const uint64_t from = delivered_ - skipped_;
      delivered_ += lost;
      sink.OnGap(from, lost);
      continue;
    }
    Segment& segment = segments_[done];
    if (!segment.buffer) {
      ++delivered_;
      ++skipped_;
      ++done;
      continue;
    }
    const auto take = static_cast<uint32_t>(std::min<uint64_t>(segment.len, limit - delivered_));
    const Slice bytes(segment.data(), take);
    const uint64_t from = delivered_ - skipped_;
    delivered_ += take;
    sink.OnBytes(bytes, from);
    if (take < segment.len) {
      segment.offset += take;
      segment.skip += take;
      segment.len -= take;
      break;
    }
    ++done;
  }
  for (size_t i = 0; i < done; ++i) pool.Give(std::move(segments_[i].buffer));
  segments_.erase(segments_.begin(), segments_.begin() + static_cast<ptrdiff_t>(done));
}

void Reassembly::Clear(SegmentPool& pool) noexcept {
  for (Segment& segment : segments_) pool.Give(std::move(segment.buffer));
  segments_.clear();
}

void Reassembly::Reset(SegmentPool& pool) noexcept {
  Clear(pool);
  delivered_ = skipped_ = highest_ = 0;
}

}  // namespace sluice
