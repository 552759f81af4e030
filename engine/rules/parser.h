// engine/rules/parser.h
// Rule text -> RuleSet: Suricata's dialect, and .toml files with the same words.
//
// Threads: main thread.
// Errors: every bad rule is a RuleProblem with file, line, sid and remedy; one
//   bad rule never stops the others.  Load fails only if a file cannot be read.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/rules/keyword_source.h"
#include "engine/rules/rule_set.h"
#include "engine/rules/sets.h"

namespace sluice {

struct Classification {
  std::string text;
  uint8_t priority = 3;
};
struct RuleOptions {
  RuleVariables addresses;  // HOME_NET ...
  RuleVariables ports;      // HTTP_PORTS ...
  std::map<std::string, Classification, std::less<>> classes;  // by lower-case short name
  std::map<std::string, std::string, std::less<>> references;  // system -> URL prefix
  std::map<std::string, uint8_t, std::less<>> reputation_categories;  // by short name
};

inline constexpr uint8_t kReputationCategories = 60;

// classification.config and reference.config; bad lines are skipped and named.
Result<void> ReadClassifications(const std::string& path, RuleOptions* options,
                                 std::vector<RuleProblem>* problems);
Result<void> ReadReferences(const std::string& path, RuleOptions* options,
                            std::vector<RuleProblem>* problems);
// What iprep's categories are called: "number,short name,description" a line.
Result<void> ReadReputationCategories(const std::string& path, RuleOptions* options,
                                      std::vector<RuleProblem>* problems);

// `before`, if not null: the set whose place this one takes; see ContinueNames().
Result<RuleSet> LoadRuleFiles(const std::vector<std::string>& paths, const RuleOptions& options,
                              const KeywordSource& keywords, const RuleSet* before = nullptr);
// A fresh set gives the bits and numbers that rules keep in flows the same numbers as
// `before`, so that flows keep them over a reload.  Names are never given up: past
// kMaxNames the count begins anew, in another epoch, and flows forget.
inline constexpr size_t kMaxNames = 65'536;
void ContinueNames(const RuleSet& before, RuleSet* fresh);
// Adds the rules of `text` to `set`.
void ParseRules(std::string_view text, const std::string& file, const RuleOptions& options,
                const KeywordSource& keywords, RuleSet* set);
// The same for the [[rule]] tables of a .toml file.
void ParseTomlRules(std::string_view text, const std::string& file, const RuleOptions& options,
                    const KeywordSource& keywords, RuleSet* set);
// After the last file: newest revisions win, indices are set.
void FinishRules(RuleSet* set);

// Every keyword the parser itself knows, with its help; for --list-keywords.
std::vector<std::pair<std::string, std::string>> EngineKeywords();

}  // namespace sluice
