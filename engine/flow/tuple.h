// engine/flow/tuple.h
// Who talks to whom: VLAN, IP protocol, addresses and ports.
// Threads: plain values.
#pragma once

#include <cstdint>

#include "engine/decode/address.h"

namespace sluice {

// As seen on the wire.  ICMP has type and code in the ports, ESP its SPI, as the flow table wants them.
struct Tuple {
  Address source;
  Address destination;
  uint16_t source_port = 0;       // host byte order
  uint16_t destination_port = 0;  // host byte order
  uint16_t vlan[3] = {0, 0, 0};   // outer first, VLAN id only, 0 for none
  uint8_t ip_protocol = 0;
  uint8_t recursion = 0;          // tunnels around it

  Tuple Reverse() const;
  bool operator==(const Tuple&) const = default;
};

}  // namespace sluice
