#include "engine/app/loss_watch.h"

#include <gtest/gtest.h>

#include "engine/app/rule_costs.h"

namespace sluice {
namespace {

using std::chrono::seconds;

TEST(LossWatch, TellsOnceWhenItBeginsAndOnceWhenItIsOver) {
  LossWatch watch;
  EXPECT_FALSE(watch.Look(seconds{100}, 1000, 0));
  const auto begin = watch.Look(seconds{101}, 1090, 10);
  ASSERT_TRUE(begin);
  EXPECT_TRUE(begin->degraded);
  EXPECT_EQ(begin->lost, 10u);
  EXPECT_EQ(begin->since, Nanos{seconds{100}});
  EXPECT_NEAR(begin->percent, 11.11, 0.01);
  EXPECT_FALSE(watch.Look(seconds{102}, 1200, 20));
  EXPECT_FALSE(watch.Look(seconds{111}, 1300, 20));
  const auto end = watch.Look(seconds{112}, 1400, 20);
  ASSERT_TRUE(end);
  EXPECT_FALSE(end->degraded);
  EXPECT_EQ(end->lost, 20u);
  EXPECT_NEAR(end->percent, 5, 0.01);
  EXPECT_FALSE(watch.Look(seconds{113}, 1500, 20));
  EXPECT_TRUE(watch.Look(seconds{114}, 1600, 21));
}

TEST(LossWatch, WhatWasLostBeforeTheFirstLookCounts) {
  LossWatch watch;
  const auto begin = watch.Look(seconds{100}, 10, 10);
  ASSERT_TRUE(begin);
  EXPECT_EQ(begin->since, Nanos{seconds{100}});
  EXPECT_EQ(begin->percent, 100);
}

RuleCosts::Rule Cost(uint32_t sid, uint64_t checks, uint64_t sampled, uint64_t cycles) {
  RuleCosts::Rule rule;
  rule.sid = sid;
  rule.cost.checks = checks;
  rule.cost.sampled = sampled;
  rule.cost.cycles = rule.cost.most = cycles;
  rule.alerts = 1;
  return rule;
}

TEST(RuleCosts, AddsUpWorkersAndSorts) {
  RuleCosts one, other;
  one.Add(Cost(1, 100, 1, 10));
  one.Add(Cost(2, 100, 1, 20));
  other.Add(Cost(1, 200, 2, 60));
  other.Add(Cost(3, 5, 0, 0));
  one.Add(other);
  const auto dear = one.Dearest(5);
  ASSERT_EQ(dear.size(), 2u);
  EXPECT_EQ(dear[0].sid, 1u);
  EXPECT_EQ(dear[0].checks, 300u);
  EXPECT_EQ(dear[0].alerts, 2u);
  EXPECT_EQ(dear[0].most_ticks, 60u);
  EXPECT_NEAR(dear[0].ticks, 70.0 / 3, 0.01);
  EXPECT_NEAR(dear[0].share + dear[1].share, 100, 0.01);
  EXPECT_EQ(one.Dearest(1).size(), 1u);
}

}  // namespace
}  // namespace sluice
