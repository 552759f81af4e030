// IPv4 and IPv6, their options and extension headers.
#include <cstring>
#include <utility>

#include "engine/decode/ip_protocol.h"
#include "engine/decode/layers.h"

namespace sluice::layers {
namespace {

// Extension headers of IPv6.
constexpr uint8_t kHopByHop = 0, kRouting = 43, kFragment = 44, kNone = 59, kDestination = 60,
                  kMobility = 135, kHip = 139, kShim6 = 140;
constexpr int kMaxExtensionHeaders = 16;

// Into a zeroed one, in place: a copy would stall on the narrow store before it.
template <uint8_t version>
void SetAddress(const uint8_t* bytes, Address* address) {
  std::memcpy(address->bytes.data(), bytes, version == 4 ? 4 : 16);
  address->version = version;
}

// ------------------------------------------------------------------- IPv4

// RFC 791 §3.1, record route and its kin: pointer, then addresses.
bool RouteHolds(Slice option) {
  const uint8_t at = option[2];
  return at >= 4 && at % 4 == 0 && at <= option.size() + 1;
}
// RFC 791 §3.1, internet timestamp: records of 4 bytes, or 8 with the address.
bool TimestampHolds(Slice option) {
  const uint8_t at = option[2], flag = option[3] & 15;
  const int record = flag == 1 || flag == 3 ? 8 : 4;
  return at >= 5 && (at - 5) % record == 0 && at <= option.size() + 1;
}
// FIPS 188: tags of type, length, an alignment octet (not in type 7) and bits.
bool CipsoHolds(Slice option) {
  for (Slice tags = option.subspan(6); !tags.empty();) {
    if (tags.size() < 4 || tags[1] < 4 || tags[1] > tags.size()) return false;
    const uint8_t type = tags[0];
    if (type != 1 && type != 2 && (type < 5 || type > 7)) return false;
    if (type != 7 && tags[2] != 0) return false;
    tags = tags.subspan(tags[1]);
  }
  return true;
}

struct Ipv4Option {
  uint8_t type;
  uint8_t least, most;  // bytes, type and length included
  bool (*holds)(Slice) = nullptr;
};
constexpr Ipv4Option kIpv4Options[] = {
    {7, 3, 255, RouteHolds},       // record route
    {25, 8, 255},                  // quick start, RFC 4782
    {68, 5, 255, TimestampHolds},
    {130, 11, 11},                 // security, RFC 1108
    {131, 3, 255, RouteHolds},     // loose source route
    {133, 5, 255},                 // extended security, RFC 1108
    {134, 10, 255, CipsoHolds},
    {136, 4, 4},                   // stream id
    {137, 3, 255, RouteHolds},     // strict source route
    {148, 4, 4},                   // router alert, RFC 2113
};

// One option, whose length is inside the header: what is wrong in it does not hide
// those behind it.
void CheckIpv4Option(Slice option, uint32_t* seen, Packet* packet) {
  for (size_t i = 0; i < std::size(kIpv4Options); ++i) {
    const Ipv4Option& known = kIpv4Options[i];
    if (known.type != option[0]) continue;
    if (*seen >> i & 1) return Report(packet, DecodeEvent::kIpv4OptDuplicate);
    if (option.size() < known.least || option.size() > known.most) {
      return Invalid(packet, DecodeEvent::kIpv4OptInvalidLen);
    }
    if (known.holds != nullptr && !known.holds(option)) {
      return Invalid(packet, DecodeEvent::kIpv4OptMalformed);
    }
    *seen |= 1u << i;
    return;
  }
  Report(packet, DecodeEvent::kIpv4OptInvalid);
}

void DecodeIpv4Options(Slice options, Packet* packet) {
  if (options.size() % 8 != 0) Report(packet, DecodeEvent::kIpv4OptPadRequired);
  uint32_t seen = 0;
  while (!options.empty() && options[0] != 0) {
    if (options[0] == 1) {
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2) return Report(packet, DecodeEvent::kIpv4OptEolRequired);
    const uint8_t len = options[1];
    if (len < 2 || len > options.size()) return Invalid(packet, DecodeEvent::kIpv4OptInvalidLen);
    CheckIpv4Option(options.first(len), &seen, packet);
    options = options.subspan(len);
  }
}

void DecodeIpv4Payload(const DecodeOptions& options, Packet* packet) {
  switch (packet->ip_protocol) {
    case kIpInIp:
    case kIpv6InIp: return DecodeIpInIp(packet->ip_payload, packet);
    case kGre: return DecodeGre(packet->ip_payload, options, packet);
    case kIcmp6: return Report(packet, DecodeEvent::kIpv4Icmp6);
    default: DecodeTransport(options, packet);
  }
}

// ------------------------------------------------------------------- IPv6

// The extension headers of one packet, as the walk meets them.
struct Walk {
  Slice rest;
  uint8_t next;
  uint8_t num_hop_by_hop = 0, num_routing = 0, num_destination = 0, num_ah = 0;
  bool fragment = false;
};

bool IsExtension(uint8_t protocol) {
  switch (protocol) {
    case kHopByHop: case kRouting: case kFragment: case kAh: case kDestination:
    case kMobility: case kHip: case kShim6: return true;
    default: return false;
  }
}

// RFC 8200 §4.2: options of type, length, value; their lengths when known.
void CheckIpv6Options(Slice options, bool hop_by_hop, Packet* packet) {
  bool padding = false, other = false;
  while (!options.empty()) {
    const uint8_t type = options[0];
    if (type == 0) {
      padding = true;
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2 || options[1] + 2u > options.size()) {
      Invalid(packet, DecodeEvent::kIpv6ExthdrInvalidOptlen);
      break;
    }
    const uint8_t len = options[1];
    // Router alert RFC 2711, jumbogram RFC 2675, home address RFC 6275.
    const uint8_t least = type == 5 ? 2 : type == 0xc2 ? 4 : type == 0xc9 ? 16 : 0;
    if (len < least) {
      Invalid(packet, DecodeEvent::kIpv6ExthdrInvalidOptlen);
      break;
    }
    if (type == 1) {
      padding = true;
      if (len == 0) Report(packet, DecodeEvent::kIpv6ZeroLenPadn);
    } else {
      other |= type != 0xc2;
      if (least == 0) {
        Report(packet, hop_by_hop ? DecodeEvent::kIpv6HopoptsUnknownOpt
                                  : DecodeEvent::kIpv6DstoptsUnknownOpt);
      }
    }
    options = options.subspan(2u + len);
  }
  if (padding && !other) {
    Report(packet, hop_by_hop ? DecodeEvent::kIpv6HopoptsOnlyPadding
                              : DecodeEvent::kIpv6DstoptsOnlyPadding);
  }
}

void CheckExtension(Slice header, Walk* walk, Packet* packet) {
  switch (walk->next) {
    case kHopByHop:
      if (walk->num_hop_by_hop++ > 0) return Report(packet, DecodeEvent::kIpv6ExthdrDuplHh);
      return CheckIpv6Options(header.subspan(2), true, packet);
    case kDestination:  // may stand before and behind a routing header
      if (walk->num_destination++ > 1) return Report(packet, DecodeEvent::kIpv6ExthdrDuplDh);
      return CheckIpv6Options(header.subspan(2), false, packet);
    case kRouting:
      if (walk->num_routing++ > 0) return Report(packet, DecodeEvent::kIpv6ExthdrDuplRh);
      if (header[2] == 0) Report(packet, DecodeEvent::kIpv6RhType0);  // RFC 5095
      return;
    case kAh:
      if (Be16(&header[2]) != 0) Report(packet, DecodeEvent::kIpv6ExthdrAhResNotNull);
      if (walk->num_ah++ > 0) Report(packet, DecodeEvent::kIpv6ExthdrDuplAh);
      return;
    default: return;
  }
}

// RFC 8200 §4.5.  Of several the first that is not atomic decides, as in a host.
void DecodeFragmentHeader(Walk* walk, Packet* packet) {
  const Slice header = walk->rest.first(8);
  if (header[1] != 0) Report(packet, DecodeEvent::kIpv6FhNonZeroReserved);
  if (std::exchange(walk->fragment, true)) Report(packet, DecodeEvent::kIpv6ExthdrDuplFh);
  const uint16_t field = Be16(&header[2]);
  packet->fragment_offset = static_cast<uint16_t>(field & 0xfff8);
  packet->more_fragments = field & 1;
  packet->fragment_id = Be32(&header[4]);
  packet->is_fragment = packet->more_fragments || packet->fragment_offset != 0;
  // An atomic fragment (RFC 6946) is a whole packet.
  if (!packet->is_fragment) return Report(packet, DecodeEvent::kIpv6ExthdrUselessFh);
  if (packet->more_fragments && (walk->rest.size() - 8) % 8 != 0) {
    Report(packet, DecodeEvent::kIpv6FragInvalidLength);
  }
}

size_t ExtensionLength(uint8_t type, Slice header) {
  if (type == kFragment) return 8;
  return type == kAh ? (header[1] + 2u) * 4 : (header[1] + 1u) * 8;
}

// Walks RFC 8200 §4 extension headers up to what they carry, or to the data of a
// fragment: its headers are looked at when it is whole.
void WalkExtensions(Walk* walk, Packet* packet) {
  for (int i = 0; IsExtension(walk->next); ++i) {
    if (i == kMaxExtensionHeaders) return Stop(packet, DecodeEvent::kIpv6TooManyExthdrs);
    if (walk->rest.size() < 8) return Stop(packet, DecodeEvent::kIpv6TruncExthdr);
    const size_t len = ExtensionLength(walk->next, walk->rest);
    if (len > walk->rest.size()) return Stop(packet, DecodeEvent::kIpv6TruncExthdr);
    const auto at = static_cast<uint16_t>(walk->rest.data() - packet->ip_header.data());
    if (walk->next == kFragment) {
      DecodeFragmentHeader(walk, packet);
    } else {
      CheckExtension(walk->rest.first(len), walk, packet);
    }
    walk->next = walk->rest[0];
    walk->rest = walk->rest.subspan(len);
    if (packet->is_fragment) return;
    packet->next_header_at = at;
  }
  if (walk->rest.size() < 2 && walk->next != kNone && walk->rest.data() != &packet->ip_header[39] + 1) {
    Invalid(packet, DecodeEvent::kIpv6TruncExthdr);
  }
}

void DecodeIpv6Payload(const DecodeOptions& options, Packet* packet) {
  switch (packet->ip_protocol) {
    case kIpInIp:
    case kIpv6InIp: return DecodeIpInIp(packet->ip_payload, packet);
    case kGre: return DecodeGre(packet->ip_payload, options, packet);
    case kIcmp: return Report(packet, DecodeEvent::kIpv6Icmp4);
    case kNone:
      if (!packet->ip_payload.empty()) Report(packet, DecodeEvent::kIpv6DataAfterNone);
      return;
    default:
      if (!DecodeTransport(options, packet)) Report(packet, DecodeEvent::kIpv6UnknownNextHeader);
  }
}

}  // namespace

// RFC 791 §3.1
void DecodeIpv4(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (!Enter(packet, options, Layer::kIpv4)) return;
  if (bytes.size() < 20) return Stop(packet, DecodeEvent::kIpv4PktTooSmall);
  if (bytes[0] >> 4 != 4) return Stop(packet, DecodeEvent::kIpv4WrongIpVersion);
  const size_t header_len = (bytes[0] & 15) * 4u;
  if (header_len < 20) return Stop(packet, DecodeEvent::kIpv4HlenTooSmall);
  const uint16_t total = Be16(&bytes[2]);
  if (total < header_len) return Stop(packet, DecodeEvent::kIpv4IplenSmallerThanHlen);
  if (total > bytes.size()) return Stop(packet, DecodeEvent::kIpv4TruncPkt);
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
  SetAddress<4>(&bytes[12], &packet->source);
  SetAddress<4>(&bytes[16], &packet->destination);
  packet->ip_header = bytes.first(header_len);
  packet->ip_options = bytes.subspan(20, header_len - 20);
  const Slice payload(bytes.data() + header_len, total - header_len);
  packet->ip_payload = payload;
  packet->payload = payload;
  if (!packet->ip_options.empty()) DecodeIpv4Options(packet->ip_options, packet);
  if (options.verify_checksums) packet->bad_ip_checksum = !IpChecksumHolds(*packet);
  if (packet->is_fragment) return;  // ports are known once it is put together
  packet->l4 = L4::kOther;
  DecodeIpv4Payload(options, packet);
}

// RFC 8200 §3
void DecodeIpv6(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (!Enter(packet, options, Layer::kIpv6)) return;
  if (bytes.size() < 40) return Stop(packet, DecodeEvent::kIpv6PktTooSmall);
  if (bytes[0] >> 4 != 6) return Stop(packet, DecodeEvent::kIpv6WrongIpVersion);
  const uint16_t payload_len = Be16(&bytes[4]);
  if (payload_len > bytes.size() - 40) return Stop(packet, DecodeEvent::kIpv6TruncPkt);
  packet->ip_version = 6;
  packet->tos = static_cast<uint8_t>(Be16(&bytes[0]) >> 4);
  packet->ip_len = payload_len;
  packet->ttl = bytes[7];
  SetAddress<6>(&bytes[8], &packet->source);
  SetAddress<6>(&bytes[24], &packet->destination);
  packet->ip_header = bytes.first(40);
  packet->next_header_at = 6;
  Walk walk{.rest = bytes.subspan(40, payload_len), .next = bytes[6]};
  if (IsExtension(walk.next)) WalkExtensions(&walk, packet);
  packet->ip_protocol = packet->is_fragment ? kFragment : walk.next;
  packet->ip_payload = walk.rest;
  packet->payload = walk.rest;
  if (packet->is_fragment || packet->stopped) return;
  packet->l4 = L4::kOther;
  DecodeIpv6Payload(options, packet);
}

}  // namespace sluice::layers
