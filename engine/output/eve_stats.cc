// The record of counters: their dotted names become objects.
#include <algorithm>

#include "engine/output/eve.h"

namespace sluice {
namespace {

// Keys on one level: Arkime's tokenizer takes no more.
constexpr size_t kMaxKeys = 100;

// "a.b." of "a.b.c".
std::string_view LevelOf(std::string_view name) { return name.substr(0, name.rfind('.') + 1); }

}  // namespace

// How many keys each level has without deltas.  Names are sorted: those of a level stand together.
EveWriter::Levels EveWriter::CountKeys(const NamedCounters& counters) {
  Levels levels;
  std::string_view before;
  for (const auto& [name, value] : counters) {
    const size_t same = static_cast<size_t>(std::ranges::mismatch(name, before).in1 - name.begin());
    const size_t known = same == 0 ? 0 : name.rfind('.', same - 1) + 1;  // npos: 0
    for (size_t at = known; at < name.size(); at = std::min(name.find('.', at), name.size() - 1) + 1) {
      ++levels[std::string_view(name).substr(0, at)].keys;
    }
    before = name;
  }
  for (auto& [name, level] : levels) level.crowded = 2 * level.keys > kMaxKeys;
  return levels;
}

// A component of a counter's name: an object, or with "[]" an array of one.
void EveWriter::OpenLevel(std::string_view name) {
  if (!name.ends_with("[]")) return json_.OpenObject(name);
  json_.OpenArray(name.substr(0, name.size() - 2));
  json_.OpenObject();
}
void EveWriter::CloseLevel(std::string_view name) {
  json_.CloseObject();
  if (name.ends_with("[]")) json_.CloseArray();
}

void EveWriter::Stats(Nanos now, uint64_t uptime, const NamedCounters& counters) {
  if (!Wants(RecordType::kStats)) return;
  type_ = RecordType::kStats;
  json_.Clear();
  json_.OpenObject();
  json_.Key("timestamp");
  json_.Time(now);
  json_.Field("event_type", "stats");
  if (!options_.host.empty()) json_.Field("host", options_.host);
  json_.OpenObject("stats");
  json_.Field("uptime", uptime);
  Levels levels = options_.stats_deltas ? CountKeys(counters) : Levels();
  std::vector<std::string_view> open;  // components of the objects we are in
  for (const auto& [name, value] : counters) {
    const bool of_thread = name.starts_with("threads.");
    if (of_thread ? !options_.stats_threads : !options_.stats_totals) continue;
    // What is listed in an array is no counter: a 0 there is a fact too.
    if (value == 0 && !options_.stats_zero && name.find("[]") == name.npos) continue;
    if (WriteOldName(name, value, &open)) continue;
    const std::string_view leaf = EnterLevels(name, &open);
    if (leaf == "last_reload") {  // the one value that is a time
      json_.Key(leaf);
      json_.Time(Nanos{static_cast<int64_t>(value)});
      continue;
    }
    json_.Field(leaf, value);
    if (options_.stats_deltas) WriteDelta(name, leaf, value, &levels[LevelOf(name)]);
  }
  for (; !open.empty(); open.pop_back()) CloseLevel(open.back());
  json_.CloseObject();
  End();
}

// What Suricata 7 has beside the objects and not in one: "memcap_pressure".
bool EveWriter::WriteOldName(std::string_view name, uint64_t value, std::vector<std::string_view>* open) {
  constexpr std::string_view kLevel = "memcap.";
  if (options_.compat >= 8 || !name.starts_with(kLevel)) return false;
  for (; !open->empty(); open->pop_back()) CloseLevel(open->back());
  scratch_.assign("memcap_");
  scratch_ += name.substr(kLevel.size());
  json_.Field(scratch_, value);
  return true;
}

// On a level that would be too full, deltas of 0 are left out, and then what has no room.
void EveWriter::WriteDelta(const std::string& name, std::string_view leaf, uint64_t value, StatsLevel* level) {
  uint64_t& last = last_stats_[name];
  const uint64_t delta = value - std::min(value, last);
  last = value;
  if (level->crowded && (delta == 0 || level->keys >= kMaxKeys)) return;
  ++level->keys;
  scratch_.assign(leaf);
  scratch_ += "_delta";
  json_.Field(scratch_, delta);
}

// Closes and opens objects so that the counter's last component can be written.
std::string_view EveWriter::EnterLevels(std::string_view name, std::vector<std::string_view>* open) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; at <= name.size();) {
    const size_t dot = std::min(name.find('.', at), name.size());
    parts.push_back(name.substr(at, dot - at));
    at = dot + 1;
  }
  const std::string_view leaf = parts.back();
  parts.pop_back();
  size_t same = 0;
  while (same < open->size() && same < parts.size() && (*open)[same] == parts[same]) ++same;
  for (; open->size() > same; open->pop_back()) CloseLevel(open->back());
  for (; open->size() < parts.size(); open->push_back(parts[open->size()])) {
    OpenLevel(parts[open->size()]);
  }
  return leaf;
}

}  // namespace sluice
