// engine/flow/flow.h
// Packets of a tuple and its reverse, until closed, expired or evicted.
//
// Threads: confined to the worker that owns the table.
// Memory: lives in a slot of FlowTable; pointers stay valid until it ends.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/types.h"
#include "engine/flow/tuple.h"

namespace sluice {

// Which idle time-out applies; also EVE's flow.state.
enum class FlowState : uint8_t { kNew, kEstablished, kClosed, kBypassed };
std::string_view FlowStateName(FlowState state);

enum class FlowEndReason : uint8_t {
  kTimeout,   // idle for its time-out
  kForced,    // evicted: its slot was needed
  kShutdown,  // the run ends
  kTcpReuse,  // a SYN began another connection with the tuple
};
std::string_view FlowEndReasonName(FlowEndReason reason);

// Who passes on the packets of a flow that nothing looks at any more; EVE's flow.bypass.
enum class FlowBypass : uint8_t { kNone, kLocal, kCapture };  // the worker, the kernel

struct Flow {
  Tuple tuple;       // source is the initiator
  uint64_t id = 0;   // EVE flow_id: positive, below 2^51
  uint64_t parent_id = 0;  // of the tunnel's flow that its first packet came in, or of the one that announced it; 0: none
  uint64_t hash = 0; // symmetric
  Nanos start{}, last{};
  uint64_t packets[2] = {0, 0};  // by Direction
  uint64_t bytes[2] = {0, 0};    // from the link header on
  uint8_t tcp_flags[2] = {0, 0}; // all seen
  uint8_t min_ttl[2] = {255, 255}, max_ttl[2] = {0, 0};
  uint8_t icmp_type[2] = {0, 0}, icmp_code[2] = {0, 0};  // of each direction's first packet
  FlowState state = FlowState::kNew;
  bool seen[2] = {false, false};
  bool tunneled = false;  // its packets come out of others: the tap does not know it
  bool alerted = false;
  bool dropped = false;  // verdict: all further packets
  bool passed = false;   // a pass rule took it out of inspection
  uint8_t elephant = 0;  // bit per Direction: it has been past the rate of one
  bool drop_logged[2] = {false, false};  // by Direction: has a drop record
  uint8_t exceptions = 0;                // bits: the exceptional states it was in
  FlowBypass bypass = FlowBypass::kNone;
  uint64_t bypassed_packets[2] = {0, 0};  // that only the kernel saw, by Direction
  uint64_t bypassed_bytes[2] = {0, 0};
  // The upper layers' parts, owned by engine/app; null when absent.
  void* session = nullptr;  // TCP
  void* user = nullptr;

  // FlowTable's own.
  uint32_t next_in_bucket = 0, older = 0, newer = 0;
  uint8_t list = 0;
};

}  // namespace sluice
