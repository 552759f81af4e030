// engine/stream/segment_pool.h
// Memory for segments that wait: size classes, kept for reuse, under a memcap.
// Threads: confined to its worker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace sluice {

class SegmentPool {
 public:
  explicit SegmentPool(size_t memcap) : memcap_(memcap) {}

  struct Buffer {
    std::unique_ptr<uint8_t[]> bytes;
    uint32_t capacity = 0;
    explicit operator bool() const { return bytes != nullptr; }
  };
  // At least `size` bytes (at most 64 KiB), or nothing at the memcap.
  Buffer Take(uint32_t size);
  void Give(Buffer buffer) noexcept;
  size_t in_use() const { return in_use_; }  // bytes handed out

 private:
  static constexpr std::array<uint32_t, 5> kClasses = {256, 1536, 4096, 16384, 65536};
  std::array<std::vector<Buffer>, kClasses.size()> free_;
  size_t memcap_;
  size_t in_use_ = 0;
};

}  // namespace sluice
