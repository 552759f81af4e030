// Laws of the classifier on packets nobody thought of.
#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <thread>

#include "tests/bpf/bpf_fixture.h"
#include "tests/support/random_packets.h"

namespace sluice::testing {
namespace {

class TapLaw : public BpfTest {
 protected:
  uint64_t Exits() {
    uint64_t sum = 0;
    for (int i = 0; i <= TAP_EXIT_DROP_FAIL_CLOSED; ++i) sum += Delta(static_cast<tap_counter>(i));
    return sum;
  }
  static Packet Decoded(const Bytes& bytes) {
    Packet packet;
    Decode(LinkType::kEthernet, bytes, {.verify_checksums = false}, &packet);
    return packet;
  }
};

std::vector<TapPolicy> SmallBudgets() {
  auto policies = DefaultTapPolicies();
  for (TapPolicy& policy : policies) policy.budget_to_server = policy.budget_to_client = 50;
  return policies;
}

// What comes out of the ring is the packet that went in, or a well-formed cut of it.
TEST_F(TapLaw, RecordsAreThePacketsOrWellFormedCutsOfThem) {
  auto options = Options();
  options.policies = SmallBudgets();
  Open(options);
  decodable_ = false;  // compared below
  Random random(7);
  uint64_t ran = 0;
  for (int i = 0; i < 30000 && !HasFailure(); ++i) {
    const Bytes frame = RandomPacket(random);
    if (Run(frame) == -1000) continue;
    ++ran;
    const Packet whole = Decoded(frame);
    SCOPED_TRACE(i);
    for (const Record& record : Records()) {
      if (record.header.type != TAP_RECORD_PACKET) continue;
      const Packet seen = Decoded(record.data);
      EXPECT_EQ(seen.invalid, whole.invalid);
      EXPECT_EQ(seen.source, whole.source);
      EXPECT_EQ(seen.destination_port, whole.destination_port);
      EXPECT_LE(record.header.cap_len, record.header.wire_len);
      ASSERT_LE(seen.payload.size(), whole.payload.size());
      if (record.header.flags & TAP_REC_HEADERS_ONLY) {
        EXPECT_TRUE(seen.payload.empty());
        continue;
      }
      EXPECT_TRUE(std::equal(seen.payload.begin(), seen.payload.end(), whole.payload.begin()));
      EXPECT_EQ(seen.payload.size() < whole.payload.size(),
                (record.header.flags & TAP_REC_CUT) != 0);
    }
  }
  EXPECT_EQ(Exits(), ran);
  EXPECT_GT(Delta(TAP_EXIT_PAST_BUDGET), 0u);
}

// Packets on two CPUs while drops, verdicts, policies and sweeps change underneath: every packet
// leaves by one exit, and all stays up.
TEST_F(TapLaw, EveryPacketIsCountedOnceWhileEverythingChanges) {
  Open();
  std::atomic<uint64_t> ran = 0;
  std::atomic<int> running = 2;
  const auto send = [&](unsigned seed) {
    Random random(seed);
    for (int i = 0; i < 50000; ++i) {
      if (Run(RandomPacket(random), i % 2 ? TAP_INGRESS : TAP_EGRESS) != -1000) ++ran;
    }
    --running;
  };
  std::thread one(send, 1), two(send, 2);
  const Tuple flow = TupleOfFrame({});
  for (int i = 0; running > 0; ++i) {
    const DropOptions options{.ttl = std::chrono::microseconds{50 * (i % 3)}, .rate = i % 5 ? 0u : 9u};
    ASSERT_TRUE(tap_->drops().AddSource(*ParsePrefix(i % 2 ? "10.0.0.0/8" : "fd00::/16"), options));
    tap_->flow_control(0).Drop(flow, options);
    tap_->flow_control(0).SetBudget(flow, 100, FlowControl::kAll);
    tap_->flow_control(0).Flush();
    ASSERT_TRUE(tap_->Sweep({.idle_tcp = Nanos{0}, .idle_other = std::chrono::milliseconds{1}}));
    ASSERT_TRUE(tap_->SetPolicies(i % 2 ? SmallBudgets() : DefaultTapPolicies()));
    if (i % 3 == 0) {
      ASSERT_TRUE(tap_->drops().Flush());
    }
    tap_->reader(0).Poll(Nanos{0}, [](const tap_record&) {});
  }
  one.join();
  two.join();
  EXPECT_EQ(Exits(), ran);
  EXPECT_EQ(tap_->flow_control(0).stats().failed, 0u);
}

}  // namespace
}  // namespace sluice::testing
