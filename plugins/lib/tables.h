// SPDX-License-Identifier: Apache-2.0
// plugins/lib/tables.h - a plug-in struct's tables from arrays: pointer and length are one fact.
#pragma once

#include <sluice/plugin.h>

#include <cstddef>
#include <cstdint>

namespace plugin_lib {

template <size_t F, size_t E, size_t Q, size_t R>
constexpr void SetTables(sluice_plugin* plugin, const sluice_field (&fields)[F], const sluice_event (&events)[E],
                         const char* const (&request_stages)[Q], const char* const (&response_stages)[R]) {
  plugin->fields = fields;
  plugin->num_fields = F;
  plugin->events = events;
  plugin->num_events = E;
  plugin->stages[SLUICE_TO_SERVER] = request_stages;
  plugin->num_stages[SLUICE_TO_SERVER] = Q;
  plugin->stages[SLUICE_TO_CLIENT] = response_stages;
  plugin->num_stages[SLUICE_TO_CLIENT] = R;
}

}  // namespace plugin_lib
