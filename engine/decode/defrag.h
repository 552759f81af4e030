// engine/decode/defrag.h
// IP fragments -> whole packets (RFC 791 §3.2, RFC 8200 §4.5).
//
// Where fragments carry different bytes for a place, the one that begins earlier
// wins, then the one that came first (as BSD and Windows do).
// Threads: confined to its worker.
// Memory: at most `memcap` bytes and `max_trackers` packets in progress; past
//   either the oldest in progress is given up and counted.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <vector>

#include "engine/base/types.h"
#include "engine/decode/packet.h"

namespace sluice {

struct DefragOptions {
  size_t memcap = 32u << 20;        // bytes of fragments
  uint32_t max_trackers = 8192;     // packets in progress
  uint32_t max_fragments = 1024;    // of one packet
  Nanos timeout = std::chrono::seconds{60};
};
struct DefragStats {
  uint64_t fragments[2] = {0, 0};    // IPv4, IPv6
  uint64_t reassembled[2] = {0, 0};
  uint64_t timeouts = 0;
  uint64_t evicted = 0;              // given up at a limit
  uint64_t refused = 0;              // beyond 64 KiB, or contradictory ends
};

class Defrag {
 public:
  explicit Defrag(const DefragOptions& options) : options_(options) {}

  // Takes a fragment.  If it was the last one missing, the whole IP packet, valid
  // until the next call; else empty.
  Slice Add(const Packet& packet, Nanos now);
  const DefragStats& stats() const { return stats_; }
  size_t memory() const { return memory_; }

 private:
  struct Key {
    Address source, destination;
    uint32_t id = 0;
    uint16_t vlan = 0;
    uint8_t protocol = 0;
    auto operator<=>(const Key&) const = default;
  };
  struct Fragment {
    uint32_t offset = 0;
    std::vector<uint8_t> bytes;
  };
  struct Tracker {
    Nanos started{};
    std::vector<Fragment> fragments;  // in the order they came
    std::vector<uint8_t> header;      // IP header of the first fragment
    uint32_t total = 0;               // payload bytes, known once the last came
    uint8_t protocol = 0;             // IPv6: what the first fragment says follows
    bool has_last = false;
    size_t memory = 0;
    std::list<Key>::iterator age;
  };
  using Trackers = std::map<Key, Tracker>;

  void Remove(Trackers::iterator it);
  bool Complete(const Tracker& tracker) const;
  Slice Build(const Tracker& tracker, bool v4);

  const DefragOptions options_;
  Trackers trackers_;
  std::list<Key> ages_;  // oldest first
  size_t memory_ = 0;
  std::vector<uint8_t> whole_;
  DefragStats stats_;
};

}  // namespace sluice
