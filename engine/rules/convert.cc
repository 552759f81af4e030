#include "engine/rules/convert.h"

#include <algorithm>
#include <set>

#include "engine/rules/context.h"
#include "engine/rules/options.h"

namespace sluice {
namespace {

// Words that say something about the rule as a whole: their order means nothing.
constexpr std::string_view kAboutRule[] = {
    "msg", "sid", "rev", "gid", "classtype", "priority", "reference", "metadata", "target", "noalert",
    "alert", "bypass", "prefilter", "tag", "config", "requires", "drop_source", "drop_destination"};

bool IsAboutRule(std::string_view name) {
  return std::ranges::find(kAboutRule, name) != std::end(kAboutRule);
}

// Words on packet and flow: tested in the order written, wherever contents stand.
bool IsCondition(std::string_view name) {
  for (const KeywordEntry* table : {kFlowKeywords, kPacketKeywords}) {
    for (const KeywordEntry* entry = table; entry->name != nullptr; ++entry) {
      if (name == entry->name) return true;
    }
  }
  return false;
}

bool IsValidUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto b = static_cast<uint8_t>(text[i]);
    const size_t more = b < 0x80 ? 0 : b >= 0xc2 && b < 0xe0 ? 1 : b >= 0xe0 && b < 0xf0 ? 2 : b >= 0xf0 && b < 0xf5 ? 3 : 9;
    if (more > text.size() - i - 1) return false;
    uint32_t code = more == 0 ? b : b & (0x3fu >> more);
    for (size_t k = 1; k <= more; ++k) {
      const auto c = static_cast<uint8_t>(text[i + k]);
      if ((c & 0xc0) != 0x80) return false;
      code = code << 6 | (c & 0x3f);
    }
    if ((more == 2 && code < 0x800) || (more == 3 && (code < 0x10000 || code > 0x10ffff)) ||
        (code >= 0xd800 && code < 0xe000)) {
      return false;
    }
    i += more + 1;
  }
  return true;
}

std::string TomlString(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto b = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') out += '\\', out += c;
    else if (b < 0x20 || b == 0x7f) out += fmt::format("\\u{:04x}", b);
    else out += c;
  }
  return out + '"';
}

std::string TomlKey(std::string_view name) {
  const bool bare = name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == name.npos;
  return bare ? std::string(name) : TomlString(name);
}

std::string TomlValue(std::string_view value) {
  value = Trim(value);
  if (value.empty()) return "true";
  const auto number = ParseNumber<int64_t>(value);
  return number && fmt::format("{}", *number) == value ? std::string(value) : TomlString(value);
}

class TomlWriter {
 public:
  explicit TomlWriter(const KeywordSource& keywords) : keywords_(keywords) {}

  Result<std::string> Run(std::string_view rule) {
    if (!IsValidUtf8(rule)) return Fail(Errc::kInvalidArgument, "text that is not UTF-8 has no place in TOML; write its bytes between bars");
    const size_t open = rule.find('(');
    if (open == rule.npos || rule.back() != ')') {
      return Fail(Errc::kInvalidArgument, "the options must stand in parentheses behind the header");
    }
    const std::string_view body = rule.substr(open + 1, rule.size() - open - 2);
    size_t column = 0;
    if (auto ok = ForEachOption(body, &column, [&](std::string_view name, std::string_view value) -> KeywordResult {
          options_.emplace_back(name, value);
          return {};
        }); !ok) {
      return std::unexpected(ok.error());
    }
    if (auto ok = Header(rule.substr(0, open)); !ok) return std::unexpected(ok.error());
    const bool conditions_in_match = !ConditionsAreOrdered();
    for (const auto& [name, value] : options_) {
      if (IsAboutRule(name) || (IsCondition(name) && !conditions_in_match)) Word(name, value);
      else if (auto ok = Match(name, value); !ok) return std::unexpected(ok.error());
    }
    CloseEntry();
    for (const auto& [name, values] : words_) {
      out_ += fmt::format("{} = {}\n", TomlKey(name), values.size() == 1 ? values[0] : fmt::format("[{}]", fmt::join(values, ", ")));
    }
    if (entries_.empty()) return std::move(out_);
    if (entries_.size() == 1) return out_ + fmt::format("match = [{}]\n", entries_[0]);
    return out_ + fmt::format("match = [\n  {},\n]\n", fmt::join(entries_, ",\n  "));
  }

 private:
  Result<void> Header(std::string_view text) {
    static constexpr std::pair<const char*, std::string_view> kParts[] = {
        {"action", "alert"}, {"protocol", "ip"}, {"source", "any"}, {"source_ports", "any"},
        {"direction", "->"}, {"destination", "any"}, {"destination_ports", "any"}};
    const std::vector<std::string> words = HeaderWords(text);
    if (words.size() != std::size(kParts)) return Fail(Errc::kInvalidArgument, "the header has {} parts, not 7", words.size());
    out_ = "[[rule]]\n";
    for (size_t i = 0; i < words.size(); ++i) {
      if (words[i] != kParts[i].second) out_ += fmt::format("{} = {}\n", kParts[i].first, TomlString(words[i]));
    }
    return {};
  }

  // A key stands once: a condition that comes again behind another one would move.
  bool ConditionsAreOrdered() const {
    std::set<std::string_view> seen;
    std::string_view last;
    for (const auto& [name, value] : options_) {
      if (!IsCondition(name) || name == last) continue;
      if (!seen.insert(name).second) return false;
      last = name;
    }
    return true;
  }

  // A word outside of `match`; one that is there again makes a list.
  void Word(std::string_view name, std::string_view value) {
    auto it = std::ranges::find(words_, name, [](const auto& word) { return std::string_view(word.first); });
    if (it == words_.end()) it = words_.insert(words_.end(), {std::string(name), {}});
    if (name == "msg") value = Unquoted(Trim(value));
    it->second.push_back(name == "msg" ? TomlString(UnescapeMessage(value)) : TomlValue(value));
  }

  static std::string_view Unquoted(std::string_view value) {
    return value.size() >= 2 && value.front() == '"' && value.back() == '"' ? value.substr(1, value.size() - 2) : value;
  }

  static std::string UnescapeMessage(std::string_view value) {
    std::string out;
    for (size_t i = 0; i < value.size(); ++i) {
      if (value[i] == '\\' && i + 1 < value.size() && std::string_view("\\\";:").find(value[i + 1]) != value.npos) ++i;
      out += value[i];
    }
    return out;
  }

  void CloseEntry() {
    if (!entry_.empty()) entries_.push_back(fmt::format("{{{}}}", fmt::join(entry_, ", ")));
    entry_.clear();
    holds_ = Holds::kNothing;
  }
  void Add(std::string_view key, const std::string& value) { entry_.push_back(fmt::format("{} = {}", TomlKey(key), value)); }

  Result<void> Match(std::string_view name, std::string_view value) {
    static constexpr std::string_view kModifiers[] = {"nocase", "depth", "offset", "distance", "within",
                                                      "startswith", "endswith", "fast_pattern", "rawbytes"};
    if (name == "content") return Content(value);
    const auto field = keywords_.Find(name);
    if (holds_ == Holds::kContent && (std::ranges::find(kModifiers, name) != std::end(kModifiers) || (field && field->modifier))) {
      Add(name, TomlValue(value));
      return {};
    }
    CloseEntry();
    if (name == "pcre") {
      value = Trim(value);
      const bool negated = value.starts_with('!');
      if (negated) value = Trim(value.substr(1));
      Add("pcre", TomlString(Unquoted(value)));
      if (negated) Add("not", "true");
      return {};
    }
    if (field && !field->number && !field->modifier && !field->content && Trim(value).empty()) {
      Add("buffer", TomlString(name));
      holds_ = Holds::kBuffer;
    } else {
      Add(name, TomlValue(value));
    }
    return {};
  }

  Result<void> Content(std::string_view value) {
    value = Trim(value);
    const bool negated = value.starts_with('!');
    if (negated) value = Trim(value.substr(1));
    const auto bytes = DecodeContent(Unquoted(value));
    if (!bytes) return std::unexpected(bytes.error());
    if (holds_ != Holds::kBuffer) CloseEntry();
    const bool text = std::ranges::all_of(*bytes, [](char c) { return c >= 0x20 && c < 0x7f; });
    if (text) {
      Add("content", TomlString(*bytes));
    } else {
      std::string hex;
      for (const char c : *bytes) hex += fmt::format("{}{:02x}", hex.empty() ? "" : " ", static_cast<uint8_t>(c));
      Add("hex", TomlString(hex));
    }
    if (negated) Add("not", "true");
    holds_ = Holds::kContent;
    return {};
  }

  const KeywordSource& keywords_;
  std::vector<std::pair<std::string_view, std::string_view>> options_;
  std::vector<std::pair<std::string, std::vector<std::string>>> words_;
  std::vector<std::string> entries_, entry_;
  enum class Holds { kNothing, kBuffer, kContent } holds_ = Holds::kNothing;
  std::string out_;
};

}  // namespace

Result<std::string> RuleToToml(std::string_view rule, const KeywordSource& keywords) {
  return TomlWriter(keywords).Run(rule);
}

std::string RulesToToml(std::string_view text, const std::string& file, const KeywordSource& keywords,
                        std::vector<RuleProblem>* problems) {
  std::string out;
  ForEachRuleText(text, [&](uint32_t line, std::string_view rule) {
    const auto toml = RuleToToml(rule, keywords);
    if (!toml) {
      problems->push_back({RuleProblem::Severity::kError, {file, line}, 0, FindSid(rule), toml.error().message});
      return;
    }
    out += *toml + "\n";
  }, [&](std::string_view comment) {
    if (IsValidUtf8(comment)) out += fmt::format("{}\n", comment);
  });
  return out;
}

}  // namespace sluice
