// What a worker does about what it cannot look into, and about what it need not.
#include "engine/verdict/exception.h"

#include "engine/app/worker.h"
#include "tests/engine/app/lab.h"

namespace sluice::testing {
namespace {

using Policy = ExceptionPolicy;
using Target = ExceptionTarget;

constexpr const char* kAnyEvil = "alert tcp any any -> any any (content:\"evil\"; sid:1;)";
constexpr const char* kLetGo =
    "alert tcp any any -> any any (content:\"let go\"; bypass; sid:2;)\n"
    "alert tcp any any -> any any (content:\"evil\"; sid:1;)";

WorkerOptions With(Target target, Policy policy) {
  WorkerOptions options = Lab::Ips();
  options.exceptions[static_cast<size_t>(target)] = policy;
  options.eve.emplace_back().exception_policy = true;
  return options;
}

// A connection with a line that its dissector does not take, and what rules look for in the
// same packet and in the next.
void SendError(Lab& lab) {
  Frame frame{};
  lab.Connect(frame);
  for (const char* payload : {"do this\n", "throw\nevil", "evil"}) {
    frame.payload = payload;
    lab.Send(frame);
    frame.seq += static_cast<uint32_t>(frame.payload.size());
  }
}

struct Outcome {
  Policy policy;
  size_t alerts, drops;
  const char* action;  // of the flow; "" none
};
class ApplicationErrors : public ::testing::TestWithParam<Outcome> {};

TEST_P(ApplicationErrors, AreAnsweredAsThePolicySays) {
  const Outcome& want = GetParam();
  WorkerOptions options = With(Target::kAppLayerError, want.policy);
  options.eve.back().drop_all = true;
  Lab lab(kAnyEvil, options);
  SendError(lab);
  lab.Shutdown();
  EXPECT_EQ(lab.Records("alert").size(), want.alerts);
  EXPECT_EQ(lab.Records("drop").size(), want.drops);
  const auto flow = lab.Records("flow").at(0)["flow"];
  EXPECT_EQ(flow.value("action", ""), want.action);
  ASSERT_EQ(flow["exception_policy"].size(), 1u);
  EXPECT_EQ(flow["exception_policy"][0]["target"], "app_layer_error");
  EXPECT_EQ(flow["exception_policy"][0]["policy"], ExceptionPolicyField(want.policy));
  EXPECT_EQ(flow["state"] == "bypassed", want.policy == Policy::kBypass);
  if (want.policy != Policy::kIgnore) {
    EXPECT_EQ(lab.Counter("exception_policy.app_layer.error." + std::string(ExceptionPolicyField(want.policy))), 1u);
  }
}
INSTANTIATE_TEST_SUITE_P(Each, ApplicationErrors,
                         ::testing::Values(Outcome{Policy::kIgnore, 2, 0, ""},
                                           Outcome{Policy::kPassPacket, 1, 0, ""},
                                           Outcome{Policy::kPassFlow, 0, 0, "pass"},
                                           Outcome{Policy::kBypass, 0, 0, "pass"},
                                           Outcome{Policy::kDropPacket, 1, 1, ""},
                                           Outcome{Policy::kDropFlow, 0, 2, "drop"},
                                           Outcome{Policy::kReject, 0, 2, "drop"}),
                         [](const auto& c) { return std::string(ExceptionPolicyField(c.param.policy)); });

TEST(Exceptions, ADroppedFlowSaysWhyAndThatItWasNoRule) {
  WorkerOptions options = With(Target::kMidstream, Policy::kDropFlow);
  options.eve.back().drop_all = true;
  Lab lab(kAnyEvil, options);
  for (int i = 0; i < 3; ++i) lab.Send({.payload = "evil"});
  const auto drops = lab.Records("drop");
  ASSERT_EQ(drops.size(), 3u);
  EXPECT_EQ(drops[0]["drop"]["reason"], "stream midstream");
  EXPECT_EQ(drops[1]["drop"]["reason"], "exception policy flow drop");
  EXPECT_FALSE(drops[0].contains("alert"));
  EXPECT_EQ(lab.Counter("ips.drop_reason.stream_midstream"), 1u);
  EXPECT_EQ(lab.Counter("ips.drop_reason.exception_policy_flow_drop"), 2u);
  EXPECT_EQ(lab.Counter("exception_policy.tcp.midstream.drop_flow"), 1u);
  EXPECT_TRUE(lab.Records("alert").empty());
}

TEST(Exceptions, ARejectionIsCountedAsOne) {
  Lab lab(kAnyEvil, With(Target::kMidstream, Policy::kReject));
  lab.Send({.payload = "evil"});
  EXPECT_EQ(lab.Counter("ips.rejected"), 1u);
}

TEST(Exceptions, AWatchedWireOnlyRejects) {
  WorkerOptions options = With(Target::kMidstream, Policy::kReject);
  options.inline_verdicts = false;
  Lab lab(kAnyEvil, options);
  lab.Send({.payload = "evil"});
  lab.Shutdown();
  EXPECT_TRUE(lab.Records("drop").empty());
  EXPECT_FALSE(lab.Records("flow").at(0)["flow"].contains("action"));
  EXPECT_TRUE(lab.Records("alert").empty()) << "nothing looks at the packet";
}

TEST(Exceptions, AConnectionWithItsHandshakeIsNone) {
  Lab lab(kAnyEvil, With(Target::kMidstream, Policy::kDropFlow));
  lab.Connect({});
  lab.Send({.payload = "evil"});
  lab.Shutdown();
  EXPECT_EQ(lab.Counter("exception_policy.tcp.midstream.drop_flow"), 0u);
  EXPECT_EQ(lab.Records("alert").size(), 1u);
}

TEST(Exceptions, ASegmentWithoutRoomIsOne) {
  WorkerOptions options = With(Target::kReassemblyMemcap, Policy::kDropFlow);
  options.stream.memcap = 0;
  Lab lab(kAnyEvil, options);
  lab.Connect({});
  lab.Send({.seq = 1100, .payload = "out of order"});
  lab.Shutdown();
  EXPECT_EQ(lab.Records("drop").at(0)["drop"]["reason"], "stream reassembly");
  EXPECT_EQ(lab.Counter("exception_policy.tcp.reassembly.drop_flow"), 1u);
}

TEST(Exceptions, AFragmentWithoutRoomIsOneOfItsPacketAlone) {
  WorkerOptions options = With(Target::kDefragMemcap, Policy::kDropPacket);
  options.defrag.memcap = 1024;
  Lab lab(kAnyEvil, options);
  const Frame large{.protocol = 17, .payload = std::string(1400, 'x'), .more_fragments = true};
  lab.Send(large);
  lab.Send({.protocol = 17, .payload = "small"});
  ASSERT_EQ(lab.Records("drop").size(), 1u);
  EXPECT_EQ(lab.Records("drop")[0]["drop"]["reason"], "defrag memcap");
  EXPECT_EQ(lab.Counter("exception_policy.defrag.memcap.drop_packet"), 1u);
  EXPECT_EQ(lab.Counter("ips.accepted"), 1u);
}

TEST(Bypass, ARuleEndsInspectionForTheFlowAlone) {
  Lab lab(kLetGo);
  lab.Connect({});
  lab.Send({.payload = "let go"});
  lab.Send({.seq = 1006, .payload = "evil"});
  lab.Connect({.sport = 40001});
  lab.Send({.sport = 40001, .payload = "evil"});
  lab.Shutdown();
  EXPECT_EQ(lab.Records("alert").size(), 2u);
  const auto flow = lab.Records("flow").at(0)["flow"];
  EXPECT_EQ(flow["state"], "bypassed");
  EXPECT_EQ(flow["bypass"], "local");
  EXPECT_EQ(flow["pkts_toserver"], 4) << "all are counted";
  EXPECT_EQ(lab.Counter("flow_bypassed.local_pkts"), 1u);
  EXPECT_EQ(lab.Counter("flow_bypassed.local_bytes"), Build({.payload = "evil"}).size());
  EXPECT_EQ(lab.Counter("flow_bypassed.closed"), 1u);
}

TEST(Bypass, ANewConnectionWithTheTupleIsInspected) {
  Lab lab(kLetGo);
  lab.Connect({});
  lab.Send({.payload = "let go"});
  lab.Connect({.seq = 900000});
  lab.Send({.seq = 900000, .payload = "evil"});
  lab.Shutdown();
  EXPECT_EQ(lab.Records("alert").size(), 2u);
  EXPECT_EQ(lab.Records("flow").size(), 2u);
}

TEST(Bypass, ADirectionAtItsDepthEndsInspectionIfAskedTo) {
  for (const bool bypass : {false, true}) {
    WorkerOptions options = Lab::Ips();
    options.stream.depth = 8;
    options.stream_bypass = bypass;
    Lab lab("alert tcp-pkt any any -> any any (content:\"evil\"; sid:1;)", options);
    lab.Connect({});
    lab.Send({.payload = "more than eight"});
    lab.Send({.seq = 1015, .payload = "evil"});
    lab.Shutdown();
    EXPECT_EQ(lab.Records("alert").size(), bypass ? 0u : 1u);
    EXPECT_EQ(lab.Records("flow").at(0)["flow"]["state"] == "bypassed", bypass);
  }
}

TEST(Bypass, ADissectorThatWantsNothingMoreOfBothDirectionsLetsGo) {
  Lab lab(kAnyEvil);
  lab.Connect({});
  lab.Send({.payload = "do this\nblind\n"});
  lab.Send({.seq = 1014, .payload = "evil"});
  lab.Shutdown();
  EXPECT_TRUE(lab.Records("alert").empty());
  EXPECT_EQ(lab.Records("flow").at(0)["flow"]["state"], "bypassed");
}

}  // namespace
}  // namespace sluice::testing
