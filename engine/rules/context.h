// engine/rules/context.h
// What the keyword functions share while one rule is parsed.
// Threads: main thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/rules/parser.h"
#include "engine/rules/text.h"

namespace sluice {

enum class RuleNames : uint8_t { kFlowbits, kFlowints, kXbits };

struct RuleContext {
  const RuleOptions& options;
  const KeywordSource& keywords;
  RuleSet& set;
  Rule& rule;
  // The sticky buffer in force: index into rule.inspections, or -1 for payload.
  int current = -1;
  // Where the last test went; relative tests follow it.
  int last_inspection = -1, last_test = -1;
  // The content that modifiers apply to, also behind a pcre or an isdataat.
  int content_inspection = -1, content_test = -1;
  void NoContent() { last_test = content_inspection = content_test = -1; }
  bool flow_seen = false;
  std::string inactive;  // why the rule cannot work here, although it is right
  void Warn(std::string message);  // the rule stays active

  Inspection& At(int index) { return rule.inspections[static_cast<size_t>(index)]; }
  // The inspection that a new test goes to; relative tests follow the last one.
  int Target(bool relative);
  int Payload();  // the payload's inspection, made on first use
  int Field(const FieldKeyword& field, bool fresh, uint8_t side = 3);
  // A buffer of the engine becomes the sticky one; named again it goes on, unless each
  // naming may mean another value (`fresh`).
  void UseBuffer(Inspection inspection, bool fresh = false);
  void Add(int inspection, BufferTest test);
  bool LastIsContent();
  ContentTest* LastContent();
  std::optional<Number> ParseOffset(std::string_view text);  // number or variable
  uint32_t Variable(std::string_view name);                  // declares it
  uint32_t Intern(RuleNames which, std::string_view name);   // in one of the set's lists
};

// Result of one keyword: an error's message is the fact and its remedy.
using KeywordResult = Result<void>;
using KeywordFunction = KeywordResult (*)(RuleContext&, std::string_view value, std::string_view name);

struct KeywordEntry {
  const char* name;
  KeywordFunction parse;  // null: known, not supported
  const char* help;
};

// The tables of each theme, ended by a null name.
extern const KeywordEntry kMetaKeywords[];
extern const KeywordEntry kContentKeywords[];
extern const KeywordEntry kPacketKeywords[];
extern const KeywordEntry kFlowKeywords[];
extern const KeywordEntry kDatasetKeywords[];
extern const KeywordEntry kFileKeywords[];
extern const KeywordEntry kHostKeywords[];
extern const KeywordEntry kUnsupportedKeywords[];

// A value in double quotes, a `!` before it told apart.
enum class Quotes : uint8_t { kRequired, kOptional };
Result<std::string_view> Unquote(std::string_view value, bool* negated,
                                 Quotes quotes = Quotes::kRequired);

// What may follow a sticky buffer: nothing, or its side in a transactional rule.
KeywordResult ParseSide(const RuleContext& c, std::string_view value, uint8_t* side);

// One rule of the dialect into `set`, or its problem.
void ParseRule(std::string_view text, const Place& place, const RuleOptions& options,
               const KeywordSource& keywords, RuleSet* set);
Result<void> ParseHeader(RuleContext& context, std::string_view text);

// The parser's own keyword of that name; null: none.
const KeywordEntry* FindEntry(std::string_view name);
// What the rule's `requires` options ask for and is not here, empty if it is all met;
// asked before its other options are read, as those may be what is missing.
Result<std::string> Requirements(std::string_view body, const KeywordSource& keywords);
// Keeps a problem, up to a limit; what is counted beside it goes on.
void Report(RuleSet* set, RuleProblem problem);

}  // namespace sluice
