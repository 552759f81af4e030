#include "engine/tap/flow_control.h"

#include <bpf/bpf.h>

#include <cerrno>

#include "engine/tap/bpffs.h"
#include "engine/tap/flow_key.h"
#include "engine/tap/tap_impl.h"

namespace sluice {
namespace {

// The next free request, cleared, for `flow`.
tap_request& Prepare(tap_request& request, const Tuple& flow, uint8_t& source_side) {
  const KeyAndSide key = MakeFlowKey(flow);
  request = tap_request{};
  request.key = key.key;
  source_side = key.source_side;
  return request;
}

}  // namespace

FlowControl::FlowControl(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FlowControl::FlowControl(FlowControl&&) noexcept = default;
FlowControl& FlowControl::operator=(FlowControl&&) noexcept = default;
FlowControl::~FlowControl() = default;

void FlowControl::SetBudget(const Tuple& flow, uint64_t to_server, uint64_t to_client) noexcept {
  uint8_t side = 0;
  tap_request& request = Prepare(impl_->requests[impl_->queued], flow, side);
  request.what = TAP_SET_BUDGET;
  request.budget[side] = to_server;
  request.budget[!side] = to_client;
  if (++impl_->queued == TAP_BATCH) Flush();
}

void FlowControl::Bypass(const Tuple& flow, uint64_t sid) noexcept {
  uint8_t side = 0;
  tap_request& request = Prepare(impl_->requests[impl_->queued], flow, side);
  request.what = TAP_SET_VERDICT;
  request.verdict = TAP_BYPASS;
  request.sid = sid;
  request.origin = sid != 0 ? TAP_ORIGIN_RULE : TAP_ORIGIN_NONE;
  if (++impl_->queued == TAP_BATCH) Flush();
}

void FlowControl::Drop(const Tuple& flow, const DropOptions& options) noexcept {
  uint8_t side = 0;
  tap_request& request = Prepare(impl_->requests[impl_->queued], flow, side);
  request.what = TAP_SET_VERDICT | TAP_ADD_DROP;
  request.verdict = TAP_DROP;
  request.sid = options.sid;
  request.origin = static_cast<uint32_t>(options.origin);
  request.rate = options.rate;
  if (options.ttl > Nanos{}) request.ttl_ns = static_cast<uint64_t>(options.ttl.count());
  if (++impl_->queued == TAP_BATCH) Flush();
}

void FlowControl::Inspect(const Tuple& flow) noexcept {
  uint8_t side = 0;
  tap_request& request = Prepare(impl_->requests[impl_->queued], flow, side);
  request.what = TAP_SET_VERDICT;
  request.verdict = TAP_INSPECT;
  if (++impl_->queued == TAP_BATCH) Flush();
}

size_t FlowControl::Flush() noexcept {
  const uint32_t count = impl_->queued;
  if (count == 0) return 0;
  impl_->queued = 0;
  tap_request_run run{.first = impl_->first, .count = count};
  LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &run, .ctx_size_in = sizeof(run));
  if (bpf_prog_test_run_opts(impl_->apply_fd, &options) != 0) {
    impl_->stats.failed += count;
    return 0;
  }
  size_t applied = 0;
  for (uint32_t i = 0; i < count; ++i) {
    switch (impl_->requests[i].result) {
      case 0:
        ++applied;
        break;
      case -E2BIG:
        ++impl_->stats.drops_full;
        break;
      default:
        ++impl_->stats.no_flow;
        break;
    }
  }
  impl_->stats.applied += applied;
  return applied;
}

const FlowControlStats& FlowControl::stats() const noexcept { return impl_->stats; }

}  // namespace sluice
