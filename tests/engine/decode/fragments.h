// tests/engine/decode/fragments.h
// Fragments of IP packets, and what Defrag makes of them.
// Threads: pure functions.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "engine/decode/decode.h"
#include "engine/decode/defrag.h"
#include "tests/support/headers.h"

namespace sluice::testing {

// What Defrag said of one frame.
struct Given {
  Slice frame;
  Packet packet;
  bool Has(DecodeEvent event) const {
    return std::find(packet.events, packet.events + packet.num_events, event) !=
           packet.events + packet.num_events;
  }
};
inline Given Give(Defrag& defrag, const Bytes& frame, Nanos now = Nanos{1}) {
  Given given;
  Decode(LinkType::kEthernet, frame, {.verify_checksums = false}, &given.packet);
  EXPECT_TRUE(given.packet.is_fragment);
  given.frame = defrag.Add(&given.packet, now);
  return given;
}
inline Packet Whole(const Given& given) {
  Packet whole;
  DecodeWhole(given.packet, given.frame, {.verify_checksums = true}, &whole);
  return whole;
}

// A piece of an IP payload of UDP: `first` in bytes, a multiple of 8.
inline Bytes Piece(bool v6, size_t first, const Bytes& data, bool more, uint32_t id = 7) {
  const auto at = static_cast<unsigned>(first);
  if (v6) return Ethernet(0x86dd, Ipv6(44, Fragment(17, at, more, id, data)));
  return Ethernet(0x0800, Ipv4(17, data, {.id = id, .fragment = at / 8 | (more ? 0x2000u : 0)}));
}
inline std::vector<Bytes> Pieces(bool v6, const Bytes& payload, size_t size, uint32_t id = 7) {
  std::vector<Bytes> out;
  for (size_t at = 0; at < payload.size(); at += size) {
    const size_t n = std::min(size, payload.size() - at);
    const auto from = payload.begin() + static_cast<ptrdiff_t>(at);
    out.push_back(Piece(v6, at, Bytes(from, from + static_cast<ptrdiff_t>(n)), at + n < payload.size(), id));
  }
  return out;
}

}  // namespace sluice::testing
