// Files of rules, and those beside them: classifications, references.
#include <algorithm>
#include <map>

#include "engine/base/file.h"
#include "engine/rules/context.h"
#include "engine/rules/options.h"

namespace sluice {

void ParseRules(std::string_view text, const std::string& file, const RuleOptions& options,
                const KeywordSource& keywords, RuleSet* set) {
  // Rules are large to move: room for a file of usual size at once.
  set->rules.reserve(set->rules.size() +
                     std::min<size_t>(static_cast<size_t>(std::ranges::count(text, '\n')), 1u << 16));
  ForEachRuleText(text, [&](uint32_t line, std::string_view rule) {
    ParseRule(rule, {file, line}, options, keywords, set);
  }, [](std::string_view) {});
}

void FinishRules(RuleSet* set) {
  // Of rules with one gid:sid the newest revision stays; equal ones are an error.
  std::map<std::pair<uint32_t, uint32_t>, size_t> newest;
  std::vector<bool> keep(set->rules.size(), true);
  for (size_t i = 0; i < set->rules.size(); ++i) {
    const Rule& rule = set->rules[i];
    const auto [it, fresh] = newest.try_emplace({rule.gid, rule.sid}, i);
    if (fresh) continue;
    const Rule& other = set->rules[it->second];
    if (rule.rev == other.rev) {
      ++set->num_failed;
      Report(set, {RuleProblem::Severity::kError, rule.place, 0, rule.sid,
                   fmt::format("sid {} rev {} is already at {}:{}; give one another number", rule.sid,
                               rule.rev, other.place.file, other.place.line)});
    }
    if (rule.rev > other.rev) {
      keep[it->second] = false;
      it->second = i;
    } else {
      keep[i] = false;
    }
  }
  size_t out = 0;
  for (size_t i = 0; i < set->rules.size(); ++i) {
    if (!keep[i]) continue;
    if (out != i) set->rules[out] = std::move(set->rules[i]);
    set->rules[out].index = static_cast<uint32_t>(out);
    ++out;
  }
  set->rules.resize(out);
}

void ContinueNames(const RuleSet& before, RuleSet* fresh) {
  const size_t names = before.flowbit_names.size() + before.flowint_names.size() + before.xbit_names.size();
  fresh->names_epoch = before.names_epoch + (names > kMaxNames ? 1 : 0);
  if (names > kMaxNames) return;
  fresh->flowbit_names = before.flowbit_names;
  fresh->flowint_names = before.flowint_names;
  fresh->xbit_names = before.xbit_names;
}

Result<RuleSet> LoadRuleFiles(const std::vector<std::string>& paths, const RuleOptions& options,
                              const KeywordSource& keywords, const RuleSet* before) {
  RuleSet set;
  if (before != nullptr) ContinueNames(*before, &set);
  for (const std::string& path : paths) {
    const auto text = ReadFile(path, "rule file");
    if (!text) return std::unexpected(text.error());
    const auto parse = path.ends_with(".toml") ? ParseTomlRules : ParseRules;
    parse(*text, path, options, keywords, &set);
  }
  FinishRules(&set);
  return set;
}

namespace {

// Each line of a file that is no comment.  use(line) says whether it could; a line that is
// otherwise is skipped, and its problem says what it should be.
template <typename Use>
Result<void> ReadLines(const std::string& path, std::string_view kind, std::string_view form,
                       std::vector<RuleProblem>* problems, Use&& use) {
  const auto file = ReadFile(path, fmt::format("{} file", kind));
  if (!file) return std::unexpected(file.error());
  uint32_t number = 0;
  for (size_t at = 0; at < file->size();) {
    const size_t end = std::min(file->find('\n', at), file->size());
    const std::string_view line = Trim(std::string_view(*file).substr(at, end - at));
    at = end + 1;
    ++number;
    if (line.empty() || line[0] == '#') continue;
    if (use(line)) continue;
    problems->push_back({RuleProblem::Severity::kWarning, {path, number}, 1, 0,
                         fmt::format("not \"{}\"; the line is skipped", form)});
  }
  return {};
}

// Lines "config <kind>: <value>".
template <typename Use>
Result<void> ReadConfigLines(const std::string& path, std::string_view kind, std::string_view form,
                             std::vector<RuleProblem>* problems, Use&& use) {
  const std::string prefix = fmt::format("config {}", kind);
  return ReadLines(path, kind, fmt::format("{}: {}", prefix, form), problems, [&](std::string_view line) {
    const size_t colon = line.find(':');
    return line.starts_with(prefix) && colon != line.npos && use(line.substr(colon + 1));
  });
}

}  // namespace

Result<void> ReadClassifications(const std::string& path, RuleOptions* options,
                                 std::vector<RuleProblem>* problems) {
  return ReadConfigLines(path, "classification", "name,text,priority", problems, [&](std::string_view value) {
    const auto parts = Split(value, ',');
    const auto priority = parts.size() == 3 ? ParseNumber<uint8_t>(parts[2]) : std::nullopt;
    if (priority) options->classes[Lower(parts[0])] = {std::string(parts[1]), *priority};
    return priority.has_value();
  });
}

Result<void> ReadReferences(const std::string& path, RuleOptions* options,
                            std::vector<RuleProblem>* problems) {
  return ReadConfigLines(path, "reference", "system prefix", problems, [&](std::string_view value) {
    const auto words = SplitWords(value);
    if (words.size() == 2) options->references[Lower(words[0])] = std::string(words[1]);
    return words.size() == 2;
  });
}

Result<void> ReadReputationCategories(const std::string& path, RuleOptions* options,
                                      std::vector<RuleProblem>* problems) {
  return ReadLines(path, "reputation categories", "number,short name,description", problems, [&](std::string_view line) {
    const auto parts = Split(line, ',');
    const auto number = parts.size() >= 2 ? ParseNumber<uint8_t>(parts[0]) : std::nullopt;
    if (!number || *number >= kReputationCategories || parts[1].empty()) return false;
    options->reputation_categories[std::string(parts[1])] = *number;
    return true;
  });
}

}  // namespace sluice
