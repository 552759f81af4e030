// engine/plugin/check.h
// Takes an exported struct of any 1.x minor to this engine's shape, or says what
// is wrong with it.  Threads: main thread.
#pragma once

#include <sluice/plugin.h>

#include <string>
#include <vector>

#include "engine/base/result.h"

namespace sluice {

struct CheckedPlugin {
  sluice_plugin plugin{};  // callbacks the plug-in does not have stay null
  std::vector<sluice_field> fields;
  std::vector<sluice_event> events;
  std::vector<sluice_field_form> forms;
};

Result<CheckedPlugin> CheckPlugin(const sluice_plugin& exported, const std::string& path);

}  // namespace sluice
