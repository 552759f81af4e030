#include "engine/decode/defrag.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "engine/decode/decode.h"
#include "tests/engine/decode/fragments.h"

namespace sluice {
namespace {

using testing::Bytes;
using testing::Ethernet;
using testing::Give;
using testing::Given;
using testing::Join;
using testing::Piece;
using testing::Pieces;
using testing::Whole;
using testing::Zeros;

class DefragLaw : public ::testing::TestWithParam<bool> {};

// Any order, repeats included, gives the packet; the first hole keeps it waiting.
TEST_P(DefragLaw, AnyOrderGivesTheWholePacket) {
  std::mt19937 random(3);
  Defrag defrag({});
  for (uint32_t round = 0; round < 200; ++round) {
    const std::string text(800, static_cast<char>('a' + round % 26));
    const Bytes datagram = testing::Udp(1000, 2000, Bytes(text.begin(), text.end()));
    std::vector<Bytes> pieces = Pieces(GetParam(), datagram, 8 * (1 + random() % 30), round);
    std::shuffle(pieces.begin(), pieces.end(), random);
    if (round % 2) pieces.insert(pieces.begin(), Bytes(pieces.front()));
    for (size_t i = 0; i + 1 < pieces.size(); ++i) ASSERT_TRUE(Give(defrag, pieces[i]).frame.empty());
    const Given last = Give(defrag, pieces.back());
    ASSERT_FALSE(last.frame.empty());
    const Packet packet = Whole(last);
    ASSERT_FALSE(packet.invalid);
    ASSERT_FALSE(packet.is_fragment);
    ASSERT_FALSE(packet.bad_ip_checksum);
    ASSERT_EQ(AsText(packet.payload), text);
    ASSERT_EQ(packet.ethernet.size(), 14u);
    ASSERT_EQ(packet.origin, PacketOrigin::kDefrag);
    ASSERT_EQ(defrag.memory(), 0u);
    ASSERT_EQ(defrag.num_trackers(), 0u);
  }
  EXPECT_EQ(defrag.stats().reassembled[GetParam() ? 1 : 0], 200u);
}

TEST_P(DefragLaw, PiecesThatOverlapOrGoTooFarAreEvents) {
  const bool v6 = GetParam();
  Defrag defrag({});
  Give(defrag, Piece(v6, 0, Zeros(32), true));
  EXPECT_TRUE(Give(defrag, Piece(v6, 24, Zeros(16), true))
                  .Has(v6 ? DecodeEvent::kIpv6FragOverlap : DecodeEvent::kIpv4FragOverlap));
  EXPECT_TRUE(Give(defrag, Piece(v6, 65528, Zeros(16), true))
                  .Has(v6 ? DecodeEvent::kIpv6FragPktTooLarge : DecodeEvent::kIpv4FragPktTooLarge));
  const DecodeEvent ignored = v6 ? DecodeEvent::kIpv6FragIgnored : DecodeEvent::kIpv4FragIgnored;
  EXPECT_TRUE(Give(defrag, Piece(v6, 16, Zeros(8), false)).Has(ignored)) << "an end before data seen";
  Give(defrag, Piece(v6, 64, Zeros(8), false));
  EXPECT_TRUE(Give(defrag, Piece(v6, 72, Zeros(8), true)).Has(ignored)) << "data behind the end";
  EXPECT_EQ(defrag.stats().overlaps, 1u);
  EXPECT_EQ(defrag.stats().refused, 3u);
}

TEST_P(DefragLaw, LimitsGiveTheOldestUpAndCount) {
  Defrag few({.max_trackers = 4});
  for (uint32_t id = 0; id < 10; ++id) Give(few, Piece(GetParam(), 0, Zeros(32), true, id));
  EXPECT_EQ(few.stats().trackers_full, 6u);
  EXPECT_EQ(few.num_trackers(), 4u);
  Defrag small({.memcap = 8 * 512});
  for (uint32_t id = 0; id < 10; ++id) Give(small, Piece(GetParam(), 0, Zeros(1200), true, id));
  EXPECT_GT(small.stats().memcap, 0u);
  EXPECT_LE(small.memory(), 8u * 512);
  Defrag tiny({.memcap = 2 * 512});
  EXPECT_TRUE(Give(tiny, Piece(GetParam(), 0, Zeros(4000), true))
                  .Has(GetParam() ? DecodeEvent::kIpv6FragIgnored : DecodeEvent::kIpv4FragIgnored));
  EXPECT_EQ(tiny.memory(), 0u);
  Defrag short_lists({.max_fragments = 3});
  for (size_t i = 0; i < 5; ++i) Give(short_lists, Piece(GetParam(), 16 * i, Zeros(8), true));
  EXPECT_EQ(short_lists.stats().refused, 2u);
}

TEST_P(DefragLaw, WhatWaitsTooLongIsGivenUp) {
  Defrag defrag({});
  Give(defrag, Piece(GetParam(), 0, Zeros(32), true), std::chrono::seconds{1});
  EXPECT_TRUE(Give(defrag, Piece(GetParam(), 32, Zeros(8), false), std::chrono::seconds{100}).frame.empty());
  EXPECT_EQ(defrag.stats().timeouts, 1u);
}
INSTANTIATE_TEST_SUITE_P(Ip, DefragLaw, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "V6" : "V4"; });

// Six fragments of Novak's model, as digits; each place is 8 bytes.
struct PolicyCase {
  const char* name;
  FragmentPolicy policy;
  const char* expected;
};
class DefragPolicy : public ::testing::TestWithParam<PolicyCase> {};
TEST_P(DefragPolicy, DecidesWhoseBytesCount) {
  struct {
    size_t at, places;
  } const kModel[] = {{0, 3}, {4, 2}, {6, 3}, {1, 4}, {6, 3}, {9, 3}};
  for (const bool v6 : {false, true}) {
    Defrag defrag({.policy = GetParam().policy});
    Given last;
    for (size_t i = 0; i < std::size(kModel); ++i) {
      last = Give(defrag, Piece(v6, kModel[i].at * 8, Bytes(kModel[i].places * 8, static_cast<uint8_t>('1' + i)),
                                i + 1 < std::size(kModel)));
    }
    ASSERT_FALSE(last.frame.empty());
    const Slice payload = last.frame.last(12 * 8);
    std::string seen;
    for (size_t i = 0; i < 12; ++i) seen += static_cast<char>(payload[i * 8]);
    EXPECT_EQ(seen, GetParam().expected);
  }
}
const PolicyCase kPolicies[] = {{"First", FragmentPolicy::kFirst, "111422333666"},
                                {"Last", FragmentPolicy::kLast, "144442555666"},
                                {"Bsd", FragmentPolicy::kBsd, "111442333666"},
                                {"BsdRight", FragmentPolicy::kBsdRight, "144422555666"},
                                {"Linux", FragmentPolicy::kLinux, "111442555666"},
                                {"Windows", FragmentPolicy::kWindows, "111422333666"},
                                {"Solaris", FragmentPolicy::kSolaris, "111422333666"}};
INSTANTIATE_TEST_SUITE_P(Novak, DefragPolicy, ::testing::ValuesIn(kPolicies),
                         [](const auto& info) { return info.param.name; });

// Where the last three differ: a new fragment over the whole of an old one.
TEST(DefragPolicy, CoveringAnOldFragment) {
  using P = FragmentPolicy;
  const auto wins = [](P policy, uint32_t end) { return NewFragmentWins(policy, 0, end, 8, 16); };
  EXPECT_TRUE(wins(P::kWindows, 24));
  EXPECT_FALSE(wins(P::kWindows, 16));
  EXPECT_TRUE(wins(P::kSolaris, 16));
  EXPECT_FALSE(wins(P::kSolaris, 12));
  EXPECT_FALSE(wins(P::kFirst, 24));
}

TEST(DefragPolicy, TheLongestPrefixOfTheReceiverDecides) {
  const Address net{.bytes = {10}, .version = 4}, host{.bytes = {10, 0, 0, 2}, .version = 4};
  for (const bool named : {false, true}) {
    DefragOptions options{.policy = FragmentPolicy::kFirst};
    options.host_policies = {{net, 8, FragmentPolicy::kFirst}};
    if (named) options.host_policies.push_back({host, 32, FragmentPolicy::kLast});
    Defrag defrag(options);
    Give(defrag, Piece(false, 0, Bytes(16, 'a'), true));
    Give(defrag, Piece(false, 8, Bytes(8, 'b'), true));
    const Given last = Give(defrag, Piece(false, 16, Bytes(8, 'c'), false));
    EXPECT_EQ(last.frame[last.frame.size() - 16], named ? 'b' : 'a');
  }
}

// RFC 8200 §4.5: headers before the fragment header stay, those behind it are data.
TEST(DefragIpv6, ExtensionHeadersOnBothSidesArePutTogether) {
  const Bytes datagram = testing::Udp(1000, 2000, Bytes(100, 'x'));
  const Bytes inside = testing::Options(17, {1, 4, 0, 0, 0, 0}, datagram);  // destination options
  const Bytes first(inside.begin(), inside.begin() + 16), rest(inside.begin() + 16, inside.end());
  const auto frame = [](const Bytes& fragment) {
    return Ethernet(0x86dd, testing::Ipv6(0, testing::Options(44, {5, 2, 0, 0, 1, 0}, fragment)));
  };
  Defrag defrag({});
  Give(defrag, frame(testing::Fragment(60, 16, false, 9, rest)));
  const Packet packet = Whole(Give(defrag, frame(testing::Fragment(60, 0, true, 9, first))));
  EXPECT_FALSE(packet.invalid);
  EXPECT_EQ(packet.l4, L4::kUdp);
  EXPECT_EQ(packet.destination_port, 2000);
  EXPECT_EQ(packet.payload.size(), 100u);
  EXPECT_EQ(packet.IpHeaders().size(), 40u + 8 + 8);
}

// Fragments in a packet that was itself in fragments: to a depth, and no further.
TEST(DefragIpv6, NestedFragmentsArePutTogetherToALimit) {
  Defrag defrag({});
  Packet packet;
  packet.num_defrags = Defrag::kMaxNesting;
  const Bytes frame = Piece(true, 0, Zeros(8), true);
  Decode(LinkType::kEthernet, frame, {}, &packet);
  packet.num_defrags = Defrag::kMaxNesting;
  EXPECT_TRUE(defrag.Add(&packet, Nanos{1}).empty());
  EXPECT_EQ(defrag.stats().refused, 1u);
}

}  // namespace
}  // namespace sluice
