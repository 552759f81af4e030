// Costs of the matcher: prefilter in Gbit/s, confirm in ns a candidate, a
// packet and a transaction that nothing matches.
//
// Rules are made of random words, so numbers compare one build with another,
// not with a real rule set.
#include <benchmark/benchmark.h>

#include <random>

#include "engine/match/match.h"

namespace sluice {
namespace {

std::string Word(std::mt19937& r, size_t least, size_t most) {
  std::string s(least + r() % (most - least + 1), 0);
  for (char& c : s) c = static_cast<char>('a' + r() % 26);
  return s;
}

Rule ContentRule(uint32_t sid, std::vector<std::string> contents, bool field, bool udp = false) {
  Rule rule;
  rule.sid = sid;
  if (field)
    rule.header.any_ip_protocol = true;
  else
    rule.header.ip_protocols = {static_cast<uint8_t>(udp ? 17 : 6)};
  Inspection i;
  i.kind = field ? BufferKind::kField : BufferKind::kPayload;
  for (std::string& bytes : contents) {
    ContentTest t;
    t.bytes = std::move(bytes);
    i.tests.emplace_back(std::move(t));
  }
  rule.inspections.push_back(std::move(i));
  return rule;
}

struct World {
  KeywordInfo keyword;
  Schema schema;
  std::shared_ptr<const RuleProgram> program;
  std::unique_ptr<Detector> detector;
  FlowVars vars;
  FlowContext flow;
  Packet packet;
  std::string payload;

  explicit World(std::vector<Rule> rules) {
    keyword.directions = 3;
    schema.name = "bench";
    schema.stages[0] = schema.stages[1] = {"start", "done"};
    RuleSet set;
    set.rules = std::move(rules);
    CompileOptions options;
    options.keywords = {&keyword, 1};
    options.schemas = {{"bench"}};
    program = RuleProgram::Compile(std::move(set), options).value();
    detector = std::make_unique<Detector>(program, DetectorOptions{});
    flow.vars = &vars;
    packet.ip_version = 4;
    packet.l4 = L4::kTcp;
    packet.ip_protocol = 6;
  }
  void Send(bool stream, uint64_t at) {
    PacketContext context;
    context.packet = &packet;
    context.flow = &flow;
    detector->BeginPacket(context);
    detector->InspectPayload(stream);
    if (stream) detector->InspectStream(Direction::kToServer, packet.payload, at);
  }
};

std::vector<Rule> Many(uint32_t count, bool field) {
  std::mt19937 r(1);
  std::vector<Rule> rules;
  for (uint32_t i = 0; i < count; ++i)
    rules.push_back(ContentRule(i + 1, {Word(r, 5, 20), Word(r, 4, 8)}, field));
  return rules;
}

void BM_StreamPrefilter(benchmark::State& state) {
  World world(Many(static_cast<uint32_t>(state.range(0)), false));
  std::mt19937 r(2);
  for (int i = 0; i < 200; ++i) world.payload += Word(r, 3, 9) + ' ';
  world.packet.payload = AsSlice(world.payload);
  uint64_t at = 0;
  for (auto _ : state) {
    world.Send(true, at);
    benchmark::DoNotOptimize(world.detector->EndPacket().alerts.size());
    at += world.payload.size();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * world.payload.size()));
}
BENCHMARK(BM_StreamPrefilter)->Arg(100)->Arg(3000)->Arg(25000);

// Each packet hits one fast pattern whose rule then fails on its second content.
void BM_Candidate(benchmark::State& state) {
  World world({ContentRule(1, {"the long fast pattern", "nowhere"}, false, true)});
  world.packet.l4 = L4::kUdp;
  world.packet.ip_protocol = 17;
  world.payload = std::string(100, '.') + "the long fast pattern" + std::string(100, '.');
  world.packet.payload = AsSlice(world.payload);
  for (auto _ : state) {
    world.Send(false, 0);
    benchmark::DoNotOptimize(world.detector->EndPacket().alerts.size());
  }
  state.counters["candidates"] = benchmark::Counter(
      static_cast<double>(world.detector->stats().confirms), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_Candidate);

void BM_EmptyPacket(benchmark::State& state) {
  World world(Many(3000, false));
  for (auto _ : state) {
    world.Send(true, 0);
    benchmark::DoNotOptimize(world.detector->EndPacket().alerts.size());
  }
}
BENCHMARK(BM_EmptyPacket);

// A transaction of one field that no rule matches: as a DNS query is.
void BM_Transaction(benchmark::State& state) {
  World world(Many(static_cast<uint32_t>(state.range(0)), true));
  const std::string name = "www.an-ordinary-name.example.com";
  Transaction tx;
  tx.schema = &world.schema;
  FieldValue value;
  value.keyword = 0;
  value.bytes = AsSlice(name);
  tx.values.push_back(value);
  tx.stage[0] = 1;
  for (auto _ : state) {
    world.Send(true, 0);
    tx.inspection.Clear();
    world.detector->InspectTransaction(tx, Direction::kToServer);
    benchmark::DoNotOptimize(world.detector->EndPacket().alerts.size());
  }
}
BENCHMARK(BM_Transaction)->Arg(100)->Arg(8000);

void BM_Compile(benchmark::State& state) {
  const std::vector<Rule> rules = Many(static_cast<uint32_t>(state.range(0)), false);
  for (auto _ : state) {
    RuleSet set;
    set.rules = rules;
    benchmark::DoNotOptimize(RuleProgram::Compile(std::move(set), {}));
  }
}
BENCHMARK(BM_Compile)->Arg(3000)->Arg(25000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sluice
