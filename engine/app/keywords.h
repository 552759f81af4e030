// engine/app/keywords.h
// Connects the rule parser with the catalogue of loaded dissectors.
// Threads: main thread.  Memory: borrows the catalogue.
#pragma once

#include <string>
#include <unordered_map>

#include "engine/dissect/catalog.h"
#include "engine/rules/keyword_source.h"

namespace sluice {

class CatalogKeywords final : public KeywordSource {
 public:
  explicit CatalogKeywords(const Catalog& catalog) : catalog_(catalog) {}

  const FieldKeyword* Find(std::string_view name) const override;
  std::vector<FieldKeyword> All() const override;
  bool HasProtocol(std::string_view name) const override;
  std::optional<StageName> FindStage(std::string_view protocol, std::string_view name) const override;
  bool HasEvent(std::string_view protocol, std::string_view event) const override;

 private:
  FieldKeyword Describe(KeywordId id) const;
  const Catalog& catalog_;
  mutable std::unordered_map<std::string, FieldKeyword> found_;  // by the name asked for
};

}  // namespace sluice
