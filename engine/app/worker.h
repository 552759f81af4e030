// engine/app/worker.h
// The packet path of one worker: decode, flow, stream, dissect, match, output.
// Replay and live traffic come through the same Process().
//
// Threads: confined to one thread; what is shared is immutable (Catalog,
//   RuleProgram) or the worker's own (RecordSink).
// Memory: everything is pooled; tables have capacities and memcaps.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/app/file_keeper.h"
#include "engine/app/packet_log.h"
#include "engine/app/rule_costs.h"
#include "engine/app/value_keeper.h"
#include "engine/app/raw_window.h"
#include "engine/decode/decode.h"
#include "engine/decode/defrag.h"
#include "engine/dissect/dissector.h"
#include "engine/dissect/outcome.h"
#include "engine/flow/byte_rate.h"
#include "engine/flow/flow_table.h"
#include "engine/match/match.h"
#include "engine/output/eve_log.h"
#include "engine/stream/tcp_session.h"
#include "engine/verdict/drop_reason.h"
#include "engine/verdict/exception.h"

namespace sluice {

struct WorkerOptions {
  DecodeOptions decode;
  DefragOptions defrag;
  FlowTableOptions flow;
  StreamOptions stream;
  DissectOptions dissect;
  DetectorOptions detect;
  std::vector<EveOptions> eve;      // of each EVE log
  FileKeeperOptions keep_files;
  PacketLogOptions packet_log;
  std::set<std::string, std::less<>> keep_values_of;  // dissectors
  uint64_t keep_depth = 1u << 20;   // as stream.depth, where files are kept
  ByteRateOptions elephant;
  bool track_recursion = true;      // the same ends inside and outside a tunnel: two flows
  bool inline_verdicts = false;     // drop rules drop: live, or --simulate-ips
  ExceptionPolicies exceptions{};   // none drops unless verdicts are given
  bool stream_bypass = false;       // nothing looks at a flow past StreamOptions::depth
  RawWindow::Limits raw;            // bytes of a direction kept for stream rules
  uint64_t raw_chunk[2] = {2560, 2560};  // by Direction: bytes between two looks, passive
  bool guess_transaction = false;   // TCP: alerts on packets name the one that rules look at
};

// Where a worker's records go; null: nowhere.  They outlive it.
struct WorkerSinks {
  std::vector<RecordSink*> eve;     // as WorkerOptions::eve
  RecordSink* fast = nullptr;
  RecordSink* store = nullptr;      // of files
  RecordSink* packets = nullptr;
  RecordSink* values = nullptr;     // that rules ask to keep
};

// What happens because of a rule.  Live: kernel drop maps and resets.
class VerdictSink {
 public:
  virtual ~VerdictSink() = default;
  using NextSeq = std::array<uint32_t, 2>;  // expected from each direction, for resets
  // The rule's action on a packet of the flow.
  virtual void OnVerdict(const Rule& rule, Action action, const Packet& packet, const Flow& flow,
                         Direction direction, const NextSeq& next_seq) = 0;
  // The same by an exception policy.
  virtual void OnException(ExceptionTarget target, bool reset, const Packet& packet, const Flow& flow,
                           Direction direction, const NextSeq& next_seq) = 0;
  // A flow began.
  virtual void OnFlow(const Flow&) {}
  // Nothing more of the flow, or of a direction, need come to user space.
  virtual void OnBudget(const Flow& flow, Direction direction, uint32_t mode, uint64_t bytes) = 0;
};

struct WorkerStats {  // totals since start; written by the worker, read by anyone
  uint64_t packets = 0, bytes = 0, invalid = 0;
  uint64_t max_packet = 0;
  uint64_t flows_tcp = 0, flows_udp = 0, flows_icmp4 = 0, flows_icmp6 = 0, tcp_reuse = 0;
  uint64_t alerts = 0;
  uint64_t raw_lost = 0;  // stream bytes that went before stream rules looked
  uint64_t memcap_pressure_max = 0;  // the most that MemcapPressure() was, looked at with each expiry
  uint64_t accepted = 0, blocked = 0, rejected = 0;  // frames, where verdicts are given
  std::array<uint64_t, static_cast<size_t>(DropReason::kMax)> drop_reasons{};
  std::array<std::array<uint64_t, static_cast<size_t>(ExceptionPolicy::kMax)>, kNumExceptionTargets>
      exceptions{};  // by target and what was done
  uint64_t bypassed_packets = 0, bypassed_bytes = 0;  // that came and that nothing looked at
  uint64_t capture_packets = 0, capture_bytes = 0;    // ... of flows that the kernel was to keep
  uint64_t kernel_packets = 0, kernel_bytes = 0;      // that the kernel kept
  uint64_t flows_elephant = 0;                        // past the rate of WorkerOptions::elephant
  uint64_t flows_bypassed = 0;                        // that have ended
  uint64_t sessions_ended = 0;
  // Flows that have ended, by state; the last two are bypassed ones, by FlowBypass.
  std::array<uint64_t, 5> flows_ended{};
  // How often the flow table was full, so that flows had to go before their time, and had room again.
  uint64_t emergencies = 0, emergencies_over = 0;
  std::array<uint64_t, static_cast<size_t>(Layer::kMax)> layers{};  // headers decoded
  std::array<uint64_t, static_cast<size_t>(DecodeEvent::kMax)> decode_events{};
  uint64_t decode_events_lost = 0;  // of packets with more than Packet::kMaxEvents
  struct App {
    uint64_t flows = 0, transactions = 0;
    uint64_t parse_errors = 0, gaps = 0;  // directions given up
    uint64_t refusals = 0, breaches = 0;  // values at a limit, flows taken from a faulty plug-in
  };
  std::vector<App> apps[2];           // over TCP, UDP; by Schema::id
  uint64_t flows_failed[2] = {0, 0};  // the same
  struct Answers {  // of transactions, by schema
    std::array<uint64_t, kNumOutcomes> outcomes{};
    uint64_t timed = 0, latency_us = 0;  // number and sum
  };
  std::vector<Answers> answers_by_schema;
};

class Worker {
 public:
  // `verdicts` may be null.  The catalogue and the program outlive the worker.
  static Result<std::unique_ptr<Worker>> Create(const WorkerOptions& options,
                                                const Catalog& catalog,
                                                std::shared_ptr<const RuleProgram> program,
                                                const WorkerSinks& sinks,
                                                VerdictSink* verdicts);
  ~Worker();

  // One frame: time, number and wire_len as the tap knows them.
  void Process(LinkType link, Slice frame, Nanos time, uint64_t number, uint32_t wire_len);
  // The kernel's exact totals of a flow it has ended, by Direction of its initiator.
  void KernelFlowEnd(const Tuple& tuple, const uint64_t (&packets)[2], const uint64_t (&bytes)[2]);
  // Ends flows whose time-out has passed.  Live: call it also without packets.
  void Expire(Nanos now);
  // Ends all flows: the run is over.
  void Shutdown();
  // Rules of the next generation, between packets.
  void SetProgram(std::shared_ptr<const RuleProgram> program);
  // Tells `watcher` each look at `rule`, until the next program.
  void Watch(const Rule& rule, RuleWatcher* watcher) { detector_.Watch(rule, watcher); }

  const WorkerStats& stats() const { return stats_; }
  // Counters under their EVE names, appended.
  void CollectCounters(NamedCounters* out) const;
  // What looking at each rule took, as far as it was timed; added.
  void CollectRuleCosts(RuleCosts* out) const;
  const std::vector<uint64_t>& alerts_by_rule() const { return alerts_by_rule_; }
  EveLog& eve() { return eve_writer_; }
  // Live: on which the next packets come; outlives the worker.
  void set_interface(std::string_view name) {
    interface_ = name;
    eve_writer_.set_interface(name);
  }
  size_t num_flows() const { return table_.size(); }
  std::span<const RuleCost> rule_costs() const { return detector_.costs(); }
  const DetectorStats& detect_stats() const { return detector_.stats(); }
  const DissectStats& dissect_stats() const { return dissector_.stats(); }
  const StreamStats& stream_stats() const { return stream_stats_; }

 private:
  struct FlowWork;
  struct StreamSink;

  Worker(const WorkerOptions& options, FlowTable table, const Catalog& catalog,
         std::shared_ptr<const RuleProgram> program, const WorkerSinks& sinks,
         VerdictSink* verdicts);

  void ProcessPacket(Packet& packet);
  void CountLayers(const Packet& packet);
  void ReportEvents(const Packet& packet);
  void LogDecodeAnomalies(const Packet& packet);
  void ProcessInner(const Packet& outer);
  bool ProcessFragment(Packet& fragment);
  FileWants WantsOf(const RuleProgram& program) const;
  const StreamOptions& StreamOf(const FlowWork& state) const;
  // How full the fullest of flows, waiting segments and fragments is: percent of its limit.
  uint64_t MemcapPressure() const;
  void LookForEmergency();
  void CountEnd(const Flow& flow, const FlowWork& state);
  void CollectFlowCounters(NamedCounters* out) const;
  void CollectStreamCounters(NamedCounters* out) const;
  void CollectFileCounters(NamedCounters* out) const;
  void CollectDecoderCounters(NamedCounters* out) const;
  void ProcessInFlow(const Packet& packet);
  void ProcessWithoutFlow(const Packet& packet);
  FlowTable::Hit FindFlow(const Packet& packet);
  FlowTable::Hit FindQuotedFlow(const Packet& packet);
  void DropTunnel(const Rule& cause, Action action, const Packet& inner);
  FlowTable::Hit EndForReuse(const Packet& packet, Flow& flow);
  FlowWork& StateOf(Flow& flow);
  std::span<const ExceptionView> ExceptionsOf(const Flow& flow);
  void MarkElephant(Flow& flow, size_t direction);
  void CountRate(Flow& flow, Direction direction, uint64_t bytes);
  void UpdateFlow(const Packet& packet, Flow& flow, Direction direction);
  bool ProcessTcp(const Packet& packet, Flow& flow, FlowWork& state, Direction direction,
                  bool* in_stream);
  void ProcessDatagram(const Packet& packet, Flow& flow, FlowWork& state, Direction direction);
  Direction Oriented(const Packet& packet, Flow& flow, FlowWork& state, Direction direction);
  static FlowFacts FactsOf(const Flow& flow, const FlowWork& state);
  FlowDissection& DissectionOf(Flow& flow, FlowWork& state);
  void Inspect(const Packet& packet, Flow& flow, FlowWork& state, Direction direction,
               bool in_stream);
  void ApplyRules(const Packet& packet, Flow& flow, FlowWork& state, Direction direction,
                  bool in_stream);
  bool StreamLookIsDue(const Packet& packet, const FlowWork& state, Direction direction) const;
  void HandleResult(const Packet& packet, Flow& flow, FlowWork& state, Direction direction,
                    const PacketResult& result);
  struct DropCause;
  void Drop(const Packet& packet, const FlowView& view, Flow* flow, Direction direction,
            const DropCause& cause);
  void OnException(ExceptionTarget target, const Packet& packet, Flow* flow, FlowWork* state,
                   Direction direction);
  void DropByException(ExceptionTarget target, const Packet& packet, Flow* flow, FlowWork* state,
                       Direction direction);
  void CheckErrors(const Packet& packet, Flow& flow, FlowWork& state, Direction direction);
  void Bypass(Flow& flow);
  bool IsBypassed(const Packet& packet, Flow& flow, Direction direction);
  void CollectVerdictCounters(NamedCounters* out) const;
  void CountVerdict();
  static VerdictSink::NextSeq NextSeq(const FlowWork& state);
  Slice TextOf(const FlowWork& state, Direction direction);  // until the next call
  VerdictView VerdictOf(const Packet& packet, const PacketResult& result) const;
  void GuessTransaction(const FlowDissection& dissection, Direction direction);
  void WriteAlert(const Packet& packet, const FlowView& view, const Alert& alert,
                  const PacketResult& result, Slice payload);
  WorkerStats::App& AppStats(const Flow& flow, const Schema& schema);
  void CountProtocol(const Flow& flow, FlowWork& state);
  void CollectAppCounters(NamedCounters* out) const;
  void FinishTransactions(const Packet& packet, Flow& flow, FlowWork& state);
  void AppAnomaly(const Packet& packet, const FlowView& view, const Schema& schema, uint32_t index,
                  Direction direction, const uint64_t* tx_id);
  void RecognitionAnomaly(const Packet& packet, const FlowView& view, const FlowEvent& event);
  void CountAnswer(const Transaction& tx);
  void FindSecrets(const FlowDissection& dissection);
  bool LogFiles(const Packet& packet, const FlowView& view, LiveTransaction& live);
  void LogTransaction(const Packet& packet, const FlowView& view, Transaction& tx);
  void LogTxEvents(const Packet& packet, const FlowView& view, Transaction& tx);
  void LogEarly(Flow& flow, FlowWork& state, Direction ended);
  void HandleBudgets(Flow& flow, FlowWork& state, Direction direction);
  FlowView ViewOf(const Flow& flow, FlowWork& state);
  void ChoosePacket(const Packet& packet, FlowWork& state, const PacketResult& result);
  void HoldPacket(const Packet& packet, FlowWork& state);
  void LogPacket(const Packet& packet);
  void EndFlow(Flow& flow, FlowEndReason reason);
  void FlushFlow(Flow& flow, FlowWork& state);
  void LastLook(Flow& flow, FlowWork& state, Direction direction);

  const WorkerOptions options_;
  StreamOptions deep_stream_;  // of flows whose files are kept
  const Catalog& catalog_;
  FlowTable table_;
  Defrag defrag_;
  SegmentPool segments_;
  StreamStats stream_stats_;
  FileKeeper keeper_;
  PacketLog packet_log_;
  ValueKeeper value_keeper_;
  Dissector dissector_;
  Detector detector_;
  EveLog eve_writer_;
  RecordSink* fast_;
  std::string fast_line_;
  const bool keeps_macs_, every_drop_, decode_anomalies_;
  const bool dumps_;                        // some log has payloads or packets
  const size_t text_limit_;                 // most bytes of a stream in an alert of any log
  std::optional<uint16_t> community_seed_;  // if a log wants the id: the first such log's
  VerdictSink* verdicts_;
  WorkerStats stats_;
  std::vector<uint64_t> alerts_by_rule_;
  std::vector<std::unique_ptr<FlowWork>> free_states_;
  uint64_t parent_id_ = 0;                    // flow of the tunnel whose packet is processed
  std::vector<uint16_t> packet_events_;       // scratch: event ids of this packet
  std::vector<std::string_view> flowbits_;    // scratch of ViewOf
  std::vector<std::pair<std::string_view, std::string_view>> flow_texts_, packet_texts_;
  std::vector<std::pair<std::string_view, uint32_t>> flowints_;  // the same
  std::vector<Slice> secrets_;                // likewise
  std::vector<uint8_t> shown_;                // scratch of TextOf
  struct {
    DropReason drop = DropReason::kNone;  // the first one
    bool reject = false;
    bool log_packet = false, passed = false;
  } fate_;  // of the frame in Process()
  bool exempt_ = false;  // an exception policy keeps rules from the packet
  std::array<ExceptionView, kNumExceptionTargets> exceptions_{};  // scratch: of a flow's record
  const Transaction* guessed_ = nullptr;  // of the packet whose alerts are written
  std::string_view interface_;
  Nanos now_{}, last_expiry_{};
  uint64_t evicted_before_ = 0;  // FlowTableStats::evicted at the last expiry
};

// Appends a worker's counters as those of the thread "W#01", for index 0.
void AddThreadCounters(size_t index, const NamedCounters& counters, NamedCounters* out);

}  // namespace sluice
