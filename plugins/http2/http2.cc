// SPDX-License-Identifier: Apache-2.0
// plugins/http2/http2.cc - the plug-in: exported struct.  connection.h has the protocol,
// fields.h the schema.
#include <sluice/plugin.hpp>

#include "../lib/tables.h"
#include "connection.h"

namespace http2 {
namespace {

constexpr sluice_plugin Plugin() {
  sluice_plugin plugin = sluice::MakePlugin<Connection>("http2", "Hypertext Transfer Protocol 2");
  plugin.version = "1.0";
  plugin.aliases = "http";  // rules for http mean both, and its keywords are shared
  plugin.log_name = "http";
  plugin.ports = "tcp/80 tcp/8080";
  plugin_lib::SetTables(&plugin, kFields, kEvents, kRequestStages, kResponseStages);
  return plugin;
}

}  // namespace
}  // namespace http2

extern "C" const sluice_plugin sluice_plugin_v1 = http2::Plugin();
