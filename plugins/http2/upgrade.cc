// SPDX-License-Identifier: Apache-2.0
#include "upgrade.h"

#include "../http/headers.h"
#include "../http/start_line.h"

namespace http2 {

using sluice::View;

namespace {

int Base64UrlDigit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '-' ? 62 : c == '_' ? 63 : -1;
}

}  // namespace

const std::string* UpgradeRequest::settings() const {
  for (const Field& field : fields) {
    if (http::SameName(field.name, "http2-settings")) return &field.value;
  }
  return nullptr;
}

std::optional<UpgradeRequest> ParseUpgradeRequest(View head) {
  const size_t end = head.find('\n');
  if (end == View::npos) return std::nullopt;
  const http::RequestLine line = http::ParseRequestLine(http::Chomp(head.substr(0, end + 1)));
  if (line.method.empty() || line.target.empty()) return std::nullopt;
  UpgradeRequest out;
  out.method = line.method;
  out.target = line.target;
  head.remove_prefix(end + 1);
  http::HeaderParser parser;
  while (!head.empty()) {
    UpgradeRequest::Field field;
    const http::HeaderResult result = parser.Next(head, false, true, &field.name, &field.value);
    if (result.step == http::HeaderStep::kHeader && !field.name.empty()) out.fields.push_back(std::move(field));
    if (result.step == http::HeaderStep::kEnd || result.used == 0) break;
    head.remove_prefix(result.used);
  }
  return out;
}

bool DecodeBase64Url(View text, std::string* out) {
  out->clear();
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (text.size() % 4 == 1) return false;
  uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const int digit = Base64UrlDigit(c);
    if (digit < 0) return false;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out->push_back(static_cast<char>(bits >> count & 0xff));
  }
  return true;
}

}  // namespace http2
