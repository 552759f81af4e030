// engine/app/raw_window.h
// The bytes of one TCP direction that stream rules may still look at: in runs without a
// hole, each looked at in turn; of what was looked at an overlap stays, so that a match
// may straddle two looks.
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

  bool fresh() const { return fresh_ < bytes_.size(); }     // there is something to look at
  size_t num_fresh() const { return run_end() - fresh_; }   // bytes of it in the oldest run
  bool cut() const { return num_gaps_ > 0; }                // that run will not grow
  Slice run() const { return Slice(bytes_).first(run_end()); }
  uint64_t at() const { return at_; }                       // stream offset of run()[0]
  void Looked(const Limits& limits);                        // at run()
  void Clear();

 private:
  struct GapMark {
    size_t index = 0;      // in bytes_: where the next run begins
    uint64_t offset = 0;   // its stream offset
  };
  size_t run_end() const { return num_gaps_ > 0 ? gaps_[0].index : bytes_.size(); }
  void DropFront(size_t count);
  uint64_t DropRun();

  std::vector<uint8_t> bytes_;
  uint64_t at_ = 0;
  size_t fresh_ = 0;  // bytes_ from here on were not looked at
  std::array<GapMark, kMaxRuns> gaps_{};
  size_t num_gaps_ = 0;
};

}  // namespace sluice
