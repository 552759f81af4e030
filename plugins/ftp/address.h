// SPDX-License-Identifier: Apache-2.0
// plugins/ftp/address.h - where a data connection will go, as commands and replies write it.
//
// Threads, memory: pure functions over borrowed bytes.  Bad input: nullopt.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include <sluice/plugin.hpp>

namespace ftp {

using sluice::View;

struct Endpoint {
  uint32_t ip_version = 0;            // 0: only the port is told
  std::array<uint8_t, 16> address{};  // IPv4 in the first 4 bytes
  uint16_t port = 0;                  // never 0
};

// "192,168,0,13,234,10" (RFC 959 section 5.3.2).
std::optional<Endpoint> ParsePort(View text);
// "|1|192.0.2.1|6275|", "|2|2001:db8::1|5282|" (RFC 2428 section 2).
std::optional<Endpoint> ParseEprt(View text);
// The six numbers anywhere in the text of a 227 reply (RFC 1123 section 4.1.2.6).
std::optional<Endpoint> ParsePassive(View text);
// "(|||6446|)" in the text of a 229 reply (RFC 2428 section 3).
std::optional<Endpoint> ParseExtendedPassive(View text);

}  // namespace ftp
