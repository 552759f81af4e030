// SPDX-License-Identifier: Apache-2.0
// plugins/http/headers.h - header lines into fields, as tolerant peers read them.
//
// RFC 9112 §5 and what browsers and servers accept beyond it: lone LF, in responses
// lone CR and LF CR; folding by blank, tab or NUL, in names too; lines that end no
// header block although they look empty. Where a reading needs the next bytes, the
// parser asks for them, so the cuts of the stream change nothing.
//
// Memory: a table keeps the strings of earlier messages for reuse.
// Threads: none of its own; confined to the flow's worker.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text.h"

namespace http {

// What is odd about a header, as a set.
enum HeaderFlag : uint32_t {
  kMissingColon = 1,
  kEmptyName = 2,
  kNameBlankBefore = 4,  // most likely broken folding
  kNameBlankAfter = 8,
  kNameNotToken = 16,
};

struct Header {
  std::string name, value;  // trimmed; folds are one character
  uint32_t flags = 0;
  bool repeated = false;
};

enum class HeaderStep : uint8_t {
  kHeader,  // *name and *value are the next field
  kBlank,   // a line end that browsers skip
  kEnd,     // the block is over
  kMore,    // not decidable before more bytes are there
};
struct HeaderResult {
  HeaderStep step = HeaderStep::kMore;
  size_t used = 0;  // bytes of `in` done with
  uint32_t flags = 0;
};

class HeaderParser {
 public:
  // The next field of the block that `in` continues. `last`: no byte will follow.
  HeaderResult Next(View in, bool response, bool last, std::string* name, std::string* value);
  void Reset() { *this = {}; }

 private:
  bool first_ = true;   // no line of the block was read yet
  bool lf_cr_ = false;  // a line ended in LF CR, so the block may too
};

// The fields of one message; fields of one name are one, joined by ", ".
class HeaderTable {
 public:
  enum class Added : uint8_t { kNew, kSecond, kFurther, kTooMany };
  static constexpr size_t kMaxRepetitions = 64;  // further ones are not kept

  // kTooMany: not added, there are `limit` names already.
  Added Add(View name, View value, uint32_t flags, size_t limit);
  const Header* Find(View lower) const;  // null if there is none
  View Value(View lower) const;          // "" if there is none
  std::span<const Header> all() const { return {headers_.data(), size_}; }
  void Clear() { size_ = repetitions_ = 0; }
  // Clears it, and keeps at most about `most` bytes of room.
  void ClearTo(size_t most);

 private:
  std::vector<Header> headers_;
  size_t size_ = 0, repetitions_ = 0;
};

}  // namespace http
