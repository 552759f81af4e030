// The only code that looks at struct_size and row sizes.
#include "engine/plugin/check.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <string_view>

namespace sluice {
namespace {

// Sizes of ABI 1.0; a plug-in may have more, never less.
constexpr size_t kPluginSize1_0 = offsetof(sluice_plugin, end) + sizeof(sluice_plugin::end);
constexpr size_t kFieldSize1_0 = offsetof(sluice_field, transform) + sizeof(sluice_field::transform);
constexpr size_t kEventSize1_0 = offsetof(sluice_event, help) + sizeof(sluice_event::help);
constexpr size_t kFormSize1_0 =
    offsetof(sluice_field_form, store_suffix) + sizeof(sluice_field_form::store_suffix);
constexpr uint32_t kMaxRows = 4096;    // fields or events of one plug-in
constexpr uint32_t kMaxStages = 64;    // per direction
constexpr uint32_t kMaxRowSize = 4096; // bytes
constexpr size_t kMaxSuffix = 8;       // of a file's name

bool IsWord(const char* text, std::string_view extra) {
  if (text == nullptr || *text == '\0') return false;
  return std::ranges::all_of(std::string_view(text), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || extra.find(c) != extra.npos;
  });
}

// Copies `count` rows of `row_size` bytes each; short rows leave zeros.
template <typename Row>
std::vector<Row> CopyRows(const Row* rows, uint32_t count, uint32_t row_size) {
  std::vector<Row> out(count);
  const auto* bytes = reinterpret_cast<const uint8_t*>(rows);
  for (uint32_t i = 0; i < count; ++i) {
    std::memcpy(&out[i], bytes + size_t{i} * row_size, std::min<size_t>(row_size, sizeof(Row)));
  }
  return out;
}

Result<void> CheckTable(const std::string& path, const char* what, const void* rows,
                        uint32_t count, uint32_t row_size, size_t least) {
  if (count == 0) return {};
  if (rows == nullptr) return Fail(Errc::kPlugin, "{}: {} table is null", path, what);
  if (count > kMaxRows) {
    return Fail(Errc::kPlugin, "{}: {} {} rows; at most {}", path, count, what, kMaxRows);
  }
  if (row_size < least || row_size > kMaxRowSize) {
    return Fail(Errc::kPlugin, "{}: {} row size {} is not of ABI 1.x; rebuild the plug-in", path,
                what, row_size);
  }
  return {};
}

Result<void> CheckStages(const std::string& path, const sluice_plugin& plugin) {
  for (int d = 0; d < 2; ++d) {
    if (plugin.stages[d] == nullptr || plugin.num_stages[d] == 0 ||
        plugin.num_stages[d] > kMaxStages) {
      return Fail(Errc::kPlugin, "{}: each direction needs 1 to {} stage names", path, kMaxStages);
    }
    for (uint32_t i = 0; i < plugin.num_stages[d]; ++i) {
      if (!IsWord(plugin.stages[d][i], "_-")) {
        return Fail(Errc::kPlugin, "{}: stage {} of direction {} has no name in [a-z0-9_-]", path,
                    i, d);
      }
    }
  }
  return {};
}

Result<void> CheckField(const std::string& path, const sluice_plugin& plugin,
                        const sluice_field& field, uint32_t index) {
  const auto bad = [&](std::string_view fact) {
    return Fail(Errc::kPlugin, "{}: field {} ({}): {}", path, index,
                field.keyword ? field.keyword : field.log ? field.log : "unnamed", fact);
  };
  if (field.type < SLUICE_BYTES || field.type > SLUICE_GROUP) return bad("unknown type");
  if (field.directions < 1 || field.directions > 3) return bad("directions must be 1, 2 or 3");
  if (field.keyword != nullptr && !IsWord(field.keyword, "._-")) {
    return bad("keyword must be in [a-z0-9._-]");
  }
  if (field.help == nullptr) return bad("help is null; say in one line what it is");
  if (field.type == SLUICE_ENUM && field.names == nullptr) return bad("an enum needs names");
  if (field.type == SLUICE_GROUP && field.keyword != nullptr) return bad("a group has no keyword");
  for (int d = 0; d < 2; ++d) {
    if ((field.directions & (1u << d)) && field.stage >= plugin.num_stages[d]) {
      return bad("its stage does not exist in its direction");
    }
  }
  return {};
}

Result<void> CheckCallbacks(const std::string& path, const sluice_plugin& plugin) {
  const std::pair<bool, const char*> needed[] = {{plugin.flow_new != nullptr, "flow_new"},
                                                 {plugin.flow_free != nullptr, "flow_free"},
                                                 {plugin.parse != nullptr, "parse"},
                                                 {plugin.probe != nullptr, "probe"}};
  for (const auto& [present, name] : needed) {
    if (!present) return Fail(Errc::kPlugin, "{}: callback {} is null; it is required", path, name);
  }
  return {};
}

}  // namespace

Result<CheckedPlugin> CheckPlugin(const sluice_plugin& exported, const std::string& path) {
  if (exported.struct_size < kPluginSize1_0) {
    return Fail(Errc::kPlugin, "{}: struct_size {} is below ABI 1.0 ({}); rebuild the plug-in", path,
                exported.struct_size, kPluginSize1_0);
  }
  if (exported.abi_minor > SLUICE_ABI_MINOR) {
    return Fail(Errc::kPlugin, "{}: needs plug-in ABI 1.{}; this is 1.{}: upgrade sluice", path,
                exported.abi_minor, SLUICE_ABI_MINOR);
  }
  CheckedPlugin out;
  std::memcpy(&out.plugin, &exported,
              std::min<size_t>(exported.struct_size, sizeof(sluice_plugin)));
  sluice_plugin& plugin = out.plugin;
  if (!IsWord(plugin.name, "_-")) {
    return Fail(Errc::kPlugin, "{}: name must be in [a-z0-9_-] and not empty", path);
  }
  if (plugin.aliases != nullptr && !IsWord(plugin.aliases, "_- ")) {
    return Fail(Errc::kPlugin, "{}: aliases must be words in [a-z0-9_-]", path);
  }
  if (plugin.record_types != nullptr && !IsWord(plugin.record_types, "_- ")) {
    return Fail(Errc::kPlugin, "{}: record_types must be words in [a-z0-9_-]", path);
  }
  if (plugin.log_name != nullptr && !IsWord(plugin.log_name, "_-")) {
    return Fail(Errc::kPlugin, "{}: log_name must be in [a-z0-9_-]", path);
  }
  if ((plugin.transports & (SLUICE_TCP | SLUICE_UDP)) == 0) {
    return Fail(Errc::kPlugin, "{}: transports names neither TCP nor UDP", path);
  }
  if (auto ok = CheckCallbacks(path, plugin); !ok) return std::unexpected(ok.error());
  if (auto ok = CheckStages(path, plugin); !ok) return std::unexpected(ok.error());
  if (auto ok = CheckTable(path, "field", plugin.fields, plugin.num_fields, plugin.field_size,
                           kFieldSize1_0);
      !ok) {
    return std::unexpected(ok.error());
  }
  if (auto ok = CheckTable(path, "event", plugin.events, plugin.num_events, plugin.event_size,
                           kEventSize1_0);
      !ok) {
    return std::unexpected(ok.error());
  }
  if (auto ok = CheckTable(path, "form", plugin.forms, plugin.num_forms, plugin.form_size,
                           kFormSize1_0);
      !ok) {
    return std::unexpected(ok.error());
  }
  out.forms = CopyRows(plugin.forms, plugin.num_forms, plugin.form_size);
  for (const sluice_field_form& form : out.forms) {
    if (form.field >= plugin.num_fields) {
      return Fail(Errc::kPlugin, "{}: a form names field {}; there are {}", path, form.field,
                  plugin.num_fields);
    }
    const char* suffix = form.store_suffix;
    if (suffix != nullptr && (!IsWord(suffix, "") || std::strlen(suffix) > kMaxSuffix)) {
      return Fail(Errc::kPlugin, "{}: a form's store_suffix must be 1 to {} of [a-z0-9]", path, kMaxSuffix);
    }
  }
  out.fields = CopyRows(plugin.fields, plugin.num_fields, plugin.field_size);
  out.events = CopyRows(plugin.events, plugin.num_events, plugin.event_size);
  for (uint32_t i = 0; i < out.fields.size(); ++i) {
    if (auto ok = CheckField(path, plugin, out.fields[i], i); !ok) {
      return std::unexpected(ok.error());
    }
  }
  for (const sluice_event& event : out.events) {
    if (!IsWord(event.name, "_-. ") || *event.name == ' ') {
      return Fail(Errc::kPlugin, "{}: an event has no name in [a-z0-9_.-]", path);
    }
  }
  if (plugin.help == nullptr) plugin.help = "";
  if (plugin.version == nullptr) plugin.version = "";
  if (plugin.ports == nullptr) plugin.ports = "";
  if (plugin.aliases == nullptr) plugin.aliases = "";
  if (plugin.record_types == nullptr) plugin.record_types = "";
  if (plugin.log_name == nullptr) plugin.log_name = plugin.name;
  return out;
}

}  // namespace sluice
