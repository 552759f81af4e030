#include "engine/app/raw_window.h"

#include <algorithm>

namespace sluice {

uint64_t RawWindow::Append(Slice bytes, uint64_t offset, const Limits& limits) {
  uint64_t lost = 0;
  while (!bytes_.empty() && bytes_.size() + bytes.size() > limits.window) {
    if (cut()) {
      lost += DropRun();
      continue;
    }
    const size_t drop = bytes_.size() - std::min(bytes_.size(), limits.overlap);
    lost += drop - std::min(drop, fresh_);
    DropFront(drop);
    break;
  }
  if (bytes_.empty()) at_ = offset;
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return lost;
}

uint64_t RawWindow::Gap(uint64_t offset) {
  if (!fresh()) {
    Clear();
    at_ = offset;
    return 0;
  }
  if (num_gaps_ > 0 && gaps_[num_gaps_ - 1].index == bytes_.size()) {  // two holes in a row
    gaps_[num_gaps_ - 1].offset = offset;
    return 0;
  }
  const uint64_t lost = num_gaps_ == kMaxRuns ? DropRun() : 0;
  gaps_[num_gaps_++] = {bytes_.size(), offset};
  return lost;
}

void RawWindow::Looked(const Limits& limits) {
  while (cut()) DropRun();
  if (bytes_.size() > limits.overlap) DropFront(bytes_.size() - limits.overlap);
  fresh_ = bytes_.size();
}

void RawWindow::Clear() {
  bytes_.clear();
  at_ = 0;
  fresh_ = 0;
  num_gaps_ = 0;
}

// Of the only run.
void RawWindow::DropFront(size_t count) {
  bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<ptrdiff_t>(count));
  at_ += count;
  fresh_ -= std::min(fresh_, count);
}

// The oldest of several runs.  Returns its bytes that nobody looked at.
uint64_t RawWindow::DropRun() {
  const GapMark next = gaps_[0];
  const uint64_t lost = next.index - std::min(next.index, fresh_);
  bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<ptrdiff_t>(next.index));
  at_ = next.offset;
  fresh_ = 0;
  std::shift_left(gaps_.begin(), gaps_.begin() + static_cast<ptrdiff_t>(num_gaps_--), 1);
  for (size_t i = 0; i < num_gaps_; ++i) gaps_[i].index -= next.index;
  return lost;
}

}  // namespace sluice
