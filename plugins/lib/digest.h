// SPDX-License-Identifier: Apache-2.0
// plugins/lib/digest.h - digests of short texts, in lower-case hex.
//
// Threads: any.  Memory: nothing is allocated but what *out grows by.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice {

void AppendMd5Hex(std::string_view text, std::string* out);

// The first `digits` of the 64.
void AppendSha256Hex(std::string_view text, size_t digits, std::string* out);

}  // namespace sluice
