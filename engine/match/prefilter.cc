#include "engine/match/prefilter.h"

#include <algorithm>

namespace sluice {

LiteralDatabase::~LiteralDatabase() {
  if (database_) hs_free_database(database_);
}

LiteralDatabase::LiteralDatabase(LiteralDatabase&& other) noexcept
    : building_(std::move(other.building_)),
      database_(std::exchange(other.database_, nullptr)),
      first_(std::move(other.first_)),
      rules_(std::move(other.rules_)),
      max_length_(other.max_length_) {}

void LiteralDatabase::Add(const std::string& literal, bool nocase, uint32_t rule) {
  std::vector<uint32_t>& rules = building_[{literal, nocase}];
  if (rules.empty() || rules.back() != rule) rules.push_back(rule);
}

Result<void> LiteralDatabase::Compile(DatabaseCache* cache) {
  std::vector<const char*> texts;
  std::vector<size_t> lengths;
  std::vector<unsigned> flags, ids;
  first_.assign(1, 0);
  for (const auto& [literal, rules] : building_) {
    texts.push_back(literal.first.data());
    lengths.push_back(literal.first.size());
    flags.push_back(literal.second ? HS_FLAG_CASELESS : 0);
    ids.push_back(static_cast<unsigned>(ids.size()));
    rules_.insert(rules_.end(), rules.begin(), rules.end());
    first_.push_back(static_cast<uint32_t>(rules_.size()));
    max_length_ = std::max(max_length_, static_cast<uint32_t>(literal.first.size()));
  }
  if (texts.empty()) return {};
  std::string problem;
  const auto compile = [&] {
    hs_database_t* database = nullptr;
    hs_compile_error_t* error = nullptr;
    if (hs_compile_lit_multi(texts.data(), flags.data(), ids.data(), lengths.data(),
                             static_cast<unsigned>(texts.size()), HS_MODE_BLOCK, nullptr, &database,
                             &error) != HS_SUCCESS) {
      problem = error ? error->message : "unknown";
      hs_free_compile_error(error);
    }
    return database;
  };
  if (cache) {
    DatabaseCache::KeyBuilder key;
    key.Add("literals");
    for (size_t i = 0; i < texts.size(); ++i) key.Add({texts[i], lengths[i]}).Add(flags[i]);
    database_ = cache->LoadOr(key.Finish(), compile);
  } else {
    database_ = compile();
  }
  if (!database_) {
    return Fail(Errc::kUnsupported, "prefilter of {} literals: {}", texts.size(), problem);
  }
  building_.clear();
  return {};
}

}  // namespace sluice
