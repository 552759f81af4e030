// What the worker logs of transactions and flows.
#include "engine/app/worker_state.h"

namespace sluice {
namespace {

// When the flow ends each side has a packet of its own, and what one has sent goes with it.
bool AwaitsOtherEnd(const Packet& packet, const Flow& flow, const Transaction& tx) {
  if (packet.origin != PacketOrigin::kFlowTimeout) return false;
  const bool to_server = packet.source == flow.tuple.source && packet.source_port == flow.tuple.source_port;
  return tx.directions == (to_server ? SLUICE_DIR_TO_CLIENT : SLUICE_DIR_TO_SERVER);
}

}  // namespace

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
    } else if (dissection->unrecognised()) {
      view.app_proto = "failed";
    }
    if (dissection->original_schema() != nullptr) {
      view.app_proto_original = dissection->original_schema()->name;
    }
    for (const Direction d : {Direction::kToServer, Direction::kToClient}) {
      const Schema* const side = dissection->side(d);
      const bool other = side != nullptr && dissection->schema() != nullptr && side != dissection->schema();
      if (other) view.side_protos[Index(d)] = side->name;
    }
    view.num_transactions = dissection->num_transactions();
    if (dumps_) FindSecrets(*dissection);
  }
  view.tcp_state = TcpStateName(state.session.state());
  view.ts_gap = state.session.had_gap(Direction::kToServer);
  view.tc_gap = state.session.had_gap(Direction::kToClient);
  for (const Direction d : {Direction::kToServer, Direction::kToClient}) {
    view.urgent_bytes[Index(d)] = state.session.urgent_bytes(d);
  }
  view.ts_data = state.session.had_data(Direction::kToServer);
  view.tc_data = state.session.had_data(Direction::kToClient);
  view.macs = state.macs;
  view.interface = state.interface;
  flowbits_.clear();
  flowints_.clear();
  const RuleSet& rules = detector_.program().rules();
  state.vars.ForEach([&](uint32_t id, bool is_int, uint32_t value) {
    if (!is_int && id < rules.flowbit_names.size()) flowbits_.push_back(rules.flowbit_names[id]);
    if (is_int && id < rules.flowint_names.size()) {
      flowints_.emplace_back(rules.flowint_names[id], value);
    }
  });
  flow_texts_.clear();
  for (const FlowVars::Text& text : state.vars.texts()) flow_texts_.emplace_back(text.name, text.value);
  view.flow_texts = flow_texts_;
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
  if (dissection == nullptr || (!dissection->changed() && !state.files_wait)) return;
  const FlowView view = ViewOf(flow, state);
  for (const FlowEvent& event : dissection->events()) {
    if (event.schema != nullptr) {
      AppAnomaly(packet, view, *event.schema, event.index, event.direction, nullptr);
    } else {
      RecognitionAnomaly(packet, view, event);
    }
  }
  if (keeper_.enabled()) state.keeps_files |= dissector_.StoreFiles(*dissection);
  state.files_wait = false;
  for (LiveTransaction* live : dissection->transactions()) {
    live->tx.quiet |= state.quiet_transactions;
    state.files_wait |= !LogFiles(packet, view, *live);
    if (value_keeper_.enabled()) value_keeper_.Keep(packet, live->tx);
    if (!live->tx.done() || AwaitsOtherEnd(packet, flow, live->tx)) continue;
    if (!live->tx.logged) LogTransaction(packet, view, live->tx);
    LogTxEvents(packet, view, live->tx);
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

// Those that are whole, once rules have had their look: they may want them kept.  False:
// some wait for that.
bool Worker::LogFiles(const Packet& packet, const FlowView& view, LiveTransaction& live) {
  if (live.tx.done()) dissector_.CloseFiles(live);
  bool all = true;
  for (FileInfo& file : live.tx.files) {
    if (file.logged || !file.closed) continue;
    if (!file.inspected && !live.tx.inspected[Index(file.direction)]) {
      all = false;
      continue;
    }
    if (keeper_.enabled()) keeper_.End(packet, view, live.tx, file);
    file.logged = true;
    eve_writer_.FileRecord(packet, view, live.tx, file);
  }
  return all;
}

void Worker::LogTransaction(const Packet& packet, const FlowView& view, Transaction& tx) {
  tx.logged = true;
  if (!tx.session) ++AppStats(*view.flow, *tx.schema).transactions;
  CountAnswer(tx);
  LogTxEvents(packet, view, tx);
  if (!tx.no_log && !tx.quiet) eve_writer_.TransactionRecord(packet, view, tx);
}

// Those that were not there at the last call.
void Worker::LogTxEvents(const Packet& packet, const FlowView& view, Transaction& tx) {
  for (; tx.num_events_logged < tx.events.size(); ++tx.num_events_logged) {
    const TransactionEvent& event = tx.events[tx.num_events_logged];
    AppAnomaly(packet, view, *tx.schema, event.index, event.direction, &tx.id);
  }
}

// SLUICE_TX_LOG_EARLY: the flow is over, and what one side sent has been read.
void Worker::LogEarly(Flow& flow, FlowWork& state, Direction ended) {
  for (LiveTransaction* live : state.dissection->transactions()) {
    Transaction& tx = live->tx;
    if (!tx.log_early || tx.logged || tx.done()) continue;
    tx.quiet |= state.quiet_transactions;
    LogTransaction(PseudoPacket(flow, ended), ViewOf(flow, state), tx);
  }
}

void Worker::RecognitionAnomaly(const Packet& packet, const FlowView& view, const FlowEvent& event) {
  static const auto kNames = [] {
    std::vector<std::string> names;
    for (size_t i = 0; i < static_cast<size_t>(RecognitionEvent::kMax); ++i) {
      std::string& name = names.emplace_back(RecognitionEventName(static_cast<RecognitionEvent>(i)));
      std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
    }
    return names;
  }();
  AnomalyView anomaly;
  anomaly.type = AnomalyView::Type::kApplayer;
  anomaly.event = kNames[event.index];
  anomaly.layer = "proto_detect";
  anomaly.direction = event.direction;
  eve_writer_.Anomaly(packet, view, anomaly);
}

void Worker::AppAnomaly(const Packet& packet, const FlowView& view, const Schema& schema,
                        uint32_t index, Direction direction, const uint64_t* tx_id) {
  AnomalyView anomaly;
  anomaly.type = AnomalyView::Type::kApplayer;
  anomaly.event = schema.events[index].logged;
  anomaly.layer = "proto_parser";
  anomaly.app_proto = schema.name;
  anomaly.direction = direction;
  anomaly.tx_id = tx_id;
  eve_writer_.Anomaly(packet, view, anomaly);
}

// ------------------------------------------------------------------ packets

// Whether the packet goes into the packet log because of what rules found; with the first of
// a flow go those that were held.
void Worker::ChoosePacket(const Packet& packet, FlowWork& state, const PacketResult& result) {
  const auto tags = [](const Alert& alert) { return !alert.rule->tags.empty(); };
  const bool chosen = options_.packet_log.which == PacketLogOptions::Which::kAlerts
                          ? !result.alerts.empty()
                          : result.tagged || std::ranges::any_of(result.alerts, tags);
  if (!chosen) return;
  fate_.log_packet |= packet.origin != PacketOrigin::kFlowTimeout;
  if (!state.alerted_packets) packet_log_.WriteHeld(&state.held_packets);
  state.alerted_packets = true;
}

// What a TCP flow has sent, of a tunnel's packets the innermost's.
void Worker::HoldPacket(const Packet& packet, FlowWork& state) {
  if (state.alerted_packets || packet.l4 != L4::kTcp || packet.payload.empty()) return;
  const Packet* root = &packet;
  while (root->outer != nullptr) root = root->outer;
  packet_log_.Hold(*root, &state.held_packets);
}

void Worker::LogPacket(const Packet& packet) {
  if (packet_log_.holds() && !fate_.log_packet) return;
  if (fate_.passed && options_.packet_log.honor_pass) return;
  packet_log_.Write(packet);
}

}  // namespace sluice
