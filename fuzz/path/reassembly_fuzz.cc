// One direction's segments in any order, with losses, repeats and contradictions.  Oracles:
// sanitizers; under each overlap policy bytes and gaps are those of the slow model; all memory
// comes back.
#include <fuzzer/FuzzedDataProvider.h>

#include "tests/engine/stream/model.h"

using namespace sluice;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 4096) return 0;  // longer input only revisits states, slower
  FuzzedDataProvider in(data, size);
  const auto policy = static_cast<OverlapPolicy>(in.ConsumeIntegralInRange(0, 4));
  SegmentPool pool(1u << 20);
  StreamStats stats;
  Reassembly fast;
  testing::Recorder told;
  testing::ByteMap slow(policy);
  uint64_t limit = 0;
  while (in.remaining_bytes() > 0) {
    const uint64_t at = in.ConsumeIntegral<uint8_t>();  // small: collisions are what matters
    if (in.ConsumeIntegralInRange(0, 7) == 0) {
      limit = std::max(limit, at);
      fast.Deliver(limit, true, pool, told);
      slow.Deliver(limit, true);
    } else {
      const std::string bytes = in.ConsumeBytesAsString(in.ConsumeIntegralInRange<size_t>(1, 32));
      fast.Add(at, AsSlice(bytes), limit, policy, pool, stats, told);
      slow.Add(at, bytes);
      slow.Deliver(limit, false);
    }
    if (told.out != slow.out || !told.in_order) __builtin_trap();
  }
  fast.Clear(pool);
  if (pool.in_use() != 0) __builtin_trap();
  return 0;
}
