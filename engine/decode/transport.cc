// TCP, UDP, ICMP, SCTP, ESP, IGMP; checksums.
#include <algorithm>
#include <cstring>

#include "engine/decode/ip_protocol.h"
#include "engine/decode/layers.h"

namespace sluice {
namespace layers {
namespace {

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

void SetPorts(Slice bytes, Packet* packet) {
  packet->source_port = Be16(&bytes[0]);
  packet->destination_port = Be16(&bytes[2]);
}

void Split(size_t header_len, Packet* packet) {
  packet->l4_header = packet->ip_payload.first(header_len);
  packet->payload = packet->ip_payload.subspan(header_len);
}

// -------------------------------------------------------------------- TCP

struct TcpOption {
  uint8_t kind;
  uint8_t least, most, step;  // bytes, kind and length included
};
constexpr TcpOption kTcpOptions[] = {
    {2, 4, 4, 1},    // maximum segment size
    {3, 3, 3, 1},    // window scale
    {4, 2, 2, 1},    // SACK permitted
    {5, 10, 34, 8},  // SACK, RFC 2018
    {8, 10, 10, 1},  // timestamps
    {19, 18, 18, 1}, // MD5, RFC 2385
    {29, 4, 255, 1}, // AO, RFC 5925
    {34, 6, 18, 2},  // fast open, RFC 7413; its request is 2 bytes
};

bool LengthHolds(const TcpOption& known, uint8_t len) {
  if (len == 2 && (known.kind == 5 || known.kind == 34)) return true;  // empty, and common
  return len >= known.least && len <= known.most && (len - known.least) % known.step == 0;
}

void TakeTcpOption(Slice option, TcpView* tcp) {
  switch (option[0]) {
    case 2:
      tcp->has_mss = true;
      tcp->mss = Be16(&option[2]);
      return;
    case 3:
      tcp->has_wscale = true;
      tcp->wscale = std::min<uint8_t>(option[2], 14);  // RFC 7323 §2.3
      return;
    case 4: tcp->has_sack_permitted = true; return;
    case 34: tcp->has_fast_open = true; return;
    case 8:
      tcp->has_timestamp = true;
      tcp->ts_value = Be32(&option[2]);
      tcp->ts_echo = Be32(&option[6]);
      return;
    default: return;
  }
}

// Before it had a number of its own, fast open went by one for experiments (RFC 6994, RFC 7413 §4.1.1).
bool IsExperimentalFastOpen(Slice option) {
  return (option[0] == 253 || option[0] == 254) && option.size() >= 4 && Be16(&option[2]) == 0xf989;
}

// The first of a kind counts; kinds nobody knows are skipped.
void CheckTcpOption(Slice option, uint32_t* seen, Packet* packet) {
  for (size_t i = 0; i < std::size(kTcpOptions); ++i) {
    const TcpOption& known = kTcpOptions[i];
    if (known.kind != option[0]) continue;
    if (!LengthHolds(known, static_cast<uint8_t>(option.size()))) {
      return Report(packet, DecodeEvent::kTcpOptInvalidLen);
    }
    if (*seen >> i & 1) return Report(packet, DecodeEvent::kTcpOptDuplicate);
    *seen |= 1u << i;
    return TakeTcpOption(option, &packet->tcp);
  }
  packet->tcp.has_fast_open |= IsExperimentalFastOpen(option);
}

// RFC 9293 §3.2; a bad option ends the walk, the segment itself stands.
void DecodeTcpOptions(Slice options, Packet* packet) {
  uint32_t seen = 0;
  while (!options.empty() && options[0] != 0) {
    if (options[0] == 1) {
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2) return;
    const uint8_t len = options[1];
    if (len < 2 || len > options.size()) return Invalid(packet, DecodeEvent::kTcpOptInvalidLen);
    CheckTcpOption(options.first(len), &seen, packet);
    options = options.subspan(len);
  }
}

void DecodeTcp(const DecodeOptions& options, Packet* packet) {
  Mark(packet, Layer::kTcp);
  const Slice bytes = packet->ip_payload;
  if (bytes.size() < 20) return Stop(packet, DecodeEvent::kTcpPktTooSmall);
  const uint8_t header_len = static_cast<uint8_t>((bytes[12] >> 4) * 4);
  if (header_len < 20) return Stop(packet, DecodeEvent::kTcpHlenTooSmall);
  if (header_len > bytes.size()) return Stop(packet, DecodeEvent::kTcpInvalidOptlen);
  packet->l4 = L4::kTcp;
  SetPorts(bytes, packet);
  TcpView& tcp = packet->tcp;
  tcp.seq = Be32(&bytes[4]);
  tcp.ack = Be32(&bytes[8]);
  tcp.flags = bytes[13];
  tcp.window = Be16(&bytes[14]);
  tcp.urgent = Be16(&bytes[18]);
  tcp.header_len = header_len;
  Split(header_len, packet);
  if (header_len > 20) DecodeTcpOptions(bytes.subspan(20, header_len - 20u), packet);
  if (options.verify_checksums) packet->bad_l4_checksum = !TransportChecksumHolds(*packet);
}

void DecodeUdp(const DecodeOptions& options, Packet* packet) {
  Mark(packet, Layer::kUdp);
  const Slice bytes = packet->ip_payload;
  if (bytes.size() < 8) return Stop(packet, DecodeEvent::kUdpHlenTooSmall);
  const uint16_t len = Be16(&bytes[4]);
  if (len > bytes.size()) return Stop(packet, DecodeEvent::kUdpPktTooSmall);
  if (len < 8) return Stop(packet, DecodeEvent::kUdpLenInvalid);
  packet->l4 = L4::kUdp;
  SetPorts(bytes, packet);
  Split(8, packet);
  packet->payload = packet->payload.first(len - 8u);
  if (options.verify_checksums) packet->bad_l4_checksum = !TransportChecksumHolds(*packet);
  DecodeUdpTunnel(options, packet);
}

void DecodeSctp(Packet* packet) {
  Mark(packet, Layer::kSctp);
  if (packet->ip_payload.size() < 12) return Stop(packet, DecodeEvent::kSctpPktTooSmall);
  packet->l4 = L4::kSctp;
  SetPorts(packet->ip_payload, packet);
  Split(12, packet);
}

void DecodeEsp(Packet* packet) {
  Mark(packet, Layer::kEsp);
  if (packet->ip_payload.size() < 8) return Invalid(packet, DecodeEvent::kEspPktTooSmall);
  packet->l4 = L4::kEsp;
  Split(8, packet);
}

// ------------------------------------------------------------------- IGMP

// RFC 3376 §4.1: header bytes of a version 3 query, 0 if it does not hold.
size_t IgmpQueryLength(Slice bytes, Packet* packet) {
  const size_t len = 12 + Be16(&bytes[10]) * size_t{4};
  if (len <= bytes.size()) return len;
  Invalid(packet, DecodeEvent::kIgmpV3PktTooSmall);
  return 0;
}

// RFC 3376 §4.2: of a version 3 report with its group records.
size_t IgmpReportLength(Slice bytes, Packet* packet) {
  size_t len = 8;
  for (uint16_t records = Be16(&bytes[6]); records > 0; --records) {
    if (bytes.size() - len < 8) {
      Invalid(packet, DecodeEvent::kIgmpV3PktTooSmall);
      return 0;
    }
    const size_t record = 8 + bytes[len + 1] * size_t{4} + Be16(&bytes[len + 2]) * size_t{4};
    if (bytes.size() - len < record) {
      Invalid(packet, DecodeEvent::kIgmpMalformed);
      return 0;
    }
    len += record;
  }
  return len;
}

void DecodeIgmp(Packet* packet) {
  Mark(packet, Layer::kIgmp);
  const Slice bytes = packet->ip_payload;
  if (bytes.size() < 8) return Invalid(packet, DecodeEvent::kIgmpPktTooSmall);
  size_t len = 8;
  if (bytes[0] == 0x11 && bytes.size() >= 12) len = IgmpQueryLength(bytes, packet);
  if (bytes[0] == 0x22) len = IgmpReportLength(bytes, packet);
  if (len == 0) return;
  packet->l4 = L4::kIgmp;
  Split(len, packet);
}

// ------------------------------------------------------------------- ICMP

// Types with their highest code; errors quote a packet.
struct IcmpType {
  uint8_t first, last;
  uint8_t max_code;
  bool error = false;
};
constexpr IcmpType kIcmp4Types[] = {
    {0, 0, 0}, {3, 3, 15, true}, {4, 4, 0, true}, {5, 5, 3, true}, {8, 8, 0}, {9, 9, 16},
    {10, 10, 0}, {11, 11, 1, true}, {12, 12, 2, true}, {13, 18, 0}};
constexpr IcmpType kIcmp6Types[] = {
    {1, 1, 7, true}, {2, 2, 0, true}, {3, 3, 1, true}, {4, 4, 3, true}, {128, 129, 0},
    {130, 132, 0}, {133, 137, 0}, {138, 138, 255}, {139, 140, 2}, {141, 149, 0}, {150, 150, 255},
    {151, 153, 0}, {155, 155, 255}, {157, 158, 255}};

template <size_t n>
const IcmpType* FindIcmpType(const IcmpType (&types)[n], uint8_t type) {
  const auto it = std::ranges::find_if(types, [type](const IcmpType& t) {
    return type >= t.first && type <= t.last;
  });
  return it == std::end(types) ? nullptr : it;
}

// RFC 792, RFC 950, RFC 1256: bytes before the data.
size_t Icmp4HeaderLength(Slice bytes) {
  switch (bytes[0]) {
    case 9: return 8 + bytes[4] * bytes[5] * size_t{4};
    case 13: case 14: return 20;
    default: return 8;
  }
}

void SetIcmp(Slice bytes, L4 l4, Packet* packet) {
  packet->l4 = l4;
  packet->icmp_type = bytes[0];
  packet->icmp_code = bytes[1];
  packet->icmp_id = Be16(&bytes[4]);
  packet->icmp_seq = Be16(&bytes[6]);
  Split(8, packet);
}

// The start of the packet that an error is about: a header of `len` bytes at least.
void CheckQuoted(uint8_t version, size_t len, DecodeEvent small, DecodeEvent wrong, Packet* packet) {
  const Slice quoted = packet->ip_payload.subspan(8);
  if (quoted.size() < len) return Invalid(packet, small);
  if (quoted[0] >> 4 != version) return Invalid(packet, wrong);
  packet->quoted = quoted;
}

void DecodeIcmp4(const DecodeOptions& options, Packet* packet) {
  Mark(packet, Layer::kIcmp4);
  const Slice bytes = packet->ip_payload;
  if (bytes.size() < 8) return Stop(packet, DecodeEvent::kIcmp4PktTooSmall);
  SetIcmp(bytes, L4::kIcmp, packet);
  if (options.verify_checksums) packet->bad_l4_checksum = !TransportChecksumHolds(*packet);
  const IcmpType* type = FindIcmpType(kIcmp4Types, bytes[0]);
  if (type == nullptr) return Report(packet, DecodeEvent::kIcmp4UnknownType);
  if (bytes[1] > type->max_code) return Report(packet, DecodeEvent::kIcmp4UnknownCode);
  const size_t header_len = Icmp4HeaderLength(bytes);
  if (header_len > bytes.size()) return Invalid(packet, DecodeEvent::kIcmp4PktTooSmall);
  Split(header_len, packet);
  if (!type->error || bytes.size() == 8) return;
  CheckQuoted(4, 20, DecodeEvent::kIcmp4Ipv4TruncPkt, DecodeEvent::kIcmp4Ipv4UnknownVer, packet);
}

// RFC 4443 §2.1; IANA's registry of types.
void ReportIcmp6Type(uint8_t type, Packet* packet) {
  if (type == 100 || type == 101 || type == 200 || type == 201) {
    return Report(packet, DecodeEvent::kIcmp6ExperimentationType);
  }
  const bool unassigned = (type > 4 && type < 127) || (type > 159 && type < 255);
  Report(packet, unassigned ? DecodeEvent::kIcmp6UnassignedType : DecodeEvent::kIcmp6UnknownType);
}

void DecodeIcmp6(const DecodeOptions& options, Packet* packet) {
  Mark(packet, Layer::kIcmp6);
  const Slice bytes = packet->ip_payload;
  if (bytes.size() < 8) return Stop(packet, DecodeEvent::kIcmp6PktTooSmall);
  SetIcmp(bytes, L4::kIcmp6, packet);
  if (options.verify_checksums) packet->bad_l4_checksum = !TransportChecksumHolds(*packet);
  const IcmpType* type = FindIcmpType(kIcmp6Types, bytes[0]);
  if (type == nullptr) return ReportIcmp6Type(bytes[0], packet);
  if (bytes[1] > type->max_code) return Report(packet, DecodeEvent::kIcmp6UnknownCode);
  // RFC 2710 §3, RFC 3810 §5: multicast listener messages do not leave the link.
  const bool listener = (bytes[0] >= 130 && bytes[0] <= 132) || bytes[0] == 143;
  if (listener && packet->ttl != 1) Report(packet, DecodeEvent::kIcmp6MldInvalidHopLimit);
  if (!type->error) return;
  CheckQuoted(6, 40, DecodeEvent::kIcmp6Ipv6TruncPkt, DecodeEvent::kIcmp6Ipv6UnknownVersion, packet);
}

}  // namespace

bool DecodeTransport(const DecodeOptions& options, Packet* packet) {
  const bool v4 = packet->ip_version == 4;
  switch (packet->ip_protocol) {
    case kTcp: DecodeTcp(options, packet); break;
    case kUdp: DecodeUdp(options, packet); break;
    case kSctp: DecodeSctp(packet); break;
    case kEsp: DecodeEsp(packet); break;
    case kIcmp: if (!v4) return false; DecodeIcmp4(options, packet); break;
    case kIcmp6: if (v4) return false; DecodeIcmp6(options, packet); break;
    case kIgmp: if (!v4) return false; DecodeIgmp(packet); break;
    default: return false;
  }
  if (packet->stopped) packet->l4 = L4::kNone;
  return true;
}

}  // namespace layers

bool IpChecksumHolds(const Packet& packet) noexcept {
  return packet.ip_version != 4 || layers::Fold(layers::Sum(packet.ip_header, 0)) == 0xffff;
}

bool TransportChecksumHolds(const Packet& packet) noexcept {
  switch (packet.l4) {
    case L4::kUdp:
      return layers::Be16(&packet.ip_payload[6]) == 0 || layers::PseudoChecksumHolds(packet);
    case L4::kTcp:
    case L4::kIcmp6:
      return layers::PseudoChecksumHolds(packet);
    case L4::kIcmp:
    case L4::kIgmp:
      return layers::Fold(layers::Sum(packet.ip_payload, 0)) == 0xffff;
    default:
      return true;
  }
}

bool ReadQuoted(const Packet& packet, QuotedEnds* ends) noexcept {
  const Slice ip = packet.quoted;
  if (ip.empty()) return false;
  const bool v4 = ip[0] >> 4 == 4;
  const size_t header = v4 ? (ip[0] & 15) * 4u : 40, address = v4 ? 4 : 16;
  ends->protocol = ip[v4 ? 9 : 6];
  if (ends->protocol != kTcp && ends->protocol != kUdp) return false;
  if (header < 20 || ip.size() < header + 4) return false;
  const uint8_t* at = &ip[v4 ? 12 : 8];
  ends->source.version = ends->destination.version = v4 ? 4 : 6;
  std::memcpy(ends->source.bytes.data(), at, address);
  std::memcpy(ends->destination.bytes.data(), at + address, address);
  ends->source_port = layers::Be16(&ip[header]);
  ends->destination_port = layers::Be16(&ip[header + 2]);
  return true;
}

}  // namespace sluice
