// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/plugins/conversation.h"
#include "tests/plugins/tls/wire.h"

namespace sluice::testing {
namespace {

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

TEST(Tls, EncryptionHandlingSaysWhatOfTheEncryptedIsWanted) {
  const struct {
    const char* mode;
    bool opaque, none;
  } kCases[] = {{"default", true, false}, {"track-only", true, false}, {"bypass", true, true}, {"full", false, false}};
  for (const auto& item : kCases) {
    std::vector<std::unique_ptr<Plugin>> plugins;
    plugins.push_back(*Plugin::FromStruct(sluice_plugin_v1, "static", {}));
    std::vector<Error> problems;
    const auto catalog = Catalog::Create(std::move(plugins), {{"tls", {{"encryption-handling", item.mode}}}}, &problems);
    Dissector dissector(*catalog, {});
    FlowFacts facts;
    facts.transport = SLUICE_TCP;
    FlowDissection* flow = dissector.Open(facts);
    for (const auto& [direction, bytes] : Session12()) dissector.Data(*flow, direction, AsSlice(bytes), Nanos{1});
    EXPECT_EQ(flow->opaque(), item.opaque) << item.mode;
    EXPECT_EQ(flow->encrypted(), item.opaque) << item.mode;  // patterns are not looked for
    for (const Direction d : {kC, kS}) {
      const auto& budget = flow->budget_request(d);
      EXPECT_EQ(budget && budget->mode == SLUICE_BUDGET_NONE, item.none) << item.mode;
    }
    dissector.Close(flow);
  }
  // The options are the plug-in's: as they were.
  std::vector<std::unique_ptr<Plugin>> plugins;
  plugins.push_back(*Plugin::FromStruct(sluice_plugin_v1, "static", {}));
  std::vector<Error> problems;
  Catalog::Create(std::move(plugins), {}, &problems);
}

TEST(Tls, OtherProtocolsAreNotTaken) {
  for (const char* text : {"GET / HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n", "\x16\x04\x01", "\x80\x02zzzzz"}) {
    EXPECT_EQ(Conversation().Client(text).flow().schema(), nullptr) << text;
  }
}

}  // namespace
}  // namespace sluice::testing
