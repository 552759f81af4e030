#include "engine/app/raw_window.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace sluice {
namespace {

Slice Bytes(const std::string& text) {
  return Slice(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}
std::string Text(Slice bytes) { return std::string(bytes.begin(), bytes.end()); }

constexpr RawWindow::Limits kSmall{.window = 16, .overlap = 4};

TEST(RawWindow, ALookLeavesTheOverlapForTheNext) {
  RawWindow raw;
  EXPECT_EQ(raw.Append(Bytes("abcdefgh"), 0, kSmall), 0u);
  EXPECT_EQ(raw.num_fresh(), 8u);
  raw.Looked(kSmall);
  EXPECT_FALSE(raw.fresh());
  EXPECT_EQ(raw.Append(Bytes("ij"), 8, kSmall), 0u);
  EXPECT_EQ(Text(raw.run(0)), "efghij");
  EXPECT_EQ(raw.at(0), 4u);
  EXPECT_EQ(raw.num_fresh(), 2u);
}

TEST(RawWindow, WhatLiesBeforeAGapIsARunOfItsOwn) {
  RawWindow raw;
  raw.Append(Bytes("abc"), 0, kSmall);
  EXPECT_EQ(raw.Gap(10), 0u);
  raw.Append(Bytes("klm"), 10, kSmall);
  EXPECT_TRUE(raw.cut());
  ASSERT_EQ(raw.num_runs(), 2u);
  EXPECT_EQ(Text(raw.run(0)), "abc");
  EXPECT_EQ(raw.at(0), 0u);
  EXPECT_EQ(Text(raw.run(1)), "klm");
  EXPECT_EQ(raw.at(1), 10u);
  raw.Looked(kSmall);
  EXPECT_FALSE(raw.cut() || raw.fresh());
  EXPECT_EQ(Text(raw.run(0)), "klm");
  EXPECT_EQ(raw.at(0), 10u);
}

TEST(RawWindow, AFullWindowLosesTheOldestAndSaysSo) {
  RawWindow raw;
  raw.Append(Bytes("0123456789abcdef"), 0, kSmall);
  EXPECT_EQ(raw.Append(Bytes("gh"), 16, kSmall), 12u);
  EXPECT_EQ(Text(raw.run(0)), "cdefgh");
  EXPECT_EQ(raw.at(0), 12u);
}

TEST(RawWindow, TooManyGapsLoseTheOldestRun) {
  RawWindow raw;
  uint64_t lost = 0;
  for (size_t i = 0; i <= RawWindow::kMaxRuns; ++i) {
    raw.Append(Bytes("x"), i * 10, kSmall);
    lost += raw.Gap(i * 10 + 10);
  }
  EXPECT_EQ(lost, 1u);
  EXPECT_EQ(raw.at(0), 10u);
}

// Every byte is looked at once as a fresh one or counted lost, and a run has no hole.
TEST(RawWindow, EveryByteIsFreshOnceOrLost) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    RawWindow raw;
    uint64_t offset = 0, sent = 0, lost = 0, looked = 0;
    const auto look = [&] {
      for (size_t r = 0; r < raw.num_runs(); ++r) {
        const Slice run = raw.run(r);
        for (size_t i = 0; i < run.size(); ++i) {
          ASSERT_EQ(run[i], static_cast<uint8_t>((raw.at(r) + i) * 31)) << "round " << round;
        }
      }
      looked += raw.num_fresh();
      raw.Looked(kSmall);
    };
    for (int step = 0; step < 40; ++step) {
      switch (random() % 4) {
        case 0: offset += 1 + random() % 9; lost += raw.Gap(offset); break;
        case 1: if (raw.fresh()) look(); break;
        default: {
          std::string bytes;
          for (size_t n = 1 + random() % 20; n > 0; --n) {
            bytes += static_cast<char>((offset + bytes.size()) * 31);
          }
          lost += raw.Append(Bytes(bytes), offset, kSmall);
          offset += bytes.size();
          sent += bytes.size();
        }
      }
    }
    look();
    ASSERT_EQ(looked + lost, sent) << "round " << round;
  }
}

}  // namespace
}  // namespace sluice
