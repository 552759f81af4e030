// engine/config/settings.h
// The one table of settings: name, Suricata's name, meaning.
// Threads: main thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/options.h"

namespace sluice {

struct Setting {
  std::string name;           // "stream.depth"
  std::string suricata_name;  // "stream.reassembly.depth"; "" none
  std::string help;
  std::string range;          // "1 .. 256", "true, false", "size"
  // `value` as text; a list comes one element at a time.
  std::function<Result<void>(Options&, const std::string& value)> apply;
  std::function<std::string(const Options&)> show;  // the value as it would be written
  std::function<void(Options&)> clear;  // before a list's first element; may be empty
};

const std::vector<Setting>& Settings();
// Null if there is none of that name in the naming asked for.
const Setting* FindSetting(std::string_view name, bool suricata);

// Whether a list may stand for it: of a setting that is none, the last element counts.
bool TakesList(std::string_view name);

// One scalar by its dotted name; false if nothing has that name.
Result<bool> ApplyScalar(Options* options, const std::string& name, const std::string& value,
                         bool suricata);

Result<void> ReadToml(std::string_view text, const std::string& path, Options* options);
Result<void> ReadYaml(std::string_view text, const std::string& path, Options* options);

}  // namespace sluice
