// engine/app/rule_costs.h
// Which rules took the most time, over all workers.
//
// Threads: confined to one.  Memory: one entry a rule that was timed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/match/match.h"
#include "engine/output/eve.h"

namespace sluice {

class RuleCosts {
 public:
  struct Rule {
    uint32_t gid = 1, sid = 0;
    RuleCost cost;
    uint64_t alerts = 0;
  };

  void Add(const Rule& rule);
  void Add(const RuleCosts& other);
  // Dearest first; what was never timed is left out.
  std::vector<RuleCostView> Dearest(size_t most) const;
  // The same as counters: detect.rule_cost.<gid>_<sid>.checks, .matches, .time_us.
  void CollectCounters(size_t most, std::map<std::string, uint64_t>* out) const;

 private:
  std::vector<const Rule*> Sorted(size_t most) const;
  std::map<std::pair<uint32_t, uint32_t>, Rule> rules_;  // by gid and sid
};

}  // namespace sluice
