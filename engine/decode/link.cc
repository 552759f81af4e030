// Link layers, and all that may lie between them and IP.
#include <algorithm>

#include "engine/decode/layers.h"

namespace sluice::layers {
namespace {

constexpr int kMaxVlans = 3;

// A tag: the type of what follows stands in its last two bytes.
void DecodeTagged(Slice bytes, size_t len, DecodeEvent unknown, const DecodeOptions& options,
                  Packet* packet) {
  if (!DecodeEtherType(Be16(&bytes[len - 2]), bytes.subspan(len), options, packet)) {
    Stop(packet, unknown);
  }
}

// IEEE 802.1Q: priority and id, type.
void DecodeVlan(Slice bytes, const DecodeOptions& options, Packet* packet) {
  static constexpr Layer kLayers[] = {Layer::kVlan, Layer::kVlanQinq, Layer::kVlanQinqinq};
  if (bytes.size() < 4) return Stop(packet, DecodeEvent::kVlanHeaderTooSmall);
  if (packet->num_vlans >= kMaxVlans) return Stop(packet, DecodeEvent::kVlanTooManyLayers);
  if (!Enter(packet, options, kLayers[packet->num_vlans])) return;
  packet->vlan[packet->num_vlans++] = Be16(&bytes[0]) & 0x0fff;
  DecodeTagged(bytes, 4, DecodeEvent::kVlanUnknownType, options, packet);
}

void DecodeVntag(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (bytes.size() < 6) return Stop(packet, DecodeEvent::kVntagHeaderTooSmall);
  if (!Enter(packet, options, Layer::kVntag)) return;
  DecodeTagged(bytes, 6, DecodeEvent::kVntagUnknownType, options, packet);
}

// IEEE 802.1BR
void DecodeEtag(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (bytes.size() < 8) return Stop(packet, DecodeEvent::kEtagHeaderTooSmall);
  if (!Enter(packet, options, Layer::kEtag)) return;
  DecodeTagged(bytes, 8, DecodeEvent::kEtagUnknownType, options, packet);
}

// IEEE 802.1ah: service tag, the customer's addresses, type.
void DecodeIeee8021ah(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (bytes.size() < 18) return Stop(packet, DecodeEvent::kIeee8021ahHeaderTooSmall);
  if (!Enter(packet, options, Layer::kIeee8021ah)) return;
  DecodeEtherType(Be16(&bytes[16]), bytes.subspan(18), options, packet);
}

// Cisco Fabric Path: a tag before the frame proper.
void DecodeDce(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (bytes.size() < 2) return Stop(packet, DecodeEvent::kDcePktTooSmall);
  DecodeEthernet(bytes.subspan(2), options, packet);
}

// What follows the bottom label has no type of its own: RFC 4928 §3 lets the first
// nibble tell, and 0 is a pseudo-wire's control word (RFC 4385).
void DecodeMplsPayload(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (bytes.size() < 4) return Stop(packet, DecodeEvent::kMplsPktTooSmall);
  switch (bytes[0] >> 4) {
    case 0: return DecodeEthernet(bytes.subspan(4), options, packet);
    case 4: return DecodeIpv4(bytes, options, packet);
    case 6: return DecodeIpv6(bytes, options, packet);
    default: return Stop(packet, DecodeEvent::kMplsUnknownPayloadType);
  }
}

// RFC 3032
void DecodeMpls(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (!Enter(packet, options, Layer::kMpls)) return;
  uint32_t entry;
  do {
    if (bytes.size() < 4) return Stop(packet, DecodeEvent::kMplsHeaderTooSmall);
    entry = Be32(&bytes[0]);
    bytes = bytes.subspan(4);
  } while (!(entry >> 8 & 1));  // bottom of stack
  const uint32_t label = entry >> 12;
  switch (label) {
    case 0: return DecodeIpv4(bytes, options, packet);
    case 1: return Stop(packet, DecodeEvent::kMplsBadLabelRouterAlert);
    case 2: return DecodeIpv6(bytes, options, packet);
    case 3: return Stop(packet, DecodeEvent::kMplsBadLabelImplicitNull);
    default:
      if (label < 16) return Stop(packet, DecodeEvent::kMplsBadLabelReserved);
      return DecodeMplsPayload(bytes, options, packet);
  }
}

// RFC 8300 §2
void DecodeNsh(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (bytes.size() < 8) return Stop(packet, DecodeEvent::kNshHeaderTooSmall);
  if (!Enter(packet, options, Layer::kNsh)) return;
  if (bytes[0] >> 6 != 0) return Report(packet, DecodeEvent::kNshUnsupportedVersion);
  const size_t len = (bytes[1] & 0x3f) * 4u;
  if (len < 8 || len >= bytes.size()) return Stop(packet, DecodeEvent::kNshBadHeaderLength);
  const uint8_t type = bytes[2] & 15, next = bytes[3];
  if (type == 0 || type == 15) return Report(packet, DecodeEvent::kNshReservedType);
  if (type > 2) return Report(packet, DecodeEvent::kNshUnsupportedType);
  if (type == 1 && len != 24) return Stop(packet, DecodeEvent::kNshBadHeaderLength);
  bytes = bytes.subspan(len);
  switch (next) {
    case 1: return DecodeIpv4(bytes, options, packet);
    case 2: return DecodeIpv6(bytes, options, packet);
    case 3: return DecodeEthernet(bytes, options, packet);
    case 5: return DecodeMpls(bytes, options, packet);
    default: return Report(packet, DecodeEvent::kNshUnknownPayload);
  }
}

// RFC 826, for IPv4 over Ethernet.
void DecodeArp(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (bytes.size() < 8) return Stop(packet, DecodeEvent::kArpPktTooSmall);
  if (!Enter(packet, options, Layer::kArp)) return;
  if (Be16(&bytes[0]) != 1) return Stop(packet, DecodeEvent::kArpUnsupportedHardware);
  if (Be16(&bytes[2]) != kEtherIpv4) return Stop(packet, DecodeEvent::kArpUnsupportedProtocol);
  if (bytes.size() < 28) return Stop(packet, DecodeEvent::kArpInvalidPkt);
  if (bytes[4] != 6) return Stop(packet, DecodeEvent::kArpInvalidHardwareSize);
  if (bytes[5] != 4) return Stop(packet, DecodeEvent::kArpInvalidProtocolSize);
  const uint16_t opcode = Be16(&bytes[6]);
  if (opcode == 0 || opcode > 4) return Stop(packet, DecodeEvent::kArpUnsupportedOpcode);
  packet->arp = bytes.first(28);
}

// Protocols of PPP that carry none of what we decode.
bool IsKnownPpp(uint16_t protocol) {
  static constexpr uint16_t kKnown[] = {
      0x0023, 0x0025, 0x0027, 0x0029, 0x002b, 0x002d, 0x0031, 0x0033, 0x0035, 0x0201, 0x0231, 0x0235, 0x0281,
      0x0283, 0x4003, 0x8021, 0x8023, 0x8025, 0x8027, 0x8029, 0x802b, 0x8031, 0x8033, 0x8035, 0x8057,
      0x8281, 0xc021, 0xc023, 0xc025, 0xc223};
  return std::ranges::find(kKnown, protocol) != std::end(kKnown);
}

// What a PPP protocol number says follows (RFC 1661 §2).
void DecodePppProtocol(uint16_t protocol, Slice bytes, const DecodeOptions& options,
                       Packet* packet) {
  switch (protocol) {
    case 0x0021:
      if (bytes.size() < 20) return Stop(packet, DecodeEvent::kPppIp4PktTooSmall);
      return DecodeIpv4(bytes, options, packet);
    case 0x0057:
      if (bytes.size() < 40) return Stop(packet, DecodeEvent::kPppIp6PktTooSmall);
      return DecodeIpv6(bytes, options, packet);
    case 0x002f:  // Van Jacobson, uncompressed
      if (bytes.size() < 20) return Stop(packet, DecodeEvent::kPppVjuPktTooSmall);
      if (bytes[0] >> 4 == 4) return DecodeIpv4(bytes, options, packet);
      return;
    default:
      if (IsKnownPpp(protocol)) return Report(packet, DecodeEvent::kPppUnsupProto);
      return Stop(packet, DecodeEvent::kPppWrongType);
  }
}

// RFC 2516 §5: the tags of a discovery packet.
void DecodePppoeDiscovery(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (!Enter(packet, options, Layer::kPppoe)) return;
  if (bytes.size() < 6) return Stop(packet, DecodeEvent::kPppoePktTooSmall);
  static constexpr uint8_t kCodes[] = {0x09, 0x07, 0x19, 0x65, 0xa7};
  if (std::ranges::find(kCodes, bytes[1]) == std::end(kCodes)) {
    return Invalid(packet, DecodeEvent::kPppoeWrongCode);
  }
  const size_t len = Be16(&bytes[4]);
  if (len > bytes.size() - 6) return Stop(packet, DecodeEvent::kPppoeMalformedTags);
  for (Slice tags = bytes.subspan(6, len); tags.size() >= 4;) {
    const size_t tag = 4u + Be16(&tags[2]);
    if (tag > tags.size()) return Stop(packet, DecodeEvent::kPppoeMalformedTags);
    tags = tags.subspan(tag);
  }
}

// RFC 2516 §4; the protocol may be compressed to one byte (RFC 1661 §6.5).
void DecodePppoeSession(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (!Enter(packet, options, Layer::kPppoe)) return;
  if (bytes.size() < 7) return Stop(packet, DecodeEvent::kPppoePktTooSmall);
  const bool compressed = bytes[6] & 1;
  if (!compressed && bytes.size() < 8) return Stop(packet, DecodeEvent::kPppoePktTooSmall);
  const uint16_t protocol = compressed ? bytes[6] : Be16(&bytes[6]);
  DecodePppProtocol(protocol, bytes.subspan(compressed ? 7 : 8), options, packet);
}

void DecodeRawIp(Slice bytes, const DecodeOptions& options, Packet* packet) {
  Mark(packet, Layer::kRaw);
  if (bytes.empty()) return Stop(packet, DecodeEvent::kIpv4PktTooSmall);
  if (bytes[0] >> 4 == 4) return DecodeIpv4(bytes, options, packet);
  if (bytes[0] >> 4 == 6) return DecodeIpv6(bytes, options, packet);
  Stop(packet, DecodeEvent::kIpRawInvalidIpVersion);
}

// Linux cooked capture: a header of `len` bytes with the type at `type_at`.
void DecodeCooked(Slice frame, size_t len, size_t type_at, DecodeEvent small,
                  const DecodeOptions& options, Packet* packet) {
  if (frame.size() < len) return Stop(packet, small);
  DecodeEtherType(Be16(&frame[type_at]), frame.subspan(len), options, packet);
}

// BSD loopback: a 4-byte address family in the byte order of the writer.
void DecodeLoopback(Slice frame, const DecodeOptions& options, Packet* packet) {
  if (frame.size() < 4) return Stop(packet, DecodeEvent::kNullPktTooSmall);
  const uint32_t family = frame[0] ? frame[0] : frame[3];
  if (family == 2) return DecodeIpv4(frame.subspan(4), options, packet);
  if (family == 10 || family == 24 || family == 28 || family == 30) {
    return DecodeIpv6(frame.subspan(4), options, packet);
  }
  Stop(packet, DecodeEvent::kNullUnsupportedType);
}

// Address, control, EtherType.
void DecodeCiscoHdlc(Slice frame, const DecodeOptions& options, Packet* packet) {
  if (frame.size() < 4) return Stop(packet, DecodeEvent::kChdlcPktTooSmall);
  DecodeEtherType(Be16(&frame[2]), frame.subspan(4), options, packet);
}

}  // namespace

bool DecodeEtherType(uint16_t type, Slice bytes, const DecodeOptions& options, Packet* packet) {
  packet->ether_type = type;
  switch (type) {
    case kEtherIpv4: DecodeIpv4(bytes, options, packet); return true;
    case kEtherIpv6: DecodeIpv6(bytes, options, packet); return true;
    case kEtherVlan:
    case 0x88a8:  // 802.1ad
    case 0x9100: DecodeVlan(bytes, options, packet); return true;
    case kEtherArp: DecodeArp(bytes, options, packet); return true;
    case kEtherBridge: DecodeEthernet(bytes, options, packet); return true;
    case kEtherPpp: DecodePpp(bytes, options, packet); return true;
    case 0x8847:
    case 0x8848: DecodeMpls(bytes, options, packet); return true;
    case 0x8863: DecodePppoeDiscovery(bytes, options, packet); return true;
    case 0x8864: DecodePppoeSession(bytes, options, packet); return true;
    case 0x88e7: DecodeIeee8021ah(bytes, options, packet); return true;
    case 0x8903: DecodeDce(bytes, options, packet); return true;
    case 0x8926: DecodeVntag(bytes, options, packet); return true;
    case 0x893f: DecodeEtag(bytes, options, packet); return true;
    case 0x894f: DecodeNsh(bytes, options, packet); return true;
    default:
      Mark(packet, Layer::kUnknownEthertype);
      if (options.report_ether_type) Report(packet, DecodeEvent::kEthernetUnknown);
      return false;
  }
}

void DecodeEthernet(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (!Enter(packet, options, Layer::kEthernet)) return;
  if (bytes.size() < 14) return Stop(packet, DecodeEvent::kEthernetPktTooSmall);
  packet->ethernet = bytes.first(14);
  DecodeEtherType(Be16(&bytes[12]), bytes.subspan(14), options, packet);
}

// RFC 1662 §3.1: address and control may be left out, the protocol be one byte.
void DecodePpp(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (!Enter(packet, options, Layer::kPpp)) return;
  if (bytes.size() >= 2 && bytes[0] == 0xff && bytes[1] == 0x03) bytes = bytes.subspan(2);
  if (bytes.empty()) return Stop(packet, DecodeEvent::kPppPktTooSmall);
  if (bytes[0] & 1) return DecodePppProtocol(bytes[0], bytes.subspan(1), options, packet);
  if (bytes.size() < 2) return Stop(packet, DecodeEvent::kPppPktTooSmall);
  DecodePppProtocol(Be16(&bytes[0]), bytes.subspan(2), options, packet);
}

void DecodeLink(LinkType link, Slice frame, const DecodeOptions& options, Packet* packet) {
  switch (link) {
    case LinkType::kEthernet: return DecodeEthernet(frame, options, packet);
    case LinkType::kRawIp: return DecodeRawIp(frame, options, packet);
    case LinkType::kLinuxCooked1:
      Mark(packet, Layer::kLinuxCooked1);
      return DecodeCooked(frame, 16, 14, DecodeEvent::kSllPktTooSmall, options, packet);
    case LinkType::kLinuxCooked2:
      Mark(packet, Layer::kLinuxCooked2);
      return DecodeCooked(frame, 20, 0, DecodeEvent::kSll2PktTooSmall, options, packet);
    case LinkType::kLoopback:
      Mark(packet, Layer::kLoopback);
      return DecodeLoopback(frame, options, packet);
    case LinkType::kPpp: return DecodePpp(frame, options, packet);
    case LinkType::kCiscoHdlc:
      Mark(packet, Layer::kCiscoHdlc);
      return DecodeCiscoHdlc(frame, options, packet);
    case LinkType::kUnknown: packet->invalid = packet->stopped = true;
  }
}

}  // namespace sluice::layers
