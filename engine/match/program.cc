// What a compiled program answers, and its sets of addresses and ports.
#include "engine/match/program.h"

#include <algorithm>
#include <tuple>

namespace sluice {

bool ContainsAddress(const AddressSet& set, const Address& address) {
  if (set.any) return true;
  auto it = std::upper_bound(
      set.ranges.begin(), set.ranges.end(), address, [](const Address& a, const AddressRange& r) {
        return std::tie(a.version, a.bytes) < std::tie(r.first.version, r.first.bytes);
      });
  // Ranges may be sorted with either version first: look at the neighbour, then at all.
  if (it != set.ranges.begin()) {
    const AddressRange& r = *std::prev(it);
    if (r.first.version == address.version && r.first.bytes <= address.bytes &&
        address.bytes <= r.last.bytes) {
      return true;
    }
  }
  return false;
}

bool ContainsPort(const PortSet& set, uint16_t port) {
  if (set.any) return true;
  for (const auto& [first, last] : set.ranges) {
    if (port >= first && port <= last) return true;
  }
  return false;
}

void PortIndex::Add(uint32_t rule, const RuleHeader& header) {
  constexpr uint32_t kMost = 64;
  const auto narrow = [](const PortSet& set) {
    uint32_t count = 0;
    for (const auto& [first, last] : set.ranges) count += last - first + 1u;
    return !set.any && count <= kMost;
  };
  const auto add = [rule](Entries& entries, const PortSet& set) {
    for (const auto& [first, last] : set.ranges) {
      for (uint32_t p = first; p <= last; ++p) entries.emplace_back(static_cast<uint16_t>(p), rule);
    }
  };
  if (!header.bidirectional && narrow(header.destination_ports))
    return add(by_destination_, header.destination_ports);
  if (!header.bidirectional && narrow(header.source_ports))
    return add(by_source_, header.source_ports);
  any_.push_back(rule);
}

void PortIndex::Finish() {
  std::sort(by_source_.begin(), by_source_.end());
  std::sort(by_destination_.begin(), by_destination_.end());
}

RuleProgram::RuleProgram() : impl_(std::make_unique<Impl>()) {}
RuleProgram::~RuleProgram() = default;

const RuleSet& RuleProgram::rules() const { return impl_->rules; }
const std::vector<RuleProblem>& RuleProgram::problems() const { return impl_->problems; }
const RuleProgram::Summary& RuleProgram::summary() const { return impl_->summary; }
uint32_t RuleProgram::generation() const { return impl_->generation; }
uint64_t RuleProgram::hash() const { return impl_->hash; }
bool RuleProgram::wants_stream() const { return impl_->wants_stream; }
const FileWants& RuleProgram::wants_of_files() const { return impl_->wants_of_files; }

RuleProgram::EngineChoice RuleProgram::EngineOf(const Rule& rule) const {
  const uint32_t rank = impl_->rank_of[rule.index];
  if (rank == UINT32_MAX) return {};
  return {impl_->compiled[rank].engine, impl_->compiled[rank].engine_reason};
}

std::string_view RuleProgram::FastPatternOf(const Rule& rule) const {
  const uint32_t rank = impl_->rank_of[rule.index];
  return rank == UINT32_MAX ? std::string_view() : impl_->compiled[rank].fast_pattern;
}

const Rule& RuleProgram::RuleAt(size_t rank) const { return *impl_->compiled[rank].rule; }
size_t RuleProgram::num_ranks() const { return impl_->compiled.size(); }

int RuleProgram::EventId(std::string_view name) const {
  const auto it = impl_->event_ids.find(name);
  return it == impl_->event_ids.end() ? -1 : it->second;
}

std::vector<bool> RuleProgram::WantedKeywords(size_t num_keywords) const {
  std::vector<bool> wanted = impl_->wanted;
  wanted.resize(num_keywords);
  return wanted;
}

}  // namespace sluice
