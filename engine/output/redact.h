// engine/output/redact.h
// Values that records must not show, yet that can be told apart: a keyed digest in their place.
//
// Threads: const after construction; any.  Memory: two digest states; nothing is allocated.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "engine/base/digest.h"
#include "engine/base/types.h"

namespace sluice {

class Redactor {
 public:
  // `names` in lower case, of headers and the like whose values are hidden; `salt` is the key.
  Redactor(const std::set<std::string, std::less<>>& names, std::string_view salt);

  bool Hides(Slice name) const;  // in whatever case
  // Appends "sha256:" and 16 hex digits of HMAC-SHA256 (RFC 2104).
  void Append(Slice value, std::string* out) const;

 private:
  const std::set<std::string, std::less<>> names_;
  Digest inner_, outer_;  // behind the key
};

}  // namespace sluice
