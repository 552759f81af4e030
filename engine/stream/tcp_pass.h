// engine/stream/tcp_pass.h
// A packet on its way through a session: what the session's two files share.
// Threads: the worker's.
#pragma once

#include <bitset>

#include "engine/stream/tcp_session.h"

namespace sluice {

struct TcpSession::Pass {
  const Packet& packet;
  const Direction d;
  const StreamOptions& options;
  SegmentPool& pool;
  StreamStats& stats;
  Sink& sink;
  Outcome outcome = {};
  std::bitset<kNumStreamEvents> raised = {};

  bool Has(uint8_t flag) const { return packet.tcp.flags & flag; }
  // Once a packet.
  void Raise(StreamEvent event) {
    const auto i = static_cast<size_t>(event);
    if (raised[i]) return;
    raised[i] = true;
    ++stats.events[i];
    sink.OnStreamEvent(event);
  }
};

}  // namespace sluice
