// Cost of dissecting one exchange of a protocol on a connection that is open: time, bytes a
// second, and how many allocations are made for it once everything is warm (0 is the aim).
//
// Every field is wanted, as where a rule set and EVE ask for all of them, unless a row says otherwise;
// files are not hashed.
// A protocol is a line in kConversations: what opens its connection, and what goes each way per
// exchange; of protocols that begin each session anew, the session is the exchange, with the flow
// that is opened and closed for it.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "engine/dissect/dissector.h"
#include "engine/plugin/plugin.h"
#include "tests/plugins/dns/wire.h"
#include "tests/plugins/tls/wire.h"

namespace {
uint64_t g_allocations = 0;  // one thread
}

// malloc itself: operator new and the libraries all end here.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);

void* malloc(size_t size) { return ++g_allocations, __libc_malloc(size); }
void* calloc(size_t count, size_t size) { return ++g_allocations, __libc_calloc(count, size); }
void* realloc(void* p, size_t size) { return ++g_allocations, __libc_realloc(p, size); }
}

namespace sluice {
namespace {

using std::string_literals::operator""s;

using testing::kC;
using testing::kS;
using testing::Turns;

struct Conversation {
  const char* name;
  Turns opening;
  std::vector<Turns> exchanges;  // one after the other, again and again
  uint64_t max_exchanges = 0;    // of a connection, then a new one; 0: any number
  uint32_t transport = SLUICE_TCP;
  uint16_t port = 80;
  bool wanted = true;  // the fields: false is what a parser alone costs
};

const std::string kGet =
    "GET /assets/app.js?v=12 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
    "Accept: text/html,application/xhtml+xml\r\nAccept-Encoding: gzip, br\r\nAccept-Language: en\r\nCookie: id=0123456789\r\n\r\n";

std::string Answer(size_t body) {
  return "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 31 Aug 2026 20:25:50 GMT\r\nContent-Type: text/html\r\n"
         "Content-Length: " + std::to_string(body) + "\r\nConnection: keep-alive\r\n\r\n" + std::string(body, 'x');
}

std::string Chunked(size_t chunks, size_t size) {
  std::string out = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";
  char line[16];
  for (size_t i = 0; i < chunks; ++i) {
    std::snprintf(line, sizeof(line), "%zx\r\n", size);
    out += line + std::string(size, 'x') + "\r\n";
  }
  return out + "0\r\n\r\n";
}

std::string Number(uint32_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}
std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
  return Number(static_cast<uint32_t>(payload.size()), 3) + static_cast<char>(type) + static_cast<char>(flags) +
         Number(stream, 4) + payload;
}
// Fields of the static table and one literal each way (RFC 7541): no state to keep in step.
std::vector<Turns> Http2Exchanges(size_t body) {
  const std::string path = "/assets/app.js", type = "text/html";
  const std::string request = "\x82\x86\x04"s + static_cast<char>(path.size()) + path + "\x01\x0b" "example.com"s;
  const std::string response = "\x88\x0f\x10"s + static_cast<char>(type.size()) + type;
  std::vector<Turns> out;
  for (uint32_t stream = 1; stream < 2000; stream += 2) {
    out.push_back({{kC, Frame(1, 5, stream, request)},
                   {kS, Frame(1, 4, stream, response) + Frame(0, 1, stream, std::string(body, 'x'))}});
  }
  return out;
}
const Turns kHttp2Opening = {{kC, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, "")}, {kS, Frame(4, 0, 0, "")}};

// What a browser of today offers, about; the server's key exchange and signature are as long as usual.
std::string TlsClientHello(bool thirteen) {
  using namespace testing;
  std::string extensions = Sni("www.example.test") + Alpn({"h2", "http/1.1"}) + Extension(10, Vector(Big(29, 2) + Big(23, 2), 2)) +
                           Extension(11, Vector(std::string(1, '\0'), 1)) + Extension(35, "") +
                           Extension(13, Vector(Big(0x0403, 2) + Big(0x0804, 2) + Big(0x0401, 2), 2));
  if (thirteen) {
    extensions += Extension(43, Vector(Big(0x0304, 2) + Big(0x0303, 2), 1)) +
                  Extension(51, Vector(Big(29, 2) + Vector(std::string(32, 'k'), 2), 2));
  }
  return Record(22, ClientHello(extensions, 0x0303, std::string(32, 's')), 0x0301);
}
Turns Tls12() {
  using namespace testing;
  const std::string key_exchange = Message(12, std::string(300, 'k'));
  return {{kC, TlsClientHello(false)},
          {kS, Record(22, ServerHello(Alpn({"h2"}))) + Record(22, Certificate({Der(), Der(), Der()})) + Record(22, key_exchange) +
                   Record(22, Message(14, ""))},
          {kC, Record(22, Message(16, std::string(33, 'k'))) + Record(20, "\x01") + Record(22, std::string(40, 'f'))},
          {kS, Record(20, "\x01") + Record(22, std::string(40, 'f'))},
          {kC, Record(23, std::string(300, 'x'))},
          {kS, Record(23, std::string(1000, 'y'))}};
}
Turns Tls13() {
  using namespace testing;
  const std::string hello = ServerHello(Extension(43, Big(0x0304, 2)) + Extension(51, Big(29, 2) + Vector(std::string(32, 'k'), 2)),
                                        0x0303, std::string(32, 's'));
  return {{kC, TlsClientHello(true)},
          {kS, Record(22, hello) + Record(20, "\x01") + Record(23, std::string(2500, 'c'))},
          {kC, Record(20, "\x01") + Record(23, std::string(53, 'f')) + Record(23, std::string(300, 'x'))},
          {kS, Record(23, std::string(1000, 'y'))}};
}

Turns DnsExchange(size_t answers) {
  using namespace testing::dns;
  const std::string question = Question("www.example.test");
  std::string answer = Header(kAnswers, 1, static_cast<unsigned>(answers)) + question;
  for (size_t i = 0; i < answers; ++i) answer += testing::dns::Record(kFirstName, 1, std::string("\x0a\0\0", 3) + static_cast<char>(i));
  return {{kC, Header(kAsks, 1) + question}, {kS, answer}};
}

std::string SshPacket(const std::string& payload) {
  const size_t pad = 8 - (payload.size() + 5) % 8 + 4;
  return Number(static_cast<uint32_t>(payload.size() + 1 + pad), 4) + static_cast<char>(pad) + payload + std::string(pad, '\0');
}
Turns Ssh() {
  std::string lists;
  for (const std::string list : {"curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,diffie-hellman-group16-sha512",
                                 "rsa-sha2-512,rsa-sha2-256,ecdsa-sha2-nistp256,ssh-ed25519",
                                 "chacha20-poly1305@openssh.com,aes128-ctr,aes256-gcm@openssh.com",
                                 "chacha20-poly1305@openssh.com,aes128-ctr,aes256-gcm@openssh.com",
                                 "umac-64-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512",
                                 "umac-64-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512", "none,zlib@openssh.com",
                                 "none,zlib@openssh.com", "", ""}) {
    lists += Number(static_cast<uint32_t>(list.size()), 4) + list;
  }
  const std::string kex = SshPacket("\x14" + std::string(16, 'c') + lists + std::string(5, '\0'));
  const std::string keys = SshPacket("\x1e" + Number(32, 4) + std::string(32, 'k')) + SshPacket("\x15");
  return {{kC, "SSH-2.0-OpenSSH_9.6\r\n"}, {kS, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"}, {kC, kex}, {kS, kex}, {kC, keys}, {kS, keys}};
}

std::string Le(uint32_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}
std::string Tpkt(const std::string& body) { return "\x03\0"s + Number(static_cast<uint32_t>(body.size()) + 4, 2) + body; }
std::string X224(char code, const std::string& rest) {
  return Tpkt(static_cast<char>(rest.size() + 6) + (code + "\0\0\0\0\0"s) + rest);
}
// MS-RDPBCGR section 1.3.1.1 without TLS, up to where it is opaque.
Turns Rdp() {
  const auto block = [](uint32_t type, const std::string& data) {
    return Le(type, 2) + Le(static_cast<uint32_t>(data.size()) + 4, 2) + data;
  };
  std::string name;
  for (const char c : "WORKSTATION"s) name += std::string{c, '\0'};
  name.resize(32);
  const std::string core = Le(0x80004, 4) + Le(1280, 2) + Le(1024, 2) + Le(0xca01, 2) + Le(0, 2) + Le(0x409, 4) + Le(2600, 4) + name +
                           Le(4, 4) + Le(0, 4) + Le(12, 4) + std::string(64, '\0') + Le(0xca03, 2) + Le(1, 2) + Le(0, 4) + Le(16, 2) +
                           Le(0, 2) + Le(1, 2) + std::string(64, '\0');
  const std::string channels = Le(2, 4) + "rdpdr\0\0\0"s + Le(0, 4) + "cliprdr\0"s + Le(0, 4);
  const std::string blocks = block(0xc001, core) + block(0xc003, channels);
  const auto mcs = [](const std::string& rest) { return Tpkt("\x02\xf0\x80"s + rest); };
  return {{kC, X224('\xe0', "Cookie: mstshash=alice\r\n\x01\0\x08\0\0\0\0\0"s)},
          {kS, X224('\xd0', "\x02\x09\x08\0\0\0\0\0"s)},
          {kC, mcs("\x7f\x65\x82\x01\x01" "Duca"s + Number(static_cast<uint32_t>(0x8000 | blocks.size()), 2) + blocks)},
          {kS, mcs("\x7f\x66\x01\0"s)}};
}

const Conversation kConversations[] = {
    {.name = "http/small", .opening = {}, .exchanges = {{{kC, kGet}, {kS, Answer(512)}}}},
    {.name = "http/unwanted", .opening = {}, .exchanges = {{{kC, kGet}, {kS, Answer(512)}}}, .wanted = false},
    {.name = "http/64KiB", .opening = {}, .exchanges = {{{kC, kGet}, {kS, Answer(64 << 10)}}}},
    {.name = "http/chunked", .opening = {}, .exchanges = {{{kC, kGet}, {kS, Chunked(16, 4096)}}}},
    {.name = "http/connection", .opening = {}, .exchanges = {{{kC, kGet}, {kS, Answer(512)}}}, .max_exchanges = 1},
    {.name = "http2/small", .opening = kHttp2Opening, .exchanges = Http2Exchanges(512), .max_exchanges = 1000},
    {.name = "http2/16KiB", .opening = kHttp2Opening, .exchanges = Http2Exchanges(16 << 10), .max_exchanges = 1000},
    {.name = "tls/1.2", .opening = {}, .exchanges = {Tls12()}, .max_exchanges = 1, .port = 443},
    {.name = "tls/1.3", .opening = {}, .exchanges = {Tls13()}, .max_exchanges = 1, .port = 443},
    {.name = "dns/one", .opening = {}, .exchanges = {DnsExchange(1)}, .max_exchanges = 1, .transport = SLUICE_UDP, .port = 53},
    {.name = "dns/many", .opening = {}, .exchanges = {DnsExchange(25)}, .max_exchanges = 1, .transport = SLUICE_UDP, .port = 53},
    {.name = "ssh", .opening = {}, .exchanges = {Ssh()}, .max_exchanges = 1, .port = 22},
    {.name = "rdp", .opening = {}, .exchanges = {Rdp()}, .max_exchanges = 1, .port = 3389},
};

// A dissector whose catalogue has all plug-ins of the build.
struct Bench {
  explicit Bench(bool wanted) {
    std::vector<Error> problems;
    catalog = Catalog::Create(*LoadPluginDirectory(SLUICE_PLUGINS, {false, std::chrono::hours{1}}, &problems), {}, &problems);
    std::vector<std::vector<bool>> logged;
    for (const auto& schema : catalog->schemas()) logged.emplace_back(schema->fields.size(), wanted);
    catalog->SetWanted(std::vector<bool>(catalog->keywords().size(), wanted), logged);
    dissector = std::make_unique<Dissector>(*catalog, DissectOptions{.files = {}});
  }
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<Dissector> dissector;
};

class Peer {
 public:
  Peer(Bench& bench, const Conversation& conversation) : bench_(bench), conversation_(conversation) { Connect(); }
  ~Peer() { bench_.dissector->Close(flow_); }
  // One exchange in segments; returns its bytes.
  size_t Step() {
    if (conversation_.max_exchanges != 0 && done_ == conversation_.max_exchanges) {
      bench_.dissector->Close(flow_);
      Connect();
    }
    size_t bytes = 0;
    for (const auto& [direction, said] : conversation_.exchanges[done_++ % conversation_.exchanges.size()]) {
      Send(direction, said);
      bytes += said.size();
    }
    return bytes;
  }
  uint64_t transactions() const { return flow_->num_transactions(); }

 private:
  void Connect() {
    FlowFacts facts;
    facts.transport = conversation_.transport;
    facts.client_port = 40000;
    facts.server_port = conversation_.port;
    flow_ = bench_.dissector->Open(facts);
    done_ = 0;
    for (const auto& [direction, said] : conversation_.opening) Send(direction, said);
  }
  // What the worker does around it: rules and logs are done with complete transactions.
  void Send(Direction direction, std::string_view bytes) {
    constexpr size_t kSegment = 1460;
    while (!bytes.empty()) {
      const size_t size = std::min(bytes.size(), kSegment);
      bench_.dissector->Data(*flow_, direction, AsSlice(bytes.substr(0, size)), Nanos{1});
      for (LiveTransaction* live : flow_->transactions()) {
        live->tx.logged = live->tx.inspected[0] = live->tx.inspected[1] = live->tx.done();
      }
      bench_.dissector->Retire(*flow_);
      bytes.remove_prefix(size);
    }
  }
  Bench& bench_;
  const Conversation& conversation_;
  FlowDissection* flow_ = nullptr;
  uint64_t done_ = 0;
};

void Dissect(benchmark::State& state, const Conversation& conversation) {
  static Bench all(true), none(false);
  Peer peer(conversation.wanted ? all : none, conversation);
  for (size_t i = 0; i < 2000; ++i) peer.Step();  // pools and buffers have grown
  if (peer.transactions() == 0) return state.SkipWithError("no transaction: the dissector is not there");
  int64_t bytes = 0;
  const uint64_t before = g_allocations;
  for (auto _ : state) bytes += static_cast<int64_t>(peer.Step());
  state.counters["allocations"] = benchmark::Counter(static_cast<double>(g_allocations - before),
                                                     benchmark::Counter::kAvgIterations);
  state.SetBytesProcessed(bytes);
}

const bool kRegistered = [] {
  for (const Conversation& conversation : kConversations) {
    benchmark::RegisterBenchmark(conversation.name, [&](benchmark::State& state) { Dissect(state, conversation); });
  }
  return true;
}();

}  // namespace
}  // namespace sluice
