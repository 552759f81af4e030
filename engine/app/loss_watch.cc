#include "engine/app/loss_watch.h"

#include <algorithm>

namespace sluice {

std::optional<LossWatch::Change> LossWatch::Look(Nanos now, uint64_t seen, uint64_t lost) {
  const Totals before = last_;
  last_ = {now, seen, lost};
  if (lost > before.lost) {
    last_loss_ = now;
    if (degraded_) return std::nullopt;
    degraded_ = true;
    since_ = before;
    if (since_.at == Nanos{}) since_.at = now;  // the first look
    return Tell(true, seen, lost);
  }
  if (!degraded_ || now - last_loss_ < kQuiet) return std::nullopt;
  degraded_ = false;
  return Tell(false, seen, lost);
}

std::optional<LossWatch::Change> LossWatch::Tell(bool degraded, uint64_t seen, uint64_t lost) const {
  const uint64_t more = lost - since_.lost, of = std::max(seen - since_.seen, more);
  return Change{degraded, more, since_.at, 100.0 * static_cast<double>(more) / static_cast<double>(of)};
}

}  // namespace sluice
