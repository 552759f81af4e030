// tests/support/allocations.h
// Replaces operator new by one that counts: include it in one file of a test only.
#pragma once

#include <atomic>
#include <cstdlib>
#include <new>

namespace sluice::testing {
inline std::atomic<uint64_t> g_allocations{0};
}

// malloc and free pair up here; g++ cannot see that.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(size_t size) {
  ++sluice::testing::g_allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  ++sluice::testing::g_allocations;
  return std::malloc(size);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
