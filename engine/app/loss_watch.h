// engine/app/loss_watch.h
// Tells when packets begin to be lost and when that is over, so that somebody who reads
// the log learns what it cannot show.
//
// Threads: confined to one.  Time is passed in.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/types.h"

namespace sluice {

class LossWatch {
 public:
  static constexpr Nanos kQuiet = std::chrono::seconds{10};  // without a loss: it is over

  struct Change {
    bool degraded;     // else recovered
    uint64_t lost;     // packets since `since`
    Nanos since;
    double percent;    // of the packets of that time
  };

  // Totals since the start, about once a second; `now` on the wall.
  std::optional<Change> Look(Nanos now, uint64_t seen, uint64_t lost);

 private:
  struct Totals {
    Nanos at{};
    uint64_t seen = 0, lost = 0;
  };
  std::optional<Change> Tell(bool degraded, uint64_t seen, uint64_t lost) const;

  Totals last_;   // look
  Totals since_;  // the look before the first loss
  Nanos last_loss_{};
  bool degraded_ = false;
};

}  // namespace sluice
