// engine/decode/decode.h
// Packet bytes -> Packet: link, IP and transport headers as views.
//
// A tunnel's packet says in Packet::inner what it carries; DecodeInner() decodes that.
// Threads: pure functions.  Memory: none; the Packet borrows the frame.
// Errors: a malformed header is an event in Packet::events, and what is above it
//   is left unset; nothing throws, nothing reads outside the frame.
#pragma once

#include <array>

#include "engine/base/types.h"
#include "engine/decode/packet.h"

namespace sluice {

LinkType LinkTypeFromDlt(int dlt) noexcept;  // kUnknown: not one of ours
// The number and name that captures give it; name without "DLT_".
int DltOfLinkType(LinkType link) noexcept;
const char* LinkTypeName(LinkType link) noexcept;

// UDP ports of a tunnel protocol: either end is enough.
struct TunnelPorts {
  static constexpr size_t kMax = 4;
  std::array<uint16_t, kMax> ports{};
  uint8_t count = 0;
  bool any = false;
  bool enabled = true;

  bool Match(uint16_t a, uint16_t b) const {
    if (!enabled || any) return enabled;
    for (uint8_t i = 0; i < count; ++i) {
      if (ports[i] == a || ports[i] == b) return true;
    }
    return false;
  }
};

struct DecodeOptions {
  bool verify_checksums = true;   // a bad one is flagged, the packet is still decoded
  bool report_ether_type = true;  // an unknown one is an event, not only counted
  uint8_t max_layers = 16;        // headers, over all tunnels
  TunnelPorts teredo = {.any = true};
  TunnelPorts vxlan = {.ports = {4789}, .count = 1};
  TunnelPorts geneve = {.ports = {6081}, .count = 1};
};

// Fills everything but time and number, which it keeps.
void Decode(LinkType link, Slice frame, const DecodeOptions& options, Packet* packet) noexcept;

// What outer.inner holds.  It has the time of `outer`, which must outlive it, and no number:
// only frames are counted.
void DecodeInner(const Packet& outer, const DecodeOptions& options, Packet* packet) noexcept;

// `frame` is what Defrag::Add() made of `fragment` and those before it.
void DecodeWhole(const Packet& fragment, Slice frame, const DecodeOptions& options,
                 Packet* packet) noexcept;

// Whether a checksum holds, asked or not; true where there is none (UDP's 0).
bool IpChecksumHolds(const Packet& packet) noexcept;  // of an IPv4 header
bool TransportChecksumHolds(const Packet& packet) noexcept;

// "ipv4", "vlan_qinq": as in counters, with "decoder." before.
const char* LayerName(Layer layer) noexcept;
// "wire/pcap", "gre tunnel": as EVE writes pkt_src.
const char* PacketOriginName(PacketOrigin origin) noexcept;

// The flow an ICMP error is about, as its sender saw it on the wire; false if the quoted
// packet is no TCP or UDP.
struct QuotedEnds {
  Address source, destination;
  uint16_t source_port = 0, destination_port = 0;
  uint8_t protocol = 0;
};
bool ReadQuoted(const Packet& packet, QuotedEnds* ends) noexcept;

}  // namespace sluice
