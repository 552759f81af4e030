// SPDX-License-Identifier: Apache-2.0
// tests/plugins/tls/wire.h - TLS as it is on the wire, and sessions made of it.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <string>
#include <vector>

#include "engine/base/types.h"
#include "tests/plugins/conversation.h"

namespace sluice::testing {

inline constexpr Direction kC = Direction::kToServer, kS = Direction::kToClient;
using Strings = std::vector<std::string>;

inline std::string Big(size_t value, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}
inline std::string Vector(const std::string& body, int bytes) { return Big(body.size(), bytes) + body; }
inline std::string Record(int type, const std::string& body, int version = 0x0303) {
  return static_cast<char>(type) + Big(static_cast<size_t>(version), 2) + Vector(body, 2);
}
inline std::string Message(int type, const std::string& body) {
  return static_cast<char>(type) + Vector(body, 3);
}
inline std::string Extension(int type, const std::string& body) {
  return Big(static_cast<size_t>(type), 2) + Vector(body, 2);
}
inline std::string Sni(const std::string& name) {
  return Extension(0, Vector(std::string(1, '\0') + Vector(name, 2), 2));
}
inline std::string Alpn(const Strings& names) {
  std::string list;
  for (const std::string& name : names) list += Vector(name, 1);
  return Extension(16, Vector(list, 2));
}
inline const std::string kRandom = "0123456789abcdefghijklmnopqrstuv";
inline std::string ClientHello(const std::string& extensions, int version = 0x0303,
                        const std::string& session = "") {
  return Message(1, Big(static_cast<size_t>(version), 2) + kRandom + Vector(session, 1) +
                        Vector(Big(0x1301, 2) + Big(0xc02f, 2), 2) + Vector(std::string(1, '\0'), 1) +
                        Vector(extensions, 2));
}
inline std::string ServerHello(const std::string& extensions, int version = 0x0303,
                        const std::string& session = "") {
  return Message(2, Big(static_cast<size_t>(version), 2) + kRandom + Vector(session, 1) +
                        Big(0xc02f, 2) + std::string(1, '\0') + Vector(extensions, 2));
}

// A self-signed certificate with what the log shows of one.
inline std::string MakeCertificate() {
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  X509* x = X509_new();
  X509_set_version(x, 2);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), 0x97e64709);
  ASN1_TIME_set_string(X509_getm_notBefore(x), "20150305142500Z");
  ASN1_TIME_set_string(X509_getm_notAfter(x), "99991231235959Z");
  X509_NAME* name = X509_get_subject_name(x);
  for (const auto& [type, text] : {std::pair{"C", "FR"}, std::pair{"O", "Stamus, Inc"},
                                   std::pair{"emailAddress", "a@b.test"}}) {
    X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(text), -1, -1, 0);
  }
  X509_set_issuer_name(x, name);
  X509_EXTENSION* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name,
                                              "DNS:a.test,email:b@c.test,IP:192.0.2.7");
  X509_add_ext(x, names, -1);
  X509_set_pubkey(x, key);
  X509_sign(x, key, nullptr);
  std::string der(static_cast<size_t>(i2d_X509(x, nullptr)), '\0');
  auto* at = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509(x, &at);
  X509_EXTENSION_free(names);
  X509_free(x);
  EVP_PKEY_free(key);
  return der;
}
inline const std::string& Der() {
  static const std::string der = MakeCertificate();
  return der;
}
inline std::string Certificate(const Strings& chain) {
  std::string list;
  for (const std::string& der : chain) list += Vector(der, 3);
  return Message(11, Vector(list, 3));
}

// A TLS 1.2 session; the server's flight is one stream of messages over small records.
inline Turns Session12() {
  std::string flight = ServerHello(Alpn({"h2"})) + Certificate({Der(), Der()}) + Message(14, "");
  std::string records;
  for (size_t i = 0; i < flight.size(); i += 100) records += Record(22, flight.substr(i, 100));
  return {{kC, Record(22, ClientHello(Sni("www.example.test") + Alpn({"h2", "http/1.1"})), 0x0301)},
          {kS, records},
          {kC, Record(22, Message(16, "key")) + Record(20, "\x01") + Record(22, "sealed")},
          {kS, Record(20, "\x01") + Record(22, "sealed")},
          {kC, Record(23, std::string(300, 'x'))},
          {kS, Record(23, std::string(300, 'y'))}};
}

// The same with a certificate of the client.
inline Turns MutualSession() {
  Turns session = Session12();
  session[2].second = Record(22, Certificate({Der()}) + Message(16, "key")) + Record(20, "\x01") + Record(22, "sealed");
  return session;
}

}  // namespace sluice::testing
