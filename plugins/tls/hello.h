// SPDX-License-Identifier: Apache-2.0
// plugins/tls/hello.h - ClientHello and ServerHello, taken apart without a copy.
//
// RFC 8446 section 4.1, RFC 5246 section 7.4.1; drafts of TLS 1.3 as they were on the wire.
// Memory: views into the message; they die with it.  Nothing is allocated.
// Errors: what is malformed is named in `problems`; what stands before it is kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::tls {

using View = std::string_view;

inline uint32_t Byte(View v, size_t i) { return static_cast<uint8_t>(v[i]); }
inline uint32_t Be16(View v, size_t i) { return Byte(v, i) << 8 | Byte(v, i + 1); }
inline uint32_t Be24(View v, size_t i) { return Byte(v, i) << 16 | Be16(v, i + 1); }

enum Version : uint16_t {
  kUndetermined = 0, kSsl2 = 0x0002, kSsl3 = 0x0300, kTls10 = 0x0301, kTls11 = 0x0302,
  kTls12 = 0x0303, kTls13 = 0x0304,
  kTls13BeforeDraft16 = 0x7f01,  // what drafts 1 to 15 become, as they cannot be told apart
};

// RFC 8701: values that must be ignored.
inline bool IsGrease(uint32_t v) { return (v & 0x0f0f) == 0x0a0a && (v >> 8) == (v & 0xff); }
// Published versions and the drafts that were deployed.
bool IsKnownVersion(uint16_t version);
// TLS 1.3 or a draft of it.
bool IsTls13(uint16_t version);

enum Problem : uint32_t {
  kBadLength = 1, kManySni = 2, kSniType = 4, kSniLength = 8,
};

struct Hello {
  uint16_t version = 0;         // the field of that name; 0: not even that is there
  uint16_t supported = 0;       // of supported_versions: the server's choice, the client's first
  View random, session_id;
  View ciphers;                 // 16 bits each
  View extensions;              // type, length, body each; up to the first malformed one
  View sni;
  View groups, point_formats, signature_algorithms;  // 16, 8 and 16 bits each
  View alpn;                    // a length byte before each name
  bool ticket = false, early_data = false, encrypted_hello = false, psk = false;
  bool has_sni = false;         // the extension, also an empty one
  uint32_t problems = 0;        // set of Problem

  uint16_t effective_version() const;  // supported, else version; drafts before 16 as one
};

// A message body (behind its type and length).
Hello ParseClientHello(View body);
Hello ParseServerHello(View body);

// Calls f(value) for each 16 bit value.
template <typename F>
void ForEach16(View list, F&& f) {
  for (size_t i = 0; i + 1 < list.size(); i += 2) f(Be16(list, i));
}
// Calls f(type) for each extension of a list that ParseXHello() has checked.
template <typename F>
void ForEachExtension(View list, F&& f) {
  for (size_t i = 0; i + 4 <= list.size(); i += 4 + Be16(list, i + 2)) f(Be16(list, i));
}
// Calls f(name) for each protocol; the last may be cut short by the list's end.
template <typename F>
void ForEachAlpn(View list, F&& f) {
  while (!list.empty()) {
    const size_t length = Byte(list, 0);
    if (length > list.size() - 1) return;
    f(list.substr(1, length));
    list.remove_prefix(1 + length);
  }
}

}  // namespace sluice::tls
