// tests/support/random_packets.h
// Packets of every shape the parsers know, some with lies in them, some noise.
// Threads: one generator per thread.
#pragma once

#include <algorithm>
#include <random>

#include "tests/support/packets.h"

namespace sluice::testing {

using Random = std::mt19937;

inline unsigned Below(Random& random, unsigned n) { return static_cast<unsigned>(random() % n); }

inline Frame RandomFrame(Random& random) {
  Frame f;
  if (Below(random, 2)) f.source = "fd00::1", f.destination = "fd00:1:2::3";
  const uint8_t protocols[] = {6, 6, 6, 17, 17, 1, 58, 132, 47, 59, 50};
  f.protocol = protocols[Below(random, sizeof(protocols))];
  f.sport = static_cast<uint16_t>(random());
  f.dport = static_cast<uint16_t>(random());
  f.seq = random();
  f.ack = random();
  f.flags = Below(random, 256);
  f.payload = std::string(Below(random, 4) ? Below(random, 80) : Below(random, 1400), 'p');
  for (unsigned i = Below(random, 6); i < 4 && i > 0; --i) {
    f.vlans.push_back(static_cast<uint16_t>(random()));
  }
  if (!Below(random, 4)) f.ip_option_words = Below(random, 11);
  if (!Below(random, 4)) f.tcp_option_words = Below(random, 11);
  if (!Below(random, 3)) {
    const uint8_t headers[] = {0, 43, 44, 51, 60, 60, 135};
    for (unsigned i = Below(random, 20); i > 0; --i) {
      f.ext.push_back(headers[Below(random, sizeof(headers))]);
    }
  }
  if (!Below(random, 6)) {
    f.more_fragments = Below(random, 2);
    f.fragment_offset = 8 * Below(random, 100);
    f.fragment_id = random() & 0xffff;
  }
  if (!Below(random, 10)) f.length_delta = static_cast<int>(Below(random, 60)) - 30;
  if (!Below(random, 4)) f.padding = Below(random, 40);
  return f;
}

inline Bytes RandomPacket(Random& random) {
  if (!Below(random, 50)) {
    Bytes noise(14 + Below(random, 200));
    for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random());
    return noise;
  }
  Bytes bytes = Build(RandomFrame(random));
  if (Below(random, 3) == 0) {  // headers are where it hurts
    for (unsigned i = 1 + Below(random, 4); i > 0; --i) {
      bytes[12 + Below(random, static_cast<unsigned>(std::min<size_t>(bytes.size() - 12, 140)))] =
          static_cast<uint8_t>(random());
    }
  }
  if (Below(random, 6) == 0) bytes.resize(14 + Below(random, static_cast<unsigned>(bytes.size() - 13)));
  return bytes;
}

}  // namespace sluice::testing
