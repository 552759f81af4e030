// Packets in packets: IP in IP, GRE, Teredo, VXLAN, Geneve, ERSPAN.
#include "engine/decode/layers.h"

namespace sluice::layers {
namespace {

void Carry(Slice bytes, uint16_t ether_type, PacketOrigin origin, Packet* packet) {
  if (!bytes.empty()) packet->inner = {bytes, ether_type, origin};
}

// RFC 1701: source route entries, the last of length 0.  False if one does not fit.
bool SkipSourceRoutes(Slice* bytes) {
  while (true) {
    if (bytes->size() < 4) return false;
    const uint16_t family = Be16(&(*bytes)[0]);
    const uint8_t len = (*bytes)[3];
    *bytes = bytes->subspan(4);
    if (family == 0 && len == 0) return true;
    if (len > bytes->size()) return false;
    *bytes = bytes->subspan(len);
  }
}

constexpr uint16_t kGreChecksum = 0x8000, kGreRouting = 0x4000, kGreKey = 0x2000,
                   kGreSequence = 0x1000, kGreStrictRoute = 0x0800, kGreRecursion = 0x0700,
                   kGreAck = 0x0080;

// What a GRE header of `protocol` carries; ERSPAN type I has no header of its own.
void CarryGre(uint16_t protocol, bool sequence, Slice bytes, Packet* packet) {
  switch (protocol) {
    case kEtherErspan:
      if (sequence) return Carry(bytes, kEtherErspan, PacketOrigin::kGreTunnel, packet);
      Mark(packet, Layer::kErspan);
      return Carry(bytes, kEtherBridge, PacketOrigin::kGreTunnel, packet);
    case kEtherIpv4: case kEtherIpv6: case kEtherVlan: case kEtherBridge: case kEtherPpp:
    case kEtherArp: return Carry(bytes, protocol, PacketOrigin::kGreTunnel, packet);
    default: return;
  }
}

// RFC 2784, RFC 2890, with RFC 1701's routing.
void DecodeGre0(uint16_t flags, uint16_t protocol, Slice bytes, Packet* packet) {
  if (flags & kGreRecursion) return Invalid(packet, DecodeEvent::kGreV0Recur);
  if (flags & 0x00f8) return Invalid(packet, DecodeEvent::kGreV0Flags);
  size_t len = 4;
  if (flags & (kGreChecksum | kGreRouting)) len += 4;
  if (flags & kGreKey) len += 4;
  if (flags & kGreSequence) len += 4;
  if (len > bytes.size()) return Invalid(packet, DecodeEvent::kGreV0HdrTooBig);
  bytes = bytes.subspan(len);
  if ((flags & kGreRouting) && !SkipSourceRoutes(&bytes)) {
    return Invalid(packet, DecodeEvent::kGreV0MalformedSre);
  }
  CarryGre(protocol, flags & kGreSequence, bytes, packet);
}

// RFC 2637 §4.1, enhanced for PPP.
void DecodeGre1(uint16_t flags, uint16_t protocol, Slice bytes, Packet* packet) {
  if (flags & kGreChecksum) return Invalid(packet, DecodeEvent::kGreV1Checksum);
  if (flags & kGreRouting) return Invalid(packet, DecodeEvent::kGreV1Route);
  if (flags & kGreStrictRoute) return Invalid(packet, DecodeEvent::kGreV1Ssr);
  if (flags & kGreRecursion) return Invalid(packet, DecodeEvent::kGreV1Recur);
  if (flags & 0x0078) return Invalid(packet, DecodeEvent::kGreV1Flags);
  if (protocol != kEtherPpp) return Invalid(packet, DecodeEvent::kGreV1WrongProtocol);
  if (!(flags & kGreKey)) return Invalid(packet, DecodeEvent::kGreV1NoKey);
  const size_t len = 8u + (flags & kGreSequence ? 4 : 0) + (flags & kGreAck ? 4 : 0);
  if (len > bytes.size()) return Invalid(packet, DecodeEvent::kGreV1HdrTooBig);
  Carry(bytes.subspan(len), kEtherPpp, PacketOrigin::kGreTunnel, packet);
}

// RFC 4380 §5.1.1: IPv6 in UDP behind an origin indication.  Only what fits exactly is
// taken for it: nothing else tells it from other protocols.
void DecodeTeredo(Packet* packet) {
  Slice bytes = packet->payload;
  while (bytes.size() >= 48 && bytes[0] == 0 && bytes[1] == 0) bytes = bytes.subspan(8);
  if (bytes.size() < 40 || bytes[0] >> 4 != 6) return;
  const size_t len = 40u + Be16(&bytes[4]);
  if (len != bytes.size()) return;
  Mark(packet, Layer::kTeredo);
  Carry(bytes, kEtherIpv6, PacketOrigin::kTeredo, packet);
}

// RFC 7348 §5: a header of 8 bytes, then Ethernet; the inner packet is what that carries.
void DecodeVxlan(Packet* packet) {
  const Slice bytes = packet->payload;
  if (bytes.size() < 8 + 14 || !(bytes[0] & 0x08) || bytes[7] != 0) return;
  Mark(packet, Layer::kVxlan);
  const uint16_t type = Be16(&bytes[8 + 12]);
  switch (type) {
    case kEtherIpv4: case kEtherIpv6: case kEtherVlan: case kEtherArp: case 0x88a8:
      return Carry(bytes.subspan(8 + 14), type, PacketOrigin::kVxlan, packet);
    default: return Invalid(packet, DecodeEvent::kVxlanUnknownPayloadType);
  }
}

// RFC 8926 §3.4
void DecodeGeneve(Packet* packet) {
  const Slice bytes = packet->payload;
  if (bytes.size() < 8 || bytes[0] >> 6 != 0 || bytes[7] != 0) return;
  const size_t len = 8 + (bytes[0] & 0x3f) * 4u;
  if (len > bytes.size()) return;
  Mark(packet, Layer::kGeneve);
  const uint16_t type = Be16(&bytes[2]);
  switch (type) {
    case kEtherIpv4: case kEtherIpv6: case kEtherArp: case kEtherBridge:
      return Carry(bytes.subspan(len), type, PacketOrigin::kGeneve, packet);
    default: return Invalid(packet, DecodeEvent::kGeneveUnknownPayloadType);
  }
}

}  // namespace

void DecodeGre(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (!Enter(packet, options, Layer::kGre)) return;
  if (bytes.size() < 4) return Invalid(packet, DecodeEvent::kGrePktTooSmall);
  const uint16_t flags = Be16(&bytes[0]), protocol = Be16(&bytes[2]);
  switch (flags & 7) {
    case 0: return DecodeGre0(flags, protocol, bytes, packet);
    case 1: return DecodeGre1(flags, protocol, bytes, packet);
    default: return Invalid(packet, DecodeEvent::kGreWrongVersion);
  }
}

// RFC 2003, RFC 4213, RFC 2473: the protocol number says which IP follows.
void DecodeIpInIp(Slice bytes, Packet* packet) {
  const bool outer4 = packet->ip_version == 4, inner4 = packet->ip_protocol == 4;
  if (!outer4 && bytes.size() < (inner4 ? 20u : 40u)) {
    return Invalid(packet, inner4 ? DecodeEvent::kIpv4InIpv6TooSmall : DecodeEvent::kIpv6InIpv6TooSmall);
  }
  if (!outer4 && bytes[0] >> 4 != (inner4 ? 4 : 6)) {
    return Invalid(packet, inner4 ? DecodeEvent::kIpv4InIpv6WrongVersion
                                  : DecodeEvent::kIpv6InIpv6WrongVersion);
  }
  Mark(packet, outer4 ? (inner4 ? Layer::kIpv4InIpv4 : Layer::kIpv6InIpv4)
                      : (inner4 ? Layer::kIpv4InIpv6 : Layer::kIpv6InIpv6));
  Carry(bytes, inner4 ? kEtherIpv4 : kEtherIpv6,
        outer4 ? PacketOrigin::kIpv4Tunnel : PacketOrigin::kIpv6Tunnel, packet);
}

void DecodeUdpTunnel(const DecodeOptions& options, Packet* packet) {
  const uint16_t source = packet->source_port, destination = packet->destination_port;
  if (options.teredo.Match(source, destination)) DecodeTeredo(packet);
  if (!packet->inner.bytes.empty()) return;
  if (options.geneve.Match(source, destination)) return DecodeGeneve(packet);
  if (options.vxlan.Match(source, destination)) return DecodeVxlan(packet);
}

// Type II: version and VLAN, session, index; then Ethernet.
void DecodeErspan(Slice bytes, const DecodeOptions& options, Packet* packet) {
  if (!Enter(packet, options, Layer::kErspan)) return;
  if (bytes.size() < 8) return Stop(packet, DecodeEvent::kErspanHeaderTooSmall);
  if (bytes[0] >> 4 != 1) return Stop(packet, DecodeEvent::kErspanUnsupportedVersion);
  if (const uint16_t vlan = Be16(&bytes[0]) & 0x0fff; vlan != 0) {
    packet->vlan[packet->num_vlans++] = vlan;  // the first: nothing stands before ERSPAN
  }
  DecodeEthernet(bytes.subspan(8), options, packet);
}

}  // namespace sluice::layers
