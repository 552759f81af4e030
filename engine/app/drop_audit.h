// engine/app/drop_audit.h
// What changes in the drop maps without a worker: entries that an operator adds or takes
// away, by whichever tool, and what each entry drops.  For records of enforcement.
//
// Threads: confined to one.  Memory: one entry for each blocked network.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>

#include "engine/tap/drop_maps.h"

namespace sluice {

class DropAudit {
 public:
  static constexpr Nanos kSummary = std::chrono::seconds{60};  // between two of hits

  // "add", "remove" or "hit_summary", whose packets and bytes are those since the last one.
  using Tell = std::function<void(std::string_view op, const DropEntry& entry)>;

  // All that is in the maps at `now`, every few seconds.  At the first look nothing is new.
  void Look(Nanos now, std::span<const DropEntry> entries, const Tell& tell);
  // It was swept: no one took it away.
  void Expired(const DropEntry& entry);

 private:
  struct Known {
    DropEntry entry;
    uint64_t packets = 0, bytes = 0;  // told
    uint64_t look = 0;                // the last one that saw it
  };
  static std::string KeyOf(const DropEntry& entry);
  static DropEntry Since(const Known& known);

  std::map<std::string, Known> known_;
  uint64_t looks_ = 0;
  Nanos next_summary_{};
};

}  // namespace sluice
