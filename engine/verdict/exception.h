// engine/verdict/exception.h
// Exception policies: what is done about traffic that cannot be looked into.
//
// Threads: pure functions.  Errors: what a policy cannot do where it was set, with the
//   setting's name and the remedy.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/verdict/drop_reason.h"

namespace sluice {

enum class ExceptionPolicy : uint8_t {
  kIgnore,      // goes on as if nothing were
  kPassPacket,  // no rule looks at the packet
  kPassFlow,    // ... at the flow; it is dissected and logged
  kBypass,      // nothing looks at the flow any more
  kDropPacket,
  kDropFlow,
  kReject,      // drops the flow, and says so to its ends
  kMax
};
// "drop-flow"; with '_' in EVE and counters.
std::string_view ExceptionPolicyName(ExceptionPolicy policy);
std::string_view ExceptionPolicyField(ExceptionPolicy policy);

// The limit or state that was reached.
enum class ExceptionTarget : uint8_t {
  kDefragMemcap, kFlowMemcap, kStreamMemcap, kReassemblyMemcap, kMidstream, kAppLayerError, kMax
};
inline constexpr size_t kNumExceptionTargets = static_cast<size_t>(ExceptionTarget::kMax);

struct ExceptionTargetInfo {
  std::string_view setting;  // "stream.midstream-policy"
  std::string_view field;    // EVE's target
  std::string_view counter;  // "exception_policy.tcp.midstream"
  DropReason reason;
  bool of_flow;              // false: there is no flow, policies act on the packet
};
const ExceptionTargetInfo& InfoOf(ExceptionTarget target);

using ExceptionPolicies = std::array<ExceptionPolicy, kNumExceptionTargets>;

// As they were set: "" is not set, which the master switch decides, and if it is not set
// either, "auto" does.  That fails closed: the flow is dropped (where there is none, the
// packet), unless closed is off or connections are taken up midstream on purpose.
struct ExceptionSettings {
  std::string master;
  std::array<std::string, kNumExceptionTargets> own;
  bool verdicts = false;   // packets can be dropped
  bool closed = false;     // auto drops
  bool midstream = false;  // connections are taken up midstream
};
Result<ExceptionPolicies> ResolveExceptionPolicies(const ExceptionSettings& settings);

}  // namespace sluice
