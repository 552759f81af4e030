#include "engine/stream/segment_pool.h"

#include <algorithm>

namespace sluice {

SegmentPool::Buffer SegmentPool::Take(uint32_t size) {
  const auto it = std::ranges::lower_bound(kClasses, size);
  if (it == kClasses.end() || in_use_ + *it > memcap_) return {};
  in_use_ += *it;
  auto& free = free_[static_cast<size_t>(it - kClasses.begin())];
  if (free.empty()) return {std::make_unique_for_overwrite<uint8_t[]>(*it), *it};
  Buffer buffer = std::move(free.back());
  free.pop_back();
  return buffer;
}

void SegmentPool::Give(Buffer buffer) noexcept {
  if (!buffer) return;
  in_use_ -= buffer.capacity;
  const auto it = std::ranges::lower_bound(kClasses, buffer.capacity);
  free_[static_cast<size_t>(it - kClasses.begin())].push_back(std::move(buffer));
}

}  // namespace sluice
