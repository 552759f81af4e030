#include "engine/verdict/exception.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

using Policy = ExceptionPolicy;
using Target = ExceptionTarget;

ExceptionSettings With(Target target, const char* policy) {
  ExceptionSettings settings;
  settings.own[static_cast<size_t>(target)] = policy;
  return settings;
}
Policy Of(const ExceptionSettings& settings, Target target) {
  const auto policies = ResolveExceptionPolicies(settings);
  EXPECT_TRUE(policies) << policies.error().message;
  return policies ? (*policies)[static_cast<size_t>(target)] : Policy::kMax;
}

struct MidstreamCase {
  const char* name;
  const char* policy;
  bool verdicts, midstream;
  Policy expected = Policy::kMax;  // kMax: refused
};
class MidstreamPolicy : public ::testing::TestWithParam<MidstreamCase> {};

TEST_P(MidstreamPolicy, IsTakenOrRefused) {
  const MidstreamCase& c = GetParam();
  ExceptionSettings settings = With(Target::kMidstream, c.policy);
  settings.verdicts = settings.closed = c.verdicts;
  settings.midstream = c.midstream;
  const auto policies = ResolveExceptionPolicies(settings);
  ASSERT_EQ(policies.has_value(), c.expected != Policy::kMax);
  if (policies) {
    EXPECT_EQ((*policies)[static_cast<size_t>(Target::kMidstream)], c.expected);
  }
}
INSTANTIATE_TEST_SUITE_P(
    Matrix, MidstreamPolicy,
    ::testing::Values(
        MidstreamCase{"PassiveIgnore", "ignore", false, false, Policy::kIgnore},
        MidstreamCase{"PassiveDropFlowIsRefused", "drop-flow", false, false},
        MidstreamCase{"PassiveDropPacketIsRefused", "drop-packet", false, false},
        MidstreamCase{"PassivePassPacketIsRefused", "pass-packet", false, false},
        MidstreamCase{"PassiveReject", "reject", false, false, Policy::kReject},
        MidstreamCase{"PassiveBypass", "bypass", false, false, Policy::kBypass},
        MidstreamCase{"PassivePassFlow", "pass-flow", false, false, Policy::kPassFlow},
        MidstreamCase{"PassiveAutoIgnores", "auto", false, false, Policy::kIgnore},
        MidstreamCase{"PassiveTakenUpRejectIsRefused", "reject", false, true},
        MidstreamCase{"PassiveTakenUpBypassIsRefused", "bypass", false, true},
        MidstreamCase{"PassiveTakenUpPassFlow", "pass-flow", false, true, Policy::kPassFlow},
        MidstreamCase{"InlineDropFlow", "drop-flow", true, false, Policy::kDropFlow},
        MidstreamCase{"InlineDropPacketIsRefused", "drop-packet", true, false},
        MidstreamCase{"InlineAutoDropsTheFlow", "auto", true, false, Policy::kDropFlow},
        MidstreamCase{"InlineTakenUpAutoIgnores", "auto", true, true, Policy::kIgnore},
        MidstreamCase{"InlineTakenUpDropFlowIsRefused", "drop-flow", true, true},
        MidstreamCase{"InlineTakenUpPassPacketIsRefused", "pass-packet", true, true},
        MidstreamCase{"UnknownIsRefused", "drop", true, false}),
    [](const auto& c) { return c.param.name; });

TEST(ExceptionPolicies, TheMasterSwitchDecidesWhatIsNotSet) {
  ExceptionSettings settings = With(Target::kAppLayerError, "ignore");
  settings.master = "reject";
  settings.verdicts = settings.closed = true;
  EXPECT_EQ(Of(settings, Target::kReassemblyMemcap), Policy::kReject);
  EXPECT_EQ(Of(settings, Target::kAppLayerError), Policy::kIgnore);
}

TEST(ExceptionPolicies, AMasterSwitchThatCannotDropIgnores) {
  ExceptionSettings settings;
  settings.master = "drop-flow";
  for (size_t i = 0; i < kNumExceptionTargets; ++i) {
    EXPECT_EQ(Of(settings, static_cast<Target>(i)), Policy::kIgnore);
  }
}

TEST(ExceptionPolicies, WithoutAFlowTheyActOnThePacket) {
  for (const Target target : {Target::kDefragMemcap, Target::kFlowMemcap}) {
    for (const auto& [text, expected] : std::initializer_list<std::pair<const char*, Policy>>{
             {"drop-flow", Policy::kDropPacket}, {"pass-flow", Policy::kPassPacket},
             {"bypass", Policy::kIgnore}, {"reject", Policy::kReject}, {"auto", Policy::kDropPacket}}) {
      ExceptionSettings settings = With(target, text);
      settings.verdicts = settings.closed = true;
      EXPECT_EQ(Of(settings, target), expected) << text;
    }
  }
}

TEST(ExceptionPolicies, AutoFailsOpenUnlessClosed) {
  ExceptionSettings settings;
  settings.verdicts = true;
  EXPECT_EQ(Of(settings, Target::kMidstream), Policy::kIgnore);
  settings.closed = true;
  EXPECT_EQ(Of(settings, Target::kMidstream), Policy::kDropFlow);
}

}  // namespace
}  // namespace sluice
