// engine/dissect/host.h
// The engine's side of sluice_host: every call a dissector makes lands here.
// Threads: the table is immutable; calls come from the flow's worker.
#pragma once

#include <sluice/plugin.h>

#include <string>

#include "engine/dissect/catalog.h"

namespace sluice {

const sluice_host& HostTable();

// While it lives (main thread), option() answers for one plug-in's init.
class HostOptions {
 public:
  HostOptions(const PluginOptions& options, std::string plugin);
  ~HostOptions();
  HostOptions(const HostOptions&) = delete;
  HostOptions& operator=(const HostOptions&) = delete;
};

}  // namespace sluice
