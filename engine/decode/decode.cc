#include "engine/decode/decode.h"

#include <algorithm>
#include <cstring>

namespace sluice {
namespace {

constexpr uint16_t kEtherIpv4 = 0x0800, kEtherIpv6 = 0x86dd, kEtherVlan = 0x8100,
                   kEtherQinq = 0x88a8, kEtherOldQinq = 0x9100;
constexpr uint8_t kProtoHopByHop = 0, kProtoIcmp = 1, kProtoTcp = 6, kProtoUdp = 17,
                  kProtoRouting = 43, kProtoFragment = 44, kProtoAh = 51, kProtoIcmp6 = 58,
                  kProtoNone = 59, kProtoDestination = 60, kProtoSctp = 132;
constexpr int kMaxVlans = 3;
constexpr int kMaxExtensionHeaders = 16;

uint16_t Be16(const uint8_t* p) { return static_cast<uint16_t>(p[0] << 8 | p[1]); }
uint32_t Be32(const uint8_t* p) { return uint32_t{Be16(p)} << 16 | Be16(p + 2); }

void Report(Packet* packet, DecodeEvent event) {
  if (packet->num_events < Packet::kMaxEvents) packet->events[packet->num_events++] = event;
}
void Refuse(Packet* packet, DecodeEvent event) {
  Report(packet, event);
  packet->invalid = true;
}

uint64_t Sum(Slice bytes, uint64_t sum) {
  size_t i = 0;
  for (; i + 1 < bytes.size(); i += 2) sum += Be16(&bytes[i]);
  if (i < bytes.size()) sum += uint64_t{bytes[i]} << 8;
  return sum;
}
uint16_t Fold(uint64_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// RFC 1071: all ones when right.  RFC 9293 §3.1, RFC 768, RFC 8200 §8.1: over the pseudo header.
bool PseudoChecksumHolds(const Packet& packet) {
  const size_t len = packet.ip_version == 4 ? 4 : 16;
  uint64_t sum = Sum(Slice(packet.source.bytes.data(), len), 0);
  sum = Sum(Slice(packet.destination.bytes.data(), len), sum);
  sum += packet.ip_protocol + packet.ip_payload.size();
  return Fold(Sum(packet.ip_payload, sum)) == 0xffff;
}

Address MakeAddress(const uint8_t* bytes, uint8_t version) {
  Address address;
  std::memcpy(address.bytes.data(), bytes, version == 4 ? 4 : 16);
  address.version = version;
  return address;
}

// RFC 9293 §3.2; a bad option ends the walk, the segment itself stands.
void DecodeTcpOptions(Slice options, Packet* packet) {
  TcpView& tcp = packet->tcp;
  for (size_t i = 0; i < options.size();) {
    const uint8_t kind = options[i];
    if (kind == 0) return;
    if (kind == 1) {
      ++i;
      continue;
    }
    if (i + 1 >= options.size() || options[i + 1] < 2 || i + options[i + 1] > options.size()) {
      return Report(packet, DecodeEvent::kTcpOptInvalidLen);
    }
    const uint8_t len = options[i + 1];
    const uint8_t* value = &options[i + 2 < options.size() ? i + 2 : i];
    if (kind == 2 && len == 4) {
      if (tcp.has_mss) Report(packet, DecodeEvent::kTcpOptDuplicate);
      tcp.has_mss = true;
      tcp.mss = Be16(value);
    } else if (kind == 3 && len == 3) {
      if (tcp.has_wscale) Report(packet, DecodeEvent::kTcpOptDuplicate);
      tcp.has_wscale = true;
      tcp.wscale = std::min<uint8_t>(*value, 14);
    } else if (kind == 4 && len == 2) {
      tcp.has_sack_permitted = true;
    } else if (kind == 8 && len == 10) {
      tcp.has_timestamp = true;
      tcp.ts_value = Be32(value);
      tcp.ts_echo = Be32(value + 4);
    } else if (kind <= 4 || kind == 8) {
      Report(packet, DecodeEvent::kTcpOptInvalidLen);
    }
    i += len;
  }
}

void DecodeTcp(const DecodeOptions& options, Packet* packet) {
  const Slice bytes = packet->ip_payload;
  if (bytes.size() < 20) return Refuse(packet, DecodeEvent::kTcpPktTooSmall);
  const uint8_t header_len = static_cast<uint8_t>((bytes[12] >> 4) * 4);
  if (header_len < 20) return Refuse(packet, DecodeEvent::kTcpHlenTooSmall);
  if (header_len > bytes.size()) return Refuse(packet, DecodeEvent::kTcpInvalidOptlen);
  packet->l4 = L4::kTcp;
  packet->source_port = Be16(&bytes[0]);
  packet->destination_port = Be16(&bytes[2]);
  TcpView& tcp = packet->tcp;
  tcp.seq = Be32(&bytes[4]);
  tcp.ack = Be32(&bytes[8]);
  tcp.flags = bytes[13];
  tcp.window = Be16(&bytes[14]);
  tcp.urgent = Be16(&bytes[18]);
  tcp.header_len = header_len;
  packet->l4_header = bytes.first(header_len);
  packet->payload = bytes.subspan(header_len);
  DecodeTcpOptions(bytes.subspan(20, header_len - 20u), packet);
  if (options.verify_checksums) packet->bad_l4_checksum = !TransportChecksumHolds(*packet);
}

void DecodeUdp(const DecodeOptions& options, Packet* packet) {
  const Slice bytes = packet->ip_payload;
  if (bytes.size() < 8) return Refuse(packet, DecodeEvent::kUdpHlenTooSmall);
  const uint16_t len = Be16(&bytes[4]);
  if (len < 8) return Refuse(packet, DecodeEvent::kUdpLenInvalid);
  if (len > bytes.size()) return Refuse(packet, DecodeEvent::kUdpPktTooSmall);
  packet->l4 = L4::kUdp;
  packet->source_port = Be16(&bytes[0]);
  packet->destination_port = Be16(&bytes[2]);
  packet->l4_header = bytes.first(8);
  packet->payload = bytes.subspan(8, len - 8u);
  if (options.verify_checksums) packet->bad_l4_checksum = !TransportChecksumHolds(*packet);
}

void DecodeIcmp(const DecodeOptions& options, Packet* packet, bool v6) {
  const Slice bytes = packet->ip_payload;
  if (bytes.size() < 8) {
    return Refuse(packet, v6 ? DecodeEvent::kIcmp6PktTooSmall : DecodeEvent::kIcmp4PktTooSmall);
  }
  packet->l4 = v6 ? L4::kIcmp6 : L4::kIcmp;
  packet->icmp_type = bytes[0];
  packet->icmp_code = bytes[1];
  packet->icmp_id = Be16(&bytes[4]);
  packet->icmp_seq = Be16(&bytes[6]);
  packet->l4_header = bytes.first(8);
  packet->payload = bytes.subspan(8);
  if (options.verify_checksums) packet->bad_l4_checksum = !TransportChecksumHolds(*packet);
}

void DecodeTransport(const DecodeOptions& options, Packet* packet) {
  if (packet->is_fragment) {
    packet->payload = packet->ip_payload;  // ports are known once it is reassembled
    return;
  }
  switch (packet->ip_protocol) {
    case kProtoTcp: return DecodeTcp(options, packet);
    case kProtoUdp: return DecodeUdp(options, packet);
    case kProtoIcmp:
      if (packet->ip_version == 4) return DecodeIcmp(options, packet, false);
      break;
    case kProtoIcmp6:
      if (packet->ip_version == 6) return DecodeIcmp(options, packet, true);
      break;
    case kProtoSctp:
      if (packet->ip_payload.size() < 12) return Refuse(packet, DecodeEvent::kSctpPktTooSmall);
      packet->l4 = L4::kSctp;
      packet->source_port = Be16(&packet->ip_payload[0]);
      packet->destination_port = Be16(&packet->ip_payload[2]);
      packet->payload = packet->ip_payload.subspan(12);
      return;
    default: break;
  }
  packet->l4 = L4::kOther;
  packet->payload = packet->ip_payload;
}

void DecodeIpv4Options(Slice options, Packet* packet) {
  for (size_t i = 0; i < options.size();) {
    if (options[i] == 0) return;
    if (options[i] == 1) {
      ++i;
      continue;
    }
    if (i + 1 >= options.size() || options[i + 1] < 2 || i + options[i + 1] > options.size()) {
      return Report(packet, DecodeEvent::kIpv4OptInvalidLen);
    }
    i += options[i + 1];
  }
}

// RFC 791 §3.1
void DecodeIpv4(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (bytes.size() < 20) return Refuse(packet, DecodeEvent::kIpv4PktTooSmall);
  if (bytes[0] >> 4 != 4) return Refuse(packet, DecodeEvent::kIpv4WrongIpVersion);
  const size_t header_len = (bytes[0] & 15) * 4u;
  if (header_len < 20) return Refuse(packet, DecodeEvent::kIpv4HlenTooSmall);
  const uint16_t total = Be16(&bytes[2]);
  if (total < header_len) return Refuse(packet, DecodeEvent::kIpv4IplenSmallerThanHlen);
  if (total > bytes.size() || header_len > bytes.size()) {
    return Refuse(packet, DecodeEvent::kIpv4TruncPkt);
  }
  packet->ip_version = 4;
  packet->tos = bytes[1];
  packet->ip_len = total;
  packet->ip_id = Be16(&bytes[4]);
  packet->fragment_id = packet->ip_id;
  const uint16_t fragment = Be16(&bytes[6]);
  packet->reserved_bit = fragment & 0x8000;
  packet->dont_fragment = fragment & 0x4000;
  packet->more_fragments = fragment & 0x2000;
  packet->fragment_offset = static_cast<uint16_t>((fragment & 0x1fff) * 8);
  packet->is_fragment = packet->more_fragments || packet->fragment_offset != 0;
  packet->ttl = bytes[8];
  packet->ip_protocol = bytes[9];
  packet->source = MakeAddress(&bytes[12], 4);
  packet->destination = MakeAddress(&bytes[16], 4);
  packet->ip_header = bytes.first(header_len);
  packet->ip_options = bytes.subspan(20, header_len - 20);
  packet->ip_payload = bytes.subspan(header_len, total - header_len);
  if (!packet->ip_options.empty()) DecodeIpv4Options(packet->ip_options, packet);
  if (options.verify_checksums) packet->bad_ip_checksum = !IpChecksumHolds(*packet);
  DecodeTransport(options, packet);
}

// Walks RFC 8200 §4 extension headers; false if the packet ends within them.
bool WalkExtensions(Slice payload, uint8_t next, Packet* packet) {
  for (int i = 0; i <= kMaxExtensionHeaders; ++i) {
    size_t len;
    switch (next) {
      case kProtoHopByHop:
      case kProtoRouting:
      case kProtoDestination:
        if (payload.size() < 8) return false;
        len = (payload[1] + 1u) * 8;
        break;
      case kProtoAh:
        if (payload.size() < 8) return false;
        len = (payload[1] + 2u) * 4;
        break;
      case kProtoFragment: {
        if (payload.size() < 8) return false;
        len = 8;
        if (packet->is_fragment) break;  // the outer header decides, as in the host
        const uint16_t field = Be16(&payload[2]);
        packet->fragment_offset = static_cast<uint16_t>(field & 0xfff8);
        packet->more_fragments = field & 1;
        packet->fragment_id = Be32(&payload[4]);
        // An atomic fragment (RFC 6946) is a whole packet.
        packet->is_fragment = packet->more_fragments || packet->fragment_offset != 0;
        break;
      }
      default:
        packet->ip_protocol = next;
        packet->ip_payload = payload;
        return true;
    }
    if (i == kMaxExtensionHeaders) break;
    if (len > payload.size()) return false;
    const uint8_t here = next;
    next = payload[0];
    payload = payload.subspan(len);
    if (here == kProtoFragment && packet->fragment_offset != 0) {
      packet->ip_protocol = next;  // the rest is data of a fragment, not headers
      packet->ip_payload = payload;
      return true;
    }
    if (next == kProtoNone) {
      packet->ip_protocol = next;
      packet->ip_payload = payload;
      return true;
    }
  }
  Report(packet, DecodeEvent::kIpv6TooManyExthdrs);
  return false;
}

// RFC 8200 §3
void DecodeIpv6(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (bytes.size() < 40) return Refuse(packet, DecodeEvent::kIpv6PktTooSmall);
  if (bytes[0] >> 4 != 6) return Refuse(packet, DecodeEvent::kIpv6WrongIpVersion);
  const uint16_t payload_len = Be16(&bytes[4]);
  if (payload_len > bytes.size() - 40) return Refuse(packet, DecodeEvent::kIpv6TruncPkt);
  packet->ip_version = 6;
  packet->tos = static_cast<uint8_t>(Be16(&bytes[0]) >> 4);
  packet->ip_len = payload_len;
  packet->ttl = bytes[7];
  packet->source = MakeAddress(&bytes[8], 6);
  packet->destination = MakeAddress(&bytes[24], 6);
  packet->ip_header = bytes.first(40);
  packet->ip_protocol = bytes[6];
  if (!WalkExtensions(bytes.subspan(40, payload_len), bytes[6], packet)) {
    return Refuse(packet, DecodeEvent::kIpv6TruncExthdr);
  }
  DecodeTransport(options, packet);
}

void DecodeEtherType(uint16_t type, Slice bytes, const DecodeOptions& options, Packet* packet) {
  while (type == kEtherVlan || type == kEtherQinq || type == kEtherOldQinq) {
    if (bytes.size() < 4) return Refuse(packet, DecodeEvent::kVlanHeaderTooSmall);
    if (packet->num_vlans >= kMaxVlans) return Refuse(packet, DecodeEvent::kVlanTooManyLayers);
    packet->vlan[packet->num_vlans++] = Be16(&bytes[0]) & 0x0fff;
    type = Be16(&bytes[2]);
    bytes = bytes.subspan(4);
  }
  packet->ether_type = type;
  if (type == kEtherIpv4) return DecodeIpv4(bytes, options, packet);
  if (type == kEtherIpv6) return DecodeIpv6(bytes, options, packet);
}

void DecodeEthernet(Slice frame, const DecodeOptions& options, Packet* packet) {
  if (frame.size() < 14) return Refuse(packet, DecodeEvent::kEthernetPktTooSmall);
  packet->ethernet = frame.first(14);
  DecodeEtherType(Be16(&frame[12]), frame.subspan(14), options, packet);
}

// Linux cooked capture v1: 16 bytes, protocol in the last two.
void DecodeCooked(Slice frame, size_t header, size_t protocol, const DecodeOptions& options,
                  Packet* packet) {
  if (frame.size() < header) return Refuse(packet, DecodeEvent::kSllPktTooSmall);
  DecodeEtherType(Be16(&frame[protocol]), frame.subspan(header), options, packet);
}

// BSD loopback: a 4-byte address family in the byte order of the writer.
void DecodeLoopback(Slice frame, const DecodeOptions& options, Packet* packet) {
  if (frame.size() < 4) return Refuse(packet, DecodeEvent::kNullPktTooSmall);
  const uint32_t family = frame[0] ? frame[0] : frame[3];
  if (family == 2) return DecodeIpv4(frame.subspan(4), options, packet);
  if (family == 10 || family == 24 || family == 28 || family == 30) {
    return DecodeIpv6(frame.subspan(4), options, packet);
  }
  Refuse(packet, DecodeEvent::kNullUnsupportedType);
}

}  // namespace

LinkType LinkTypeFromDlt(int dlt) noexcept {
  switch (dlt) {
    case 0:  // DLT_NULL
    case 108: return LinkType::kLoopback;
    case 1: return LinkType::kEthernet;
    case 12: case 14: case 101: case 228: case 229: return LinkType::kRawIp;
    case 113: return LinkType::kLinuxCooked1;
    case 276: return LinkType::kLinuxCooked2;
    default: return LinkType::kUnknown;
  }
}

void DecodeIp(Slice bytes, const DecodeOptions& options, Packet* packet) noexcept {
  if (bytes.empty()) return Refuse(packet, DecodeEvent::kIpv4PktTooSmall);
  if (bytes[0] >> 4 == 4) return DecodeIpv4(bytes, options, packet);
  if (bytes[0] >> 4 == 6) return DecodeIpv6(bytes, options, packet);
  Refuse(packet, DecodeEvent::kIpRawInvalidIpVersion);
}

void Decode(LinkType link, Slice frame, const DecodeOptions& options, Packet* packet) noexcept {
  const Nanos time = packet->time;
  const uint64_t number = packet->number;
  const uint32_t wire_len = packet->wire_len;
  *packet = Packet{};
  packet->time = time;
  packet->number = number;
  packet->wire_len = wire_len;
  packet->frame = frame;
  switch (link) {
    case LinkType::kEthernet: return DecodeEthernet(frame, options, packet);
    case LinkType::kRawIp: return DecodeIp(frame, options, packet);
    case LinkType::kLinuxCooked1: return DecodeCooked(frame, 16, 14, options, packet);
    case LinkType::kLinuxCooked2: return DecodeCooked(frame, 20, 0, options, packet);
    case LinkType::kLoopback: return DecodeLoopback(frame, options, packet);
    case LinkType::kUnknown: packet->invalid = true;
  }
}

bool IpChecksumHolds(const Packet& packet) noexcept {
  return packet.ip_version != 4 || Fold(Sum(packet.ip_header, 0)) == 0xffff;
}

bool TransportChecksumHolds(const Packet& packet) noexcept {
  switch (packet.l4) {
    case L4::kUdp:
      return Be16(&packet.ip_payload[6]) == 0 || PseudoChecksumHolds(packet);
    case L4::kTcp:
    case L4::kIcmp6:
      return PseudoChecksumHolds(packet);
    case L4::kIcmp:
      return Fold(Sum(packet.ip_payload, 0)) == 0xffff;
    default:
      return true;
  }
}

const char* DecodeEventName(DecodeEvent event) noexcept {
  static constexpr const char* kNames[] = {
      "ethernet.pkt_too_small", "ethernet.unknown_ethertype", "vlan.header_too_small",
      "vlan.too_many_layers", "sll.pkt_too_small", "ltnull.pkt_too_small",
      "ltnull.unsupported_type", "ipv4.pkt_too_small", "ipv4.hlen_too_small",
      "ipv4.iplen_smaller_than_hlen", "ipv4.trunc_pkt", "ipv4.wrong_ip_version",
      "ipv4.opt_invalid", "ipv4.opt_invalid_len", "ipv6.pkt_too_small", "ipv6.trunc_pkt",
      "ipv6.trunc_exthdr", "ipv6.wrong_ip_version", "ipv6.too_many_exthdrs",
      "ipraw.invalid_ip_version", "tcp.pkt_too_small", "tcp.hlen_too_small", "tcp.invalid_optlen",
      "tcp.opt_invalid_len", "tcp.opt_duplicate", "udp.pkt_too_small", "udp.hlen_too_small",
      "udp.len_invalid", "icmpv4.pkt_too_small", "icmpv6.pkt_too_small", "sctp.pkt_too_small"};
  static_assert(std::size(kNames) == static_cast<size_t>(DecodeEvent::kMax));
  return kNames[static_cast<size_t>(event)];
}

}  // namespace sluice
