// Parts put together, laws first: in whatever order, cut and overlap they come, the whole is
// what was cut up; past a limit the oldest goes, and memory comes back.
#include "engine/dissect/file_parts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace sluice {
namespace {

constexpr Nanos kNow = std::chrono::seconds{1000};

std::string Content(size_t size) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 31 + (i >> 8));
  return out;
}
std::string Read(const FileParts& parts, uint64_t file) {
  std::string out;
  while (out.size() < parts.size(file)) out += AsText(parts.At(file, out.size()));
  return out;
}
uint64_t Begin(FileParts& parts, std::string_view identity, uint64_t total, Nanos now = kNow) {
  return parts.Begin(AsSlice(identity), AsSlice("name"), 0, total, now);
}
bool Write(FileParts& parts, uint64_t file, uint64_t offset, std::string_view bytes, Nanos now = kNow) {
  return parts.Write(file, offset, AsSlice(bytes), now);
}

TEST(FileParts, AnyOrderAnyCutAnyOverlapGivesTheWhole) {
  std::mt19937 random(1);
  for (size_t size : {1, 2, 17, 16 * 1024, 16 * 1024 + 1, 50'000}) {
    const std::string content = Content(size);
    for (int round = 0; round < 20; ++round) {
      FileParts parts({});
      std::vector<std::pair<size_t, size_t>> ranges;
      for (size_t at = 0; at < size;) {
        const size_t end = at + 1 + random() % size;
        ranges.emplace_back(at - random() % (at + 1) / 4, std::min(end, size));
        at = end;
      }
      std::ranges::shuffle(ranges, random);
      uint64_t file = 0;
      bool whole = false;
      for (const auto& [start, end] : ranges) {
        file = Begin(parts, "a", size);
        EXPECT_FALSE(whole);
        for (size_t at = start; at < end && !whole;) {
          const size_t n = std::min<size_t>(end - at, 1 + random() % 5000);
          whole = Write(parts, file, at, std::string_view(content).substr(at, n));
          at += n;
        }
        if (whole) break;
      }
      ASSERT_TRUE(whole) << size;
      EXPECT_EQ(Read(parts, file), content);
      EXPECT_EQ(AsText(parts.name(file)), "name");
      parts.Forget(file);
      EXPECT_EQ(parts.memory(), 0u);
      EXPECT_EQ(parts.num_files(), 0u);
    }
  }
}

TEST(FileParts, WhatCameFirstStays) {
  FileParts parts({});
  const uint64_t file = Begin(parts, "a", 6);
  EXPECT_FALSE(Write(parts, file, 2, "cd"));
  EXPECT_TRUE(Write(parts, file, 0, "abXXef"));
  EXPECT_EQ(Read(parts, file), "abcdef");
}

TEST(FileParts, OtherIdentityOrSizeIsAnotherFile) {
  FileParts parts({});
  const uint64_t a = Begin(parts, "a", 6);
  EXPECT_EQ(Begin(parts, "a", 6), a);
  EXPECT_NE(Begin(parts, "b", 6), a);
  EXPECT_NE(Begin(parts, "a", 7), a);
  EXPECT_EQ(parts.num_files(), 3u);
}

TEST(FileParts, BytesPastTheEndAreCutAndStaleIdsFindNothing) {
  FileParts parts({});
  const uint64_t a = Begin(parts, "a", 3);
  EXPECT_FALSE(Write(parts, a, 3, "x"));
  EXPECT_FALSE(Write(parts, a, UINT64_MAX, "x"));
  EXPECT_TRUE(Write(parts, a, 0, "abcdef"));
  EXPECT_EQ(Read(parts, a), "abc");
  parts.Forget(a);
  EXPECT_FALSE(Write(parts, a, 0, "abc"));
  EXPECT_NE(Begin(parts, "b", 3), a);  // the same slot
}

TEST(FileParts, TooLongOrEmptyOrOutsideIsRefused) {
  FileParts parts({.max_file_bytes = 100});
  EXPECT_EQ(Begin(parts, "a", 101), 0u);
  EXPECT_EQ(Begin(parts, "a", 0), 0u);
  EXPECT_EQ(parts.Begin(AsSlice("a"), {}, 50, 50, kNow), 0u);
  EXPECT_EQ(FileParts({.memcap = 0}).Begin(AsSlice("a"), {}, 0, 50, kNow), 0u);
  EXPECT_EQ(parts.stats().refused, 3u);
}

TEST(FileParts, TheLongestUntouchedMakesRoomForAnother) {
  FileParts parts({.max_files = 2});
  const uint64_t a = Begin(parts, "a", 2, kNow), b = Begin(parts, "b", 2, kNow + Nanos{1});
  EXPECT_FALSE(Write(parts, a, 0, "a", kNow + Nanos{2}));
  const uint64_t c = Begin(parts, "c", 2, kNow + Nanos{3});
  EXPECT_EQ(parts.stats().evicted, 1u);
  EXPECT_FALSE(Write(parts, b, 0, "bb"));  // it is gone
  EXPECT_TRUE(Write(parts, a, 1, "a"));
  EXPECT_TRUE(Write(parts, c, 0, "cc"));
}

TEST(FileParts, AtTheMemcapOthersMakeRoomAndOneAloneIsGivenUp) {
  constexpr uint64_t kBlock = 16 * 1024;
  FileParts parts({.memcap = 2 * kBlock + 100});
  const uint64_t a = Begin(parts, "a", 4 * kBlock), b = Begin(parts, "b", 4 * kBlock, kNow + Nanos{1});
  Write(parts, a, 0, "x", kNow);
  Write(parts, b, 0, "x", kNow + Nanos{1});
  Write(parts, b, kBlock, "x", kNow + Nanos{1});
  EXPECT_EQ(parts.stats().evicted, 1u);
  EXPECT_EQ(parts.num_files(), 1u);
  Write(parts, b, 2 * kBlock, "x", kNow + Nanos{1});
  EXPECT_EQ(parts.stats().refused, 1u);
  EXPECT_EQ(parts.num_files(), 0u);
  EXPECT_EQ(parts.memory(), 0u);
}

TEST(FileParts, TooManyHolesGiveTheFileUp) {
  FileParts parts({.max_pieces = 3});
  const uint64_t a = Begin(parts, "a", 100);
  for (uint64_t at : {0, 10, 20}) Write(parts, a, at, "x");
  EXPECT_EQ(parts.num_files(), 1u);
  Write(parts, a, 30, "x");
  EXPECT_EQ(parts.num_files(), 0u);
  EXPECT_EQ(parts.stats().refused, 1u);
}

TEST(FileParts, AfterItsTimeAFileIsForgotten) {
  FileParts parts({.timeout = Nanos{10}});
  const uint64_t a = Begin(parts, "a", 2, kNow);
  Write(parts, a, 0, "a", kNow + Nanos{9});
  EXPECT_EQ(Begin(parts, "a", 2, kNow + Nanos{18}), a);
  Begin(parts, "b", 2, kNow + Nanos{28});
  EXPECT_EQ(parts.stats().expired, 1u);
  EXPECT_EQ(parts.num_files(), 1u);
}

}  // namespace
}  // namespace sluice
