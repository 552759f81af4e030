// engine/tap/flow_control.h
// Tells the kernel what to do with flows: verdicts and slice budgets, in batches.
//
// Threads: one object per worker, confined to it.  Memory: a fixed array shared with the kernel.
// Cost: one system call per Flush(), about 0.3 us per request in batches of 64.
#pragma once

#include <cstdint>
#include <memory>

#include "bpf/shared/tap_abi.h"
#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/flow/tuple.h"
#include "engine/tap/drop_maps.h"

namespace sluice {

enum class FlowVerdict : uint8_t { kInspect, kBypass, kDrop };  // enum tap_verdict

struct FlowControlStats {
  uint64_t applied = 0;
  uint64_t no_flow = 0;        // the kernel had evicted the flow; drops were entered all the same
  uint64_t drops_full = 0;     // drop_flows is full: raise max_flow_drops
  uint64_t failed = 0;         // the system call failed; the batch is lost
};

class FlowControl {
 public:
  static constexpr uint64_t kAll = TAP_BUDGET_ALL;    // no limit
  static constexpr uint64_t kKeep = TAP_BUDGET_KEEP;  // leave this direction as it is

  FlowControl(FlowControl&&) noexcept;
  FlowControl& operator=(FlowControl&&) noexcept;
  ~FlowControl();

  // `flow` has the initiator as its source.  Requests are queued, and applied by Flush(); a full
  // queue (TAP_BATCH) flushes by itself.

  // Payload bytes of each direction that the kernel may still send, from now on.
  void SetBudget(const Tuple& flow, uint64_t to_server, uint64_t to_client) noexcept;
  // No more slices; counters go on.
  void Bypass(const Tuple& flow, uint64_t sid) noexcept;
  // Drops the flow's packets from now on, for `options.ttl`.
  void Drop(const Tuple& flow, const DropOptions& options) noexcept;
  // Back to inspection.  Does not delete a drop entry: DropMaps::DeleteFlow does.
  void Inspect(const Tuple& flow) noexcept;

  // Applies what is queued; call it once per packet batch.  Returns how many took effect.
  size_t Flush() noexcept;
  const FlowControlStats& stats() const noexcept;

  struct Impl;  // private to engine/tap

 private:
  friend class LiveTap;
  explicit FlowControl(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
