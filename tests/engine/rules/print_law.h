// The law of the printer: parse(print(rule)) == rule.
#pragma once

#include <string>

#include "engine/rules/context.h"
#include "engine/rules/convert.h"
#include "engine/rules/print.h"

namespace sluice {

// What breaks the law for `rule` of `set`; empty: it holds.  Grows `set` by a rule.
inline std::string PrintLawBreach(size_t index, const RuleOptions& options,
                                  const KeywordSource& keywords, RuleSet* set) {
  const RulePrinter printer(*set, options, keywords);
  const std::string printed = printer.Print(set->rules[index]);
  const size_t before = set->rules.size();
  ParseRule(printed, {"printed", 1}, options, keywords, set);
  if (set->rules.size() != before + 1) {
    return printed + "\n  does not load: " +
           (set->problems.empty() ? "" : set->problems.back().message);
  }
  if (SameMeaning(set->rules[index], set->rules.back())) return "";
  return "printed:  " + printed + "\nagain:    " + printer.Print(set->rules.back()) +
         "\nwritten:  " + set->rules[index].text;
}

// The law of conversion: a rule of the dialect, put into TOML and read, is the same rule.
inline std::string ConvertLawBreach(size_t index, const RuleOptions& options,
                                    const KeywordSource& keywords, RuleSet* set) {
  const std::string text = set->rules[index].text;
  const auto toml = RuleToToml(text, keywords);
  if (!toml) return text + "\n  is not converted: " + toml.error().message;
  const size_t before = set->rules.size();
  ParseTomlRules(*toml, "converted", options, keywords, set);
  if (set->rules.size() != before + 1) {
    return *toml + "\n  does not load: " + (set->problems.empty() ? "" : set->problems.back().message);
  }
  const bool same = SameMeaning(set->rules[index], set->rules.back());
  set->rules.pop_back();
  return same ? "" : "written: " + text + "\ntoml:\n" + *toml;
}

}  // namespace sluice
