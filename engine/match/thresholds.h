// engine/match/thresholds.h
// Counters of (rule, host) for threshold and detection_filter, and bits of
// hosts for xbits and hostbits.
//
// Memory: fixed tables of 8-way buckets; a full bucket evicts its least
//   recently used entry and counts it, so a flood of hosts costs accuracy,
//   never memory.
// Threads: one per worker, confined to it.  Counts are per worker: engine/tap
//   keeps a flow on one worker, a host's flows may spread.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/types.h"
#include "engine/decode/address.h"
#include "engine/rules/rule_set.h"

namespace sluice {

struct HostKey {
  uint64_t what = 0;  // rule or bit
  Address first, second;
  uint64_t flow = 0;
  bool operator==(const HostKey&) const = default;
};

template <typename Value>
class HostTable {
 public:
  static constexpr size_t kWays = 8;
  explicit HostTable(size_t entries) {
    size_t buckets = 1;
    while (buckets * kWays < entries) buckets *= 2;
    entries_.resize(buckets * kWays);
    mask_ = buckets - 1;
  }
  // Null if there is none.
  Value* Find(const HostKey& key) noexcept {
    Entry* bucket = Bucket(key);
    for (size_t i = 0; i < kWays; ++i) {
      if (bucket[i].used && bucket[i].key == key) {
        bucket[i].used = ++clock_;
        return &bucket[i].value;
      }
    }
    return nullptr;
  }
  // Never fails; `*created` tells whether the value is new.
  Value& Touch(const HostKey& key, bool* created) noexcept {
    *created = false;
    if (Value* value = Find(key)) return *value;
    *created = true;
    Entry* bucket = Bucket(key);
    Entry* victim = bucket;
    for (size_t i = 1; i < kWays; ++i) {
      if (bucket[i].used < victim->used) victim = bucket + i;
    }
    if (victim->used) ++evicted_;
    *victim = {key, Value{}, ++clock_};
    return victim->value;
  }
  void Erase(const HostKey& key) noexcept {
    Entry* bucket = Bucket(key);
    for (size_t i = 0; i < kWays; ++i) {
      if (bucket[i].used && bucket[i].key == key) bucket[i].used = 0;
    }
  }
  uint64_t evicted() const { return evicted_; }

 private:
  struct Entry {
    HostKey key;
    Value value{};
    uint64_t used = 0;  // 0: free
  };
  Entry* Bucket(const HostKey& key) noexcept {
    uint64_t h = key.what * 0x9e3779b97f4a7c15u ^ key.flow;
    for (const Address* a : {&key.first, &key.second}) {
      for (size_t i = 0; i < 16; i += 8) {
        uint64_t word = 0;
        for (size_t j = 0; j < 8; ++j) word = word << 8 | a->bytes[i + j];
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
      }
    }
    return &entries_[(h & mask_) * kWays];
  }
  std::vector<Entry> entries_;
  size_t mask_ = 0;
  uint64_t clock_ = 0, evicted_ = 0;
};

enum class ThresholdResult : uint8_t {
  kAlert,   // report and act
  kSilent,  // act, do not report
  kIgnore,  // as if it had not matched
};

struct ThresholdCounter {
  Nanos since{};
  uint32_t count = 0;
  uint64_t next = 0;  // backoff
  Nanos until{};      // rate filter: the new action holds
};

// One match of a rule with `threshold` at `now`; `created`: the first of this counter.
ThresholdResult CountMatch(const Threshold& threshold, ThresholdCounter& counter, bool created,
                           Nanos now) noexcept;

// Whether the rate filter's action holds for this match.
bool RateExceeded(const RateFilter& filter, ThresholdCounter& counter, bool created,
                  Nanos now) noexcept;

// Whether the time of `counter` is over at `now`: the next match begins anew.
inline bool Expired(const Threshold& threshold, const ThresholdCounter& counter, Nanos now) noexcept {
  return now - counter.since > std::chrono::seconds(threshold.seconds) || now < counter.since;
}

HostKey ThresholdKey(const Rule& rule, const Threshold& threshold, const Address& source,
                     const Address& destination, uint64_t flow) noexcept;

}  // namespace sluice
