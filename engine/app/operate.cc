// Commands beside a running engine: drops, status, reload.  They talk to the control socket
// or, where the engine need not live, to the kernel's maps.
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/app/control.h"
#include "engine/app/kernel_verdicts.h"
#include "engine/app/runtime.h"
#include "engine/tap/live_tap.h"

namespace sluice {
namespace {

std::string FormatDuration(Nanos d) {
  const auto s = std::chrono::duration_cast<std::chrono::seconds>(d).count();
  return s >= 3600 ? fmt::format("{}h{:02}m", s / 3600, s / 60 % 60)
         : s >= 60 ? fmt::format("{}m{:02}s", s / 60, s % 60)
                   : fmt::format("{}s", s);
}

int ListDrops(const DropMaps& drops, bool json) {
  const auto entries = drops.List();
  if (!entries) return Complain(entries.error());
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  if (!json) fmt::print("{:<12}{:<52}{:>10}{:>10}{:>12}{:>10}  {}\n", "scope", "value", "packets", "bytes", "remaining", "sid", "cause");
  for (const DropEntry& e : *entries) {
    if (json) {
      nlohmann::ordered_json entry = {{"scope", DropScopeName(e.scope)}, {"value", DropValue(e)}, {"sid", e.sid},
                                      {"cause", DropOriginName(e.origin)}, {"packets", e.packets}, {"bytes", e.bytes}};
      if (e.remaining) entry["remaining_s"] = std::chrono::duration_cast<std::chrono::seconds>(*e.remaining).count();
      out.push_back(std::move(entry));
    } else {
      fmt::print("{:<12}{:<52}{:>10}{:>10}{:>12}{:>10}  {}\n", DropScopeName(e.scope), DropValue(e), e.packets, e.bytes,
                 e.remaining ? FormatDuration(std::max(Nanos{}, *e.remaining)) : "for ever", e.sid, DropOriginName(e.origin));
    }
  }
  if (json) fmt::print("{}\n", out.dump(2));
  return 0;
}

}  // namespace

int RunDrops(const CommandLine& line) {
  const auto options = BuildOptions(line);
  if (!options) return Complain(options.error());
  auto drops = DropMaps::Open(options->pin_dir);
  if (!drops) return Complain(drops.error());
  if (line.command == Command::kDropsList) return ListDrops(*drops, line.json);
  if (line.command == Command::kDropsFlush) {
    const auto count = drops->Flush();
    if (!count) return Complain(count.error());
    fmt::print("{} entries lifted\n", *count);
    return 0;
  }
  const auto prefix = ParsePrefix(line.drop_value);
  if (!prefix) return Complain(prefix.error(), 2);
  const bool source = line.drop_scope == "source";
  if (line.command == Command::kDropsDelete) {
    const auto found = source ? drops->DeleteSource(*prefix) : drops->DeleteDestination(*prefix);
    if (!found) return Complain(found.error());
    if (!*found) return Complain({Errc::kNotFound, fmt::format("{} {}: there is no such entry", line.drop_scope, line.drop_value)});
    return 0;
  }
  const auto ttl = ParseDuration(line.drop_ttl);
  if (!ttl) return Complain(ttl.error(), 2);
  DropOptions entry;
  entry.ttl = *ttl;
  entry.sid = line.drop_sid;
  const auto ok = source ? drops->AddSource(*prefix, entry) : drops->AddDestination(*prefix, entry);
  return ok ? 0 : Complain(ok.error());
}

int RunStatus(const CommandLine& line) {
  const auto options = BuildOptions(line);
  if (!options) return Complain(options.error());
  const auto answer = AskEngine(options->control_socket, "status");
  if (!answer) {
    Complain(answer.error());
    const auto counters = ReadPinnedCounters(options->pin_dir);
    if (!counters) return 1;
    fmt::print("no engine answers; the kernel goes on:\n");
    for (size_t i = 0; i < counters->size(); ++i) {
      if ((*counters)[i] != 0) fmt::print("{:>16}  {}\n", (*counters)[i], TapCounterHelp(static_cast<tap_counter>(i)));
    }
    return 1;
  }
  if (line.json) {
    fmt::print("{}\n", *answer);
    return 0;
  }
  const auto status = nlohmann::ordered_json::parse(*answer, nullptr, false);
  if (status.is_discarded()) return Complain({Errc::kData, "the engine's answer is not JSON"});
  fmt::print("up {} s, {} rules\n", status.value("uptime_s", 0), status["rules"].value("loaded", 0));
  for (const auto& i : status["interfaces"]) {
    fmt::print("{} at {}{}\n", i.value("name", ""), i.value("attach", ""), i.value("adopted", false) ? ", adopted" : "");
  }
  for (const auto& [name, value] : status["counters"].items()) fmt::print("{:>16}  {}\n", value.get<uint64_t>(), name);
  return 0;
}

int PrintSettings(const CommandLine& line) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const SettingInfo& s : AllSettings()) {
    if (line.json) {
      out.push_back({{"name", s.name}, {"default", s.default_value}, {"range", s.range}, {"suricata", s.suricata_name}, {"help", s.help}});
    } else {
      fmt::print("{:<28}{:<26}{:<28}{}\n", s.name, s.default_value, s.range, s.help);
    }
  }
  if (line.json) fmt::print("{}\n", out.dump(2));
  return 0;
}

int RunReload(const CommandLine& line) {
  const auto options = BuildOptions(line);
  if (!options) return Complain(options.error());
  const auto answer = AskEngine(options->control_socket, "reload");
  if (!answer) return Complain(answer.error());
  const auto result = nlohmann::ordered_json::parse(*answer, nullptr, false);
  if (result.is_discarded() || !result.value("ok", false)) {
    return Complain({Errc::kInvalidArgument, fmt::format("reload failed, the old rules stay: {}", result.is_discarded() ? *answer : result.value("error", ""))});
  }
  fmt::print("{} rules loaded, {} failed\n", result.value("rules", 0), result.value("failed", 0));
  return 0;
}

}  // namespace sluice
