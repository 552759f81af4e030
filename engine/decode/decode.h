// engine/decode/decode.h
// Packet bytes -> Packet: link, IP and transport headers as views.
//
// Threads: pure functions.  Memory: none; the Packet borrows the frame.
// Errors: a malformed header is an event in Packet::events, and what is above it
//   is left unset; nothing throws, nothing reads outside the frame.
#pragma once

#include "engine/base/types.h"
#include "engine/decode/packet.h"

namespace sluice {

enum class LinkType : uint8_t { kEthernet, kRawIp, kLinuxCooked1, kLinuxCooked2, kLoopback, kUnknown };
LinkType LinkTypeFromDlt(int dlt) noexcept;  // kUnknown: not one of ours

struct DecodeOptions {
  bool verify_checksums = true;  // a bad one is flagged, the packet is still decoded
};

// Fills everything but time and number, which it keeps.
void Decode(LinkType link, Slice frame, const DecodeOptions& options, Packet* packet) noexcept;

// From an IP header on: what Decode() does above the link layer (defrag, tunnels).
void DecodeIp(Slice bytes, const DecodeOptions& options, Packet* packet) noexcept;

// Whether a checksum holds, asked or not; true where there is none (UDP's 0).
bool IpChecksumHolds(const Packet& packet) noexcept;  // of an IPv4 header
bool TransportChecksumHolds(const Packet& packet) noexcept;

// "ipv4.trunc_pkt": as in rules (decode-event) and EVE (with "decoder." before).
const char* DecodeEventName(DecodeEvent event) noexcept;

}  // namespace sluice
