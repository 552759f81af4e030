// engine/dissect/catalog.h
// All loaded dissectors with their fields numbered: one KeywordId per rule
// keyword, whichever fields share it.
//
// Threads: built on the main thread, then immutable but for SetWanted(), which
//   publishes a new table: each worker takes it when it takes its new rules; and for the
//   expectations, which all workers write.
// Memory: owns the plug-ins.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/dissect/expectations.h"
#include "engine/dissect/schema.h"
#include "engine/plugin/plugin.h"

namespace sluice {

struct KeywordInfo {
  std::string name;  // canonical
  std::vector<uint16_t> schemas;  // that set it, the owner first
  FieldType type = FieldType::kBytes;
  uint8_t directions = 0;  // of all its fields
  uint32_t flags = 0;
  std::string help;
  std::string transform;
  std::string content_pattern = {};  // of every content on it; empty: any
  std::vector<std::pair<uint64_t, std::string_view>> names;
  // Per direction: the stage from which a rule may conclude that it is absent.
  uint8_t stage[2] = {0, 0};
};

// plugins.<name>.<key> = value; what stands under kAllPlugins holds where a plug-in has no other.
inline constexpr std::string_view kAllPlugins = "";
using PluginOptions = std::map<std::string, std::map<std::string, std::string>, std::less<>>;

// By schema, then field: 0 for what nobody wants.
using WantedFields = std::vector<std::vector<uint8_t>>;

class Catalog {
 public:
  // Registers the plug-ins in the order given and calls their init.  A plug-in
  // whose name or keyword is taken by an earlier one that it has no alias of, or
  // whose init fails, is left out and named in `problems`.
  static std::unique_ptr<Catalog> Create(std::vector<std::unique_ptr<Plugin>> plugins,
                                         const PluginOptions& options,
                                         std::vector<Error>* problems);
  ~Catalog();

  const std::vector<std::unique_ptr<Schema>>& schemas() const { return schemas_; }
  const std::vector<std::unique_ptr<Plugin>>& plugins() const { return plugins_; }
  const Plugin& plugin(uint16_t schema) const { return *plugins_[schema]; }
  const Schema* FindSchema(std::string_view name) const;  // null if there is none
  // All that rules mean by a name: dissectors of that name or alias.
  std::vector<const Schema*> SchemasFor(std::string_view name) const;

  const std::vector<KeywordInfo>& keywords() const { return keywords_; }  // by KeywordId
  struct Name {
    KeywordId id = kNoKeyword;
    enum class Use : uint8_t {
      kKeyword,
      kModifier,  // follows a content
      kContent,   // its value is the content
    } use = Use::kKeyword;
  };
  Name FindKeyword(std::string_view name) const;  // keyword, alias or modifier

  // What the dissectors have to compute: rules tell the keywords they use, logs
  // the fields they show, by schema and field.  Until first called, everything.
  void SetWanted(const std::vector<bool>& keywords, const std::vector<std::vector<bool>>& logged);
  std::shared_ptr<const WantedFields> wanted() const;  // any thread

  Expectations& expectations() const { return expectations_; }  // any thread

 private:
  Catalog() = default;
  Result<void> Register(std::unique_ptr<Plugin> plugin, const PluginOptions& options);
  Result<void> CheckKeywords(const Plugin& plugin, const sluice_field& field) const;
  void AddForm(const sluice_field_form& form, Schema* schema);
  KeywordId AddKeyword(const sluice_field& field, const FieldInfo& info, uint16_t schema);

  std::vector<std::unique_ptr<Plugin>> plugins_;
  std::vector<std::unique_ptr<Schema>> schemas_;
  std::vector<KeywordInfo> keywords_;
  std::map<std::string, Name, std::less<>> names_;
  mutable std::mutex mutex_;
  std::shared_ptr<const WantedFields> wanted_;  // guarded by mutex_
  mutable Expectations expectations_;
};

}  // namespace sluice
