// engine/match/match.h
// Rules against packets, streams and transactions: a prefilter over all rules,
// then one compact confirm program per candidate.
//
// Use, per packet and after the dissector has seen it:
//   detector.BeginPacket(context);
//   detector.InspectPayload(in_stream);               // always, also without payload
//   detector.InspectStream(direction, window, at);    // where in-order TCP bytes are new
//   detector.InspectFlowEvents(flow.events());
//   detector.InspectTransaction(tx, direction);       // each live transaction, both directions
//   const PacketResult& result = detector.EndPacket();
//
// Threads: RuleProgram is immutable and shared; a Detector belongs to one worker.
// Memory: a Detector allocates when made; later only flow variables past their
//   inline room and transaction candidate lists grow (bounded, kept for reuse).
// Errors: Compile() names rules it cannot run in RuleProgram::problems(), it
//   fails only if Hyperscan itself does; nothing on the packet path fails.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/decode/packet.h"
#include "engine/dissect/catalog.h"
#include "engine/dissect/flow_dissection.h"
#include "engine/dissect/transaction.h"
#include "engine/match/flow_vars.h"
#include "engine/rules/rule_set.h"

namespace sluice {

struct CompileOptions {
  // By KeywordId and by schema id: Catalog::keywords() and what rules call
  // Catalog::schemas().  Borrowed for the call.
  std::span<const KeywordInfo> keywords;
  std::vector<std::vector<std::string_view>> schemas;  // name, then aliases
  // Order in which actions win; each action named once.  The three rejects rank together.
  std::array<Action, 4> action_order = {Action::kPass, Action::kDrop, Action::kReject,
                                        Action::kAlert};
  uint32_t pcre_match_limit = 100'000;
  uint32_t pcre_depth_limit = 2'000;
  // Databases of earlier starts; null: none.  Borrowed for the call.
  class DatabaseCache* cache = nullptr;
  std::string data_dir = ".";  // where lists of hashes are that are not beside the rule file
  class DatasetRegistry* datasets = nullptr;  // null: rules with datasets are problems
  std::shared_ptr<const class Reputation> reputation;  // null: of no host anything is known
  std::string geo_database;  // a MaxMind file; without it rules with geoip are problems
};

enum class RegexEngine : uint8_t { kNone, kHyperscan, kRe2, kPcre2 };
const char* RegexEngineName(RegexEngine engine);

class RuleProgram {
 public:
  static Result<std::shared_ptr<const RuleProgram>> Compile(RuleSet rules,
                                                            const CompileOptions& options);
  ~RuleProgram();

  const RuleSet& rules() const;
  // Rules left out, with the reason: a regular expression no engine takes, a
  // transform not known.
  const std::vector<RuleProblem>& problems() const;

  // For `check -v`: the most expensive engine among the rule's expressions and
  // why it had to be; kNone if it has none.
  struct EngineChoice {
    RegexEngine engine = RegexEngine::kNone;
    std::string reason;
  };
  EngineChoice EngineOf(const Rule& rule) const;
  // The rule at a place in the order of evaluation.
  const Rule& RuleAt(size_t rank) const;
  size_t num_ranks() const;
  // What a rule is likely to cost, in nanoseconds for each KiB of traffic that could
  // concern it: how often its fast pattern occurs by chance, and the tests behind it.
  double PredictedCost(const Rule& rule) const;
  // The literal the prefilter looks for; empty: the rule is tried on each
  // packet or transaction of its protocol and ports.
  std::string_view FastPatternOf(const Rule& rule) const;

  // Ids of decode-event / stream-event names ("ipv4.pkt_too_small"), as
  // PacketContext wants them; -1: no rule asks for it.
  int EventId(std::string_view name) const;
  // Keywords that rules use, by KeywordId: for Catalog::SetWanted().
  std::vector<bool> WantedKeywords(size_t num_keywords) const;
  bool wants_stream() const;  // some rule looks at reassembled raw bytes
  const FileWants& wants_of_files() const;  // what rules must know of files
  // Distinguishes programs, counting up.
  uint32_t generation() const;
  // Of the rules' texts in the order in which they are evaluated: the same for two
  // programs that judge alike.
  uint64_t hash() const;

  struct Summary {
    uint32_t rules = 0, without_fast_pattern = 0, databases = 0, literals = 0;
    uint32_t regex_hyperscan = 0, regex_re2 = 0, regex_pcre2 = 0;
    size_t database_bytes = 0;
  };
  const Summary& summary() const;

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  RuleProgram();
  std::unique_ptr<Impl> impl_;
};

// What rules may ask about the flow of a packet; filled by the worker per
// packet from its flow record.  Borrowed for one BeginPacket .. EndPacket.
struct FlowContext {
  bool established = false;  // TCP: handshake complete; else both directions seen
  Nanos started{};
  uint64_t packets[2] = {0, 0};  // by Direction, this packet included
  uint64_t bytes[2] = {0, 0};
  uint64_t stream_bytes[2] = {0, 0};     // stream_size: sequence space used
  uint8_t elephant = 0;                  // Flow::elephant
  const Schema* app = nullptr;           // the dissector's schema once known
  const Schema* app_original = nullptr;  // before a hand-over
  bool app_failed = false;               // no dissector will be found
  const Schema* app_sides[2] = {nullptr, nullptr};  // what a direction's own bytes are
  bool encrypted = false;                // the packet's payload is: nothing is looked for in it
  uint64_t id = 0;                       // by_flow thresholds
  FlowVars* vars = nullptr;              // never null
  uint8_t keep_files = 0;                // out: bit per Direction: from now on all are to be kept
  bool keep_values = false;              // out: those of the transactions that there are now
};

struct PacketContext {
  const Packet* packet = nullptr;
  Direction direction = Direction::kToServer;
  FlowContext* flow = nullptr;       // null: the packet belongs to no flow
  std::span<const uint16_t> events;  // EventId() of decode and stream events of this packet
  Nanos now{};
};

// JSON objects that datasets hold about what a rule found, for EVE's alert.context.
struct AlertContexts {
  static constexpr size_t kMax = 4;  // further ones are left out
  using One = std::pair<std::string_view, std::string_view>;  // key, JSON: of the program's sets
  std::array<One, kMax> list;
  uint8_t count = 0;
  void Add(std::string_view key, std::string_view json) {
    if (count < kMax) list[count++] = {key, json};
  }
};

struct Alert {
  const Rule* rule = nullptr;
  Transaction* tx = nullptr;  // null for packet and stream rules
  uint64_t tx_id = 0;
  Direction direction = Direction::kToServer;
  bool in_stream = false;      // matched reassembled bytes
  bool apply_to_flow = false;  // drop and pass: hold for the rest of the flow
  Action effective = Action::kAlert;
  AlertContexts contexts;
};

struct PacketResult {
  std::span<const Alert> alerts;  // in order; valid until the next BeginPacket
  bool pass = false;              // a pass rule matched, and no drop before it
  bool pass_flow = false;         // and nothing more of the flow needs inspection
  bool drop = false, drop_flow = false;  // by a drop or a reject rule
  bool bypass = false;             // a rule says that no other need look at the flow
  bool by_rate = false;            // cause acts so because of its rate filter
  const Rule* cause = nullptr;     // of the pass, or of the first drop or reject
  Action action = Action::kAlert;  // of cause
  Action reject = Action::kAlert;  // the first reject's; kAlert: none
  // Rules that gave up at a limit for the first time; valid as alerts are.
  std::span<const Rule* const> gave_up;
  std::span<const FlowVars::Text> captured;  // of this packet alone; valid as alerts are
  bool tagged = false;             // an earlier alert asks for the packet to be logged
  bool quiet_transactions = false, quiet_flow = false;  // no records of these any more
};

struct DetectorOptions {
  bool inline_stream = false;              // all of a window is new to each packet: may fire again
  uint32_t max_alerts = 15;                // per packet, 1 .. 255
  uint32_t max_recursion = 3000;           // test evaluations for one rule and buffer
  uint64_t max_confirm_bytes = 16u << 20;  // searched for one rule and buffer
  uint32_t threshold_entries = 65536;      // tracked (rule, host); oldest is evicted
  uint32_t host_bits = 16384;              // xbits and hostbits tracked
  uint32_t tags = 4096;                    // flows and hosts whose packets are logged
  uint32_t min_chunk[2] = {32 * 1024,
                           40 * 1024};  // by Direction: a growing body is first inspected
  // Offset and depth count from the first new byte of each look at a stream, too, not
  // only from its start: passive streams, whose looks are as messages are.
  bool anchor_each_look = false;
};

struct DetectorStats {
  uint64_t packets = 0;
  uint64_t scans = 0, scanned_bytes = 0;  // prefilter
  uint64_t candidates = 0, confirms = 0;  // header matched / contents tried
  uint64_t matches = 0, alerts = 0;
  uint64_t alerts_suppressed = 0;  // by threshold
  uint64_t alerts_overflow = 0;    // past max_alerts
  uint64_t recursion_limit = 0;    // a rule gave up at max_recursion
  uint64_t confirm_limit = 0;      // ... at max_confirm_bytes
  uint64_t regex_limit = 0;        // PCRE2 gave up
  uint64_t threshold_evicted = 0, host_bits_evicted = 0, tags_evicted = 0;
  uint64_t tagged = 0;  // packets
  uint64_t stream_pending_lost = 0;  // candidates waiting for more stream bytes
  uint64_t flow_vars_full = 0;       // flowbits past FlowVars::kMax
};

// What one rule has cost.  Checks and matches are counted; of the checks, each
// kCostSample-th is timed.
struct RuleCost {
  uint64_t checks = 0, matches = 0;
  uint64_t sampled = 0, cycles = 0;
  uint64_t most = 0;     // cycles of the longest sampled look
  uint64_t gave_up = 0;  // looks that ended at a limit
  uint64_t EstimatedCycles() const { return sampled ? cycles / sampled * checks : 0; }
};
inline constexpr uint32_t kCostSample = 64;

class RuleWatcher;

class Detector {
 public:
  Detector(std::shared_ptr<const RuleProgram> program, const DetectorOptions& options);
  ~Detector();
  Detector(const Detector&) = delete;
  Detector& operator=(const Detector&) = delete;

  // Takes another program between packets (reload).  Thresholds of rules with the same
  // gid:sid, host bits, and flow variables of the same names go on.
  void SetProgram(std::shared_ptr<const RuleProgram> program);
  const RuleProgram& program() const;

  void BeginPacket(const PacketContext& context);
  // Header, payload and flow rules.  `in_stream`: the segment went into the
  // reassembled stream, so plain content rules wait for InspectStream().
  void InspectPayload(bool in_stream);
  // `window`: contiguous bytes of one direction, the newest last; `at`: the
  // stream offset of its first byte.  May repeat bytes already shown; a rule fires
  // only on new ones (but inline_stream).  Call before the packet's transactions.
  void InspectStream(Direction direction, Slice window, uint64_t at);
  void InspectFlowEvents(std::span<const FlowEvent> events);
  // Rules on fields, once per transaction each.  Cheap where nothing has
  // changed since the last call.
  void InspectTransaction(Transaction& tx, Direction direction);
  // Orders, limits and thresholds.
  const PacketResult& EndPacket();

  const DetectorStats& stats() const;
  // By RuleProgram::RuleAt(); since the program was taken.
  std::span<const RuleCost> costs() const;

  // Reports each look at `rule` (of this program) to `watcher`, until the next
  // program; see explain.h.
  void Watch(const Rule& rule, RuleWatcher* watcher);

  struct Impl;  // detector_impl.h

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
