// engine/app/worker_state.h
// What the parts of the worker share: its state of a flow.
// Threads, memory: the worker's own.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "engine/app/raw_window.h"
#include "engine/app/worker.h"
#include "engine/decode/ip_protocol.h"

namespace sluice {

inline bool IsReject(Action action) { return action >= Action::kReject; }

// The flow that a packet belongs to.
Tuple TupleOf(const Packet& packet, bool track_recursion);

// The latest bytes of one direction as alerts show them, with a note where some are missing.
struct StreamText {
  std::vector<uint8_t> bytes;

  void AddMissing(uint64_t missing, size_t limit) {
    char note[48];
    const auto end = fmt::format_to_n(note, sizeof(note), "[{} bytes missing]", missing).out;
    Add(AsSlice(std::string_view(note, end)), limit);
  }
  void Add(Slice more, size_t limit) {
    const size_t taken = std::min(more.size(), limit);
    const size_t kept = std::min(bytes.size(), limit - taken);
    bytes.erase(bytes.begin(), bytes.end() - static_cast<ptrdiff_t>(kept));
    bytes.insert(bytes.end(), more.end() - static_cast<ptrdiff_t>(taken), more.end());
  }
};

struct Worker::FlowWork {
  TcpSession session;
  FlowDissection* dissection = nullptr;
  FlowVars vars;
  RawWindow raw[2];
  StreamText text[2];  // if some log shows payloads
  std::string community_id;
  MacSet macs[2];  // by Direction of the sender
  std::string_view interface;  // on which it began; see Worker::set_interface()
  ByteRate rates[2];  // by Direction; if elephants are looked for
  std::vector<StreamEvent> stream_events;  // of the current packet, each once
  const Schema* counted = nullptr;         // the protocol already in flows_by_schema
  bool keeps_files = false;                // its stream goes deeper
  bool files_wait = false;                 // for rules, before they are logged
  uint32_t errors = 0;                     // of its dissectors, that were told
  bool dropped_by_exception = false;       // Flow::dropped, but by no rule
  PacketLog::Chain held_packets = 0;       // written should it alert
  bool alerted_packets = false;            // it did: they are, and what follows is
  bool encrypted = false;                  // its dissector said so before this packet
  bool quiet_transactions = false, quiet_flow = false;  // rules ask for no records
};

// A packet that never was: carries a flow's ends for the last look of rules.
Packet PseudoPacket(const Flow& flow, Direction direction);

// Why a packet is dropped: because of a rule, of the flow's earlier packets, or by policy.
struct Worker::DropCause {
  DropReason reason;
  const PacketResult* result = nullptr;
  Action reject = Action::kAlert;  // kAlert: none
  bool earlier = false;
};

// Hands stream bytes to the dissector and keeps them for stream rules.
struct Worker::StreamSink final : TcpSession::Sink {
  StreamSink(Worker& w, Flow& f, FlowWork& s) : worker(w), flow(f), state(s) {}

  void OnData(Direction direction, Slice bytes, uint64_t offset) override;
  void OnGap(Direction direction, uint64_t offset, uint64_t bytes) override;
  void OnEnd(Direction direction) override;
  void OnHole(Direction direction, uint64_t offset, uint64_t bytes) override;
  void OnUnread(Direction direction, Slice bytes, uint64_t offset) override;
  void OnFirstEnd(Direction direction) override;
  void OnRestart(Direction direction) override;
  void OnStreamEvent(StreamEvent event) override;
  void KeepRaw(Direction direction, Slice bytes, uint64_t offset);
  void KeepText(Direction direction, Slice bytes);
  void KeepGap(Direction direction, uint64_t offset, uint64_t bytes);

  Worker& worker;
  Flow& flow;
  FlowWork& state;
};

inline const StreamOptions& Worker::StreamOf(const FlowWork& state) const {
  return state.keeps_files ? deep_stream_ : options_.stream;
}

}  // namespace sluice
