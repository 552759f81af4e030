// What is inside of what: each link layer and tunnel around one TCP packet.
#include <gtest/gtest.h>

#include "engine/decode/decode.h"
#include "tests/support/headers.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: the builders, all of them

const Bytes kInner = Ipv4(6, Tcp());

struct LinkCase {
  const char* name;
  LinkType link;
  Bytes frame;
};
class Link : public ::testing::TestWithParam<LinkCase> {};
TEST_P(Link, LeadsToTheTransport) {
  Packet packet;
  Decode(GetParam().link, GetParam().frame, {.verify_checksums = false}, &packet);
  EXPECT_FALSE(packet.invalid);
  EXPECT_EQ(packet.num_events, 0);
  EXPECT_EQ(packet.l4, L4::kTcp);
  EXPECT_EQ(packet.destination_port, 80);
  EXPECT_EQ(packet.link, GetParam().link);
}
Bytes Nsh(uint8_t next, const Bytes& payload) {
  return Join({{0, 2, 2, next, 0, 0, 0, 0}, payload});
}
const LinkCase kLinkCases[] = {
    {"Raw", LinkType::kRawIp, kInner},
    {"Loopback", LinkType::kLoopback, Join({{2, 0, 0, 0}, kInner})},
    {"LoopbackOfOpenBsd", LinkType::kLoopback, Join({{0, 0, 0, 2}, kInner})},
    {"Cooked1", LinkType::kLinuxCooked1, Join({Zeros(14), {8, 0}, kInner})},
    {"Cooked2", LinkType::kLinuxCooked2, Join({{8, 0}, Zeros(18), kInner})},
    {"Ppp", LinkType::kPpp, Join({{0xff, 3, 0, 0x21}, kInner})},
    {"PppCompressed", LinkType::kPpp, Join({{0x21}, kInner})},
    {"CiscoHdlc", LinkType::kCiscoHdlc, Join({{0x0f, 0, 8, 0}, kInner})},
    {"QinQinQ", LinkType::kEthernet,
     Ethernet(0x88a8, Vlan(1, 0x8100, Vlan(2, 0x8100, Vlan(3, 0x0800, kInner))))},
    {"Vntag", LinkType::kEthernet, Ethernet(0x8926, Join({Zeros(4), {8, 0}, kInner}))},
    {"Etag", LinkType::kEthernet, Ethernet(0x893f, Join({Zeros(6), {8, 0}, kInner}))},
    {"MacInMac", LinkType::kEthernet, Ethernet(0x88e7, Join({Zeros(16), {8, 0}, kInner}))},
    {"FabricPath", LinkType::kEthernet, Ethernet(0x8903, Join({Zeros(2), Ethernet(0x0800, kInner)}))},
    {"MplsIpv4", LinkType::kEthernet, Ethernet(0x8847, MplsEntry(100, false, MplsEntry(0, true, kInner)))},
    {"MplsGuessed", LinkType::kEthernet, Ethernet(0x8847, MplsEntry(100, true, kInner))},
    {"MplsPseudoWire", LinkType::kEthernet,
     Ethernet(0x8847, MplsEntry(100, true, Join({Zeros(4), Ethernet(0x0800, kInner)})))},
    {"Pppoe", LinkType::kEthernet, Ethernet(0x8864, Join({{0x11, 0, 0, 1, 0, 42, 0, 0x21}, kInner}))},
    {"NshIpv4", LinkType::kEthernet, Ethernet(0x894f, Nsh(1, kInner))},
    {"NshEthernet", LinkType::kEthernet, Ethernet(0x894f, Nsh(3, Ethernet(0x0800, kInner)))},
};
INSTANTIATE_TEST_SUITE_P(Layers, Link, ::testing::ValuesIn(kLinkCases),
                         [](const auto& info) { return info.param.name; });

struct TunnelCase {
  const char* name;
  Bytes outer;
  PacketOrigin origin;
  bool outer_has_flow;
};
class Tunnel : public ::testing::TestWithParam<TunnelCase> {};
TEST_P(Tunnel, CarriesAPacketOfItsOwn) {
  Packet outer, inner;
  outer.number = 7;
  Decode(LinkType::kRawIp, GetParam().outer, {.verify_checksums = false}, &outer);
  EXPECT_FALSE(outer.invalid);
  EXPECT_EQ(outer.HasFlow(), GetParam().outer_has_flow);
  ASSERT_FALSE(outer.inner.bytes.empty());
  DecodeInner(outer, {.verify_checksums = false}, &inner);
  EXPECT_FALSE(inner.invalid);
  EXPECT_EQ(inner.l4, L4::kTcp);
  EXPECT_EQ(inner.origin, GetParam().origin);
  EXPECT_EQ(inner.recursion, 1);
  EXPECT_EQ(inner.outer, &outer);
  EXPECT_EQ(inner.number, 0u);
  EXPECT_EQ(inner.wire_len, outer.inner.bytes.size());
}
const Bytes kInner6 = Ipv6(6, Tcp());
const Bytes kErspan = Join({Zeros(4), {0x10, 5}, Zeros(6), Ethernet(0x0800, kInner)});
using O = PacketOrigin;
const TunnelCase kTunnelCases[] = {
    {"Ipv4InIpv4", Ipv4(4, kInner), O::kIpv4Tunnel, true},
    {"Ipv6InIpv4", Ipv4(41, kInner6), O::kIpv4Tunnel, true},
    {"Ipv4InIpv6", Ipv6(4, kInner), O::kIpv6Tunnel, true},
    {"Ipv6InIpv6", Ipv6(41, kInner6), O::kIpv6Tunnel, true},
    {"BehindExtensionHeaders", Ipv6(60, Options(41, {1, 4, 0, 0, 0, 0}, kInner6)), O::kIpv6Tunnel, true},
    {"Gre", Ipv4(47, Gre(0, 0x0800, kInner)), O::kGreTunnel, false},
    {"GreWithEverything", Ipv4(47, Gre(0xb000, 0x86dd, Join({Zeros(12), kInner6}))), O::kGreTunnel, false},
    {"GreSourceRoute", Ipv4(47, Gre(0x4000, 0x0800, Join({Zeros(4), {8, 0, 0, 4}, Zeros(4), Zeros(4), kInner}))),
     O::kGreTunnel, false},
    {"GreEthernet", Ipv4(47, Gre(0, 0x6558, Ethernet(0x0800, kInner))), O::kGreTunnel, false},
    {"GreVlan", Ipv4(47, Gre(0, 0x8100, Vlan(1, 0x0800, kInner))), O::kGreTunnel, false},
    {"Pptp", Ipv4(47, Gre(0x2001, 0x880b, Join({Zeros(4), {0xff, 3, 0, 0x21}, kInner}))), O::kGreTunnel, false},
    {"Erspan1", Ipv4(47, Gre(0, 0x88be, Ethernet(0x0800, kInner))), O::kGreTunnel, false},
    {"Erspan2", Ipv4(47, Gre(0x1000, 0x88be, kErspan)), O::kGreTunnel, false},
    {"Teredo", Ipv4(17, Udp(3544, 9000, kInner6)), O::kTeredo, true},
    {"TeredoWithOrigin", Ipv4(17, Udp(9000, 3544, Join({Zeros(8), kInner6}))), O::kTeredo, true},
    {"Vxlan", Ipv4(17, Udp(1, 4789, Join({{8}, Zeros(7), Ethernet(0x0800, kInner)}))), O::kVxlan, true},
    {"Geneve", Ipv4(17, Udp(1, 6081, Join({{1, 0, 0x65, 0x58}, Zeros(8), Ethernet(0x0800, kInner)}))),
     O::kGeneve, true},
};
INSTANTIATE_TEST_SUITE_P(Protocols, Tunnel, ::testing::ValuesIn(kTunnelCases),
                         [](const auto& info) { return info.param.name; });

TEST(TunnelPorts, OnlyTheConfiguredOnesAreLookedInto) {
  const Bytes frame = Ipv4(17, Udp(1, 8472, Join({{8}, Zeros(7), Ethernet(0x0800, kInner)})));
  Packet packet;
  Decode(LinkType::kRawIp, frame, {}, &packet);
  EXPECT_TRUE(packet.inner.bytes.empty());
  DecodeOptions options;
  options.vxlan = {.ports = {4789, 8472}, .count = 2};
  Decode(LinkType::kRawIp, frame, options, &packet);
  EXPECT_FALSE(packet.inner.bytes.empty());
  options.vxlan.enabled = false;
  Decode(LinkType::kRawIp, frame, options, &packet);
  EXPECT_TRUE(packet.inner.bytes.empty());
}

// However often a packet is wrapped, the walk over it ends.
TEST(TunnelDepth, IsLimitedOverAllPackets) {
  Bytes bytes = kInner;
  for (int i = 0; i < 40; ++i) bytes = Ipv4(4, bytes);
  std::vector<Packet> packets(64);
  Decode(LinkType::kRawIp, bytes, {}, &packets[0]);
  size_t depth = 0;
  for (; !packets[depth].inner.bytes.empty(); ++depth) {
    ASSERT_LT(depth, 40u);
    DecodeInner(packets[depth], {}, &packets[depth + 1]);
  }
  EXPECT_EQ(packets[depth].num_layers, DecodeOptions{}.max_layers + 1);
  EXPECT_TRUE(packets[depth].stopped);
}

TEST(Quoted, AnIcmpErrorNamesTheFlowItIsAbout) {
  for (const bool v6 : {false, true}) {
    const Bytes lost = v6 ? Ipv6(17, Udp(1000, 53, {})) : Ipv4(17, Udp(1000, 53, {}));
    const Bytes frame = v6 ? Ipv6(58, Icmp(1, 4, lost)) : Ipv4(1, Icmp(3, 3, lost));
    Packet packet;
    Decode(LinkType::kRawIp, frame, {}, &packet);
    QuotedEnds ends;
    ASSERT_TRUE(ReadQuoted(packet, &ends));
    EXPECT_EQ(ends.source_port, 1000);
    EXPECT_EQ(ends.destination_port, 53);
    EXPECT_EQ(ends.protocol, 17);
    EXPECT_EQ(ends.source, packet.source);  // the builder's addresses
  }
}

// Decode() clears a packet with one memset.
TEST(Packet, StartsAsZeroBytes) {
  alignas(Packet) uint8_t bytes[sizeof(Packet)];
  std::memset(bytes, 0, sizeof(bytes));
  const Packet* fresh = new (bytes) Packet;
  for (size_t i = 0; i < sizeof(bytes); ++i) ASSERT_EQ(bytes[i], 0) << i;
  EXPECT_EQ(fresh->l4, L4::kNone);
}

}  // namespace
}  // namespace sluice
