// engine/decode/address.h
// An IPv4 or IPv6 address.
// Threads: plain values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>

namespace sluice {

// IPv4 in the first 4 bytes with the rest zero, or IPv6; network byte order.
struct Address {
  std::array<uint8_t, 16> bytes{};
  uint8_t version = 0;  // 4, 6, or 0 for none

  auto operator<=>(const Address&) const = default;
};

// "10.0.0.1", or IPv6 fully expanded in lower case as EVE wants it.
std::string FormatAddress(const Address& address);

}  // namespace sluice
