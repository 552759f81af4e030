#include "engine/match/reputation.h"

#include <algorithm>
#include <bitset>

#include "engine/base/file.h"
#include "engine/rules/parser.h"
#include "engine/rules/text.h"

namespace sluice {
namespace {

constexpr uint8_t BitsOf(uint8_t version) { return version == 4 ? 32 : 128; }

// The address with what is behind the prefix cut off.
std::array<uint8_t, 16> NetworkOf(std::array<uint8_t, 16> bytes, uint8_t prefix) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    const int kept = std::clamp(int{prefix} - static_cast<int>(8 * i), 0, 8);
    bytes[i] &= static_cast<uint8_t>(0xff00 >> kept);
  }
  return bytes;
}

}  // namespace

std::optional<Reputation::Entry> Reputation::ParseLine(std::string_view line) {
  const auto parts = Split(line, ',');
  if (parts.size() < 3) return std::nullopt;
  const size_t slash = std::min(parts[0].find('/'), parts[0].size());
  const auto address = ParseAddress(parts[0].substr(0, slash));
  const auto category = ParseNumber<uint8_t>(parts[1]), value = ParseNumber<uint8_t>(parts[2]);
  if (!address || !category || *category >= kReputationCategories || !value || *value > kMostValue) return std::nullopt;
  const uint8_t bits = BitsOf(address->version);
  const auto prefix = slash == parts[0].size() ? std::optional(bits) : ParseNumber<uint8_t>(parts[0].substr(slash + 1));
  if (!prefix || *prefix > bits) return std::nullopt;
  return Entry{address->version, *prefix, *category, *value, NetworkOf(address->bytes, *prefix)};
}

void Reputation::Parse(std::string_view text, const std::string& name, std::vector<RuleProblem>* problems) {
  uint32_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = Trim(text.substr(at, end - at));
    at = end + 1;
    ++number;
    // A first line may name the columns.
    if (line.empty() || line[0] == '#' || line.starts_with("ip,")) continue;
    if (const auto entry = ParseLine(line)) {
      entries_.push_back(*entry);
      continue;
    }
    problems->push_back({RuleProblem::Severity::kWarning, {name, number}, 1, 0,
                         fmt::format("not \"address,category,value\" with a category below {} and a value up to {}; "
                                     "the line is skipped",
                                     kReputationCategories, kMostValue)});
  }
}

void Reputation::Load(const std::string& path, std::vector<RuleProblem>* problems) {
  const auto file = ReadFile(path, "reputation file");
  if (file) return Parse(*file, path, problems);
  problems->push_back({RuleProblem::Severity::kWarning, {path, 0}, 0, 0, file.error().message});
}

void Reputation::Finish() {
  std::ranges::stable_sort(entries_, {}, &Entry::Key);
  // The last of those that are about the same: unique() keeps the first.
  std::ranges::reverse(entries_);
  const auto same = std::ranges::unique(entries_, {}, &Entry::Key);
  entries_.erase(same.begin(), same.end());
  std::ranges::reverse(entries_);
  std::bitset<129> used[2];
  for (const Entry& entry : entries_) used[entry.version == 6].set(entry.prefix);
  for (size_t v = 0; v < 2; ++v) {
    prefixes_[v].clear();
    for (size_t prefix = used[v].size(); prefix-- > 0;) {
      if (used[v][prefix]) prefixes_[v].push_back(static_cast<uint8_t>(prefix));
    }
  }
}

std::optional<uint8_t> Reputation::Find(const Address& address, uint8_t category) const noexcept {
  if (address.version == 0) return std::nullopt;
  for (const uint8_t prefix : prefixes_[address.version == 6]) {
    const Entry wanted{address.version, prefix, category, 0, NetworkOf(address.bytes, prefix)};
    const auto it = std::ranges::lower_bound(entries_, wanted.Key(), {}, &Entry::Key);
    if (it != entries_.end() && it->Key() == wanted.Key()) return it->value;
  }
  return std::nullopt;
}

}  // namespace sluice
