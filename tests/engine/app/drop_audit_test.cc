#include "engine/app/drop_audit.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice {
namespace {

using std::chrono::seconds;
using Told = std::vector<std::string>;

DropEntry Source(const char* prefix, DropOrigin origin, uint64_t packets = 0) {
  DropEntry entry;
  entry.scope = DropScope::kSource;
  entry.prefix = *ParsePrefix(prefix);
  entry.origin = origin;
  entry.packets = packets;
  entry.bytes = 100 * packets;
  return entry;
}

class Audit : public ::testing::Test {
 protected:
  Told Look(Nanos now, const std::vector<DropEntry>& entries) {
    Told told;
    audit.Look(now, entries, [&](std::string_view op, const DropEntry& e) {
      told.push_back(fmt::format("{} {} {}/{}", op, FormatPrefix(e.prefix), e.packets, e.bytes));
    });
    return told;
  }
  DropAudit audit;
};

TEST_F(Audit, WhatAnOperatorAddsAndTakesAwayIsTold) {
  const DropEntry old = Source("10.0.0.1", DropOrigin::kOperator), by_rule = Source("10.0.0.2", DropOrigin::kRule),
                  fresh = Source("10.9.0.0/16", DropOrigin::kOperator, 3);
  EXPECT_EQ(Look(seconds{1}, {old}), Told{});
  EXPECT_EQ(Look(seconds{6}, {old, by_rule, fresh}), Told{"add 10.9.0.0/16 3/300"});  // the worker tells of its own
  EXPECT_EQ(Look(seconds{11}, {old, by_rule, fresh}), Told{});
  EXPECT_EQ(Look(seconds{16}, {old}), (Told{"remove 10.0.0.2 0/0", "remove 10.9.0.0/16 3/300"}));
}

TEST_F(Audit, WhatExpiredWasNotTakenAway) {
  const DropEntry entry = Source("10.0.0.1", DropOrigin::kOperator);
  Look(seconds{1}, {entry});
  audit.Expired(entry);
  EXPECT_EQ(Look(seconds{6}, {}), Told{});
}

TEST_F(Audit, HitsAreSummedUpEachMinute) {
  Look(seconds{1}, {Source("10.0.0.1", DropOrigin::kRule, 5)});
  EXPECT_EQ(Look(seconds{30}, {Source("10.0.0.1", DropOrigin::kRule, 7)}), Told{});
  EXPECT_EQ(Look(seconds{62}, {Source("10.0.0.1", DropOrigin::kRule, 9)}), Told{"hit_summary 10.0.0.1 9/900"});
  EXPECT_EQ(Look(seconds{123}, {Source("10.0.0.1", DropOrigin::kRule, 9)}), Told{});
  EXPECT_EQ(Look(seconds{184}, {Source("10.0.0.1", DropOrigin::kRule, 10)}), Told{"hit_summary 10.0.0.1 1/100"});
  EXPECT_EQ(Look(seconds{245}, {Source("10.0.0.1", DropOrigin::kRule, 2)}), Told{"hit_summary 10.0.0.1 2/200"});  // set anew
}

TEST_F(Audit, FlowsAreLeftOut) {
  Look(seconds{1}, {});
  EXPECT_EQ(Look(seconds{6}, {DropEntry{}}), Told{});
  EXPECT_EQ(Look(seconds{11}, {}), Told{});
}

}  // namespace
}  // namespace sluice
