#include "engine/rules/parser.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <unordered_map>

#include "engine/base/file.h"
#include <re2/re2.h>

#include "engine/base/suggest.h"
#include "engine/rules/context.h"

namespace sluice {
namespace {

constexpr size_t kMaxRuleBytes = 64 * 1024;  // one rule; longer ones are refused
constexpr size_t kMaxProblems = 10'000;      // kept; the count goes on

using KeywordMap = std::unordered_map<std::string_view, const KeywordEntry*>;

const KeywordMap& Keywords() {
  static const KeywordMap map = [] {
    KeywordMap out;
    for (const KeywordEntry* table :
         {kMetaKeywords, kContentKeywords, kPacketKeywords, kFlowKeywords, kDatasetKeywords,
          kUnsupportedKeywords}) {
      for (const KeywordEntry* entry = table; entry->name != nullptr; ++entry) {
        out.emplace(entry->name, entry);
      }
    }
    return out;
  }();
  return map;
}

std::unexpected<Error> Bad(std::string message) {
  return std::unexpected(Error{Errc::kInvalidArgument, std::move(message)});
}

std::string SuggestKeyword(std::string_view name, const KeywordSource& keywords) {
  std::vector<std::string> all;
  for (const auto& [known, entry] : Keywords()) all.emplace_back(known);
  for (const FieldKeyword& field : keywords.All()) all.push_back(field.name);
  const std::string close = Suggest(name, all);
  return close.empty() ? "see sluice --list-keywords" : fmt::format("did you mean {}?", close);
}

std::optional<uint8_t> SideBit(std::string_view word) {
  if (word == "to_server") return uint8_t{1};
  if (word == "to_client") return uint8_t{2};
  return std::nullopt;
}

Result<UintTest> ParseNumberTest(const FieldKeyword& field, std::string_view value) {
  value = Trim(value);
  if (field.boolean && value.empty()) return UintTest{CompareOp::kEqual, 1, 0};
  if (value.size() > 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
  }
  auto test = ParseUintTest(value, field.enum_names, field.is_signed);
  // As plain numbers a print has them; people write dates and names.
  if (field.date) {
    auto date = ParseDateTest(value);
    return date || !test ? date : test;
  }
  if (field.bits && !value.starts_with('&') && !value.starts_with("!&")) {
    return ParseBitsTest(value, field.enum_names);
  }
  return test;
}

// The value of an old keyword is the content, quoted or not.
KeywordResult ParseContentField(RuleContext& c, const FieldKeyword& field, std::string_view value) {
  ContentTest test;
  value = Trim(value);
  test.negated = value.starts_with('!');
  if (test.negated) value = Trim(value.substr(1));
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
  }
  if (value.empty()) return Bad("its value is a text to look for");
  test.bytes = value;
  c.Add(c.Field(field, false), std::move(test));
  c.NoContent();  // no modifiers
  return {};
}

// A dissector's field: a sticky buffer, an old modifier, or a number.
KeywordResult ParseField(RuleContext& c, const FieldKeyword& field, std::string_view value) {
  if (field.number) {
    const auto test = ParseNumberTest(field, value);
    if (!test) return std::unexpected(test.error());
    c.rule.numbers.push_back({field.id, field.name, *test, field.is_signed});
    return {};
  }
  if (field.content) return ParseContentField(c, field, value);
  if (field.store) {
    return Bad("known, but not supported by this version");
  }
  uint8_t side = 3;
  if (auto ok = ParseSide(c, value, &side); !ok) return ok;
  if (field.modifier) {
    if (c.LastContent() == nullptr) return Bad("it modifies a content; put it behind one");
    const int from = c.content_inspection;
    BufferTest test = std::move(c.At(from).tests[static_cast<size_t>(c.content_test)]);
    c.At(from).tests.erase(c.At(from).tests.begin() + c.content_test);
    c.Add(c.Field(field, false), std::move(test));
    return {};
  }
  c.current = c.Field(field, field.repeated);
  c.At(c.current).side = side;
  c.last_inspection = -1;
  c.NoContent();
  return {};
}

}  // namespace

KeywordResult ParseSide(const RuleContext& c, std::string_view value, uint8_t* side) {
  value = Trim(value);
  if (value.empty()) return {};
  if (!c.rule.header.transactional) {
    return Bad("a sticky buffer takes no value; put a content behind it");
  }
  const auto bit = SideBit(value);
  if (!bit) return Bad("a sticky buffer's side is to_server or to_client");
  *side = *bit;
  return {};
}

namespace {

KeywordResult ParseOption(RuleContext& c, std::string_view name, std::string_view value) {
  const auto it = Keywords().find(name);
  if (it != Keywords().end()) {
    if (it->second->parse == nullptr) return Bad("known, but not supported by this version");
    return it->second->parse(c, value, name);
  }
  if (const auto field = c.keywords.Find(name)) return ParseField(c, *field, value);
  if (const std::string lower = Lower(name); lower != name && Keywords().contains(lower)) {
    return ParseOption(c, lower, value);
  }
  return Bad(fmt::format("not a keyword; {}", SuggestKeyword(name, c.keywords)));
}

// The end of an option: its first semicolon that is not escaped.  Quotes do not
// protect one, as in Suricata: an expression may hold a single quote mark.
size_t OptionEnd(std::string_view text, size_t from) {
  for (size_t i = from; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == ';') {
      return i;
    }
  }
  return text.npos;
}

// Calls use(name, value) for each option; `column` follows it.
template <typename Use>
KeywordResult ForEachOption(std::string_view body, size_t* column, Use&& use) {
  for (size_t at = 0; at < body.size();) {
    const size_t end = OptionEnd(body, at);
    if (Trim(body.substr(at)).empty()) break;
    if (end == body.npos) {
      return Bad(fmt::format("\"{}\" has no closing semicolon", Trim(body.substr(at)).substr(0, 40)));
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

KeywordResult ParseOptions(RuleContext& c, std::string_view body, size_t* column) {
  return ForEachOption(body, column, [&](std::string_view name, std::string_view value) -> KeywordResult {
    if (auto ok = ParseOption(c, name, value); !ok) {
      return Bad(fmt::format("{}: {}", name, ok.error().message));
    }
    return {};
  });
}

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
    const auto it = Keywords().find(what);
    const bool known = it != Keywords().end() ? it->second->parse != nullptr : keywords.Find(what).has_value();
    return known ? "" : fmt::format("keyword {}", what);
  }
  return std::string(requirement);  // a feature, or a kind of requirement to come
}

// What the rule's `requires` options ask for and is not here; asked before its
// other options are read, as those may be what is missing.
Result<std::string> Requirements(std::string_view body, const KeywordSource& keywords) {
  std::string missing;
  size_t column = 0;
  const auto ok = ForEachOption(body, &column, [&](std::string_view name, std::string_view value) -> KeywordResult {
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

// A content in the form that its field always has, or what is wrong with it.
KeywordResult CheckContent(const FieldKeyword& field, ContentTest* content) {
  using Case = FieldKeyword::Case;
  std::string& bytes = content->bytes;
  if (field.content_case == Case::kLower) bytes = Lower(bytes);
  if (field.content_case == Case::kUpper && !content->nocase) {
    std::ranges::transform(bytes, bytes.begin(), [](unsigned char ch) { return std::toupper(ch); });
  }
  if (field.content_pattern.empty() || RE2::FullMatch(bytes, field.content_pattern)) return {};
  return Bad(fmt::format("{}: a content \"{}\" can never match; it must look like {}", field.name,
                         bytes, field.content_pattern));
}

KeywordResult CheckContents(RuleContext& c) {
  for (Inspection& inspection : c.rule.inspections) {
    if (inspection.kind != BufferKind::kField || !inspection.transforms.empty()) continue;
    const auto field = c.keywords.Find(inspection.name);
    if (!field) continue;
    for (BufferTest& test : inspection.tests) {
      auto* content = std::get_if<ContentTest>(&test);
      if (content == nullptr) continue;
      if (auto ok = CheckContent(*field, content); !ok) return ok;
    }
  }
  return {};
}

// What only the whole rule shows.
KeywordResult Validate(RuleContext& c) {
  Rule& rule = c.rule;
  if (rule.sid == 0) return Bad("sid is missing; every rule needs its number");
  if (rule.priority == 0) rule.priority = 3;
  if ((rule.action == Action::kConfig) != rule.log_change.has_value()) {
    return Bad("the action config and the keyword config go together");
  }
  std::erase_if(rule.inspections, [](const Inspection& i) {
    return i.kind == BufferKind::kPayload && i.tests.empty();
  });
  for (const Inspection& inspection : rule.inspections) {
    if (inspection.tests.empty() && inspection.absent != Inspection::Absent::kMatches) {
      return Bad(fmt::format("{}: nothing is looked for in it; put a content behind it", inspection.name));
    }
  }
  if (auto ok = CheckContents(c); !ok) return ok;
  if (rule.header.transactional) return {};  // fields of both directions are what it is for
  uint8_t directions = 3;
  const auto narrow = [&](std::string_view name) -> bool {
    if (const auto field = c.keywords.Find(name)) directions &= field->directions;
    return directions != 0;
  };
  for (const Inspection& inspection : rule.inspections) {
    if (inspection.kind == BufferKind::kField && !narrow(inspection.name)) {
      return Bad(fmt::format("{}: the rule mixes fields of both directions; write two rules and a flowbit", inspection.name));
    }
  }
  for (const FlowCondition& condition : rule.flow_conditions) {
    const auto* flow = std::get_if<FlowTest>(&condition);
    if (flow == nullptr) continue;
    if ((flow->to_server && directions == 2) || (flow->to_client && directions == 1)) {
      return Bad("flow: its direction is not that of the rule's fields");
    }
  }
  return {};
}

void Report(RuleSet* set, RuleProblem problem) {
  if (set->problems.size() < kMaxProblems) set->problems.push_back(std::move(problem));
}

uint32_t FindSid(std::string_view text) {
  const size_t at = text.find("sid:");
  if (at == text.npos) return 0;
  const size_t end = text.find(';', at);
  return ParseNumber<uint32_t>(text.substr(at + 4, end == text.npos ? end : end - at - 4)).value_or(0);
}

}  // namespace

void ParseRule(std::string_view text, const Place& place, const RuleOptions& options,
               const KeywordSource& keywords, RuleSet* set) {
  Rule rule;
  rule.place = place;
  rule.priority = 0;  // not given yet
  const uint32_t sid = FindSid(text);
  const auto fail = [&](size_t column, std::string message) {
    ++set->num_failed;
    Report(set, {RuleProblem::Severity::kError, place, static_cast<uint32_t>(column), sid, std::move(message)});
  };
  if (text.size() > kMaxRuleBytes) {
    return fail(1, fmt::format("the rule has {} bytes; at most {}", text.size(), kMaxRuleBytes));
  }
  const size_t open = text.find('(');
  if (open == text.npos || text.back() != ')') {
    return fail(1, "the options must stand in parentheses behind the header");
  }
  RuleContext context{.options = options, .keywords = keywords, .set = *set, .rule = rule, .inactive = {}};
  const std::string_view body = text.substr(open + 1, text.size() - open - 2);
  if (body.find("requires") != body.npos) {
    const auto missing = Requirements(body, keywords);
    if (!missing) return fail(0, fmt::format("requires: {}", missing.error().message));
    if (!missing->empty()) {
      ++set->num_skipped;
      return Report(set, {RuleProblem::Severity::kWarning, place, 0, sid,
                          fmt::format("requires {}, which is not here; the rule is skipped", *missing)});
    }
  }
  if (auto ok = ParseHeader(context, text.substr(0, open)); !ok) return fail(1, ok.error().message);
  const std::string& app = rule.header.app_protocol;
  if (!app.empty() && !keywords.HasProtocol(app)) {
    ++set->num_inactive;
    return Report(set, {RuleProblem::Severity::kWarning, place, 1, sid,
                        fmt::format("no dissector named {} is loaded; the rule is inactive", app)});
  }
  const size_t warnings = set->problems.size();
  size_t column = 0;
  if (auto ok = ParseOptions(context, body, &column); !ok) {
    return fail(open + 2 + column, ok.error().message);
  }
  if (!context.inactive.empty()) {
    ++set->num_inactive;
    return Report(set, {RuleProblem::Severity::kWarning, place, 0, sid,
                        context.inactive + "; the rule is inactive"});
  }
  // The sid may stand behind what was warned about.
  for (size_t i = warnings; i < set->problems.size(); ++i) set->problems[i].sid = rule.sid;
  if (auto ok = Validate(context); !ok) return fail(0, ok.error().message);
  rule.text = std::string(text);
  set->rules.push_back(std::move(rule));
}


// ------------------------------------------------------------------ context

int RuleContext::Payload() {
  for (size_t i = 0; i < rule.inspections.size(); ++i) {
    if (rule.inspections[i].kind == BufferKind::kPayload) return static_cast<int>(i);
  }
  Inspection inspection;
  inspection.name = "payload";
  rule.inspections.push_back(std::move(inspection));
  return static_cast<int>(rule.inspections.size()) - 1;
}

int RuleContext::Target(bool relative) {
  if (current >= 0) return current;
  // Behind "content; http_uri;" a relative test goes on in that buffer.
  if (relative && last_inspection >= 0) return last_inspection;
  return Payload();
}

int RuleContext::Field(const FieldKeyword& field, bool fresh) {
  for (size_t i = 0; i < rule.inspections.size() && !fresh; ++i) {
    const Inspection& known = rule.inspections[i];
    if (known.kind == BufferKind::kField && known.keyword == field.id &&
        known.transforms.size() == (field.transform.empty() ? 0u : 1u)) {
      return static_cast<int>(i);
    }
  }
  Inspection inspection;
  inspection.kind = BufferKind::kField;
  inspection.keyword = field.id;
  inspection.name = field.name;
  if (!field.transform.empty()) inspection.transforms.push_back({field.transform, ""});
  rule.inspections.push_back(std::move(inspection));
  return static_cast<int>(rule.inspections.size()) - 1;
}

void RuleContext::UseBuffer(Inspection inspection) {
  const auto known = std::ranges::find_if(rule.inspections, [&](const Inspection& i) {
    return i.kind == inspection.kind && i.header == inspection.header && i.transforms.empty();
  });
  current = static_cast<int>(known - rule.inspections.begin());
  if (known == rule.inspections.end()) rule.inspections.push_back(std::move(inspection));
  NoContent();
}

void RuleContext::Add(int inspection, BufferTest test) {
  At(inspection).tests.push_back(std::move(test));
  last_inspection = inspection;
  last_test = static_cast<int>(At(inspection).tests.size()) - 1;
  if (LastIsContent()) content_inspection = last_inspection, content_test = last_test;
}

ContentTest* RuleContext::LastContent() {
  if (content_inspection < 0 || content_test < 0) return nullptr;
  return std::get_if<ContentTest>(&At(content_inspection).tests[static_cast<size_t>(content_test)]);
}

bool RuleContext::LastIsContent() {
  const BufferTest& test = At(last_inspection).tests[static_cast<size_t>(last_test)];
  return std::holds_alternative<ContentTest>(test);
}

void RuleContext::Warn(std::string message) {
  Report(&set, {RuleProblem::Severity::kWarning, rule.place, 0, rule.sid, std::move(message)});
}

std::optional<Number> RuleContext::ParseOffset(std::string_view text) {
  text = Trim(text);
  if (const auto value = ParseNumber<int64_t>(text)) return Number{.value = *value};
  const auto it = std::ranges::find(rule.variable_names, text);
  if (it == rule.variable_names.end()) return std::nullopt;
  return Number{.variable = static_cast<int32_t>(it - rule.variable_names.begin())};
}

uint32_t RuleContext::Variable(std::string_view name) {
  const uint32_t slot = Intern(rule.variable_names, name);
  rule.num_variables = static_cast<uint32_t>(rule.variable_names.size());
  return slot;
}

uint32_t RuleContext::Intern(std::vector<std::string>& names, std::string_view name) {
  const auto it = std::ranges::find(names, name);
  if (it != names.end()) return static_cast<uint32_t>(it - names.begin());
  names.emplace_back(name);
  return static_cast<uint32_t>(names.size() - 1);
}

// ------------------------------------------------------------------- header

namespace {

// Words, with what stands in brackets kept together.
std::vector<std::string> HeaderWords(std::string_view text) {
  std::vector<std::string> words;
  bool in_word = false;
  int depth = 0;
  for (const char c : text) {
    depth += c == '[' ? 1 : c == ']' ? -1 : 0;
    if (c == ' ' || c == '\t') {
      in_word &= depth > 0;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    words.back() += c;
  }
  return words;
}

std::optional<Action> ActionNamed(std::string_view name) {
  static constexpr std::pair<std::string_view, Action> kActions[] = {
      {"alert", Action::kAlert}, {"pass", Action::kPass}, {"config", Action::kConfig},
      {"drop", Action::kDrop}, {"reject", Action::kReject}, {"rejectsrc", Action::kRejectSource},
      {"rejectdst", Action::kRejectDestination}, {"rejectboth", Action::kRejectBoth}};
  const auto it = std::ranges::find(kActions, name, [](const auto& a) { return a.first; });
  return it == std::end(kActions) ? std::nullopt : std::optional(it->second);
}

// A transport, or else the name of a dissector.
void SetProtocol(std::string protocol, RuleHeader* header) {
  struct Transport {
    std::string_view name;
    std::vector<uint8_t> numbers;
    uint8_t version;
  };
  static const Transport kTransports[] = {
      {"tcp", {6}, 0}, {"tcp4", {6}, 4}, {"tcp6", {6}, 6}, {"tcp-pkt", {6}, 0},
      {"tcp-stream", {6}, 0}, {"udp", {17}, 0}, {"udp4", {17}, 4}, {"udp6", {17}, 6},
      {"icmp", {1, 58}, 0}, {"icmpv4", {1}, 4}, {"icmpv6", {58}, 6}, {"sctp", {132}, 0},
      {"ip", {}, 0}, {"ipv4", {}, 4}, {"ip4", {}, 4}, {"ipv6", {}, 6}, {"ip6", {}, 6},
      {"pkthdr", {}, 0}};
  const auto transport = std::ranges::find(kTransports, protocol, &Transport::name);
  header->any_ip_protocol = true;
  if (transport == std::end(kTransports)) {
    header->app_protocol = protocol;
  } else {
    header->ip_protocols = transport->numbers;
    header->any_ip_protocol = transport->numbers.empty();
    header->ip_version = transport->version;
    header->packet_only = protocol == "tcp-pkt";
    header->stream_only = protocol == "tcp-stream";
  }
  header->protocol_text = std::move(protocol);
}

template <typename T>
Result<void> Assign(Result<T> value, T* out) {
  if (!value) return std::unexpected(value.error());
  *out = std::move(*value);
  return {};
}

}  // namespace

Result<void> ParseHeader(RuleContext& c, std::string_view text) {
  RuleHeader& header = c.rule.header;
  const std::vector<std::string> words = HeaderWords(text);
  if (words.size() != 7) {
    return Bad(fmt::format("the header has {} parts, not 7: action protocol source port -> destination port", words.size()));
  }
  const auto action = ActionNamed(words[0]);
  if (!action) {
    return Bad(fmt::format("action \"{}\" is not alert, pass, config, drop, reject, rejectsrc, rejectdst or rejectboth", words[0]));
  }
  c.rule.action = *action;
  SetProtocol(Lower(words[1]), &header);
  const std::string& arrow = words[4];
  if (arrow != "->" && arrow != "<>" && arrow != "=>") {
    return Bad(fmt::format("direction \"{}\" is not ->, <> or =>", arrow));
  }
  header.bidirectional = arrow == "<>";
  header.transactional = arrow == "=>";
  const auto& [addresses, ports] = std::tie(c.options.addresses, c.options.ports);
  if (auto ok = Assign(ParseAddressSet(words[2], addresses), &header.source); !ok) return ok;
  if (auto ok = Assign(ParsePortSet(words[3], ports), &header.source_ports); !ok) return ok;
  if (auto ok = Assign(ParseAddressSet(words[5], addresses), &header.destination); !ok) return ok;
  return Assign(ParsePortSet(words[6], ports), &header.destination_ports);
}

// -------------------------------------------------------------------- files

void ParseRules(std::string_view text, const std::string& file, const RuleOptions& options,
                const KeywordSource& keywords, RuleSet* set) {
  // Rules are large to move: room for a file of usual size at once.
  set->rules.reserve(set->rules.size() +
                     std::min<size_t>(static_cast<size_t>(std::ranges::count(text, '\n')), 1u << 16));
  uint32_t line = 0;
  std::string joined;  // a rule over several lines
  uint32_t first_line = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view part = Trim(text.substr(at, end - at));
    at = end + 1;
    ++line;
    if (joined.empty()) {
      if (part.empty() || part[0] == '#') continue;
      first_line = line;
    }
    const bool goes_on = part.ends_with('\\');
    if (goes_on) part.remove_suffix(1);
    if (goes_on || !joined.empty()) {
      if (joined.size() <= kMaxRuleBytes) joined += std::string(part) + " ";
      if (goes_on) continue;
      ParseRule(Trim(joined), {file, first_line}, options, keywords, set);
      joined.clear();
    } else {
      ParseRule(part, {file, line}, options, keywords, set);
    }
  }
  if (!joined.empty()) ParseRule(Trim(joined), {file, first_line}, options, keywords, set);
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

Result<RuleSet> LoadRuleFiles(const std::vector<std::string>& paths, const RuleOptions& options,
                              const KeywordSource& keywords) {
  RuleSet set;
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

// A file of "config <kind>: <value>" lines.  use(value) says whether it could; a
// line that is otherwise is skipped, and its problem says what it should be.
template <typename Use>
Result<void> ReadConfigLines(const std::string& path, std::string_view kind, std::string_view form,
                             std::vector<RuleProblem>* problems, Use&& use) {
  const auto file = ReadFile(path, fmt::format("{} file", kind));
  if (!file) return std::unexpected(file.error());
  const std::string prefix = fmt::format("config {}", kind);
  uint32_t number = 0;
  for (size_t at = 0; at < file->size();) {
    const size_t end = std::min(file->find('\n', at), file->size());
    const std::string_view line = Trim(std::string_view(*file).substr(at, end - at));
    at = end + 1;
    ++number;
    if (line.empty() || line[0] == '#') continue;
    const size_t colon = line.find(':');
    if (line.starts_with(prefix) && colon != line.npos && use(line.substr(colon + 1))) continue;
    problems->push_back({RuleProblem::Severity::kWarning, {path, number}, 1, 0,
                         fmt::format("not \"{}: {}\"; the line is skipped", prefix, form)});
  }
  return {};
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

std::vector<std::pair<std::string, std::string>> EngineKeywords() {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [name, entry] : Keywords()) {
    if (entry->parse != nullptr) out.emplace_back(name, entry->help);
  }
  std::ranges::sort(out);
  return out;
}

}  // namespace sluice
