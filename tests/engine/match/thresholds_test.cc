// Thresholds on a fake clock, and the bounds of their table.
#include "engine/match/thresholds.h"

#include <gtest/gtest.h>

#include "tests/engine/match/support.h"

namespace sluice::testing {
namespace {

using Type = Threshold::Type;
using Track = Threshold::Track;

struct Case {
  const char* name;
  Type type;
  uint32_t count, seconds;
  std::vector<int> at;  // seconds of the matches
  std::string expect;   // one letter each: A alert, s silent, . ignored
};
class Thresholds : public ::testing::TestWithParam<Case> {};
TEST_P(Thresholds, Decide) {
  Threshold t;
  t.type = GetParam().type;
  t.count = GetParam().count;
  t.seconds = GetParam().seconds;
  t.multiplier = 10;
  ThresholdCounter counter;
  std::string got;
  bool created = true;
  for (int second : GetParam().at) {
    const ThresholdResult r = CountMatch(t, counter, created, std::chrono::seconds(second));
    created = false;
    got += r == ThresholdResult::kAlert ? 'A' : r == ThresholdResult::kSilent ? 's' : '.';
  }
  EXPECT_EQ(got, GetParam().expect);
}
const Case kCases[] = {
    {"LimitAlertsTheFirstN", Type::kLimit, 2, 60, {0, 1, 2, 3}, "AAss"},
    {"LimitStartsAnewAfterItsTime", Type::kLimit, 1, 60, {0, 59, 60, 61, 62}, "AssAs"},
    {"ThresholdAlertsEachNth", Type::kThreshold, 3, 60, {0, 1, 2, 3, 4, 5}, "..A..A"},
    {"ThresholdForgetsAfterItsTime", Type::kThreshold, 2, 10, {0, 11, 12}, "..A"},
    {"BothAlertsOnceATime", Type::kBoth, 2, 60, {0, 1, 2, 3, 61, 62}, ".Ass.A"},
    {"DetectionFilterAlertsPastN", Type::kDetectionFilter, 2, 60, {0, 1, 2, 3}, "..AA"},
    {"DetectionFilterForgets", Type::kDetectionFilter, 1, 10, {0, 1, 11, 12}, ".A.A"},
    {"BackoffAlertsAtPowers",
     Type::kBackoff,
     1,
     0,
     {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
     "AssssssssAs"},
};
INSTANTIATE_TEST_SUITE_P(Match, Thresholds, ::testing::ValuesIn(kCases),
                         [](const auto& c) { return c.param.name; });

Rule Limited(Track track) {
  Rule rule = PayloadRule(1, {Content("evil")});
  rule.threshold = Threshold{Type::kLimit, track, 1, 60, 0};
  return rule;
}

TEST(ThresholdTrack, BySourceCountsEachHost) {
  Bench bench(CompileRules({Limited(Track::kBySource)}));
  EXPECT_EQ(bench.Send("evil"), Sids{1});
  EXPECT_EQ(bench.Send("evil"), Sids{});
  bench.client = Ip(10, 0, 0, 2);
  EXPECT_EQ(bench.Send("evil"), Sids{1});
  bench.now += std::chrono::seconds(61);
  EXPECT_EQ(bench.Send("evil"), Sids{1});
}

TEST(ThresholdTrack, ByDestinationByBothByRuleByFlow) {
  for (const auto& [track, after_client, after_server, after_flow] :
       {std::tuple(Track::kByDestination, false, true, false),
        {Track::kByBoth, true, true, false},
        {Track::kByRule, false, false, false},
        {Track::kByFlow, false, false, true}}) {
    Bench bench(CompileRules({Limited(track)}));
    EXPECT_EQ(bench.Send("evil"), Sids{1});
    bench.client = Ip(10, 0, 0, 2);
    EXPECT_EQ(!bench.Send("evil").empty(), after_client) << static_cast<int>(track);
    bench.server = Ip(192, 168, 0, 2);
    EXPECT_EQ(!bench.Send("evil").empty(), after_server) << static_cast<int>(track);
    bench.flow.id = 1;
    EXPECT_EQ(!bench.Send("evil").empty(), after_flow) << static_cast<int>(track);
  }
}

TEST(ThresholdActions, SilentMatchStillDropsIgnoredDoesNot) {
  Rule limited = Limited(Track::kBySource);
  limited.action = Action::kDrop;
  Bench bench(CompileRules({limited}));
  bench.Send("evil");
  EXPECT_EQ(bench.Send("evil"), Sids{});
  EXPECT_TRUE(bench.last.drop);
  EXPECT_EQ(bench.detector.stats().alerts_suppressed, 1u);

  Rule filtered = PayloadRule(2, {Content("evil")});
  filtered.action = Action::kDrop;
  filtered.detection_filter = Threshold{Type::kDetectionFilter, Track::kBySource, 1, 60, 0};
  Bench second(CompileRules({filtered}));
  EXPECT_EQ(second.Send("evil"), Sids{});
  EXPECT_FALSE(second.last.drop);
  EXPECT_EQ(second.Send("evil"), Sids{2});
  EXPECT_TRUE(second.last.drop);
}

TEST(RateFilter, ChangesTheActionPastTheRateUntilItTimesOut) {
  Rule rule = PayloadRule(1, {Content("evil")});
  rule.rate_filter = RateFilter{{Type::kRate, Track::kBySource, 2, 60, 0}, Action::kDrop, 10};
  Bench bench(CompileRules({rule}));
  for (const bool drops : {false, false, true, true}) {
    EXPECT_EQ(bench.Send("evil"), Sids{1});
    EXPECT_EQ(bench.last.drop, drops);
    EXPECT_EQ(bench.last.by_rate, drops);
  }
  bench.now += std::chrono::seconds(11);
  EXPECT_EQ(bench.Send("evil"), Sids{1});
  EXPECT_FALSE(bench.last.drop);
}

TEST(RateFilter, MayPass) {
  Rule rule = PayloadRule(1, {Content("evil")});
  rule.rate_filter = RateFilter{{Type::kRate, Track::kByRule, 1, 60, 0}, Action::kPass, 10};
  Bench bench(CompileRules({rule}));
  EXPECT_EQ(bench.Send("evil"), Sids{1});
  EXPECT_EQ(bench.Send("evil"), Sids{});
  EXPECT_TRUE(bench.last.pass);
}

TEST(Suppression, SilencesHostsAndStillDrops) {
  Rule rule = PayloadRule(1, {Content("evil")});
  rule.action = Action::kDrop;
  AddressSet one{false, {{Ip(10, 0, 0, 1), Ip(10, 0, 0, 1)}}};
  rule.suppressions = {{Suppression::Side::kSource, one}};
  Bench bench(CompileRules({rule}));
  bench.client = Ip(10, 0, 0, 1);
  EXPECT_EQ(bench.Send("evil"), Sids{});
  EXPECT_TRUE(bench.last.drop);
  bench.client = Ip(10, 0, 0, 2);
  EXPECT_EQ(bench.Send("evil"), Sids{1});
}

TEST(ThresholdTable, FloodOfHostsEvictsAndCounts) {
  HostTable<ThresholdCounter> table(64);
  for (uint32_t i = 0; i < 1000; ++i) {
    HostKey key;
    key.what = 1;
    key.first = Ip(10, 0, static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i));
    bool created = false;
    table.Touch(key, &created).count = i;
    EXPECT_TRUE(created);
    ASSERT_NE(table.Find(key), nullptr);
    EXPECT_EQ(table.Find(key)->count, i);
  }
  EXPECT_GE(table.evicted(), 1000u - 64u);
}

}  // namespace
}  // namespace sluice::testing
