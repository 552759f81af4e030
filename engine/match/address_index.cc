#include "engine/match/address_index.h"

#include <algorithm>
#include <iterator>

namespace sluice {
namespace {

// More of all addresses of its version than this, and the index would list the rule everywhere.
constexpr double kLarge = 1.0 / 512;

double Fraction(const AddressRange& range) {
  const size_t len = range.first.version == 4 ? 4 : 16;
  double size = 0, unit = 1;
  for (size_t i = 0; i < len; ++i) {
    unit /= 256;
    size += unit * (static_cast<double>(range.last.bytes[i]) - range.first.bytes[i]);
  }
  return size + unit;
}

double Share(const AddressSet& set) {
  if (set.any) return 2;
  double share = 0;
  for (const AddressRange& range : set.ranges) share += Fraction(range);
  return share;
}

// The address behind; false if there is none of the version.
bool Next(Address* address) {
  for (size_t i = address->version == 4 ? 4 : 16; i-- > 0;) {
    if (++address->bytes[i] != 0) return true;
  }
  return false;
}

bool Before(const Address& a, const Address& b) {
  return a.version != b.version ? a.version < b.version : a.bytes < b.bytes;
}

}  // namespace

void AddressIndex::Side::Add(uint32_t rank, const AddressSet& set) {
  for (const AddressRange& range : set.ranges) {
    edges_.push_back({range.first, true, rank});
    Address end = range.last;
    if (!Next(&end)) end = {.bytes = {}, .version = static_cast<uint8_t>(range.first.version + 1)};
    edges_.push_back({end, false, rank});
  }
}

void AddressIndex::Side::Finish(std::vector<uint32_t>* always) {
  std::ranges::stable_sort(edges_, Before, &Edge::at);
  std::vector<uint32_t> open;  // ascending; a rank as often as its ranges overlap
  for (size_t i = 0; i < edges_.size();) {
    const Address at = edges_[i].at;
    for (; i < edges_.size() && edges_[i].at == at; ++i) {
      const auto place = std::ranges::lower_bound(open, edges_[i].rank);
      if (edges_[i].begins) open.insert(place, edges_[i].rank);
      else open.erase(place);
    }
    Interval interval{at, static_cast<uint32_t>(ranks_.size()), 0};
    std::ranges::unique_copy(open, std::back_inserter(ranks_));
    interval.to = static_cast<uint32_t>(ranks_.size());
    intervals_.push_back(interval);
    if (ranks_.size() > kMostListed) break;
  }
  if (ranks_.size() > kMostListed) {
    for (const Edge& edge : edges_) always->push_back(edge.rank);
    intervals_ = {};
    ranks_ = {};
  }
  edges_ = {};
}

std::span<const uint32_t> AddressIndex::Side::Find(const Address& address) const {
  const auto it = std::ranges::upper_bound(intervals_, address, Before, &Interval::first);
  if (it == intervals_.begin()) return {};
  const Interval& interval = *std::prev(it);
  if (interval.first.version != address.version) return {};
  return std::span(ranks_).subspan(interval.from, interval.to - interval.from);
}

void AddressIndex::Add(uint32_t rank, const AddressSet& sources, const AddressSet& destinations, bool either) {
  ++num_rules_;
  const double source = Share(sources), destination = Share(destinations);
  if (either || std::min(source, destination) > kLarge) return always_.push_back(rank);
  source <= destination ? by_source_.Add(rank, sources) : by_destination_.Add(rank, destinations);
}

void AddressIndex::Finish() {
  by_source_.Finish(&always_);
  by_destination_.Finish(&always_);
  std::ranges::sort(always_);
  always_.erase(std::ranges::unique(always_).begin(), always_.end());
}

void AddressIndex::Find(const Address& source, const Address& destination, std::vector<uint32_t>* ranks) const {
  const size_t begin = ranks->size();
  const auto append = [&](std::span<const uint32_t> more) { ranks->insert(ranks->end(), more.begin(), more.end()); };
  append(always_);
  append(by_source_.Find(source));
  append(by_destination_.Find(destination));
  std::sort(ranks->begin() + static_cast<ptrdiff_t>(begin), ranks->end());
}

}  // namespace sluice
