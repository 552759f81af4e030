#include "engine/decode/address.h"

#include <fmt/format.h>

namespace sluice {

std::string FormatAddress(const Address& address) {
  const auto& b = address.bytes;
  if (address.version == 4) return fmt::format("{}.{}.{}.{}", b[0], b[1], b[2], b[3]);
  if (address.version != 6) return "";
  std::string out;
  for (size_t i = 0; i < 16; i += 2) {
    if (i > 0) out += ':';
    fmt::format_to(std::back_inserter(out), "{:02x}{:02x}", b[i], b[i + 1]);
  }
  return out;
}

}  // namespace sluice
