// SPDX-License-Identifier: Apache-2.0
// plugins/http/text.h - the few ways HTTP looks at bytes.
//
// All functions are pure, take borrowed bytes and cannot fail.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>

#include <sluice/plugin.hpp>

namespace http {

using sluice::View;

constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c; }
constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr int Hex(char c) {
  return IsDigit(c) ? c - '0' : Lower(c) >= 'a' && Lower(c) <= 'f' ? Lower(c) - 'a' + 10 : -1;
}
constexpr bool IsBlank(char c) { return c == ' ' || c == '\t'; }
// What servers and browsers skip around values: C's isspace().
constexpr bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
// RFC 9110 §5.6.2.
inline constexpr auto kTokens = [] {
  std::array<bool, 256> tokens{};
  for (int c = 0; c < 256; ++c) tokens[c] = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  for (const char c : View("!#$%&'*+-.^_`|~")) tokens[static_cast<unsigned char>(c)] = true;
  return tokens;
}();
constexpr bool IsToken(char c) { return kTokens[static_cast<unsigned char>(c)]; }

// Of the first CR or LF: find_first_of() calls memchr() for each byte.
constexpr View::size_type FindLineBreak(View text, size_t from = 0) {
  while (from < text.size() && text[from] != '\r' && text[from] != '\n') ++from;
  return from < text.size() ? from : View::npos;
}

constexpr View TrimLeft(View text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  return text;
}
constexpr View Trim(View text) {
  text = TrimLeft(text);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}
// Without the line end, and without CRs before it.
constexpr View Chomp(View line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  return line;
}

inline bool StartsWithNoCase(View text, View lower) {
  return text.size() >= lower.size() &&
         std::equal(lower.begin(), lower.end(), text.begin(), [](char l, char t) { return l == Lower(t); });
}
inline bool SameName(View text, View lower) {
  return text.size() == lower.size() && StartsWithNoCase(text, lower);
}
inline View::size_type FindNoCase(View text, View lower, size_t from = 0) {
  for (size_t at = from; at + lower.size() <= text.size(); ++at) {
    if (StartsWithNoCase(text.substr(at), lower)) return at;
  }
  return View::npos;
}
inline bool ContainsNoCase(View text, View lower) { return FindNoCase(text, lower) != View::npos; }
// As SameName, but NULs in `text` count for nothing: some peers drop them.
inline bool SameNameSkippingNul(View text, View lower) {
  if (text.size() <= lower.size()) return SameName(text, lower);
  size_t at = 0;
  for (const char c : text) {
    if (c == '\0') continue;
    if (at == lower.size() || Lower(c) != lower[at++]) return false;
  }
  return at == lower.size();
}

// All of `text` as a decimal number below 2^63; false otherwise.
inline bool ToNumber(View text, uint64_t* out) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value >> 63) return false;
  *out = value;
  return true;
}

}  // namespace http
