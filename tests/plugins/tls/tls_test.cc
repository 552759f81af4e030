// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "tests/plugins/conversation.h"

namespace sluice::testing {
namespace {

constexpr Direction kC = Direction::kToServer, kS = Direction::kToClient;
using Strings = std::vector<std::string>;

std::string Big(size_t value, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}
std::string Vector(const std::string& body, int bytes) { return Big(body.size(), bytes) + body; }
std::string Record(int type, const std::string& body, int version = 0x0303) {
  return static_cast<char>(type) + Big(static_cast<size_t>(version), 2) + Vector(body, 2);
}
std::string Message(int type, const std::string& body) {
  return static_cast<char>(type) + Vector(body, 3);
}
std::string Extension(int type, const std::string& body) {
  return Big(static_cast<size_t>(type), 2) + Vector(body, 2);
}
std::string Sni(const std::string& name) {
  return Extension(0, Vector(std::string(1, '\0') + Vector(name, 2), 2));
}
std::string Alpn(const Strings& names) {
  std::string list;
  for (const std::string& name : names) list += Vector(name, 1);
  return Extension(16, Vector(list, 2));
}
const std::string kRandom = "0123456789abcdefghijklmnopqrstuv";
std::string ClientHello(const std::string& extensions, int version = 0x0303,
                        const std::string& session = "") {
  return Message(1, Big(static_cast<size_t>(version), 2) + kRandom + Vector(session, 1) +
                        Vector(Big(0x1301, 2) + Big(0xc02f, 2), 2) + Vector(std::string(1, '\0'), 1) +
                        Vector(extensions, 2));
}
std::string ServerHello(const std::string& extensions, int version = 0x0303,
                        const std::string& session = "") {
  return Message(2, Big(static_cast<size_t>(version), 2) + kRandom + Vector(session, 1) +
                        Big(0xc02f, 2) + std::string(1, '\0') + Vector(extensions, 2));
}

// A self-signed certificate with what the log shows of one.
std::string MakeCertificate() {
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
const std::string& Der() {
  static const std::string der = MakeCertificate();
  return der;
}
std::string Certificate(const Strings& chain) {
  std::string list;
  for (const std::string& der : chain) list += Vector(der, 3);
  return Message(11, Vector(list, 3));
}

// A TLS 1.2 session; the server's flight is one stream of messages over small records.
Turns Session12() {
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

TEST(Tls, ASessionIsOneTransaction) {
  Conversation c(SLUICE_TCP, 443);
  for (const auto& [direction, bytes] : Session12()) c.Send(direction, bytes);
  ASSERT_EQ(c.num_transactions(), 1u);
  EXPECT_TRUE(c.tx(0).done());
  EXPECT_FALSE(c.tx(0).no_log);
  EXPECT_EQ(c.Value(0, "tls.sni", kC), "www.example.test");
  EXPECT_EQ(c.Values(0, "tls.alpn", kC), (Strings{"h2", "http/1.1"}));
  EXPECT_EQ(c.Values(0, "tls.alpn", kS), Strings{"h2"});
  EXPECT_EQ(c.Value(0, "tls.cert_subject", kS), "C=FR, O=Stamus, Inc, Email=a@b.test");
  EXPECT_EQ(c.Value(0, "tls.cert_issuer", kS), c.Value(0, "tls.cert_subject", kS));
  EXPECT_EQ(c.Value(0, "tls.cert_serial", kS), "00:97:E6:47:09");
  EXPECT_EQ(c.Value(0, "tls.cert_fingerprint", kS).size(), 59u);
  EXPECT_EQ(c.Values(0, "tls.subjectaltname", kS), (Strings{"a.test", "b@c.test", "192.0.2.7"}));
  EXPECT_EQ(c.Values(0, "tls.certs", kS), (Strings{Der(), Der()}));
  EXPECT_EQ(c.Value(0, "tls.random", kC), kRandom);
  EXPECT_EQ(c.Number(0, "notbefore"), 1425565500u);
  EXPECT_EQ(c.Number(0, "notafter"), 253402300799u);  // past what nanoseconds can say
  EXPECT_TRUE(c.flow().opaque());
  EXPECT_TRUE(c.Events().empty());
}

TEST(Tls, FingerprintsAreThoseOfTheirAuthors) {
  Conversation c;
  c.Client(Record(22, ClientHello(Sni("a.test") + Extension(0x1a1a, "") + Alpn({"h2"}) +
                                  Extension(10, Vector(Big(29, 2) + Big(23, 2), 2)) +
                                  Extension(11, Vector(std::string(1, '\0'), 1)) +
                                  Extension(13, Vector(Big(0x0403, 2), 2)))));
  c.Server(Record(22, ServerHello(Extension(0xff01, "\0"))));
  EXPECT_EQ(c.Value(0, "ja3.string", kC), "771,4865-49199,0-16-10-11-13,29-23,0");
  EXPECT_EQ(c.Value(0, "ja3s.string", kS), "771,49199,65281");
  EXPECT_EQ(c.Value(0, "ja4.hash", kC).substr(0, 10), "t12d0205h2");
  EXPECT_EQ(c.Value(0, "ja3.hash", kC).size(), 32u);
}

// Where TCP happens to cut must not change what the rules see.
TEST(Tls, EveryCutGivesTheSameValues) {
  const Turns session = Session12();
  const std::string whole = RunTurns(session, SIZE_MAX, 0, 443);
  for (size_t turn = 0; turn < session.size(); ++turn) {
    for (size_t cut = 1; cut < session[turn].second.size(); ++cut) {
      ASSERT_EQ(RunTurns(session, turn, cut, 443), whole) << turn << "," << cut;
    }
  }
}

TEST(Tls, OneByteAtATimeGivesTheSameValues) {
  const Turns session = Session12();
  Conversation c(SLUICE_TCP, 443);
  for (const auto& [direction, bytes] : session) {
    for (const char byte : bytes) c.Send(direction, {&byte, 1});
  }
  EXPECT_EQ(c.Finish().Snapshot(), RunTurns(session, SIZE_MAX, 0, 443));
}

TEST(Tls, Versions) {
  const auto versions = [](int value) { return Extension(43, Big(static_cast<size_t>(value), 2)); };
  const std::string offer = Extension(43, Vector(Big(0x0a0a, 2) + Big(0x0304, 2), 1));
  const struct {
    const char* shown;
    std::string hello;
  } kCases[] = {{"TLS 1.3", ServerHello(versions(0x0304))},
                {"TLS 1.3 draft-28", ServerHello(versions(0x7f1c))},
                {"TLS 1.3 draft-26-fb", ServerHello(versions(0xfb1a))},
                {"0x7e01", ServerHello(versions(0x7e01))},
                {"TLS 1.1", ServerHello("", 0x0302)},
                {"TLSv1", ServerHello("", 0x0301)},
                {"SSLv3", ServerHello("", 0x0300)}};
  for (const auto& item : kCases) {
    Conversation c;
    c.Client(Record(22, ClientHello(offer))).Server(Record(22, item.hello)).Finish();
    std::string last;
    for (const FieldValue& v : c.tx(0).values) {
      if (v.field != UINT16_MAX && c.tx(0).schema->fields[v.field].log == "version") last = AsText(v.bytes);
    }
    EXPECT_EQ(last, item.shown);
  }
}

TEST(Tls, SessionsWithoutACertificateAreLoggedWhenTheyHideItOrDoWithout) {
  const std::string offer13 = Extension(43, Vector(Big(0x0304, 2), 1));
  const std::string chosen13 = Extension(43, Big(0x0304, 2));
  const struct {
    const char* what;
    std::string client, server;
    bool logged;
  } kCases[] = {{"only a hello", ClientHello(""), "", false},
                {"a ticket", ClientHello(Extension(35, "t")), "", true},
                {"no certificate", ClientHello(""), ServerHello(""), false},
                {"the client's session", ClientHello("", 0x0303, "s"), ServerHello("", 0x0303, "s"), true},
                {"another session", ClientHello("", 0x0303, "s"), ServerHello("", 0x0303, "t"), false},
                {"TLS 1.3", ClientHello(offer13), ServerHello(chosen13), true}};
  for (const auto& item : kCases) {
    Conversation c;
    c.Client(Record(22, item.client));
    if (!item.server.empty()) c.Server(Record(22, item.server));
    EXPECT_EQ(!c.Finish().tx(0).no_log, item.logged) << item.what;
  }
}

TEST(Tls, Anomalies) {
  const std::string hello = Record(22, ClientHello(""));
  const std::string broken = Der().substr(0, Der().size() - 9);
  const struct {
    Strings events;
    Direction from;
    std::string bytes;
  } kCases[] = {
      {{"invalid_record_type"}, kC, Record(25, "x")},
      {{"invalid_record_length"}, kC, Record(22, "")},
      {{"invalid_record_length"}, kC, std::string("\x16\x03\x03\xff\xff", 5)},
      {{"invalid_handshake_message"}, kC, Record(22, Message(99, "x"))},
      {{"multiple_sni_extensions"}, kC, Record(22, ClientHello(Sni("a") + Sni("b")))},
      {{"invalid_sni_length"}, kC, Record(22, ClientHello(Sni("")))},
      {{"invalid_sni_length"}, kC, Record(22, ClientHello(Sni(std::string(256, 'a'))))},
      {{"invalid_sni_type"}, kC, Record(22, ClientHello(Extension(0, std::string("\0\4\1\0\1a", 6))))},
      {{"handshake_invalid_length"}, kC, Record(22, Message(1, "\x03\x03short"))},
      {{"invalid_alert_message"}, kC, Record(21, "x")},
      {{"heartbeat_message", "overflow_heartbeat_message"}, kC, Record(24, std::string("\1\x40\0", 3))},
      {{"heartbeat_message", "invalid_heartbeat_message"}, kC, Record(24, std::string("\1\0\1x", 4))},
      {{"invalid_certificate"}, kS, Record(22, ServerHello("")) + Record(22, Certificate({broken}))},
      {{"certificate_invalid_length"}, kS,
       Record(22, ServerHello("")) + Record(22, Certificate({std::string("0\5\x30\x84\xff\xff\xff", 7)}))},
      {{"certificate_invalid_der", "certificate_unknown_element"}, kS,
       Record(22, ServerHello("")) + Record(22, Certificate({"0\5\2\3abc"}))},
      {{"invalid_certificate"}, kS,
       Record(22, ServerHello("")) + Record(22, Message(11, std::string("\0\0\xff", 3)))},
      {{"invalid_certificate"}, kS,
       Record(22, ServerHello("")) + Record(22, Message(11, Vector(Big(9, 3) + "short", 3)))},
      {{"invalid_tls_header"}, kS, Record(22, ServerHello("")) + Record(20, "\x01", 0x0203)},
      {{"too_many_records_in_packet"}, kC, std::string("\x80\1\5\x80\1\5", 6)},
  };
  for (const auto& item : kCases) {
    Conversation c;
    c.Client(hello.substr(0, item.from == kC && item.bytes[0] == 22 ? 0 : hello.size()));
    c.Send(item.from, item.bytes);
    Strings events = c.Events();
    EXPECT_EQ(events, item.events) << ::testing::PrintToString(item.events);
  }
}

// As Suricata has it: what stands for the session is the first that can be read.
TEST(Tls, ABrokenCertificateCostsItselfAlone) {
  Conversation c;
  c.Client(Record(22, ClientHello("")));
  c.Server(Record(22, ServerHello("") + Certificate({"0\5\2\3abc", Der()}) + Message(14, "")));
  EXPECT_EQ(c.Value(0, "tls.cert_serial", kS), "00:97:E6:47:09");
  EXPECT_EQ(c.Values(0, "tls.certs", kS), Strings{Der()});
  EXPECT_EQ(c.Events(), (Strings{"certificate_invalid_der", "certificate_unknown_element"}));
}

TEST(Tls, AMessageLongerThanItsLimitIsSkippedAndReported) {
  Conversation c;
  std::string flight = ServerHello("") + static_cast<char>(22) + Big(200'000, 3) +
                       std::string(200'000, 'x') + Certificate({Der()});
  c.Client(Record(22, ClientHello("")));
  for (size_t i = 0; i < flight.size(); i += 16000) c.Server(Record(22, flight.substr(i, 16000)));
  EXPECT_EQ(c.Events(), Strings{"handshake_invalid_length"});
  EXPECT_EQ(c.Value(0, "tls.cert_serial", kS), "00:97:E6:47:09");
}

TEST(Tls, ALossInTheHandshakeEndsTheSide) {
  Conversation c;
  c.Client(Record(22, ClientHello(Sni("a.test"))));
  c.Server(Record(22, ServerHello("")).substr(0, 20)).Gap(kS, 100).Server(Record(22, Certificate({Der()})));
  EXPECT_EQ(c.Value(0, "tls.sni", kC), "a.test");
  EXPECT_EQ(c.Value(0, "tls.cert_subject", kS), "(absent)");
}

TEST(Tls, Ssl2HelloThenTls) {
  Conversation c;
  const std::string body = "\x01" + Big(0x0301, 2) + Big(3, 2) + Big(0, 2) + Big(16, 2) +
                           std::string(3, 'c') + std::string(16, 'r');
  c.Client(Big(0x8000 | body.size(), 2) + body);
  c.Server(Record(22, ServerHello("", 0x0301) + Certificate({Der()}), 0x0301));
  EXPECT_EQ(c.flow().schema()->name, "tls");
  EXPECT_EQ(c.Value(0, "tls.cert_serial", kS), "00:97:E6:47:09");
  EXPECT_TRUE(c.Events().empty());
}

TEST(Tls, OtherProtocolsAreNotTaken) {
  for (const char* text : {"GET / HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n", "\x16\x04\x01", "\x80\x02zzzzz"}) {
    EXPECT_EQ(Conversation().Client(text).flow().schema(), nullptr) << text;
  }
}

}  // namespace
}  // namespace sluice::testing
