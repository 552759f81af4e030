// Every event has a packet that raises it, and only decode-event names that exist load.
#include "engine/decode/events.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "engine/decode/decode.h"
#include "engine/decode/defrag.h"
#include "tests/support/headers.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: the builders, all of them

Bytes Cut(Bytes bytes, size_t n) {
  bytes.resize(n);
  return bytes;
}
Bytes Changed(Bytes bytes, size_t at, uint8_t value) {
  bytes[at] = value;
  return bytes;
}
Bytes V4(unsigned protocol, const Bytes& payload) { return Ipv4(protocol, payload); }
Bytes WithOptions(const Bytes& options) { return Ipv4(6, Tcp(), {.options = options}); }
// A pseudo-header length of 8: no options error of the outer header comes in the way.
Bytes Hop(const Bytes& options) { return Ipv6(0, Options(6, options, Tcp())); }
Bytes Dst(const Bytes& options) { return Ipv6(60, Options(6, options, Tcp())); }
Bytes Twice(unsigned header) {
  const auto h = static_cast<uint8_t>(header);
  return Join({{h, 0, 1, 0, 0, 0, 0, 0}, {6, 0, 1, 0, 0, 0, 0, 0}, Tcp()});
}
const Bytes kPad = {1, 4, 0, 0, 0, 0};

struct EventCase {
  DecodeEvent event;
  LinkType link;
  Bytes frame;
};

constexpr LinkType kEth = LinkType::kEthernet, kIp = LinkType::kRawIp;

std::vector<EventCase> Cases() {
  using E = DecodeEvent;
  const Bytes ip = Ipv4(6, Tcp());
  const auto type = [](unsigned ether_type, const Bytes& payload) {
    return Ethernet(ether_type, payload);
  };
  const auto nsh = [](uint8_t version, uint8_t words, uint8_t md, uint8_t next) {
    Bytes out = {static_cast<uint8_t>(version << 6), words, md, next, 0, 0, 0, 0};
    return Ethernet(0x894f, Join({out, Zeros(40)}));
  };
  Bytes many_tags = Tcp();
  for (int i = 0; i < 20; ++i) many_tags = Ethernet(0x6558, many_tags);
  Bytes many_headers = Tcp();
  for (int i = 0; i < 17; ++i) many_headers = Options(i == 0 ? 6 : 135, Zeros(6), many_headers);
  const auto erspan = [](unsigned first) {
    Bytes out;
    Put16(out, first);
    return out;
  };
  return {
      {E::kTooManyLayers, kEth, many_tags},
      {E::kEthernetPktTooSmall, kEth, Zeros(13)},
      {E::kEthernetUnknown, kEth, type(0x8035, Zeros(20))},
      {E::kVlanHeaderTooSmall, kEth, type(0x8100, Zeros(3))},
      {E::kVlanUnknownType, kEth, type(0x8100, Vlan(1, 0x8035, Zeros(20)))},
      {E::kVlanTooManyLayers, kEth,
       type(0x88a8, Vlan(1, 0x88a8, Vlan(2, 0x8100, Vlan(3, 0x8100, Vlan(4, 0x0800, ip)))))},
      {E::kIeee8021ahHeaderTooSmall, kEth, type(0x88e7, Zeros(17))},
      {E::kVntagHeaderTooSmall, kEth, type(0x8926, Zeros(5))},
      {E::kVntagUnknownType, kEth, type(0x8926, Zeros(8))},
      {E::kEtagHeaderTooSmall, kEth, type(0x893f, Zeros(7))},
      {E::kEtagUnknownType, kEth, type(0x893f, Zeros(9))},
      {E::kDcePktTooSmall, kEth, type(0x8903, Zeros(1))},
      {E::kSllPktTooSmall, LinkType::kLinuxCooked1, Zeros(15)},
      {E::kSll2PktTooSmall, LinkType::kLinuxCooked2, Zeros(19)},
      {E::kNullPktTooSmall, LinkType::kLoopback, Zeros(3)},
      {E::kNullUnsupportedType, LinkType::kLoopback, {7, 0, 0, 0}},
      {E::kChdlcPktTooSmall, LinkType::kCiscoHdlc, Zeros(3)},
      {E::kPppPktTooSmall, LinkType::kPpp, {0xff, 0x03}},
      {E::kPppVjuPktTooSmall, LinkType::kPpp, {0xff, 0x03, 0x00, 0x2f}},
      {E::kPppIp4PktTooSmall, LinkType::kPpp, {0xff, 0x03, 0x00, 0x21}},
      {E::kPppIp6PktTooSmall, LinkType::kPpp, {0xff, 0x03, 0x00, 0x57}},
      {E::kPppWrongType, LinkType::kPpp, {0xff, 0x03, 0x00, 0xff}},
      {E::kPppUnsupProto, LinkType::kPpp, {0xff, 0x03, 0xc0, 0x21}},
      {E::kPppoePktTooSmall, kEth, type(0x8864, Zeros(6))},
      {E::kPppoeWrongCode, kEth, type(0x8863, Zeros(6))},
      {E::kPppoeMalformedTags, kEth, type(0x8863, {0x11, 9, 0, 0, 0, 4, 1, 1, 0, 9})},
      {E::kMplsHeaderTooSmall, kEth, type(0x8847, Zeros(3))},
      {E::kMplsPktTooSmall, kEth, type(0x8847, MplsEntry(100, true, {0x45}))},
      {E::kMplsBadLabelRouterAlert, kEth, type(0x8847, MplsEntry(1, true, ip))},
      {E::kMplsBadLabelImplicitNull, kEth, type(0x8847, MplsEntry(3, true, ip))},
      {E::kMplsBadLabelReserved, kEth, type(0x8847, MplsEntry(9, true, ip))},
      {E::kMplsUnknownPayloadType, kEth, type(0x8847, MplsEntry(100, true, {0xf0, 0, 0, 0}))},
      {E::kNshHeaderTooSmall, kEth, type(0x894f, Zeros(7))},
      {E::kNshUnsupportedVersion, kEth, nsh(1, 2, 2, 1)},
      {E::kNshBadHeaderLength, kEth, nsh(0, 2, 1, 1)},
      {E::kNshReservedType, kEth, nsh(0, 2, 0, 1)},
      {E::kNshUnsupportedType, kEth, nsh(0, 2, 3, 1)},
      {E::kNshUnknownPayload, kEth, nsh(0, 2, 2, 9)},
      {E::kArpPktTooSmall, kEth, type(0x0806, Zeros(7))},
      {E::kArpUnsupportedHardware, kEth, type(0x0806, Changed(Arp(1), 1, 6))},
      {E::kArpUnsupportedProtocol, kEth, type(0x0806, Changed(Arp(1), 2, 9))},
      {E::kArpInvalidPkt, kEth, type(0x0806, Cut(Arp(1), 27))},
      {E::kArpInvalidHardwareSize, kEth, type(0x0806, Changed(Arp(1), 4, 8))},
      {E::kArpInvalidProtocolSize, kEth, type(0x0806, Changed(Arp(1), 5, 16))},
      {E::kArpUnsupportedOpcode, kEth, type(0x0806, Arp(9))},
      {E::kIpRawInvalidIpVersion, kIp, {0x70, 0, 0, 0}},
      {E::kIpv4PktTooSmall, kIp, Cut(ip, 19)},
      {E::kIpv4HlenTooSmall, kIp, Changed(ip, 0, 0x44)},
      {E::kIpv4IplenSmallerThanHlen, kIp, Changed(ip, 3, 19)},
      {E::kIpv4TruncPkt, kIp, Cut(ip, 30)},
      {E::kIpv4WrongIpVersion, kEth, type(0x0800, Changed(ip, 0, 0x55))},
      {E::kIpv4OptInvalid, kIp, WithOptions({0x99, 4, 0, 0})},
      {E::kIpv4OptInvalidLen, kIp, WithOptions({0x94, 3, 0, 0})},
      {E::kIpv4OptMalformed, kIp, WithOptions({7, 7, 5, 0, 0, 0, 0, 0})},
      {E::kIpv4OptPadRequired, kIp, WithOptions({1, 1, 1, 0})},
      {E::kIpv4OptEolRequired, kIp, WithOptions({1, 1, 1, 0x94})},
      {E::kIpv4OptDuplicate, kIp, WithOptions({0x94, 4, 0, 0, 0x94, 4, 0, 0})},
      {E::kIpv4Icmp6, kIp, V4(58, Icmp(128, 0))},
      {E::kIpv6PktTooSmall, kIp, Cut(Ipv6(6, Tcp()), 39)},
      {E::kIpv6TruncPkt, kIp, Cut(Ipv6(6, Tcp()), 50)},
      {E::kIpv6TruncExthdr, kIp, Ipv6(0, Zeros(4))},
      {E::kIpv6WrongIpVersion, kEth, type(0x86dd, Changed(Ipv6(6, Tcp()), 0, 0x50))},
      {E::kIpv6TooManyExthdrs, kIp, Ipv6(135, many_headers)},
      {E::kIpv6ExthdrDuplFh, kIp, Ipv6(44, Fragment(44, 0, false, 1, Fragment(6, 0, false, 1, Tcp())))},
      {E::kIpv6ExthdrUselessFh, kIp, Ipv6(44, Fragment(6, 0, false, 1, Tcp()))},
      {E::kIpv6ExthdrDuplRh, kIp, Ipv6(43, Twice(43))},
      {E::kIpv6ExthdrDuplHh, kIp, Ipv6(0, Twice(0))},
      {E::kIpv6ExthdrDuplDh, kIp, Ipv6(60, Options(60, kPad, Twice(60)))},
      {E::kIpv6ExthdrDuplAh, kIp, Ipv6(51, Join({{51, 1}, Zeros(10), {6, 1}, Zeros(10), Tcp()}))},
      {E::kIpv6ExthdrInvalidOptlen, kIp, Hop({1, 9, 0, 0, 0, 0})},
      {E::kIpv6ExthdrAhResNotNull, kIp, Ipv6(51, Join({{6, 1, 0, 1}, Zeros(8), Tcp()}))},
      {E::kIpv6HopoptsUnknownOpt, kIp, Hop({0x1e, 4, 0, 0, 0, 0})},
      {E::kIpv6HopoptsOnlyPadding, kIp, Hop(kPad)},
      {E::kIpv6DstoptsUnknownOpt, kIp, Dst({0x1e, 4, 0, 0, 0, 0})},
      {E::kIpv6DstoptsOnlyPadding, kIp, Dst(kPad)},
      {E::kIpv6RhType0, kIp, Ipv6(43, Join({{6, 0, 0, 0, 0, 0, 0, 0}, Tcp()}))},
      {E::kIpv6ZeroLenPadn, kIp, Hop({1, 0, 1, 2, 0, 0})},
      {E::kIpv6FhNonZeroReserved, kIp, Ipv6(44, Changed(Fragment(6, 0, false, 1, Tcp()), 1, 1))},
      {E::kIpv6DataAfterNone, kIp, Ipv6(59, Zeros(1))},
      {E::kIpv6UnknownNextHeader, kIp, Ipv6(253, Zeros(8))},
      {E::kIpv6Icmp4, kIp, Ipv6(1, Icmp(8, 0))},
      {E::kIpv6FragInvalidLength, kIp, Ipv6(44, Fragment(17, 0, true, 1, Zeros(9)))},
      {E::kIpv4InIpv6TooSmall, kIp, Ipv6(4, Zeros(19))},
      {E::kIpv4InIpv6WrongVersion, kIp, Ipv6(4, Zeros(20))},
      {E::kIpv6InIpv6TooSmall, kIp, Ipv6(41, Zeros(39))},
      {E::kIpv6InIpv6WrongVersion, kIp, Ipv6(41, Zeros(40))},
      {E::kTcpPktTooSmall, kIp, V4(6, Cut(Tcp(), 19))},
      {E::kTcpHlenTooSmall, kIp, V4(6, Changed(Tcp(), 12, 0x40))},
      {E::kTcpInvalidOptlen, kIp, V4(6, Changed(Tcp(), 12, 0x60))},
      {E::kTcpOptInvalidLen, kIp, V4(6, Tcp({2, 3, 0, 0}))},
      {E::kTcpOptDuplicate, kIp, V4(6, Tcp({4, 2, 4, 2}))},
      {E::kUdpPktTooSmall, kIp, V4(17, Changed(Udp(1, 2, {}), 5, 9))},
      {E::kUdpHlenTooSmall, kIp, V4(17, Zeros(7))},
      {E::kUdpLenInvalid, kIp, V4(17, Changed(Udp(1, 2, {}), 5, 7))},
      {E::kIcmp4PktTooSmall, kIp, V4(1, Zeros(7))},
      {E::kIcmp4UnknownType, kIp, V4(1, Icmp(99, 0))},
      {E::kIcmp4UnknownCode, kIp, V4(1, Icmp(8, 1))},
      {E::kIcmp4Ipv4TruncPkt, kIp, V4(1, Icmp(3, 1, Zeros(19)))},
      {E::kIcmp4Ipv4UnknownVer, kIp, V4(1, Icmp(3, 1, Zeros(20)))},
      {E::kIcmp6PktTooSmall, kIp, Ipv6(58, Zeros(7))},
      {E::kIcmp6UnknownType, kIp, Ipv6(58, Icmp(127, 0))},
      {E::kIcmp6UnknownCode, kIp, Ipv6(58, Icmp(128, 1))},
      {E::kIcmp6Ipv6TruncPkt, kIp, Ipv6(58, Icmp(1, 0, Zeros(39)))},
      {E::kIcmp6Ipv6UnknownVersion, kIp, Ipv6(58, Icmp(1, 0, Zeros(40)))},
      {E::kIcmp6MldInvalidHopLimit, kIp, Ipv6(58, Icmp(130, 0), 2)},
      {E::kIcmp6UnassignedType, kIp, Ipv6(58, Icmp(5, 0))},
      {E::kIcmp6ExperimentationType, kIp, Ipv6(58, Icmp(100, 0))},
      {E::kSctpPktTooSmall, kIp, V4(132, Zeros(11))},
      {E::kEspPktTooSmall, kIp, V4(50, Zeros(7))},
      {E::kIgmpPktTooSmall, kIp, V4(2, Zeros(7))},
      {E::kIgmpV3PktTooSmall, kIp, V4(2, Changed(Join({{0x11}, Zeros(11)}), 11, 1))},
      {E::kIgmpMalformed, kIp, V4(2, Join({{0x22, 0, 0, 0, 0, 0, 0, 1}, {1, 9, 0, 0, 0, 0, 0, 0}}))},
      {E::kGrePktTooSmall, kIp, V4(47, Zeros(3))},
      {E::kGreWrongVersion, kIp, V4(47, Gre(2, 0x0800, ip))},
      {E::kGreV0Recur, kIp, V4(47, Gre(0x0100, 0x0800, ip))},
      {E::kGreV0Flags, kIp, V4(47, Gre(0x0008, 0x0800, ip))},
      {E::kGreV0HdrTooBig, kIp, V4(47, Gre(0x2000, 0x0800, Zeros(3)))},
      {E::kGreV0MalformedSre, kIp, V4(47, Gre(0x4000, 0x0800, Join({Zeros(4), {0, 1, 0, 9}})))},
      {E::kGreV1Checksum, kIp, V4(47, Gre(0x8001, 0x880b, Zeros(8)))},
      {E::kGreV1Route, kIp, V4(47, Gre(0x4001, 0x880b, Zeros(8)))},
      {E::kGreV1Ssr, kIp, V4(47, Gre(0x0801, 0x880b, Zeros(8)))},
      {E::kGreV1Recur, kIp, V4(47, Gre(0x0101, 0x880b, Zeros(8)))},
      {E::kGreV1Flags, kIp, V4(47, Gre(0x0009, 0x880b, Zeros(8)))},
      {E::kGreV1NoKey, kIp, V4(47, Gre(0x0001, 0x880b, Zeros(8)))},
      {E::kGreV1WrongProtocol, kIp, V4(47, Gre(0x2001, 0x0800, Zeros(8)))},
      {E::kGreV1HdrTooBig, kIp, V4(47, Gre(0x3001, 0x880b, Zeros(4)))},
      {E::kErspanHeaderTooSmall, kIp, V4(47, Gre(0x1000, 0x88be, Zeros(11)))},
      {E::kErspanUnsupportedVersion, kIp, V4(47, Gre(0x1000, 0x88be, Join({Zeros(4), erspan(0x2001), Zeros(6)})))},
      {E::kVxlanUnknownPayloadType, kIp, V4(17, Udp(1, 4789, Join({{8}, Zeros(7), Ethernet(0x9999, {})})))},
      {E::kGeneveUnknownPayloadType, kIp, V4(17, Udp(1, 6081, Join({{0, 0, 0x99, 0x99}, Zeros(4)})))},
  };
}

// A packet and all that are inside of it.
void Collect(const Packet& packet, std::set<DecodeEvent>* events) {
  events->insert(packet.events, packet.events + packet.num_events);
  if (packet.inner.bytes.empty()) return;
  Packet inner;
  DecodeInner(packet, {}, &inner);
  Collect(inner, events);
}

// Only Defrag raises these: defrag_test.cc has them.
constexpr DecodeEvent kElsewhere[] = {
    DecodeEvent::kIpv4FragPktTooLarge, DecodeEvent::kIpv4FragOverlap, DecodeEvent::kIpv4FragIgnored,
    DecodeEvent::kIpv6FragPktTooLarge, DecodeEvent::kIpv6FragOverlap, DecodeEvent::kIpv6FragIgnored};

TEST(DecodeEvents, EveryEventHasAPacketThatRaisesIt) {
  std::set<DecodeEvent> covered(std::begin(kElsewhere), std::end(kElsewhere));
  for (const EventCase& c : Cases()) {
    SCOPED_TRACE(DecodeEventName(c.event));
    Packet packet;
    Decode(c.link, c.frame, {}, &packet);
    std::set<DecodeEvent> events;
    Collect(packet, &events);
    EXPECT_TRUE(events.contains(c.event));
    covered.insert(c.event);
  }
  for (size_t i = 0; i < static_cast<size_t>(DecodeEvent::kMax); ++i) {
    EXPECT_TRUE(covered.contains(static_cast<DecodeEvent>(i))) << DecodeEventName(static_cast<DecodeEvent>(i));
  }
}

TEST(DecodeEvents, NamesAreUniqueAndRulesMayUseThem) {
  const std::vector<std::string> known = DecodeEventNames();
  EXPECT_EQ(std::set<std::string>(known.begin(), known.end()).size(), known.size());
  for (size_t i = 0; i < static_cast<size_t>(DecodeEvent::kMax); ++i) {
    EXPECT_EQ(known[i], DecodeEventName(static_cast<DecodeEvent>(i)));
  }
  EXPECT_NE(std::ranges::find(known, "udp.hlen_invalid"), known.end());  // Suricata's, never raised
}

TEST(DecodeEvents, BeyondTheLimitTheyAreCountedAsLost) {
  Bytes options;
  for (int i = 0; i < 20; ++i) options.insert(options.end(), {1, 0});  // empty padding
  const Bytes frame = Ipv6(0, Join({{6, 5, 1, 0, 1, 0, 1, 0}, options, Tcp()}));
  Packet packet;
  Decode(LinkType::kRawIp, frame, {}, &packet);
  EXPECT_EQ(packet.num_events, Packet::kMaxEvents);
  EXPECT_GT(packet.events_lost, 0);
  EXPECT_EQ(packet.l4, L4::kTcp);
}

}  // namespace
}  // namespace sluice
