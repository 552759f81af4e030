// tests/engine/match/support.h
// Rules, packets and transactions made in a line or two, and a bench that runs
// them through one Detector.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

#include "engine/match/match.h"

namespace sluice::testing {

inline Address Ip(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  Address address;
  address.version = 4;
  address.bytes[0] = a;
  address.bytes[1] = b;
  address.bytes[2] = c;
  address.bytes[3] = d;
  return address;
}

inline Rule MakeRule(uint32_t sid, const std::string& protocol = "tcp") {
  Rule r;
  r.sid = sid;
  r.header.protocol_text = protocol;
  if (protocol == "tcp")
    r.header.ip_protocols = {6};
  else if (protocol == "udp")
    r.header.ip_protocols = {17};
  else if (protocol == "icmp")
    r.header.ip_protocols = {1, 58};
  else if (protocol == "ip")
    r.header.any_ip_protocol = true;
  else {
    r.header.any_ip_protocol = true;
    r.header.app_protocol = protocol;
  }
  r.num_variables = 4;
  return r;
}
inline ContentTest Content(std::string bytes) {
  ContentTest t;
  t.bytes = std::move(bytes);
  return t;
}
inline Number Num(int64_t v) { return {v, -1}; }
inline Number Var(int slot) { return {0, slot}; }

// A rule on the payload with the tests given.
inline Rule PayloadRule(uint32_t sid, std::vector<BufferTest> tests,
                        const std::string& protocol = "udp") {
  Rule r = MakeRule(sid, protocol);
  Inspection i;
  i.tests = std::move(tests);
  r.inspections.push_back(std::move(i));
  return r;
}
inline Rule FieldRule(uint32_t sid, uint16_t keyword, std::vector<BufferTest> tests) {
  Rule r = MakeRule(sid, "ip");
  Inspection i;
  i.kind = BufferKind::kField;
  i.keyword = keyword;
  i.tests = std::move(tests);
  r.inspections.push_back(std::move(i));
  return r;
}

inline std::shared_ptr<const RuleProgram> CompileRules(std::vector<Rule> rules,
                                                       CompileOptions options = {}, uint32_t names_epoch = 1) {
  RuleSet set;
  set.names_epoch = names_epoch;
  set.rules = std::move(rules);
  set.flowbit_names = {"a", "b", "c"};
  set.flowint_names = {"x", "y"};
  set.xbit_names = {"h"};
  auto program = RuleProgram::Compile(std::move(set), options);
  if (!program) {
    ADD_FAILURE() << program.error().message;
    return nullptr;
  }
  return *program;
}

// The test protocol: schema 0 "test" with keywords
//   0 name (to_server, stage 1), 1 note (both, repeated, stage 2), 2 body (chunks,
//   to_server, stage 3), 3 code (number, to_client, stage 1).
struct TestProtocol {
  Schema schema, other;
  std::vector<KeywordInfo> keywords;
  TestProtocol() {
    schema.id = 0;
    schema.name = "test";
    schema.stages[0] = {"start", "name", "notes", "done"};
    schema.stages[1] = {"start", "code", "notes", "done"};
    schema.events = {{"odd", ""}, {"worse", ""}};
    other.id = 1;
    other.name = "other";
    keywords.resize(4);
    const char* names[] = {"test.name", "test.note", "test.body", "test.code"};
    const uint8_t directions[] = {1, 3, 1, 2}, stages[] = {1, 2, 3, 1};
    for (size_t k = 0; k < 4; ++k) {
      keywords[k].name = names[k];
      keywords[k].directions = directions[k];
      keywords[k].stage[0] = keywords[k].stage[1] = stages[k];
    }
  }
  CompileOptions options() const {
    CompileOptions o;
    o.keywords = keywords;
    o.schemas = {{"test"}, {"other", "test2"}};
    return o;
  }
};

class Bench {
 public:
  explicit Bench(std::shared_ptr<const RuleProgram> program, DetectorOptions options = {})
      : detector(std::move(program), options) {
    flow.vars = &vars;
    packet.ip_version = 4;
    packet.l4 = L4::kUdp;
    packet.ip_protocol = 17;
    packet.ttl = 64;
    client = Ip(10, 0, 0, 1);
    server = Ip(192, 168, 0, 1);
  }
  void Tcp(uint8_t flags = kTcpAck) {
    packet.l4 = L4::kTcp;
    packet.ip_protocol = 6;
    packet.tcp.flags = flags;
  }
  void Begin(const std::string& payload, Direction d = Direction::kToServer) {
    bytes = payload;
    packet.payload = AsSlice(bytes);
    const bool up = d == Direction::kToServer;
    packet.source = up ? client : server;
    packet.destination = up ? server : client;
    packet.source_port = up ? 40000 : 80;
    packet.destination_port = up ? 80 : 40000;
    ++flow.packets[Index(d)];
    flow.bytes[Index(d)] += payload.size();
    PacketContext context;
    context.packet = &packet;
    context.direction = d;
    context.flow = with_flow ? &flow : nullptr;
    context.events = events;
    context.now = now;
    detector.BeginPacket(context);
  }
  std::vector<uint32_t> End() {
    last = detector.EndPacket();
    std::vector<uint32_t> sids;
    for (const Alert& a : last.alerts) sids.push_back(a.rule->sid);
    return sids;
  }
  // One packet with nothing but its payload.
  std::vector<uint32_t> Send(const std::string& payload, Direction d = Direction::kToServer) {
    Begin(payload, d);
    detector.InspectPayload(false);
    return End();
  }
  // One segment that brings the stream of its direction forward.
  std::vector<uint32_t> Segment(const std::string& payload, Direction d = Direction::kToServer) {
    stream[Index(d)] += payload;
    Begin(payload, d);
    detector.InspectPayload(true);
    detector.InspectStream(d, AsSlice(stream[Index(d)]), 0);
    return End();
  }
  std::vector<uint32_t> Look(Transaction& tx, Direction d = Direction::kToServer) {
    Begin("", d);
    detector.InspectPayload(true);
    detector.InspectTransaction(tx, d);
    return End();
  }

  Detector detector;
  Packet packet;
  FlowVars vars;
  FlowContext flow;
  bool with_flow = true;
  Address client, server;
  std::string bytes, stream[2];
  std::vector<uint16_t> events;
  Nanos now = std::chrono::seconds(1000);
  PacketResult last;
};

// Keeps the bytes of the values it adds.
struct TestTransaction {
  Transaction tx;
  std::deque<std::string> kept;
  explicit TestTransaction(const TestProtocol& p) { tx.schema = &p.schema; }
  FieldValue& Add(uint16_t keyword, std::string bytes, Direction d = Direction::kToServer) {
    kept.push_back(std::move(bytes));
    FieldValue v;
    v.keyword = keyword;
    v.direction = d;
    v.bytes = AsSlice(kept.back());
    tx.values.push_back(v);
    return tx.values.back();
  }
};

using Sids = std::vector<uint32_t>;

}  // namespace sluice::testing
