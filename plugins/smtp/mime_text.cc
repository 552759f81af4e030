// SPDX-License-Identifier: Apache-2.0
#include "mime_text.h"

#include <algorithm>
#include <array>

namespace smtp {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 0x20) : c; }
bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = Lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

constexpr uint8_t kNoDigit = 255;
constexpr std::array<uint8_t, 256> kBase64 = [] {
  std::array<uint8_t, 256> table{};
  table.fill(kNoDigit);
  constexpr View kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < kDigits.size(); ++i) table[static_cast<uint8_t>(kDigits[i])] = static_cast<uint8_t>(i);
  return table;
}();

// One parameter's name and value; *text moves behind it.
struct NamedValue {
  View name;
  std::string value;
};

std::string TakeValue(View* text) {
  std::string value;
  if (!text->empty() && text->front() == '"') {
    size_t i = 1;
    for (; i < text->size() && (*text)[i] != '"'; ++i) {
      if ((*text)[i] == '\\' && i + 1 < text->size()) ++i;
      value += (*text)[i];
    }
    text->remove_prefix(std::min(i + 1, text->size()));
    return value;
  }
  const size_t end = std::min(text->find(';'), text->size());
  value = Trim(text->substr(0, end));
  text->remove_prefix(end);
  return value;
}

bool TakeParameter(View* text, NamedValue* out) {
  const size_t semicolon = text->find(';');
  if (semicolon == View::npos) return false;
  text->remove_prefix(semicolon + 1);
  const size_t end = text->find_first_of("=;");
  if (end == View::npos || (*text)[end] == ';') {
    out->name = {};
    return !text->empty();
  }
  out->name = Trim(text->substr(0, end));
  text->remove_prefix(end + 1);
  while (!text->empty() && IsBlank(text->front())) text->remove_prefix(1);
  out->value = TakeValue(text);
  return true;
}

// "utf-8'en'a%20b": the text behind the second quote, decoded (RFC 2231 section 4).
std::string PercentDecode(View text, bool first) {
  if (first) {
    const size_t one = text.find('\''), two = one == View::npos ? one : text.find('\'', one + 1);
    if (two != View::npos) text.remove_prefix(two + 1);
  }
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool coded = text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 && HexDigit(text[i + 2]) >= 0;
    out += coded ? static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2])) : text[i];
    if (coded) i += 2;
  }
  return out;
}

}  // namespace

bool EqualsNoCase(View a, View b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return Lower(x) == Lower(y); });
}
bool StartsWithNoCase(View text, View prefix) {
  return text.size() >= prefix.size() && EqualsNoCase(text.substr(0, prefix.size()), prefix);
}
View Trim(View text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

void Base64Decoder::Decode(View text, std::string* out) {
  for (const char c : text) {
    if (c == '=') {
      if (!ended_) End(out);
      ended_ = true;
      continue;
    }
    const uint8_t digit = kBase64[static_cast<uint8_t>(c)];
    if (digit == kNoDigit) {
      invalid_ |= !IsBlank(c);
      continue;
    }
    ended_ = false;
    bits_ = bits_ << 6 | digit;
    if (++count_ < 4) continue;
    for (const int shift : {16, 8, 0}) *out += static_cast<char>(bits_ >> shift);
    bits_ = count_ = 0;
  }
}

void Base64Decoder::End(std::string* out) {
  if (count_ >= 2) *out += static_cast<char>(bits_ >> (6 * count_ - 8));
  if (count_ == 3) *out += static_cast<char>(bits_ >> 2);
  bits_ = count_ = 0;
}

void QuotedPrintableDecoder::Decode(View text, View eol, std::string* out) {
  for (const char c : text) {
    if (held_.empty() && c != '=') {
      *out += c;
      continue;
    }
    held_ += c;
    if (held_.size() == 1) continue;
    if (HexDigit(c) < 0) {  // no escape: as it stands
      invalid_ = true;
      *out += held_;
      held_.clear();
    } else if (held_.size() == 3) {
      *out += static_cast<char>(HexDigit(held_[1]) * 16 + HexDigit(held_[2]));
      held_.clear();
    }
  }
  if (eol.empty()) return;
  if (held_ != "=") {  // not a soft line break
    invalid_ |= !held_.empty();
    out->append(held_).append(eol);
  }
  held_.clear();
}

std::string Parameter(View header, View name) {
  std::string out;
  size_t section = 0;
  NamedValue parameter;
  while (TakeParameter(&header, &parameter)) {
    if (!StartsWithNoCase(parameter.name, name)) continue;
    View suffix = parameter.name.substr(name.size());
    if (suffix.empty()) return parameter.value;
    const bool coded = suffix.ends_with('*');
    if (coded) suffix.remove_suffix(1);
    if (suffix.empty()) return PercentDecode(parameter.value, true);
    if (suffix != "*" + std::to_string(section)) continue;  // sections come in order
    out += coded ? PercentDecode(parameter.value, section == 0) : parameter.value;
    ++section;
  }
  return out;
}

std::vector<View> WebAddresses(View text) {
  static constexpr View kSeparator = "://";
  std::vector<View> out;
  for (size_t at = text.find(kSeparator); at != View::npos; at = text.find(kSeparator, at)) {
    const View before = text.substr(0, at);
    const auto ends = [before](View scheme) {
      return before.size() >= scheme.size() && EqualsNoCase(before.substr(before.size() - scheme.size()), scheme);
    };
    at += kSeparator.size();
    if (!ends("http") && !ends("https")) continue;
    size_t end = at;
    while (end < text.size() && static_cast<uint8_t>(text[end]) > ' ' && View("<>\"'`").find(text[end]) == View::npos) ++end;
    if (end > at) out.push_back(text.substr(at, end - at));
    at = end;
  }
  return out;
}

std::vector<View> Addresses(View header) {
  std::vector<View> out;
  bool quoted = false;
  uint32_t angle = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= header.size(); ++i) {
    const char c = i < header.size() ? header[i] : ',';
    if (i < header.size() && c == '\\' && quoted) {
      ++i;
      continue;
    }
    if (c == '"') quoted = !quoted;
    if (c == '<') angle = 1;
    if (c == '>') angle = 0;
    if (i < header.size() && (c != ',' || quoted || angle != 0)) continue;
    if (const View one = Trim(header.substr(begin, i - begin)); !one.empty()) out.push_back(one);
    begin = i + 1;
  }
  return out;
}

}  // namespace smtp
