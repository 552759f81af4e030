// engine/flow/flow_table.h
// The flows one worker tracks, found by tuple in either direction.
//
// Threads: confined to its worker; there is no lock.  engine/tap steers both
//   directions of a flow to the same worker.
// Memory: Create() reserves every slot (touched on first use) and nothing is
//   allocated later, so a packet flood costs evictions, never memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/flow/flow.h"

namespace sluice {

// Idle time-outs by state: new, established, closed, bypassed.
struct FlowTimeouts {
  Nanos by_state[4];
};
struct FlowTableOptions {
  uint32_t capacity = 1u << 18;  // flows, 1 .. 2^26
  FlowTimeouts tcp{{std::chrono::seconds{60}, std::chrono::seconds{600}, std::chrono::seconds{60},
                    std::chrono::seconds{100}}};
  FlowTimeouts udp{{std::chrono::seconds{30}, std::chrono::seconds{300}, std::chrono::seconds{300},
                    std::chrono::seconds{100}}};
  FlowTimeouts icmp{{std::chrono::seconds{30}, std::chrono::seconds{300}, std::chrono::seconds{300},
                     std::chrono::seconds{100}}};
  FlowTimeouts other{{std::chrono::seconds{30}, std::chrono::seconds{300},
                      std::chrono::seconds{300}, std::chrono::seconds{100}}};
};
struct FlowTableStats {  // counts since Create()
  uint64_t created = 0;
  uint64_t expired = 0;  // reached their idle time-out
  uint64_t evicted = 0;  // removed early to make room: raise capacity
};

class FlowTable {
 public:
  // Told of each flow that ends, before its slot is reused.
  using OnEnd = std::function<void(Flow&, FlowEndReason)>;

  // kInvalidArgument if an option is out of range; the message names it.
  static Result<FlowTable> Create(const FlowTableOptions& options);
  FlowTable(FlowTable&&) noexcept;
  ~FlowTable();

  void set_on_end(OnEnd on_end) { on_end_ = std::move(on_end); }

  struct Hit {
    Flow* flow = nullptr;  // Touch(): never null; valid until the next non-const call
    Direction direction = Direction::kToServer;
    bool created = false;
  };
  // Finds the flow of `tuple` (as on the wire) or starts one, and marks it seen
  // at `now`.  Cannot fail: a full table evicts its longest-idle flow.  O(1).
  Hit Touch(const Tuple& tuple, Nanos now) noexcept;
  Flow* Find(const Tuple& tuple, Direction* direction) noexcept;
  // The time-out class follows the state.
  void SetState(Flow& flow, FlowState state) noexcept;
  // Makes the responder the initiator (a flow picked up at its SYN/ACK).
  void SwapDirections(Flow& flow) noexcept;
  void End(Flow& flow, FlowEndReason reason) noexcept;
  // Ends up to `budget` flows idle for their time-out, and returns how many.
  // The budget bounds the pause of the packet loop.
  size_t Expire(Nanos now, size_t budget) noexcept;
  void EndAll(FlowEndReason reason) noexcept;  // oldest first
  size_t size() const noexcept { return size_; }
  const FlowTableStats& stats() const noexcept { return stats_; }

 private:
  static constexpr uint32_t kNone = 0xffffffff;
  static constexpr size_t kLists = 16;  // protocol class * 4 + state
  struct List {
    uint32_t oldest = kNone, newest = kNone;
  };
  struct Slots;

  explicit FlowTable(const FlowTableOptions& options);
  void Append(uint32_t slot, uint8_t list) noexcept;
  void Detach(uint32_t slot) noexcept;
  uint32_t OldestSlot() const noexcept;
  void Remove(uint32_t slot, FlowEndReason reason) noexcept;
  uint8_t ListOf(const Flow& flow) const noexcept;

  FlowTableOptions options_;
  std::unique_ptr<Slots> slots_;
  std::vector<uint32_t> buckets_;
  uint32_t bucket_mask_ = 0;
  List lists_[kLists];
  Nanos timeouts_[kLists];
  OnEnd on_end_;
  size_t size_ = 0;
  FlowTableStats stats_;
};

// The symmetric hash of a tuple.
uint64_t HashTuple(const Tuple& tuple) noexcept;

}  // namespace sluice
