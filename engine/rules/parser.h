// engine/rules/parser.h
// Rule text -> RuleSet: Suricata's dialect, and .toml files with the same words.
//
// Threads: main thread.
// Errors: every bad rule is a RuleProblem with file, line, sid and remedy; one
//   bad rule never stops the others.  Load fails only if a file cannot be read.
#pragma once

#include <map>
#include <memory>
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
// Address expressions that were evaluated before: most rules have the same few.
class AddressCache {
 public:
  static constexpr size_t kMost = 1024;  // past it, expressions are evaluated each time
  const AddressSet* Find(std::string_view text) const {
    const auto it = known_.find(text);
    return it == known_.end() ? nullptr : &it->second;
  }
  void Keep(std::string_view text, const AddressSet& set) {
    if (known_.size() < kMost) known_.emplace(text, set);
  }

 private:
  std::map<std::string, AddressSet, std::less<>> known_;
};

struct RuleOptions {
  RuleVariables addresses;  // HOME_NET ...
  RuleVariables ports;      // HTTP_PORTS ...
  std::map<std::string, Classification, std::less<>> classes;  // by lower-case short name
  std::map<std::string, std::string, std::less<>> references;  // system -> URL prefix
  std::map<std::string, uint8_t, std::less<>> reputation_categories;  // by short name
  // Of `addresses`, which stay as they are once rules have been read.
  std::shared_ptr<AddressCache> evaluated = std::make_shared<AddressCache>();
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
