// SPDX-License-Identifier: Apache-2.0
#include "plugins/tls/fingerprint.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "plugins/lib/digest.h"

namespace sluice::tls {
namespace {

constexpr size_t kMaxSorted = 32 * 1024;  // values of one list: as many as 64 KiB hold

void AppendNumber(uint32_t value, std::string* out) {
  char digits[12];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  out->append(digits, end);
}

// Appends values with '-' between them, without GREASE.
class Joined {
 public:
  explicit Joined(std::string* out) : out_(out) { out->push_back(','); }
  void Add(uint32_t value) {
    if (IsGrease(value)) return;
    if (!first_) out_->push_back('-');
    first_ = false;
    AppendNumber(value, out_);
  }

 private:
  std::string* out_;
  bool first_ = true;
};

void AppendHex16(uint32_t value, std::string* out) {
  for (int shift = 12; shift >= 0; shift -= 4) out->push_back("0123456789abcdef"[value >> shift & 15]);
}

// One list of a hello in ascending order.
struct Sorted {
  std::array<uint16_t, kMaxSorted> values;
  size_t size = 0;
  void Add(uint32_t value) {
    if (size < values.size()) values[size++] = static_cast<uint16_t>(value);
  }
  void AppendHex(std::string* out) {
    std::sort(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(size));
    for (size_t i = 0; i < size; ++i) {
      if (i > 0) out->push_back(',');
      AppendHex16(values[i], out);
    }
  }
};

View Ja4Version(uint16_t version) {
  switch (version) {
    case kTls13: return "13";
    case kTls12: return "12";
    case kTls11: return "11";
    case kTls10: return "10";
    case kSsl3: return "s3";
    case kSsl2: return "s2";
    default: return "00";
  }
}

void AppendCount(size_t count, std::string* out) {
  count = std::min<size_t>(count, 99);
  out->push_back(static_cast<char>('0' + count / 10));
  out->push_back(static_cast<char>('0' + count % 10));
}

// First and last character of the first protocol; hex digits where one is no letter or digit.
void AppendAlpn(View list, std::string* out) {
  const size_t length = list.empty() ? 0 : Byte(list, 0);
  if (length == 0 || length >= list.size()) {
    out->append("00");
    return;
  }
  const uint32_t first = Byte(list, 1), last = Byte(list, length);
  const auto plain = [](uint32_t c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  if (plain(first) && plain(last)) {
    out->push_back(static_cast<char>(first));
    out->push_back(static_cast<char>(last));
  } else {
    out->push_back("0123456789abcdef"[first >> 4]);
    out->push_back("0123456789abcdef"[last & 15]);
  }
}

void AppendHash(View text, std::string* out) {
  out->push_back('_');
  if (text.empty()) {
    out->append("000000000000");
  } else {
    AppendSha256Hex(text, 12, out);
  }
}

}  // namespace

void Ja3Text(const Hello& client, std::string* out) {
  out->clear();
  AppendNumber(client.version, out);
  Joined ciphers(out);
  ForEach16(client.ciphers, [&](uint32_t v) { ciphers.Add(v); });
  Joined extensions(out);
  ForEachExtension(client.extensions, [&](uint32_t v) { extensions.Add(v); });
  Joined groups(out);
  ForEach16(client.groups, [&](uint32_t v) { groups.Add(v); });
  Joined formats(out);
  for (const char c : client.point_formats) formats.Add(static_cast<uint8_t>(c));
}

void Ja3sText(const Hello& server, std::string* out) {
  out->clear();
  AppendNumber(server.version, out);
  Joined ciphers(out);
  ForEach16(server.ciphers, [&](uint32_t v) { ciphers.Add(v); });
  Joined extensions(out);
  ForEachExtension(server.extensions, [&](uint32_t v) { extensions.Add(v); });
}

void Ja4Text(const Hello& client, std::string* out) {
  thread_local Sorted sorted;  // too large for a stack
  thread_local std::string text;
  text.clear();
  sorted.size = 0;
  ForEach16(client.ciphers, [](uint32_t v) {
    if (!IsGrease(v)) sorted.Add(v);
  });
  const size_t num_ciphers = sorted.size;
  size_t num_extensions = 0;
  ForEachExtension(client.extensions, [&](uint32_t v) { num_extensions += !IsGrease(v); });
  out->assign("t").append(Ja4Version(client.effective_version()));
  out->push_back(client.has_sni ? 'd' : 'i');
  AppendCount(num_ciphers, out);
  AppendCount(num_extensions, out);
  AppendAlpn(client.alpn, out);
  sorted.AppendHex(&text);
  AppendHash(text, out);
  text.clear();
  sorted.size = 0;
  ForEachExtension(client.extensions, [](uint32_t v) {
    if (!IsGrease(v) && v != 0 && v != 16) sorted.Add(v);  // server_name and ALPN vary by server
  });
  sorted.AppendHex(&text);
  // Suricata's underscore stands also where no signature algorithm follows; FoxIO's does not.
  char mark = '_';
  if (client.signature_algorithms.empty()) text.push_back(mark);
  ForEach16(client.signature_algorithms, [&](uint32_t v) {
    if (IsGrease(v)) return;
    text.push_back(mark);
    AppendHex16(v, &text);
    mark = ',';
  });
  AppendHash(text, out);
}

void Md5Hex(View text, std::string* out) {
  out->clear();
  AppendMd5Hex(text, out);
}

}  // namespace sluice::tls
