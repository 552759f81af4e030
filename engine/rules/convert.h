// Rule files from one form into the other, word by word: variables, order and comments
// stay, so that the converted file means what the first one did.
//
// Threads: main thread.
// Errors: a rule that has no header or cannot be written in the other form (text that is
//   not UTF-8 has no TOML) is a RuleProblem and left out; the others are converted.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/rules/keyword_source.h"
#include "engine/rules/rule_set.h"

namespace sluice {

// One rule of the dialect as a [[rule]] table.
Result<std::string> RuleToToml(std::string_view rule, const KeywordSource& keywords);

// Whole files; `file` names them in problems.
std::string RulesToToml(std::string_view text, const std::string& file, const KeywordSource& keywords,
                        std::vector<RuleProblem>* problems);
std::string TomlToRules(std::string_view text, const std::string& file, std::vector<RuleProblem>* problems);

}  // namespace sluice
