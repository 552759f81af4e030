// SPDX-License-Identifier: Apache-2.0
#include "plugins/lib/digest.h"

#define OPENSSL_SUPPRESS_DEPRECATED  // the EVP interface allocates at each digest
#include <openssl/md5.h>
#include <openssl/sha.h>

namespace sluice {
namespace {

void AppendHex(const unsigned char* bytes, size_t digits, std::string* out) {
  for (size_t i = 0; i < digits; ++i) {
    out->push_back("0123456789abcdef"[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4]);
  }
}

}  // namespace

void AppendMd5Hex(std::string_view text, std::string* out) {
  unsigned char bytes[MD5_DIGEST_LENGTH];
  MD5_CTX context;
  MD5_Init(&context);
  MD5_Update(&context, text.data(), text.size());
  MD5_Final(bytes, &context);
  AppendHex(bytes, 2 * sizeof(bytes), out);
}

void AppendSha256Hex(std::string_view text, size_t digits, std::string* out) {
  unsigned char bytes[SHA256_DIGEST_LENGTH];
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, text.data(), text.size());
  SHA256_Final(bytes, &context);
  AppendHex(bytes, digits, out);
}

}  // namespace sluice
