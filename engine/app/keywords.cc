#include "engine/app/keywords.h"

#include <sluice/plugin.h>

#include <algorithm>

#include "engine/dissect/flow_dissection.h"

namespace sluice {

FieldKeyword CatalogKeywords::Describe(KeywordId id) const {
  const KeywordInfo& info = catalog_.keywords()[id];
  FieldKeyword out;
  out.id = id;
  out.name = info.name;
  out.protocol = catalog_.schemas()[info.schemas.front()]->name;
  out.number = info.type != FieldType::kBytes && info.type != FieldType::kChunks &&
               info.type != FieldType::kAddress;
  out.is_signed = info.type == FieldType::kInt || info.type == FieldType::kTime;
  out.boolean = info.type == FieldType::kBool;
  out.date = info.flags & SLUICE_DATE;
  out.bits = info.flags & SLUICE_BITS;
  out.store = info.flags & SLUICE_STORE;
  out.content_case = info.flags & SLUICE_CONTENT_LOWER   ? FieldKeyword::Case::kLower
                     : info.flags & SLUICE_CONTENT_UPPER ? FieldKeyword::Case::kUpper
                                                         : FieldKeyword::Case::kAny;
  out.content_pattern = info.content_pattern;
  out.repeated = info.flags & SLUICE_REPEATED;
  out.directions = info.directions;
  out.help = info.help;
  out.transform = info.transform;
  for (const auto& [value, name] : info.names) out.enum_names.emplace_back(value, name);
  if (info.type == FieldType::kBool) out.enum_names = {{0, "false"}, {1, "true"}};
  return out;
}

const FieldKeyword* CatalogKeywords::Find(std::string_view name) const {
  const Catalog::Name found = catalog_.FindKeyword(name);
  if (found.id == kNoKeyword) return nullptr;
  const auto [it, fresh] = found_.try_emplace(std::string(name));
  if (fresh) {
    it->second = Describe(found.id);
    it->second.modifier = found.use == Catalog::Name::Use::kModifier;
    it->second.content = found.use == Catalog::Name::Use::kContent;
  }
  return &it->second;
}

std::vector<FieldKeyword> CatalogKeywords::All() const {
  std::vector<FieldKeyword> all;
  for (KeywordId id = 0; id < catalog_.keywords().size(); ++id) all.push_back(Describe(id));
  std::ranges::sort(all, {}, &FieldKeyword::name);
  return all;
}

bool CatalogKeywords::HasProtocol(std::string_view name) const {
  return !catalog_.SchemasFor(name).empty();
}

std::optional<StageName> CatalogKeywords::FindStage(std::string_view protocol, std::string_view name) const {
  static constexpr std::string_view kSides[] = {"request", "response"};
  for (const Schema* schema : catalog_.SchemasFor(protocol)) {
    for (uint8_t d = 0; d < 2; ++d) {
      const auto& stages = schema->stages[d];
      const auto it = std::ranges::find(stages, name);
      if (it != stages.end()) return StageName{d, static_cast<uint8_t>(it - stages.begin())};
      if (!name.starts_with(kSides[d])) continue;
      const std::string_view rest = name.substr(kSides[d].size());
      if (rest == "_started") return StageName{d, 0};
      if (rest == "_complete") return StageName{d, static_cast<uint8_t>(stages.size() - 1)};
    }
  }
  return std::nullopt;
}

bool CatalogKeywords::HasEvent(std::string_view protocol, std::string_view event) const {
  if (protocol.empty()) {
    size_t i = 0;
    while (i < static_cast<size_t>(RecognitionEvent::kMax) &&
           RecognitionEventName(static_cast<RecognitionEvent>(i)) != event) {
      ++i;
    }
    return i < static_cast<size_t>(RecognitionEvent::kMax);
  }
  return std::ranges::any_of(catalog_.SchemasFor(protocol), [event](const Schema* schema) {
    return std::ranges::any_of(schema->events,
                               [event](const EventInfo& e) { return e.Answers(event); });
  });
}

}  // namespace sluice
