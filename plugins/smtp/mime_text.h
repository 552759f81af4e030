// SPDX-License-Identifier: Apache-2.0
// plugins/smtp/mime_text.h - the small languages of a mail: transfer encodings, parameters of
// headers, lists of addresses.
//
// Threads: values of one flow.  Memory: what is returned; decoders carry at most 4 bytes.
// Bad input: decoders pass over what is not theirs and say so.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sluice/plugin.hpp>

namespace smtp {

using sluice::View;

bool EqualsNoCase(View a, View b);
bool StartsWithNoCase(View text, View prefix);
View Trim(View text);

// RFC 2045 section 6.8, in pieces cut anywhere.
class Base64Decoder {
 public:
  void Decode(View text, std::string* out);
  // The bytes of a last group that is not whole.
  void End(std::string* out);
  bool invalid() const { return invalid_; }

 private:
  uint32_t bits_ = 0;
  uint32_t count_ = 0;  // characters in bits_
  bool ended_ = false;  // '=' was seen: what follows is padding, or a new group
  bool invalid_ = false;
};

// RFC 2045 section 6.7, line by line; a line may come in pieces.
class QuotedPrintableDecoder {
 public:
  // `eol` as sent, empty while the line goes on.
  void Decode(View text, View eol, std::string* out);
  bool invalid() const { return invalid_; }

 private:
  std::string held_;  // "=", "=X"
  bool invalid_ = false;
};

// The value of a parameter of Content-Type or Content-Disposition: quoted or not, in sections and
// percent-encoded as RFC 2231 has it.  Empty if there is none.
std::string Parameter(View header, View name);

// What follows "http://" and "https://" in a text, each up to where no address goes on.
std::vector<View> WebAddresses(View text);

// The addresses of a header, where commas part them (RFC 5322 section 3.4).
std::vector<View> Addresses(View header);

}  // namespace smtp
