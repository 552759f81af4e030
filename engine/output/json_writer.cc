#include "engine/output/json_writer.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstring>
#include <ctime>

namespace sluice {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

// Bytes that may be copied as they are.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (int c = 0x20; c < 0x7f; ++c) plain[static_cast<size_t>(c)] = c != '"' && c != '\\';
  return plain;
}();

// Length of the well-formed UTF-8 sequence at p (RFC 3629 §4), 0 if it is none.
size_t Utf8Length(const uint8_t* p, size_t left) {
  const auto tail = [&](size_t i, uint8_t low, uint8_t high) {
    return i < left && p[i] >= low && p[i] <= high;
  };
  const uint8_t c = p[0];
  if (c >= 0xc2 && c <= 0xdf) return tail(1, 0x80, 0xbf) ? 2 : 0;
  if (c >= 0xe0 && c <= 0xef) {
    const uint8_t low = c == 0xe0 ? 0xa0 : 0x80, high = c == 0xed ? 0x9f : 0xbf;
    return tail(1, low, high) && tail(2, 0x80, 0xbf) ? 3 : 0;
  }
  if (c >= 0xf0 && c <= 0xf4) {
    const uint8_t low = c == 0xf0 ? 0x90 : 0x80, high = c == 0xf4 ? 0x8f : 0xbf;
    return tail(1, low, high) && tail(2, 0x80, 0xbf) && tail(3, 0x80, 0xbf) ? 4 : 0;
  }
  return 0;
}

void AppendEscape(uint8_t c, std::string* out) {
  switch (c) {
    case '"': *out += "\\\""; return;
    case '\\': *out += "\\\\"; return;
    case '\b': *out += "\\b"; return;
    case '\f': *out += "\\f"; return;
    case '\n': *out += "\\n"; return;
    case '\r': *out += "\\r"; return;
    case '\t': *out += "\\t"; return;
    default: break;
  }
  *out += c < 0x80 ? "\\u00" : "\\\\x";  // not UTF-8: \xNN as text
  *out += kHexDigits[c >> 4];
  *out += kHexDigits[c & 15];
}

}  // namespace

void JsonWriter::String(std::string_view text) {
  Comma();
  comma_ = true;
  out_ += '"';
  const size_t start = out_.size();
  const auto* p = reinterpret_cast<const uint8_t*>(text.data());
  size_t plain = 0;  // start of the run not yet copied
  for (size_t i = 0; i < text.size();) {
    if (kPlain[p[i]]) {
      ++i;
      continue;
    }
    out_.append(text, plain, i - plain);
    const size_t len = p[i] >= 0x80 ? Utf8Length(p + i, text.size() - i) : 0;
    if (len == 0 && p[i] >= 0x80) {
      out_.resize(start);
      return Bytes(text);
    }
    if (len > 0) {
      out_.append(text, i, len);
      i += len;
    } else {
      AppendEscape(p[i++], &out_);
    }
    plain = i;
  }
  out_.append(text, plain);
  out_ += '"';
}

// What is not UTF-8 as a whole is not text: each byte past ASCII stands for itself.
void JsonWriter::Bytes(std::string_view bytes) {
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x80 && kPlain[byte]) {
      out_ += c;
    } else {
      AppendEscape(byte, &out_);
    }
  }
  out_ += '"';
}

void JsonWriter::Number(uint64_t value) {
  Comma();
  comma_ = true;
  char digits[24];
  out_.append(digits, std::to_chars(digits, digits + sizeof(digits), value).ptr);
}

void JsonWriter::SignedNumber(int64_t value) {
  Comma();
  comma_ = true;
  char digits[24];
  out_.append(digits, std::to_chars(digits, digits + sizeof(digits), value).ptr);
}

void JsonWriter::Decimal(double value) {
  Comma();
  comma_ = true;
  char digits[64];
  const auto end = fmt::format_to_n(digits, sizeof(digits), "{:.2f}", value);
  out_.append(digits, std::min(end.size, sizeof(digits)));
}

void AppendBase64(Slice bytes, std::string* out) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const uint32_t v = uint32_t{bytes[i]} << 16 | uint32_t{bytes[i + 1]} << 8 | bytes[i + 2];
    const char quad[] = {kDigits[v >> 18], kDigits[(v >> 12) & 63], kDigits[(v >> 6) & 63],
                         kDigits[v & 63]};
    out->append(quad, 4);
  }
  if (const size_t left = bytes.size() - i; left > 0) {
    const uint32_t v = uint32_t{bytes[i]} << 16 | (left > 1 ? uint32_t{bytes[i + 1]} << 8 : 0);
    const char quad[] = {kDigits[v >> 18], kDigits[(v >> 12) & 63],
                         left > 1 ? kDigits[(v >> 6) & 63] : '=', '='};
    out->append(quad, 4);
  }
}

void JsonWriter::Base64(Slice bytes) {
  Comma();
  comma_ = true;
  out_ += '"';
  AppendBase64(bytes, &out_);
  out_ += '"';
}

void JsonWriter::Hex(Slice bytes) {
  Comma();
  comma_ = true;
  out_ += '"';
  for (const uint8_t c : bytes) {
    out_ += kHexDigits[c >> 4];
    out_ += kHexDigits[c & 15];
  }
  out_ += '"';
}

void JsonWriter::Time(Nanos time) {
  Comma();
  comma_ = true;
  const int64_t micros = std::chrono::floor<std::chrono::microseconds>(time).count();
  int64_t second = micros / 1'000'000;
  int64_t fraction = micros % 1'000'000;
  if (fraction < 0) {
    fraction += 1'000'000;
    --second;
  }
  if (second != zone_second_) {
    zone_second_ = second;
    const time_t t = second;
    tm parts{};
    localtime_r(&t, &parts);
    char prefix[64];
    std::strftime(prefix, sizeof(prefix), "%Y-%m-%dT%H:%M:%S.", &parts);
    std::memcpy(zone_prefix_, prefix, sizeof(zone_prefix_));
    char suffix[16];
    std::strftime(suffix, sizeof(suffix), "%z", &parts);
    std::memcpy(zone_suffix_, suffix, 5);
  }
  out_ += '"';
  out_.append(zone_prefix_, 20);
  char digits[6];
  for (int i = 5; i >= 0; --i) {
    digits[i] = static_cast<char>('0' + fraction % 10);
    fraction /= 10;
  }
  out_.append(digits, 6);
  out_.append(zone_suffix_, 5);
  out_ += '"';
}

void JsonWriter::Date(int64_t seconds) {
  const std::chrono::sys_seconds time{std::chrono::seconds{seconds}};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  char text[32];
  const auto end = fmt::format_to_n(
      text, sizeof(text), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  String(std::string_view(text, std::min(end.size, sizeof(text))));
}

void AppendAddress(const Address& address, std::string* out) {
  const auto& b = address.bytes;
  if (address.version == 4) {
    char digits[4];
    for (size_t i = 0; i < 4; ++i) {
      if (i > 0) *out += '.';
      out->append(digits, std::to_chars(digits, digits + 4, b[i]).ptr);
    }
    return;
  }
  for (size_t i = 0; i < 16; ++i) {
    if (i > 0 && i % 2 == 0) *out += ':';
    *out += kHexDigits[b[i] >> 4];
    *out += kHexDigits[b[i] & 15];
  }
}

void AppendShortIpv6(const Address& address, std::string* out) {
  const auto group = [&](size_t i) { return address.bytes[2 * i] << 8 | address.bytes[2 * i + 1]; };
  size_t best = 8, most = 1;  // the longest run of zeros, of more than one group; the first of equals
  for (size_t i = 0; i < 8; ++i) {
    size_t end = i;
    while (end < 8 && group(end) == 0) ++end;
    if (end - i > most) best = i, most = end - i;
  }
  for (size_t i = 0; i < 8; ++i) {
    if (i == best) {
      *out += "::";
      i += most - 1;
      continue;
    }
    if (i > 0 && i != best + most) *out += ':';
    char digits[4];
    out->append(digits, std::to_chars(digits, digits + 4, group(i), 16).ptr);
  }
}

void JsonWriter::Ip(const Address& address) {
  Comma();
  comma_ = true;
  out_ += '"';
  short_ipv6_ && address.version == 6 ? AppendShortIpv6(address, &out_) : AppendAddress(address, &out_);
  out_ += '"';
}

void AppendPrintable(Slice bytes, std::string* out) {
  for (const uint8_t c : bytes) {
    *out += (c >= 0x20 && c < 0x7f) || c == '\r' || c == '\n' ? static_cast<char>(c) : '.';
  }
}

}  // namespace sluice
