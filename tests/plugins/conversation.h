// tests/plugins/conversation.h
// A flow through a statically linked dissector and the engine's own side of the ABI:
// what rules would see by keyword, and what the log would say.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/dissect/dissector.h"

namespace sluice::testing {

class Conversation {
 public:
  explicit Conversation(uint32_t transport = SLUICE_TCP, uint16_t server_port = 80) {
    FlowFacts facts;
    facts.transport = transport;
    facts.client_port = 40000;
    facts.server_port = server_port;
    flow_ = dissector().Open(facts);
  }
  ~Conversation() { dissector().Close(flow_); }

  Conversation& Client(std::string_view bytes) { return Send(Direction::kToServer, bytes); }
  Conversation& Server(std::string_view bytes) { return Send(Direction::kToClient, bytes); }
  Conversation& Send(Direction d, std::string_view bytes) {
    dissector().Data(*flow_, d, AsSlice(bytes), Nanos{1});
    return *this;
  }
  Conversation& Gap(Direction d, uint64_t bytes) {
    dissector().Gap(*flow_, d, bytes, Nanos{1});
    return *this;
  }
  // What the worker does once rules and logs are done.
  Conversation& Retire() {
    for (LiveTransaction* live : flow_->transactions()) {
      live->tx.logged = live->tx.inspected[0] = live->tx.inspected[1] = live->tx.done();
    }
    dissector().Retire(*flow_);
    return *this;
  }
  Conversation& Finish() {
    dissector().Finish(*flow_, Nanos{2});
    return *this;
  }

  const FlowDissection& flow() const { return *flow_; }
  size_t num_transactions() const { return flow_->transactions().size(); }
  const Transaction& tx(size_t i) const { return flow_->transactions()[i]->tx; }

  // Values of a keyword in a transaction, of one direction.
  std::vector<std::string> Values(size_t i, std::string_view keyword, Direction d = Direction::kToServer) const {
    std::vector<std::string> out;
    const KeywordId id = catalog().FindKeyword(keyword).id;
    for (const FieldValue& v : tx(i).values) {
      if (v.keyword == id && v.direction == d) out.emplace_back(AsText(v.bytes));
    }
    return out;
  }
  std::string Value(size_t i, std::string_view keyword, Direction d = Direction::kToServer) const {
    const auto all = Values(i, keyword, d);
    return all.empty() ? "(absent)" : all[0];
  }
  // The last number logged under a key; UINT64_MAX if there is none.
  uint64_t Number(size_t i, std::string_view log) const {
    uint64_t out = UINT64_MAX;
    for (const FieldValue& v : tx(i).values) {
      if (v.field != UINT16_MAX && tx(i).schema->fields[v.field].log == log && v.bytes.empty()) out = v.number;
    }
    return out;
  }
  std::vector<std::string> Events() const {
    std::vector<std::string> out;
    for (const FlowEvent& e : flow_->events()) out.emplace_back(e.schema->events[e.index].name);
    for (const LiveTransaction* live : flow_->transactions()) {
      for (const TransactionEvent& e : live->tx.events) out.emplace_back(live->tx.schema->events[e.index].name);
    }
    return out;
  }
  // Everything, comparable: for laws.
  std::string Snapshot() const {
    std::string out;
    for (const LiveTransaction* live : flow_->transactions()) {
      const Transaction& t = live->tx;
      out += fmt::format("tx {} {}{}", t.number, t.complete[0], t.complete[1]);
      for (const FieldValue& v : t.values) out += fmt::format(" {}={}/{}/{}", v.field, AsText(v.bytes), v.number, v.complete);
      for (const TransactionEvent& e : t.events) out += fmt::format(" e{}", e.index);
      for (const FileInfo& f : t.files) out += fmt::format(" file {} {} {}", AsText(f.name), f.size, std::string_view(f.md5));
      out += "\n";
    }
    return out;
  }

  static const Catalog& catalog() {
    static const std::unique_ptr<Catalog> catalog = [] {
      std::vector<std::unique_ptr<Plugin>> plugins;
      sluice_plugin tested = sluice_plugin_v1;
      // One without ports finds no flow: it begins where another hands over.
      if (tested.ports == nullptr) tested.probe = [](const sluice_probe_input*) -> int32_t { return SLUICE_PROBE_YES; };
      plugins.push_back(*Plugin::FromStruct(tested, "static", {.call_budget = std::chrono::hours{1}}));
      std::vector<Error> problems;
      return Catalog::Create(std::move(plugins), {}, &problems);
    }();
    return *catalog;
  }
  static Dissector& dissector() {
    static Dissector dissector(catalog(), {});
    return dissector;
  }

 private:
  FlowDissection* flow_;
};

// Pieces said by either side in any order, with losses between them: the dissector keeps to the
// contract, also with transactions that are freed.  `pieces`: of the client, of the server.
inline void SayAnything(const std::vector<std::string> (&pieces)[2], uint16_t server_port, uint32_t rounds) {
  std::mt19937 random(7);
  const DissectStats before = Conversation::dissector().stats();
  for (uint32_t round = 0; round < rounds; ++round) {
    Conversation c(SLUICE_TCP, server_port);
    std::string said;
    c.Client(pieces[0][0]);
    for (uint32_t i = 0, n = random() % 40; i < n; ++i) {
      const uint32_t side = random() % 2;
      const std::string& piece = pieces[side][random() % pieces[side].size()];
      const size_t cut = random() % 8 == 0 ? random() % (piece.size() + 1) : piece.size();
      const auto d = static_cast<Direction>(side);
      c.Send(d, std::string_view(piece).substr(0, cut));
      said += (side == 0 ? "C:" : "S:") + piece.substr(0, cut);
      if (random() % 32 == 0) {
        c.Gap(d, 1 + random() % 100);
        said += side == 0 ? "(C lost)" : "(S lost)";
      }
      c.Retire();
    }
    c.Finish();
    ASSERT_EQ(Conversation::dissector().stats().bad_calls, before.bad_calls) << said;
  }
  const DissectStats& after = Conversation::dissector().stats();
  EXPECT_EQ(after.breaches, before.breaches);
  EXPECT_EQ(after.pending_overflow, before.pending_overflow);
}

// The turns, each cut once at every place: the snapshot must not change.
using Turns = std::vector<std::pair<Direction, std::string>>;
inline std::string RunTurns(const Turns& turns, size_t turn = SIZE_MAX, size_t cut = 0,
                            uint16_t server_port = 80) {
  Conversation c(SLUICE_TCP, server_port);
  for (size_t i = 0; i < turns.size(); ++i) {
    const auto& [direction, bytes] = turns[i];
    const size_t at = i == turn ? cut : 0;
    if (at > 0) c.Send(direction, std::string_view(bytes).substr(0, at));
    c.Send(direction, std::string_view(bytes).substr(at));
  }
  c.Finish();
  return c.Snapshot();
}

}  // namespace sluice::testing
