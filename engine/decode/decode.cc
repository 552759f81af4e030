#include "engine/decode/decode.h"

#include <cstring>

#include "engine/decode/layers.h"

namespace sluice {
namespace {

struct LinkInfo {
  int dlt;
  const char* name;
};
// By LinkType.
constexpr LinkInfo kLinks[] = {{1, "EN10MB"}, {12, "RAW"},   {113, "LINUX_SLL"}, {276, "LINUX_SLL2"},
                               {0, "NULL"},   {9, "PPP"}, {104, "C_HDLC"},    {-1, "unknown"}};
static_assert(std::size(kLinks) == static_cast<size_t>(LinkType::kUnknown) + 1);

// Makes `packet` a fresh one that keeps what the tap knows.
void Reset(Packet* packet, LinkType link, Slice frame) {
  const Nanos time = packet->time;
  const uint64_t number = packet->number;
  const uint32_t wire_len = packet->wire_len;
  // A fresh Packet is all zero bytes (a test sees to it).  With the size hidden the
  // library's memset is called: g++ inlines a known one as rep stos, 10 ns dearer.
  size_t size = sizeof(*packet);
  asm("" : "+r"(size));
  std::memset(static_cast<void*>(packet), 0, size);
  packet->time = time;
  packet->number = number;
  packet->wire_len = wire_len;
  packet->link = link;
  packet->frame = frame;
}

}  // namespace

LinkType LinkTypeFromDlt(int dlt) noexcept {
  switch (dlt) {
    case 0:  // DLT_NULL
    case 108: return LinkType::kLoopback;
    case 1: return LinkType::kEthernet;
    case 9:
    case 50:  // PPP_SERIAL
    case 166: return LinkType::kPpp;  // PPP_PPPD; a direction byte is no protocol: wrong_type
    case 12: case 14: case 101: case 228: case 229: return LinkType::kRawIp;
    case 104: return LinkType::kCiscoHdlc;
    case 113: return LinkType::kLinuxCooked1;
    case 276: return LinkType::kLinuxCooked2;
    default: return LinkType::kUnknown;
  }
}

int DltOfLinkType(LinkType link) noexcept { return kLinks[static_cast<size_t>(link)].dlt; }
const char* LinkTypeName(LinkType link) noexcept { return kLinks[static_cast<size_t>(link)].name; }

void Decode(LinkType link, Slice frame, const DecodeOptions& options, Packet* packet) noexcept {
  Reset(packet, link, frame);
  layers::DecodeLink(link, frame, options, packet);
}

void DecodeInner(const Packet& outer, const DecodeOptions& options, Packet* packet) noexcept {
  packet->time = outer.time;
  packet->number = 0;
  packet->wire_len = static_cast<uint32_t>(outer.inner.bytes.size());
  Reset(packet, LinkType::kRawIp, outer.inner.bytes);
  packet->origin = outer.inner.origin;
  packet->recursion = static_cast<uint8_t>(outer.recursion + 1);
  packet->num_layers = outer.num_layers;
  packet->num_defrags = outer.num_defrags;
  packet->outer = &outer;
  if (outer.inner.ether_type == layers::kEtherErspan) {
    layers::DecodeErspan(outer.inner.bytes, options, packet);
  } else {
    layers::DecodeEtherType(outer.inner.ether_type, outer.inner.bytes, options, packet);
  }
}

void DecodeWhole(const Packet& fragment, Slice frame, const DecodeOptions& options,
                 Packet* packet) noexcept {
  const auto link_len = static_cast<size_t>(fragment.ip_header.data() - fragment.frame.data());
  packet->time = fragment.time;
  packet->number = fragment.number;
  packet->wire_len = static_cast<uint32_t>(frame.size());
  Reset(packet, fragment.link, frame);
  packet->origin = PacketOrigin::kDefrag;
  packet->recursion = fragment.recursion;
  packet->num_layers = fragment.num_layers;
  packet->num_defrags = static_cast<uint8_t>(fragment.num_defrags + 1);
  packet->outer = fragment.outer;
  packet->num_vlans = fragment.num_vlans;
  std::memcpy(packet->vlan, fragment.vlan, sizeof(packet->vlan));
  packet->ether_type = fragment.ether_type;
  if (!fragment.ethernet.empty()) packet->ethernet = frame.first(14);
  const Slice bytes = frame.subspan(link_len);
  fragment.ip_version == 4 ? layers::DecodeIpv4(bytes, options, packet)
                           : layers::DecodeIpv6(bytes, options, packet);
}

const char* LayerName(Layer layer) noexcept {
  static constexpr const char* kNames[] = {
      "ethernet", "raw", "null", "sll", "sll2", "ppp", "chdlc", "pppoe",
      "vlan", "vlan_qinq", "vlan_qinqinq", "vntag", "etag", "ieee8021ah", "mpls", "nsh", "arp",
      "unknown_ethertype", "ipv4", "ipv6", "tcp", "udp", "icmpv4", "icmpv6", "sctp", "esp", "igmp",
      "gre", "erspan", "teredo", "vxlan", "geneve",
      "ipv4_in_ipv4", "ipv6_in_ipv4", "ipv4_in_ipv6", "ipv6_in_ipv6"};
  static_assert(std::size(kNames) == static_cast<size_t>(Layer::kMax));
  return kNames[static_cast<size_t>(layer)];
}

const char* PacketOriginName(PacketOrigin origin) noexcept {
  static constexpr const char* kNames[] = {
      "wire/pcap",   "defrag",     "stream (flow timeout)",
      "ipv4 tunnel", "ipv6 tunnel", "gre tunnel", "teredo tunnel",
      "vxlan encapsulation", "geneve encapsulation"};
  return kNames[static_cast<size_t>(origin)];
}

}  // namespace sluice
