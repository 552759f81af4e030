#include "engine/plugin/plugin.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/support/line_plugin.h"

namespace sluice {
namespace {

struct RefusalCase {
  const char* name;
  std::function<void(sluice_plugin&)> change;
  const char* message;  // part of the expected refusal; "" means it loads
};
class PluginCheck : public ::testing::TestWithParam<RefusalCase> {};

TEST_P(PluginCheck, IsRefusedWithTheReason) {
  sluice_plugin plugin = testing::LinePlugin();
  GetParam().change(plugin);
  const auto loaded = Plugin::FromStruct(plugin, "p.so", {});
  if (*GetParam().message == '\0') {
    EXPECT_TRUE(loaded.has_value());
    return;
  }
  ASSERT_FALSE(loaded.has_value());
  EXPECT_NE(loaded.error().message.find(GetParam().message), std::string::npos)
      << loaded.error().message;
  EXPECT_TRUE(loaded.error().message.starts_with("p.so: "));
}

sluice_field WithType(uint32_t type) {
  sluice_field field = testing::kLineFields[0];
  field.type = type;
  return field;
}
const sluice_field kBadType = WithType(99);
const sluice_field kNamelessEnum = WithType(SLUICE_ENUM);
const sluice_field kGroupWithKeyword = WithType(SLUICE_GROUP);

void OneField(sluice_plugin& p, const sluice_field* field) {
  p.fields = field;
  p.num_fields = 1;
}

const RefusalCase kCases[] = {
    {"Unchanged", [](auto&) {}, ""},
    {"NewerStructIsCut", [](auto& p) { p.struct_size += 64; }, ""},
    {"StructBelow10", [](auto& p) { p.struct_size = 16; }, "below ABI 1.0"},
    {"NewerMinor", [](auto& p) { p.abi_minor = 7; }, "upgrade sluice"},
    {"NoName", [](auto& p) { p.name = nullptr; }, "name must be"},
    {"UpperCaseName", [](auto& p) { p.name = "Line"; }, "name must be"},
    {"NoTransport", [](auto& p) { p.transports = 0; }, "neither TCP nor UDP"},
    {"RecordTypesThatAreNoWords", [](auto& p) { p.record_types = "A b"; }, "record_types must be words"},
    {"Abi10HasNoRecordTypes", [](auto& p) { p.struct_size = offsetof(sluice_plugin, record_types), p.abi_minor = 0; }, ""},
    {"NullParse", [](auto& p) { p.parse = nullptr; }, "callback parse is null"},
    {"NullProbe", [](auto& p) { p.probe = nullptr; }, "callback probe is null"},
    {"NullFlowNew", [](auto& p) { p.flow_new = nullptr; }, "callback flow_new is null"},
    {"NullFlowFree", [](auto& p) { p.flow_free = nullptr; }, "callback flow_free is null"},
    {"NullGapIsAllowed", [](auto& p) { p.gap = nullptr; }, ""},
    {"NullEndIsAllowed", [](auto& p) { p.end = nullptr; }, ""},
    {"NoStages", [](auto& p) { p.num_stages[1] = 0; }, "stage names"},
    {"NullFieldTable", [](auto& p) { p.fields = nullptr; }, "field table is null"},
    {"ShortFieldRows", [](auto& p) { p.field_size = 8; }, "row size"},
    {"TooManyFields", [](auto& p) { p.num_fields = 1u << 20; }, "at most"},
    {"UnknownType", [](auto& p) { OneField(p, &kBadType); }, "unknown type"},
    {"EnumWithoutNames", [](auto& p) { OneField(p, &kNamelessEnum); }, "enum needs names"},
    {"GroupWithKeyword", [](auto& p) { OneField(p, &kGroupWithKeyword); }, "group has no keyword"},
};
INSTANTIATE_TEST_SUITE_P(Abi1, PluginCheck, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

// A dissector whose parse answers what the test says.
sluice_parse_result next_answer;
sluice_parse_result Answer(void*, sluice_flow*, uint32_t, sluice_slice) { return next_answer; }

struct AnswerCase {
  const char* name;
  sluice_parse_result answer;  // to an input of 10 bytes
  Breach breach;
};
class ParseContract : public ::testing::TestWithParam<AnswerCase> {};

TEST_P(ParseContract, IsChecked) {
  sluice_plugin exported = testing::LinePlugin();
  exported.parse = Answer;
  const auto plugin = Plugin::FromStruct(exported, "p.so", {.call_budget = std::chrono::hours{1}});
  PluginStats stats;
  next_answer = GetParam().answer;
  const ParseAnswer answer =
      (*plugin)->Parse(nullptr, nullptr, Direction::kToServer, AsSlice("0123456789"), stats);
  EXPECT_EQ(answer.breach, GetParam().breach);
  if (GetParam().breach != Breach::kNone) {
    EXPECT_EQ(answer.status, SLUICE_PARSE_ERROR);
    EXPECT_EQ(stats.breaches[static_cast<size_t>(GetParam().breach)], 1u);
  }
}

const AnswerCase kAnswers[] = {
    {"AllConsumed", {SLUICE_PARSE_OK, 10, 0}, Breach::kNone},
    {"ConsumedTooMuch", {SLUICE_PARSE_OK, 11, 0}, Breach::kConsumedTooMuch},
    {"MoreWithNeed", {SLUICE_PARSE_MORE, 4, 7}, Breach::kNone},
    {"MoreWithoutNeed", {SLUICE_PARSE_MORE, 0, 0}, Breach::kBadNeeded},
    {"MoreOfWhatIsThere", {SLUICE_PARSE_MORE, 4, 6}, Breach::kBadNeeded},
    {"MoreThanOneMiB", {SLUICE_PARSE_MORE, 0, (1u << 20) + 1}, Breach::kBadNeeded},
    {"NeedOverflows", {SLUICE_PARSE_MORE, 10, UINT32_MAX}, Breach::kBadNeeded},
    {"UnknownStatus", {42, 0, 0}, Breach::kBadStatus},
};
INSTANTIATE_TEST_SUITE_P(Abi1, ParseContract, ::testing::ValuesIn(kAnswers),
                         [](const auto& info) { return info.param.name; });

TEST(PluginLoad, MissingFileIsAnError) {
  const auto plugin = Plugin::Load("/nonexistent/x.so", {});
  ASSERT_FALSE(plugin.has_value());
  EXPECT_NE(plugin.error().message.find("/nonexistent/x.so"), std::string::npos);
}

}  // namespace
}  // namespace sluice
