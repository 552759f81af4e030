// Whose packets are logged because of an earlier alert: the keyword tag.
//
// Memory: a fixed table, as thresholds.h has it; a flow or host holds up to kMarks
//   rules, a further one replaces the mark that was set first.
// Threads: one per worker, confined to it.  A host's flows may spread over workers:
//   each then logs what it sees.
#pragma once

#include <array>
#include <cstdint>

#include "engine/decode/packet.h"
#include "engine/match/thresholds.h"

namespace sluice {

class TagTable {
 public:
  static constexpr size_t kMarks = 4;
  explicit TagTable(size_t entries) : table_(entries) {}

  // `rule` alerted on `packet` (of flow `flow`, 0: of none) and has `tag`.
  void Set(const Rule& rule, const Tag& tag, const Packet& packet, uint64_t flow, Nanos now) noexcept;
  // Counts a packet, after its alerts have been set; whether it is to be logged.  The
  // packet of the alert itself counts but is not: the alert says all about it.
  bool Follow(const Packet& packet, uint64_t flow, Nanos now) noexcept;
  uint64_t evicted() const { return table_.evicted(); }

 private:
  struct Mark {
    uint64_t rule = 0;  // gid and sid
    Tag::Unit unit = Tag::Unit::kPackets;
    bool fresh = true;  // its own packet is yet to be counted
    uint32_t left = 0;  // packets or bytes
    Nanos until{};
    uint32_t renewed = 0;
  };
  struct Marks {
    std::array<Mark, kMarks> list;
    uint32_t count = 0;
  };
  static bool Count(Marks& marks, uint32_t bytes, Nanos now) noexcept;
  bool Look(const HostKey& key, uint32_t bytes, Nanos now) noexcept;

  HostTable<Marks> table_;
  bool any_ = false;  // a mark was ever set: before, packets cost nothing
};

}  // namespace sluice
