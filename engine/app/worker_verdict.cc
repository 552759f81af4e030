// What becomes of a packet and its flow: by a rule, or because of an earlier packet.
#include "engine/app/worker_state.h"
#include "engine/output/fast_log.h"

namespace sluice {

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

}  // namespace sluice
