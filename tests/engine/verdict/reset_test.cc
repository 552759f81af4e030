#include "engine/verdict/reset.h"

#include <gtest/gtest.h>

#include "engine/decode/decode.h"

namespace sluice {
namespace {

Tuple MakeTuple(uint8_t version) {
  Tuple t;
  t.source.version = t.destination.version = version;
  t.source.bytes = {10, 1, 2, 3, 4};
  t.destination.bytes = {10, 9, 8, 7, 6};
  if (version == 4) t.source.bytes[4] = t.destination.bytes[4] = 0;
  t.source_port = 1234;
  t.destination_port = 80;
  t.ip_protocol = 6;
  return t;
}

class Reset : public ::testing::TestWithParam<int> {};

// The decoder, which checks every checksum, is the judge.
TEST_P(Reset, IsAValidResetOfTheConnection) {
  const Tuple tuple = MakeTuple(static_cast<uint8_t>(GetParam()));
  const auto bytes = BuildReset(tuple, 111, 222);
  Packet p;
  Decode(LinkType::kRawIp, bytes, {.verify_checksums = true}, &p);
  EXPECT_FALSE(p.invalid || p.bad_ip_checksum || p.bad_l4_checksum);
  EXPECT_EQ(p.tcp.flags, kTcpRst | kTcpAck);
  EXPECT_EQ(p.tcp.seq, 111u);
  EXPECT_EQ(p.tcp.ack, 222u);
  EXPECT_EQ(p.source, tuple.source);
  EXPECT_EQ(p.destination_port, 80);
}

TEST_P(Reset, ProhibitedQuotesTheOffendingPacket) {
  Tuple tuple = MakeTuple(static_cast<uint8_t>(GetParam()));
  tuple.ip_protocol = 17;
  const std::string offending(60, 'x');
  const auto bytes = BuildProhibited(tuple, AsSlice(offending));
  Packet p;
  Decode(LinkType::kRawIp, bytes, {.verify_checksums = true}, &p);
  EXPECT_FALSE(p.stopped || p.bad_ip_checksum || p.bad_l4_checksum);
  EXPECT_EQ(p.source, tuple.destination);
  EXPECT_EQ(p.icmp_type, GetParam() == 4 ? 3 : 1);
  EXPECT_TRUE(AsText(p.payload).starts_with("xxxx"));
}
INSTANTIATE_TEST_SUITE_P(Ip, Reset, ::testing::Values(4, 6));

}  // namespace
}  // namespace sluice
