// sluice.toml: every key must be known.
#include <fmt/format.h>

#include "engine/base/suggest.h"
#include "engine/base/toml.h"
#include "engine/config/settings.h"

namespace sluice {

namespace {

std::string Scalar(const toml::node& node) {
  if (const auto* v = node.as_string()) return v->get();
  if (const auto* v = node.as_integer()) return std::to_string(v->get());
  if (const auto* v = node.as_boolean()) return v->get() ? "true" : "false";
  if (const auto* v = node.as_floating_point()) return fmt::format("{}", v->get());
  return "";
}

class Reader {
 public:
  Reader(std::string path, Options* options) : path_(std::move(path)), options_(options) {}

  Result<void> Table(const toml::table& table, const std::string& prefix) {
    for (const auto& [key, node] : table) {
      const std::string name = prefix + std::string(key.str());
      if (const auto* inner = node.as_table()) {
        if (auto ok = Table(*inner, name + "."); !ok) return ok;
      } else if (const auto* logs = EveLogs(name, node)) {
        if (auto ok = Logs(*logs); !ok) return ok;
      } else if (const auto* list = node.as_array()) {
        if (auto ok = List(*list, name); !ok) return ok;
      } else {
        // One value where a list may stand is a list of one.
        if (const Setting* setting = FindSetting(name, false); setting && setting->clear) {
          setting->clear(*options_);
        }
        if (auto ok = Value(node, name); !ok) return ok;
      }
    }
    return {};
  }

 private:
  // [[eve]]: several logs, each from the defaults.
  static const toml::array* EveLogs(const std::string& name, const toml::node& node) {
    const auto* list = node.as_array();
    return name == "eve" && list != nullptr && list->is_array_of_tables() ? list : nullptr;
  }
  Result<void> Logs(const toml::array& logs) {
    options_->eve_logs.clear();
    for (const toml::node& log : logs) {
      options_->eve_logs.emplace_back();
      if (auto ok = Table(*log.as_table(), "eve."); !ok) return ok;
    }
    return {};
  }

  Result<void> List(const toml::array& list, const std::string& name) {
    if (!TakesList(name)) return Unknown(list, name);
    const Setting* setting = FindSetting(name, false);
    if (setting == nullptr && list.empty()) return Unknown(list, name);
    if (setting != nullptr && setting->clear) setting->clear(*options_);
    for (const toml::node& item : list) {
      if (auto ok = Value(item, name); !ok) return ok;
    }
    return {};
  }

  Result<void> Value(const toml::node& node, const std::string& name) {
    const auto done = ApplyScalar(options_, name, Scalar(node), false);
    if (!done) {
      return Fail(Errc::kInvalidArgument, "{}:{}: {}: {}", path_, node.source().begin.line, name,
                  done.error().message);
    }
    return *done ? Result<void>{} : Unknown(node, name);
  }

  Result<void> Unknown(const toml::node& node, const std::string& name) {
    std::vector<std::string> names;
    for (const SettingInfo& info : AllSettings()) names.push_back(info.name);
    const std::string close = Suggest(name, names);
    return Fail(Errc::kInvalidArgument, "{}:{}: {}: unknown key; {}", path_,
                node.source().begin.line, name,
                close.empty() ? "docs/configuration.md lists them all"
                              : fmt::format("did you mean {}?", close));
  }

  const std::string path_;
  Options* options_;
};

}  // namespace

Result<void> ReadToml(std::string_view text, const std::string& path, Options* options) {
  const toml::parse_result parsed = toml::parse(text, path);
  if (!parsed) {
    const auto& error = parsed.error();
    return Fail(Errc::kInvalidArgument, "{}:{}: {}", path, error.source().begin.line,
                error.description());
  }
  return Reader(path, options).Table(parsed.table(), "");
}

}  // namespace sluice
