#include "engine/base/cycles.h"

#include <algorithm>

namespace sluice {

uint64_t CyclesPerMicrosecond() noexcept {
  static const uint64_t rate = [] {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    const uint64_t first = Cycles();
    while (Clock::now() - start < std::chrono::microseconds{500}) {
    }
    return std::max<uint64_t>(1, (Cycles() - first) / 500);
  }();
  return rate;
}

}  // namespace sluice
