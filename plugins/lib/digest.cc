// SPDX-License-Identifier: Apache-2.0
#include "plugins/lib/digest.h"

#include <openssl/evp.h>

#include <memory>

namespace sluice {
namespace {

// EVP_md5() and its like are fetched, and a context is made, in each EVP_Digest(): a dozen
// allocations.  Fetched once, the context of the same kind is reused as it is.
struct Digest {
  explicit Digest(const char* name)
      : kind(EVP_MD_fetch(nullptr, name, nullptr), EVP_MD_free), context(EVP_MD_CTX_new(), EVP_MD_CTX_free) {}
  std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> kind;
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context;
};

Digest& Of(DigestKind kind) {
  static constexpr const char* kNames[] = {"MD5", "SHA1", "SHA256"};
  thread_local Digest digests[] = {Digest(kNames[0]), Digest(kNames[1]), Digest(kNames[2])};
  return digests[static_cast<size_t>(kind)];
}

}  // namespace

void AppendDigestHex(std::string_view text, DigestKind kind, size_t digits, std::string* out) {
  const Digest& digest = Of(kind);
  if (digest.kind == nullptr || digest.context == nullptr) return;
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (EVP_DigestInit_ex2(digest.context.get(), digest.kind.get(), nullptr) != 1 ||
      EVP_DigestUpdate(digest.context.get(), text.data(), text.size()) != 1 ||
      EVP_DigestFinal_ex(digest.context.get(), bytes, &length) != 1) {
    return;
  }
  for (size_t i = 0; i < digits && i < 2 * length; ++i) {
    out->push_back("0123456789abcdef"[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4]);
  }
}

}  // namespace sluice
