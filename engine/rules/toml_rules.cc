// .toml rule files: each [[rule]] table is put into the dialect's words and goes
// through the same keyword functions as a .rules file.
#include <algorithm>
#include <array>

#include "engine/base/toml.h"
#include "engine/rules/context.h"
#include "engine/rules/convert.h"

namespace sluice {
namespace {

constexpr std::array<std::string_view, 8> kHeaderKeys = {
    "action", "protocol", "source", "source_ports", "direction", "destination", "destination_ports", "match"};
// Words that modify the content of their entry.
constexpr std::array<std::string_view, 9> kModifiers = {
    "nocase", "depth", "offset", "distance", "within", "startswith", "endswith", "fast_pattern", "rawbytes"};

// A semicolon ends an option.
std::string EscapeValue(std::string_view text) {
  std::string out;
  bool escaped = false;
  for (const char c : text) {
    if (c == ';' && !escaped) out += '\\';
    escaped = c == '\\' && !escaped;
    out += c;
  }
  return out;
}

std::string EscapeMessage(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ';' || c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

class Translator {
 public:
  explicit Translator(const toml::table& table) : table_(table) {}

  Result<std::string> Run() {
    std::string options;
    for (const auto& [key, node] : InOrder()) {
      const std::string_view name = key->str();
      if (std::ranges::find(kHeaderKeys, name) != kHeaderKeys.end()) continue;
      auto text = Option(name, *node);
      if (!text) return text;
      options += *text;
    }
    auto matches = Matches();
    if (!matches) return matches;
    return fmt::format("{} {} {} {} {} {} {} ({}{})", Word("action", "alert"), Word("protocol", "ip"),
                       Word("source", "any"), Word("source_ports", "any"), Word("direction", "->"),
                       Word("destination", "any"), Word("destination_ports", "any"), *matches, options);
  }

 private:
  // As written: a table sorts its keys by name.
  std::vector<std::pair<const toml::key*, const toml::node*>> InOrder() const {
    std::vector<std::pair<const toml::key*, const toml::node*>> out;
    for (const auto& [key, node] : table_) out.emplace_back(&key, &node);
    std::ranges::stable_sort(out, {}, [](const auto& entry) { return entry.first->source().begin; });
    return out;
  }

  // A header part: a string, a number, or a list of them.
  std::string Word(std::string_view key, std::string_view otherwise) const {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return std::string(otherwise);
    const auto* list = node->as_array();
    if (list == nullptr) return Scalar(*node);
    std::string out = "[";
    for (const toml::node& item : *list) out += (out.size() > 1 ? "," : "") + Scalar(item);
    return out + "]";
  }

  static std::string Scalar(const toml::node& node) {
    if (const auto* v = node.as_string()) return v->get();
    if (const auto* v = node.as_integer()) return std::to_string(v->get());
    return "";
  }

  // One keyword outside `match`: true is the bare word, a list repeats it.
  Result<std::string> Option(std::string_view name, const toml::node& node) const {
    if (const auto* flag = node.as_boolean()) return flag->get() ? fmt::format("{}; ", name) : "";
    if (const auto* list = node.as_array()) {
      std::string out;
      for (const toml::node& item : *list) {
        auto text = Option(name, item);
        if (!text) return text;
        out += *text;
      }
      return out;
    }
    if (const auto* table = node.as_table()) {  // metadata = {key = "value"}, threshold = {count = 1}
      std::string out;
      for (const auto& [key, value] : *table) {
        out += fmt::format("{}{} {}", out.empty() ? "" : ", ", key.str(), EscapeValue(Scalar(value)));
      }
      return fmt::format("{}:{}; ", name, out);
    }
    if (!node.is_string() && !node.is_integer()) {
      return Fail(Errc::kInvalidArgument, "{}: must be a string, a number, true or a list of them", name);
    }
    if (name == "msg") return fmt::format("msg:\"{}\"; ", EscapeMessage(Scalar(node)));
    return fmt::format("{}:{}; ", name, EscapeValue(Scalar(node)));
  }

  Result<std::string> Matches() const {
    const toml::node* node = table_.get("match");
    if (node == nullptr) return "";
    const auto* list = node->as_array();
    if (list == nullptr) return Fail(Errc::kInvalidArgument, "match: must be a list of tables");
    std::string out;
    for (const toml::node& item : *list) {
      const auto* entry = item.as_table();
      if (entry == nullptr) return Fail(Errc::kInvalidArgument, "match: must be a list of tables");
      auto text = Match(*entry);
      if (!text) return text;
      out += *text;
    }
    return out;
  }

  // Buffer, transforms, the one test, its modifiers: an order that a table has not.
  Result<std::string> Match(const toml::table& entry) const {
    std::string buffer, transforms, test, modifiers;
    bool negated = false;
    if (const auto* no = entry.get_as<bool>("not")) negated = no->get();
    const bool has_content = entry.contains("content") || entry.contains("hex");
    for (const auto& [key, node] : entry) {
      const std::string_view name = key.str();
      if (name == "not") continue;
      if (name == "buffer") {
        buffer = Scalar(node) + "; ";
      } else if (name == "transform") {
        for (const std::string& word : Strings(node)) transforms += EscapeValue(word) + "; ";
      } else if (std::ranges::find(kModifiers, name) != kModifiers.end() || (has_content && IsTrue(node))) {
        auto text = Option(name, node);
        if (!text) return text;
        modifiers += *text;
      } else if (!test.empty()) {
        return Fail(Errc::kInvalidArgument, "match: one test per entry; {} is the second", name);
      } else if (name == "content") {
        test = fmt::format("content:{}\"{}\"; ", negated ? "!" : "", EncodeContent(Scalar(node)));
      } else if (name == "hex") {  // a content whose bytes are no text
        test = fmt::format("content:{}\"|{}|\"; ", negated ? "!" : "", Scalar(node));
      } else if (name == "pcre") {
        test = fmt::format("pcre:{}\"{}\"; ", negated ? "!" : "", EscapeValue(Scalar(node)));
      } else {
        auto text = Option(name, node);
        if (!text) return text;
        test = *text;
      }
    }
    return buffer + transforms + test + modifiers;
  }

  static bool IsTrue(const toml::node& node) {
    const auto* flag = node.as_boolean();
    return flag != nullptr && flag->get();
  }

  static std::vector<std::string> Strings(const toml::node& node) {
    std::vector<std::string> out;
    if (const auto* list = node.as_array()) {
      for (const toml::node& item : *list) out.push_back(Scalar(item));
    } else {
      out.push_back(Scalar(node));
    }
    return out;
  }

  const toml::table& table_;
};

}  // namespace

namespace {

// Calls use(line, rule text) for each table; fail(line, sid, message) for what is none.
template <typename Use, typename Fail>
void ForEachTomlRule(std::string_view text, const std::string& file, Use&& use, Fail&& fail) {
  const toml::parse_result parsed = toml::parse(text, file);
  if (!parsed) {
    return fail(parsed.error().source().begin.line, 0, std::string(parsed.error().description()));
  }
  for (const auto& [key, node] : parsed.table()) {
    if (key.str() != "rule" || !node.is_array_of_tables()) {
      fail(node.source().begin.line, 0, fmt::format("{}: not known here; rules are [[rule]] tables", key.str()));
      continue;
    }
    for (const toml::node& item : *node.as_array()) {
      const toml::table& table = *item.as_table();
      const uint32_t line = table.source().begin.line;
      const auto sid = static_cast<uint32_t>(std::max<int64_t>(0, table["sid"].value_or(int64_t{0})));
      const auto rule = Translator(table).Run();
      if (!rule) {
        fail(line, sid, rule.error().message);
        continue;
      }
      use(line, *rule);
    }
  }
}

}  // namespace

void ParseTomlRules(std::string_view text, const std::string& file, const RuleOptions& options,
                    const KeywordSource& keywords, RuleSet* set) {
  ForEachTomlRule(
      text, file,
      [&](uint32_t line, const std::string& rule) { ParseRule(rule, {file, line}, options, keywords, set); },
      [&](uint32_t line, uint32_t sid, std::string message) {
        ++set->num_failed;
        Report(set, {RuleProblem::Severity::kError, {file, line}, 0, sid, std::move(message)});
      });
}

std::string TomlToRules(std::string_view text, const std::string& file, std::vector<RuleProblem>* problems) {
  std::string out;
  ForEachTomlRule(
      text, file, [&](uint32_t, const std::string& rule) { out += rule + "\n"; },
      [&](uint32_t line, uint32_t sid, std::string message) {
        problems->push_back({RuleProblem::Severity::kError, {file, line}, 0, sid, std::move(message)});
      });
  return out;
}

}  // namespace sluice
