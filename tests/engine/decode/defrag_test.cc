#include "engine/decode/defrag.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "engine/decode/decode.h"
#include "tests/support/packets.h"

namespace sluice {
namespace {

using testing::Build;
using testing::Bytes;

Slice Give(Defrag& defrag, const Bytes& frame, Nanos now = Nanos{1}) {
  Packet packet;
  Decode(LinkType::kEthernet, frame, {.verify_checksums = false}, &packet);
  EXPECT_TRUE(packet.is_fragment);
  return defrag.Add(packet, now);
}

// The fragments of a UDP datagram, as payload pieces of the IP packet.
std::vector<Bytes> Fragments(const std::string& ip_payload, size_t size, bool v6, uint32_t id = 7) {
  std::vector<Bytes> out;
  for (size_t at = 0; at < ip_payload.size(); at += size) {
    testing::Frame f;
    if (v6) f.source = "fd00::1", f.destination = "fd00::2";
    f.protocol = 17;
    f.fragment_id = id;
    f.fragment_offset = static_cast<unsigned>(at);
    f.more_fragments = at + size < ip_payload.size();
    f.payload = ip_payload.substr(at, size);
    out.push_back(Build(f));
  }
  return out;
}

class DefragLaw : public ::testing::TestWithParam<bool> {};

// Any order, repeats included, gives the packet; the first hole keeps it waiting.
TEST_P(DefragLaw, AnyOrderGivesTheWholePacket) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    // The builder puts a transport header before the payload of an offset 0 only.
    std::vector<Bytes> pieces = Fragments(std::string(800, static_cast<char>('a' + round % 26)), 160, GetParam());
    std::shuffle(pieces.begin(), pieces.end(), random);
    Defrag defrag({});
    Slice whole;
    for (size_t i = 0; i < pieces.size(); ++i) {
      whole = Give(defrag, pieces[i]);
      if (i + 1 < pieces.size()) {
        ASSERT_TRUE(whole.empty());
      }
    }
    ASSERT_FALSE(whole.empty());
    Packet packet;
    DecodeIp(whole, {.verify_checksums = true}, &packet);
    ASSERT_FALSE(packet.invalid);
    ASSERT_FALSE(packet.is_fragment);
    ASSERT_FALSE(packet.bad_ip_checksum);
    ASSERT_EQ(defrag.memory(), 0u);
    ASSERT_EQ(defrag.stats().reassembled[GetParam() ? 1 : 0], 1u);
  }
}
INSTANTIATE_TEST_SUITE_P(Ip, DefragLaw, ::testing::Bool());

TEST(Defrag, LimitsGiveTheOldestUpAndCount) {
  Defrag defrag({.max_trackers = 4});
  for (uint32_t id = 0; id < 10; ++id) Give(defrag, Fragments(std::string(64, 'x'), 32, false, id)[0]);
  EXPECT_EQ(defrag.stats().evicted, 6u);
  Defrag small({.memcap = 500});
  for (uint32_t id = 0; id < 10; ++id) Give(small, Fragments(std::string(320, 'x'), 160, false, id)[0]);
  EXPECT_GT(small.stats().evicted, 0u);
  EXPECT_LE(small.memory(), 500u);
}

TEST(Defrag, WhatWaitsTooLongIsGivenUp) {
  Defrag defrag({});
  const auto pieces = Fragments(std::string(64, 'x'), 32, false);
  Give(defrag, pieces[0], std::chrono::seconds{1});
  EXPECT_TRUE(Give(defrag, pieces[1], std::chrono::seconds{100}).empty());
  EXPECT_EQ(defrag.stats().timeouts, 1u);
}

}  // namespace
}  // namespace sluice
