#include "engine/verdict/guard.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace sluice {

constexpr auto kRelaxed = std::memory_order_relaxed;

void BlockGuard::Seen(const Address& source) noexcept {
  const uint64_t hash = XXH3_64bits_withSeed(source.bytes.data(), source.bytes.size(), seed_ ^ source.version);
  const size_t bit = hash % kBits;
  std::atomic<uint64_t>& word = windows_[current_.load(kRelaxed)][bit / 64];
  const uint64_t mask = uint64_t{1} << bit % 64;
  if ((word.load(kRelaxed) & mask) == 0) word.fetch_or(mask, kRelaxed);
}

GuardAnswer BlockGuard::Ask() noexcept {
  const uint64_t share = seen_.load(kRelaxed) * options_.max_percent / 100;
  const uint64_t by_share = std::max<uint64_t>(options_.always, share);
  const uint64_t limit = std::min<uint64_t>(by_share, options_.max_hosts);
  if (blocked_.fetch_add(1, kRelaxed) < limit) return GuardAnswer::kAllowed;
  blocked_.fetch_sub(1, kRelaxed);
  const bool number = limit == options_.max_hosts;
  (number ? refused_number_ : refused_share_).fetch_add(1, kRelaxed);
  return number ? GuardAnswer::kTooMany : GuardAnswer::kTooLargeShare;
}

Nanos BlockGuard::Ttl(Nanos wanted) noexcept {
  if (wanted > Nanos{} && wanted <= options_.max_ttl) return wanted;
  ttl_cut_.fetch_add(1, kRelaxed);
  return options_.max_ttl;
}

uint64_t BlockGuard::CountSeen() const noexcept {
  size_t zeros = 0;
  for (size_t i = 0; i < windows_[0].size(); ++i) {
    zeros += static_cast<size_t>(std::popcount(~(windows_[0][i].load(kRelaxed) | windows_[1][i].load(kRelaxed))));
  }
  const double m = kBits;
  return static_cast<uint64_t>(std::lround(m * std::log(m / static_cast<double>(std::max<size_t>(zeros, 1)))));
}

void BlockGuard::Refresh(uint64_t blocked, Nanos now) noexcept {
  blocked_.store(blocked, kRelaxed);
  if (window_start_ == Nanos{}) window_start_ = now;
  if (now - window_start_ >= kWindow) {
    const uint32_t next = 1 - current_.load(kRelaxed);
    for (auto& word : windows_[next]) word.store(0, kRelaxed);
    current_.store(next, kRelaxed);
    window_start_ = now;
  }
  seen_.store(CountSeen(), kRelaxed);
}

GuardStats BlockGuard::stats() const noexcept {
  return {refused_number_.load(kRelaxed), refused_share_.load(kRelaxed), ttl_cut_.load(kRelaxed),
          blocked_.load(kRelaxed), seen_.load(kRelaxed)};
}

}  // namespace sluice
