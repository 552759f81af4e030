// What becomes of a packet and its flow: by a rule, or because of an earlier packet.
#include "engine/app/worker_state.h"
#include "engine/output/fast_log.h"

namespace sluice {
namespace {

VerdictView RejectOf(const Packet& packet, Action reject) {
  VerdictView out;
  if (!IsReject(reject)) return out;
  out.reject = packet.l4 == L4::kTcp ? "tcp-reset" : "icmp-prohib";
  out.reject_target = reject == Action::kRejectBoth          ? "both"
                      : reject == Action::kRejectDestination ? "to_server"
                                                             : "to_client";
  return out;
}

}  // namespace

void Worker::HandleResult(const Packet& packet, Flow& flow, FlowWork& state, Direction direction,
                          const PacketResult& result) {
  const bool none = result.alerts.empty() && !result.drop && !result.tagged;
  state.quiet_transactions |= result.quiet_transactions;
  state.quiet_flow |= result.quiet_flow;
  FlowView view = none ? FlowView{} : ViewOf(flow, state);
  packet_texts_.clear();
  for (const FlowVars::Text& text : result.captured) packet_texts_.emplace_back(text.name, text.value);
  view.packet_texts = packet_texts_;
  flow.alerted |= !result.alerts.empty();
  for (const Alert& alert : result.alerts) {
    const bool of_stream = alert.in_stream || alert.tx != nullptr;  // its packet may have nothing of it
    const Slice text = of_stream && text_limit_ > 0 ? TextOf(state, alert.direction) : Slice();
    WriteAlert(packet, view, alert, result, !text.empty() ? text : packet.payload);
  }
  for (const Rule* rule : result.gave_up) {
    eve_writer_.Sensor(packet.time, ViewOf(flow, state), &packet,
                       SensorView{.state = "degraded", .what = "rule_limit",
                                  .detail = "a look of the rule ended at a limit: what it asks for may go unseen; "
                                            "see detect.regex_limit, detect.recursion_limit and detect.confirm_limit in stats",
                                  .sid = rule->sid});
  }
  if (packet_log_.holds()) ChoosePacket(packet, state, result);
  if (result.tagged) eve_writer_.TaggedPacket(packet, view, direction);
  if (result.bypass) Bypass(flow);
  // The first verdict on a flow stays.
  if (!flow.dropped && !flow.passed) {
    flow.dropped = result.drop_flow && options_.inline_verdicts;
    flow.passed = result.pass_flow;
  }
  if (!result.drop) return;
  fate_.reject |= IsReject(result.reject);
  Drop(packet, view, &flow, direction,
       {.reason = result.by_rate ? DropReason::kRateFilter : DropReason::kRules, .result = &result});
  if (verdicts_ == nullptr) return;
  if (flow.tunneled) return DropTunnel(*result.cause, result.action, packet);
  verdicts_->OnVerdict(*result.cause, result.action, packet, flow, direction, NextSeq(state));
}

// The stream as an alert shows it: what was handed on, and what waits for its acknowledgement.
Slice Worker::TextOf(const FlowWork& state, Direction direction) {
  struct Collector final : Reassembly::Sink {
    Collector(StreamText& text, size_t limit) : text(text), limit(limit) {}
    void OnBytes(Slice bytes, uint64_t) override { text.Add(bytes, limit); }
    void OnGap(uint64_t, uint64_t bytes) override { text.AddMissing(bytes, limit); }
    StreamText& text;
    size_t limit;
  };
  shown_.assign(state.text[Index(direction)].bytes.begin(), state.text[Index(direction)].bytes.end());
  StreamText text{std::move(shown_)};
  Collector collector(text, text_limit_);
  state.session.ShowWaiting(direction, collector);
  shown_ = std::move(text.bytes);
  return shown_;
}

VerdictSink::NextSeq Worker::NextSeq(const FlowWork& state) {
  return {state.session.next_seq(Direction::kToServer), state.session.next_seq(Direction::kToClient)};
}

// The tap knows the outermost packet's flow only: the verdict is on that.
void Worker::DropTunnel(const Rule& cause, Action action, const Packet& inner) {
  const Packet* root = &inner;
  while (root->outer != nullptr) root = root->outer;
  Flow flow;
  flow.tuple = TupleOf(*root, false);
  verdicts_->OnVerdict(cause, action, *root, flow, Direction::kToServer, {0, 0});
}

// The packet goes no further, and its record says why.  A flow that is dropped has one
// record a direction unless all are asked for.
void Worker::Drop(const Packet& packet, const FlowView& view, Flow* flow, Direction direction,
                  const DropCause& cause) {
  if (!options_.inline_verdicts || packet.origin == PacketOrigin::kFlowTimeout) return;
  if (fate_.drop == DropReason::kNone) fate_.drop = cause.reason;
  if (flow != nullptr && !every_drop_) {
    bool& logged = flow->drop_logged[Index(direction)];
    if (cause.earlier && logged) return;
    logged |= flow->dropped;
  }
  DropView out;
  out.reason = NamesOf(cause.reason).text;
  out.direction = direction;
  if (cause.result != nullptr) {
    out.rule = cause.result->cause;
    out.verdict = VerdictOf(packet, *cause.result);
  } else {
    out.verdict = RejectOf(packet, cause.reject);
    out.verdict.action = "drop";
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
  VerdictView out = RejectOf(packet, result.reject);
  out.action = result.drop && options_.inline_verdicts ? "drop" : result.pass ? "pass" : "alert";
  return out;
}

void Worker::WriteAlert(const Packet& packet, const FlowView& view, const Alert& alert,
                        const PacketResult& result, Slice payload) {
  ++stats_.alerts;
  ++alerts_by_rule_[alert.rule->index];
  const bool drops = alert.effective == Action::kDrop || IsReject(alert.effective);
  // What a rate filter made a drop is one, whether or not it could be carried out.
  const bool rated = alert.effective != alert.rule->action;
  AlertView out;
  out.rule = alert.rule;
  out.tx = alert.tx;
  // A datagram is one message: a rule for its protocol means that.
  const bool datagram = packet.l4 == L4::kUdp && !alert.rule->header.app_protocol.empty();
  if (alert.tx == nullptr && (datagram || options_.guess_transaction)) {
    out.tx = guessed_;
    out.tx_guessed = guessed_ != nullptr && !datagram;
  }
  out.in_stream = alert.in_stream;
  out.direction = alert.direction;
  out.payload = payload;
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

void Worker::HandleBudgets(Flow& flow, FlowWork& state, Direction direction) {
  if (options_.stream_bypass && state.session.depth_reached()) Bypass(flow);
  FlowDissection* dissection = state.dissection;
  if (dissection == nullptr) return;
  bool none = dissection->opaque();  // of it is wanted: asked for, not a dissector's failure
  for (const Direction d : {Direction::kToServer, Direction::kToClient}) {
    const auto& request = dissection->budget_request(d);
    none = none && request && request->mode == SLUICE_BUDGET_NONE;
    if (request && verdicts_ != nullptr && !flow.tunneled) {
      verdicts_->OnBudget(flow, d, request->mode, request->bytes);
    }
  }
  // Stream rules still want the bytes of what nobody dissects; a capture costs nothing to read on.
  const bool unwanted = dissection->opaque() && verdicts_ != nullptr && !detector_.program().wants_stream();
  if (!(none || unwanted) || flow.bypass != FlowBypass::kNone) return;
  // What the other side sent may be complete by this packet's acknowledgement only.
  if (!flow.dropped) LastLook(flow, state, Opposite(direction));
  Bypass(flow);
}

}  // namespace sluice
