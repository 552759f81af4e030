// engine/match/prefilter.h
// One Hyperscan database of literals: which rules' fast patterns occur in some
// bytes.
//
// Threads: immutable after Compile(); the scratch belongs to the caller.
#pragma once

#include <hs/hs.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/match/database_cache.h"

namespace sluice {

class LiteralDatabase {
 public:
  LiteralDatabase() = default;
  ~LiteralDatabase();
  LiteralDatabase(LiteralDatabase&& other) noexcept;
  LiteralDatabase& operator=(LiteralDatabase&&) = delete;

  // `literal` is not empty, and lower case when nocase.
  void Add(const std::string& literal, bool nocase, uint32_t rule);
  // `cache` may be null.
  Result<void> Compile(DatabaseCache* cache);

  bool empty() const { return first_.size() <= 1; }
  const hs_database_t* database() const { return database_; }
  uint32_t num_literals() const {
    return first_.empty() ? 0 : static_cast<uint32_t>(first_.size() - 1);
  }
  uint32_t max_length() const { return max_length_; }

  // Calls f(rules of the literal, offset behind it) for each occurrence.
  template <typename F>
  void Scan(Slice bytes, hs_scratch_t* scratch, F&& f) const {
    struct Call {
      const LiteralDatabase* self;
      F* f;
    } call{this, &f};
    const auto on_match = [](unsigned id, unsigned long long, unsigned long long to, unsigned,
                             void* context) -> int {
      const Call& c = *static_cast<Call*>(context);
      const uint32_t* rules = c.self->rules_.data();
      (*c.f)(std::span<const uint32_t>(rules + c.self->first_[id], rules + c.self->first_[id + 1]),
             to);
      return 0;
    };
    hs_scan(database_, reinterpret_cast<const char*>(bytes.data()),
            static_cast<unsigned>(bytes.size()), 0, scratch, on_match, &call);
  }

 private:
  std::map<std::pair<std::string, bool>, std::vector<uint32_t>> building_;  // empty once compiled
  hs_database_t* database_ = nullptr;
  std::vector<uint32_t>
      first_;  // by literal: its rules are rules_[first_[i]] .. rules_[first_[i + 1]]
  std::vector<uint32_t> rules_;
  uint32_t max_length_ = 0;
};

}  // namespace sluice
