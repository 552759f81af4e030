#include "engine/app/plugins.h"

#include <fmt/core.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/app/keywords.h"
#include "engine/base/cycles.h"

#ifndef SLUICE_PLUGIN_DIR
#define SLUICE_PLUGIN_DIR "/usr/local/lib/sluice/plugins"
#endif

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

std::string Directions(uint8_t directions) {
  return directions == 1 ? "to_server" : directions == 2 ? "to_client" : "both";
}

// plugins.<name>.enabled = no leaves a dissector out.
bool Enabled(std::string_view name, const PluginOptions& options) {
  const auto plugin = options.find(name);
  if (plugin == options.end()) return true;
  const auto value = plugin->second.find("enabled");
  return value == plugin->second.end() || (value->second != "no" && value->second != "false");
}

}  // namespace

std::string DefaultPluginDirectory() {
  std::error_code failure;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (!failure) {
    const auto beside = self.parent_path() / "plugins";
    if (std::filesystem::is_directory(beside, failure)) return beside.string();
  }
  return SLUICE_PLUGIN_DIR;
}

Result<std::unique_ptr<Catalog>> LoadCatalog(const std::vector<std::string>& directories,
                                             const PluginOptions& options,
                                             std::vector<Error>* problems) {
  std::vector<std::unique_ptr<Plugin>> plugins;
  std::vector<std::string> all = directories;
  all.push_back(DefaultPluginDirectory());
  for (const std::string& directory : all) {
    auto loaded = LoadPluginDirectory(directory, {}, problems);
    if (!loaded) return std::unexpected(loaded.error());
    for (auto& plugin : *loaded) {
      if (Enabled(plugin->info().name, options)) plugins.push_back(std::move(plugin));
    }
  }
  auto catalog = Catalog::Create(std::move(plugins), options, problems);
  if (catalog->schemas().empty()) {
    return Fail(Errc::kPlugin, "{}: no dissector loads; {}", all.front(),
                problems->empty() ? "the directory is empty" : problems->front().message);
  }
  return catalog;
}

int PrintPlugins(const Catalog& catalog, const std::vector<Error>& problems, bool json) {
  if (json) {
    Json out = {{"plugins", Json::array()}, {"problems", Json::array()}};
    for (const auto& schema : catalog.schemas()) {
      const sluice_plugin& info = catalog.plugin(schema->id).info();
      out["plugins"].push_back({{"name", schema->name},
                                {"help", schema->help},
                                {"version", info.version},
                                {"abi", fmt::format("1.{}", info.abi_minor)},
                                {"fields", schema->fields.size()},
                                {"events", schema->events.size()},
                                {"ports", info.ports},
                                {"file", catalog.plugin(schema->id).origin()}});
    }
    for (const Error& problem : problems) out["problems"].push_back(problem.message);
    fmt::print("{}\n", out.dump(2));
  } else {
    fmt::print("{:<14}{:<6}{:>7}{:>8}  {}\n", "name", "abi", "fields", "events", "about");
    for (const auto& schema : catalog.schemas()) {
      fmt::print("{:<14}1.{:<4}{:>7}{:>8}  {}\n", schema->name,
                 catalog.plugin(schema->id).info().abi_minor, schema->fields.size(),
                 schema->events.size(), schema->help);
    }
    for (const Error& problem : problems) fmt::print(stderr, "not loaded: {}\n", problem.message);
  }
  return problems.empty() ? 0 : 1;
}

namespace {

// Loads the file and lets it initialise, alone.
Result<std::string> CheckPluginFile(const std::string& path) {
  auto plugin = Plugin::Load(std::filesystem::absolute(path).string(), {});
  if (!plugin) return std::unexpected(plugin.error());
  std::vector<std::unique_ptr<Plugin>> plugins;
  plugins.push_back(std::move(*plugin));
  std::vector<Error> problems;
  const auto catalog = Catalog::Create(std::move(plugins), {}, &problems);
  if (!problems.empty()) return std::unexpected(problems.front());
  const Schema& schema = *catalog->schemas().front();
  return fmt::format("{} ({} fields, {} keywords, {} events)", schema.name, schema.fields.size(),
                     catalog->keywords().size(), schema.events.size());
}

}  // namespace

int CheckPluginFiles(const std::vector<std::string>& paths) {
  int code = 0;
  for (const std::string& path : paths) {
    if (const auto found = CheckPluginFile(path)) {
      fmt::print("{}: ok: {}\n", path, *found);
    } else {
      fmt::print(stderr, "{}\n", found.error().message);
      code = 1;
    }
  }
  return code;
}

int PrintKeywords(const Catalog& catalog, bool json) {
  const std::vector<FieldKeyword> keywords = CatalogKeywords(catalog).All();
  Json out = Json::array();
  for (const FieldKeyword& keyword : keywords) {
    if (json) {
      out.push_back({{"name", keyword.name},
                     {"protocol", keyword.protocol},
                     {"type", keyword.number ? "number" : "buffer"},
                     {"repeated", keyword.repeated},
                     {"directions", Directions(keyword.directions)},
                     {"help", keyword.help}});
    } else {
      fmt::print("{:<32}{:<8}{:<11}{}\n", keyword.name, keyword.number ? "number" : "buffer",
                 Directions(keyword.directions), keyword.help);
    }
  }
  if (json) fmt::print("{}\n", out.dump(2));
  return 0;
}

}  // namespace sluice
