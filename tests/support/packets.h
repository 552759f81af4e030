// tests/support/packets.h
// Builds Ethernet frames: Build({.payload = "GET / "}) is a TCP segment over IPv4.
// Threads: pure functions.
#pragma once

#include <arpa/inet.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace sluice::testing {

using Bytes = std::vector<uint8_t>;

inline void Put8(Bytes& out, unsigned value) { out.push_back(static_cast<uint8_t>(value)); }
inline void Put16(Bytes& out, unsigned value) {
  Put8(out, value >> 8);
  Put8(out, value);
}
inline void Put32(Bytes& out, uint32_t value) {
  Put16(out, value >> 16);
  Put16(out, value);
}
inline void PutAddress(Bytes& out, const std::string& text) {
  uint8_t raw[16];
  if (inet_pton(AF_INET, text.c_str(), raw) == 1) {
    out.insert(out.end(), raw, raw + 4);
  } else if (inet_pton(AF_INET6, text.c_str(), raw) == 1) {
    out.insert(out.end(), raw, raw + 16);
  }
}

inline constexpr unsigned kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16;

struct Frame {
  std::string source = "10.0.0.1", destination = "10.0.0.2";
  uint16_t sport = 40000, dport = 80;
  uint8_t protocol = 6;
  unsigned flags = kAck;
  uint32_t seq = 1000, ack = 5000;
  std::string payload = {};
  std::vector<uint16_t> vlans = {};   // outer first
  unsigned ip_option_words = 0;    // IPv4, 4 bytes each
  unsigned tcp_option_words = 0;
  std::vector<uint8_t> ext = {};      // IPv6 extension headers by number, 8 bytes each (AH 12)
  unsigned fragment_offset = 0;    // bytes, multiple of 8
  bool more_fragments = false;
  uint32_t fragment_id = 0;
  int length_delta = 0;            // lie in the IP length
  unsigned padding = 0;            // bytes after the IP packet
};

inline Frame Reverse(Frame frame) {
  std::swap(frame.source, frame.destination);
  std::swap(frame.sport, frame.dport);
  std::swap(frame.seq, frame.ack);
  return frame;
}

inline Bytes Transport(const Frame& f) {
  Bytes out;
  if (f.fragment_offset == 0 && f.protocol == 6) {
    Put16(out, f.sport);
    Put16(out, f.dport);
    Put32(out, f.seq);
    Put32(out, f.ack);
    Put8(out, (5 + f.tcp_option_words) << 4);
    Put8(out, f.flags);
    Put16(out, 65535);
    Put32(out, 0);
    for (unsigned i = 0; i < f.tcp_option_words; ++i) Put32(out, 0x01010101);
  } else if (f.fragment_offset == 0 && f.protocol == 17) {
    Put16(out, f.sport);
    Put16(out, f.dport);
    Put16(out, static_cast<unsigned>(8 + f.payload.size()));
    Put16(out, 0);
  }
  out.insert(out.end(), f.payload.begin(), f.payload.end());
  return out;
}

inline Bytes NetworkV4(const Frame& f) {
  const Bytes body = Transport(f);
  const unsigned header = 20 + 4 * f.ip_option_words;
  Bytes out;
  Put8(out, 0x40 | (header / 4));
  Put8(out, 0);
  Put16(out, static_cast<unsigned>(static_cast<int>(header + body.size()) + f.length_delta));
  Put16(out, f.fragment_id);
  Put16(out, (f.more_fragments ? 0x2000 : 0) | f.fragment_offset / 8);
  Put8(out, 64);
  Put8(out, f.protocol);
  Put16(out, 0);
  PutAddress(out, f.source);
  PutAddress(out, f.destination);
  for (unsigned i = 0; i < f.ip_option_words; ++i) Put32(out, 0x01010101);
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

inline Bytes NetworkV6(const Frame& f) {
  const Bytes body = Transport(f);
  std::vector<uint8_t> ext = f.ext;
  if (f.fragment_offset != 0 || f.more_fragments) ext.push_back(44);
  Bytes chain;
  for (size_t i = 0; i < ext.size(); ++i) {
    Put8(chain, i + 1 < ext.size() ? ext[i + 1] : f.protocol);
    if (ext[i] == 44) {
      Put8(chain, 0);
      Put16(chain, f.fragment_offset | (f.more_fragments ? 1 : 0));
      Put32(chain, f.fragment_id);
    } else {
      Put8(chain, ext[i] == 51 ? 1 : 0);
      Put16(chain, 0);
      Put32(chain, 0);
      if (ext[i] == 51) Put32(chain, 0);
    }
  }
  Bytes out;
  Put32(out, 0x60000000);
  Put16(out, static_cast<unsigned>(static_cast<int>(chain.size() + body.size()) + f.length_delta));
  Put8(out, ext.empty() ? f.protocol : ext[0]);
  Put8(out, 64);
  PutAddress(out, f.source);
  PutAddress(out, f.destination);
  out.insert(out.end(), chain.begin(), chain.end());
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

inline Bytes Build(const Frame& f) {
  const bool v6 = f.source.find(':') != std::string::npos;
  Bytes out(12, 0x02);
  for (size_t i = 0; i < f.vlans.size(); ++i) {
    Put16(out, i + 1 < f.vlans.size() ? 0x88a8 : 0x8100);
    Put16(out, f.vlans[i]);
  }
  Put16(out, v6 ? 0x86dd : 0x0800);
  const Bytes network = v6 ? NetworkV6(f) : NetworkV4(f);
  out.insert(out.end(), network.begin(), network.end());
  out.insert(out.end(), f.padding, 0);
  return out;
}

}  // namespace sluice::testing
