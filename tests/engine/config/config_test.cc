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
// Found by fuzzing: the TOML library's assertion ended the process.
TEST(Config, ATableHeaderWithoutAKeyIsAnError) {
  for (const char* text : {"[\nx]", "[[[[rule]]", "[ \n", "[=]", "\u00e9 = 1", "a \u00e9"}) {
    const auto result = Load(".toml", text);
    ASSERT_FALSE(result) << text;
    EXPECT_THAT(result.error().message, HasSubstr(".toml:1: ")) << text;
  }
}
TEST(Config, AliasesThatMultiplyAreRefused) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 8; ++i) {
    text += fmt::format("a{}: &a{} [", i, i);
    for (int j = 0; j < 10; ++j) text += fmt::format("*a{}, ", i - 1);
    text += "x]\n";
  }
  const auto result = Load(".yaml", text);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("aliases"));
}
TEST(Config, OneValueOfAListReplacesTheList) {
  Options options = DefaultOptions();
  options.rule_files = {"a.rules"};
  ASSERT_TRUE(ReadConfig("[rules]\nfiles = \"b.rules\"\n", "t.toml", &options));
  EXPECT_EQ(options.rule_files, std::vector<std::string>{"b.rules"});
}
TEST(Config, SeveralEventTypesInOneTextAreRefused) {
  Options options = DefaultOptions();
  EXPECT_TRUE(ApplySetting("eve.types=ftp_data", &options));
  const auto result = ApplySetting("eve.types=alert,flow", &options);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("alert,flow"));
}
TEST(Config, BodiesInAlertsAreTakenFromAYaml) {
  Options options = DefaultOptions();
  ASSERT_TRUE(ReadConfig("outputs:\n  - eve-log:\n      types:\n        - alert:\n            http-body: yes\n"
                         "            http-body-printable: no\n", "t.yaml", &options));
  EXPECT_TRUE(options.eve_logs.back().bodies);
  EXPECT_FALSE(options.eve_logs.back().bodies_printable);
}
// As there: what a file does not ask for is not in its records.
TEST(Config, RecordsOfAYamlAreShortUnlessItSaysOtherwise) {
  Options options = DefaultOptions();
  ASSERT_TRUE(ReadConfig("outputs:\n  - eve-log:\n      types:\n        - tls\n        - http:\n"
                         "            extended: yes\n", "t.yaml", &options));
  auto& records = options.eve_logs.back().records;
  EXPECT_EQ(records["tls"]["extended"].back(), "no");
  EXPECT_EQ(records["http"]["extended"].back(), "yes");
}
TEST(Config, BrokenYamlIsAnError) { EXPECT_FALSE(Load(".yaml", "a: [b\n")); }
TEST(Config, OtherEndingsAreRefused) { EXPECT_FALSE(Load(".ini", "")); }
TEST(Config, SettingWithoutEqualSignIsRefused) {
  Options options = DefaultOptions();
  EXPECT_FALSE(ApplySetting("workers", &options));
}

}  // namespace
}  // namespace sluice
