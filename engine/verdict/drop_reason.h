// engine/verdict/drop_reason.h
// Why a packet is not passed on: EVE's drop.reason and the ips.drop_reason counters.
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

enum class DropReason : uint8_t {
  kNone,
  kDecodeError, kDefragError, kDefragMemcap, kFlowMemcap,
  kFlowDrop,           // an earlier packet's verdict holds for the flow
  kExceptionFlowDrop,  // the same, by an exception policy
  kAppLayerError, kAppLayerMemcap,
  kRules,
  kRateFilter,         // a rule, because of its rate filter
  kStreamError, kStreamMemcap, kStreamMidstream, kStreamReassembly, kStreamUrgent,
  kTunnelPacketDrop,   // the packet inside is dropped
  kMax
};

struct DropReasonNames {
  std::string_view text, counter;  // "flow drop", "flow_drop"
};
constexpr DropReasonNames NamesOf(DropReason reason) {
  constexpr DropReasonNames kNames[] = {
      {"", ""},
      {"decode error", "decode_error"},
      {"defrag error", "defrag_error"},
      {"defrag memcap", "defrag_memcap"},
      {"flow memcap", "flow_memcap"},
      {"flow drop", "flow_drop"},
      {"exception policy flow drop", "exception_policy_flow_drop"},
      {"applayer error", "applayer_error"},
      {"applayer memcap", "applayer_memcap"},
      {"rules", "rules"},
      {"threshold detection_filter", "threshold_detection_filter"},
      {"stream error", "stream_error"},
      {"stream memcap", "stream_memcap"},
      {"stream midstream", "stream_midstream"},
      {"stream reassembly", "stream_reassembly"},
      {"stream urgent", "stream_urgent"},
      {"tunnel packet drop", "tunnel_packet_drop"}};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == static_cast<size_t>(DropReason::kMax));
  return kNames[static_cast<size_t>(reason)];
}

}  // namespace sluice
