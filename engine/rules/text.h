// engine/rules/text.h
// Small helpers on text that every keyword needs.
// Threads: pure functions.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/rules/rule_set.h"

namespace sluice {

inline std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// Where `part` is in `text`: as find(), by a search that does not stop at each first letter.
inline size_t FindText(std::string_view text, std::string_view part) {
  const void* at = memmem(text.data(), text.size(), part.data(), part.size());
  return at == nullptr ? text.npos : static_cast<size_t>(static_cast<const char*>(at) - text.data());
}

// The whole text as a number, decimal or 0x hexadecimal.
template <typename T>
std::optional<T> ParseNumber(std::string_view text) {
  text = Trim(text);
  bool negative = false;
  if constexpr (std::is_signed_v<T>) {
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
      negative = text[0] == '-';
      text.remove_prefix(1);
    }
  }
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    base = 16;
    text.remove_prefix(2);
  }
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (value > static_cast<uint64_t>(std::numeric_limits<T>::max())) return std::nullopt;
  return negative ? static_cast<T>(-static_cast<int64_t>(value)) : static_cast<T>(value);
}

// Parts between separators, trimmed; separators within quotes do not count.
std::vector<std::string_view> Split(std::string_view text, char separator);
std::vector<std::string_view> SplitWords(std::string_view text);
std::string Lower(std::string_view text);

// A number with what it is a multiple of behind it: "10kb", "1MiB".
std::optional<uint64_t> ParseScaled(std::string_view text);

// ">5", "!=5", "1<>3", "1-3", "&0x10", "5" ...  `names`: also "answer" for 1.
// Of a signed number the test is over values in SignedOrder(): order is kept.
Result<UintTest> ParseUintTest(std::string_view text,
                               const std::vector<std::pair<uint64_t, std::string>>& names = {},
                               bool is_signed = false);

// Names of single bits: "a,b" or "a|b" for any of them, "!a" for a bit beside it.
Result<UintTest> ParseBitsTest(std::string_view text,
                               const std::vector<std::pair<uint64_t, std::string>>& names);

// Dates, UTC: ">2015", "2015-01-31", "<2015-01-31T23:59:59", "2014<>2016-06"; the test is
// over SignedOrder() of seconds since the epoch.
Result<UintTest> ParseDateTest(std::string_view text);

// What is between the quotes of a content: |41 42| and \" taken apart.
Result<std::string> DecodeContent(std::string_view text);
// The other way: what DecodeContent() reads as `bytes`.
std::string EncodeContent(std::string_view bytes);

}  // namespace sluice
