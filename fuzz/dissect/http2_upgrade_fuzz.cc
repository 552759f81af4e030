// Any bytes as the request that became HTTP/2.  Oracles: sanitizers; no field is longer than what
// was given, and together they are not; what base64url encodes decodes to itself.
#include <cstdint>
#include <string>

#include "plugins/http2/upgrade.h"

using namespace http2;

namespace {

std::string Encode(sluice::View bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<uint8_t>(c);
    for (count += 8; count >= 6; count -= 6) out += kDigits[bits >> (count - 6) & 63];
  }
  if (count > 0) out += kDigits[bits << (6 - count) & 63];
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 16 * 1024) return 0;
  const sluice::View bytes(reinterpret_cast<const char*>(data), size);
  if (const auto request = ParseUpgradeRequest(bytes)) {
    size_t total = request->method.size() + request->target.size();
    for (const auto& field : request->fields) total += field.name.size() + field.value.size();
    if (total > size || request->method.empty() || request->target.empty()) __builtin_trap();
    std::string settings;
    if (const std::string* text = request->settings()) DecodeBase64Url(*text, &settings);
    if (settings.size() > size) __builtin_trap();
  }
  std::string decoded;
  if (!DecodeBase64Url(Encode(bytes), &decoded) || decoded != bytes) __builtin_trap();
  return 0;
}
