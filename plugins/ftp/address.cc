// SPDX-License-Identifier: Apache-2.0
#include "address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace ftp {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes a number of at most `most` off the front.
bool TakeNumber(View* text, uint32_t most, uint32_t* out) {
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *out);
  if (error != std::errc() || *out > most) return false;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return true;
}

// Six numbers with commas between them at the very front.
std::optional<Endpoint> SixNumbers(View text) {
  Endpoint out{.ip_version = 4};
  uint32_t numbers[6];
  for (size_t i = 0; i < 6; ++i) {
    if (i > 0 && (text.empty() || text[0] != ',')) return {};
    if (i > 0) text.remove_prefix(1);
    if (text.empty() || !IsDigit(text[0]) || !TakeNumber(&text, 255, &numbers[i])) return {};
    if (i < 4) out.address[i] = static_cast<uint8_t>(numbers[i]);
  }
  out.port = static_cast<uint16_t>(numbers[4] << 8 | numbers[5]);
  return out.port == 0 ? std::nullopt : std::optional(out);
}

View TakeUntil(View* text, char delimiter) {
  const size_t end = text->find(delimiter);
  const View taken = text->substr(0, end);
  *text = end == View::npos ? View() : text->substr(end + 1);
  return taken;
}

bool ReadPort(View text, uint16_t* port) {
  uint32_t number;
  if (text.empty() || !IsDigit(text[0]) || !TakeNumber(&text, 65535, &number) || !text.empty()) return false;
  *port = static_cast<uint16_t>(number);
  return number != 0;
}

}  // namespace

std::optional<Endpoint> ParsePort(View text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  return SixNumbers(text);
}

std::optional<Endpoint> ParseEprt(View text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  if (text.empty()) return {};
  const char delimiter = text[0];
  text.remove_prefix(1);
  const View family = TakeUntil(&text, delimiter);
  const std::string address(TakeUntil(&text, delimiter).substr(0, INET6_ADDRSTRLEN));
  Endpoint out{.ip_version = family == "1" ? 4u : family == "2" ? 6u : 0u};
  if (out.ip_version == 0) return {};
  if (inet_pton(out.ip_version == 4 ? AF_INET : AF_INET6, address.c_str(), out.address.data()) != 1) return {};
  if (!ReadPort(TakeUntil(&text, delimiter), &out.port)) return {};
  return out;
}

std::optional<Endpoint> ParsePassive(View text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (!IsDigit(text[i]) || (i > 0 && IsDigit(text[i - 1]))) continue;
    if (const auto found = SixNumbers(text.substr(i))) return found;
  }
  return {};
}

std::optional<Endpoint> ParseExtendedPassive(View text) {
  const size_t open = text.find('(');
  if (open == View::npos || open + 5 > text.size()) return {};
  View inside = text.substr(open + 1);
  const char delimiter = inside[0];
  for (int i = 0; i < 3; ++i) {
    if (!TakeUntil(&inside, delimiter).empty()) return {};
  }
  Endpoint out;
  if (!ReadPort(TakeUntil(&inside, delimiter), &out.port)) return {};
  return out;
}

}  // namespace ftp
