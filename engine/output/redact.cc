#include "engine/output/redact.h"

#include <algorithm>
#include <array>

namespace sluice {
namespace {

constexpr size_t kBlock = 64, kLongestName = 64;
constexpr char kDigits[] = "0123456789abcdef";

void Begin(SHA256_CTX* context, const std::array<uint8_t, kBlock>& key, uint8_t pad) {
  std::array<uint8_t, kBlock> block;
  std::ranges::transform(key, block.begin(), [pad](uint8_t c) { return static_cast<uint8_t>(c ^ pad); });
  SHA256_Init(context);
  SHA256_Update(context, block.data(), block.size());
}

}  // namespace

Redactor::Redactor(const std::set<std::string, std::less<>>& names, std::string_view salt) : names_(names) {
  std::array<uint8_t, kBlock> key{};
  if (salt.size() > kBlock) {
    SHA256(reinterpret_cast<const uint8_t*>(salt.data()), salt.size(), key.data());
  } else {
    std::ranges::copy(salt, key.begin());
  }
  Begin(&inner_, key, 0x36);
  Begin(&outer_, key, 0x5c);
}

bool Redactor::Hides(Slice name) const {
  if (names_.empty() || name.size() > kLongestName) return false;
  char lower[kLongestName];
  std::ranges::transform(name, lower, [](uint8_t c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return names_.contains(std::string_view(lower, name.size()));
}

void Redactor::Append(Slice value, std::string* out) const {
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256_CTX context = inner_;
  SHA256_Update(&context, value.data(), value.size());
  SHA256_Final(digest, &context);
  context = outer_;
  SHA256_Update(&context, digest, sizeof(digest));
  SHA256_Final(digest, &context);
  *out += "sha256:";
  for (const uint8_t c : Slice(digest, 8)) {
    *out += kDigits[c >> 4];
    *out += kDigits[c & 15];
  }
}

}  // namespace sluice
