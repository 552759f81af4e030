// Any bytes, cut anywhere, through a shipped dissector and the engine's side of the
// ABI.  Oracles: sanitizers; the parse contract (no breach, no bad call); whole and
// cut input give the same transactions.
//
// Seeds (corpus/): what the client says, then the server, each with its backslashes doubled and
// ended by a backslash and a blank; then sizes of cuts; then 0, and the port in two bytes.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "engine/dissect/dissector.h"

using namespace sluice;

namespace {

Dissector& TheDissector() {
  static const std::unique_ptr<Catalog> catalog = [] {
    std::vector<std::unique_ptr<Plugin>> plugins;
    sluice_plugin tested = sluice_plugin_v1;
    // One without ports finds no flow: it begins where another hands over.
    if (tested.ports == nullptr) tested.probe = [](const sluice_probe_input*) -> int32_t { return SLUICE_PROBE_YES; };
    plugins.push_back(*Plugin::FromStruct(tested, "fuzz", {.call_budget = std::chrono::hours{1}}));
    std::vector<Error> problems;
    return Catalog::Create(std::move(plugins), {}, &problems);
  }();
  // Files in parts are put together over flows: file_parts_fuzz has them.
  static Dissector dissector(*catalog, {.parts = {.memcap = 0}});
  return dissector;
}

std::string Snapshot(const FlowDissection& flow) {
  std::string out;
  for (const LiveTransaction* live : flow.transactions()) {
    const Transaction& tx = live->tx;
    out += "tx " + std::to_string(tx.number) + (tx.complete[0] ? "+" : "-") + (tx.complete[1] ? "+" : "-");
    for (const FieldValue& v : tx.values) {
      out += " " + std::to_string(v.field) + "=" + std::string(AsText(v.bytes)) + "/" +
             std::to_string(v.number) + "/" + std::to_string(v.complete);
    }
    for (const TransactionEvent& e : tx.events) out += " e" + std::to_string(e.index);
    for (const FileInfo& f : tx.files) out += " f" + std::string(AsText(f.name)) + std::to_string(f.size) + std::string(f.md5);
    out += "\n";
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 16 * 1024) return 0;  // longer input only revisits states, slower
  FuzzedDataProvider in(data, size);
  Dissector& dissector = TheDissector();
  FlowFacts facts;
  facts.transport = SLUICE_TCP;
  facts.client_port = 40000;
  facts.server_port = in.ConsumeIntegral<uint16_t>();
  const bool swapped = in.ConsumeBool();
  const Direction first = swapped ? Direction::kToClient : Direction::kToServer;
  FlowDissection* cut = dissector.Open(facts);
  FlowDissection* whole = dissector.Open(facts);
  // One turn each way: the cuts inside a turn must not matter.
  for (const Direction direction : {first, Opposite(first)}) {
    std::string sent;
    const std::string turn = in.ConsumeRandomLengthString(8192);
    for (size_t at = 0; at < turn.size();) {
      const size_t n = 1 + in.ConsumeIntegralInRange<size_t>(0, 200);
      const std::string part = turn.substr(at, n);
      dissector.Data(*cut, direction, AsSlice(part), Nanos{1});
      at += part.size();
    }
    dissector.Data(*whole, direction, AsSlice(turn), Nanos{1});
  }
  // Whether the head was enough to probe may differ while it is still undecided.
  bool comparable = (cut->schema() == nullptr) == (whole->schema() == nullptr);
  for (const Direction d : {Direction::kToServer, Direction::kToClient}) {
    comparable &= (cut->side(d) == nullptr) == (whole->side(d) == nullptr);
  }
  dissector.Finish(*cut, Nanos{2});
  dissector.Finish(*whole, Nanos{2});
  if (comparable && Snapshot(*cut) != Snapshot(*whole)) {
    std::fprintf(stderr, "cut:\n%s\nwhole:\n%s\n", Snapshot(*cut).c_str(), Snapshot(*whole).c_str());
    __builtin_trap();
  }
  dissector.Close(cut);
  dissector.Close(whole);
  const DissectStats& stats = dissector.stats();
  if (stats.breaches != 0 || stats.bad_calls != 0) {
    std::fprintf(stderr, "breaches %lu, bad calls %lu\n", stats.breaches, stats.bad_calls);
    __builtin_trap();
  }
  return 0;
}
