// engine/flow/byte_rate.h
// How many bytes one direction of a flow carried within the last seconds.
//
// Shape: a bucket for each second of the interval; the second that is running counts whole.
// Threads: confined to the flow's worker.
// Memory: one allocation of 8 bytes a second in Use(), kept over Clear().
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "engine/base/types.h"

namespace sluice {

struct ByteRateOptions {
  uint64_t bytes = 0;     // within `seconds`: an elephant; 0: nobody counts
  uint32_t seconds = 10;  // 1 .. 3600
};

// Whether `bytes` that nobody saw pass, within `duration`, must have come to the rate at some
// time: one of the intervals that cover it had at least the mean.
inline bool MustHaveReached(const ByteRateOptions& options, uint64_t bytes, Nanos duration) {
  const Nanos interval = std::chrono::seconds{options.seconds};
  const auto intervals = static_cast<uint64_t>(std::max<int64_t>(1, (duration + interval - Nanos{1}) / interval));
  return options.bytes > 0 && bytes / intervals >= options.bytes;
}

class ByteRate {
 public:
  void Use(uint32_t seconds) { buckets_.resize(seconds); }
  void Clear() {
    std::fill(buckets_.begin(), buckets_.end(), 0);
    sum_ = 0;
    last_ = -1;
  }
  // Returns the bytes of the last so many seconds, these included.  Time that goes back
  // counts as standing still.  O(seconds) once after a pause, else O(1).
  uint64_t Add(Nanos now, uint64_t bytes) noexcept {
    const int64_t size = static_cast<int64_t>(buckets_.size());
    int64_t second = std::chrono::floor<std::chrono::seconds>(now).count();
    if (last_ < 0 || second - last_ >= size) {
      Clear();
      last_ = second;
    }
    second = std::max(second, last_);
    while (last_ < second) Forget(++last_ % size);
    buckets_[static_cast<size_t>(second % size)] += bytes;
    return sum_ += bytes;
  }

 private:
  void Forget(int64_t bucket) noexcept {
    uint64_t& old = buckets_[static_cast<size_t>(bucket)];
    sum_ -= old;
    old = 0;
  }

  std::vector<uint64_t> buckets_;
  uint64_t sum_ = 0;
  int64_t last_ = -1;  // second of the latest bytes; -1: none yet
};

}  // namespace sluice
