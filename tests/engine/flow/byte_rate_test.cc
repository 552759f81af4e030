#include "engine/flow/byte_rate.h"

#include <gtest/gtest.h>

#include <random>
#include <utility>
#include <vector>

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ByteRate, CountsTheSecondsOfTheInterval) {
  ByteRate rate;
  rate.Use(4);
  rate.Clear();
  EXPECT_EQ(rate.Add(milliseconds{10'500}, 48), 48u);
  EXPECT_EQ(rate.Add(milliseconds{10'999}, 2), 50u);
  EXPECT_EQ(rate.Add(seconds{13}, 47), 97u) << "the fourth second";
  EXPECT_EQ(rate.Add(seconds{14}, 1), 48u) << "that of the first is over";
  EXPECT_EQ(rate.Add(seconds{13}, 1), 49u) << "a clock that goes back stands still";
  EXPECT_EQ(rate.Add(seconds{100}, 7), 7u);
}

// Each answer is the sum over what a list of everything says.
TEST(ByteRate, EqualsASumOverTheLastSeconds) {
  std::mt19937 rng(1);
  for (const uint32_t size : {1u, 2u, 10u, 61u}) {
    ByteRate rate;
    rate.Use(size);
    rate.Clear();
    std::vector<std::pair<int64_t, uint64_t>> all;
    int64_t now_ms = 1'000'000;
    for (int i = 0; i < 3000; ++i) {
      now_ms += rng() % 3 ? rng() % 700 : rng() % (size * 1500);
      all.emplace_back(now_ms / 1000, rng() % 2000);
      uint64_t sum = 0;
      for (auto it = all.rbegin(); it != all.rend() && it->first > now_ms / 1000 - size; ++it) sum += it->second;
      ASSERT_EQ(rate.Add(milliseconds{now_ms}, all.back().second), sum) << "interval " << size << ", step " << i;
    }
  }
}

TEST(ByteRate, WhatNobodySawIsJudgedByItsMean) {
  const ByteRateOptions options{1000, 10};
  EXPECT_TRUE(MustHaveReached(options, 1000, seconds{10}));
  EXPECT_FALSE(MustHaveReached(options, 1999, milliseconds{10'001})) << "it may have been 999 and 1,000 in other tens";
  EXPECT_TRUE(MustHaveReached(options, 2000, seconds{20}));
  EXPECT_FALSE(MustHaveReached(options, 999, Nanos{0}));
  EXPECT_FALSE(MustHaveReached({}, UINT64_MAX, Nanos{0})) << "off";
}

}  // namespace
}  // namespace sluice
