// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <cstddef>
#include <utility>

namespace http2 {
namespace {

constexpr size_t kSmallest = 32, kLargest = 1024, kSizes = 6;  // powers of two
constexpr uint32_t kMostKept = 64;

// In front of each block; keeps it aligned as malloc's are.
struct alignas(std::max_align_t) Head {
  size_t size;  // of what follows
  Head* next;   // kept
};

thread_local bool pool_gone = false;  // the thread is ending
struct Pool {
  std::array<Head*, kSizes> kept{};
  std::array<uint32_t, kSizes> count{};
  ~Pool() {
    pool_gone = true;
    for (Head* head : kept) {
      while (head != nullptr) std::free(std::exchange(head, head->next));
    }
  }
};
thread_local Pool pool;

size_t IndexOf(size_t size) { return static_cast<size_t>(std::bit_width(size - 1)) - 5; }

void* Take(size_t size, void*) {
  const bool small = size <= kLargest && !pool_gone;
  if (small) size = size <= kSmallest ? kSmallest : std::bit_ceil(size);
  if (small && pool.kept[IndexOf(size)] != nullptr) {
    const size_t i = IndexOf(size);
    Head* head = pool.kept[i];
    pool.kept[i] = head->next;
    --pool.count[i];
    return head + 1;
  }
  if (size > SIZE_MAX - sizeof(Head)) return nullptr;
  auto* head = static_cast<Head*>(std::malloc(sizeof(Head) + size));
  if (head == nullptr) return nullptr;
  head->size = size;
  return head + 1;
}

void Give(void* block, void*) {
  if (block == nullptr) return;
  Head* head = static_cast<Head*>(block) - 1;
  const bool small = head->size <= kLargest && head->size >= kSmallest && std::has_single_bit(head->size) && !pool_gone;
  const size_t i = small ? IndexOf(head->size) : 0;
  if (!small || pool.count[i] >= kMostKept) return std::free(head);
  head->next = pool.kept[i];
  pool.kept[i] = head;
  ++pool.count[i];
}

void* TakeZeroed(size_t count, size_t size, void* user) {
  if (size != 0 && count > SIZE_MAX / size) return nullptr;
  void* block = Take(count * size, user);
  if (block != nullptr) std::memset(block, 0, count * size);
  return block;
}

void* Resize(void* block, size_t size, void* user) {
  if (block == nullptr) return Take(size, user);
  const size_t old = (static_cast<Head*>(block) - 1)->size;
  if (size <= old) return block;
  void* bigger = Take(size, user);
  if (bigger == nullptr) return nullptr;
  std::memcpy(bigger, block, old);
  Give(block, user);
  return bigger;
}

}  // namespace

nghttp2_mem* PooledMemory() {
  static nghttp2_mem memory{nullptr, Take, Give, TakeZeroed, Resize};
  return &memory;
}

}  // namespace http2
