// What the worker cannot or need not look into: exception policies, bypass.
#include <algorithm>

#include "engine/app/worker_state.h"

namespace sluice {

// Once for each time that a packet meets the state.  `flow` and `state` may be null.
void Worker::OnException(ExceptionTarget target, const Packet& packet, Flow* flow, FlowWork* state,
                         Direction direction) {
  const size_t i = static_cast<size_t>(target);
  const ExceptionPolicy policy = options_.exceptions[i];
  ++stats_.exceptions[i][static_cast<size_t>(policy)];
  if (flow != nullptr) flow->exceptions |= static_cast<uint8_t>(1u << i);
  exempt_ |= policy != ExceptionPolicy::kIgnore;
  switch (policy) {
    case ExceptionPolicy::kIgnore:
    case ExceptionPolicy::kPassPacket:
    case ExceptionPolicy::kMax: return;
    case ExceptionPolicy::kBypass:
      if (flow != nullptr) Bypass(*flow);
      [[fallthrough]];
    case ExceptionPolicy::kPassFlow:
      if (flow != nullptr) flow->passed = true;
      return;
    case ExceptionPolicy::kDropPacket:
    case ExceptionPolicy::kDropFlow:
    case ExceptionPolicy::kReject: return DropByException(target, packet, flow, state, direction);
  }
}

// Without verdicts only a rejection is left of it.
void Worker::DropByException(ExceptionTarget target, const Packet& packet, Flow* flow, FlowWork* state,
                             Direction direction) {
  const ExceptionPolicy policy = options_.exceptions[static_cast<size_t>(target)];
  const bool reject = policy == ExceptionPolicy::kReject;
  const bool whole = flow != nullptr && policy != ExceptionPolicy::kDropPacket;
  fate_.reject |= reject;
  if (whole && options_.inline_verdicts) flow->dropped = state->dropped_by_exception = true;
  const FlowView view = flow == nullptr ? FlowView{} : ViewOf(*flow, *state);
  Drop(packet, view, flow, direction,
       {.reason = InfoOf(target).reason, .reject = reject ? Action::kReject : Action::kAlert});
  if (verdicts_ == nullptr || !whole || flow->tunneled) return;
  verdicts_->OnException(target, reject, packet, *flow, direction, NextSeq(*state));
}

// What the packet did to the flow's dissectors.
void Worker::CheckErrors(const Packet& packet, Flow& flow, FlowWork& state, Direction direction) {
  if (state.dissection == nullptr || state.dissection->parse_errors() == state.errors) return;
  state.errors = state.dissection->parse_errors();
  OnException(ExceptionTarget::kAppLayerError, packet, &flow, &state, direction);
}

// Nothing looks at the flow any more; live the kernel keeps what is left of it.
void Worker::Bypass(Flow& flow) {
  if (flow.bypass != FlowBypass::kNone) return;
  const bool kernel = verdicts_ != nullptr && !flow.tunneled;
  flow.bypass = kernel ? FlowBypass::kCapture : FlowBypass::kLocal;
  table_.SetState(flow, FlowState::kBypassed);
  if (!kernel) return;
  for (const Direction d : {Direction::kToServer, Direction::kToClient}) {
    verdicts_->OnBudget(flow, d, SLUICE_BUDGET_NONE, 0);
  }
}

// True if that is all there is to do for the packet.
bool Worker::IsBypassed(const Packet& packet, Flow& flow, Direction direction) {
  if (flow.bypass == FlowBypass::kNone) return false;
  UpdateFlow(packet, flow, direction);
  const bool kernel = flow.bypass == FlowBypass::kCapture;
  ++(kernel ? stats_.capture_packets : stats_.bypassed_packets);
  (kernel ? stats_.capture_bytes : stats_.bypassed_bytes) += packet.wire_len;
  return true;
}

}  // namespace sluice
