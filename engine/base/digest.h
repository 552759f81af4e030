// engine/base/digest.h - MD5, SHA-1 and SHA-256 of bytes that come in parts.
//
// Threads: confined to its owner.  Memory: all of it is in the object; OpenSSL's EVP interface
//   allocates at each digest, and the packet path may not.
#pragma once

#define OPENSSL_SUPPRESS_DEPRECATED  // OpenSSL would have the EVP interface used
#include <openssl/md5.h>
#include <openssl/sha.h>

#include <array>
#include <string_view>
#include <variant>

#include "engine/base/types.h"

namespace sluice {

enum class DigestKind : uint8_t { kMd5, kSha1, kSha256 };

class Digest {
 public:
  static constexpr size_t kMaxBytes = SHA256_DIGEST_LENGTH;
  struct Value {
    std::array<uint8_t, kMaxBytes> bytes;
    size_t size;  // 16, 20 or 32
    Slice slice() const { return Slice(bytes.data(), size); }
  };

  explicit Digest(DigestKind kind) noexcept;
  void Add(Slice bytes) noexcept;
  Value End() noexcept;  // once, and then no Add()

  static Value Of(DigestKind kind, Slice bytes) noexcept;

 private:
  std::variant<MD5_CTX, SHA_CTX, SHA256_CTX> context_;  // by DigestKind
};

// A digest in lower-case hex; empty where there is none.
class HexDigest {
 public:
  HexDigest() noexcept = default;
  explicit HexDigest(const Digest::Value& digest) noexcept;
  operator std::string_view() const noexcept { return {digits_.data(), size_}; }
  bool empty() const noexcept { return size_ == 0; }
  friend bool operator==(const HexDigest& digest, std::string_view hex) noexcept {
    return std::string_view(digest) == hex;
  }

 private:
  std::array<char, 2 * Digest::kMaxBytes> digits_;
  uint8_t size_ = 0;
};

}  // namespace sluice
