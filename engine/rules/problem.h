// engine/rules/problem.h
// A rule's problem as compilers print theirs: "file:line:column: error: sid 5: fact; remedy".
#pragma once

#include <string>

#include "engine/rules/rule_set.h"

namespace sluice {

std::string FormatProblem(const RuleProblem& problem);

}  // namespace sluice
