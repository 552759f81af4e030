// SPDX-License-Identifier: Apache-2.0
// plugins/lib/digest.h - digests of short texts, in hex.
//
// Threads: any; each keeps its own contexts.  Memory: OpenSSL allocates for the first digest of a
// kind in a thread, and then no more.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice {

enum class DigestKind { kMd5, kSha1, kSha256 };

// Appends the first `digits` of the digest in lower case; nothing if OpenSSL refuses the kind.
void AppendDigestHex(std::string_view text, DigestKind kind, size_t digits, std::string* out);

}  // namespace sluice
