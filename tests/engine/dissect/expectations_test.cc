// Flows announced by others: the table, and the way from one dissector to another.
#include "engine/dissect/expectations.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "engine/dissect/dissector.h"

#include <sluice/plugin.hpp>

namespace sluice {
namespace {

ExpectedEnds Ends(uint16_t port, uint8_t last = 1) {
  ExpectedEnds ends{.transport = SLUICE_TCP, .ip_version = 4};
  ends.initiator = {10, 0, 0, 9};
  ends.responder = {10, 0, 0, last};
  ends.responder_port = port;
  return ends;
}
ExpectedEnds Flow(uint16_t port, uint8_t last = 1) {
  ExpectedEnds flow = Ends(port, last);
  flow.initiator_port = 40000;
  return flow;
}
constexpr Nanos kNow = std::chrono::seconds{1000};

class ExpectationsTest : public ::testing::Test {
 protected:
  Expectations::Added Add(const ExpectedEnds& ends, std::string_view context = "", Nanos now = kNow) {
    return table.Add(ends, {3, 77}, AsSlice(context), now, Expectations::kDefaultLife);
  }
  // The context of what was announced of the flow; "(none)".
  std::string Take(const ExpectedEnds& flow, Nanos now = kNow) {
    Expectations::What what;
    std::vector<uint8_t> context;
    if (!table.Take(flow, now, &what, &context)) return "(none)";
    EXPECT_EQ(what.schema, 3);
    EXPECT_EQ(what.parent, 77u);
    return std::string(AsText(context));
  }
  Expectations table;
};

TEST_F(ExpectationsTest, OneAnnouncementIsTakenOnce) {
  EXPECT_EQ(Add(Ends(5000), "name"), Expectations::Added::kNew);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(Take(Flow(5000)), "name");
  EXPECT_EQ(Take(Flow(5000)), "(none)");
  EXPECT_EQ(table.size(), 0u);
}

TEST_F(ExpectationsTest, AllEndsThatWereToldMustFit) {
  Add(Ends(5000), "a");
  EXPECT_EQ(Take(Flow(5001)), "(none)");
  EXPECT_EQ(Take(Flow(5000, 2)), "(none)");
  ExpectedEnds other = Flow(5000);
  other.initiator[3] = 8;
  EXPECT_EQ(Take(other), "(none)");
  other = Flow(5000);
  other.transport = SLUICE_UDP;
  EXPECT_EQ(Take(other), "(none)");
  EXPECT_EQ(Take(Flow(5000)), "a");
}

TEST_F(ExpectationsTest, ZerosFitAnyInitiator) {
  ExpectedEnds any = Ends(5000);
  any.initiator = {};
  Add(any, "any");
  EXPECT_EQ(Take(Flow(5000)), "any");
  any.initiator_port = 7;
  Add(any, "port");
  EXPECT_EQ(Take(Flow(5000)), "(none)");
}

TEST_F(ExpectationsTest, TheNewestWordOnTheSameEndsCounts) {
  Add(Ends(5000), "old");
  EXPECT_EQ(Add(Ends(5000), "new"), Expectations::Added::kReplaced);
  EXPECT_EQ(Take(Flow(5000)), "new");
  EXPECT_EQ(Take(Flow(5000)), "(none)");
}

TEST_F(ExpectationsTest, PastItsEndItIsForgotten) {
  Add(Ends(5000), "late");
  EXPECT_EQ(Take(Flow(5000), kNow + Expectations::kDefaultLife), "(none)");
  EXPECT_EQ(table.size(), 0u);
}

TEST_F(ExpectationsTest, AFullBucketLosesWhatEndsSoonest) {
  size_t evicted = 0;
  for (uint16_t i = 0; i < 4 * Expectations::kSlots; ++i) {
    evicted += Add(Ends(static_cast<uint16_t>(1 + i)), "x", kNow + Nanos{i}) == Expectations::Added::kEvicted;
  }
  EXPECT_GE(evicted, 3 * Expectations::kSlots);
  EXPECT_EQ(table.size(), 4 * Expectations::kSlots - evicted);
  EXPECT_EQ(Take(Flow(4 * Expectations::kSlots)), "x");  // the last is there
  EXPECT_EQ(Add(Ends(9), std::string(Expectations::kMaxContext + 1, 'x')), Expectations::Added::kRefused);
}

// Workers announce and take at once: nothing is taken twice, and what is taken is whole.
TEST_F(ExpectationsTest, WorkersShareIt) {
  constexpr uint32_t kRounds = 20000;
  std::atomic<uint32_t> added = 0, taken = 0, torn = 0;
  const auto work = [&](uint8_t id) {
    std::vector<uint8_t> context;
    for (uint32_t i = 0; i < kRounds; ++i) {
      const auto port = static_cast<uint16_t>(1 + i % 50);
      const std::string text(1 + i % 200, static_cast<char>('a' + id));
      added += table.Add(Ends(port, id), {id, 0}, AsSlice(text), kNow, Expectations::kDefaultLife) == Expectations::Added::kNew;
      Expectations::What what;
      if (!table.Take(Flow(port, static_cast<uint8_t>((id + i) % 4)), kNow, &what, &context)) continue;
      ++taken;
      for (const uint8_t c : context) torn += c != 'a' + what.schema;
    }
  };
  std::vector<std::thread> threads;
  for (uint8_t id = 0; id < 4; ++id) threads.emplace_back(work, id);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(torn, 0u);
  EXPECT_EQ(table.size(), added - taken);
}

// A control connection: each byte announces a flow to the port 1000 + its value, with the
// name of the byte; 'x' announces what no dissector knows, '0' what cannot be.
class Control {
 public:
  explicit Control(sluice::Flow) {}
  static int32_t Probe(const sluice_probe_input& input) {
    return ToView(input.head).starts_with("control") ? SLUICE_PROBE_YES : SLUICE_PROBE_NO;
  }
  ParseResult Parse(sluice::Flow flow, uint32_t, View in) {
    if (in.starts_with("control")) return Ok(7);
    for (const char& c : in) {
      sluice_expectation data{};
      const sluice_flow_info info = flow.Info();
      data.transport = SLUICE_TCP;
      data.ip_version = info.ip_version;
      data.port[1] = static_cast<uint16_t>(c == '0' ? 0 : 1000 + static_cast<uint8_t>(c));
      std::copy_n(info.address[1], 16, data.address[1]);
      data.protocol = c == 'x' ? "nobody" : "data";
      data.context = ToSlice(View(&c, 1));
      flow.Expect(data);
    }
    return Ok(in.size());
  }
};
class Data {
 public:
  explicit Data(sluice::Flow) {}
  static int32_t Probe(const sluice_probe_input&) { return SLUICE_PROBE_NO; }
  ParseResult Parse(sluice::Flow flow, uint32_t, View in) {
    const uint64_t tx = flow.Begin();
    flow.Set(tx, 0, flow.Context());
    flow.Set(tx, 1, in);
    return Ok(in.size());
  }
};
constexpr sluice_field kDataFields[] = {
    {nullptr, nullptr, nullptr, "context", "of the flow", SLUICE_BYTES, 0, SLUICE_DIR_BOTH, 1, nullptr, nullptr},
    {nullptr, nullptr, nullptr, "bytes", "that came", SLUICE_BYTES, 0, SLUICE_DIR_BOTH, 1, nullptr, nullptr}};
constexpr const char* kStages[] = {"started", "complete"};

class Announced : public ::testing::Test {
 protected:
  Announced() {
    std::vector<std::unique_ptr<Plugin>> plugins;
    plugins.push_back(*Plugin::FromStruct(MakePlugin<Control>("control", "announces").Stages(kStages), "test", {}));
    plugins.push_back(*Plugin::FromStruct(MakePlugin<Data>("data", "announced").Fields(kDataFields)
                                              .Transports(SLUICE_TCP | SLUICE_UDP).Stages(kStages), "test", {}));
    std::vector<Error> problems;
    catalog = Catalog::Create(std::move(plugins), {}, &problems);
    EXPECT_TRUE(problems.empty());
    here = std::make_unique<Dissector>(*catalog, DissectOptions{});
    there = std::make_unique<Dissector>(*catalog, DissectOptions{});
  }
  FlowDissection* Open(Dissector& worker, uint16_t port) {
    FlowFacts facts;
    facts.client_port = 40000;
    facts.id = port;
    facts.server_port = port;
    facts.client_address = Slice(client);
    facts.server_address = Slice(server);
    return worker.Open(facts);
  }
  void Send(Dissector& worker, FlowDissection* flow, std::string_view text, Nanos now = kNow,
            Direction direction = Direction::kToServer) {
    worker.Data(*flow, direction, AsSlice(text), now);
  }
  void Announce(std::string_view what) {
    FlowDissection* control = Open(*here, 21);
    Send(*here, control, "control");
    Send(*here, control, what);
    here->Close(control);
  }
  const std::array<uint8_t, 4> client{10, 0, 0, 9}, server{10, 0, 0, 1};
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<Dissector> here, there;
};

TEST_F(Announced, AFlowOnAnotherWorkerIsFoundWithItsContext) {
  Announce("A");
  FlowDissection* flow = Open(*there, 1000 + 'A');
  Send(*there, flow, "control is no word to be asked about");
  ASSERT_EQ(flow->transactions().size(), 1u);
  EXPECT_TRUE(flow->expected());
  EXPECT_EQ(flow->schema()->name, "data");
  EXPECT_EQ(flow->parent(), 21u);
  EXPECT_EQ(AsText(flow->transactions()[0]->tx.values[0].bytes), "A");
  EXPECT_EQ(here->stats().expectations, 1u);
  EXPECT_EQ(there->stats().expectations_found, 1u);
  there->Close(flow);
  FlowDissection* next = Open(*there, 1000 + 'A');
  Send(*there, next, "bytes");
  EXPECT_EQ(next->schema(), nullptr);
  there->Close(next);
}

// The announcement's packet may come to its worker after the flow's first one to its own.
TEST_F(Announced, AFlowThatNobodyKnowsYetIsFoundLater) {
  FlowDissection* flow = Open(*there, 1000 + 'A');
  Send(*there, flow, "early ");
  EXPECT_EQ(flow->schema(), nullptr);
  Announce("A");
  Send(*there, flow, "late");
  ASSERT_NE(flow->schema(), nullptr);
  EXPECT_EQ(AsText(flow->transactions()[0]->tx.values[1].bytes), "early late");
  there->Close(flow);
}

TEST_F(Announced, WhatCannotBeIsRefused) {
  Announce("x");
  EXPECT_EQ(here->stats().expectations, 0u);
  EXPECT_EQ(here->stats().bad_calls, 0u);
  Announce("0");
  EXPECT_EQ(here->stats().bad_calls, 1u);
  EXPECT_EQ(catalog->expectations().size(), 0u);
}

TEST_F(Announced, OthersHaveNoContext) {
  FlowDissection* control = Open(*here, 21);
  Send(*here, control, "control");
  EXPECT_FALSE(control->expected());
  here->Close(control);
}

}  // namespace
}  // namespace sluice
