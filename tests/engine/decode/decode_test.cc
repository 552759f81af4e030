#include "engine/decode/decode.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "tests/support/packets.h"
#include "tests/support/random_packets.h"

namespace sluice {
namespace {

using testing::Build;
using testing::Bytes;
using testing::Frame;

Packet DecodeFrame(const Bytes& bytes, LinkType link = LinkType::kEthernet, bool checksums = false) {
  Packet packet;
  Decode(link, bytes, {.verify_checksums = checksums}, &packet);
  return packet;
}
// A packet borrows its bytes: those of a frame built in place are kept.
Packet DecodeFrame(Bytes&& bytes, LinkType link = LinkType::kEthernet, bool checksums = false) {
  static std::deque<Bytes> kept;
  return DecodeFrame(std::as_const(kept.emplace_back(std::move(bytes))), link, checksums);
}
bool Has(const Packet& packet, DecodeEvent event) {
  return std::find(packet.events, packet.events + packet.num_events, event) !=
         packet.events + packet.num_events;
}

TEST(Decode, TcpOverIpv4) {
  const Bytes frame = Build({.payload = "GET /"});
  const Packet p = DecodeFrame(frame);
  EXPECT_EQ(p.ip_version, 4);
  EXPECT_EQ(p.l4, L4::kTcp);
  EXPECT_EQ(FormatAddress(p.source), "10.0.0.1");
  EXPECT_EQ(p.destination_port, 80);
  EXPECT_EQ(p.tcp.seq, 1000u);
  EXPECT_EQ(AsText(p.payload), "GET /");
  EXPECT_FALSE(p.invalid);
}

TEST(Decode, Ipv6AddressesAreFullyExpanded) {
  const Packet p = DecodeFrame(Build({.source = "fd00::1", .destination = "fd00::2", .payload = "x"}));
  EXPECT_EQ(FormatAddress(p.source), "fd00:0000:0000:0000:0000:0000:0000:0001");
}

TEST(Decode, VlanTagsAreKeptOuterFirst) {
  const Packet p = DecodeFrame(Build({.payload = "x", .vlans = {7, 9}}));
  ASSERT_EQ(p.num_vlans, 2);
  EXPECT_EQ(p.vlan[0], 7);
  EXPECT_EQ(p.vlan[1], 9);
  EXPECT_EQ(p.l4, L4::kTcp);
}

TEST(Decode, ExtensionHeadersAreWalked) {
  const Packet p = DecodeFrame(Build({.source = "fd00::1", .destination = "fd00::2", .payload = "x", .ext = {0, 60, 43}}));
  EXPECT_EQ(p.l4, L4::kTcp);
  EXPECT_EQ(AsText(p.payload), "x");
}

TEST(Decode, FragmentsHaveNoPorts) {
  const Packet p = DecodeFrame(Build({.payload = std::string(64, 'x'), .more_fragments = true, .fragment_id = 5}));
  EXPECT_TRUE(p.is_fragment);
  EXPECT_EQ(p.l4, L4::kNone);
  EXPECT_EQ(p.source_port, 0);
}

TEST(Decode, LinkTypesOfCaptures) {
  const Bytes frame = Build({.payload = "x"});
  const Bytes ip(frame.begin() + 14, frame.end());
  EXPECT_EQ(DecodeFrame(ip, LinkType::kRawIp).l4, L4::kTcp);
  Bytes cooked(14, 0);
  cooked.insert(cooked.end(), {0x08, 0x00});
  cooked.insert(cooked.end(), ip.begin(), ip.end());
  EXPECT_EQ(DecodeFrame(cooked, LinkType::kLinuxCooked1).l4, L4::kTcp);
  Bytes cooked2 = {0x08, 0x00};
  cooked2.resize(20, 0);
  cooked2.insert(cooked2.end(), ip.begin(), ip.end());
  EXPECT_EQ(DecodeFrame(cooked2, LinkType::kLinuxCooked2).l4, L4::kTcp);
  Bytes loop = {2, 0, 0, 0};
  loop.insert(loop.end(), ip.begin(), ip.end());
  EXPECT_EQ(DecodeFrame(loop, LinkType::kLoopback).l4, L4::kTcp);
}

struct CutCase {
  const char* name;
  size_t keep;  // bytes of the frame
  DecodeEvent event;
};
class Cut : public ::testing::TestWithParam<CutCase> {};
TEST_P(Cut, IsAnEventNotACrash) {
  Bytes frame = Build({.payload = "hello"});
  frame.resize(GetParam().keep);
  const Packet p = DecodeFrame(frame);
  EXPECT_TRUE(p.invalid);
  EXPECT_TRUE(Has(p, GetParam().event));
}
const CutCase kCuts[] = {{"InEthernet", 10, DecodeEvent::kEthernetPktTooSmall},
                         {"InIpHeader", 20, DecodeEvent::kIpv4PktTooSmall},
                         {"InTcpHeader", 40, DecodeEvent::kIpv4TruncPkt},
                         {"InPayload", 56, DecodeEvent::kIpv4TruncPkt}};
INSTANTIATE_TEST_SUITE_P(Ipv4, Cut, ::testing::ValuesIn(kCuts),
                         [](const auto& info) { return info.param.name; });

TEST(Decode, WrongChecksumIsFlaggedAndStillDecoded) {
  Bytes frame = Build({.payload = "hello"});
  frame.back() ^= 1;
  const Packet p = DecodeFrame(frame, LinkType::kEthernet, true);
  EXPECT_TRUE(p.bad_l4_checksum);
  EXPECT_EQ(p.l4, L4::kTcp);
}

// Whatever the bytes: views lie inside the frame, and names exist for all events.
TEST(Decode, ViewsStayInsideTheFrame) {
  testing::Random random(3);
  for (int i = 0; i < 100'000; ++i) {
    Bytes frame = Build(testing::RandomFrame(random));
    for (unsigned n = testing::Below(random, 4); n > 0 && !frame.empty(); --n) {
      frame[testing::Below(random, static_cast<unsigned>(frame.size()))] = static_cast<uint8_t>(random());
    }
    frame.resize(testing::Below(random, static_cast<unsigned>(frame.size()) + 1));
    for (const LinkType link : {LinkType::kEthernet, LinkType::kRawIp, LinkType::kLinuxCooked1,
                                LinkType::kLinuxCooked2, LinkType::kLoopback, LinkType::kPpp,
                                LinkType::kCiscoHdlc}) {
      const Packet p = DecodeFrame(frame, link, true);
      for (const Slice view : {p.ip_header, p.ip_options, p.ip_payload, p.l4_header, p.payload, p.ethernet}) {
        if (view.empty()) continue;
        ASSERT_GE(view.data(), frame.data());
        ASSERT_LE(view.data() + view.size(), frame.data() + frame.size());
      }
      for (uint8_t e = 0; e < p.num_events; ++e) ASSERT_NE(DecodeEventName(p.events[e])[0], '\0');
    }
  }
}

}  // namespace
}  // namespace sluice
