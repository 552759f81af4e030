#include "engine/flow/flow_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace sluice {
namespace {

using std::chrono::seconds;

Tuple MakeTuple(uint8_t a, uint16_t port, uint8_t protocol = 6) {
  Tuple t;
  t.source.version = t.destination.version = 4;
  t.source.bytes = {10, 0, 0, a};
  t.destination.bytes = {10, 0, 1, 1};
  t.source_port = port;
  t.destination_port = 80;
  t.ip_protocol = protocol;
  return t;
}
FlowTable Make(uint32_t capacity) {
  FlowTableOptions options;
  options.capacity = capacity;
  return *FlowTable::Create(options);
}

TEST(FlowTable, BothDirectionsAreOneFlow) {
  FlowTable table = Make(8);
  const Tuple tuple = MakeTuple(1, 1000);
  const auto first = table.Touch(tuple, seconds{1});
  EXPECT_TRUE(first.created);
  const auto back = table.Touch(tuple.Reverse(), seconds{2});
  EXPECT_FALSE(back.created);
  EXPECT_EQ(back.flow, first.flow);
  EXPECT_EQ(back.direction, Direction::kToClient);
  EXPECT_EQ(HashTuple(tuple), HashTuple(tuple.Reverse()));
}

TEST(FlowTable, FlowIdIsPositiveBelow2To51AndDiffersByTime) {
  FlowTable table = Make(8);
  const Tuple tuple = MakeTuple(1, 1000);
  const uint64_t first = table.Touch(tuple, seconds{1}).flow->id;
  table.EndAll(FlowEndReason::kShutdown);
  const uint64_t second = table.Touch(tuple, seconds{1} + std::chrono::microseconds{5}).flow->id;
  EXPECT_NE(first, second);
  EXPECT_GT(first, 0u);
  EXPECT_LT(first, uint64_t{1} << 51);
}

TEST(FlowTable, FullTableEvictsTheLongestIdle) {
  FlowTable table = Make(2);
  std::vector<std::pair<uint16_t, FlowEndReason>> ended;
  table.set_on_end([&](Flow& f, FlowEndReason r) { ended.emplace_back(f.tuple.source_port, r); });
  table.Touch(MakeTuple(1, 1), seconds{1});
  table.Touch(MakeTuple(1, 2), seconds{2});
  table.Touch(MakeTuple(1, 1), seconds{3});
  table.Touch(MakeTuple(1, 3), seconds{4});
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0], std::make_pair(uint16_t{2}, FlowEndReason::kForced));
  EXPECT_EQ(table.stats().evicted, 1u);
  EXPECT_EQ(table.size(), 2u);
}

TEST(FlowTable, TimeoutsFollowProtocolAndState) {
  FlowTable table = Make(8);
  table.Touch(MakeTuple(1, 1), seconds{0});             // TCP new: 60 s
  Flow* established = table.Touch(MakeTuple(1, 2), seconds{0}).flow;
  table.SetState(*established, FlowState::kEstablished);  // 600 s
  table.Touch(MakeTuple(1, 3, 17), seconds{0});         // UDP new: 30 s
  EXPECT_EQ(table.Expire(seconds{31}, 100), 1u);
  EXPECT_EQ(table.Expire(seconds{61}, 100), 1u);
  EXPECT_EQ(table.Expire(seconds{599}, 100), 0u);
  EXPECT_EQ(table.Expire(seconds{600}, 100), 1u);
  EXPECT_EQ(table.stats().expired, 3u);
}

TEST(FlowTable, ExpireRespectsItsBudget) {
  FlowTable table = Make(64);
  for (uint16_t i = 0; i < 50; ++i) table.Touch(MakeTuple(1, i), seconds{0});
  EXPECT_EQ(table.Expire(seconds{1000}, 8), 8u);
  EXPECT_EQ(table.size(), 42u);
}

TEST(FlowTable, CapacityOutOfRangeNamesTheOption) {
  FlowTableOptions options;
  options.capacity = 0;
  const auto table = FlowTable::Create(options);
  ASSERT_FALSE(table.has_value());
  EXPECT_NE(table.error().message.find("flow.capacity"), std::string::npos);
}

// The table agrees with a map under random touches, ends and reversals.
TEST(FlowTable, AgreesWithAMap) {
  FlowTable table = Make(100'000);
  std::map<std::pair<uint8_t, uint16_t>, uint64_t> model;  // -> packets
  std::mt19937 random(5);
  for (int i = 0; i < 50'000; ++i) {
    const auto a = static_cast<uint8_t>(random() % 20);
    const auto port = static_cast<uint16_t>(random() % 50);
    const Tuple tuple = MakeTuple(a, port);
    const auto hit = table.Touch(random() % 2 ? tuple : tuple.Reverse(), Nanos{i});
    const std::pair<uint8_t, uint16_t> key{a, port};
    ASSERT_EQ(hit.created, !model.contains(key));
    ASSERT_EQ(++hit.flow->packets[0], ++model[key]);
    if (random() % 50 == 0) {
      table.End(*hit.flow, FlowEndReason::kTcpReuse);
      model.erase(key);
    }
  }
  EXPECT_EQ(table.size(), model.size());
}

}  // namespace
}  // namespace sluice
