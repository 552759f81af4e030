// engine/match/regex.h
// One regular expression of a rule on the cheapest engine that is exact for it:
// Hyperscan where only "does it match" is asked; RE2 (linear time) where
// positions are; PCRE2 with limits for look-around, back references and the
// few constructs whose meaning differs between engines.
//
// Threads: a Regex is immutable; RegexScratch belongs to one Detector.
#pragma once

#include <hs/hs.h>

#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/match/database_cache.h"
#include "engine/match/match.h"
#include "engine/rules/rule_set.h"

namespace sluice {

struct RegexScratch {
  hs_scratch_t* hs = nullptr;
  struct Pcre;  // match data, context with limits, JIT stack
  std::unique_ptr<Pcre> pcre;
  uint64_t limit_hits = 0;
  RegexScratch();
  ~RegexScratch();
  RegexScratch(const RegexScratch&) = delete;
  RegexScratch& operator=(const RegexScratch&) = delete;
};

class Regex {
 public:
  // `needs_position`: a later test is relative to the match.  kInvalidArgument
  // if no engine compiles it.
  // `cache` may be null.
  static Result<std::unique_ptr<Regex>> Compile(const PcreTest& test, bool needs_position,
                                                uint32_t match_limit, uint32_t depth_limit,
                                                DatabaseCache* cache);
  ~Regex();

  RegexEngine engine() const { return engine_; }
  const std::string& reason() const { return reason_; }
  hs_database_t* database() const { return hs_; }  // null unless Hyperscan

  // Leftmost match in `subject` starting at or after `start`; begin and end are
  // set unless the engine is Hyperscan (existence only, start must be 0).
  struct Found {
    size_t begin = 0, end = 0;
  };
  bool Find(Slice subject, size_t start, RegexScratch& scratch, Found* found) const;
  // The n-th group, from 1, of what Find() has just found; PCRE2 alone has them.
  Slice Group(Slice subject, uint32_t n, const RegexScratch& scratch) const;

 private:
  Regex() = default;
  bool TryHyperscan(const PcreTest& test, DatabaseCache* cache);
  bool TryRe2(const PcreTest& test, bool needs_position);
  Result<void> UsePcre2(const PcreTest& test);

  RegexEngine engine_ = RegexEngine::kNone;
  std::string reason_;
  hs_database_t* hs_ = nullptr;
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
  uint32_t match_limit_ = 0, depth_limit_ = 0;
  bool anchored_ = false;
};

}  // namespace sluice
