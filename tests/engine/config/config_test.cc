// Sizes, durations, and what a configuration file with mistakes is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "engine/config/options.h"

namespace sluice {
namespace {

using testing::HasSubstr;

Result<void> Load(const std::string& ending, const std::string& text) {
  const std::string path = testing::TempDir() + "/sluice_config_test" + ending;
  std::ofstream(path) << text;
  Options options = DefaultOptions();
  return LoadConfig(path, &options);
}

TEST(Config, SizesHaveUnits) {
  EXPECT_EQ(ParseSize("64kb").value_or(0), 65536u);
  EXPECT_EQ(ParseSize("4096").value_or(0), 4096u);
  EXPECT_FALSE(ParseSize("12 parsecs"));
  EXPECT_FALSE(ParseSize("18446744073709551615gb"));
}
TEST(Config, DurationsHaveUnitsAndDoNotOverflow) {
  EXPECT_EQ(ParseDuration("10m").value_or(Nanos{}), std::chrono::minutes{10});
  EXPECT_FALSE(ParseDuration("-1s"));
  EXPECT_FALSE(ParseDuration("1000000000d"));
}
TEST(Config, UnknownKeyIsNamedWithItsLine) {
  const auto result = Load(".toml", "\nno_such_key_at_all = 1\n");
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr(".toml:2: no_such_key_at_all: unknown key"));
}
TEST(Config, ShippedSampleLoads) {
  Options options = DefaultOptions();
  const auto result = LoadConfig("docs/sluice.toml", &options);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(options.interfaces, std::vector<std::string>{"eth0"});
  EXPECT_EQ(options.policies.size(), 3u);
}
TEST(Config, BrokenTomlNamesItsLine) {
  const auto result = Load(".toml", "\n\nx = [\n");
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr(".toml:"));
}
TEST(Config, BrokenYamlIsAnError) { EXPECT_FALSE(Load(".yaml", "a: [b\n")); }
TEST(Config, OtherEndingsAreRefused) { EXPECT_FALSE(Load(".ini", "")); }
TEST(Config, SettingWithoutEqualSignIsRefused) {
  Options options = DefaultOptions();
  EXPECT_FALSE(ApplySetting("workers", &options));
}

}  // namespace
}  // namespace sluice
