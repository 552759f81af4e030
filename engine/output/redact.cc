#include "engine/output/redact.h"

#include <algorithm>
#include <array>

namespace sluice {
namespace {

constexpr size_t kBlock = 64, kLongestName = 64, kShownDigits = 16;

Digest Keyed(std::string_view key, uint8_t pad) {
  const Digest::Value shorter = Digest::Of(DigestKind::kSha256, AsSlice(key));
  const Slice used = key.size() > kBlock ? shorter.slice() : AsSlice(key);
  std::array<uint8_t, kBlock> block{};
  std::ranges::copy(used, block.begin());
  for (uint8_t& byte : block) byte ^= pad;
  Digest digest(DigestKind::kSha256);
  digest.Add(block);
  return digest;
}

}  // namespace

Redactor::Redactor(const std::set<std::string, std::less<>>& names, std::string_view salt)
    : names_(names), inner_(Keyed(salt, 0x36)), outer_(Keyed(salt, 0x5c)) {}

bool Redactor::Hides(Slice name) const {
  if (names_.empty() || name.size() > kLongestName) return false;
  char lower[kLongestName];
  std::ranges::transform(name, lower, [](uint8_t c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return names_.contains(std::string_view(lower, name.size()));
}

void Redactor::Append(Slice value, std::string* out) const {
  Digest inner = inner_, outer = outer_;
  inner.Add(value);
  outer.Add(inner.End().slice());
  const HexDigest digest(outer.End());
  *out += "sha256:";
  *out += std::string_view(digest).substr(0, kShownDigits);
}

}  // namespace sluice
