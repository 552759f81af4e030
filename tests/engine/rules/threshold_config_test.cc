// threshold.config: lines that hold, lines that are refused, and who outranks whom.
#include "engine/rules/threshold_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/rules/fake_keywords.h"

namespace sluice {
namespace {

using testing::HasSubstr;

RuleSet Apply(const std::string& lines) {
  RuleOptions options;
  options.addresses = {{"SITE", "[10.0.0.0/8,!10.1.0.0/16]"}};
  RuleSet set;
  ParseRules(
      "alert tcp any any -> any any (sid:1;)\n"
      "alert tcp any any -> any any (threshold:type both,track by_dst,count 9,seconds 9; sid:2;)\n"
      "alert tcp any any -> any any (gid:3; sid:1;)\n",
      "t.rules", options, FakeKeywords(), &set);
  ApplyThresholds(lines, "threshold.config", options, &set);
  return set;
}

struct Refusal {
  const char* name;
  const char* line;
  const char* error;
};
class Refused : public testing::TestWithParam<Refusal> {};
TEST_P(Refused, NamesTheWordAndTheLine) {
  const RuleSet set = Apply(std::string("# a comment\n\n") + GetParam().line);
  ASSERT_EQ(set.problems.size(), 1u);
  EXPECT_THAT(set.problems[0].message, HasSubstr(GetParam().error));
  EXPECT_EQ(set.problems[0].place.line, 3u);
  EXPECT_EQ(set.num_failed, 1u);
}
INSTANTIATE_TEST_SUITE_P(
    Table, Refused,
    testing::Values(
        Refusal{"UnknownWord", "supress gen_id 1, sig_id 1", "not threshold, event_filter"},
        Refusal{"NoSid", "suppress gen_id 1", "sig_id"},
        Refusal{"Type", "threshold gen_id 1, sig_id 1, type often, track by_src, count 1, seconds 1",
                "not one of limit, threshold, both"},
        Refusal{"Count", "threshold gen_id 1, sig_id 1, type limit, track by_src, count 0, seconds 1",
                "count"},
        Refusal{"Twice", "suppress gen_id 1, gen_id 2, sig_id 1", "gen_id is given twice"},
        Refusal{"Stray", "suppress gen_id 1, sig_id 1, count 3", "\"count\" does not belong"},
        Refusal{"Action",
                "rate_filter gen_id 1, sig_id 1, track by_src, count 1, seconds 1, new_action log, "
                "timeout 1",
                "new_action \"log\""},
        Refusal{"Address", "suppress gen_id 1, sig_id 1, track by_src, ip 300.1.1.1", "300.1.1.1"}),
    [](const auto& i) { return i.param.name; });

TEST(ThresholdConfig, OneRuleOutranksManyAndARulesOwnOutranksMany) {
  const RuleSet set = Apply(
      "event_filter gen_id 0, sig_id 0, type limit, track by_src, count 1, seconds 60\n"
      "threshold gen_id 1, sig_id 1, type threshold, \\\n  track by_rule, count 5, seconds 10\n");
  ASSERT_TRUE(set.problems.empty()) << set.problems[0].message;
  EXPECT_EQ(set.rules[0].threshold->count, 5u);
  EXPECT_EQ(set.rules[0].threshold->track, Threshold::Track::kByRule);
  EXPECT_EQ(set.rules[1].threshold->type, Threshold::Type::kBoth) << "its own";
  EXPECT_EQ(set.rules[2].threshold->type, Threshold::Type::kLimit) << "of another generator";
}

TEST(ThresholdConfig, SuppressTakesVariablesAndAddsUp) {
  const RuleSet set = Apply(
      "suppress gen_id 1, sig_id 1, track by_either, ip $SITE\n"
      "suppress gen_id 1, sig_id 1, track by_src, ip [2001:db8::/32, 192.0.2.1]\n"
      "suppress gen_id 1, sig_id 2\n"
      "suppress gen_id 1, sig_id 77\n");
  ASSERT_EQ(set.problems.size(), 1u);
  EXPECT_EQ(set.problems[0].sid, 77u);
  EXPECT_EQ(set.problems[0].severity, RuleProblem::Severity::kWarning);
  ASSERT_EQ(set.rules[0].suppressions.size(), 2u);
  EXPECT_TRUE(set.rules[0].suppressions[0].addresses.Contains(*ParseAddress("10.2.0.1")));
  EXPECT_FALSE(set.rules[0].suppressions[0].addresses.Contains(*ParseAddress("10.1.0.1")));
  EXPECT_TRUE(set.rules[0].suppressions[1].addresses.Contains(*ParseAddress("2001:db8::5")));
  EXPECT_EQ(set.rules[1].suppressions[0].side, Suppression::Side::kAll);
}

}  // namespace
}  // namespace sluice
