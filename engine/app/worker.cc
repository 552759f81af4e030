#include "engine/app/worker.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/cycles.h"
#include "engine/app/anomaly_names.h"
#include "engine/output/fast_log.h"

namespace sluice {
namespace {

constexpr uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58;
constexpr uint8_t kIcmpUnreachable = 3;
constexpr size_t kExpiryBudget = 64;                               // flows per look

// The type that answers an ICMP type, 255 if there is none: both fall into one flow.
uint8_t IcmpCounterpart(uint8_t type, bool v6) {
  static constexpr uint8_t kPairs4[][2] = {{8, 0}, {10, 9}, {13, 14}, {15, 16}, {17, 18}};
  static constexpr uint8_t kPairs6[][2] = {{128, 129}, {133, 134}, {135, 136}, {139, 140}};
  const auto find = [type](auto& pairs) -> uint8_t {
    for (const auto& pair : pairs) {
      if (type == pair[0]) return pair[1];
      if (type == pair[1]) return pair[0];
    }
    return 255;
  };
  return v6 ? find(kPairs6) : find(kPairs4);
}

bool IsIcmpError(const Packet& packet) {
  static constexpr uint8_t kErrors[] = {kIcmpUnreachable, 4, 5, 11, 12};
  return packet.l4 == L4::kIcmp && std::ranges::find(kErrors, packet.icmp_type) != std::end(kErrors);
}

Tuple TupleOf(const Packet& packet, bool track_recursion) {
  Tuple tuple;
  if (track_recursion) tuple.recursion = packet.recursion;
  tuple.source = packet.source;
  tuple.destination = packet.destination;
  tuple.ip_protocol = packet.ip_protocol;
  std::ranges::copy(packet.vlan, tuple.vlan);
  if (packet.l4 == L4::kIcmp || packet.l4 == L4::kIcmp6) {
    tuple.source_port = packet.icmp_type;
    tuple.destination_port = IcmpCounterpart(packet.icmp_type, packet.l4 == L4::kIcmp6);
  } else {
    tuple.source_port = packet.source_port;
    tuple.destination_port = packet.destination_port;
  }
  return tuple;
}

// A packet that never was: carries a flow's ends for the last look of rules.
Packet PseudoPacket(const Flow& flow, Direction direction) {
  const Tuple tuple = direction == Direction::kToServer ? flow.tuple : flow.tuple.Reverse();
  Packet packet;
  packet.origin = PacketOrigin::kFlowTimeout;
  packet.time = flow.last;
  packet.ip_version = tuple.source.version;
  packet.ip_protocol = tuple.ip_protocol;
  packet.source = tuple.source;
  packet.destination = tuple.destination;
  packet.source_port = tuple.source_port;
  packet.destination_port = tuple.destination_port;
  packet.l4 = tuple.ip_protocol == kTcp ? L4::kTcp : L4::kUdp;
  packet.tcp.flags = kTcpAck;
  packet.ttl = 64;
  packet.num_vlans = static_cast<uint8_t>(std::ranges::count_if(tuple.vlan, [](uint16_t v) { return v != 0; }));
  std::ranges::copy(tuple.vlan, packet.vlan);
  return packet;
}

std::string_view AnomalyName(StreamEvent event) {
  static const auto kNames = AnomalyNames<StreamEvent>("stream", StreamEventName);
  return kNames[static_cast<size_t>(event)];
}

bool IsReject(Action action) { return action >= Action::kReject; }

}  // namespace

// Contiguous raw bytes of one direction that stream rules may still look at.
struct RawWindow {
  std::vector<uint8_t> bytes;
  uint64_t at = 0;          // stream offset of bytes[0]
  bool fresh = false;       // has bytes not inspected yet

  void Clear() {
    bytes.clear();
    at = 0;
    fresh = false;
  }
};

struct Worker::FlowWork {
  TcpSession session;
  FlowDissection* dissection = nullptr;
  FlowVars vars;
  RawWindow raw[2];
  std::string community_id;
  MacSet macs[2];  // by Direction of the sender
  std::vector<StreamEvent> stream_events;  // of the current packet, each once
  const Schema* counted = nullptr;         // the protocol already in flows_by_schema
  bool bypassed = false;                   // no rule looks any more
};

// Hands stream bytes to the dissector and keeps them for stream rules.
struct Worker::StreamSink final : TcpSession::Sink {
  StreamSink(Worker& w, Flow& f, FlowWork& s) : worker(w), flow(f), state(s) {}

  void OnData(Direction direction, Slice bytes, uint64_t offset) override {
    KeepRaw(direction, bytes, offset);
    worker.dissector_.Data(worker.DissectionOf(flow, state), direction, bytes, worker.now_);
  }
  void OnGap(Direction direction, uint64_t offset, uint64_t bytes) override {
    RawWindow& raw = state.raw[Index(direction)];
    raw.bytes.clear();
    raw.at = offset + bytes;
    worker.dissector_.Gap(worker.DissectionOf(flow, state), direction, bytes, worker.now_);
  }
  void OnEnd(Direction direction) override {
    if (state.dissection != nullptr) {
      worker.dissector_.End(*state.dissection, direction, worker.now_);
    }
  }
  void OnStreamEvent(StreamEvent event) override {
    if (std::ranges::find(state.stream_events, event) == state.stream_events.end()) {
      state.stream_events.push_back(event);
    }
  }

  void KeepRaw(Direction direction, Slice bytes, uint64_t offset) {
    if (!worker.detector_.program().wants_stream() || state.bypassed) return;
    RawWindow& raw = state.raw[Index(direction)];
    if (raw.bytes.empty()) raw.at = offset;
    const size_t limit = worker.options_.raw_window;
    if (raw.bytes.size() + bytes.size() > limit && !raw.bytes.empty()) {
      const size_t keep = std::min<size_t>(raw.bytes.size(), worker.options_.raw_overlap);
      const size_t drop = raw.bytes.size() - keep;
      raw.bytes.erase(raw.bytes.begin(), raw.bytes.begin() + static_cast<ptrdiff_t>(drop));
      raw.at += drop;
    }
    raw.bytes.insert(raw.bytes.end(), bytes.begin(), bytes.end());
    raw.fresh = true;
  }

  Worker& worker;
  Flow& flow;
  FlowWork& state;
};

Worker::Worker(const WorkerOptions& options, FlowTable table, const Catalog& catalog,
               std::shared_ptr<const RuleProgram> program, const WorkerSinks& sinks,
               VerdictSink* verdicts)
    : options_(options),
      catalog_(catalog),
      table_(std::move(table)),
      defrag_(options.defrag),
      segments_(options.stream.memcap),
      dissector_(catalog, options.dissect),
      detector_(program, options.detect),
      eve_writer_(options_.eve, sinks.eve),
      fast_(sinks.fast),
      keeps_macs_(std::ranges::any_of(options_.eve, &EveOptions::ethernet)),
      every_drop_(std::ranges::any_of(options_.eve, &EveOptions::drop_all)),
      dumps_(std::ranges::any_of(options_.eve, &EveOptions::Dumps)),
      verdicts_(verdicts),
      alerts_by_rule_(program->rules().rules.size(), 0) {
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

void Worker::SetProgram(std::shared_ptr<const RuleProgram> program) {
  alerts_by_rule_.assign(program->rules().rules.size(), 0);
  detector_.SetProgram(std::move(program));
  dissector_.TakeWanted();
}

// ---------------------------------------------------------------- packets

// Malformed, or not IP: only rules on the packet itself can say something.
void Worker::ProcessWithoutFlow(const Packet& packet) {
  if (packet.ip_version == 0 && packet_events_.empty()) return;
  PacketContext context;
  context.packet = &packet;
  context.events = packet_events_;
  context.now = now_;
  detector_.BeginPacket(context);
  detector_.InspectPayload(false);
  const PacketResult& result = detector_.EndPacket();
  for (const Alert& alert : result.alerts) WriteAlert(packet, FlowView{}, alert, result);
  if (!result.drop) return;
  fate_.reject |= IsReject(result.reject);
  Drop(packet, FlowView{}, nullptr, Direction::kToServer, DropReason::kRules, &result);
}

void Worker::ProcessInFlow(const Packet& packet) {
  FlowTable::Hit hit = FindFlow(packet);
  if (hit.flow == nullptr) return ProcessWithoutFlow(packet);
  Flow* flow = hit.flow;
  Direction direction = hit.direction;
  FlowWork* state = &StateOf(*flow);
  if (keeps_macs_ && packet.ethernet.size() == 14) {
    state->macs[Index(direction)].Add(packet.ethernet.subspan(6, 6));
    state->macs[Index(Opposite(direction))].Add(packet.ethernet.first(6));
  }
  if (flow->dropped) {
    UpdateFlow(packet, *flow, direction);
    return Drop(packet, ViewOf(*flow, *state), flow, direction, DropReason::kFlowDrop, nullptr);
  }
  bool in_stream = false;
  if (packet.l4 == L4::kTcp) {
    // A SYN of another connection with the same tuple ends this one.
    if (!ProcessTcp(packet, *flow, *state, direction, &in_stream)) {
      ++stats_.tcp_reuse;
      table_.End(*flow, FlowEndReason::kTcpReuse);
      hit = FindFlow(packet);
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
  Inspect(packet, *flow, *state, direction, in_stream);
  // What a dropped packet would have completed never came to be.
  CountProtocol(*flow, *state);
  if (!flow->dropped) FinishTransactions(packet, *flow, *state);
  HandleBudgets(*flow, *state);
  if (state->dissection != nullptr) dissector_.Retire(*state->dissection);
  state->stream_events.clear();
}

// The flow of a TCP or UDP packet that could not be delivered: the answer counts as its.
// Of a router's the direction is the answer's, too.
FlowTable::Hit Worker::FindQuotedFlow(const Packet& packet) {
  QuotedEnds ends;
  if (!ReadQuoted(packet, &ends)) return {};
  Tuple tuple = TupleOf(packet, options_.track_recursion);
  tuple.source = ends.source;
  tuple.destination = ends.destination;
  tuple.source_port = ends.source_port;
  tuple.destination_port = ends.destination_port;
  tuple.ip_protocol = ends.protocol;
  Direction unused;
  if (table_.Find(tuple, &unused) == nullptr) return {};
  FlowTable::Hit hit = table_.Touch(tuple, now_);
  hit.direction = packet.source == hit.flow->tuple.source ? Direction::kToServer : Direction::kToClient;
  return hit;
}

// The packet's flow, a new one if need be; none for an ICMP error that fits into none.
FlowTable::Hit Worker::FindFlow(const Packet& packet) {
  if (packet.l4 == L4::kIcmp && packet.icmp_type == kIcmpUnreachable) {
    if (const FlowTable::Hit hit = FindQuotedFlow(packet); hit.flow != nullptr) return hit;
  }
  const Tuple tuple = TupleOf(packet, options_.track_recursion);
  Direction direction;
  if (IsIcmpError(packet) && table_.Find(tuple, &direction) == nullptr) return {};
  FlowTable::Hit hit = table_.Touch(tuple, now_);
  if (!hit.created) return hit;
  hit.flow->start = hit.flow->last = packet.time;
  hit.flow->tunneled = packet.outer != nullptr;
  hit.flow->parent_id = parent_id_;
  if (verdicts_ != nullptr) verdicts_->OnFlow(*hit.flow);
  switch (packet.l4) {
    case L4::kTcp: ++stats_.flows_tcp; break;
    case L4::kUdp: ++stats_.flows_udp; break;
    case L4::kIcmp: ++stats_.flows_icmp4; break;
    case L4::kIcmp6: ++stats_.flows_icmp6; break;
    default: break;
  }
  // A SYN/ACK seen first comes from the server.
  if (packet.l4 == L4::kTcp && (packet.tcp.flags & (kTcpSyn | kTcpAck)) == (kTcpSyn | kTcpAck) &&
      (options_.stream.midstream || options_.stream.async_oneside)) {
    table_.SwapDirections(*hit.flow);
    hit.direction = Direction::kToClient;
  }
  return hit;
}

Worker::FlowWork& Worker::StateOf(Flow& flow) {
  if (flow.user == nullptr) {
    if (free_states_.empty()) free_states_.push_back(std::make_unique<FlowWork>());
    flow.user = free_states_.back().release();
    free_states_.pop_back();
    if (community_seed_) {
      AppendCommunityId(flow.tuple, *community_seed_,
                        &static_cast<FlowWork*>(flow.user)->community_id);
    }
  }
  return *static_cast<FlowWork*>(flow.user);
}

void Worker::UpdateFlow(const Packet& packet, Flow& flow, Direction direction) {
  const size_t d = Index(direction);
  if (flow.packets[d] == 0) {
    flow.icmp_type[d] = packet.icmp_type;
    flow.icmp_code[d] = packet.icmp_code;
  }
  ++flow.packets[d];
  flow.bytes[d] += packet.wire_len;
  flow.seen[d] = true;
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
  const TcpSession::Outcome outcome = state.session.OnPacket(
      packet, direction, options_.stream, segments_, stream_stats_, sink);
  if (outcome.reuse) return false;
  *in_stream = outcome.in_stream;
  UpdateFlow(packet, flow, direction);
  if (state.session.state() == TcpState::kClosed) {
    table_.SetState(flow, FlowState::kClosed);
  } else if (state.session.established() && flow.state == FlowState::kNew) {
    table_.SetState(flow, FlowState::kEstablished);
  }
  return true;
}

FlowDissection& Worker::DissectionOf(Flow& flow, FlowWork& state) {
  if (state.dissection == nullptr) {
    const size_t len = flow.tuple.source.version == 4 ? 4 : 16;
    FlowFacts facts;
    facts.transport = flow.tuple.ip_protocol == kTcp ? SLUICE_TCP : SLUICE_UDP;
    facts.ip_version = flow.tuple.source.version;
    facts.client_port = flow.tuple.source_port;
    facts.server_port = flow.tuple.destination_port;
    facts.client_address = Slice(flow.tuple.source.bytes.data(), len);
    facts.server_address = Slice(flow.tuple.destination.bytes.data(), len);
    state.dissection = dissector_.Open(facts);
  }
  return *state.dissection;
}

void Worker::ProcessDatagram(const Packet& packet, Flow& flow, FlowWork& state,
                             Direction direction) {
  dissector_.Data(DissectionOf(flow, state), direction, packet.payload, now_);
}

// ---------------------------------------------------------------- detection

void Worker::Inspect(const Packet& packet, Flow& flow, FlowWork& state, Direction direction,
                     bool in_stream) {
  const FlowView view = state.stream_events.empty() ? FlowView{} : ViewOf(flow, state);
  for (const StreamEvent event : state.stream_events) {
    const char* name = StreamEventName(event);
    if (const int id = detector_.program().EventId(name); id >= 0) {
      packet_events_.push_back(static_cast<uint16_t>(id));
    }
    AnomalyView anomaly;
    anomaly.type = AnomalyView::Type::kStream;
    anomaly.event = AnomalyName(event);
    anomaly.direction = direction;
    eve_writer_.Anomaly(packet, view, anomaly);
  }
  FlowDissection* dissection = state.dissection;
  if (state.bypassed || flow.passed || detector_.program().rules().rules.empty()) {
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
    if (dissection != nullptr) context.app_by[Index(d)] = dissection->recognised_by(d);
  }
  if (dissection != nullptr) {
    context.app = dissection->schema();
    context.app_original = dissection->original_schema();
    context.app_failed = dissection->failed();
  }
  context.id = flow.id;
  context.vars = &state.vars;
  PacketContext packet_context;
  packet_context.packet = &packet;
  packet_context.direction = direction;
  packet_context.flow = &context;
  packet_context.events = packet_events_;
  packet_context.now = now_;
  detector_.BeginPacket(packet_context);
  detector_.InspectPayload(in_stream);
  InspectStream(state, direction);
  if (dissection != nullptr) {
    detector_.InspectFlowEvents(dissection->events());
    for (LiveTransaction* live : dissection->transactions()) {
      if (packet.ip_protocol != flow.tuple.ip_protocol) break;  // an ICMP error about it
      Transaction& tx = live->tx;
      if (tx.inspected[Index(direction)]) continue;
      detector_.InspectTransaction(tx, direction);
      tx.inspected[Index(direction)] = tx.complete[Index(direction)];
    }
  }
  HandleResult(packet, flow, state, direction, detector_.EndPacket());
}

void Worker::InspectStream(FlowWork& state, Direction direction) {
  RawWindow& raw = state.raw[Index(direction)];
  if (!raw.fresh) return;
  raw.fresh = false;
  detector_.InspectStream(direction, raw.bytes, raw.at);
  if (raw.bytes.size() <= options_.raw_overlap) return;
  const size_t drop = raw.bytes.size() - options_.raw_overlap;
  raw.bytes.erase(raw.bytes.begin(), raw.bytes.begin() + static_cast<ptrdiff_t>(drop));
  raw.at += drop;
}

void Worker::HandleResult(const Packet& packet, Flow& flow, FlowWork& state, Direction direction,
                          const PacketResult& result) {
  const bool none = result.alerts.empty() && !result.drop;
  const FlowView view = none ? FlowView{} : ViewOf(flow, state);
  flow.alerted |= !result.alerts.empty();
  for (const Alert& alert : result.alerts) {
    WriteAlert(packet, view, alert, result);
    state.bypassed |= alert.rule->bypass;
  }
  // The first verdict on a flow stays.
  if (!flow.dropped && !flow.passed) {
    flow.dropped = result.drop_flow && options_.inline_verdicts;
    flow.passed = result.pass_flow;
  }
  if (!result.drop) return;
  fate_.reject |= IsReject(result.reject);
  Drop(packet, view, &flow, direction,
       result.by_rate ? DropReason::kRateFilter : DropReason::kRules, &result);
  if (verdicts_ == nullptr) return;
  const uint32_t next_seq[2] = {state.session.next_seq(Direction::kToServer),
                                state.session.next_seq(Direction::kToClient)};
  if (flow.tunneled) return DropTunnel(*result.cause, result.action, packet);
  verdicts_->OnVerdict(*result.cause, result.action, packet, flow, direction, next_seq);
}

// The tap knows the outermost packet's flow only: the verdict is on that.
void Worker::DropTunnel(const Rule& cause, Action action, const Packet& inner) {
  const Packet* root = &inner;
  while (root->outer != nullptr) root = root->outer;
  Flow flow;
  flow.tuple = TupleOf(*root, false);
  const uint32_t no_sequence[2] = {0, 0};
  verdicts_->OnVerdict(cause, action, *root, flow, Direction::kToServer, no_sequence);
}

// The packet goes no further, and its record says why: by a rule (`result`), or
// because of its flow, which has one record a direction unless all are asked for.
void Worker::Drop(const Packet& packet, const FlowView& view, Flow* flow, Direction direction,
                  DropReason reason, const PacketResult* result) {
  if (!options_.inline_verdicts || packet.origin == PacketOrigin::kFlowTimeout) return;
  if (fate_.drop == DropReason::kNone) fate_.drop = reason;
  if (flow != nullptr && !every_drop_) {
    bool& logged = flow->drop_logged[Index(direction)];
    if (result == nullptr && (!flow->dropped || logged)) return;
    logged |= flow->dropped;
  }
  DropView out;
  out.reason = NamesOf(reason).text;
  out.direction = direction;
  if (result != nullptr) {
    out.rule = result->cause;
    out.verdict = VerdictOf(packet, *result);
  }
  eve_writer_.Drop(packet, view, out);
}

// Once per frame, as a sum of all that was found in it.
void Worker::CountVerdict() {
  if (!options_.inline_verdicts) return;
  ++(fate_.reject                         ? stats_.rejected
     : fate_.drop != DropReason::kNone ? stats_.blocked
                                          : stats_.accepted);
  ++stats_.drop_reasons[static_cast<size_t>(fate_.drop)];
}

VerdictView Worker::VerdictOf(const Packet& packet, const PacketResult& result) const {
  VerdictView out;
  out.action = result.drop && options_.inline_verdicts ? "drop" : result.pass ? "pass" : "alert";
  if (!IsReject(result.reject)) return out;
  out.reject = packet.l4 == L4::kTcp ? "tcp-reset" : "icmp-prohib";
  out.reject_target = result.reject == Action::kRejectBoth          ? "both"
                      : result.reject == Action::kRejectDestination ? "to_server"
                                                                    : "to_client";
  return out;
}

void Worker::WriteAlert(const Packet& packet, const FlowView& view, const Alert& alert,
                        const PacketResult& result) {
  ++stats_.alerts;
  ++alerts_by_rule_[alert.rule->index];
  const bool drops = alert.effective == Action::kDrop || IsReject(alert.effective);
  // What a rate filter made a drop is one, whether or not it could be carried out.
  const bool rated = alert.effective != alert.rule->action;
  AlertView out;
  out.rule = alert.rule;
  out.tx = alert.tx;
  out.in_stream = alert.in_stream;
  out.direction = alert.direction;
  out.payload = packet.payload;
  out.contexts = std::span(alert.contexts.list).first(alert.contexts.count);
  out.blocked = IsReject(alert.effective) || (drops && (rated || options_.inline_verdicts));
  out.verdict = VerdictOf(packet, result);
  eve_writer_.Alert(packet, view, out);
  if (fast_ == nullptr) return;
  const std::string_view tag = !drops                     ? ""
                               : options_.inline_verdicts ? "[Drop] "
                                                          : "[wDrop] ";
  fast_line_.clear();
  AppendFastLog(packet, *alert.rule, tag, &fast_line_);
  fast_->Put(RecordType::kFast, fast_line_);
}

// -------------------------------------------------------------------- logs

void Worker::FindSecrets(const FlowDissection& dissection) {
  for (const LiveTransaction* live : dissection.transactions()) {
    for (const FieldValue& value : live->tx.values) {
      if (value.field >= live->tx.schema->fields.size()) continue;  // the end of a group
      const FieldInfo& field = live->tx.schema->fields[value.field];
      if (field.flags & SLUICE_SECRET) secrets_.push_back(value.bytes);
    }
  }
}

FlowView Worker::ViewOf(const Flow& flow, FlowWork& state) {
  FlowView view;
  view.flow = &flow;
  view.community_id = state.community_id;
  secrets_.clear();
  if (const FlowDissection* dissection = state.dissection; dissection != nullptr) {
    if (dissection->schema() != nullptr) {
      view.app_proto = dissection->schema()->name;
    } else if (dissection->failed()) {
      view.app_proto = "failed";
    }
    if (dissection->original_schema() != nullptr) {
      view.app_proto_original = dissection->original_schema()->name;
    }
    view.num_transactions = dissection->num_transactions();
    if (dumps_) FindSecrets(*dissection);
  }
  view.tcp_state = TcpStateName(state.session.state());
  view.ts_gap = state.session.had_gap(Direction::kToServer);
  view.tc_gap = state.session.had_gap(Direction::kToClient);
  view.macs = state.macs;
  flowbits_.clear();
  flowints_.clear();
  const RuleSet& rules = detector_.program().rules();
  state.vars.ForEach([&](uint32_t id, bool is_int, uint32_t value) {
    if (!is_int && id < rules.flowbit_names.size()) flowbits_.push_back(rules.flowbit_names[id]);
    if (is_int && id < rules.flowint_names.size()) {
      flowints_.emplace_back(rules.flowint_names[id], value);
    }
  });
  view.flowbits = flowbits_;
  view.flowints = flowints_;
  view.secrets = secrets_;
  return view;
}

WorkerStats::App& Worker::AppStats(const Flow& flow, const Schema& schema) {
  return stats_.apps[flow.tuple.ip_protocol != kTcp][schema.id];
}

void Worker::CountProtocol(const Flow& flow, FlowWork& state) {
  if (state.dissection == nullptr || state.dissection->schema() == state.counted) return;
  state.counted = state.dissection->schema();
  if (state.counted != nullptr) ++AppStats(flow, *state.counted).flows;
}

void Worker::FinishTransactions(const Packet& packet, Flow& flow, FlowWork& state) {
  FlowDissection* dissection = state.dissection;
  if (dissection == nullptr || !dissection->changed()) return;
  const FlowView view = ViewOf(flow, state);
  for (const FlowEvent& event : dissection->events()) {
    AppAnomaly(packet, view, *event.schema, event.index, event.direction, nullptr);
  }
  for (LiveTransaction* live : dissection->transactions()) {
    if (!live->tx.logged) LogTransaction(packet, view, live->tx);
  }
}

void Worker::CountAnswer(const Transaction& tx) {
  WorkerStats::Answers& answers = stats_.answers_by_schema[tx.schema->id];
  if (const auto outcome = OutcomeOf(tx)) ++answers.outcomes[static_cast<size_t>(*outcome)];
  if (const auto latency = LatencyOf(tx)) {
    ++answers.timed;
    answers.latency_us += static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(*latency).count());
  }
}

void Worker::LogTransaction(const Packet& packet, const FlowView& view, Transaction& tx) {
  for (FileInfo& file : tx.files) {
    if (file.logged || (!file.closed && !tx.done())) continue;
    file.logged = true;
    file.truncated |= !file.closed;
    file.closed = true;
    eve_writer_.FileRecord(packet, view, tx, file);
  }
  if (!tx.done()) return;
  tx.logged = true;
  if (!tx.session) ++AppStats(*view.flow, *tx.schema).transactions;
  CountAnswer(tx);
  for (const TransactionEvent& event : tx.events) {
    AppAnomaly(packet, view, *tx.schema, event.index, event.direction, &tx.id);
  }
  if (!tx.no_log) eve_writer_.TransactionRecord(packet, view, tx);
}

void Worker::AppAnomaly(const Packet& packet, const FlowView& view, const Schema& schema,
                        uint32_t index, Direction direction, const uint64_t* tx_id) {
  AnomalyView anomaly;
  anomaly.type = AnomalyView::Type::kApplayer;
  anomaly.event = schema.events[index].name;
  anomaly.layer = "proto_parser";
  anomaly.app_proto = schema.name;
  anomaly.direction = direction;
  anomaly.tx_id = tx_id;
  eve_writer_.Anomaly(packet, view, anomaly);
}

void Worker::HandleBudgets(Flow& flow, FlowWork& state) {
  FlowDissection* dissection = state.dissection;
  if (dissection == nullptr || flow.tunneled) return;
  const bool stop_all = dissection->opaque() || dissection->failed();
  if (verdicts_ == nullptr) return;
  for (Direction d : {Direction::kToServer, Direction::kToClient}) {
    if (const auto& request = dissection->budget_request(d)) {
      verdicts_->OnBudget(flow, d, request->mode, request->bytes);
    }
  }
  // Stream rules still want the bytes of what nobody dissects.
  if (stop_all && dissection->opaque() && !detector_.program().wants_stream() && !state.bypassed) {
    state.bypassed = true;
    verdicts_->OnBudget(flow, Direction::kToServer, SLUICE_BUDGET_NONE, 0);
    verdicts_->OnBudget(flow, Direction::kToClient, SLUICE_BUDGET_NONE, 0);
  }
}

// ------------------------------------------------------------------- endings

// The last look: what is in order is handed on, transactions are completed.
void Worker::FlushFlow(Flow& flow, FlowWork& state) {
  if (flow.dropped) return;  // it stopped at the packet that was dropped
  packet_events_.clear();
  state.stream_events.clear();
  StreamSink sink(*this, flow, state);
  if (flow.tuple.ip_protocol == kTcp) {
    state.session.Flush(options_.stream, segments_, stream_stats_, sink);
  }
  FlowDissection* dissection = state.dissection;
  if (dissection != nullptr) dissector_.Finish(*dissection, now_);
  const bool work = (dissection != nullptr && !dissection->transactions().empty()) ||
                    state.raw[0].fresh || state.raw[1].fresh;
  if (!work) return;
  for (Direction direction : {Direction::kToServer, Direction::kToClient}) {
    const Packet packet = PseudoPacket(flow, direction);
    Inspect(packet, flow, state, direction, true);
    FinishTransactions(packet, flow, state);
  }
}

void Worker::EndFlow(Flow& flow, FlowEndReason reason) {
  std::unique_ptr<FlowWork> state(static_cast<FlowWork*>(flow.user));
  if (state != nullptr) {
    FlushFlow(flow, *state);
    eve_writer_.FlowRecord(ViewOf(flow, *state), reason, now_);
    if (state->dissection != nullptr) {
      CountProtocol(flow, *state);
      stats_.flows_failed[flow.tuple.ip_protocol != kTcp] += state->dissection->failed();
      if (state->counted != nullptr) {
        WorkerStats::App& app = AppStats(flow, *state->counted);
        app.parse_errors += state->dissection->parse_errors();
        app.gaps += state->dissection->gap_stops();
      }
      dissector_.Close(state->dissection);
    }
    state->session.Reset(segments_);
    state->dissection = nullptr;
    state->vars.Clear();
    for (RawWindow& raw : state->raw) raw.Clear();
    state->community_id.clear();
    state->macs[0].count = state->macs[1].count = 0;
    state->stream_events.clear();
    state->counted = nullptr;
    state->bypassed = false;
    free_states_.push_back(std::move(state));
  }
  flow.user = nullptr;
}

void Worker::KernelFlowEnd(const Tuple& tuple, const uint64_t (&packets)[2],
                           const uint64_t (&bytes)[2]) {
  Direction direction;
  Flow* flow = table_.Find(tuple, &direction);
  if (flow == nullptr) return;
  for (size_t d = 0; d < 2; ++d) {
    const size_t ours = direction == Direction::kToServer ? d : 1 - d;
    flow->packets[ours] = std::max(flow->packets[ours], packets[d]);
    flow->bytes[ours] = std::max(flow->bytes[ours], bytes[d]);
  }
  table_.End(*flow, FlowEndReason::kTimeout);
}

void Worker::Expire(Nanos now) {
  now_ = std::max(now_, now);
  last_expiry_ = now_;
  table_.Expire(now_, kExpiryBudget);
}

void Worker::Shutdown() { table_.EndAll(FlowEndReason::kShutdown); }

// ------------------------------------------------------------------ counters

void Worker::CollectCounters(NamedCounters* out) const {
  const auto add = [out](std::string name, uint64_t value) {
    out->emplace_back(std::move(name), value);
  };
  CollectDecoderCounters(out);
  const WorkerStats& s = stats_;
  add("flow.total", table_.stats().created);
  add("flow.active", table_.size());
  add("flow.tcp", s.flows_tcp);
  add("flow.udp", s.flows_udp);
  add("flow.icmpv4", s.flows_icmp4);
  add("flow.icmpv6", s.flows_icmp6);
  add("flow.tcp_reuse", s.tcp_reuse);
  add("flow.evicted", table_.stats().evicted);
  const StreamStats& t = stream_stats_;
  add("tcp.sessions", t.sessions);
  add("tcp.syn", t.syn);
  add("tcp.synack", t.synack);
  add("tcp.rst", t.rst);
  add("tcp.midstream_pickups", t.midstream_pickups);
  add("tcp.segment_memcap_drop", t.segment_memcap + t.waiting_limit);
  add("tcp.stream_depth_reached", t.depth_reached);
  add("tcp.reassembly_gap", t.gaps);
  add("tcp.overlap", t.overlaps);
  add("tcp.overlap_diff_data", t.overlaps_different);
  add("tcp.invalid_checksum", t.invalid_checksum);
  add("tcp.out_of_window", t.out_of_window);
  add("tcp.invalid_timestamp", t.invalid_timestamp);
  add("tcp.no_session", t.no_session);
  add("tcp.reassembly_memuse", segments_.in_use());
  const DetectorStats& d = detector_.stats();
  add("detect.alert", s.alerts);
  add("detect.alert_queue_overflow", d.alerts_overflow);
  add("detect.alerts_suppressed", d.alerts_suppressed);
  add("detect.recursion_limit", d.recursion_limit);
  add("detect.regex_limit", d.regex_limit);
  add("detect.confirm_limit", d.confirm_limit);
  add("detect.threshold_evicted", d.threshold_evicted);
  add("detect.host_bits_evicted", d.host_bits_evicted);
  add("detect.stream_pending_lost", d.stream_pending_lost);
  add("detect.flow_vars_full", d.flow_vars_full);
  const DissectStats& p = dissector_.stats();
  add("dissect.undissected", p.undissected);
  add("dissect.probe_undecided", p.probe_undecided);
  add("dissect.breaches", p.breaches);
  add("dissect.slow_calls", p.slow_calls);
  add("dissect.parse_errors", p.parse_errors);
  add("dissect.flows", p.flows);
  add("dissect.gaps", p.gaps);
  add("dissect.gap_stops", p.gap_stops);
  add("dissect.memcap", p.memcap);
  add("dissect.transactions_forced", p.transactions_forced);
  add("dissect.transactions_lost", p.transactions_lost);
  add("dissect.events_lost", p.events_lost);
  add("dissect.pending_overflow", p.pending_overflow);
  add("dissect.bad_calls", p.bad_calls);
  add("dissect.bytes_withheld", p.bytes_withheld);
  for (const auto& schema : catalog_.schemas()) {
    const WorkerStats::Answers& answers = s.answers_by_schema[schema->id];
    add(fmt::format("app_layer.answers.{}.timed", schema->name), answers.timed);
    add(fmt::format("app_layer.answers.{}.latency_us", schema->name), answers.latency_us);
    for (size_t i = 0; i < kNumOutcomes && HasOutcome(*schema); ++i) {
      add(fmt::format("app_layer.answers.{}.{}", schema->name, OutcomeName(static_cast<TxOutcome>(i))),
          answers.outcomes[i]);
    }
    const PluginStats& plugin = dissector_.plugin_stats()[schema->id];
    add(fmt::format("plugins.{}.calls", schema->name), plugin.calls);
    add(fmt::format("plugins.{}.time_us", schema->name), plugin.cycles / CyclesPerMicrosecond());
    for (size_t i = 1; i < kNumBreaches; ++i) {
      add(fmt::format("plugins.{}.{}", schema->name, BreachName(static_cast<Breach>(i))),
          plugin.breaches[i]);
    }
  }
  CollectAppCounters(out);
  if (!options_.inline_verdicts) return;
  add("ips.accepted", s.accepted);
  add("ips.blocked", s.blocked);
  add("ips.rejected", s.rejected);
  for (size_t i = 1; i < s.drop_reasons.size(); ++i) {
    add(fmt::format("ips.drop_reason.{}", NamesOf(static_cast<DropReason>(i)).counter),
        s.drop_reasons[i]);
  }
}

// A dissector of both transports has its counters apart: app_layer.flow.x_udp.
void Worker::CollectAppCounters(NamedCounters* out) const {
  static constexpr std::string_view kTransports[] = {"tcp", "udp"};
  for (size_t t = 0; t < 2; ++t) {
    out->emplace_back(fmt::format("app_layer.flow.failed_{}", kTransports[t]), stats_.flows_failed[t]);
  }
  for (const auto& schema : catalog_.schemas()) {
    const uint32_t transports = catalog_.plugin(schema->id).info().transports;
    const bool both = (transports & SLUICE_TCP) && (transports & SLUICE_UDP);
    for (size_t t = 0; t < 2; ++t) {
      if (!(transports & (t == 0 ? SLUICE_TCP : SLUICE_UDP))) continue;
      const std::string name =
          both ? fmt::format("{}_{}", schema->name, kTransports[t]) : std::string(schema->name);
      const WorkerStats::App& app = stats_.apps[t][schema->id];
      out->emplace_back("app_layer.flow." + name, app.flows);
      out->emplace_back("app_layer.tx." + name, app.transactions);
      out->emplace_back("app_layer.error." + name + ".parser", app.parse_errors);
      out->emplace_back("app_layer.error." + name + ".gap", app.gaps);
    }
  }
}

void AddThreadCounters(size_t index, const NamedCounters& counters, NamedCounters* out) {
  for (const auto& [name, value] : counters) {
    out->emplace_back(fmt::format("threads.W#{:02}.{}", index + 1, name), value);
  }
}

}  // namespace sluice
