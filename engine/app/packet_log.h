// engine/app/packet_log.h
// A worker's hand on the packet log: which frames are written, and those of a flow that are
// held until one of its packets raises an alert.
//
// Threads: its worker's.  Memory: one ring of held frames, allocated once; the oldest make
// room, so that a flow's first frames may be gone when it alerts: counted.
// Errors: a full queue costs the packet; counted by the queue.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/decode/packet.h"
#include "engine/output/record_sink.h"

namespace sluice {

struct PacketLogOptions {
  enum class Which : uint8_t { kAll, kAlerts, kTagged } which = Which::kAll;
  bool honor_pass = false;           // none of flows that a rule lets pass
  size_t held_bytes = 16u << 20;     // of frames of flows that have not alerted
  uint16_t worker = 0;
};

struct PacketLogStats {
  uint64_t packets = 0;    // sent to the log
  uint64_t lost = 0;       // no room in the queue
  uint64_t held_lost = 0;  // flows whose first frames were gone when they alerted
};

class PacketLog {
 public:
  // Of one flow: where its latest held frame is; 0: it has none.
  using Chain = uint64_t;

  // `sink` null: nothing is ever written.
  PacketLog(const PacketLogOptions& options, RecordSink* sink);

  bool enabled() const { return sink_ != nullptr; }
  bool holds() const { return sink_ != nullptr && options_.which != PacketLogOptions::Which::kAll; }
  const PacketLogOptions& options() const { return options_; }
  void Write(const Packet& packet);
  void Hold(const Packet& packet, Chain* chain);
  // Writes what is held of the flow, in the order it came.
  void WriteHeld(Chain* chain);

  const PacketLogStats& stats() const { return stats_; }

 private:
  struct Held {
    Chain previous;
    uint64_t bytes;  // of the record that follows
  };
  void Compose(const Packet& packet);
  void Put(std::string_view record);

  const PacketLogOptions options_;
  RecordSink* const sink_;
  std::string record_;        // scratch
  std::vector<Chain> order_;  // scratch
  // Positions count bytes ever; a frame never wraps around the end.
  std::unique_ptr<uint8_t[]> ring_;
  uint64_t end_ = 8;          // 0 is no position
  PacketLogStats stats_;
};

}  // namespace sluice
