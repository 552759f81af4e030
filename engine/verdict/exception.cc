#include "engine/verdict/exception.h"

#include <algorithm>
#include <optional>

namespace sluice {
namespace {

constexpr struct {
  std::string_view name, field;
} kPolicies[] = {{"ignore", "ignore"},           {"pass-packet", "pass_packet"},
                 {"pass-flow", "pass_flow"},     {"bypass", "bypass"},
                 {"drop-packet", "drop_packet"}, {"drop-flow", "drop_flow"},
                 {"reject", "reject"}};
static_assert(std::size(kPolicies) == static_cast<size_t>(ExceptionPolicy::kMax));

bool Drops(ExceptionPolicy policy) {
  return policy == ExceptionPolicy::kDropPacket || policy == ExceptionPolicy::kDropFlow;
}

// What is nearest to it where there is no flow.
ExceptionPolicy ForPacket(ExceptionPolicy policy) {
  switch (policy) {
    case ExceptionPolicy::kDropFlow: return ExceptionPolicy::kDropPacket;
    case ExceptionPolicy::kPassFlow: return ExceptionPolicy::kPassPacket;
    case ExceptionPolicy::kBypass: return ExceptionPolicy::kIgnore;
    default: return policy;
  }
}

ExceptionPolicy Auto(ExceptionTarget target, const ExceptionSettings& settings) {
  const bool wanted = target == ExceptionTarget::kMidstream && settings.midstream;
  return settings.closed && !wanted ? ExceptionPolicy::kDropFlow : ExceptionPolicy::kIgnore;
}

// None: auto.
Result<std::optional<ExceptionPolicy>> Parse(std::string_view setting, const std::string& text) {
  if (text.empty() || text == "auto") return std::nullopt;
  for (size_t i = 0; i < std::size(kPolicies); ++i) {
    if (kPolicies[i].name == text) return static_cast<ExceptionPolicy>(i);
  }
  return Fail(Errc::kInvalidArgument,
              "{}: {}: must be drop-flow, drop-packet, reject, bypass, pass-flow, pass-packet, ignore or auto",
              setting, text);
}

// A connection is taken up as a whole or not at all, and what is dropped is not taken up.
Result<void> CheckMidstream(ExceptionPolicy policy, const ExceptionSettings& settings) {
  const std::string_view name = ExceptionPolicyName(policy);
  const auto refuse = [name](std::string_view why) -> Result<void> {
    return Fail(Errc::kInvalidArgument, "{}: {}: {}", InfoOf(ExceptionTarget::kMidstream).setting, name, why);
  };
  if (policy == ExceptionPolicy::kDropPacket || policy == ExceptionPolicy::kPassPacket) {
    return refuse("it decides about connections, not packets: use drop-flow or pass-flow");
  }
  if (settings.midstream && policy != ExceptionPolicy::kIgnore && policy != ExceptionPolicy::kPassFlow) {
    return refuse("with stream.midstream it must be ignore or pass-flow");
  }
  if (!settings.verdicts && policy == ExceptionPolicy::kDropFlow) {
    return refuse("nothing can be dropped here; use ignore, or let the engine give verdicts");
  }
  return {};
}

}  // namespace

std::string_view ExceptionPolicyName(ExceptionPolicy policy) {
  return kPolicies[static_cast<size_t>(policy)].name;
}
std::string_view ExceptionPolicyField(ExceptionPolicy policy) {
  return kPolicies[static_cast<size_t>(policy)].field;
}

const ExceptionTargetInfo& InfoOf(ExceptionTarget target) {
  static constexpr ExceptionTargetInfo kTargets[] = {
      {"defrag.memcap-policy", "defrag_memcap", "exception_policy.defrag.memcap", DropReason::kDefragMemcap, false},
      {"flow.memcap-policy", "flow_memcap", "exception_policy.flow.memcap", DropReason::kFlowMemcap, false},
      {"stream.memcap-policy", "stream_memcap", "exception_policy.tcp.ssn_memcap", DropReason::kStreamMemcap, true},
      {"stream.reassembly.memcap-policy", "stream_reassembly_memcap", "exception_policy.tcp.reassembly",
       DropReason::kStreamReassembly, true},
      {"stream.midstream-policy", "stream_midstream", "exception_policy.tcp.midstream", DropReason::kStreamMidstream, true},
      {"app-layer.error-policy", "app_layer_error", "exception_policy.app_layer.error", DropReason::kAppLayerError, true}};
  static_assert(std::size(kTargets) == kNumExceptionTargets);
  return kTargets[static_cast<size_t>(target)];
}

Result<ExceptionPolicies> ResolveExceptionPolicies(const ExceptionSettings& settings) {
  const auto master = Parse("exception-policy", settings.master);
  if (!master) return std::unexpected(master.error());
  ExceptionPolicies policies;
  for (size_t i = 0; i < kNumExceptionTargets; ++i) {
    const auto target = static_cast<ExceptionTarget>(i);
    const ExceptionTargetInfo& info = InfoOf(target);
    const auto own = Parse(info.setting, settings.own[i]);
    if (!own) return std::unexpected(own.error());
    const bool by_master = settings.own[i].empty();
    ExceptionPolicy policy = (by_master ? *master : *own).value_or(Auto(target, settings));
    // A master switch is for all: where it cannot drop, it does nothing.
    if (!settings.verdicts && Drops(policy) && (by_master || target != ExceptionTarget::kMidstream)) {
      policy = ExceptionPolicy::kIgnore;
    }
    if (!info.of_flow) policy = ForPacket(policy);
    if (target == ExceptionTarget::kMidstream) {
      if (auto ok = CheckMidstream(policy, settings); !ok) return std::unexpected(ok.error());
    }
    policies[i] = policy;
  }
  return policies;
}

}  // namespace sluice
