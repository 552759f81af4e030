// engine/match/evaluation_order.h
// The order in which rules are looked at and reported: by action, then those that set
// what others ask for before those, then by priority, gid and sid.
// Threads: pure functions.
#pragma once

#include <array>
#include <compare>
#include <cstdint>

#include "engine/rules/rule_set.h"

namespace sluice {

struct EvaluationOrder {
  int action, bits, ints, xbits, priority;
  uint32_t gid, sid, index;
  auto operator<=>(const EvaluationOrder&) const = default;
};
EvaluationOrder OrderOf(const Rule& rule, const std::array<Action, 4>& actions);

}  // namespace sluice
