// engine/base/cycles.h
// The CPU's time-stamp counter: a duration measure of about ten nanoseconds
// cost, for budgets and profiles; never a clock.
// Threads: any.
#pragma once

#include <cstdint>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "engine/base/types.h"

namespace sluice {

inline uint64_t Cycles() noexcept {
#if defined(__x86_64__)
  return __rdtsc();
#elif defined(__aarch64__)
  uint64_t ticks;
  asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
#error "no cycle counter known for this architecture"
#endif
}

// Ticks per microsecond, measured once on first use (about half a millisecond).
uint64_t CyclesPerMicrosecond() noexcept;

}  // namespace sluice
