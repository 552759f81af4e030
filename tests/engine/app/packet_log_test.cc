// Held frames: a flow that alerts has all of them that the ring still has, in order, and
// nothing of another flow.
#include "engine/app/packet_log.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "engine/output/pcap_log.h"

namespace sluice {
namespace {

struct Sink final : RecordSink {
  bool Put(RecordType type, std::string_view record) override {
    EXPECT_EQ(type, RecordType::kCapture);
    if (full) return false;
    frames.emplace_back(record.substr(sizeof(PcapLogHeader)));
    return true;
  }
  bool full = false;
  std::vector<std::string> frames;
};

Packet Frame(const std::string& bytes) {
  Packet packet;
  packet.frame = AsSlice(bytes);
  packet.wire_len = static_cast<uint32_t>(bytes.size());
  return packet;
}

constexpr PacketLogOptions kAlerts{.which = PacketLogOptions::Which::kAlerts, .held_bytes = 64u << 10};

TEST(PacketLog, OfAnyFlowTheLatestFramesAreThereInOrder) {
  std::mt19937 random(1);
  Sink sink;
  PacketLog log(kAlerts, &sink);
  PacketLog::Chain chains[8] = {};
  std::vector<std::string> sent[8];
  for (int i = 0; i < 20000; ++i) {
    const size_t flow = random() % 8;
    std::string bytes = std::to_string(flow) + ":" + std::to_string(i) + std::string(random() % 1500, '.');
    log.Hold(Frame(bytes), &chains[flow]);
    sent[flow].push_back(std::move(bytes));
    if (random() % 50 != 0) continue;
    sink.frames.clear();
    const uint64_t lost = log.stats().held_lost;
    log.WriteHeld(&chains[flow]);
    ASSERT_LE(sink.frames.size(), sent[flow].size());
    EXPECT_TRUE(std::equal(sink.frames.rbegin(), sink.frames.rend(), sent[flow].rbegin())) << i;
    EXPECT_EQ(log.stats().held_lost - lost, sink.frames.size() < sent[flow].size());
    EXPECT_GT(sink.frames.size(), 0u);
    EXPECT_EQ(chains[flow], 0u);
    sent[flow].clear();
  }
  EXPECT_GT(log.stats().held_lost, 0u);
}

TEST(PacketLog, WhatTheQueueHasNoRoomForIsCounted) {
  Sink sink;
  PacketLog log({}, &sink);
  log.Write(Frame("one"));
  sink.full = true;
  log.Write(Frame("two"));
  EXPECT_EQ(sink.frames, std::vector<std::string>{"one"});
  EXPECT_EQ(log.stats().packets, 1u);
  EXPECT_EQ(log.stats().lost, 1u);
}

TEST(PacketLog, AFrameLargerThanHalfTheRingIsNotHeld) {
  Sink sink;
  PacketLog log(kAlerts, &sink);
  PacketLog::Chain chain = 0;
  log.Hold(Frame(std::string(60u << 10, 'x')), &chain);
  log.WriteHeld(&chain);
  EXPECT_TRUE(sink.frames.empty());
}

}  // namespace
}  // namespace sluice
