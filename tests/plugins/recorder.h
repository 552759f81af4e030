// SPDX-License-Identifier: Apache-2.0
// tests/plugins/recorder.h - a host that writes down what a dissector says, one line per call.
// One flow at a time, one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/plugin.h>

namespace sluice::testing {

inline std::string recorded;
inline uint64_t recorded_tx = 0;
inline std::vector<uint8_t> all_wanted(256, 1);

inline const sluice_host* RecorderHost() {
  static const sluice_host host = [] {
    sluice_host h{};
    h.struct_size = sizeof(h);
    h.wanted = [](sluice_flow*) -> const uint8_t* { return all_wanted.data(); };
    h.tx_begin = [](sluice_flow*, uint32_t) -> uint64_t { return recorded_tx++; };
    h.set_bytes = [](sluice_flow*, uint64_t tx, uint32_t field, sluice_slice s) -> int32_t {
      const char* log = sluice_plugin_v1.fields[field].log;
      recorded += std::to_string(tx) + " " + log + "=";
      recorded.append(reinterpret_cast<const char*>(s.data), s.len) += "\n";
      return 0;
    };
    h.set_uint = [](sluice_flow*, uint64_t tx, uint32_t field, uint64_t value) -> int32_t {
      const char* log = sluice_plugin_v1.fields[field].log;
      recorded += std::to_string(tx) + " " + log + "=" + std::to_string(value) + "\n";
      return 0;
    };
    h.tx_stage = [](sluice_flow*, uint64_t, uint32_t, uint32_t) -> int32_t { return 0; };
    h.event = [](sluice_flow*, uint64_t, uint32_t index) -> int32_t {
      recorded += std::string("event ") + sluice_plugin_v1.events[index].name + "\n";
      return 0;
    };
    h.handover = [](sluice_flow*, const char* name) -> int32_t {
      recorded += std::string("handover ") + (name ? name : "opaque") + "\n";
      return 0;
    };
    return h;
  }();
  return &host;
}

struct Segment {
  uint32_t direction;
  std::string bytes;
};

// Runs the segments; each is cut once at `cut` (counted over all bytes), like TCP might.
inline std::string Record(const std::vector<Segment>& segments, size_t cut = SIZE_MAX) {
  recorded.clear();
  recorded_tx = 0;
  sluice_plugin_v1.init(RecorderHost());
  void* state = sluice_plugin_v1.flow_new(nullptr);
  std::string held[2];
  bool dead[2] = {};
  size_t at = 0;
  auto feed = [&](uint32_t d, std::string_view bytes) {
    if (dead[d] || bytes.empty()) return;
    held[d] += bytes;
    const sluice_parse_result r = sluice_plugin_v1.parse(
        state, nullptr, d, {reinterpret_cast<const uint8_t*>(held[d].data()), held[d].size()});
    if (r.consumed > held[d].size()) recorded += "consumed too much\n";
    if (r.status == SLUICE_PARSE_MORE && r.consumed + size_t{r.needed} <= held[d].size()) {
      recorded += "needed too little\n";
    }
    dead[d] = r.status == SLUICE_PARSE_ERROR;
    held[d].erase(0, std::min<size_t>(r.consumed, held[d].size()));
  };
  for (const Segment& s : segments) {
    const size_t here = cut > at && cut < at + s.bytes.size() ? cut - at : s.bytes.size();
    feed(s.direction, std::string_view(s.bytes).substr(0, here));
    feed(s.direction, std::string_view(s.bytes).substr(here));
    at += s.bytes.size();
  }
  sluice_plugin_v1.flow_free(state);
  return recorded;
}

}  // namespace sluice::testing
