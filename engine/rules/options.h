// The text of rules taken apart: files into rules, headers into words, bodies into options.
// Threads: main thread; pure functions.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/rules/text.h"

namespace sluice {

inline constexpr size_t kMaxRuleBytes = 64 * 1024;  // one rule; longer ones are refused

// The number behind "sid:", 0 if there is none: for messages about rules that do not load.
uint32_t FindSid(std::string_view rule);

// Words of a header, with what stands in brackets kept together.
std::vector<std::string> HeaderWords(std::string_view text);

// The end of an option: its first semicolon that is not escaped.  Quotes do not
// protect one, as in Suricata: an expression may hold a single quote mark.
size_t OptionEnd(std::string_view text, size_t from);

// Calls use(name, value) for each option; `column` follows it.
template <typename Use>
Result<void> ForEachOption(std::string_view body, size_t* column, Use&& use) {
  for (size_t at = 0; at < body.size();) {
    const size_t end = OptionEnd(body, at);
    if (Trim(body.substr(at)).empty()) break;
    if (end == body.npos) {
      return Fail(Errc::kInvalidArgument, "\"{}\" has no closing semicolon", Trim(body.substr(at)).substr(0, 40));
    }
    const std::string_view option = body.substr(at, end - at);
    const size_t lead = option.find_first_not_of(" \t");
    *column = at + (lead == option.npos ? 0 : lead);
    at = end + 1;
    const std::string_view trimmed = Trim(option);
    if (trimmed.empty()) continue;
    const size_t colon = trimmed.find(':');
    const std::string_view name = Trim(trimmed.substr(0, colon));
    const std::string_view value = colon == trimmed.npos ? "" : trimmed.substr(colon + 1);
    if (auto ok = use(name, value); !ok) return ok;
  }
  return {};
}

// Calls rule(line, text) for each rule of a file, one that goes over lines joined, and
// comment(text) for each comment.
template <typename Rule, typename Comment>
void ForEachRuleText(std::string_view text, Rule&& rule, Comment&& comment) {
  uint32_t line = 0;
  std::string joined;  // a rule over several lines
  uint32_t first_line = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view part = Trim(text.substr(at, end - at));
    at = end + 1;
    ++line;
    if (joined.empty()) {
      if (!part.empty() && part[0] == '#') comment(part);
      if (part.empty() || part[0] == '#') continue;
      first_line = line;
    }
    const bool goes_on = part.ends_with('\\');
    if (goes_on) part.remove_suffix(1);
    if (goes_on || !joined.empty()) {
      if (joined.size() <= kMaxRuleBytes) joined += std::string(part) + " ";
      if (goes_on) continue;
      rule(first_line, Trim(joined));
      joined.clear();
    } else {
      rule(line, part);
    }
  }
  if (!joined.empty()) rule(first_line, Trim(joined));
}

}  // namespace sluice
