#include "engine/base/digest.h"

namespace sluice {

Digest::Digest(DigestKind kind) noexcept {
  switch (kind) {
    case DigestKind::kMd5:
      MD5_Init(&context_.emplace<MD5_CTX>());
      return;
    case DigestKind::kSha1:
      SHA1_Init(&context_.emplace<SHA_CTX>());
      return;
    case DigestKind::kSha256:
      SHA256_Init(&context_.emplace<SHA256_CTX>());
      return;
  }
}

void Digest::Add(Slice bytes) noexcept {
  if (MD5_CTX* md5 = std::get_if<MD5_CTX>(&context_)) {
    MD5_Update(md5, bytes.data(), bytes.size());
  } else if (SHA_CTX* sha1 = std::get_if<SHA_CTX>(&context_)) {
    SHA1_Update(sha1, bytes.data(), bytes.size());
  } else {
    SHA256_Update(std::get_if<SHA256_CTX>(&context_), bytes.data(), bytes.size());
  }
}

Digest::Value Digest::End() noexcept {
  Value value;
  if (MD5_CTX* md5 = std::get_if<MD5_CTX>(&context_)) {
    value.size = MD5_DIGEST_LENGTH;
    MD5_Final(value.bytes.data(), md5);
  } else if (SHA_CTX* sha1 = std::get_if<SHA_CTX>(&context_)) {
    value.size = SHA_DIGEST_LENGTH;
    SHA1_Final(value.bytes.data(), sha1);
  } else {
    value.size = SHA256_DIGEST_LENGTH;
    SHA256_Final(value.bytes.data(), std::get_if<SHA256_CTX>(&context_));
  }
  return value;
}

Digest::Value Digest::Of(DigestKind kind, Slice bytes) noexcept {
  Digest digest(kind);
  digest.Add(bytes);
  return digest.End();
}

HexDigest::HexDigest(const Digest::Value& digest) noexcept {
  for (const uint8_t byte : digest.slice()) {
    digits_[size_++] = "0123456789abcdef"[byte >> 4];
    digits_[size_++] = "0123456789abcdef"[byte & 15];
  }
}

}  // namespace sluice
