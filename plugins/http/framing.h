// SPDX-License-Identifier: Apache-2.0
// plugins/http/framing.h - how long a body is (RFC 9112 §6, §7).
#pragma once

#include <cstdint>

#include "text.h"

namespace http {

// The first number in a Content-Length value, which may stand in junk, as servers
// read it.  False if there is none below 2^63.
bool ContentLength(View value, uint64_t* length);

struct ChunkSize {
  enum class Kind : uint8_t { kBlank, kSize, kInvalid };
  Kind kind = Kind::kInvalid;
  uint64_t size = 0;
  bool extension = false;
};
// A chunk-size line with its end.  Blanks and line ends before the number, and
// anything behind it, are accepted.
ChunkSize ParseChunkSize(View line);
// Whether bytes without a line end can still become a chunk-size line.
bool MayBeChunkSize(View start);

// "bytes 0-99/200".
struct ContentRange {
  uint64_t start = 0, end = 0, size = 0;
  bool has_range = false, has_size = false;
};
// False if the value is not of this form.
bool ParseContentRange(View value, ContentRange* out);

}  // namespace http
