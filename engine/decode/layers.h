// engine/decode/layers.h
// What the parts of the decoder share; seen by this folder only.
//
// Each Decode...() takes the bytes from its own header on, fills `packet`, and goes
// on with what the header says follows.
#pragma once

#include "engine/decode/decode.h"

namespace sluice::layers {

constexpr uint16_t kEtherIpv4 = 0x0800, kEtherArp = 0x0806, kEtherBridge = 0x6558,
                   kEtherVlan = 0x8100, kEtherIpv6 = 0x86dd, kEtherPpp = 0x880b,
                   kEtherErspan = 0x88be;

inline uint16_t Be16(const uint8_t* p) { return static_cast<uint16_t>(p[0] << 8 | p[1]); }
inline uint32_t Be32(const uint8_t* p) { return uint32_t{Be16(p)} << 16 | Be16(p + 2); }

inline void Report(Packet* packet, DecodeEvent event) {
  if (packet->num_events < Packet::kMaxEvents) {
    packet->events[packet->num_events++] = event;
  } else if (packet->events_lost < UINT8_MAX) {
    ++packet->events_lost;
  }
}
inline void Invalid(Packet* packet, DecodeEvent event) {
  Report(packet, event);
  packet->invalid = true;
}
inline void Stop(Packet* packet, DecodeEvent event) {
  Invalid(packet, event);
  packet->stopped = true;
}

inline void Mark(Packet* packet, Layer layer) { packet->layers |= uint64_t{1} << static_cast<int>(layer); }

// Counts a header; false, and the packet is stopped, when it is one too many.
inline bool Enter(Packet* packet, const DecodeOptions& options, Layer layer) {
  Mark(packet, layer);
  if (++packet->num_layers <= options.max_layers) return true;
  Stop(packet, DecodeEvent::kTooManyLayers);
  return false;
}

// link.cc.  DecodeEtherType() returns whether the type is known.
bool DecodeEtherType(uint16_t type, Slice bytes, const DecodeOptions& options, Packet* packet);
void DecodeEthernet(Slice bytes, const DecodeOptions& options, Packet* packet);
void DecodePpp(Slice bytes, const DecodeOptions& options, Packet* packet);
void DecodeLink(LinkType link, Slice frame, const DecodeOptions& options, Packet* packet);

// ip.cc
void DecodeIpv4(Slice bytes, const DecodeOptions& options, Packet* packet);
void DecodeIpv6(Slice bytes, const DecodeOptions& options, Packet* packet);

// transport.cc.  From packet->ip_payload; false if the protocol is none of ours.
bool DecodeTransport(const DecodeOptions& options, Packet* packet);

// tunnel.cc.  Set packet->inner if there is something in it.
void DecodeGre(Slice bytes, const DecodeOptions& options, Packet* packet);
void DecodeIpInIp(Slice bytes, Packet* packet);
void DecodeUdpTunnel(const DecodeOptions& options, Packet* packet);
void DecodeErspan(Slice bytes, const DecodeOptions& options, Packet* packet);

}  // namespace sluice::layers
