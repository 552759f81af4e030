// engine/verdict/guard.h
// Guard rails of automatic blocking: how many hosts rules may block, and for how long.
// A rule that matches what everybody sends must cost flows, not the network.
//
// Threads: Seen(), Ask() and Ttl() from any worker (atomics, no lock); Refresh() on the
//   main thread, every few seconds.
// Memory: 16 KiB, made with the object.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "engine/base/types.h"
#include "engine/decode/address.h"

namespace sluice {

struct GuardOptions {
  uint32_t always = 16;        // hosts that may be blocked whatever the share
  uint32_t max_hosts = 50'000; // blocked at a time
  uint32_t max_percent = 10;   // of the hosts that began flows in the last 5 to 10 minutes
  Nanos max_ttl = std::chrono::hours{24};  // no block of a rule lasts longer
};

enum class GuardAnswer : uint8_t { kAllowed, kTooMany, kTooLargeShare };

struct GuardStats {
  uint64_t refused_number = 0;
  uint64_t refused_share = 0;
  uint64_t ttl_cut = 0;
  uint64_t hosts_blocked = 0;
  uint64_t hosts_seen = 0;  // estimated, see Refresh()
};

class BlockGuard {
 public:
  // `seed` keys the hash of addresses: nobody outside can aim at it.
  BlockGuard(const GuardOptions& options, uint64_t seed) : options_(options), seed_(seed) {}

  // A host began a flow.
  void Seen(const Address& source) noexcept;
  // May one more host be blocked?  kAllowed takes the place; give it back by Refresh().
  GuardAnswer Ask() noexcept;
  // How long a block lasts that asks for `wanted` (0: for ever).
  Nanos Ttl(Nanos wanted) noexcept;
  // `blocked`: hosts that rules block now, as the kernel's maps say.  Counts the hosts seen
  // anew; the window moves on when it is 5 minutes old.
  void Refresh(uint64_t blocked, Nanos now) noexcept;
  GuardStats stats() const noexcept;

 private:
  // Linear counting: within 2 % up to about 200,000 hosts, never above 727,000.
  static constexpr size_t kBits = 1u << 16;
  static constexpr Nanos kWindow = std::chrono::minutes{5};
  using Bitmap = std::array<std::atomic<uint64_t>, kBits / 64>;

  uint64_t CountSeen() const noexcept;

  const GuardOptions options_;
  const uint64_t seed_;
  Bitmap windows_[2] = {};
  std::atomic<uint32_t> current_{0};  // index of the window being filled
  Nanos window_start_{};
  std::atomic<uint64_t> blocked_{0}, seen_{0};
  std::atomic<uint64_t> refused_number_{0}, refused_share_{0}, ttl_cut_{0};
};

}  // namespace sluice
