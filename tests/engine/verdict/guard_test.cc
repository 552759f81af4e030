#include "engine/verdict/guard.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

Address Host(uint32_t n, uint8_t version = 4) {
  Address address;
  address.version = version;
  for (size_t i = 0; i < 4; ++i) address.bytes[i] = static_cast<uint8_t>(n >> (8 * i));
  return address;
}

uint64_t Allowed(BlockGuard& guard, uint64_t asks) {
  uint64_t allowed = 0;
  for (uint64_t i = 0; i < asks; ++i) allowed += guard.Ask() == GuardAnswer::kAllowed;
  return allowed;
}

// Law: whatever is asked, never more than max_hosts are blocked, and, past the first
// `always`, never more than the share of the hosts seen.
TEST(BlockGuard, NeverMoreThanNumberAndShare) {
  for (const uint32_t hosts : {0u, 10u, 100u, 1000u, 20'000u}) {
    for (const uint32_t percent : {0u, 10u, 100u}) {
      BlockGuard guard({.always = 16, .max_hosts = 500, .max_percent = percent, .max_ttl = hours{1}}, 7);
      for (uint32_t i = 0; i < hosts; ++i) guard.Seen(Host(i));
      guard.Refresh(0, seconds{1});
      const uint64_t seen = guard.stats().hosts_seen;
      const uint64_t limit = std::min<uint64_t>(500, std::max<uint64_t>(16, seen * percent / 100));
      EXPECT_EQ(Allowed(guard, 2000), limit) << hosts << " hosts, " << percent << " %";
      EXPECT_EQ(guard.stats().refused_number + guard.stats().refused_share, 2000 - limit);
    }
  }
}

TEST(BlockGuard, SaysWhichLimitRefused) {
  BlockGuard share({.always = 1, .max_hosts = 10, .max_percent = 10, .max_ttl = hours{1}}, 7);
  EXPECT_EQ(share.Ask(), GuardAnswer::kAllowed);
  EXPECT_EQ(share.Ask(), GuardAnswer::kTooLargeShare);
  EXPECT_EQ(share.stats().refused_share, 1u);
  BlockGuard number({.always = 1, .max_hosts = 1, .max_percent = 100, .max_ttl = hours{1}}, 7);
  EXPECT_EQ(number.Ask(), GuardAnswer::kAllowed);
  EXPECT_EQ(number.Ask(), GuardAnswer::kTooMany);
  EXPECT_EQ(number.stats().refused_number, 1u);
}

TEST(BlockGuard, ExpiredBlocksMakeRoom) {
  BlockGuard guard({.always = 2, .max_hosts = 2, .max_percent = 0, .max_ttl = hours{1}}, 7);
  EXPECT_EQ(Allowed(guard, 5), 2u);
  guard.Refresh(1, seconds{5});
  EXPECT_EQ(Allowed(guard, 5), 1u);
}

TEST(BlockGuard, CountsHostsOnceWithinTwoPercent) {
  BlockGuard guard({}, 7);
  for (int round = 0; round < 3; ++round) {
    for (uint32_t i = 0; i < 50'000; ++i) guard.Seen(Host(i));
  }
  guard.Refresh(0, seconds{1});
  EXPECT_NEAR(static_cast<double>(guard.stats().hosts_seen), 50'000.0, 1000.0);
}

TEST(BlockGuard, TheSameBytesInIpv4AndIpv6AreTwoHosts) {
  BlockGuard guard({}, 7);
  guard.Seen(Host(1, 4));
  guard.Seen(Host(1, 6));
  guard.Refresh(0, seconds{1});
  EXPECT_EQ(guard.stats().hosts_seen, 2u);
}

TEST(BlockGuard, ForgetsHostsAfterTwoWindows) {
  BlockGuard guard({}, 7);
  guard.Refresh(0, seconds{1});
  for (uint32_t i = 0; i < 1000; ++i) guard.Seen(Host(i));
  guard.Refresh(0, minutes{6});
  EXPECT_GT(guard.stats().hosts_seen, 900u);
  guard.Refresh(0, minutes{12});
  EXPECT_EQ(guard.stats().hosts_seen, 0u);
}

TEST(BlockGuard, EveryBlockEnds) {
  BlockGuard guard({.max_ttl = hours{1}}, 7);
  EXPECT_EQ(guard.Ttl(minutes{10}), Nanos{minutes{10}});
  EXPECT_EQ(guard.stats().ttl_cut, 0u);
  EXPECT_EQ(guard.Ttl(hours{2}), Nanos{hours{1}});
  EXPECT_EQ(guard.Ttl(Nanos{}), Nanos{hours{1}});
  EXPECT_EQ(guard.stats().ttl_cut, 2u);
}

}  // namespace
}  // namespace sluice
