// engine/decode/ip_protocol.h
// Numbers of protocols above IP (IANA, "Assigned Internet Protocol Numbers").
#pragma once

#include <cstdint>

namespace sluice {

inline constexpr uint8_t kIcmp = 1, kIgmp = 2, kIpInIp = 4, kTcp = 6, kUdp = 17, kIpv6InIp = 41,
                         kGre = 47, kEsp = 50, kAh = 51, kIcmp6 = 58, kSctp = 132;

constexpr bool HasPorts(uint8_t protocol) {
  return protocol == kTcp || protocol == kUdp || protocol == kSctp;
}

}  // namespace sluice
