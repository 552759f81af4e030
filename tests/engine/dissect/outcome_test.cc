#include "engine/dissect/outcome.h"

#include <gtest/gtest.h>
#include <sluice/plugin.h>

namespace sluice {
namespace {

struct OutcomeCase {
  const char* name;
  FieldType type;
  uint64_t value;
  std::optional<TxOutcome> outcome;
};
class OutcomeOfField : public ::testing::TestWithParam<OutcomeCase> {};

TEST_P(OutcomeOfField, SaysHowItWent) {
  Schema schema;
  FieldInfo field;
  field.type = GetParam().type;
  field.flags = SLUICE_OUTCOME;
  field.names = {{0, "success"}, {1, "bad_request_client_error"}, {2, "server_error"}, {3, "odd"}};
  schema.fields = {FieldInfo{}, field};
  Transaction tx;
  tx.schema = &schema;
  EXPECT_EQ(OutcomeOf(tx), std::nullopt);  // not set yet
  FieldValue value;
  value.field = 1;
  value.type = field.type;
  value.number = GetParam().value;
  FieldValue group_end;
  group_end.field = UINT16_MAX;
  tx.values = {value, group_end};
  EXPECT_EQ(OutcomeOf(tx), GetParam().outcome);
}

const OutcomeCase kCases[] = {
    {"StatusBelow400IsSuccess", FieldType::kUint, 399, TxOutcome::kSuccess},
    {"Status400IsTheClients", FieldType::kUint, 400, TxOutcome::kClientError},
    {"Status599IsTheServers", FieldType::kUint, 599, TxOutcome::kServerError},
    {"Status99SaysNothing", FieldType::kUint, 99, std::nullopt},
    {"Status600SaysNothing", FieldType::kUint, 600, std::nullopt},
    {"TrueIsSuccess", FieldType::kBool, 1, TxOutcome::kSuccess},
    {"FalseIsTheServers", FieldType::kBool, 0, TxOutcome::kServerError},
    {"AnEnumSaysItByName", FieldType::kEnum, 0, TxOutcome::kSuccess},
    {"OrByTheEndOfItsName", FieldType::kEnum, 1, TxOutcome::kClientError},
    {"AnotherNameSaysNothing", FieldType::kEnum, 3, std::nullopt},
    {"AValueWithoutNameSaysNothing", FieldType::kEnum, 9, std::nullopt},
    {"BytesSayNothing", FieldType::kBytes, 200, std::nullopt},
};
INSTANTIATE_TEST_SUITE_P(Fields, OutcomeOfField, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

Transaction Timed(uint8_t directions, int64_t request_end, int64_t answer_start) {
  Transaction tx;
  tx.directions = directions;
  tx.request_end = Nanos{request_end};
  tx.answer_start = Nanos{answer_start};
  return tx;
}

TEST(Latency, RunsFromTheRequestsEndToTheAnswersStart) {
  EXPECT_EQ(LatencyOf(Timed(3, 100, 250)), Nanos{150});
}
TEST(Latency, IsNothingWhenTheAnswerCameFirst) { EXPECT_EQ(LatencyOf(Timed(3, 250, 100)), Nanos{0}); }
TEST(Latency, NeedsBothSides) {
  EXPECT_EQ(LatencyOf(Timed(3, 100, 0)), std::nullopt);
  EXPECT_EQ(LatencyOf(Timed(3, 0, 100)), std::nullopt);
  EXPECT_EQ(LatencyOf(Timed(1, 100, 250)), std::nullopt);
}

}  // namespace
}  // namespace sluice
