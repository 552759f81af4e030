// engine/dissect/flow_dissection.h
// What a worker knows of one flow's protocol: who dissects it, the bytes still
// waiting, the live transactions.
//
// Life: Dissector::Open() at the flow's first payload, Data()/Gap()/End() as the
//   stream delivers, Retire() after rules and logs have seen a packet's work,
//   Close() with the flow.
// Memory: pooled by the Dissector; values are copied into blocks of the pool, at
//   most DissectOptions::flow_memcap bytes a flow.
// Threads: confined to the worker.
#pragma once

#include <sluice/plugin.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/digest.h"
#include "engine/base/types.h"
#include "engine/dissect/catalog.h"
#include "engine/dissect/file_parts.h"
#include "engine/dissect/transaction.h"

namespace sluice {

struct DissectOptions {
  uint32_t flow_memcap = 2u << 20;        // bytes of values and pending data per flow
  uint32_t max_live_transactions = 512;   // per flow; past it the oldest is completed
  uint32_t max_kept_transactions = 4096;  // per flow and packet; past it new ones are lost
  uint32_t max_files = 256;               // per transaction
  uint32_t max_events = 64;               // per transaction, and per flow and packet
  uint32_t max_probe_bytes = 4096;        // per direction, then a MAYBE is a NO
  uint32_t max_values = 4096;             // per transaction
  uint32_t chunk_window = 100 * 1024;     // bytes kept of a CHUNKS value or a file
  uint32_t max_slow_calls = 2;            // per flow, then it is left undissected
  uint32_t max_calls_per_packet = 4096;   // parse calls for one piece of data
  uint32_t max_group_depth = 16;          // open groups of a transaction
  uint32_t max_context = 64 * 1024;       // bytes said with a hand-over; more are not
  uint32_t pooled_flows = 4096;           // flow states kept for reuse
  FileWants files{.md5 = true};           // besides what rules want
  FilePartsOptions parts = {};
};

// Totals since start; written by one worker.
struct DissectStats {
  uint64_t flows = 0;               // given to a dissector
  uint64_t undissected = 0;         // every probe said no
  uint64_t probe_undecided = 0;     // gave up on a MAYBE
  uint64_t breaches = 0;            // contract broken: flow taken from the plug-in
  uint64_t slow_calls = 0;
  uint64_t parse_errors = 0;        // a direction given up by its dissector
  uint64_t gaps = 0;                // told to a dissector
  uint64_t gap_stops = 0;           // a direction ended by a gap
  uint64_t memcap = 0;              // values refused at flow_memcap or max_values, contexts at max_context
  uint64_t transactions = 0;
  uint64_t transactions_forced = 0; // completed at max_live_transactions
  uint64_t transactions_lost = 0;   // past max_kept_transactions: not seen by rules
  uint64_t events_lost = 0;         // past max_events
  uint64_t bad_calls = 0;           // host calls with an id or type that is not there
  uint64_t bytes_withheld = 0;      // past a budget: not shown to the dissector
  uint64_t pending_overflow = 0;    // a dissector asked for more than it may have
  uint64_t expectations = 0;         // flows announced
  uint64_t expectations_found = 0;   // flows that one was announced for
  uint64_t expectations_evicted = 0; // announced, and pushed out by another before they began
  uint64_t expectations_lost = 0;    // refused: no slot
};

// What is odd about how a flow's protocol was found, whichever it is.
enum class RecognitionEvent : uint16_t { kSidesDiffer, kMax };
// As rules name it in app-layer-event, and EVE in capitals.
std::string_view RecognitionEventName(RecognitionEvent event);

// A flow-level anomaly, until the worker has taken it.
struct FlowEvent {
  const Schema* schema = nullptr;  // null: index is a RecognitionEvent
  uint16_t index = 0;
  Direction direction = Direction::kToServer;
};

// What a dissector asked about the rest of a direction; a later word replaces it.
struct BudgetRequest {
  uint32_t mode = SLUICE_BUDGET_ALL;
  uint64_t bytes = 0;
};

class BlockPool;

// Bump allocator over pooled blocks; freed as a whole.
class Arena {
 public:
  // Copies `bytes`; nullopt if the pool refuses.
  std::optional<Slice> Copy(Slice bytes, BlockPool& pool);
  void Release(BlockPool& pool) noexcept;
  size_t size() const { return size_; }  // bytes taken from the pool

 private:
  struct Block {
    std::unique_ptr<uint8_t[]> bytes;
    uint32_t capacity = 0, used = 0;
  };
  friend class BlockPool;
  std::vector<Block> blocks_;
  size_t size_ = 0;
};

// A transaction with the storage behind it.
struct LiveTransaction {
  Transaction tx;
  Arena arena;
  // One buffer per growing value (kChunks) and per open file, by index in
  // values / files; capacity is kept for reuse.
  struct Window {
    uint32_t owner = 0;  // index into tx.values or tx.files
    bool file = false;
    std::vector<uint8_t> bytes;
    std::array<std::optional<Digest>, 3> digests;  // by DigestKind; those that are wanted
    bool magic = false;                            // wanted and not yet known
  };
  std::vector<Window> windows;  // the first num_windows are in use
  uint32_t num_windows = 0;
  uint32_t open_groups = 0;
  uint32_t refused_groups = 0;  // opened past a limit: their close is swallowed
  size_t memory = 0;  // bytes charged to the flow
};

class Dissector;

struct FlowFacts {  // what a dissector may ask about its flow
  uint32_t transport = SLUICE_TCP;
  uint8_t ip_version = 4;
  uint16_t client_port = 0, server_port = 0;
  Slice client_address, server_address;  // borrowed for the flow's life
  bool midstream = false;  // the first bytes were not seen
  uint64_t id = 0;         // as logs name it
};

class FlowDissection {
 public:
  // The dissector's schema, or null while unknown or given up.
  const Schema* schema() const { return schema_; }
  // The schema of the flow before a hand-over, if there was one.
  const Schema* original_schema() const { return original_; }
  // What comes is encrypted: rules look for nothing in the bytes to come.
  bool encrypted() const { return encrypted_; }
  // Whether no dissector will be found any more.
  bool failed() const { return failed_; }
  // Whether the first datagrams were of no dissector's, though the other side's may be.
  bool unrecognised() const {
    return schema_ == nullptr && (failed_ || (facts_.transport == SLUICE_UDP && (probed_no_[0] || probed_no_[1])));
  }
  // Whether another flow announced it.
  bool expected() const { return expected_; }
  uint64_t parent() const { return parent_; }  // that one's id
  // Nothing of this flow is looked at any more: encrypted or given up.
  bool opaque() const { return opaque_; }
  uint32_t parse_errors() const { return parse_errors_; }  // directions that a dissector gave up
  uint32_t gap_stops() const { return gap_stops_; }        // ... at a gap
  uint32_t refusals() const { return refusals_; }          // of values and such, at a limit
  bool breached() const { return breached_; }              // its plug-in broke the contract
  // What a direction speaks by its own first bytes; null: it has sent none yet.
  const Schema* side(Direction d) const { return sides_[Index(d)]; }

  // Live transactions, oldest first; valid until the next call on this flow.
  std::span<LiveTransaction* const> transactions() const { return live_; }
  std::span<const FlowEvent> events() const { return events_; }
  const std::optional<BudgetRequest>& budget_request(Direction d) const {  // since Retire()
    return budgets_[Index(d)];
  }
  uint64_t num_transactions() const { return next_tx_; }
  // All further files of the directions (a bit each) are to be kept.
  void KeepFiles(uint8_t directions) { keep_files_ |= directions; }
  bool changed() const { return changed_; }  // something to inspect or log since Retire()

 private:
  friend class Dissector;
  friend struct HostCalls;

  Dissector* owner_ = nullptr;
  FlowFacts facts_;
  const Schema* schema_ = nullptr;
  const Schema* original_ = nullptr;
  const Schema* from_ = nullptr;  // who handed the flow to the present dissector
  const Plugin* plugin_ = nullptr;
  void* state_ = nullptr;
  Nanos now_{};
  Direction current_ = Direction::kToServer;  // of the callback that runs
  bool failed_ = false, opaque_ = false, encrypted_ = false, changed_ = false, dead_ = false, breached_ = false;
  const Schema* sides_[2] = {nullptr, nullptr};
  bool probed_no_[2] = {false, false};
  std::optional<Direction> first_;  // who spoke first
  bool expected_ = false;
  uint64_t parent_ = 0;
  uint32_t parse_errors_ = 0, gap_stops_ = 0, refusals_ = 0;
  bool in_gap_ = false, gap_told_ = false;  // within gap(); which files it is of was said
  bool stopped_[2] = {false, false};  // ERROR or gap: not parsed again
  bool ended_[2] = {false, false};
  bool handover_ = false;
  const char* handover_to_ = nullptr;
  std::vector<uint8_t> context_;  // said with the announcement, or until flow_new has run with the hand-over
  std::array<char, 64> handover_name_{};
  uint64_t skip_[2] = {0, 0};  // SLUICE_BUDGET_NEXT_TX
  // Bytes not yet consumed that the dissector's budget still lets through, and
  // what came since it was used up.
  uint64_t allowed_[2] = {UINT64_MAX, UINT64_MAX};
  uint64_t withheld_[2] = {0, 0};
  bool budget_fresh_[2] = {false, false};  // asked in the callback that runs: counts from its end
  uint32_t needed_[2] = {0, 0};
  std::vector<uint8_t> pending_[2];
  uint32_t slow_calls_ = 0;
  size_t memory_ = 0;
  uint64_t next_tx_ = 0;
  uint64_t first_lost_ = 0, end_lost_ = 0;  // numbers past a limit, and some between them
  uint64_t first_tx_ = 0;  // number of the current dissector's first
  uint8_t keep_files_ = 0;  // bit per Direction
  std::vector<LiveTransaction*> live_;
  size_t oldest_open_ = 0;  // index into live_: none before it is open
  std::vector<FlowEvent> events_;
  std::optional<BudgetRequest> budgets_[2];
};

}  // namespace sluice
