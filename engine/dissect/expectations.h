// engine/dissect/expectations.h
// Flows that dissectors have announced and that have not begun.
//
// A flow is announced on one worker and begins on whichever its ends are steered to, so one
//   table serves all of them.
// Threads: any; no lock.  A slot is taken, read or filled by whoever swapped its word to busy,
//   which lasts a copy of at most kMaxContext bytes.  Who finds a slot busy passes it by.
// Memory: kSlots slots, all allocated with the table.  A flow's slot is one of the kWays that its
//   responder hashes to: where they are all in use, the one that ends soonest makes room.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/types.h"

namespace sluice {

struct ExpectedEnds {
  uint32_t transport = 0;  // SLUICE_TCP, SLUICE_UDP
  uint32_t ip_version = 0;
  std::array<uint8_t, 16> initiator{}, responder{};  // IPv4 in the first 4 bytes; initiator of zeros: any
  uint16_t initiator_port = 0;                       // 0: any
  uint16_t responder_port = 0;
  bool operator==(const ExpectedEnds&) const = default;
};

class Expectations {
 public:
  static constexpr size_t kSlots = 1024, kWays = 8;
  static constexpr size_t kMaxContext = 1024;  // bytes
  static constexpr Nanos kDefaultLife = std::chrono::seconds{30};
  static constexpr Nanos kLongestLife = std::chrono::minutes{5};

  Expectations();

  struct What {
    uint16_t schema = 0;  // of the dissector that gets the flow
    uint64_t parent = 0;  // id of the flow that announced it
  };
  enum class Added : uint8_t { kNew, kReplaced, kEvicted, kRefused };
  // kReplaced: the same ends, announced before.  kEvicted: another one made room.
  // kRefused: all of its slots are busy, or its context is too long.
  Added Add(const ExpectedEnds& ends, const What& what, Slice context, Nanos now, Nanos life) noexcept;

  // Takes what was announced of a flow with these ends, if anything was.
  bool Take(const ExpectedEnds& flow, Nanos now, What* what, std::vector<uint8_t>* context);

  size_t size() const noexcept { return used_.load(std::memory_order_relaxed); }  // with those past their end

 private:
  // The upper 62 bits are the responder's hash; of an empty slot all are 0.
  static constexpr uint64_t kBusy = 1, kReady = 2, kStateBits = 3;
  struct Slot {
    std::atomic<uint64_t> word{0};
    std::atomic<int64_t> end{0};  // ns since the epoch
    ExpectedEnds ends;
    What what;
    uint16_t length = 0;
    std::array<uint8_t, kMaxContext> context;
  };

  uint64_t Hash(const ExpectedEnds& ends) const noexcept;
  Slot* Bucket(uint64_t hash) noexcept { return &slots_[hash % (kSlots / kWays) * kWays]; }
  static bool Seize(Slot& slot, uint64_t word) noexcept;
  Slot* SeizeSame(uint64_t hash, const ExpectedEnds& ends) noexcept;
  Slot* SeizeAny(uint64_t hash, Nanos now, Added* how) noexcept;
  void Free(Slot& slot) noexcept;

  const uint64_t seed_;  // of this process: nobody outside can choose ends that share a bucket
  std::atomic<size_t> used_{0};
  std::unique_ptr<Slot[]> slots_;
};

}  // namespace sluice
