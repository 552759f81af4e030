// The worker's packet path behind decoding: flow, stream, dissector, rules.

#include <algorithm>

#include "engine/app/anomaly_names.h"
#include "engine/app/worker_state.h"

namespace sluice {
namespace {

std::string_view AnomalyName(StreamEvent event) {
  static const auto kNames = AnomalyNames<StreamEvent>("stream", StreamEventName);
  return kNames[static_cast<size_t>(event)];
}

DetectorOptions DetectorOptionsOf(const WorkerOptions& options) {
  DetectorOptions out = options.detect;
  out.anchor_each_look = !options.stream.inline_mode;
  return out;
}

size_t TextLimit(const std::vector<EveOptions>& logs) {
  size_t limit = 0;
  for (const EveOptions& log : logs) {
    if (log.payload || log.payload_printable || log.payload_length) limit = std::max<size_t>(limit, log.payload_limit);
  }
  return limit;
}

}  // namespace

Worker::Worker(const WorkerOptions& options, FlowTable table, const Catalog& catalog,
               std::shared_ptr<const RuleProgram> program, const WorkerSinks& sinks,
               VerdictSink* verdicts)
    : options_(options),
      deep_stream_(options.stream),
      catalog_(catalog),
      table_(std::move(table)),
      defrag_(options.defrag),
      segments_(options.stream.memcap),
      keeper_(options.keep_files, sinks.store),
      packet_log_(options.packet_log, sinks.packets),
      value_keeper_(options.keep_values_of, sinks.values),
      dissector_(catalog, options.dissect, keeper_.enabled() ? &keeper_ : nullptr),
      detector_(program, DetectorOptionsOf(options)),
      eve_writer_(options_.eve, sinks.eve),
      fast_(sinks.fast),
      keeps_macs_(std::ranges::any_of(options_.eve, &EveOptions::ethernet)),
      every_drop_(std::ranges::any_of(options_.eve, &EveOptions::drop_all)),
      decode_anomalies_(std::ranges::any_of(options_.eve, &EveOptions::anomaly_decode)),
      dumps_(std::ranges::any_of(options_.eve, &EveOptions::Dumps)),
      text_limit_(TextLimit(options_.eve)),
      verdicts_(verdicts),
      alerts_by_rule_(program->rules().rules.size(), 0) {
  if (options.keep_depth == 0 || options.keep_depth > deep_stream_.depth) deep_stream_.depth = options.keep_depth;
  dissector_.WantOfFiles(WantsOf(*program));
  const auto community = std::ranges::find_if(options_.eve, &EveOptions::community_id);
  if (community != options_.eve.end()) community_seed_ = community->community_id_seed;
  for (auto& apps : stats_.apps) apps.resize(catalog.schemas().size());
  stats_.answers_by_schema.resize(catalog.schemas().size());
  table_.set_on_end([this](Flow& flow, FlowEndReason reason) { EndFlow(flow, reason); });
}

Worker::~Worker() { Shutdown(); }

Result<std::unique_ptr<Worker>> Worker::Create(const WorkerOptions& options,
                                               const Catalog& catalog,
                                               std::shared_ptr<const RuleProgram> program,
                                               const WorkerSinks& sinks,
                                               VerdictSink* verdicts) {
  auto table = FlowTable::Create(options.flow);
  if (!table) return std::unexpected(table.error());
  return std::unique_ptr<Worker>(
      new Worker(options, std::move(*table), catalog, std::move(program), sinks, verdicts));
}

// Files that are kept are named by their hash.
FileWants Worker::WantsOf(const RuleProgram& program) const {
  FileWants wants = program.wants_of_files();
  wants.sha256 |= keeper_.enabled() && (wants.keep || keeper_.all());
  return wants;
}

void Worker::SetProgram(std::shared_ptr<const RuleProgram> program) {
  alerts_by_rule_.assign(program->rules().rules.size(), 0);
  dissector_.WantOfFiles(WantsOf(*program));
  detector_.SetProgram(std::move(program));
  dissector_.TakeWanted();
}

// A flow that another one announced belongs to it.
static void NameParent(const FlowDissection& dissection, Flow& flow) {
  if (dissection.expected() && flow.parent_id == 0) flow.parent_id = dissection.parent();
}

// ------------------------------------------------------------------ stream

void Worker::StreamSink::OnData(Direction direction, Slice bytes, uint64_t offset) {
  KeepRaw(direction, bytes, offset);
  KeepText(direction, bytes);
  worker.dissector_.Data(worker.DissectionOf(flow, state), direction, bytes, worker.now_);
  NameParent(*state.dissection, flow);
}

void Worker::StreamSink::KeepGap(Direction direction, uint64_t offset, uint64_t bytes) {
  worker.stats_.raw_lost += state.raw[Index(direction)].Gap(offset + bytes);
  if (worker.text_limit_ > 0) state.text[Index(direction)].AddMissing(bytes, worker.text_limit_);
}

void Worker::StreamSink::OnGap(Direction direction, uint64_t offset, uint64_t bytes) {
  KeepGap(direction, offset, bytes);
  worker.dissector_.Gap(worker.DissectionOf(flow, state), direction, bytes, worker.now_);
}

void Worker::StreamSink::OnEnd(Direction direction) {
  if (state.dissection == nullptr) return;
  // Past the depth nothing was read: the end is not that of what was.
  if (state.session.depth_reached(direction)) return worker.dissector_.Cut(*state.dissection, direction);
  worker.dissector_.End(*state.dissection, direction, worker.now_);
}

// The dissector reads what the receiver may have read; stream rules look at all that was sent.
void Worker::StreamSink::OnHole(Direction direction, uint64_t offset, uint64_t bytes) {
  KeepGap(direction, offset, bytes);
  if (state.dissection != nullptr) worker.dissector_.Cut(*state.dissection, direction);
}

void Worker::StreamSink::OnUnread(Direction direction, Slice bytes, uint64_t offset) {
  KeepRaw(direction, bytes, offset);
  KeepText(direction, bytes);
}

void Worker::StreamSink::OnFirstEnd(Direction direction) {
  if (state.dissection != nullptr) worker.LogEarly(flow, state, direction);
}

void Worker::StreamSink::KeepText(Direction direction, Slice bytes) {
  if (worker.text_limit_ == 0) return;
  state.text[Index(direction)].Add(bytes, worker.text_limit_);
}

// Rules look at what comes anew; to the dissector it is more of the same.
void Worker::StreamSink::OnRestart(Direction direction) {
  state.raw[Index(direction)].Clear();
  state.vars.RestartStream(direction);
}

void Worker::StreamSink::OnStreamEvent(StreamEvent event) {
  if (std::ranges::find(state.stream_events, event) == state.stream_events.end()) {
    state.stream_events.push_back(event);
  }
}

void Worker::StreamSink::KeepRaw(Direction direction, Slice bytes, uint64_t offset) {
  if (!worker.detector_.program().wants_stream()) return;
  if (state.dissection != nullptr && state.dissection->encrypted()) return;
  worker.stats_.raw_lost +=
      state.raw[Index(direction)].Append(bytes, offset, worker.options_.raw);
}

// ---------------------------------------------------------------- packets

// Malformed, or not IP: only rules on the packet itself can say something.
void Worker::ProcessWithoutFlow(const Packet& packet) {
  if (exempt_ || (packet.ip_version == 0 && packet_events_.empty())) return;
  PacketContext context;
  context.packet = &packet;
  context.events = packet_events_;
  context.now = now_;
  detector_.BeginPacket(context);
  detector_.InspectPayload(false);
  const PacketResult& result = detector_.EndPacket();
  for (const Alert& alert : result.alerts) WriteAlert(packet, FlowView{}, alert, result, packet.payload);
  fate_.log_packet |= !result.alerts.empty();
  if (!result.drop) return;
  fate_.reject |= IsReject(result.reject);
  Drop(packet, FlowView{}, nullptr, Direction::kToServer, {.reason = DropReason::kRules, .result = &result});
}

void Worker::ProcessInFlow(const Packet& packet) {
  FlowTable::Hit hit = FindFlow(packet);
  if (hit.flow == nullptr) return ProcessWithoutFlow(packet);
  // A SYN on a flow that nothing looks at begins another; else one could be had unseen.
  if (hit.flow->bypass != FlowBypass::kNone && packet.l4 == L4::kTcp &&
      (packet.tcp.flags & (kTcpSyn | kTcpAck)) == kTcpSyn) {
    hit = EndForReuse(packet, *hit.flow);
  }
  Flow* flow = hit.flow;
  FlowWork* state = &StateOf(*flow);
  Direction direction = Oriented(packet, *flow, *state, hit.direction);
  if (keeps_macs_ && packet.ethernet.size() == 14) {
    state->macs[Index(direction)].Add(packet.ethernet.subspan(6, 6));
    state->macs[Index(Opposite(direction))].Add(packet.ethernet.first(6));
  }
  fate_.passed |= flow->passed;
  fate_.log_packet |= state->alerted_packets && options_.packet_log.which == PacketLogOptions::Which::kAlerts;
  if (flow->dropped) {
    UpdateFlow(packet, *flow, direction);
    const DropReason reason = state->dropped_by_exception ? DropReason::kExceptionFlowDrop : DropReason::kFlowDrop;
    return Drop(packet, ViewOf(*flow, *state), flow, direction, {.reason = reason, .earlier = true});
  }
  if (IsBypassed(packet, *flow, direction)) return;
  bool in_stream = false;
  if (packet.l4 == L4::kTcp) {
    // A SYN of another connection with the same tuple ends this one.
    if (!ProcessTcp(packet, *flow, *state, direction, &in_stream)) {
      hit = EndForReuse(packet, *flow);
      flow = hit.flow;
      direction = hit.direction;
      state = &StateOf(*flow);
      ProcessTcp(packet, *flow, *state, direction, &in_stream);
    }
  } else {
    UpdateFlow(packet, *flow, direction);
    // What a tunnel carries is no message of a protocol over UDP.
    if (packet.l4 == L4::kUdp && !packet.payload.empty() && packet.inner.bytes.empty()) {
      ProcessDatagram(packet, *flow, *state, direction);
    }
  }
  CheckErrors(packet, *flow, *state, direction);
  Inspect(packet, *flow, *state, direction, in_stream);
  // What a dropped packet would have completed never came to be.
  CountProtocol(*flow, *state);
  if (!flow->dropped) FinishTransactions(packet, *flow, *state);
  HandleBudgets(*flow, *state, direction);
  if (state->dissection != nullptr) {
    dissector_.Retire(*state->dissection);
    state->encrypted = state->dissection->encrypted();
  }
  state->stream_events.clear();
  if (packet_log_.holds()) HoldPacket(packet, *state);
}

void Worker::CountRate(Flow& flow, Direction direction, uint64_t bytes) {
  const uint64_t recent = StateOf(flow).rates[Index(direction)].Add(now_, bytes);
  if (recent >= options_.elephant.bytes) MarkElephant(flow, Index(direction));
}

void Worker::MarkElephant(Flow& flow, size_t direction) {
  stats_.flows_elephant += flow.elephant == 0;
  flow.elephant |= static_cast<uint8_t>(1 << direction);
}

void Worker::UpdateFlow(const Packet& packet, Flow& flow, Direction direction) {
  const size_t d = Index(direction);
  if (flow.packets[d] == 0) {
    flow.icmp_type[d] = packet.icmp_type;
    flow.icmp_code[d] = packet.icmp_code;
  }
  ++flow.packets[d];
  flow.bytes[d] += packet.wire_len;
  if (options_.elephant.bytes > 0) CountRate(flow, direction, packet.wire_len);
  flow.seen[d] |= packet.ip_protocol == flow.tuple.ip_protocol;  // an ICMP error about it is no answer
  flow.min_ttl[d] = std::min(flow.min_ttl[d], packet.ttl);
  flow.max_ttl[d] = std::max(flow.max_ttl[d], packet.ttl);
  if (packet.l4 == L4::kTcp) {
    flow.tcp_flags[d] |= packet.tcp.flags;
  } else if (flow.tuple.ip_protocol != kTcp && flow.state == FlowState::kNew && flow.seen[0] &&
             flow.seen[1]) {
    table_.SetState(flow, FlowState::kEstablished);
  }
}

// False if the packet begins another connection: nothing was changed.
bool Worker::ProcessTcp(const Packet& packet, Flow& flow, FlowWork& state, Direction direction,
                        bool* in_stream) {
  StreamSink sink(*this, flow, state);
  const auto lost = [this] { return stream_stats_.segment_memcap + stream_stats_.waiting_limit; };
  const uint64_t lost_before = lost();
  const TcpSession::Outcome outcome = state.session.OnPacket(
      packet, direction, StreamOf(state), segments_, stream_stats_, sink);
  if (outcome.reuse) return false;
  *in_stream = outcome.in_stream;
  UpdateFlow(packet, flow, direction);
  const TcpState tcp = state.session.state();
  if (tcp == TcpState::kLastAck || tcp == TcpState::kTimeWait || tcp == TcpState::kClosed) {
    table_.SetState(flow, FlowState::kClosed);
  } else if (state.session.established() && (flow.state == FlowState::kNew || flow.state == FlowState::kClosed)) {
    table_.SetState(flow, FlowState::kEstablished);  // closed: by a reset that was forged, or an attempt before
  }
  if (outcome.drop) {
    Drop(packet, ViewOf(flow, state), &flow, direction, {.reason = DropReason::kStreamUrgent});
    exempt_ = true;  // rules do not look at it
  }
  if (outcome.midstream) OnException(ExceptionTarget::kMidstream, packet, &flow, &state, direction);
  if (lost() != lost_before) OnException(ExceptionTarget::kReassemblyMemcap, packet, &flow, &state, direction);
  return true;
}

// The packet's direction.  Of a connection picked up midstream it is a guess who began, until
// somebody speaks: then a protocol may know better.
Direction Worker::Oriented(const Packet& packet, Flow& flow, FlowWork& state, Direction direction) {
  const TcpSession& session = state.session;
  if (!options_.stream.midstream || packet.l4 != L4::kTcp || packet.payload.empty() || packet.bad_l4_checksum ||
      (packet.tcp.flags & (kTcpSyn | kTcpRst)) != 0 || !(session.midstream() || session.state() == TcpState::kNone) ||
      session.had_data(Direction::kToServer) || session.had_data(Direction::kToClient) ||
      !dissector_.SpeaksAsOther(FactsOf(flow, state), direction, packet.payload)) {
    return direction;
  }
  table_.SwapDirections(flow);
  state.session.SwapSides();
  std::swap(state.macs[0], state.macs[1]);
  std::swap(state.rates[0], state.rates[1]);
  return Opposite(direction);
}

FlowFacts Worker::FactsOf(const Flow& flow, const FlowWork& state) {
  const size_t len = flow.tuple.source.version == 4 ? 4 : 16;
  FlowFacts facts;
  facts.transport = flow.tuple.ip_protocol == kTcp ? SLUICE_TCP : SLUICE_UDP;
  facts.ip_version = flow.tuple.source.version;
  facts.client_port = flow.tuple.source_port;
  facts.server_port = flow.tuple.destination_port;
  facts.midstream = state.session.midstream();
  facts.id = flow.id;
  facts.client_address = Slice(flow.tuple.source.bytes.data(), len);
  facts.server_address = Slice(flow.tuple.destination.bytes.data(), len);
  return facts;
}

FlowDissection& Worker::DissectionOf(Flow& flow, FlowWork& state) {
  if (state.dissection == nullptr) {
    state.dissection = dissector_.Open(FactsOf(flow, state));
    state.keeps_files = keeper_.enabled() && keeper_.all();
    if (state.keeps_files) state.dissection->KeepFiles(3);
  }
  return *state.dissection;
}

void Worker::ProcessDatagram(const Packet& packet, Flow& flow, FlowWork& state,
                             Direction direction) {
  FlowDissection& dissection = DissectionOf(flow, state);
  dissector_.Data(dissection, direction, packet.payload, now_);
  NameParent(dissection, flow);
}

// ---------------------------------------------------------------- detection

void Worker::Inspect(const Packet& packet, Flow& flow, FlowWork& state, Direction direction,
                     bool in_stream) {
  for (const StreamEvent event : state.stream_events) {
    if (const int id = detector_.program().EventId(StreamEventName(event)); id >= 0) {
      packet_events_.push_back(static_cast<uint16_t>(id));
    }
  }
  ApplyRules(packet, flow, state, direction, in_stream);
  // Behind the rules: what they have set in the flow shows.
  if (state.stream_events.empty()) return;
  const FlowView view = ViewOf(flow, state);
  for (const StreamEvent event : state.stream_events) {
    AnomalyView anomaly;
    anomaly.type = AnomalyView::Type::kStream;
    anomaly.event = AnomalyName(event);
    anomaly.direction = direction;
    eve_writer_.Anomaly(packet, view, anomaly);
  }
}

void Worker::ApplyRules(const Packet& packet, Flow& flow, FlowWork& state, Direction direction,
                        bool in_stream) {
  FlowDissection* dissection = state.dissection;
  if (exempt_ && !flow.passed) return;
  if (flow.passed || detector_.program().rules().rules.empty()) {
    if (dissection == nullptr) return;
    for (LiveTransaction* live : dissection->transactions()) {
      live->tx.inspected[0] = live->tx.inspected[1] = true;
    }
    return;
  }
  FlowContext context;
  context.established = flow.tuple.ip_protocol == kTcp ? state.session.established()
                                                       : flow.seen[0] && flow.seen[1];
  context.started = flow.start;
  for (Direction d : {Direction::kToServer, Direction::kToClient}) {
    context.packets[Index(d)] = flow.packets[Index(d)];
    context.bytes[Index(d)] = flow.bytes[Index(d)];
    context.stream_bytes[Index(d)] = state.session.stream_bytes(d);
    if (dissection != nullptr) context.app_sides[Index(d)] = dissection->side(d);
  }
  if (dissection != nullptr) {
    context.app = dissection->schema();
    context.app_original = dissection->original_schema();
    context.app_failed = dissection->failed();
    context.encrypted = state.encrypted;
  }
  context.id = flow.id;
  context.elephant = flow.elephant;
  context.vars = &state.vars;
  PacketContext packet_context;
  packet_context.packet = &packet;
  packet_context.direction = direction;
  packet_context.flow = &context;
  packet_context.events = packet_events_;
  packet_context.now = now_;
  detector_.BeginPacket(packet_context);
  detector_.InspectPayload(in_stream);
  RawWindow& raw = state.raw[Index(direction)];
  const bool stream_look = StreamLookIsDue(packet, state, direction);
  for (size_t i = 0; stream_look && i < raw.num_runs(); ++i) {
    detector_.InspectStream(direction, raw.run(i), raw.at(i));
  }
  if (dissection != nullptr) {
    GuessTransaction(*dissection, direction);
    detector_.InspectFlowEvents(dissection->events());
    for (LiveTransaction* live : dissection->transactions()) {
      if (packet.ip_protocol != flow.tuple.ip_protocol) break;  // an ICMP error about it
      Transaction& tx = live->tx;
      if (tx.inspected[Index(direction)]) continue;
      detector_.InspectTransaction(tx, direction);
      for (FileInfo& file : tx.files) file.inspected |= file.closed && file.direction == direction;
      tx.inspected[Index(direction)] = tx.complete[Index(direction)];
    }
  }
  const PacketResult& result = detector_.EndPacket();
  if (dissection != nullptr) {
    dissection->KeepFiles(context.keep_files);
    for (LiveTransaction* live : dissection->transactions()) live->tx.keep_values |= context.keep_values ? 3 : 0;
  }
  HandleResult(packet, flow, state, direction, result);
  if (stream_look) raw.Looked(options_.raw);  // rules read the runs until here
  guessed_ = nullptr;
}

// What a match on a packet or its stream is likely of: the only transaction of the direction
// that rules have not looked at.
void Worker::GuessTransaction(const FlowDissection& dissection, Direction direction) {
  guessed_ = nullptr;
  for (const LiveTransaction* live : dissection.transactions()) {
    if (!(live->tx.directions >> Index(direction) & 1) || live->tx.inspected[Index(direction)]) continue;
    const Transaction* const other = std::exchange(guessed_, &live->tx);
    if (other == nullptr) continue;
    guessed_ = nullptr;
    return;
  }
}

// Passive: stream rules look at chunks, and where a message or the connection ends, as a
// match is as good later and each look costs.  Inline they look before the packet goes on.
bool Worker::StreamLookIsDue(const Packet& packet, const FlowWork& state,
                             Direction direction) const {
  const size_t d = Index(direction);
  const RawWindow& raw = state.raw[d];
  if (!raw.fresh()) return false;
  if (options_.stream.inline_mode || packet.origin == PacketOrigin::kFlowTimeout) return true;
  if (raw.cut() || raw.num_fresh() >= options_.raw_chunk[d]) return true;
  if (state.session.state() > TcpState::kTimeWait || state.session.depth_reached(direction)) return true;
  return state.dissection != nullptr &&
         std::ranges::any_of(state.dissection->transactions(), [d](const LiveTransaction* live) {
           return (live->tx.directions >> d & 1) && live->tx.complete[d] && !live->tx.inspected[d];
         });
}

}  // namespace sluice
