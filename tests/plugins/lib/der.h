// SPDX-License-Identifier: Apache-2.0
// tests/plugins/lib/der.h - a certificate element by element, so that each can be damaged.
#pragma once

#include <string>

namespace sluice::testing {

inline std::string Tlv(int tag, const std::string& content) {
  std::string out(1, static_cast<char>(tag));
  if (content.size() >= 0x80) {
    out += '\x82';
    out += static_cast<char>(content.size() >> 8);
  }
  return out + static_cast<char>(content.size()) + content;
}
inline std::string Sequence(const std::string& content) { return Tlv(0x30, content); }

inline const std::string kOid = Tlv(0x06, "\x2a\x03\x04");
inline const std::string kAlgorithm = Sequence(kOid);

inline std::string Name(int tag = 0x0c, const std::string& text = "a") {
  return Sequence(Tlv(0x31, Sequence(Tlv(0x06, "\x55\x04\x03") + Tlv(tag, text))));
}

struct Parts {
  std::string version = Tlv(0xa0, Tlv(0x02, "\x02"));
  std::string serial = Tlv(0x02, "\x07");
  std::string algorithm = kAlgorithm;
  std::string issuer = Name();
  std::string validity = Sequence(Tlv(0x17, "150305142500Z") + Tlv(0x18, "20350305142500Z"));
  std::string subject = Name();
  std::string key = Sequence(kAlgorithm + Tlv(0x03, std::string("\0k", 2)));
  std::string rest = Tlv(0xa3, Sequence(Sequence(kOid + Tlv(0x04, "x"))));
  std::string outer = kAlgorithm + Tlv(0x03, std::string("\0s", 2));

  std::string Der() const {
    return Sequence(Sequence(version + serial + algorithm + issuer + validity + subject + key + rest) + outer);
  }
};

}  // namespace sluice::testing
