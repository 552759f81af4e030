// The packet path allocates nothing once it has run.
#include <gtest/gtest.h>

#include "tests/engine/match/support.h"
#include "tests/support/allocations.h"

namespace sluice::testing {
namespace {

TEST(Allocation, NoneInSteadyState) {
  TestProtocol p;
  PcreTest lookahead, plain, position;
  lookahead.pattern = "e(?!x)v";
  plain.pattern = "ev[a-z]l";
  position.pattern = "ev[a-z]";
  ContentTest behind = Content("l");
  behind.distance = Num(0);
  Rule field = FieldRule(4, 0, {Content("evil")});
  field.inspections[0].transforms = {{"to_lowercase", ""}};
  Rule limited = PayloadRule(5, {Content("evil")}, "tcp");
  limited.threshold = Threshold{Threshold::Type::kLimit, Threshold::Track::kBySource, 1, 60, 0};
  FlowbitTest bit;
  bit.op = FlowbitTest::Op::kSet;
  bit.bits = {0};
  limited.flow_conditions = {bit};
  auto program =
      CompileRules({PayloadRule(1, {Content("evil"), lookahead}, "tcp"),
                    PayloadRule(2, {Content("evil"), plain}, "tcp"),
                    PayloadRule(3, {Content("evil"), position, behind}, "tcp"), field, limited},
                   p.options());
  Bench bench(program);
  bench.Tcp();
  TestTransaction t(p);
  t.Add(0, "EVIL");
  bench.stream[0] = "so evil it is";
  bench.Begin("so evil it is");  // sets the packet up once
  size_t alerts = 0;
  const auto packet = [&](uint64_t at) {
    PacketContext context;
    context.packet = &bench.packet;
    context.flow = &bench.flow;
    context.now = bench.now;
    bench.detector.BeginPacket(context);
    bench.detector.InspectPayload(false);
    bench.detector.InspectStream(Direction::kToServer, AsSlice(bench.stream[0]), at);
    t.tx.inspection.Clear();  // as the pool does between transactions
    bench.detector.InspectTransaction(t.tx, Direction::kToServer);
    alerts += bench.detector.EndPacket().alerts.size();
  };
  for (uint64_t i = 0; i < 100; ++i) packet(i * 100);
  const uint64_t before = g_allocations;
  alerts = 0;
  for (uint64_t i = 100; i < 1100; ++i) packet(i * 100);
  EXPECT_EQ(g_allocations - before, 0u);
  EXPECT_EQ(alerts, 4u * 1000u) << "and the rules still fire";
}

}  // namespace
}  // namespace sluice::testing
