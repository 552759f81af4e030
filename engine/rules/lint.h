// Rules that load and yet can never match, told from the rules alone.  Says nothing where
// it is not certain.
// Threads: main thread.
#pragma once

#include <vector>

#include "engine/rules/rule_set.h"

namespace sluice {

// A warning for each rule that can never match, with the reason.
std::vector<RuleProblem> FindRulesThatNeverMatch(const RuleSet& set);

}  // namespace sluice
