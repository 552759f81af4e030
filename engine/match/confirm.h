// engine/match/confirm.h
// The exact test of one buffer: content, pcre, byte_* in the order written,
// with the next occurrence tried when a test relative to the match fails.
//
// Semantics: there is an assignment of one occurrence to each test such that
//   all hold; a test that depends on no earlier one ends the search when it
//   fails.  A relative anchor is the end of the last positive match or jump;
//   negated tests and byte_extract do not move it.
// Threads: a ConfirmProgram is immutable; ConfirmState belongs to one Detector.
// Limits: ConfirmState::max_steps evaluations and max_bytes searched a buffer.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/types.h"
#include "engine/match/dataset.h"
#include "engine/match/regex.h"
#include "engine/match/transform.h"
#include "engine/rules/rule_set.h"

namespace sluice {

inline constexpr uint32_t kMaxVariables = 32;

class ConfirmProgram;
struct ConfirmTrace;

struct Op {
  enum class Kind : uint8_t {
    kContent,
    kRegex,
    kIsDataAt,
    kByteTest,
    kByteJump,
    kExtract,
    kMath,
    kSize,
    kBase64,
    kDataset,
    kEntropy,
    kAsn1
  };
  Kind kind = Kind::kContent;
  bool relative = false;
  bool negated = false;
  bool independent = false;          // neither relative nor reading a variable: failing is final
  bool retry = false;                // a later test is relative to this match
  const BufferTest* test = nullptr;  // in the rule
  const Regex* regex = nullptr;
  const std::vector<Capture>* captures = nullptr;  // kRegex: what its groups are kept as; null: nothing
  const ConfirmProgram* decoded = nullptr;  // kBase64: tests of the decoded bytes
  Dataset* dataset = nullptr;               // kDataset
};

// What a group of a rule's expression matched.
struct Captured {
  static constexpr size_t kMost = 256;  // bytes; what is longer is cut
  const Capture* as = nullptr;
  std::string value;
};

struct ConfirmState {
  uint32_t max_steps = 3000;
  uint64_t max_bytes = 16u << 20;
  RegexScratch regex;
  std::vector<uint8_t> base64;
  std::array<uint64_t, kMaxVariables> variables{};
  // What was found for the rule that is tried; see Begin().
  AlertContexts contexts;  // what the sets say of values
  std::array<Captured, kMaxCaptures> captured;  // of a rule with several expressions, the first
  uint32_t num_captured = 0;
  uint64_t step_limit_hits = 0, byte_limit_hits = 0;
  uint64_t LimitHits() const { return step_limit_hits + byte_limit_hits + regex.limit_hits; }
  uint32_t steps = 0;
  uint64_t bytes = 0;

  void Begin() {  // another rule
    contexts.count = 0;
    num_captured = 0;
  }
  void Keep(const std::vector<Capture>& captures, const Regex& regex, Slice subject);
};

class ConfirmProgram {
 public:
  std::vector<Op> ops;
  // True only once the end of the buffer is known: bsize, endswith, isdataat:!.
  bool needs_end = false;

  // Whether `buffer` passes all tests.  `state.variables` carries byte_extract
  // values between the buffers of one rule.
  bool Matches(Slice buffer, ConfirmState& state) const;
  // The same, and how it went.
  bool Explain(Slice buffer, ConfirmState& state, ConfirmTrace* trace) const;
};

// The next place of `needle` in haystack at or after `from`; npos if none.
// `needle` is lower case when `nocase`.
inline constexpr size_t kNotFound = ~size_t{0};
size_t FindBytes(Slice haystack, size_t from, std::string_view needle, bool nocase);

}  // namespace sluice
