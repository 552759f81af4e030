// engine/app/raw_window.h
// The bytes of one TCP direction that stream rules may still look at, in runs without a
// hole.  Of the last run an overlap stays after a look, so that a match may straddle two.
//
// Threads: confined to the flow's worker.  Memory: at most Limits::window bytes (one append
// may be larger), kept for the next flow that takes this object.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/base/types.h"

namespace sluice {

class RawWindow {
 public:
  struct Limits {
    size_t window = 128 * 1024;  // bytes kept; the oldest go first
    size_t overlap = 2560;       // of them already looked at
  };
  static constexpr size_t kMaxRuns = 4;  // the oldest goes first

  // In-order bytes at a stream offset.  Returns how many bytes went that nobody looked at.
  uint64_t Append(Slice bytes, uint64_t offset, const Limits& limits);
  // Nothing will come before `offset`.  Returns as Append().
  uint64_t Gap(uint64_t offset);

  bool fresh() const { return fresh_ < bytes_.size(); }      // there is something to look at
  size_t num_fresh() const { return bytes_.size() - fresh_; }  // bytes of it
  bool cut() const { return num_gaps_ > 0; }                 // some of it will not grow
  size_t num_runs() const { return num_gaps_ + 1; }          // the last may be empty
  Slice run(size_t i) const { return Slice(bytes_).subspan(begin(i), end(i) - begin(i)); }
  uint64_t at(size_t i) const { return i == 0 ? at_ : gaps_[i - 1].offset; }  // of run(i)[0]
  void Looked(const Limits& limits);                         // at all runs
  void Clear();

 private:
  struct GapMark {
    size_t index = 0;      // in bytes_: where the next run begins
    uint64_t offset = 0;   // its stream offset
  };
  size_t begin(size_t i) const { return i == 0 ? 0 : gaps_[i - 1].index; }
  size_t end(size_t i) const { return i < num_gaps_ ? gaps_[i].index : bytes_.size(); }
  void DropFront(size_t count);
  uint64_t DropRun();

  std::vector<uint8_t> bytes_;
  uint64_t at_ = 0;
  size_t fresh_ = 0;  // bytes_ from here on were not looked at
  std::array<GapMark, kMaxRuns> gaps_{};
  size_t num_gaps_ = 0;
};

}  // namespace sluice
