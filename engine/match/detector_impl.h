// engine/match/detector_impl.h
// The state of a Detector, and its steps by subject: conditions.cc (header, flow and
// packet conditions), packet_rules.cc (payload and stream), transaction_rules.cc
// (fields), file_rules.cc (files), detector.cc (matches to decisions), explain.cc (watching).
//
// Threads: confined to the Detector's worker.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "engine/base/cycles.h"
#include "engine/dissect/file_magic.h"
#include "engine/match/explain.h"
#include "engine/match/program.h"
#include "engine/match/tags.h"
#include "engine/match/thresholds.h"

namespace sluice {

inline constexpr size_t kQueue = 256;         // matches of one packet before ordering
inline constexpr size_t kGaveUp = 8;          // rules of one packet that are told of
inline constexpr uint32_t kPendingTries = 8;  // looks at more stream bytes for one candidate
inline constexpr uint32_t kHasFired = 1000;   // in Pending::tries: matched at the stream's start

enum class Look : uint8_t { kMatch, kWait, kNever };

inline bool IsTestOp(FlowbitTest::Op op) {
  return op == FlowbitTest::Op::kIsSet || op == FlowbitTest::Op::kIsNotSet;
}

// The header a buffer names; empty where the packet has none.
Slice HeaderOf(const Packet& packet, HeaderBuffer header);

struct Detector::Impl {
  struct Queued {
    uint32_t rank = 0;
    Alert alert;
  };
  // One answer per packet and index: an address or port set and an endpoint.
  struct Memo {
    std::vector<uint64_t> slots;  // packet << 1 | answer
  };

  Impl(std::shared_ptr<const RuleProgram> p, const DetectorOptions& o)
      : options(o), thresholds(o.threshold_entries), host_bits(o.host_bits) {
    options.max_alerts = std::clamp(options.max_alerts, 1u, 255u);
    confirm.max_steps = options.max_recursion;
    confirm.max_bytes = options.max_confirm_bytes;
    confirm.base64.reserve(kMaxTransformBytes + 4);
    queue.reserve(kQueue);
    file_hits.reserve(DissectOptions{}.max_files);
    alerts.reserve(options.max_alerts);
    gave_up.reserve(kGaveUp);
    Use(std::move(p));
  }

  void Use(std::shared_ptr<const RuleProgram> p);

  // ------------------------------------------------------ header, conditions
  bool AddressIn(uint32_t set, size_t endpoint) {
    uint64_t& slot = addresses.slots[set * 2 + endpoint];
    if (slot >> 1 != packet_no) {
      const Address& a = endpoint == 0 ? context.packet->source : context.packet->destination;
      slot = packet_no << 1 | ContainsAddress(rp->address_sets[set], a);
    }
    return slot & 1;
  }
  bool PortIn(uint32_t set, size_t endpoint) {
    const PortSet& s = rp->port_sets[set];
    if (s.any) return true;
    if (!has_ports) return false;
    uint64_t& slot = ports.slots[set * 2 + endpoint];
    if (slot >> 1 != packet_no) {
      slot = packet_no << 1 | ContainsPort(s, endpoint == 0 ? context.packet->source_port
                                                            : context.packet->destination_port);
    }
    return slot & 1;
  }
  // `source`: which endpoint of the packet (0 its source) sends in the direction looked at.
  bool PortsMatch(const CompiledRule& r, size_t source) {
    return PortIn(r.destination_ports, 1 - source) && PortIn(r.source_ports, source);
  }
  bool AddressesMatch(const CompiledRule& r, size_t source) {
    return AddressIn(r.sources, source) && AddressIn(r.destinations, 1 - source);
  }
  bool Side(const CompiledRule& r, size_t source) {
    return PortsMatch(r, source) && AddressesMatch(r, source);
  }
  static bool LinkMatches(RuleHeader::Link link, const Packet& p) {
    switch (link) {
      case RuleHeader::Link::kIp: return p.ip_version != 0;
      case RuleHeader::Link::kAny: return true;
      case RuleHeader::Link::kEthernet: return !p.ethernet.empty();
      case RuleHeader::Link::kArp: return !p.arp.empty();
    }
    return false;
  }
  bool StartsFlow() const {
    return context.flow && context.direction == Direction::kToServer &&
           context.flow->packets[0] + context.flow->packets[1] == 1;
  }
  bool ProtocolMatches(const CompiledRule& r) const {
    const RuleHeader& h = r.rule->header;
    const Packet& p = *context.packet;
    if (h.ip_version && h.ip_version != p.ip_version) return false;
    if (h.link != RuleHeader::Link::kIp || p.ip_version == 0) return LinkMatches(h.link, p);
    if (h.flow_start && !StartsFlow()) return false;
    return h.any_ip_protocol || h.ip_protocols.empty() ||
           std::find(h.ip_protocols.begin(), h.ip_protocols.end(), p.ip_protocol) !=
               h.ip_protocols.end();
  }
  bool HeaderMatches(const CompiledRule& r, size_t source) {
    return ProtocolMatches(r) &&
           (Side(r, source) || (r.rule->header.bidirectional && Side(r, 1 - source)));
  }
  static bool IsOf(const CompiledRule& r, const Schema& schema) {
    return std::find(r.apps.begin(), r.apps.end(), schema.id) != r.apps.end();
  }
  bool AppMatches(const CompiledRule& r) const {
    if (r.any_app) return true;
    if (!context.flow) return false;
    const FlowContext& f = *context.flow;
    return (f.app && IsOf(r, *f.app)) || (f.app_original && IsOf(r, *f.app_original));
  }

  bool FlowMatches(const FlowTest& t, Direction d) const;

  HostKey XbitKey(const XbitTest& t) const;
  bool XbitIsSet(const XbitTest& t);

  bool FlowintMatches(const FlowintTest& t) const;

  bool StreamSizeMatches(const StreamSizeTest& t) const;

  bool FlowNumberMatches(const FlowNumberTest& t) const;

  bool ElephantMatches(const ElephantTest& t) const;

  bool AppProtocolMatches(const AppProtocolTest& t) const;

  bool ConditionHolds(const FlowCondition& condition, Direction d);
  bool ConditionsHold(const CompiledRule& r, Direction d);

  bool PacketTestHolds(const PacketTest& test) const;
  bool PacketTestsHold(const CompiledRule& r) const;

  // --------------------------------------------------------------- buffers
  bool BufferMatches(const CompiledInspection& inspection, Slice buffer) {
    if (inspection.chain) buffer = rp->chains[inspection.chain].Apply(buffer, transform);
    return inspection.confirm.Matches(buffer, confirm);
  }
  bool PayloadMatches(const CompiledRule& r, Slice buffer);

  // ------------------------------------------------------------ candidates
  void StartHits() {
    ++scan_no;
    hits.clear();
  }
  void Hit(uint32_t rank) {
    if (hit_stamp[rank] == scan_no) return;
    hit_stamp[rank] = scan_no;
    hits.push_back(rank);
  }
  void Scan(const LiteralDatabase& db, Slice bytes) {
    if (db.empty() || bytes.empty()) return;
    ++stats.scans;
    stats.scanned_bytes += bytes.size();
    db.Scan(bytes, confirm.regex.hs, [this](std::span<const uint32_t> rules, uint64_t) {
      for (uint32_t rank : rules) Hit(rank);
    });
  }

  // Runs one look at a rule: `look` says whether it matched.
  template <typename Look>
  auto Costed(uint32_t rank, Look&& look) {
    RuleCost& cost = costs[rank];
    ++cost.checks;
    const uint64_t limits = confirm.LimitHits();
    const bool sampled = ++cost_clock % kCostSample == 0;
    const uint64_t before = sampled ? Cycles() : 0;
    const auto answer = look();
    if (sampled) [[unlikely]] {
      const uint64_t took = Cycles() - before;
      cost.cycles += took;
      cost.most = std::max(cost.most, took);
      ++cost.sampled;
    }
    if (confirm.LimitHits() != limits) [[unlikely]] GaveUp(rank);
    return answer;
  }
  void GaveUp(uint32_t rank);

  // ---------------------------------------------------------------- firing
  void AfterMatch(const CompiledRule& r);
  void KeepCaptured();
  void KeepValues(Transaction* tx, Direction d);
  void PutXbit(const XbitTest& t, bool set);
  void ChangeLog(const LogChange& change, Transaction* tx);
  void SetFlowint(const FlowintTest& t, FlowVars& vars);

  void Fire(uint32_t rank, Transaction* tx, Direction d, bool in_stream);

  // --------------------------------------------------------------- packets
  // Header, conditions, packet and payload tests of a kPacket rule on `buffer`.
  bool TryPacketRule(uint32_t rank, Slice payload);

  void OncePerFlow();

  void ScanGroup(const PayloadGroup& group, Slice bytes);

  void InspectPayload(bool in_stream);

  // Packet and stream rules of this packet, in one order: a rule sees what the
  // rules before it have set, wherever those matched.
  void TryRules();

  // ---------------------------------------------------------------- stream
  void InspectStream(Direction direction, Slice window, uint64_t at);

  // Prefilter over the new bytes; an occurrence counts when it ends in them.
  void ScanHead(const PayloadGroup& group, Slice bytes, uint64_t old);
  void ScanNew(const PayloadGroup& group, Slice window, uint64_t at, uint64_t seen);

  bool TryStreamRule(uint32_t rank, Direction direction);

  static FlowVars::Pending* FindPending(FlowVars& vars, size_t i, uint32_t rank);
  // The oldest candidate makes room.
  void Keep(FlowVars& vars, size_t i, FlowVars::Pending entry);

  // ---------------------------------------------------------- transactions
  using Growing = InspectionState::Growing;

  // Whether a growing window is due for a look.  Looks come at doubling sizes,
  // so all looks together cost a few times its length.
  bool Due(Growing& g, size_t size, bool whole, size_t i) const;
  static bool Ready(const InspectionState& st, uint32_t owner);

  void ScanField(KeywordId keyword, size_t i, Slice bytes);
  void ScanGroups(const std::vector<uint16_t>& groups, Slice bytes);

  // Prefilter over what is new in the direction; true if a window has grown.
  bool ScanTransaction(Transaction& tx, size_t i);

  static uint64_t Fingerprint(const Transaction& tx, size_t i);

  void InspectTransaction(Transaction& tx, Direction direction);

  void AddCandidates(InspectionState& st, const Transaction& tx, size_t i);

  void EvaluateCandidates(Transaction& tx, Direction direction);

  Look TryFieldRule(const CompiledRule& r, const Transaction& tx, Direction direction);

  // Whether the transaction has come as far as the rule asks for.
  bool StateHolds(const CompiledRule& r, const Transaction& tx, size_t i) const;
  // Whether the direction has sent something that its dissector has seen.
  bool HasBegun(const Transaction& tx, size_t i) const;
  static bool EventsSet(const CompiledRule& r, const Transaction& tx);

  uint8_t DirectionsOf(KeywordId keyword) const;
  static bool Counts(uint8_t sides, Direction direction) { return sides & 1 << Index(direction); }
  static bool Complete(const Transaction& tx, uint8_t sides);
  // Whether nothing more of the keyword will come.
  bool IsOver(const Transaction& tx, KeywordId keyword, uint8_t sides) const;

  static bool NumbersMatch(const NumberInspection& n, const Transaction& tx, uint8_t sides);
  Look TryNumber(const NumberInspection& n, const Transaction& tx, uint8_t sides) const;

  // A buffer that is not there, once it is known that it will not come.
  static Look WhenAbsent(const CompiledInspection& inspection, bool seen, bool over);

  Look TryField(const CompiledInspection& inspection, const Transaction& tx, uint8_t sides);

  static bool HasMatched(const InspectionState& st, uint32_t once, uint32_t file);
  Look FireOnTransaction(const CompiledRule& r, uint32_t once, Transaction& tx, Direction direction);
  // What a match is remembered by: once in each direction, for fields that both have; once
  // for a transactional rule, and one on an event that names no direction.
  uint32_t Once(const CompiledRule& r, Direction direction) const {
    const auto rank = static_cast<uint32_t>(&r - rp->compiled.data());
    const bool one = r.transactional || (r.has_event && !r.flow_direction);
    return rank << 1 | (one ? 0 : static_cast<uint32_t>(Index(direction)));
  }

  // ----------------------------------------------------------------- files
  static Slice FileBuffer(const FileInfo& file, BufferKind kind);
  static bool FileBufferIsWhole(const FileInfo& file, BufferKind kind);
  void FindMagic(const FileInfo& file);
  void ScanNewFile(const FileInfo& file, size_t i);
  // True if there is something new to look at.
  bool ScanGrowingFile(Growing& g, const FileInfo& file, size_t i);
  Look TryFileBuffer(const CompiledInspection& inspection, const Transaction& tx, uint32_t index);
  // Any file of these sides.
  Look TryFiles(const CompiledInspection& inspection, const Transaction& tx, uint8_t sides);
  static Look TryFileSize(const FileSizeTest& test, const FileInfo& file);
  static Look TryFileHash(const FileHashTest& test, const HashList& list, const FileInfo& file);
  // All that the rule says of files, on one of them.
  Look TryFile(const CompiledRule& r, const Transaction& tx, uint32_t index);
  // ... on each that it has not matched yet; those that match are in file_hits.
  Look TryEachFile(const CompiledRule& r, uint32_t once, const Transaction& tx, uint8_t sides);
  void KeepFiles(const CompiledRule& r, Transaction& tx, Direction direction);

  void InspectFlowEvents(std::span<const FlowEvent> events);

  // ------------------------------------------------------------------- end
  ThresholdCounter& CounterOf(const Rule& rule, const Threshold& threshold, bool* created);
  bool SawPort(const Rule& rule, const Threshold& t, const ThresholdCounter& counter, bool created);
  ThresholdResult Count(const Rule& rule, const std::optional<Threshold>& threshold);
  bool RateIsExceeded(const Rule& rule);
  bool IsSuppressed(const Rule& rule) const;

  // One match: what it does, and whether it is reported.  False: a pass, and the
  // matches behind it do not happen.
  bool Decide(const Queued& q);
  void Report(const Queued& q, Action action);

  const PacketResult& EndPacket();

  // ------------------------------------------------- watching (explain.cc)

  bool Watches(uint32_t rank) const { return rank == watched; }
  // A look at the watched rule begins, before anything is changed by it...
  void LookAtPacket(Slice buffer, RuleLook::Where where, Direction direction, bool hit);
  void LookAtTransaction(const Transaction& tx, Direction direction, bool hit);
  // ... and ends: told at the packet's end, when it is known what was reported.
  void EndLook(bool matched) { looks.back().matched = matched; }
  // Looks that the prefilter spared.
  void LookAtUntriedPacket();
  void LookAtUntriedTransaction(const Transaction& tx, Direction direction);
  void TellWatcher();

  size_t d() const { return Index(context.direction); }

  std::shared_ptr<const RuleProgram> program;
  const RuleProgram::Impl* rp = nullptr;
  DetectorOptions options;
  DetectorStats stats;
  HostTable<ThresholdCounter> thresholds;
  HostTable<Nanos> host_bits;
  std::optional<TagTable> tags;  // once rules have tags
  // Of detection_filters with unique_on, once rules have some: when a port was counted, the
  // time began that was running.
  std::optional<HostTable<Nanos>> ports_seen;
  Transaction* current_tx = nullptr;  // whose rules are tried
  ConfirmState confirm;
  TransformScratch transform;

  PacketContext context;
  bool has_ports = false;
  static constexpr uint8_t kOnPacket = 2;  // Try::where; else a stream's Direction
  struct Try {
    uint32_t rank = 0;
    uint8_t where = kOnPacket;
  };
  std::vector<Try> tries;         // of this packet, until TryRules()
  Slice stream_window[2];         // by Direction: what InspectStream() was given
  uint64_t stream_at[2] = {0, 0}, stream_old[2] = {0, 0};  // first byte; first new byte
  uint64_t packet_no = 0, scan_no = 0;
  bool bypass = false;  // a rule that matched the packet says so
  std::vector<uint32_t> hits;
  std::vector<uint64_t> hit_stamp;  // by rank: scan_no of the last hit
  std::vector<uint64_t> fired;      // by rank: packet_no of the last match without transaction
  Memo addresses, ports;
  std::vector<RuleCost> costs;  // by rank
  std::vector<uint32_t> address_hits;  // scratch
  FileMagic file_magic;
  FlowVars packet_vars;  // what of this packet alone was captured
  std::vector<const Rule*> gave_up;  // of this packet, at most kGaveUp
  uint32_t cost_clock = 0;
  std::vector<uint32_t> file_hits;  // scratch of TryEachFile(): indices into Transaction::files
  std::vector<Queued> queue;
  std::vector<Alert> alerts;
  PacketResult result;
  bool quiet_transactions = false, quiet_flow = false;  // asked for by this packet's rules

  uint32_t watched = UINT32_MAX;  // a rank; no rule has this one
  RuleWatcher* watcher = nullptr;
  std::vector<RuleLook> looks;  // of this packet
};

}  // namespace sluice
