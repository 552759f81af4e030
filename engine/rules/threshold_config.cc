#include "engine/rules/threshold_config.h"

#include <algorithm>
#include <map>

#include "engine/base/file.h"
#include "engine/rules/context.h"
#include "engine/rules/text.h"

namespace sluice {
namespace {

using Words = std::map<std::string, std::string_view, std::less<>>;

// What one line asks for.
struct Entry {
  enum class Kind : uint8_t { kThreshold, kRateFilter, kSuppress } kind = Kind::kThreshold;
  uint32_t gid = 0, sid = 0;
  Threshold threshold;
  RateFilter rate;
  Suppression suppression;
};

std::unexpected<Error> Bad(std::string message) {
  return std::unexpected(Error{Errc::kInvalidArgument, std::move(message)});
}

// "gen_id 1, sig_id 2, ip [10.0.0.0/8,!10.1.0.0/16]": commas in brackets do not part.
Result<Words> ParseWords(std::string_view text) {
  Words words;
  int depth = 0;
  size_t start = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size()) {
      depth += text[i] == '[' ? 1 : text[i] == ']' ? -1 : 0;
      if (text[i] != ',' || depth > 0) continue;
    }
    const std::string_view part = Trim(text.substr(start, i - start));
    start = i + 1;
    const size_t blank = part.find_first_of(" \t");
    if (blank == part.npos) return Bad(fmt::format("\"{}\": write name value", part));
    const auto [it, fresh] =
        words.emplace(part.substr(0, blank), Trim(part.substr(blank)));
    if (!fresh) return Bad(fmt::format("{} is given twice", it->first));
  }
  return words;
}

class Line {
 public:
  explicit Line(Words words) : words_(std::move(words)) {}

  bool Has(std::string_view name) const { return words_.contains(name); }
  std::string_view Take(std::string_view name) {
    const auto it = words_.find(name);
    if (it == words_.end()) return {};
    const std::string_view value = it->second;
    words_.erase(it);
    return value;
  }
  Result<uint32_t> Number(std::string_view name, uint32_t least) {
    const std::string_view text = Take(name);
    const auto number = ParseNumber<uint32_t>(text);
    if (!number || *number < least) {
      return Fail(Errc::kInvalidArgument, "{}: \"{}\" is not a number from {} on", name, text, least);
    }
    return *number;
  }
  // What nobody asked for.
  Result<void> Done() const {
    if (words_.empty()) return {};
    return Bad(fmt::format("\"{}\" does not belong here", words_.begin()->first));
  }

 private:
  Words words_;
};

template <typename T, size_t N>
Result<T> OneOf(const std::pair<std::string_view, T> (&table)[N], std::string_view name,
                std::string_view value) {
  std::string known;
  for (const auto& [word, meaning] : table) {
    if (word == value) return meaning;
    known += (known.empty() ? "" : ", ") + std::string(word);
  }
  return Fail(Errc::kInvalidArgument, "{} \"{}\" is not one of {}", name, value, known);
}

constexpr std::pair<std::string_view, Threshold::Track> kTracks[] = {
    {"by_src", Threshold::Track::kBySource}, {"by_dst", Threshold::Track::kByDestination},
    {"by_both", Threshold::Track::kByBoth},  {"by_rule", Threshold::Track::kByRule},
    {"by_flow", Threshold::Track::kByFlow}};
constexpr std::pair<std::string_view, Threshold::Type> kTypes[] = {
    {"limit", Threshold::Type::kLimit}, {"threshold", Threshold::Type::kThreshold},
    {"both", Threshold::Type::kBoth}};
constexpr std::pair<std::string_view, Action> kActions[] = {
    {"alert", Action::kAlert}, {"pass", Action::kPass}, {"drop", Action::kDrop},
    {"reject", Action::kReject}};
constexpr std::pair<std::string_view, Suppression::Side> kSides[] = {
    {"by_src", Suppression::Side::kSource}, {"by_dst", Suppression::Side::kDestination},
    {"by_either", Suppression::Side::kEither}};

Result<void> ParseThreshold(Line& line, Entry* out) {
  const auto type = OneOf(kTypes, "type", line.Take("type"));
  if (!type) return std::unexpected(type.error());
  const auto track = OneOf(kTracks, "track", line.Take("track"));
  if (!track) return std::unexpected(track.error());
  const auto count = line.Number("count", 1), seconds = line.Number("seconds", 1);
  if (!count) return std::unexpected(count.error());
  if (!seconds) return std::unexpected(seconds.error());
  out->threshold = {.type = *type, .track = *track, .count = *count, .seconds = *seconds};
  return {};
}

Result<void> ParseRateFilter(Line& line, Entry* out) {
  out->kind = Entry::Kind::kRateFilter;
  const auto track = OneOf(kTracks, "track", line.Take("track"));
  if (!track) return std::unexpected(track.error());
  const auto count = line.Number("count", 1), seconds = line.Number("seconds", 1),
             timeout = line.Number("timeout", 0);
  if (!count) return std::unexpected(count.error());
  if (!seconds) return std::unexpected(seconds.error());
  if (!timeout) return std::unexpected(timeout.error());
  const auto action = OneOf(kActions, "new_action", line.Take("new_action"));
  if (!action) return std::unexpected(action.error());
  out->rate = {{.type = Threshold::Type::kRate, .track = *track, .count = *count,
                .seconds = *seconds},
               *action, *timeout};
  return {};
}

Result<void> ParseSuppress(Line& line, const RuleOptions& options, Entry* out) {
  out->kind = Entry::Kind::kSuppress;
  if (!line.Has("track") && !line.Has("ip")) return {};
  const auto side = OneOf(kSides, "track", line.Take("track"));
  if (!side) return std::unexpected(side.error());
  auto addresses = ParseAddressSet(line.Take("ip"), options.addresses);
  if (!addresses) return std::unexpected(addresses.error());
  out->suppression = {*side, std::move(*addresses)};
  return {};
}

Result<Entry> ParseEntry(std::string_view text, const RuleOptions& options) {
  const size_t blank = text.find_first_of(" \t");
  const std::string_view word = text.substr(0, blank);
  const std::string_view rest = blank == text.npos ? "" : text.substr(blank);
  if (word != "threshold" && word != "event_filter" && word != "rate_filter" &&
      word != "suppress") {
    return Bad(fmt::format("\"{}\" is not threshold, event_filter, rate_filter or suppress", word));
  }
  auto words = ParseWords(rest);
  if (!words) return std::unexpected(words.error());
  Line line(std::move(*words));
  Entry entry;
  const auto gid = line.Number("gen_id", 0), sid = line.Number("sig_id", 0);
  if (!gid) return std::unexpected(gid.error());
  if (!sid) return std::unexpected(sid.error());
  if (*gid == 0 && *sid != 0) return Bad("gen_id 0 means every rule; it needs sig_id 0");
  entry.gid = *gid;
  entry.sid = *sid;
  const auto ok = word == "suppress"      ? ParseSuppress(line, options, &entry)
                  : word == "rate_filter" ? ParseRateFilter(line, &entry)
                                          : ParseThreshold(line, &entry);
  if (!ok) return std::unexpected(ok.error());
  if (auto done = line.Done(); !done) return std::unexpected(done.error());
  return entry;
}

void Apply(const Entry& entry, Rule* rule) {
  switch (entry.kind) {
    case Entry::Kind::kSuppress:
      rule->suppressions.push_back(entry.suppression);
      break;
    case Entry::Kind::kRateFilter:
      if (entry.sid != 0 || !rule->rate_filter) rule->rate_filter = entry.rate;
      break;
    case Entry::Kind::kThreshold:
      if (entry.sid != 0 || !rule->threshold) rule->threshold = entry.threshold;
      break;
  }
}

// Rules that the line names; false if there is none.
bool ApplyToAll(const Entry& entry, RuleSet* set) {
  bool any = false;
  for (Rule& rule : set->rules) {
    if (entry.gid != 0 && rule.gid != entry.gid) continue;
    if (entry.sid != 0 && rule.sid != entry.sid) continue;
    Apply(entry, &rule);
    any = true;
  }
  return any;
}

}  // namespace

void ApplyThresholds(std::string_view text, const std::string& file, const RuleOptions& options,
                     RuleSet* set) {
  std::vector<Entry> many;  // for many rules: behind those that name one
  uint32_t number = 0, first = 0;
  std::string joined;
  const auto report = [&](RuleProblem::Severity severity, uint32_t sid, std::string message) {
    Report(set, {severity, {file, first}, 1, sid, std::move(message)});
  };
  const auto finish = [&] {
    const std::string line = std::exchange(joined, {});
    if (line.empty()) return;
    const auto entry = ParseEntry(Trim(line), options);
    if (!entry) {
      ++set->num_failed;
      return report(RuleProblem::Severity::kError, 0, entry.error().message);
    }
    if (entry->sid == 0) return many.push_back(*entry);
    if (!ApplyToAll(*entry, set)) {
      report(RuleProblem::Severity::kWarning, entry->sid, "no such rule is loaded; the line does nothing");
    }
  };
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view part = Trim(text.substr(at, end - at));
    at = end + 1;
    ++number;
    if (joined.empty()) {
      if (part.empty() || part[0] == '#') continue;
      first = number;
    }
    const bool goes_on = part.ends_with('\\');
    if (goes_on) part.remove_suffix(1);
    joined += std::string(part) + " ";
    if (!goes_on) finish();
  }
  finish();
  for (const Entry& entry : many) ApplyToAll(entry, set);
}

Result<void> ReadThresholds(const std::string& path, const RuleOptions& options, RuleSet* set) {
  const auto text = ReadFile(path, "threshold file");
  if (!text) return std::unexpected(text.error());
  ApplyThresholds(*text, path, options, set);
  return {};
}

}  // namespace sluice
