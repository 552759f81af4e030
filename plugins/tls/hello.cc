// SPDX-License-Identifier: Apache-2.0
#include "plugins/tls/hello.h"

namespace sluice::tls {
namespace {

constexpr size_t kRandomBytes = 32;
constexpr size_t kMaxSni = 255;  // a domain name, RFC 1035 section 2.3.4

enum Extension : uint32_t {
  kServerName = 0, kGroups = 10, kPointFormats = 11, kSignatureAlgorithms = 13, kAlpn = 16,
  kSessionTicket = 35, kPreSharedKey = 41, kEarlyData = 42, kSupportedVersions = 43,
  kEncryptedClientHello = 0xfe0d,
};

// Reads from the front; once it has failed everything is empty.
class Reader {
 public:
  explicit Reader(View in) : in_(in) {}
  bool ok() const { return ok_; }
  View rest() const { return in_; }
  View Take(size_t bytes) {
    if (!ok_ || bytes > in_.size()) {
      ok_ = false;
      return {};
    }
    const View taken = in_.substr(0, bytes);
    in_.remove_prefix(bytes);
    return taken;
  }
  uint32_t Number(size_t bytes) {
    uint32_t value = 0;
    for (const char c : Take(bytes)) value = value << 8 | static_cast<uint8_t>(c);
    return value;
  }
  View Vector(size_t length_bytes) {  // RFC 8446 section 3.4
    return Take(Number(length_bytes));
  }

 private:
  View in_;
  bool ok_ = true;
};

// RFC 6066 section 3.  The first name counts; one type of name exists.
bool ServerName(View body, Hello* hello) {
  const bool again = hello->has_sni && !hello->sni.empty();
  hello->has_sni = true;
  if (body.empty()) return true;  // a server's acknowledgement
  Reader in(body);
  in.Number(2);
  const uint32_t type = in.Number(1);
  if (in.ok() && type != 0) {
    hello->problems |= kSniType;
    return false;
  }
  const uint32_t length = in.Number(2);
  if (!in.ok()) return false;
  const View name = in.Take(length);
  if (!in.ok() || name.empty() || name.size() > kMaxSni) {
    hello->problems |= kSniLength;
    return false;
  }
  if (again) hello->problems |= kManySni;
  if (!again) hello->sni = name;
  return true;
}

bool SupportedVersions(View body, bool client, Hello* hello) {
  if (body.empty()) return true;
  Reader in(body);
  const View list = client ? in.Vector(1) : in.Take(2);
  if (!in.ok() || list.size() < 2) return false;
  for (size_t i = 0; i + 1 < list.size() && hello->supported == 0; i += 2) {
    const auto version = static_cast<uint16_t>(Be16(list, i));
    if (!client || IsKnownVersion(version)) hello->supported = version;
  }
  return true;
}

bool List(View body, size_t length_bytes, size_t element, View* out) {
  if (body.empty()) return true;
  Reader in(body);
  *out = in.Vector(length_bytes);
  return in.ok() && out->size() % element == 0;
}

bool ReadExtension(uint32_t type, View body, bool client, Hello* hello) {
  switch (type) {
    case kServerName: return ServerName(body, hello);
    case kGroups: return List(body, 2, 2, &hello->groups);
    case kPointFormats: return List(body, 1, 1, &hello->point_formats);
    case kSignatureAlgorithms: return List(body, 2, 2, &hello->signature_algorithms);
    case kAlpn: return List(body, 2, 1, &hello->alpn);
    case kSupportedVersions: return SupportedVersions(body, client, hello);
    case kSessionTicket: hello->ticket = true; return true;
    case kPreSharedKey: hello->psk = true; return true;
    case kEarlyData: hello->early_data = true; return true;
    case kEncryptedClientHello: hello->encrypted_hello = true; return true;
    default: return true;
  }
}

void ReadExtensions(View rest, bool client, Hello* hello) {
  if (rest.size() < 2) return;  // none: RFC 5246 section 7.4.1.2
  Reader block(rest);
  const View all = block.Vector(2);
  if (!block.ok()) hello->problems |= kBadLength;
  Reader in(all);
  while (!in.rest().empty()) {
    const size_t before = all.size() - in.rest().size();
    const uint32_t type = in.Number(2);
    const View body = in.Vector(2);
    if (!in.ok() || !ReadExtension(type, body, client, hello)) {
      if (!(hello->problems & (kSniType | kSniLength))) hello->problems |= kBadLength;
      hello->extensions = all.substr(0, before);
      return;
    }
  }
  hello->extensions = all;
}

Hello Parse(View body, bool client) {
  Hello hello;
  Reader in(body);
  hello.version = static_cast<uint16_t>(in.Number(2));
  hello.random = in.Take(kRandomBytes);
  // Drafts of TLS 1.3 before 22 have neither session id nor compression in the ServerHello.
  const bool whole = client || !IsTls13(hello.version);
  if (whole) hello.session_id = in.Vector(1);
  hello.ciphers = client ? in.Vector(2) : in.Take(2);
  if (whole) client ? in.Vector(1) : in.Take(1);
  if (!in.ok() || hello.ciphers.size() % 2 != 0) {
    hello.problems |= kBadLength;
    return hello;
  }
  ReadExtensions(in.rest(), client, &hello);
  return hello;
}

}  // namespace

bool IsKnownVersion(uint16_t version) {
  if (version == kSsl2 || (version >= kSsl3 && version <= kTls13)) return true;
  const bool draft = version == kTls13BeforeDraft16 || (version >= 0x7f10 && version <= 0x7f1c);
  const bool facebook = version == 0xfb1a || (version >= 0xfb14 && version <= 0xfb17);
  return draft || facebook;
}

bool IsTls13(uint16_t version) {
  return version == kTls13 || version >> 8 == 0x7f || version >> 8 == 0xfb;
}

uint16_t Hello::effective_version() const {
  if (supported != 0) return supported;
  const bool early = version == kTls13 || (version >= 0x7f01 && version < 0x7f10);
  return early ? static_cast<uint16_t>(kTls13BeforeDraft16) : version;
}

Hello ParseClientHello(View body) { return Parse(body, true); }
Hello ParseServerHello(View body) { return Parse(body, false); }

}  // namespace sluice::tls
