// What a rule requires to be loaded at all: "requires: version >= 8, keyword frame".
#include <array>

#include "engine/rules/context.h"
#include "engine/rules/options.h"

namespace sluice {
namespace {

// The version of the dialect, for "requires: version >= 8".
constexpr std::array<uint32_t, 3> kDialect = {8, 0, 4};

std::optional<std::array<uint32_t, 3>> ParseVersion(std::string_view text) {
  std::array<uint32_t, 3> out{};
  const auto parts = Split(text, '.');
  if (parts.size() > out.size()) return std::nullopt;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto number = ParseNumber<uint32_t>(parts[i].substr(0, parts[i].find('-')));
    if (!number) return std::nullopt;
    out[i] = *number;
  }
  return out;
}

// ">= 7.0.3 < 8 | >= 8.0.1": alternatives of comparisons that all hold.
Result<bool> VersionHolds(std::string_view text) {
  for (const std::string_view alternative : Split(text, '|')) {
    bool all = true;
    const auto words = SplitWords(alternative);
    for (size_t i = 0; i < words.size(); ++i) {
      const size_t digits = std::min(words[i].find_first_of("0123456789"), words[i].size());
      const std::string_view op = words[i].substr(0, digits);
      std::string_view number = words[i].substr(digits);
      if (number.empty() && i + 1 < words.size()) number = words[++i];
      const auto version = ParseVersion(number);
      if (!version) return Fail(Errc::kInvalidArgument, "\"{}\" is not a version", number);
      if (op == ">=") all &= kDialect >= *version;
      else if (op == ">") all &= kDialect > *version;
      else if (op == "<=") all &= kDialect <= *version;
      else if (op == "<") all &= kDialect < *version;
      else return Fail(Errc::kInvalidArgument, "\"{}\" is not >=, >, <= or <", op);
    }
    if (all) return true;
  }
  return false;
}

// One requirement; what it lacks, empty if it is met.
Result<std::string> Unmet(std::string_view requirement, const KeywordSource& keywords) {
  const size_t blank = std::min(requirement.find_first_of(" \t"), requirement.size());
  const std::string_view kind = requirement.substr(0, blank), what = Trim(requirement.substr(blank));
  if (kind == "version") {
    const auto holds = VersionHolds(what);
    if (!holds) return std::unexpected(holds.error());
    return *holds ? "" : fmt::format("version {}", what);
  }
  if (kind == "keyword") {
    const KeywordEntry* entry = FindEntry(what);
    const bool known = entry != nullptr ? entry->parse != nullptr : keywords.Find(what) != nullptr;
    return known ? "" : fmt::format("keyword {}", what);
  }
  return std::string(requirement);  // a feature, or a kind of requirement to come
}

}  // namespace

Result<std::string> Requirements(std::string_view body, const KeywordSource& keywords) {
  std::string missing;
  size_t column = 0;
  const auto ok = ForEachOption(body, &column, [&](std::string_view name, std::string_view value) -> Result<void> {
    if (name != "requires") return {};
    for (const std::string_view requirement : Split(value, ',')) {
      const auto unmet = Unmet(requirement, keywords);
      if (!unmet) return std::unexpected(unmet.error());
      if (missing.empty()) missing = *unmet;
    }
    return {};
  });
  if (!ok) return std::unexpected(ok.error());
  return missing;
}

}  // namespace sluice
