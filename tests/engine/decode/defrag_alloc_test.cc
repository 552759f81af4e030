// Putting packets together allocates nothing once it stands.
#include <gtest/gtest.h>

#include "tests/engine/decode/fragments.h"
#include "tests/support/allocations.h"

namespace sluice::testing {
namespace {

// Whole packets, packets given up at each limit, and overlapping ones.
TEST(DefragAllocation, None) {
  for (const bool v6 : {false, true}) {
    DefragOptions options;
    options.memcap = 256 << 10;
    options.max_trackers = 64;
    Defrag defrag(options);
    std::vector<Bytes> frames;
    for (uint32_t id = 0; id < 400; ++id) {
      std::vector<Bytes> pieces = Pieces(v6, Udp(1, 2, Zeros(5000)), 1480, id);
      if (id % 4 == 1) pieces.pop_back();
      if (id % 4 == 2) pieces.insert(pieces.begin() + 1, Piece(v6, 8, Zeros(1600), true, id));
      frames.insert(frames.end(), pieces.begin(), pieces.end());
    }
    const size_t before = g_allocations;
    for (const Bytes& frame : frames) Give(defrag, frame);
    EXPECT_EQ(g_allocations, before);
    EXPECT_EQ(defrag.stats().reassembled[v6 ? 1 : 0], 300u);
    EXPECT_EQ(defrag.stats().overlaps, 200u);
    EXPECT_GT(defrag.stats().trackers_full + defrag.stats().memcap, 0u);
  }
}

}  // namespace
}  // namespace sluice::testing
