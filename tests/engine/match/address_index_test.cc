#include "engine/match/address_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "engine/match/program.h"

namespace sluice {
namespace {

Address Ip4(uint32_t value) {
  Address address;
  address.version = 4;
  for (int i = 0; i < 4; ++i) address.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(value >> (24 - 8 * i));
  return address;
}

struct Sides {
  AddressSet source, destination;
  bool either = false;
};

// Whatever a rule's sets hold is found, and of the others only those that stand in every answer.
TEST(AddressIndex, FindsEachRuleThatItsAddressesAllow) {
  std::mt19937 rng(3);
  const auto set = [&] {
    AddressSet out;
    out.any = rng() % 4 == 0;
    uint32_t at = rng() % 60;
    for (uint32_t n = out.any ? 0 : 1 + rng() % 4; n > 0; --n) {  // sorted, disjoint, some beside each other
      const uint32_t last = at + rng() % 9;
      out.ranges.push_back({Ip4(at), Ip4(last)});
      at = last + 1 + rng() % 20;
    }
    if (!out.any && rng() % 5 == 0) out.ranges.push_back({Ip4(0xfffffff0), Ip4(0xffffffff)});
    return out;
  };
  for (int round = 0; round < 200; ++round) {
    AddressIndex index;
    std::vector<Sides> rules;
    for (uint32_t rank = 0; rank < 30; ++rank) {
      rules.push_back({set(), set(), rng() % 8 == 0});
      index.Add(rank, rules[rank].source, rules[rank].destination, rules[rank].either);
    }
    index.Finish();
    for (int look = 0; look < 50; ++look) {
      const Address source = look % 9 == 0 ? Ip4(0xffffffff) : Ip4(rng() % 120), destination = Ip4(rng() % 120);
      std::vector<uint32_t> found;
      index.Find(source, destination, &found);
      ASSERT_TRUE(std::ranges::is_sorted(found));
      ASSERT_EQ(std::ranges::adjacent_find(found), found.end()) << "each once";
      for (uint32_t rank = 0; rank < rules.size(); ++rank) {
        const bool allowed = ContainsAddress(rules[rank].source, source) && ContainsAddress(rules[rank].destination, destination);
        if (!allowed) continue;
        ASSERT_TRUE(std::ranges::binary_search(found, rank)) << "round " << round << " rule " << rank;
      }
    }
  }
}

TEST(AddressIndex, ARuleIsFoundByItsRarerSideAlone) {
  AddressSet any, list{false, {{Ip4(7), Ip4(7)}, {Ip4(9), Ip4(9)}}};
  AddressIndex index;
  index.Add(0, list, any, false);
  index.Add(1, any, list, false);
  index.Add(2, any, any, false);
  index.Finish();
  const auto find = [&](uint32_t source, uint32_t destination) {
    std::vector<uint32_t> found;
    index.Find(Ip4(source), Ip4(destination), &found);
    return found;
  };
  EXPECT_EQ(find(7, 1), (std::vector<uint32_t>{0, 2}));
  EXPECT_EQ(find(8, 9), (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(find(8, 8), (std::vector<uint32_t>{2}));
  std::vector<uint32_t> none;
  index.Find(Address{}, Address{}, &none);  // no IP packet
  EXPECT_EQ(none, (std::vector<uint32_t>{2}));
}

TEST(AddressIndex, ListsThatWouldGrowWithoutBoundsAreNoIndex) {
  AddressIndex index;
  AddressSet any;
  for (uint32_t rank = 0; rank < 4000; ++rank) {  // each lies in half of the others
    index.Add(rank, {false, {{Ip4(rank), Ip4(rank + 4000)}}}, any, false);
  }
  index.Finish();
  std::vector<uint32_t> found;
  index.Find(Ip4(0xf0000000), Ip4(1), &found);
  EXPECT_EQ(found.size(), 4000u) << "all of them: the header's test decides";
}

}  // namespace
}  // namespace sluice
