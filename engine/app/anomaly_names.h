// engine/app/anomaly_names.h
// Names of events as EVE spells them, made once: the packet path formats none.
// Threads: pure functions.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// "decoder.ipv4.trunc_pkt" ..., by event.
template <typename Event, typename Name>
std::vector<std::string> AnomalyNames(std::string_view prefix, Name name) {
  std::vector<std::string> all;
  for (size_t i = 0; i < static_cast<size_t>(Event::kMax); ++i) {
    all.push_back(fmt::format("{}.{}", prefix, name(static_cast<Event>(i))));
  }
  return all;
}

}  // namespace sluice
