// Cost of dissecting one exchange of a protocol on a connection that is open: time, bytes a
// second, and how many allocations are made for it once everything is warm (0 is the aim).
//
// Every field is wanted, as where a rule set and EVE ask for all of them; files are not hashed.
// A protocol is a line in kConversations: what opens its connection, and what goes each way per
// exchange.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "engine/dissect/dissector.h"
#include "engine/plugin/plugin.h"
#include "tests/support/allocations.h"

namespace sluice {
namespace {

using std::string_literals::operator""s;

struct Exchange {
  std::string request, response;
};
struct Conversation {
  const char* name;
  Exchange opening;
  std::vector<Exchange> exchanges;  // one after the other, again and again
  uint64_t max_exchanges = 0;       // of a connection, then a new one; 0: any number
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
std::vector<Exchange> Http2Exchanges(size_t body) {
  const std::string path = "/assets/app.js", type = "text/html";
  const std::string request = "\x82\x86\x04"s + static_cast<char>(path.size()) + path + "\x01\x0bexample.com"s;
  const std::string response = "\x88\x0f\x10"s + static_cast<char>(type.size()) + type;
  std::vector<Exchange> out;
  for (uint32_t stream = 1; stream < 2000; stream += 2) {
    out.push_back({Frame(1, 5, stream, request), Frame(1, 4, stream, response) + Frame(0, 1, stream, std::string(body, 'x'))});
  }
  return out;
}

const Conversation kConversations[] = {
    {"http/small", {}, {{kGet, Answer(512)}}},
    {"http/64KiB", {}, {{kGet, Answer(64 << 10)}}},
    {"http/chunked", {}, {{kGet, Chunked(16, 4096)}}},
    {"http2/small", {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, ""), Frame(4, 0, 0, "")}, Http2Exchanges(512), 1000},
    {"http2/16KiB", {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, ""), Frame(4, 0, 0, "")}, Http2Exchanges(16 << 10), 1000},
};

// A dissector whose catalogue has all plug-ins of the build.
struct Bench {
  Bench() {
    std::vector<Error> problems;
    catalog = Catalog::Create(*LoadPluginDirectory(SLUICE_PLUGINS, {false, std::chrono::hours{1}}, &problems), {}, &problems);
    std::vector<std::vector<bool>> logged;
    for (const auto& schema : catalog->schemas()) logged.emplace_back(schema->fields.size(), true);
    catalog->SetWanted(std::vector<bool>(catalog->keywords().size(), true), logged);
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
    const Exchange& exchange = conversation_.exchanges[done_++ % conversation_.exchanges.size()];
    Send(Direction::kToServer, exchange.request);
    Send(Direction::kToClient, exchange.response);
    return exchange.request.size() + exchange.response.size();
  }
  uint64_t transactions() const { return flow_->num_transactions(); }

 private:
  void Connect() {
    FlowFacts facts;
    facts.client_port = 40000;
    facts.server_port = 80;
    flow_ = bench_.dissector->Open(facts);
    done_ = 0;
    Send(Direction::kToServer, conversation_.opening.request);
    Send(Direction::kToClient, conversation_.opening.response);
  }
  // What the worker does around it: rules and logs are done with complete transactions.
  void Send(Direction direction, std::string_view bytes) {
    constexpr size_t kSegment = 1460;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(kSegment, bytes.size()))) {
      bench_.dissector->Data(*flow_, direction, AsSlice(bytes.substr(0, kSegment)), Nanos{1});
      for (LiveTransaction* live : flow_->transactions()) {
        live->tx.logged = live->tx.inspected[0] = live->tx.inspected[1] = live->tx.done();
      }
      bench_.dissector->Retire(*flow_);
    }
  }
  Bench& bench_;
  const Conversation& conversation_;
  FlowDissection* flow_ = nullptr;
  uint64_t done_ = 0;
};

void Dissect(benchmark::State& state, const Conversation& conversation) {
  static Bench bench;
  Peer peer(bench, conversation);
  for (size_t i = 0; i < 2000; ++i) peer.Step();  // pools and buffers have grown
  if (peer.transactions() == 0) return state.SkipWithError("no transaction: the dissector is not there");
  int64_t bytes = 0;
  const uint64_t before = testing::g_allocations;
  for (auto _ : state) bytes += static_cast<int64_t>(peer.Step());
  state.counters["allocations"] = benchmark::Counter(static_cast<double>(testing::g_allocations - before),
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
