// tests/support/headers.h
// Single protocol headers to stack up: Ethernet(0x0800, Ipv4(17, Udp(53, 53, "x"))).
// Lengths are right unless a case changes them; checksums are 0.
// Threads: pure functions.
#pragma once

#include <initializer_list>

#include "tests/support/packets.h"

namespace sluice::testing {

inline Bytes Join(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}
inline Bytes Zeros(size_t n) { return Bytes(n, 0); }

inline Bytes Ethernet(unsigned type, const Bytes& payload) {
  Bytes out(12, 0x02);
  Put16(out, type);
  return Join({out, payload});
}
inline Bytes Vlan(unsigned id, unsigned type, const Bytes& payload) {
  Bytes out;
  Put16(out, id);
  Put16(out, type);
  return Join({out, payload});
}

struct Ipv4Shape {
  Bytes options = {};  // padded to whole words by the case
  unsigned id = 1, fragment = 0;
};
inline Bytes Ipv4(unsigned protocol, const Bytes& payload, const Ipv4Shape& shape = {}) {
  const auto header = static_cast<unsigned>(20 + shape.options.size());
  Bytes out;
  Put8(out, 0x40 | header / 4);
  Put8(out, 0);
  Put16(out, static_cast<unsigned>(header + payload.size()));
  Put16(out, shape.id);
  Put16(out, shape.fragment);
  Put8(out, 64);
  Put8(out, protocol);
  Put16(out, 0);
  PutAddress(out, "10.0.0.1");
  PutAddress(out, "10.0.0.2");
  return Join({out, shape.options, payload});
}
inline Bytes Ipv6(unsigned next, const Bytes& payload, unsigned hop_limit = 64) {
  Bytes out;
  Put32(out, 0x60000000);
  Put16(out, static_cast<unsigned>(payload.size()));
  Put8(out, next);
  Put8(out, hop_limit);
  PutAddress(out, "fd00::1");
  PutAddress(out, "fd00::2");
  return Join({out, payload});
}
// Hop-by-hop and destination options, 6 bytes of them.
inline Bytes Options(unsigned next, const Bytes& options, const Bytes& payload) {
  return Join({{static_cast<uint8_t>(next), 0}, options, payload});
}
inline Bytes Fragment(unsigned next, unsigned offset, bool more, uint32_t id, const Bytes& payload) {
  Bytes out;
  Put8(out, next);
  Put8(out, 0);
  Put16(out, offset | (more ? 1 : 0));
  Put32(out, id);
  return Join({out, payload});
}
inline Bytes Udp(unsigned source, unsigned destination, const Bytes& payload) {
  Bytes out;
  Put16(out, source);
  Put16(out, destination);
  Put16(out, static_cast<unsigned>(8 + payload.size()));
  Put16(out, 0);
  return Join({out, payload});
}
inline Bytes Tcp(const Bytes& options = {}) {
  Bytes out;
  Put16(out, 40000);
  Put16(out, 80);
  Put32(out, 1);
  Put32(out, 0);
  Put8(out, static_cast<unsigned>(5 + options.size() / 4) << 4);
  Put8(out, kSyn);
  Put16(out, 65535);
  Put32(out, 0);
  return Join({out, options});
}
inline Bytes Icmp(unsigned type, unsigned code, const Bytes& payload = {}) {
  return Join({{static_cast<uint8_t>(type), static_cast<uint8_t>(code), 0, 0, 0, 0, 0, 0}, payload});
}
inline Bytes Gre(unsigned flags, unsigned protocol, const Bytes& payload) {
  Bytes out;
  Put16(out, flags);
  Put16(out, protocol);
  return Join({out, payload});
}
inline Bytes MplsEntry(uint32_t label, bool bottom, const Bytes& payload) {
  Bytes out;
  Put32(out, label << 12 | (bottom ? 0x100 : 0) | 64);
  return Join({out, payload});
}
inline Bytes Arp(unsigned opcode) {
  Bytes out;
  Put16(out, 1);
  Put16(out, 0x0800);
  Put8(out, 6);
  Put8(out, 4);
  Put16(out, opcode);
  return Join({out, Bytes(6, 0x02), {10, 0, 0, 1}, Zeros(6), {10, 0, 0, 2}});
}

}  // namespace sluice::testing
