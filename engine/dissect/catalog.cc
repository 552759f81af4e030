#include "engine/dissect/catalog.h"

#include <algorithm>
#include <sstream>

#include "engine/dissect/host.h"

namespace sluice {
namespace {

std::string_view View(const char* text) { return text == nullptr ? std::string_view() : text; }

FieldInfo DescribeField(const sluice_field& field) {
  FieldInfo info;
  info.keyword = View(field.keyword);
  info.log = View(field.log);
  info.log_name = info.log;
  info.merged = field.type == SLUICE_GROUP && field.log != nullptr && *field.log == '\0';
  info.help = View(field.help);
  info.type = static_cast<FieldType>(field.type);
  info.flags = field.flags;
  info.directions = static_cast<uint8_t>(field.directions);
  info.stage = static_cast<uint8_t>(field.stage);
  for (const sluice_enum_name* name = field.names; name != nullptr && name->name != nullptr;
       ++name) {
    info.names.emplace_back(name->value, name->name);
  }
  std::ranges::stable_sort(info.names, {}, [](const auto& pair) { return pair.first; });
  return info;
}

std::vector<std::string> Words(const char* text) {
  std::istringstream in{std::string(View(text))};
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

// A name as rules have it: frames have names of their own, which say that they are frames.
std::string NameOf(const sluice_field& field, std::string_view word) {
  return field.flags & SLUICE_FRAME ? "frame:" + std::string(word) : std::string(word);
}
std::vector<std::string> NamesOf(const sluice_field& field, const char* words) {
  std::vector<std::string> names = Words(words);
  for (std::string& name : names) name = NameOf(field, name);
  return names;
}

// SLUICE_LOWERCASE is a short way to say the commonest transform.
std::string_view Transform(const sluice_field& field) {
  if (field.transform != nullptr) return field.transform;
  return field.flags & SLUICE_LOWERCASE ? "to_lowercase" : std::string_view();
}

}  // namespace

std::string_view FieldInfo::Name(uint64_t value) const {
  const auto it = std::ranges::lower_bound(names, value, {}, [](const auto& p) { return p.first; });
  return it != names.end() && it->first == value ? it->second : std::string_view();
}

Catalog::~Catalog() {
  for (const auto& plugin : plugins_) plugin->Fini();
}

std::unique_ptr<Catalog> Catalog::Create(std::vector<std::unique_ptr<Plugin>> plugins,
                                         const PluginOptions& options,
                                         std::vector<Error>* problems) {
  std::unique_ptr<Catalog> catalog(new Catalog);
  for (auto& plugin : plugins) {
    if (auto ok = catalog->Register(std::move(plugin), options); !ok) {
      problems->push_back(ok.error());
    }
  }
  WantedFields everything;
  for (const auto& schema : catalog->schemas_) {
    everything.emplace_back(schema->fields.size(), uint8_t{1});
  }
  catalog->wanted_ = std::make_shared<const WantedFields>(std::move(everything));
  return catalog;
}

Result<void> Catalog::Register(std::unique_ptr<Plugin> plugin, const PluginOptions& options) {
  const std::string_view name = plugin->info().name;
  if (FindSchema(name) != nullptr) {
    return Fail(Errc::kPlugin, "{}: a dissector named {} is already loaded; rename or remove one",
                plugin->origin(), name);
  }
  std::string names;  // of all its keywords
  for (const sluice_field& field : plugin->fields()) {
    if (auto ok = CheckKeywords(*plugin, field); !ok) return ok;
    names.append(View(field.aliases)).append(" ").append(View(field.modifiers)).append(" ");
    names.append(View(field.keyword)).append(" ");
  }
  for (const sluice_field_form& form : plugin->forms()) {
    for (const std::string& word : Words(form.content_keywords)) {
      if (!names_.contains(word)) continue;
      return Fail(Errc::kPlugin, "{}: keyword {} is already taken", plugin->origin(), word);
    }
  }
  HostOptions host_options(options, std::string(name));
  if (auto ok = plugin->Init(HostTable()); !ok) return ok;

  auto schema = std::make_unique<Schema>();
  schema->id = static_cast<uint16_t>(schemas_.size());
  schema->name = name;
  schema->log_name = plugin->info().log_name;
  schema->help = plugin->info().help;
  schema->aliases = Words(plugin->info().aliases);
  schema->record_types = Words(plugin->info().record_types);
  const bool upper = (plugin->info().log_source & SLUICE_LOG_UPPER_EVENTS) != 0;
  schema->log_source = plugin->info().log_source & ~uint32_t{SLUICE_LOG_UPPER_EVENTS};
  for (const sluice_field& field : plugin->fields()) {
    FieldInfo info = DescribeField(field);
    if (field.keyword != nullptr) info.keyword_id = AddKeyword(field, info, schema->id);
    schema->fields.push_back(std::move(info));
  }
  for (const sluice_field_form& form : plugin->forms()) AddForm(form, schema.get());
  for (const sluice_event& event : plugin->events()) {
    const std::string_view names = event.name;
    EventInfo& info = schema->events.emplace_back(names.substr(0, names.find(' ')), View(event.help));
    info.logged = info.name;
    if (upper) std::ranges::transform(info.logged, info.logged.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    info.names = Words(event.name);
  }
  for (int d = 0; d < 2; ++d) {
    const auto* stages = plugin->info().stages[d];
    schema->stages[d].assign(stages, stages + plugin->info().num_stages[d]);
  }
  schemas_.push_back(std::move(schema));
  plugins_.push_back(std::move(plugin));
  return {};
}

// The field's names are free, or shared with the dissector it declares as an alias.
Result<void> Catalog::CheckKeywords(const Plugin& plugin, const sluice_field& field) const {
  std::vector<std::string> taken = NamesOf(field, field.aliases);
  for (std::string& modifier : NamesOf(field, field.modifiers)) taken.push_back(std::move(modifier));
  if (field.keyword != nullptr) taken.push_back(NameOf(field, field.keyword));
  const std::vector<std::string> friends = Words(plugin.info().aliases);
  for (const std::string& word : taken) {
    const auto found = names_.find(word);
    if (found == names_.end()) continue;
    const KeywordInfo& keyword = keywords_[found->second.id];
    const std::string_view owner = schemas_[keyword.schemas.front()]->name;
    if (std::ranges::find(friends, owner) == friends.end()) {
      return Fail(Errc::kPlugin, "{}: keyword {} is already taken by dissector {}", plugin.origin(), word, owner);
    }
    const FieldInfo info = DescribeField(field);
    for (int d = 0; d < 2; ++d) {
      const bool both = info.directions & keyword.directions & (1u << d);
      if (info.type == keyword.type && (!both || info.stage == keyword.stage[d])) continue;
      return Fail(Errc::kPlugin, "{}: keyword {} has another type or stage than in dissector {}",
                  plugin.origin(), word, owner);
    }
  }
  return {};
}

KeywordId Catalog::AddKeyword(const sluice_field& field, const FieldInfo& info, uint16_t schema) {
  const std::string name = NameOf(field, info.keyword);
  const auto found = names_.find(name);
  KeywordId id;
  if (found == names_.end()) {
    id = static_cast<KeywordId>(keywords_.size());
    keywords_.push_back({.name = name,
                         .schemas = {},
                         .type = info.type,
                         .flags = info.flags,
                         .help = std::string(info.help),
                         .transform = std::string(Transform(field)),
                         .names = info.names});
    names_.emplace(name, Name{.id = id});
  } else {
    id = found->second.id;
  }
  KeywordInfo& keyword = keywords_[id];
  if (keyword.schemas.empty() || keyword.schemas.back() != schema) keyword.schemas.push_back(schema);
  keyword.directions |= info.directions;
  for (int d = 0; d < 2; ++d) {
    if (info.directions & (1u << d)) keyword.stage[d] = std::max(keyword.stage[d], info.stage);
  }
  for (const std::string& word : NamesOf(field, field.aliases)) names_.try_emplace(word, Name{.id = id});
  for (const std::string& word : NamesOf(field, field.modifiers)) names_.try_emplace(word, Name{id, Name::Use::kModifier});
  return id;
}

void Catalog::AddForm(const sluice_field_form& form, Schema* schema) {
  FieldInfo& field = schema->fields[form.field];
  if (form.log_name != nullptr) field.log_name = form.log_name;
  field.list = View(form.list);
  if (form.store_suffix != nullptr) field.store_suffix = form.store_suffix;
  if (field.keyword_id == kNoKeyword) return;
  KeywordInfo& keyword = keywords_[field.keyword_id];
  if (form.content_pattern != nullptr) keyword.content_pattern = form.content_pattern;
  for (const std::string& word : Words(form.content_keywords)) {
    names_.try_emplace(word, Name{field.keyword_id, Name::Use::kContent});
  }
}

const Schema* Catalog::FindSchema(std::string_view name) const {
  for (const auto& schema : schemas_) {
    if (schema->name == name) return schema.get();
  }
  return nullptr;
}

std::vector<const Schema*> Catalog::SchemasFor(std::string_view name) const {
  std::vector<const Schema*> found;
  for (const auto& schema : schemas_) {
    if (schema->Answers(name)) found.push_back(schema.get());
  }
  return found;
}

Catalog::Name Catalog::FindKeyword(std::string_view name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? Name{} : it->second;
}

void Catalog::SetWanted(const std::vector<bool>& keywords,
                        const std::vector<std::vector<bool>>& logged) {
  WantedFields wanted;
  for (const auto& schema : schemas_) {
    std::vector<uint8_t>& row = wanted.emplace_back(schema->fields.size(), uint8_t{0});
    for (size_t i = 0; i < schema->fields.size(); ++i) {
      const FieldInfo& field = schema->fields[i];
      const bool metric = field.flags & (SLUICE_DIMENSION | SLUICE_MEASURE | SLUICE_OUTCOME | SLUICE_FORWARDED);
      const bool matched = field.keyword_id < keywords.size() && keywords[field.keyword_id];
      const bool shown = schema->id < logged.size() && i < logged[schema->id].size() &&
                         logged[schema->id][i];
      row[i] = matched || shown || metric || field.type == FieldType::kGroup;
    }
  }
  auto table = std::make_shared<const WantedFields>(std::move(wanted));
  const std::lock_guard lock(mutex_);
  wanted_ = std::move(table);
}

std::shared_ptr<const WantedFields> Catalog::wanted() const {
  const std::lock_guard lock(mutex_);
  return wanted_;
}

}  // namespace sluice
