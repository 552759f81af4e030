#include "engine/tap/flow_key.h"

#include <gtest/gtest.h>

#include "engine/tap/drop_maps.h"

namespace sluice {
namespace {

Tuple MakeTuple(const char* source, uint16_t source_port, const char* destination,
                uint16_t destination_port, uint8_t protocol) {
  Tuple tuple;
  tuple.source = ParsePrefix(source)->address;
  tuple.destination = ParsePrefix(destination)->address;
  tuple.source_port = source_port;
  tuple.destination_port = destination_port;
  tuple.ip_protocol = protocol;
  return tuple;
}

struct KeyCase {
  const char* name;
  Tuple tuple;
  uint8_t source_side;
};
class FlowKey : public ::testing::TestWithParam<KeyCase> {};
TEST_P(FlowKey, IsTheSameForBothDirectionsAndGivesTheTupleBack) {
  const Tuple& tuple = GetParam().tuple;
  Tuple reverse = tuple;
  std::swap(reverse.source, reverse.destination);
  std::swap(reverse.source_port, reverse.destination_port);
  const KeyAndSide there = MakeFlowKey(tuple), back = MakeFlowKey(reverse);
  EXPECT_EQ(std::memcmp(&there.key, &back.key, sizeof(there.key)), 0);
  EXPECT_EQ(there.source_side, GetParam().source_side);
  EXPECT_EQ(TupleOf(there.key, there.source_side), tuple);
  EXPECT_EQ(TupleOf(back.key, back.source_side), reverse);
}
const KeyCase kCases[] = {
    {"LowerAddressIsSide0", MakeTuple("10.0.0.1", 9, "10.0.0.2", 1, 6), 0},
    {"HigherAddressIsSide1", MakeTuple("10.0.0.2", 1, "10.0.0.1", 9, 6), 1},
    {"BytesDecideNotHostOrder", MakeTuple("10.0.0.255", 1, "10.0.1.0", 2, 17), 0},
    {"PortsDecideBetweenEqualAddresses", MakeTuple("127.0.0.1", 256, "127.0.0.1", 1, 6), 1},
    {"Ipv6", MakeTuple("fd00::1", 1, "fd00::", 2, 6), 1},
    {"Icmp", MakeTuple("10.0.0.1", 0, "10.0.0.2", 0, 1), 0},
};
INSTANTIATE_TEST_SUITE_P(Normalised, FlowKey, ::testing::ValuesIn(kCases),
                         [](const auto& c) { return c.param.name; });

TEST(FlowKeyTest, OnlyTcpAndUdpHavePorts) {
  const KeyAndSide icmp = MakeFlowKey(MakeTuple("10.0.0.1", 8, "10.0.0.2", 0, 1));
  EXPECT_EQ(icmp.key.port[0], 0);
  EXPECT_EQ(icmp.key.port[1], 0);
}

TEST(FlowKeyTest, VlansAreKept) {
  Tuple tuple = MakeTuple("10.0.0.1", 1, "10.0.0.2", 2, 6);
  tuple.vlan[0] = 4095;
  tuple.vlan[1] = 1;
  EXPECT_EQ(TupleOf(MakeFlowKey(tuple).key, 0), tuple);
}

TEST(FlowKeyTest, MappedAddressesComeBackAsIpv4) {
  uint8_t mapped[16];
  const Address address = ParsePrefix("192.0.2.1")->address;
  ToMapped(address, mapped);
  EXPECT_EQ(FromMapped(mapped), address);
  EXPECT_EQ(mapped[10], 0xff);
}

}  // namespace
}  // namespace sluice
