#include "engine/app/rule_costs.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/cycles.h"

namespace sluice {

void RuleCosts::Add(const Rule& rule) {
  Rule& sum = rules_[{rule.gid, rule.sid}];
  sum.gid = rule.gid;
  sum.sid = rule.sid;
  sum.alerts += rule.alerts;
  sum.cost.checks += rule.cost.checks;
  sum.cost.matches += rule.cost.matches;
  sum.cost.sampled += rule.cost.sampled;
  sum.cost.cycles += rule.cost.cycles;
  sum.cost.gave_up += rule.cost.gave_up;
  sum.cost.most = std::max(sum.cost.most, rule.cost.most);
}

void RuleCosts::Add(const RuleCosts& other) {
  for (const auto& [id, rule] : other.rules_) Add(rule);
}

std::vector<const RuleCosts::Rule*> RuleCosts::Sorted(size_t most) const {
  std::vector<const Rule*> dear;
  for (const auto& [id, rule] : rules_) {
    if (rule.cost.sampled > 0) dear.push_back(&rule);
  }
  std::ranges::stable_sort(dear, std::greater{}, [](const Rule* rule) { return rule->cost.EstimatedCycles(); });
  dear.resize(std::min(dear.size(), most));
  return dear;
}

std::vector<RuleCostView> RuleCosts::Dearest(size_t most) const {
  double all = 0;
  for (const auto& [id, rule] : rules_) all += static_cast<double>(rule.cost.EstimatedCycles());
  std::vector<RuleCostView> out;
  for (const Rule* rule : Sorted(most)) {
    const RuleCost& cost = rule->cost;
    const double share = all > 0 ? 100 * static_cast<double>(cost.EstimatedCycles()) / all : 0;
    out.push_back({rule->gid, rule->sid, cost.checks, cost.matches, rule->alerts,
                   static_cast<double>(cost.cycles) / static_cast<double>(cost.sampled), cost.most, share});
  }
  return out;
}

void RuleCosts::CollectCounters(size_t most, std::map<std::string, uint64_t>* out) const {
  for (const Rule* rule : Sorted(most)) {
    const std::string name = fmt::format("detect.rule_cost.{}_{}", rule->gid, rule->sid);
    (*out)[name + ".checks"] = rule->cost.checks;
    (*out)[name + ".matches"] = rule->cost.matches;
    (*out)[name + ".time_us"] = rule->cost.EstimatedCycles() / CyclesPerMicrosecond();
  }
}

}  // namespace sluice
