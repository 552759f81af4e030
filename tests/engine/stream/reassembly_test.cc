#include "engine/stream/reassembly.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/engine/stream/model.h"

namespace sluice {
namespace {

using testing::ByteMap;
using testing::Recorder;

struct Harness {
  SegmentPool pool{1 << 20};
  StreamStats stats;
  Reassembly data;
  Recorder to;
  bool Add(uint64_t offset, std::string_view bytes, uint64_t limit = UINT64_MAX,
           OverlapPolicy policy = OverlapPolicy::kFirst) {
    return data.Add(offset, AsSlice(bytes), limit, policy, pool, stats, to);
  }
  ~Harness() { data.Clear(pool); }
};

TEST(Reassembly, InOrderBytesAreHandedOnAtOnceWithoutACopy) {
  Harness h;
  h.Add(0, "abc");
  h.Add(3, "def");
  EXPECT_EQ(h.to.out, "abcdef");
  EXPECT_EQ(h.pool.in_use(), 0u);
}

TEST(Reassembly, OutOfOrderWaitsForTheHole) {
  Harness h;
  h.Add(3, "def");
  EXPECT_EQ(h.to.out, "");
  EXPECT_EQ(h.stats.out_of_order, 1u);
  h.Add(0, "abc");
  EXPECT_EQ(h.to.out, "abcdef");
  EXPECT_EQ(h.pool.in_use(), 0u);
}

TEST(Reassembly, NothingBeyondTheLimitIsDelivered) {
  Harness h;
  h.Add(0, "abcdef", 2);
  EXPECT_EQ(h.to.out, "ab");
  h.data.Deliver(5, false, h.pool, h.to);
  EXPECT_EQ(h.to.out, "abcde");
}

TEST(Reassembly, GapIsToldOnlyWhenAllowed) {
  Harness h;
  h.Add(4, "ef");
  h.data.Deliver(6, false, h.pool, h.to);
  EXPECT_EQ(h.to.out, "");
  h.data.Deliver(6, true, h.pool, h.to);
  EXPECT_EQ(h.to.out, "<4>ef");
}

struct OverlapCase {
  const char* name;
  OverlapPolicy policy;
  uint64_t old_at;
  std::string old_bytes;
  uint64_t new_at;
  std::string new_bytes;
  std::string expected;  // of positions 1.., position 0 comes last
};
class Overlap : public ::testing::TestWithParam<OverlapCase> {};

TEST_P(Overlap, ThePolicyDecides) {
  const OverlapCase& c = GetParam();
  Harness h;
  h.Add(c.old_at, c.old_bytes, UINT64_MAX, c.policy);
  EXPECT_FALSE(h.Add(c.new_at, c.new_bytes, UINT64_MAX, c.policy));
  h.Add(0, "-", UINT64_MAX, c.policy);
  EXPECT_EQ(h.to.out, "-" + c.expected);
  EXPECT_EQ(h.stats.overlaps_different, 1u);
}

const OverlapCase kOverlaps[] = {
    {"FirstKeepsTheOld", OverlapPolicy::kFirst, 2, "BB", 1, "aaaa", "aBBa"},
    {"LastTakesTheNew", OverlapPolicy::kLast, 1, "AAAA", 2, "bb", "AbbA"},
    {"BsdTakesANewSegmentThatBeginsBefore", OverlapPolicy::kBsd, 2, "BB", 1, "aaaa", "aaaa"},
    {"BsdKeepsTheOldThatBeginsTogether", OverlapPolicy::kBsd, 1, "BB", 1, "aaaa", "BBaa"},
    {"LinuxTakesALongerOneThatBeginsTogether", OverlapPolicy::kLinux, 1, "BB", 1, "aaaa", "aaaa"},
    {"LinuxKeepsAnEqualOne", OverlapPolicy::kLinux, 1, "BB", 1, "aa", "BB"},
    {"SolarisTakesOneThatEndsNoEarlier", OverlapPolicy::kSolaris, 1, "BBB", 2, "aa", "Baa"},
    {"SolarisKeepsOneThatEndsLater", OverlapPolicy::kSolaris, 1, "BBBB", 2, "aa", "BBBB"},
};
INSTANTIATE_TEST_SUITE_P(Policies, Overlap, ::testing::ValuesIn(kOverlaps),
                         [](const auto& info) { return info.param.name; });

TEST(Reassembly, MemcapDropsTheSegmentAndCounts) {
  Harness h;
  h.pool = SegmentPool(600);
  h.Add(10, std::string(200, 'a'));
  h.Add(1000, std::string(200, 'b'));
  h.Add(2000, std::string(200, 'c'));
  EXPECT_EQ(h.stats.segment_memcap, 1u);
  EXPECT_LE(h.pool.in_use(), 600u);
}

TEST(Reassembly, WaitingSegmentsAreBounded) {
  Harness h;
  for (uint64_t i = 0; i < Reassembly::kMaxWaiting + 5; ++i) h.Add(10 + i * 2, "x");
  EXPECT_EQ(h.stats.waiting_limit, 5u);
}

// Any order and any cut, with losses, repeats and contradictions: the same bytes and gaps as
// the slow model under each policy, delivered in order.
TEST(Reassembly, AgreesWithTheByteMapOnRandomSegments) {
  std::mt19937 random(7);
  const auto pick = [&](size_t n) { return static_cast<size_t>(random() % n); };
  for (int round = 0; round < 3000; ++round) {
    std::string text(1 + pick(200), '\0');
    for (char& c : text) c = static_cast<char>('a' + pick(26));
    Harness h;
    const auto policy = static_cast<OverlapPolicy>(round % 5);
    ByteMap model(policy);
    uint64_t acked = 0;
    for (int i = 0; i < 40; ++i) {
      const size_t at = pick(text.size()), len = 1 + pick(20);
      std::string part = text.substr(at, len);
      if (pick(4) == 0) part[pick(part.size())] = '!';  // another byte for the same place
      h.Add(at, part, acked, policy);
      model.Add(at, part);
      model.Deliver(acked, false);
      if (pick(3) == 0) {
        acked = std::max<uint64_t>(acked, pick(text.size() + 1));
        h.data.Deliver(acked, true, h.pool, h.to);
        model.Deliver(acked, true);
      }
      ASSERT_EQ(h.to.out, model.out) << "round " << round;
    }
    h.data.Deliver(text.size(), true, h.pool, h.to);
    model.Deliver(text.size(), true);
    // One gap told in two calls reads "<1><2>": both make the same calls.
    ASSERT_EQ(h.to.out, model.out);
    ASSERT_TRUE(h.to.in_order);
  }
}

}  // namespace
}  // namespace sluice
