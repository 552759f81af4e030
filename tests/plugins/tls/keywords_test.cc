// SPDX-License-Identifier: Apache-2.0
// Each rule keyword of the dissector on one session: a rule that matches, and one that asks for
// a little else and does not.
#include <gtest/gtest.h>

#include "tests/engine/app/lab.h"
#include "tests/plugins/tls/wire.h"

namespace sluice::testing {
namespace {

// By default a TLS 1.2 session of wire.h with certificates of both sides.
struct KeywordCase {
  const char *name, *matches, *misses;
  Turns (*session)() = MutualSession;
};

// The server takes no hello: a fatal alert, handshake_failure.
Turns Refused() {
  return {{kC, Record(22, ClientHello(Sni("www.example.test")))}, {kS, Record(21, "\x02\x28")}};
}

// The outer hello of draft-ietf-tls-esni section 5: the extension, with the name that stands for the real one.
Turns EncryptedHello() {
  const std::string ech = std::string(1, '\0') + Big(1, 2) + Big(1, 2) + "\x2a" + Vector(std::string(32, 'e'), 2) + Vector(std::string(128, 'p'), 2);
  const std::string hello = ClientHello(Sni("outer.example.test") + Extension(43, Vector(Big(0x0304, 2), 1)) + Extension(0xfe0d, ech));
  return {{kC, Record(22, hello, 0x0301)}, {kS, Record(22, ServerHello(Extension(43, Big(0x0304, 2))))}, {kS, Record(23, std::string(40, 'x'))}};
}

std::vector<int> Alerts(const std::string& rules, const Turns& session) {
  WorkerOptions options;
  options.stream.inline_mode = true;
  Lab lab(rules, options, SLUICE_PLUGINS);
  Frame client{.dport = 443};
  lab.Connect(client);
  uint32_t sent[2] = {0, 0};
  for (const auto& [direction, bytes] : session) {
    const bool to_server = direction == Direction::kToServer;
    for (size_t at = 0; at < bytes.size(); at += 1400) {
      Frame frame{.dport = 443, .seq = 1000 + sent[0], .ack = 5000 + sent[1]};
      if (!to_server) {
        frame = Reverse(frame);
      }
      frame.payload = bytes.substr(at, 1400);
      sent[to_server ? 0 : 1] += static_cast<uint32_t>(frame.payload.size());
      lab.Send(frame);
    }
  }
  lab.Shutdown();
  std::vector<int> sids;
  for (const auto& alert : lab.Records("alert")) sids.push_back(alert["alert"]["signature_id"].get<int>());
  std::ranges::sort(sids);
  sids.erase(std::unique(sids.begin(), sids.end()), sids.end());
  return sids;
}

class TlsKeyword : public ::testing::TestWithParam<KeywordCase> {};
TEST_P(TlsKeyword, MatchesAndNarrowlyMisses) {
  const auto rule = [](const char* options, int sid) {
    return fmt::format("alert tls any any -> any any ({}; sid:{};)\n", options, sid);
  };
  EXPECT_EQ(Alerts(rule(GetParam().matches, 1) + rule(GetParam().misses, 2), GetParam().session()), std::vector{1});
}

const KeywordCase kCases[] = {
    {"Sni", "tls.sni; content:\"www.example.test\"; bsize:16", "tls.sni; content:\"www.example.test\"; bsize:15"},
    {"OldSni", "tls_sni; content:\"example\"", "tls_sni; content:\"Example\""},
    {"CertSubject", "tls.cert_subject; content:\"O=Stamus, Inc\"", "tls.cert_subject; content:\"O=Stamus,Inc\""},
    {"OldSubject", "tls.subject:\"C=FR\"", "tls.subject:\"C=DE\""},
    {"CertIssuer", "tls.cert_issuer; content:\"Email=a@b.test\"; endswith", "tls.cert_issuer; content:\"a@b.tes\"; endswith"},
    {"OldIssuer", "tls.issuerdn:\"O=Stamus\"", "tls.issuerdn:!\"O=Stamus\""},
    {"CertSerial", "tls.cert_serial; content:\"00:97:e6:47:09\"", "tls.cert_serial; content:\"97:E6:47:09\"; startswith"},
    {"CertFingerprintIsLower", "tls.cert_fingerprint; pcre:\"/^[0-9a-f:]{59}$/\"", "tls.cert_fingerprint; pcre:\"/[A-F]/\""},
    {"SubjectAltName", "tls.subjectaltname; content:\"b@c.test\"; bsize:8", "tls.subjectaltname; content:\"a.testb@c.test\""},
    {"Alpn", "tls.alpn; content:\"http/1.1\"; bsize:8", "tls.alpn; content:\"h2http/1.1\""},
    {"AlpnOfTheServer", "flow:to_client; tls.alpn; content:\"h2\"", "flow:to_client; tls.alpn; content:\"http/1.1\""},
    {"Random", "tls.random; content:\"0123\"; startswith; bsize:32", "tls.random; content:\"1234\"; startswith"},
    {"RandomTime", "tls.random_time; content:\"0123\"; bsize:4", "tls.random_time; content:\"01234\""},
    {"RandomBytes", "tls.random_bytes; content:\"4567\"; startswith; bsize:28", "tls.random_bytes; content:\"0123\"; startswith"},
    {"Certs", "tls.certs; content:\"|06 03 55 04 0a|\"", "tls.certs; content:\"|06 03 55 04 07|\""},
    {"CertChainLen", "flow:to_client; tls.cert_chain_len:2", "flow:to_client; tls.cert_chain_len:>2"},
    {"NotBefore", "tls_cert_notbefore:2015-03-01<>2015-03-31", "tls_cert_notbefore:>2015-03-06"},
    {"NotAfter", "tls_cert_notafter:>2030", "tls_cert_notafter:<2030"},
    {"Valid", "tls_cert_valid", "tls_cert_expired"},
    {"SslState", "ssl_state:client_hello", "ssl_state:unknown"},
    {"SslVersion", "ssl_version:tls1.2", "ssl_version:tls1.1,tls1.3"},
    {"TlsVersion", "tls.version:1.2", "tls.version:1.3"},
    {"Ja3Hash", "ja3.hash; bsize:32", "ja3.hash; bsize:31"},
    {"Ja3String", "ja3.string; content:\"771,4865-49199,\"; startswith", "ja3.string; content:\"771,49199-4865,\""},
    {"Ja3sString", "ja3s.string; content:\"771,49199,16\"", "ja3s.string; content:\"771,4865\""},
    {"Ja3sHash", "ja3s.hash; bsize:32", "ja3s.hash; content:\"00000000000000000000000000000000\""},
    {"Ja4Hash", "ja4.hash; pcre:\"/^t12d0202h[12]_/\"", "ja4.hash; pcre:\"/^t13d/\""},
    {"Store", "tls.cert_subject; content:\"C=FR\"; tls.store", "tls.cert_subject; content:\"C=DE\"; tls.store"},
    {"FramePdu", "frame:tls.pdu; content:\"|16 03 03|\"; startswith", "frame:tls.pdu; content:\"|18 03 03|\"; startswith"},
    {"FrameHdr", "frame:tls.hdr; content:\"|17 03 03|\"; startswith; bsize:5", "frame:tls.hdr; bsize:6"},
    {"FrameData", "frame:tls.data; content:\"sealed\"; startswith", "frame:tls.data; content:\"|16 03|\"; startswith"},
    {"EncryptedClientHello", "tls.ech; tls.sni; content:\"outer.example.test\"", "tls.ech:false", EncryptedHello},
    {"NoEncryptedClientHello", "tls.sni; content:\"www.example.test\"", "tls.ech"},
    {"FrameAlert", "frame:tls.alert; content:\"|02 28|\"; bsize:2", "frame:tls.alert; content:\"|01|\"; startswith", Refused},
    {"AlertBesideItsFrame", "tls.alert:40", "tls.alert:41", Refused},
    {"PatternsInTheClearOnly", "content:\"www.example.test\"", "content:\"yyyyyyyy\""},
    {"Protocol", "app-layer-protocol:tls", "app-layer-protocol:!tls"},
    {"ClientCertificate", "flow:to_server; tls.cert_subject; content:\"O=Stamus\"", "flow:to_server; tls.cert_subject; content:\"O=Nobody\""},
};
INSTANTIATE_TEST_SUITE_P(Suricata8, TlsKeyword, ::testing::ValuesIn(kCases),
                         [](const auto& c) { return c.param.name; });

}  // namespace
}  // namespace sluice::testing
