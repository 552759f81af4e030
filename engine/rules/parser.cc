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
#include "engine/rules/options.h"

namespace sluice {
namespace {

constexpr size_t kMaxProblems = 10'000;      // kept; the count goes on

using KeywordMap = std::unordered_map<std::string_view, const KeywordEntry*>;

const KeywordMap& Keywords() {
  static const KeywordMap map = [] {
    KeywordMap out;
    for (const KeywordEntry* table :
         {kMetaKeywords, kContentKeywords, kPacketKeywords, kFlowKeywords, kDatasetKeywords, kFileKeywords, kHostKeywords,
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

KeywordResult ParseSubslice(std::string_view text, WhichNumbers* which) {
  const size_t colon = std::min(text.find(':'), text.size());
  const auto first = ParseNumber<int32_t>(text.substr(0, colon));
  const auto last = colon == text.size() ? std::nullopt : ParseNumber<int32_t>(text.substr(colon + 1));
  if (!first || !last) return Bad(fmt::format("\"{}\" is no part of the values; write 2:4 or -4:-1", text));
  which->sliced = true;
  which->first = *first;
  which->last = *last;
  return {};
}

// "all", "nb>3", "-1", "oob_or 2"
KeywordResult ParseIndex(std::string_view text, WhichNumbers* which) {
  using Kind = WhichNumbers::Kind;
  static constexpr std::pair<std::string_view, Kind> kWords[] = {
      {"any", Kind::kAny}, {"or_absent", Kind::kAnyOrNone}, {"all", Kind::kAll}, {"all_or_absent", Kind::kAllOrNone}};
  const auto word = std::ranges::find(kWords, text, [](const auto& w) { return w.first; });
  if (word != std::end(kWords)) {
    which->kind = word->second;
    return {};
  }
  if (text.starts_with("nb")) {
    const auto times = ParseUintTest(text.substr(2));
    if (!times) return std::unexpected(times.error());
    which->kind = Kind::kTimes;
    which->times = *times;
    return {};
  }
  const bool or_out = text.starts_with("oob_or");
  const auto index = ParseNumber<int32_t>(or_out ? text.substr(6) : text);
  if (!index) return Bad(fmt::format("\"{}\" says not which values; any, all, or_absent, all_or_absent, nb>3, an index and oob_or with one do", text));
  which->kind = or_out ? Kind::kIndexOrOut : Kind::kIndex;
  which->index = *index;
  return {};
}

// A test of a field that may have several values: "test[,index[,subslice]]" or "count test".
KeywordResult ParseNumbers(const FieldKeyword& field, std::string_view value, NumberInspection* out) {
  value = Trim(value);
  if (value.starts_with("count") && value.size() > 5 && std::string_view(" <>=!").find(value[5]) != value.npos) {
    const auto count = ParseUintTest(value.substr(5));
    if (!count) return std::unexpected(count.error());
    out->which.kind = WhichNumbers::Kind::kCount;
    out->which.times = *count;
    return {};
  }
  const auto parts = Split(value, ',');
  if (parts.size() > 3) return Bad("write a test, which values it is of, and of what part of them");
  const auto test = ParseNumberTest(field, parts[0]);
  if (!test) return std::unexpected(test.error());
  out->test = *test;
  if (parts.size() > 1) {
    if (auto ok = ParseIndex(parts[1], &out->which); !ok) return ok;
  }
  return parts.size() > 2 ? ParseSubslice(parts[2], &out->which) : KeywordResult{};
}

KeywordResult ParseNumberField(RuleContext& c, const FieldKeyword& field, std::string_view value) {
  NumberInspection number{.keyword = field.id, .name = field.name, .test = {}, .is_signed = field.is_signed, .which = {}};
  if (field.repeated && !field.bits) {
    if (auto ok = ParseNumbers(field, value, &number); !ok) return ok;
  } else {
    const auto test = ParseNumberTest(field, value);
    if (!test) return std::unexpected(test.error());
    number.test = *test;
  }
  c.rule.numbers.push_back(std::move(number));
  return {};
}

// A dissector's field: a sticky buffer, an old modifier, or a number.
KeywordResult ParseField(RuleContext& c, const FieldKeyword& field, std::string_view value) {
  if (field.number) return ParseNumberField(c, field, value);
  if (field.content) return ParseContentField(c, field, value);
  if (field.store) {
    if (!Trim(value).empty()) return Bad("it takes no value");
    c.rule.stored.push_back({field.id, field.name});
    c.NoContent();
    return {};
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
  c.current = c.Field(field, field.repeated, side);
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
  if (const auto frame = c.keywords.Find(fmt::format("frame:{}", name)); frame != nullptr) {
    return Bad(fmt::format("it is a frame; write {}", frame->name));
  }
  return Bad(fmt::format("not a keyword; {}", SuggestKeyword(name, c.keywords)));
}

KeywordResult ParseOptions(RuleContext& c, std::string_view body, size_t* column) {
  return ForEachOption(body, column, [&](std::string_view name, std::string_view value) -> KeywordResult {
    if (auto ok = ParseOption(c, name, value); !ok) {
      return Bad(fmt::format("{}: {}", name, ok.error().message));
    }
    return {};
  });
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

// What is said of one file cannot ask for there being none.
KeywordResult CheckFiles(const Rule& rule) {
  for (const Inspection& inspection : rule.inspections) {
    const bool of_file = inspection.kind == BufferKind::kFileData || inspection.kind == BufferKind::kFileName ||
                         inspection.kind == BufferKind::kFileMagic;
    if (of_file && rule.OnFiles() && inspection.absent != Inspection::Absent::kMismatches) {
      return Bad(fmt::format("{}: absent, while other options of the rule ask for a file", inspection.name));
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
  if (auto ok = CheckFiles(rule); !ok) return ok;
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

}  // namespace

const KeywordEntry* FindEntry(std::string_view name) {
  const auto it = Keywords().find(name);
  return it == Keywords().end() ? nullptr : it->second;
}

void Report(RuleSet* set, RuleProblem problem) {
  constexpr size_t kMost = 600;  // bytes: a message may quote the rule
  if (problem.message.size() > kMost) {
    problem.message.resize(kMost);
    problem.message += " ...";
  }
  if (set->problems.size() < kMaxProblems) set->problems.push_back(std::move(problem));
}

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
  if (FindText(body, "requires") != body.npos) {
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


Result<std::string_view> Unquote(std::string_view value, bool* negated, Quotes quotes) {
  value = Trim(value);
  *negated = value.starts_with('!');
  if (*negated) value = Trim(value.substr(1));
  if (quotes == Quotes::kOptional && !value.starts_with('"')) return value;
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') {
    return Fail(Errc::kInvalidArgument, "the value must stand in double quotes");
  }
  return value.substr(1, value.size() - 2);
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

int RuleContext::Field(const FieldKeyword& field, bool fresh, uint8_t side) {
  for (size_t i = 0; i < rule.inspections.size() && !fresh; ++i) {
    const Inspection& known = rule.inspections[i];
    if (known.kind == BufferKind::kField && known.keyword == field.id && known.side == side &&
        known.transforms.size() == (field.transform.empty() ? 0u : 1u)) {
      return static_cast<int>(i);
    }
  }
  Inspection inspection;
  inspection.kind = BufferKind::kField;
  inspection.keyword = field.id;
  inspection.side = side;
  inspection.name = field.name;
  if (!field.transform.empty()) inspection.transforms.push_back({field.transform, ""});
  rule.inspections.push_back(std::move(inspection));
  return static_cast<int>(rule.inspections.size()) - 1;
}

void RuleContext::UseBuffer(Inspection inspection, bool fresh) {
  const auto known = std::ranges::find_if(rule.inspections, [&](const Inspection& i) {
    return !fresh && i.kind == inspection.kind && i.side == inspection.side && i.header == inspection.header && i.transforms.empty();
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
  std::vector<std::string>& names = rule.variable_names;
  const auto slot = static_cast<uint32_t>(std::ranges::find(names, name) - names.begin());
  if (slot == names.size()) names.emplace_back(name);
  rule.num_variables = static_cast<uint32_t>(rule.variable_names.size());
  return slot;
}

uint32_t RuleContext::Intern(RuleNames which, std::string_view name) {
  std::vector<std::string>* lists[] = {&set.flowbit_names, &set.flowint_names, &set.xbit_names};
  std::vector<std::string>& names = *lists[static_cast<size_t>(which)];
  auto& index = set.name_index[static_cast<size_t>(which)];
  if (index.size() != names.size()) {
    index.clear();
    for (const std::string& known : names) index.emplace(known, static_cast<uint32_t>(index.size()));
  }
  const auto [it, fresh] = index.try_emplace(std::string(name), static_cast<uint32_t>(names.size()));
  if (fresh) names.emplace_back(name);
  return it->second;
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
