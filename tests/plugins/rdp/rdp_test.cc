// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sluice/plugin.hpp>

#include <array>
#include <tuple>

#include "tests/plugins/conversation.h"

namespace sluice::testing {
namespace {

constexpr Direction kC = Direction::kToServer, kS = Direction::kToClient;
using Strings = std::vector<std::string>;
using namespace std::string_literals;

std::string Le16(uint32_t v) { return {static_cast<char>(v), static_cast<char>(v >> 8)}; }
std::string Le32(uint32_t v) { return Le16(v) + Le16(v >> 16); }
std::string Be16(size_t v) { return {static_cast<char>(v >> 8), static_cast<char>(v)}; }
std::string Be24(size_t v) { return static_cast<char>(v >> 16) + Be16(v); }
std::string Utf16(std::string_view text, size_t bytes) {
  std::string out;
  for (const char c : text) out += std::string{c, '\0'};
  out.resize(bytes);
  return out;
}

std::string Tpkt(const std::string& body) { return "\x03\0"s + Be16(body.size() + 4) + body; }
std::string X224(char code, const std::string& rest) {
  return Tpkt(static_cast<char>(rest.size() + 6) + (code + "\0\0\0\0\0"s) + rest);
}
std::string Request(const std::string& rest) { return X224('\xe0', rest); }
std::string Confirm(const std::string& rest) { return X224('\xd0', rest); }
std::string Negotiation(char type, char flags, uint32_t value) {
  return std::string{type, flags} + Le16(8) + Le32(value);
}
std::string Mcs(const std::string& rest) { return Tpkt("\x02\xf0\x80"s + rest); }
std::string Block(uint32_t type, const std::string& data) {
  return Le16(type) + Le16(static_cast<uint32_t>(data.size()) + 4) + data;
}
std::string Core() {
  return Le32(0x80004) + Le16(1280) + Le16(1024) + Le16(0xca01) + Le16(0) + Le32(0x409) + Le32(2600) +
         Utf16("WORKSTATION", 32) + Le32(4) + Le32(0) + Le32(12) + std::string(64, '\0') +
         Le16(0xca03) + Le16(1) + Le32(0) + Le16(16) + Le16(0) + Le16(1) + Utf16("76487-OEM", 64);
}
std::string Channels(const Strings& names) {
  std::string out = Le32(static_cast<uint32_t>(names.size()));
  for (std::string name : names) {
    name.resize(8);
    out += name + Le32(0);
  }
  return out;
}
std::string ConnectInitial(const std::string& blocks) {
  return Mcs("\x7f\x65\x82\x01\x01"s + "Duca" + Be16(0x8000 | blocks.size()) + blocks);
}
const std::string kRequest = Request("Cookie: mstshash=nmap\r\n" + Negotiation(1, 1, 1));
const std::string kConnect =
    ConnectInitial(Block(0xc001, Core()) + Block(0xc003, Channels({"rdpdr", "MS_T120"})));
const std::string kConnectResponse = Mcs("\x7f\x66\x01\0"s);

// A self-signed certificate with this serial number, DER.
std::string Certificate(const char* serial) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* x = X509_new();
  BIGNUM* number = nullptr;
  BN_hex2bn(&number, serial);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
  X509_gmtime_adj(X509_getm_notBefore(x), 0);
  X509_gmtime_adj(X509_getm_notAfter(x), 60);
  X509_set_pubkey(x, key);
  X509_sign(x, key, EVP_sha256());
  unsigned char* der = nullptr;
  const int len = i2d_X509(x, &der);
  std::string out(reinterpret_cast<char*>(der), static_cast<size_t>(len));
  OPENSSL_free(der);
  BN_free(number);
  X509_free(x);
  EVP_PKEY_free(key);
  return out;
}
std::string TlsRecord(char type, const std::string& body) {
  return type + "\3\3"s + Be16(body.size()) + body;
}
std::string Handshake(char type, const std::string& body) { return type + Be24(body.size()) + body; }
std::string CertificateMessage(const Strings& ders) {
  std::string list;
  for (const std::string& der : ders) list += Be24(der.size()) + der;
  return Handshake(11, Be24(list.size()) + list);
}
const std::string kServerHello = Handshake(2, std::string(40, 'h'));
const std::string kClientHello = TlsRecord(22, Handshake(1, std::string(60, 'c')));
const std::string& TwoCertificates() {
  static const std::string message = CertificateMessage(
      {Certificate("785897AEAAABC0BD4AC73F6EB275D540"), Certificate("0A01")});
  return message;
}

TEST(Rdp, EachPduIsATransactionOfItsSender) {
  Conversation c(SLUICE_TCP, 3389);
  c.Client(kRequest).Server(Confirm(Negotiation(2, 9, 0))).Client(kConnect).Server(kConnectResponse);
  ASSERT_EQ(c.num_transactions(), 4u);
  const char* types[] = {"initial_request", "initial_response", "connect_request", "connect_response"};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(c.Value(i, "rdp.event_type", i % 2 ? kS : kC), types[i]);
    EXPECT_EQ(c.Number(i, "tx_id"), i + 1);
    EXPECT_TRUE(c.tx(i).done());
  }
  EXPECT_EQ(c.Value(0, "rdp.cookie"), "nmap");
  EXPECT_EQ(c.Values(0, "rdp.flags"), Strings{"restricted_admin_mode_required"});
  EXPECT_EQ(c.Value(1, "rdp.protocol", kS), "rdp");
  EXPECT_EQ(c.Values(1, "rdp.server_supports", kS), (Strings{"extended_client_data", "restricted_admin"}));
  EXPECT_TRUE(c.flow().opaque());
  EXPECT_TRUE(c.Events().empty());
}

TEST(Rdp, ConnectRequestTellsTheClient) {
  Conversation c;
  c.Client(kRequest + kConnect);
  ASSERT_EQ(c.num_transactions(), 2u);
  const std::pair<const char*, const char*> texts[] = {
      {"rdp.client_version", "v5"}, {"rdp.client_name", "WORKSTATION"}, {"rdp.client_build", "Windows XP"},
      {"rdp.keyboard_layout", "en-US"}, {"rdp.keyboard_type", "enhanced"}, {"rdp.client_id", "76487-OEM"},
      {"rdp.capabilities", "support_errinfo_pdf"}, {"rdp.ime", "(absent)"}};
  for (const auto& [keyword, value] : texts) EXPECT_EQ(c.Value(1, keyword), value) << keyword;
  const std::pair<const char*, uint64_t> numbers[] = {
      {"client.desktop_width", 1280}, {"client.desktop_height", 1024}, {"client.color_depth", 16},
      {"client.function_keys", 12}, {"client.product_id", 1}, {"client.serial_number", UINT64_MAX}};
  for (const auto& [log, value] : numbers) EXPECT_EQ(c.Number(1, log), value) << log;
  EXPECT_EQ(c.Values(1, "rdp.channel"), (Strings{"rdpdr", "MS_T120"}));
}

TEST(Rdp, RefusalHasCodeAndReason) {
  Conversation c;
  c.Client(kRequest).Server(Confirm(Negotiation(3, 0, 2)));
  EXPECT_EQ(c.Number(1, "error_code"), 2u);
  EXPECT_EQ(c.Value(1, "rdp.reason", kS), "ssl not allowed by server");
  EXPECT_EQ(c.Value(1, "rdp.protocol", kS), "(absent)");
  EXPECT_FALSE(c.flow().opaque());
}

TEST(Rdp, Requests) {
  const std::tuple<const char*, std::string, const char*> cases[] = {
      {"neither cookie nor negotiation", "", "(absent)"},
      {"a routing token is no cookie", "Cookie: msts=3640205228.15629.0000\r\n", "(absent)"},
      {"a cookie alone", "Cookie: mstshash=bob\r\n", "bob"},
      {"blanks are kept", "Cookie: mstshash=bob  \r\n", "bob  "},
      {"an empty cookie", "Cookie: mstshash=\r\n", ""},
      {"a line without end", "Cookie: mstshash=bob", "(absent)"}};
  for (const auto& [name, rest, cookie] : cases) {
    Conversation c;
    c.Client(Request(rest));
    ASSERT_EQ(c.num_transactions(), 1u) << name;
    EXPECT_EQ(c.Value(0, "rdp.cookie"), cookie) << name;
  }
}

TEST(Rdp, Malformed) {
  const std::pair<const char*, std::string> cases[] = {
      {"a TPKT shorter than its header", "\3\0\0\1"s},
      {"no TPKT at all", "GET / HTTP/1.1\r\n"},
      {"a connect request without GCC blocks", Mcs("\x7f\x65\x01\x01\x01\x01"s)},
      {"a block longer than the PDU", ConnectInitial(Le16(0xc001) + Le16(500) + "short")},
      {"a core block that is cut", ConnectInitial(Block(0xc001, Core().substr(0, 100)))}};
  for (const auto& [name, bytes] : cases) {
    Conversation c;
    c.Client(kRequest + bytes);
    EXPECT_EQ(c.Events(), Strings{"malformed_pdu"}) << name;
  }
}

TEST(Rdp, OtherProtocolsAreNotTaken) {
  const std::pair<const char*, std::string> cases[] = {
      {"another X.224 code", X224('\xf0', "")},
      {"a confirm from the client", Confirm("")},
      {"lengths that differ", "\3\0\0\x20\x0e\xe0\0\0\0\0\0"s},
      {"S7: parameters of X.224", Request("\xc1\x02\x06\x20\xc2\x02\x01\x02")},
      {"shorter than a request", "\3\0\0\x0a\x05\xe0\0\0\0\0x"s},
      {"TLS", kClientHello}};
  for (const auto& [name, bytes] : cases) {
    Conversation c(SLUICE_TCP, 3389);
    c.Client(bytes);
    EXPECT_EQ(c.flow().schema(), nullptr) << name;
  }
}

TEST(Rdp, ARequestOfNothingButItsFixedPartIsTaken) {
  for (const std::string& rest : {""s, Negotiation(1, 0, 1), "Cookie: msts=1.2.3\r\n"s}) {
    Conversation c(SLUICE_TCP, 3389);
    for (const char byte : Request(rest)) c.Client({&byte, 1});
    EXPECT_NE(c.flow().schema(), nullptr) << rest;
  }
}

// ---------------------------------------------------------------------- TLS

// Stands in for the dissector that the flow is handed to: keeps what it is given.
std::array<std::string, 2> tls_saw;
class FakeTls {
 public:
  explicit FakeTls(Flow) {}
  static int32_t Probe(const sluice_probe_input&) { return SLUICE_PROBE_NO; }
  ParseResult Parse(Flow, uint32_t direction, View in) {
    tls_saw[direction] += in;
    return Ok(in.size());
  }
};
constexpr sluice_field kTlsFields[] = {
    {"tls.none", nullptr, nullptr, nullptr, "none", SLUICE_BYTES, 0, SLUICE_DIR_BOTH, 0, nullptr, nullptr}};
constexpr const char* kTlsStages[] = {"all"};

Dissector& WithTls() {
  static const std::unique_ptr<Catalog> catalog = [] {
    static constexpr sluice_plugin tls =
        MakePlugin<FakeTls>("tls", "keeps what it is given").Fields(kTlsFields).Stages(kTlsStages);
    const PluginLoadOptions limits{.call_budget = std::chrono::hours{1}};
    std::vector<std::unique_ptr<Plugin>> plugins;
    plugins.push_back(*Plugin::FromStruct(sluice_plugin_v1, "static", limits));
    plugins.push_back(*Plugin::FromStruct(tls, "static", limits));
    std::vector<Error> problems;
    return Catalog::Create(std::move(plugins), {}, &problems);
  }();
  static Dissector dissector(*catalog, {});
  return dissector;
}

struct Outcome {
  Strings serials;
  size_t transactions = 0;
  std::array<std::string, 2> handed;
  bool operator==(const Outcome&) const = default;
};
// A negotiated flow; then `turns`, one of them cut once (or each by the byte: cut 0).
Outcome Negotiated(const Turns& turns, size_t turn = SIZE_MAX, size_t cut = 1) {
  Dissector& dissector = WithTls();
  tls_saw = {};
  FlowFacts facts;
  facts.transport = SLUICE_TCP;
  FlowDissection* flow = dissector.Open(facts);
  auto send = [&](Direction d, std::string_view bytes) { dissector.Data(*flow, d, AsSlice(bytes), Nanos{1}); };
  send(kC, kRequest);
  for (size_t i = 0; i < turns.size(); ++i) {
    const std::string_view bytes = turns[i].second;
    if (cut == 0) {
      for (const char& byte : bytes) send(turns[i].first, {&byte, 1});
    } else if (i == turn) {
      send(turns[i].first, bytes.substr(0, cut));
      send(turns[i].first, bytes.substr(cut));
    } else {
      send(turns[i].first, bytes);
    }
  }
  Outcome out{.serials = {}, .transactions = flow->transactions().size(), .handed = tls_saw};
  for (const LiveTransaction* live : flow->transactions()) {
    for (const FieldValue& v : live->tx.values) {
      if (v.field == UINT16_MAX || live->tx.schema->fields[v.field].log != "x509_serials") continue;
      out.serials.emplace_back(AsText(v.bytes));
    }
  }
  dissector.Close(flow);
  return out;
}
Turns Tls(const std::string& server) {
  return {{kS, Confirm(Negotiation(2, 1, 2))}, {kC, kClientHello}, {kS, server}, {kC, "more"}};
}
std::string FullHandshake() {
  return TlsRecord(22, kServerHello + TwoCertificates() + Handshake(14, "")) + "rest";
}

TEST(RdpTls, CertificatesAreATransactionAndTlsGetsEveryByte) {
  const Outcome out = Negotiated(Tls(FullHandshake()));
  EXPECT_EQ(out.serials, (Strings{"785897aeaaabc0bd4ac73f6eb275d540", "a01"}));
  EXPECT_EQ(out.transactions, 3u);
  EXPECT_EQ(out.handed[0], kClientHello + "more");
  EXPECT_EQ(out.handed[1], FullHandshake());
}

TEST(RdpTls, EveryCutGivesTheSame) {
  const Turns turns = Tls(FullHandshake());
  const Outcome whole = Negotiated(turns);
  for (size_t turn = 0; turn < turns.size(); ++turn) {
    for (size_t cut = 1; cut < turns[turn].second.size(); ++cut) {
      EXPECT_EQ(Negotiated(turns, turn, cut), whole) << turn << "," << cut;
    }
  }
  EXPECT_EQ(Negotiated(turns, 0, 0), whole);
}

TEST(RdpTls, RecordsMayCutMessagesAnywhere) {
  const std::string messages = kServerHello + TwoCertificates();
  for (size_t cut = 1; cut < messages.size(); ++cut) {
    const std::string server = TlsRecord(22, messages.substr(0, cut)) + TlsRecord(22, messages.substr(cut));
    EXPECT_EQ(Negotiated(Tls(server)).serials.size(), 2u) << cut;
  }
}

TEST(RdpTls, HandsOverAtOnceWhenNoCertificateCanCome) {
  const std::string hello = TlsRecord(22, kServerHello);
  const std::pair<const char*, std::string> cases[] = {
      {"TLS 1.3 or resumed: the next record is no handshake", hello + TlsRecord(20, "\1")},
      {"an alert", TlsRecord(21, "\2\x28")},
      {"no TLS at all", "HTTP/1.1 400\r\n"},
      {"an empty record", "\x16\3\3\0\0"s},
      {"a record longer than TLS allows", "\x16\3\3\xff\xff"s},
      {"another message in place of the certificate", hello + TlsRecord(22, Handshake(14, ""))},
      {"a message longer than what is held", TlsRecord(22, "\x0b\xff\xff\xff"s)},
      {"a certificate that does not hold", TlsRecord(22, CertificateMessage({"\x30\x03junk"}))},
      {"a list without certificates", TlsRecord(22, CertificateMessage({}))}};
  for (const auto& [name, server] : cases) {
    const Outcome out = Negotiated(Tls(server));
    EXPECT_EQ(out.transactions, 2u) << name;
    EXPECT_EQ(out.handed[0], kClientHello + "more") << name;
    EXPECT_EQ(out.handed[1], server) << name;
  }
}

TEST(RdpTls, HeldBytesAreBoundedOnBothSides) {
  const std::string part(1000, 'x');
  Turns client = {{kS, Confirm(Negotiation(2, 1, 2))}};
  for (int i = 0; i < 66; ++i) client.emplace_back(kC, part);
  EXPECT_EQ(Negotiated(client).handed[0].size(), 66'000u);
  client.resize(60);
  EXPECT_EQ(Negotiated(client).handed[0].size(), 0u);
  std::string hellos;
  while (hellos.size() < 70'000) hellos += TlsRecord(22, kServerHello);
  EXPECT_EQ(Negotiated(Tls(hellos)).handed[1], hellos);
}

TEST(RdpTls, AfterALossNoCertificateIsWaitedFor) {
  Conversation c;
  c.Client(kRequest).Server(Confirm(Negotiation(2, 1, 2))).Client(kClientHello).Gap(kS, 100);
  EXPECT_FALSE(c.flow().opaque());
  c.Client("more");
  EXPECT_TRUE(c.flow().opaque());  // handed over: no such dissector is loaded here
}

TEST(Rdp, EveryCutGivesTheSameValues) {
  const Turns turns = {{kC, kRequest}, {kS, Confirm(Negotiation(2, 9, 0))}, {kC, kConnect}, {kS, kConnectResponse}};
  const std::string whole = RunTurns(turns);
  for (size_t turn = 0; turn < turns.size(); ++turn) {
    for (size_t cut = 1; cut < turns[turn].second.size(); ++cut) {
      EXPECT_EQ(RunTurns(turns, turn, cut), whole) << turn << "," << cut;
    }
  }
}

}  // namespace
}  // namespace sluice::testing
