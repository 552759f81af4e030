#include "engine/match/thresholds.h"

#include <algorithm>

namespace sluice {

ThresholdResult CountMatch(const Threshold& t, ThresholdCounter& c, bool created,
                           Nanos now) noexcept {
  using Type = Threshold::Type;
  if (t.type == Type::kBackoff) {  // at count, count * multiplier, ...
    if (created) c.next = t.count;
    if (++c.count != c.next) return ThresholdResult::kSilent;
    c.next *= std::max(t.multiplier, 2u);
    return ThresholdResult::kAlert;
  }
  const bool fresh = created || Expired(t, c, now);
  if (fresh) {
    c.since = now;
    c.count = 0;
  }
  ++c.count;
  switch (t.type) {
    case Type::kLimit:
      return c.count <= t.count ? ThresholdResult::kAlert : ThresholdResult::kSilent;
    case Type::kThreshold:
      if (c.count < t.count) return ThresholdResult::kIgnore;
      c.count = 0;  // the time runs on
      return ThresholdResult::kAlert;
    case Type::kBoth:
      if (c.count == t.count) return ThresholdResult::kAlert;
      return c.count > t.count ? ThresholdResult::kSilent : ThresholdResult::kIgnore;
    case Type::kDetectionFilter:
      return c.count > t.count ? ThresholdResult::kAlert : ThresholdResult::kIgnore;
    case Type::kRate:
    case Type::kBackoff:
      break;
  }
  return ThresholdResult::kAlert;
}

bool RateExceeded(const RateFilter& filter, ThresholdCounter& c, bool created,
                  Nanos now) noexcept {
  if (created) c.until = Nanos{};
  if (c.until != Nanos{}) {
    if (now <= c.until) return true;
    c.until = Nanos{};
    return false;
  }
  if (created || now - c.since > std::chrono::seconds(filter.rate.seconds) || now < c.since) {
    c.since = now;
    c.count = 0;
  }
  if (++c.count <= filter.rate.count) return false;
  c.until = now + std::chrono::seconds(filter.timeout);
  return true;
}

HostKey ThresholdKey(const Rule& rule, const Threshold& t, const Address& source,
                     const Address& destination, uint64_t flow) noexcept {
  HostKey key;
  const uint64_t kind = t.type == Threshold::Type::kDetectionFilter ? 1
                        : t.type == Threshold::Type::kRate          ? 2
                                                                    : 0;
  key.what = uint64_t{rule.gid} << 34 | uint64_t{rule.sid} << 2 | kind;
  switch (t.track) {
    case Threshold::Track::kBySource:
      key.first = source;
      break;
    case Threshold::Track::kByDestination:
      key.second = destination;
      break;
    case Threshold::Track::kByBoth:
      key.first = std::min(source, destination);  // either way round
      key.second = std::max(source, destination);
      break;
    case Threshold::Track::kByRule:
      break;
    case Threshold::Track::kByFlow:
      key.flow = flow + 1;
      break;
  }
  return key;
}

}  // namespace sluice
